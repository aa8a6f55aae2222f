// Overrides: who gets the variant that is asked for, who is treated as if nothing had been asked, and that the asking is
// taken out of the request in every spelling, with nothing else touched.
import { describe, expect, it } from 'vitest';
import type { OverrideConfig, SplitConfig } from '../../../src/config/options/split.ts';
import { LibraryView, type RequestLike } from '../../../src/split/request.ts';
import { Splitter } from '../../../src/split/splitter.ts';

const SECRET = 'correct-horse-battery';
const ALL: OverrideConfig = {
  header: 'X-Variant',
  cookie: 'Variant',
  query: 'variant',
  variants: ['b', 'parked'],
};

function splitter(override: Partial<OverrideConfig> = {}, more: Partial<SplitConfig> = {}): Splitter {
  return new Splitter('s', {
    key: '$arg_token',
    method: 'ranges',
    missingKey: 'reject',
    variants: [
      { name: 'a', share: 10_000, upstream: 'http://a' },
      { name: 'b', share: 0, upstream: 'http://b' },
      { name: 'parked', share: 0, upstream: 'http://c' },
    ],
    override: { ...ALL, ...override },
    ...more,
  });
}

const decide = (request: RequestLike, override: Partial<OverrideConfig> = {}) =>
  splitter(override).decide(new LibraryView(request));

/** Variant, reason, and what is left of target and cookies. */
function tell(request: RequestLike, override: Partial<OverrideConfig> = {}) {
  const { variant, reason, extras } = decide(request, override);
  const { target = null, cookie = null } = extras?.override ?? {};
  const text = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('latin1'));
  return [variant?.name, reason, text(target), text(cookie)];
}

describe('an override that is granted', () => {
  it.each<[string, RequestLike, unknown[]]>([
    ['header', { url: '/?token=1', headers: { 'x-VARIANT': 'b' } }, ['b', 'override', null, null]],
    ['cookie', { url: '/', headers: { cookie: 'x=1; variant=b; y=2' } }, ['b', 'override', null, 'x=1; y=2']],
    ['query parameter', { url: '/p?variant=b&token=1' }, ['b', 'override', '/p?token=1', null]],
    [
      'header, for a parked variant',
      { url: '/', headers: { 'x-variant': 'parked' } },
      ['parked', 'override', null, null],
    ],
  ])('goes by %s, whatever the key says and also without one', (_, request, told) => {
    expect(tell(request)).toEqual(told);
  });

  it('is the query before the header, and the header before the cookie', () => {
    const headers = { 'x-variant': 'parked', cookie: 'variant=b' };
    expect(tell({ url: '/?variant=b', headers })).toEqual(['b', 'override', '/', '']);
    expect(tell({ url: '/', headers })).toEqual(['parked', 'override', null, '']);
  });

  it('stands behind a worthless one in a place that is asked before', () => {
    expect(tell({ url: '/?variant=old', headers: { cookie: 'variant=b' } })).toEqual([
      'b',
      'override',
      '/',
      '',
    ]);
  });

  it('needs the secret behind the name where there is one', () => {
    const request = (value: string) => ({ url: '/?token=1', headers: { 'x-variant': value } });
    const names = [
      `b~${SECRET}`,
      'b',
      'b~',
      `b~${SECRET}x`,
      `b~${SECRET.slice(1)}`,
      `${SECRET}~b`,
      `b~~${SECRET}`,
    ];
    expect(names.map((value) => decide(request(value), { secret: SECRET }).variant?.name)).toEqual([
      'b',
      'a',
      'a',
      'a',
      'a',
      'a',
      'a',
    ]);
  });

  it('may be percent-encoded in query and cookie, as forms and libraries do', () => {
    const value = encodeURIComponent(`b~${SECRET}`).replace('~', '%7E');
    const secret = { secret: SECRET };
    expect(tell({ url: `/?variant=${value}` }, secret).slice(0, 2)).toEqual(['b', 'override']);
    expect(tell({ url: '/', headers: { cookie: `variant=${value}` } }, secret).slice(0, 2)).toEqual([
      'b',
      'override',
    ]);
  });
});

describe('an override that is not granted', () => {
  it.each<[string, RequestLike]>([
    ['an unknown variant', { url: '/?token=1', headers: { 'x-variant': 'c' } }],
    ['a variant that is not on the list', { url: '/?token=1', headers: { 'x-variant': 'a' } }],
    ['a secret where none is asked for', { url: '/?token=1', headers: { 'x-variant': 'b~x' } }],
    // Whoever joins a list of two, or takes the last one, would read another variant than whoever takes the first.
    ['two fields', { url: '/?token=1', rawHeaders: ['x-variant', 'b', 'X-Variant', 'b'] }],
    ['two cookies', { url: '/?token=1', headers: { cookie: 'variant=b; VARIANT=parked' } }],
    ['two parameters', { url: '/?variant=b&token=1&variant=b' }],
    ['an empty value', { url: '/?token=1&variant=', headers: { 'x-variant': '' } }],
  ])('is treated as if nothing had been there: %s', (_, request) => {
    expect(decide(request)).toMatchObject({ variant: { name: 'a' }, reason: 'share' });
  });

  it('leaves a key that reads the whole target or all cookies as it would be without it', () => {
    for (const key of ['$request_uri', '$args', '$http_cookie', '$cookie_x$arg_y']) {
      const one = splitter({}, { key });
      const honest = new LibraryView({ url: '/p?y=1', headers: { cookie: 'x=1' } });
      const asking = new LibraryView({ url: '/p?variant=no&y=1', headers: { cookie: 'variant=no; x=1' } });
      expect(one.decide(asking).hash).toBe(one.decide(honest).hash);
      expect(one.keyOf(asking)).toEqual(one.keyOf(honest));
    }
  });

  it('is a missing key where nothing else is one', () => {
    expect(tell({ url: '/?variant=no' })).toEqual([undefined, 'missing_key', '/', null]);
  });
});

describe('what is left of a request', () => {
  it.each([
    ['/?variant=b', '/'],
    ['/?variant', '/'],
    ['/?VARIANT=b&a=1', '/?a=1'],
    ['/?a=1&variant=b', '/?a=1'],
    ['/?a=1&variant=b&&c=%20+', '/?a=1&&c=%20+'],
    ['/?&variant=b', '/?'],
    ['/?variant=b&variant=c&x', '/?x'],
    ['/variant=b?variant=b?variant=b&x=variant=b', '/variant=b?x=variant=b'],
    ['http://h/p?variant=b&a', '/p?a'],
    ['/?a=/?variant=b', null],
    ['/?variants=b&my-variant=b&xvariant=b', null],
    ['/variant=b', null],
  ])('of the target %s is %s', (url, rest) => {
    expect(tell({ url })[2]).toBe(rest);
  });

  it.each([
    [['variant=b'], ''],
    [['a=1; variant=b'], 'a=1'],
    [['VaRiAnT=b; a=1'], 'a=1'],
    [['a=1;variant=b;b="x y"'], 'a=1; b="x y"'],
    [['a=1; \tvariant = b ; c'], 'a=1; c'],
    [['variant; a=1'], 'a=1'],
    [['a=1', 'variant=b; c=2', 'variant=c'], 'a=1; c=2'],
    [['a=variant=b; variants=b; my_variant=b'], null],
  ])('of the cookies %j is %j', (cookies, rest) => {
    const rawHeaders = cookies.flatMap((cookie) => ['Cookie', cookie]);
    expect(tell({ url: '/', rawHeaders })[3]).toBe(rest);
  });

  it('is everything, untouched, when nothing was asked for', () => {
    expect(decide({ url: '/?token=1', headers: { cookie: 'a=1' } }).extras).toBeNull();
  });
});

describe('the key of a request with an override', () => {
  const keyed = (key: string, request: RequestLike) =>
    splitter({}, { key }).explain(new LibraryView(request)).key;

  it('is read of the same host, client and connection', () => {
    const socket = { remoteAddress: '10.0.0.1', remotePort: 4711, encrypted: true };
    const asked: RequestLike = { url: '/?variant=b', headers: { host: 'Shop.example' }, socket };
    expect(keyed('$host $remote_addr $remote_port $scheme $uri$is_args', asked)).toBe(
      'shop.example 10.0.0.1 4711 https /',
    );
  });

  it('has the request line and the id of the whole request', () => {
    const view = new LibraryView({ url: '/?variant=b' });
    const { key } = splitter({}, { key: '$request_id' }).explain(view);
    expect(key).toMatch(/^[0-9a-f]{32}$/);
    expect(view.context().requestId()).toBe(key);
  });
});

describe('explain', () => {
  const explain = (url: string) => splitter().explain(new LibraryView({ url }));

  it('says where the variant was asked for, and that it was granted', () => {
    const told = { reason: 'override', key: '1', override: { place: 'query', isGranted: true } };
    expect(explain('/?token=1&variant=b')).toMatchObject(told);
  });

  it('says that it was not granted, but not why', () => {
    expect(explain('/?token=1&variant=a')).toMatchObject({ reason: 'share', override: { isGranted: false } });
  });
});

it('a cache has to look at the fields that can override', () => {
  expect(splitter().varyBy).toEqual(['X-Variant', 'Cookie']);
});

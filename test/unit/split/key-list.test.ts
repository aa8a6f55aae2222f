// Several keys, the first one that is there wins, and a minted one at the end: who has which key, and which cookie.
import murmurhash from 'murmurhash';
import { describe, expect, it } from 'vitest';
import type { KeyConfig, MintConfig, SplitConfig } from '../../../src/config/options/split.ts';
import { cookieFor, describeKey, fieldsOf, keyTexts, makeRandomKey } from '../../../src/split/key-list.ts';
import { LibraryView } from '../../../src/split/request.ts';
import { Splitter } from '../../../src/split/splitter.ts';

const MINT: MintConfig = { mint: 'uid', cookie: 'uid', path: '/', maxAge: 3_600_000, secure: 'auto' };
const variants = [
  { name: 'a', share: 5000, upstream: 'http://a' },
  { name: 'b', share: null, upstream: 'http://b' },
];

function splitter(key: KeyConfig, more: Partial<SplitConfig> = {}, makeKey?: () => string): Splitter {
  return new Splitter(
    's',
    { key, method: 'ranges', missingKey: 'default', variants, ...more },
    undefined,
    makeKey,
  );
}

const view = (url: string, headers: Record<string, string> = {}) => new LibraryView({ url, headers });
const hashOf = (key: string) => murmurhash.v2(Buffer.from(key), 0);

describe('a list of keys', () => {
  const listed = splitter(['user:$arg_token', '$http_x_user', '$cookie_uid']);

  it.each([
    ['the first one, whatever else is there', '/?token=1', { 'x-user': '2', cookie: 'uid=3' }, 'user:1'],
    ['the second one where the first is missing', '/', { 'x-user': '2', cookie: 'uid=3' }, '2'],
    ['the second one where the first is empty', '/?token=', { 'x-user': '2' }, '2'],
    ['the last one where all before are missing', '/?token', { 'x-user': '', cookie: 'uid=3' }, '3'],
  ])('gives %s', (_, url, headers, key) => {
    expect(listed.decide(view(url, headers))).toMatchObject({ hash: hashOf(key), reason: 'share' });
    expect(Buffer.from(listed.keyOf(view(url, headers))).toString()).toBe(key);
  });

  it('says which of its texts gave the key', () => {
    const sources = ['/?token=1', '/'].map((url) => listed.explain(view(url, { cookie: 'uid=3' })).keySource);
    expect(sources).toEqual(['user:$arg_token', '$cookie_uid']);
  });

  it('that gives nothing is a missing key, and first goes where the first text alone hashes to', () => {
    const first = splitter(['salt:$arg_token', '$http_x_user'], { missingKey: 'first' });
    expect(first.decide(view('/'))).toMatchObject({ reason: 'missing_key', hash: hashOf('salt:') });
    expect(first.explain(view('/')).keySource).toBe('salt:$arg_token');
  });

  it('of one decides as that one alone', () => {
    for (const url of ['/?token=1', '/?token=abc', '/']) {
      expect(splitter(['$arg_token']).decide(view(url))).toEqual(splitter('$arg_token').decide(view(url)));
    }
  });
});

describe('a remembered key', () => {
  const REMEMBER = {
    remember: '$arg_token',
    cookie: 'seen',
    path: '/',
    maxAge: 1000,
    secure: 'auto',
  } as const;
  const list: KeyConfig = [REMEMBER, '$http_x_user'];

  it('is its text and then its cookie', () => {
    expect(keyTexts(list)).toEqual(['$arg_token', '$cookie_seen', '$http_x_user']);
    expect(describeKey(list)).toBe('$arg_token, else remembered in $cookie_seen, else $http_x_user');
    expect(fieldsOf(list)).toEqual(['Cookie', 'x-user']);
  });

  it('is explained by its source, and whether the answer remembers it', () => {
    const explained = (url: string, cookie: string) => {
      const { keySource, key, isRemembered } = splitter(list).explain(view(url, { cookie }));
      return [keySource, key, isRemembered];
    };
    expect(explained('/?token=1', '')).toEqual(['$arg_token', '1', true]);
    expect(explained('/?token=1', 'seen=1')).toEqual(['$arg_token', '1', false]);
    expect(explained('/?token=1', 'seen=2')).toEqual(['$arg_token', '1', true]);
    expect(explained('/', 'seen=2')).toEqual(['$cookie_seen', '2', false]);
  });

  it('comes before the cookie, and decides as the same text alone does', () => {
    for (const token of ['1', 'abc', 'x']) {
      const { variant, hash } = splitter(list).decide(view(`/?token=${token}`, { cookie: 'seen=other' }));
      expect({ variant, hash }).toMatchObject({
        variant: splitter('$arg_token').decide(view(`/?token=${token}`)).variant!,
        hash: hashOf(token),
      });
    }
  });
});

describe('a minted key', () => {
  const anonymous = splitter(['$arg_token', MINT], {}, () => 'kgaa79Mn');

  it('is given to a request without a key, which then goes by its share', () => {
    expect(anonymous.decide(view('/'))).toMatchObject({
      variant: { name: 'b' },
      hash: 2147483648,
      reason: 'share',
      extras: { mintedKey: 'kgaa79Mn', override: null },
    });
  });

  it('comes back in its cookie, and is the same key then', () => {
    const { hash, variant, extras } = anonymous.decide(view('/', { cookie: 'uid=kgaa79Mn' }));
    expect([hash, variant?.name, extras]).toEqual([2147483648, 'b', null]);
  });

  it('is not made for a request that has a key', () => {
    expect(anonymous.decide(view('/?token=abc'))).toMatchObject({ hash: 324500635, extras: null });
  });

  it('is made anew for an empty cookie', () => {
    expect(anonymous.decide(view('/', { cookie: 'uid=' })).extras?.mintedKey).toBe('kgaa79Mn');
  });

  it.each(['ranges', 'rendezvous'] as const)('leaves nobody without a key, by %s', (method) => {
    const rejecting = splitter([MINT], { method, missingKey: 'reject' });
    const names = Array.from({ length: 200 }, () => {
      const { variant, reason, extras } = rejecting.decide(view('/'));
      const again = rejecting.decide(view('/', { cookie: `uid=${extras?.mintedKey}` }));
      expect([reason, again.variant]).toEqual(['share', variant]);
      return variant?.name;
    });
    expect(new Set(names)).toEqual(new Set(['a', 'b']));
  });

  it('has 128 random bits and no byte that a cookie would have to quote', () => {
    const keys = Array.from({ length: 1000 }, makeRandomKey);
    expect(new Set(keys).size).toBe(1000);
    expect(keys.every((key) => /^[A-Za-z0-9_-]{22}$/.test(key))).toBe(true);
  });

  it('is explained as one, with the cookie as its source', () => {
    expect(anonymous.explain(view('/'))).toMatchObject({
      keySource: '$cookie_uid',
      key: 'kgaa79Mn',
      hash: 2147483648,
      isMinted: true,
    });
    expect(anonymous.explain(view('/', { cookie: 'uid=x' }))).toMatchObject({ key: 'x', isMinted: false });
  });
});

describe('the cookie of a minted key', () => {
  const cookie = (more: Partial<MintConfig>, headers: Record<string, string> = {}) =>
    cookieFor({ ...MINT, ...more }, 'KEY', view('/', headers));

  it('is HttpOnly and SameSite=Lax, with the path and age of the configuration', () => {
    expect(cookie({ cookie: 'who', path: '/shop', maxAge: 90_500 })).toBe(
      'who=KEY; Path=/shop; Max-Age=90; HttpOnly; SameSite=Lax',
    );
  });

  it.each([
    ['https', true],
    ['HTTPS', true],
    ['https, http', true],
    ['http', false],
    ['http, https', false],
    ['httpsx', false],
    ['', false],
  ])('auto: a request that came by "%s" gets Secure: %s', (proto, isSecure) => {
    expect(cookie({}, { 'x-forwarded-proto': proto }).endsWith('; Secure')).toBe(isSecure);
  });

  it('auto: a request that came over TLS itself gets Secure', () => {
    const request = new LibraryView({ url: '/', socket: { encrypted: true } as object });
    expect(cookieFor(MINT, 'KEY', request)).toMatch(/; Secure$/);
  });

  it('always and never do not ask', () => {
    expect(cookie({ secure: 'always' })).toMatch(/; Secure$/);
    expect(cookie({ secure: 'never' }, { 'x-forwarded-proto': 'https' })).not.toMatch(/Secure/);
  });
});

describe('what is told of the keys', () => {
  const key: KeyConfig = ['$arg_token', '${http_x_user}$remote_addr', MINT];

  it('is one line for people', () => {
    expect(describeKey(key)).toBe('$arg_token, else ${http_x_user}$remote_addr, else a minted $cookie_uid');
    expect(describeKey('$arg_token')).toBe('$arg_token');
  });

  it('is a key text for each of them', () => {
    expect(keyTexts(key)).toEqual(['$arg_token', '${http_x_user}$remote_addr', '$cookie_uid']);
  });

  it.each<[KeyConfig, string[]]>([
    ['$arg_token$uri$host$request_uri$args$request_method', []],
    [['$arg_token', '$HTTP_X_User'], ['x-user']],
    [
      ['$cookie_a', '${cookie_b}', '$http_cookie'],
      ['Cookie', 'Cookie', 'Cookie'],
    ],
    [[MINT], ['Cookie']],
    ['$remote_addr', ['*']],
    ['$http_host', []],
  ])('of %j a cache has to look at %j', (keys, fields) => {
    expect(fieldsOf(keys)).toEqual(fields);
  });
});

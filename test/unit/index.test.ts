// The library door: the same decision for plain objects and for requests of a real Node server, and one error that
// lists everything that is wrong with a configuration.
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseConfig } from '../../src/config/parse.ts';
import { createSplitter, type SplitOptions } from '../../src/index.ts';
import { LibraryView } from '../../src/split/request.ts';
import { Splitter } from '../../src/split/splitter.ts';

const half: SplitOptions = {
  variants: [
    { name: 'version_1a', share: '50%', upstream: 'http://backend' },
    { name: 'version_1b', share: '*', upstream: 'http://backend-experiment' },
  ],
};

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (cause) {
    expect(cause).toBeInstanceOf(TypeError);
    return (cause as TypeError).message;
  }
  throw new Error('nothing was thrown');
}

/** The request that a Node server makes of these bytes. */
async function received(bytes: string): Promise<IncomingMessage> {
  const server = createServer();
  const request = new Promise<IncomingMessage>((resolve) => {
    server.once('request', (message, response) => {
      response.end();
      resolve(message);
    });
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write(Buffer.from(bytes, 'latin1'));
  onTestFinished(() => {
    client.destroy();
    server.close();
  });
  return request;
}

describe('decide', () => {
  it('gives a client without a key one in a cookie, to be set by the caller', () => {
    const splitter = createSplitter({ ...half, key: ['$arg_token', { mint: 'uid', cookie: 'uid' }] });
    const first = splitter.decide({ url: '/' });
    const cookie = first.extras!.setCookie!.split(';')[0]!;
    const second = splitter.decide({ url: '/', headers: { cookie } });
    expect(second).toEqual({ ...first, extras: null });
  });

  it('takes an override, whose secret cannot stand in a file here', () => {
    const override = { header: 'x-v', variants: ['version_1b'], secret: 'correct-horse-battery' };
    const headers = { 'x-v': 'version_1b~correct-horse-battery' };
    const decision = createSplitter({ ...half, override }).decide({ url: '/?token=abc', headers });
    expect([decision.variant?.name, decision.reason]).toEqual(['version_1b', 'override']);
    const { secret: _, ...rest } = override;
    expect(messageOf(() => createSplitter({ ...half, override: { ...rest, secretFile: '/s' } }))).toMatch(
      /override\.secretFile: expected a secret /,
    );
  });

  it.each([
    ['/?token=abc', 'version_1a'],
    ['/?token=a', 'version_1b'],
    ['/', 'version_1b'],
  ])('%s goes to %s', (url, name) => {
    expect(createSplitter(half).decide({ url }).variant?.name).toBe(name);
  });

  it('gives the upstream back as it was written, and the name where there is none', () => {
    const splitter = createSplitter({
      variants: [
        { name: 'a', share: '50%', upstream: 'http://backend:8080' },
        { name: 'b', share: '25%', upstream: 'pool-b' },
        { name: 'c', share: '*' },
      ],
    });
    expect(splitter.variants.map(({ upstream }) => upstream)).toEqual(['http://backend:8080', 'pool-b', 'c']);
  });

  it('takes weights, rendezvous, and each policy for a missing key', () => {
    const variants = [
      { name: 'a', weight: 1 },
      { name: 'b', weight: 3 },
    ];
    const options: SplitOptions = {
      variants,
      key: 'exp:$cookie_uid',
      method: 'rendezvous',
      missingKey: 'random',
    };
    const splitter = createSplitter(options, () => 0.3);
    expect(splitter.variants.map(({ share }) => share)).toEqual([0.25, 0.75]);
    expect(splitter.decide({ headers: {} })).toMatchObject({ variant: { name: 'b' }, reason: 'missing_key' });
    expect(createSplitter({ ...options, missingKey: 'reject' }).decide({}).variant).toBeNull();
  });

  it('takes a request of a Node server as it is: raw bytes, repeated fields, address', async () => {
    const request = await received(
      'GET /?token=%e9 HTTP/1.1\r\nHost: h\r\nX-User: a\r\nCookie: b=1\r\nx-user: \xe9\xff\r\nCookie: uid=7\r\n\r\n',
    );
    const key = '$arg_token|$http_x_user|$http_cookie|$cookie_uid|$remote_addr|$request_method|$host';
    const { key: expanded } = createSplitter({ ...half, key }).explain(request);
    expect(expanded).toBe('%e9|a, \\xe9\\xff|b=1; uid=7|7|127.0.0.1|GET|h');
  });

  it('decides alike for a plain object and for the request of a Node server', async () => {
    const splitter = createSplitter(half);
    for (const url of ['/?token=abc', '/?TOKEN=a%62c', '/?token&token=%', 'http://h/?token=x']) {
      const request = await received(`GET ${url} HTTP/1.1\r\nHost: h\r\n\r\n`);
      expect(splitter.decide(request)).toEqual(splitter.decide({ url }));
    }
  });

  it('explains with the same words as the admin port', () => {
    expect(createSplitter(half).explain({ url: '/?token=abc' })).toMatchObject({
      key: 'abc',
      hash: 324500635,
      range: { from: 0, end: 2147483647 },
      variant: { name: 'version_1a' },
      reason: 'share',
    });
  });
});

describe('a configuration that cannot be used', () => {
  it('is one TypeError with every problem, by place, expectation and what came', () => {
    const options = {
      key: '$argtoken',
      method: 'range',
      missingkey: 'first',
      variants: [
        { name: 'a', share: '25.125%' },
        { name: 'a', share: '50%', upstream: 7 },
        { name: 'b c', share: '*' },
      ],
    } as unknown as SplitOptions;
    const [title, ...lines] = messageOf(() => createSplitter(options)).split('\n');
    expect(title).toBe('createSplitter: the split cannot be used');
    const expected = [
      /^ {2}key: expected .*did you mean "\$arg_token".*, got "\$argtoken"$/,
      /^ {2}method: expected .*rendezvous \(did you mean "ranges"\?\), got "range"$/,
      /^ {2}missingkey: expected .*did you mean "missingKey".*, got "missingkey"$/,
      /^ {2}variants\[0\]\.share: expected a percentage .*, got "25\.125%"$/,
      /^ {2}variants\[1\]\.name: expected .*, got "a" again$/,
      /^ {2}variants\[1\]\.upstream: expected .*, got 7$/,
      /^ {2}variants\[2\]\.name: expected .*, got "b c"$/,
    ];
    for (const pattern of expected) expect(lines.filter((line) => pattern.test(line))).toHaveLength(1);
    expect(lines).toHaveLength(expected.length);
  });

  it.each([
    [
      'shares of more than 100 %',
      [
        { name: 'a', share: '60%' },
        { name: 'b', share: '60%' },
      ],
      '120%',
    ],
    ['shares of less and no "*"', [{ name: 'a', share: '60%' }], '60%'],
    [
      'share and weight mixed',
      [
        { name: 'a', share: '60%' },
        { name: 'b', weight: 1 },
      ],
      '1 with weight',
    ],
    ['no variants', [], 'got []'],
    ['something else in place of a variant', [null], 'got null'],
  ])('%s', (_, variants, got) => {
    expect(messageOf(() => createSplitter({ variants } as SplitOptions))).toContain(got);
  });

  it.each([[undefined], [null], [7], ['text'], [[]], [{}]])('%j in place of a configuration', (value) => {
    expect(messageOf(() => createSplitter(value as unknown as SplitOptions))).toContain('expected');
  });
});

describe('the requests of other frameworks', () => {
  const byField = createSplitter({ key: '$http_x_user', missingKey: 'reject', variants: half.variants });
  const expected = byField.decide({ headers: { 'X-User': 'ada' } });
  const url = 'http://shop.example/?token=a#top';

  it.each([
    ['a Fetch Request', new Request(url, { headers: { 'x-user': 'ada' } })],
    ['Fetch Headers', { url, headers: new Headers({ 'X-User': 'ada' }) }],
    ['a Map', { url, headers: new Map([['X-User', 'ada']]) }],
    ['pairs', { url, headers: [['X-USER', 'ada']] as const }],
  ])('%s: its fields are read', (_, request) => {
    expect(expected.variant).not.toBeNull();
    expect(byField.decide(request)).toEqual(expected);
  });

  it('a Fetch Request has the cookies, the host and the query of its URL, without the fragment', () => {
    const request = new Request(url, { headers: { cookie: 'a=1; uid=ada' } });
    const keyOf = (key: string) => createSplitter({ ...half, key }).explain(request).key;
    expect(keyOf('$cookie_uid')).toBe('ada');
    expect(keyOf('$host')).toBe('shop.example');
    expect(keyOf('$arg_token')).toBe('a');
    expect(keyOf('$request_uri')).toBe('/?token=a');
  });

  it('an HTTP/2 request of node:http2 has its :authority for its host', () => {
    const request = { url: '/', rawHeaders: [':authority', 'shop.example:8443', 'x', 'y'] };
    expect(createSplitter({ ...half, key: '$host' }).explain(request).key).toBe('shop.example');
  });

  it('a router of Express that cut its mount path off the URL does not change the key', () => {
    const request = { url: '/x', originalUrl: '/sub/x' };
    expect(createSplitter({ ...half, key: '$uri' }).explain(request).key).toBe('/sub/x');
  });

  it.each([undefined, null, 'GET /'])('%s is no request: a TypeError says so', (nothing) => {
    const got = nothing === null ? 'null' : typeof nothing;
    expect(messageOf(() => createSplitter(half).decide(nothing as never))).toBe(
      `expected a request with url and headers, got ${got}`,
    );
  });

  it.each([
    ['Headers', new Headers({ 'x-user': 'ada' })],
    ['Map', new Map([['x-user', 'ada']])],
    ['Array', [['x-user', 'ada']]],
    ['URL', new URL('http://h/?token=a')],
    ['URLSearchParams', new URLSearchParams('token=a')],
  ])('%s alone is no request: a TypeError says so', (got, part) => {
    expect(messageOf(() => createSplitter(half).decide(part as never))).toBe(
      `expected a request with url and headers, got ${got}`,
    );
  });

  it('headers may be names and values in turn, or nothing at all', () => {
    const { explain } = createSplitter({ ...half, key: '$http_x_user' });
    expect(explain({ url: '/', headers: ['Host', 'h', 'X-User', 'ada'] as never }).key).toBe('ada');
    for (const headers of [null, undefined, []]) {
      expect(explain({ url: '/', headers: headers as never }).key).toBe('');
    }
  });
});

it('warnings list what is probably not meant, by the path inside the split', () => {
  const variants = [
    { name: 'a', share: '50%' },
    { name: 'b', share: '*' },
  ] as const;
  expect(createSplitter({ key: '$arg_token', variants }).warnings).toEqual([]);
  expect(createSplitter({ key: '$http_x-user', variants }).warnings).toEqual([
    'key: reads $http_x and then the text "-user", as nginx does; write $http_x_user for the longer name, or ${http_x}-user to keep it as it is',
  ]);
  expect(() => createSplitter({ key: 'token', variants })).toThrow(
    /key: expected a variable like \$arg_token/,
  );
});

describe('an experiment in the library', () => {
  const variants = [
    { name: 'a', share: '50%' },
    { name: 'b', share: '*' },
  ];
  const tokens = Array.from({ length: 500 }, (_, token) => ({ url: `/?token=${token}` }));

  it('enrols the same keys as a configuration file with a split of the same name', () => {
    const { config } = parseConfig(
      `{ splits: { s: { coverage: 20%, variants: [{ name: a, share: 50%, upstream: http://a }, { name: b, share: '*', upstream: http://b }] } } }`,
      'f.yaml',
    );
    const own = new Splitter('s', config!.splits.get('s')!);
    const splitter = createSplitter({ coverage: '20%', variants }, { name: 's' });
    for (const token of tokens) {
      expect(splitter.decide(token).reason).toBe(own.decide(new LibraryView(token)).reason);
    }
  });

  it('takes layers, conditions and a clock', () => {
    let now = Date.UTC(2026, 11, 1, 9) - 1;
    const splitter = createSplitter(
      {
        layer: 'l',
        slot: '30%-100%',
        coverage: { steps: [{ at: '2026-12-01T09:00Z', to: '100%' }] },
        when: { variable: '$uri', prefix: '/shop' },
        variants,
      },
      { layers: { l: { key: '$arg_token' } }, clock: () => now },
    );
    const reasons = (path: string) =>
      new Set(tokens.map(({ url }) => splitter.decide({ url: `${path}${url}` }).reason));
    expect(reasons('/blog')).toEqual(new Set(['not_targeted']));
    expect(reasons('/shop')).toEqual(new Set(['not_enrolled']));
    now += 1;
    expect(reasons('/shop')).toEqual(new Set(['share', 'not_enrolled']));
  });

  it('names a place of its options in a problem', () => {
    expect(() => createSplitter({ layer: 'l', slot: '0%-200%', variants }, { layers: { l: {} } })).toThrow(
      'slot: expected a part of 0%-100% of layer l (layers.l), got 0%-200%',
    );
  });
});

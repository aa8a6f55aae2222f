// What a YAML configuration becomes, and what each kind of bad input is answered with: all problems at once, each
// with its place, what was expected and what came.
import { describe, expect, it } from 'vitest';
import { URL_EXPECTED } from '../../../src/config/options/addresses.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { formatProblems } from '../../../src/config/problem.ts';
import { growth, LINEAR_MAX } from '../../support/growth.ts';

const good = (text: string) => {
  const outcome = parseConfig(text, 's.yaml');
  expect(outcome.problems === undefined ? [] : formatProblems(outcome.problems)).toEqual([]);
  return outcome.config!;
};

const bad = (text: string): string[] => {
  const outcome = parseConfig(text, 's.yaml');
  expect(outcome.config).toBeUndefined();
  return formatProblems(outcome.problems!);
};

const EXAMPLE = `listen: ":8000"
admin: ":9901"
splits:
  appversion:
    key: $arg_token
    method: ranges
    missingKey: default
    variants:
      - { name: version_1a, share: 50%, upstream: http://backend }
      - { name: version_1b, share: "*", upstream: http://backend-experiment }
`;

/** One split `s` with these variant lines, upstream `u` defined. */
const variants = (...lines: string[]) =>
  `upstreams: { u: { url: "http://u" } }\nsplits:\n  s:\n    variants:\n${lines.map((line) => `      - ${line}\n`).join('')}`;

describe('a good configuration', () => {
  it('gives inline URLs an upstream each, and sends everything to the only split', () => {
    const config = good(EXAMPLE);
    expect([...config.upstreams.keys()]).toEqual(['http://backend', 'http://backend-experiment']);
    expect(config.splits.get('appversion')!.variants.map(({ name, share }) => [name, share])).toEqual([
      ['version_1a', 5000],
      ['version_1b', null],
    ]);
    expect(config.routes).toEqual([{ path: '/', exact: false, beforePatterns: false, split: 'appversion' }]);
    expect(config.listen).toEqual([{ host: null, port: 8000, path: null }]);
    expect(config.hash).toMatch(/^[0-9a-f]{12}$/);
  });

  it('needs nothing but variants: every other option has its default', () => {
    const config = good('splits: { s: { variants: [{ name: a, share: "*", upstream: http://a }] } }');
    expect(config.upstreams.get('http://a')).toMatchObject({ connectTimeout: 2000, responseTimeout: 60_000 });
    expect(config.timeouts.requestHead).toBe(10_000);
    expect(config.drain).toEqual({ grace: 2000, deadline: 25_000 });
    expect(config.admin).toEqual({ host: null, port: 9901, path: null });
  });

  it('lays upstreamDefaults under every upstream, named or inline, and its own settings over them', () => {
    const config = good(`
upstreamDefaults: { connectTimeout: 300ms, pool: { maxConnections: 7, idleTimeout: 1s } }
upstreams:
  plain: { url: http://plain }
  own: { url: http://own, connectTimeout: 5s, pool: { maxConnections: 9 } }
routes:
  - { path: /a, upstream: plain }
  - { path: /b, upstream: own }
  - { path: /, upstream: http://inline }
`);
    const seen = [...config.upstreams].map(([name, upstream]) => [
      name,
      upstream.connectTimeout,
      upstream.pool.maxConnections,
      upstream.pool.idleTimeout,
      upstream.pool.queueTimeout,
    ]);
    expect(seen).toEqual([
      ['plain', 300, 7, 1000, 5000],
      ['own', 5000, 9, 1000, 5000],
      ['http://inline', 300, 7, 1000, 5000],
    ]);
  });

  it('gives every upstream the fallback of upstreamDefaults, but not itself', () => {
    const config = good(`
upstreamDefaults: { onDown: { fallback: http://rest } }
routes: [{ upstream: http://a }, { path: /b, upstream: http://b }]
`);
    expect([...config.upstreams].map(([name, { onDown }]) => [name, onDown])).toEqual([
      ['http://a', 'http://rest'],
      ['http://b', 'http://rest'],
      ['http://rest', null],
    ]);
  });

  it('takes anchors, merge keys and top-level x- keys as a place for them', () => {
    const config = good(`
x-calm: &calm { connectTimeout: 9s }
upstreams:
  a: { <<: *calm, url: http://a }
  b: { <<: [*calm], url: http://b, connectTimeout: 1s }
routes: [{ path: /, upstream: a }, { path: /b, upstream: b }]
`);
    expect([...config.upstreams.values()].map((upstream) => upstream.connectTimeout)).toEqual([9000, 1000]);
  });

  it.each([
    ['shares that reach 100% without "*"', ['share: 33.33%', 'share: 66.67%']],
    ['a parked variant', ['share: 0%', 'share: "*"']],
    ['"*" behind shares of 100%', ['share: 100%', 'share: "*"']],
    ['the smallest share', ['share: 0.01%', 'share: 99.99%']],
    ['weights by ratio, one of them 0', ['weight: 3', 'weight: 0']],
  ])('accepts %s', (_what, shares) => {
    const lines = shares.map((share, index) => `{ name: v${index}, ${share}, upstream: u }`);
    expect(good(variants(...lines)).splits.get('s')!.variants).toHaveLength(2);
  });

  it('lets "*" stand anywhere for rendezvous, where order means nothing', () => {
    good(`splits:
  s:
    method: rendezvous
    variants:
      - { name: a, share: "*", upstream: http://a }
      - { name: b, share: 10%, upstream: http://b }
`);
  });

  it('takes a list of addresses, a Unix socket, IPv6, and an admin port that is off', () => {
    const config = good(
      `listen: ["127.0.0.1:8000", "[::1]:8000", "unix:/run/s.sock"]\nadmin: off\n${EXAMPLE.slice(EXAMPLE.indexOf('splits'))}`,
    );
    expect(config.listen.map(({ host, port, path }) => [host, port, path])).toEqual([
      ['127.0.0.1', 8000, null],
      ['::1', 8000, null],
      [null, 0, '/run/s.sock'],
    ]);
    expect(config.admin).toBeNull();
  });

  it('is read the same from JSON, from Windows line ends and behind a byte order mark', () => {
    const hash = good(EXAMPLE).hash;
    expect(good(EXAMPLE.replaceAll('\n', '\r\n')).hash).toBe(hash);
    expect(good(`\ufeff${EXAMPLE}`).hash).toBe(hash);
  });
});

describe('the hash of a configuration', () => {
  it('does not depend on comments, spelling or the order of maps', () => {
    const again = `# moved\nadmin: ":9901"\n${EXAMPLE.replace('admin: ":9901"\n', '')}drain: { grace: 2000ms }\n`;
    expect(good(again).hash).toBe(good(EXAMPLE).hash);
  });

  it('changes with a share, and with the order of the variants', () => {
    const lines = EXAMPLE.split('\n');
    const two = variants('{ name: a, share: 50%, upstream: u }', '{ name: b, share: 50%, upstream: u }');
    const swapped = variants('{ name: b, share: 50%, upstream: u }', '{ name: a, share: 50%, upstream: u }');
    expect(good(lines.join('\n').replace('50%', '50.01%')).hash).not.toBe(good(EXAMPLE).hash);
    expect(good(two).hash).not.toBe(good(swapped).hash);
  });
});

describe('a text that is no configuration gets one clear problem', () => {
  it.each([
    ['an empty file', '', 's.yaml:1:1: expected a configuration with listen, splits, …, got an empty file'],
    [
      'only comments',
      '# later\n',
      's.yaml:1:1: expected a configuration with listen, splits, …, got an empty file',
    ],
    [
      'binary garbage',
      'ab\n\x7fELF\x02\0',
      's.yaml:2:1: expected YAML text in UTF-8, got binary data (the byte 0x7f)',
    ],
    [
      'bytes that are no UTF-8',
      'a: \ufffd',
      's.yaml:1:4: expected YAML text in UTF-8, got binary data (no UTF-8)',
    ],
    [
      '10 MiB',
      'x: y\n'.repeat(2 * 1024 * 1024),
      's.yaml: expected a configuration of at most 1 MiB, got 10.0 MiB',
    ],
    ['a list', '- a\n', 's.yaml:1:1: expected a map of options like listen: and splits:, got a list'],
    ['a text', 'hello', 's.yaml:1:1: expected a map of options like listen: and splits:, got 5 characters'],
    ['two documents', 'a: 1\n---\nb: 2\n', 's.yaml:2:1: expected one YAML document, got several'],
    [
      'a thousand open brackets',
      '['.repeat(100_000),
      's.yaml:1:1: expected a document that is a few levels deep, got thousands of nested brackets',
    ],
    [
      'a thousand list items that begin on one line',
      '- '.repeat(100_000),
      's.yaml:1:1: expected a document that is a few levels deep, got thousands of nested brackets',
    ],
    [
      'an alias inside itself',
      'x: &x [*x]',
      's.yaml:1:1: expected 200000 values at most, after aliases are expanded, got an alias inside its own anchor',
    ],
    [
      'a merge key of a text',
      'a: { <<: b }',
      's.yaml:1:6: expected an alias of a map after the merge key "<<", or a list of them, got 1 character',
    ],
    [
      'an alias without an anchor',
      'a: *gone',
      's.yaml:1:4: expected an anchor &gone before its alias; a literal "*" must be in quotes, got "*gone"',
    ],
  ])('%s', (_what, text, line) => {
    expect(bad(text)).toEqual([line]);
  });

  it.each([
    ['limits: !!set { connections }', 's.yaml:1:15: expected a value without a tag, got "!!set"'],
    ['timeouts: !!omap [ idle: 5s ]', 's.yaml:1:18: expected a value without a tag, got "!!omap"'],
    ['listen: !address ":80"', 's.yaml:1:18: expected a value without a tag, got "!address"'],
    ['listen: ":80\\"', 's.yaml:1:9: expected a quote that closes the text, got 6 characters without it'],
    ['? [listen]\n: ":80"', 's.yaml:1:3: expected a text as the key, got a list'],
    ['x-a: 1\n"x-a": 2', 's.yaml:2:1: expected each key once in a map, got "x-a" again'],
    ['x-a: { 1: a, "1": b }', 's.yaml:1:14: expected each key once in a map, got "1" again'],
  ])('%s', (text, problem) => {
    expect(bad(text)).toEqual([problem]);
  });

  it.each([
    [
      'setHeaders',
      'upstreams: { u: { url: "http://u", setHeaders: { __proto__: x } } }\nroutes: [{ upstream: u }]',
    ],
    [
      'setHeaders of all',
      'upstreamDefaults: { setHeaders: { "__proto__": x } }\nupstreams: { u: { url: "http://u" } }\nroutes: [{ upstream: u }]',
    ],
  ])('the name __proto__ in %s is no silent gap', (_, text) => {
    expect(bad(text)).toEqual([
      expect.stringMatching(/setHeaders\.__proto__: expected another name, got "__proto__"$/),
    ]);
  });

  it('a quote whose last character is a whole escape is closed', () => {
    expect(bad('listen: "\\\\"')).toContainEqual(expect.stringMatching(/^s.yaml:1:9 listen: expected/));
  });

  it('an alias bomb is refused before it is expanded', () => {
    const levels = 'abcdefghij'.split('');
    const bomb = levels.map((name, index) => {
      const below = index === 0 ? 'x' : `*${levels[index - 1]}`;
      return `${name}: &${name} [${Array(10).fill(below).join(', ')}]\n`;
    });
    expect(bad(bomb.join(''))).toEqual([
      's.yaml:1:1: expected 200000 values at most, after aliases are expanded, got billions of values',
    ]);
  });

  it('a wide list that is used thousands of times is refused by its expanded size', () => {
    const wide = `x-wide: &wide [${'1, '.repeat(1000)}1]\nx-uses: [${'*wide, '.repeat(1000)}*wide]\n`;
    expect(bad(wide)).toEqual([
      's.yaml:1:1: expected 200000 values at most, after aliases are expanded, got 1004006 values',
    ]);
  });

  it('bounds the fields that upstreams inherit', () => {
    const list = (count: number, line: (n: number) => string) =>
      Array.from({ length: count }, (_, n) => line(n));
    const text = [
      'upstreamDefaults:',
      '  setHeaders:',
      ...list(100, (n) => `    x-${n}: v`),
      'upstreams:',
      ...list(2001, (n) => `  u${n}: { url: "http://h${n}" }`),
      'routes: [{ path: /, upstream: u0 }]',
    ].join('\n');
    expect(bad(text)).toEqual([
      's.yaml:2:3 upstreamDefaults.setHeaders: expected at most 200000 fields that all upstreams set together, inherited ones included, got 200100 fields',
    ]);
  });
});

describe('a slip in the YAML is told with its line and what stands there', () => {
  it.each([
    [
      'a * without quotes',
      'share: *\n',
      [
        's.yaml:1:8: expected the name of an anchor after *; the share of the rest is written "*", in quotes, got "share: *"',
      ],
    ],
    [
      'a key twice',
      'via: true\nvia: false\n',
      ['s.yaml:2:1: expected each key once in a map, got "via" again'],
    ],
    [
      'a tab as indentation',
      'drain:\n\tgrace: 1s\n',
      ['s.yaml:2:1: expected spaces for indentation, got a tab in "grace: 1s"'],
    ],
    [
      'an open quote',
      'listen: ":8000\n',
      [expect.stringMatching(/^s\.yaml:\d+:\d+: expected valid YAML, got /)],
    ],
  ])('%s', (_what, text, lines) => {
    expect(bad(text).slice(0, 1)).toEqual(lines);
  });

  it('a file in another language gives a handful of lines, not one for each of its own', () => {
    expect(bad('server {\n  listen 80;\n}\n'.repeat(200)).length).toBeLessThanOrEqual(5);
  });
});

const A = '{ name: a, share: 50%, upstream: u }';
const REST = '{ name: rest, share: "*", upstream: u }';

describe('each kind of mistake is answered with its place, what was expected and what came', () => {
  it.each<[string, string, string[]]>([
    [
      'an unknown key with a near miss',
      `lisen: ":1"\n${variants(A, REST)}`,
      ['s.yaml:1:1 lisen: expected a known option (did you mean "listen"?), got "lisen"'],
    ],
    [
      'a known key in the wrong map',
      `${variants(A, REST)}requestHead: 1s\n`,
      [
        's.yaml:7:1 requestHead: expected a known option (timeouts.requestHead or limits.requestHead?), got "requestHead"',
      ],
    ],
    [
      'an unknown key that resembles nothing',
      `${variants(A, REST)}drain: { zzzzzzzz: 1 }\n`,
      ['s.yaml:7:10 drain.zzzzzzzz: expected one of grace, deadline, got "zzzzzzzz"'],
    ],
    [
      'a share of 25.125%',
      variants('{ name: a, share: 25.125%, upstream: u }', REST),
      [
        's.yaml:5:27 splits.s.variants[0].share: expected a percentage from 0% to 100% with two decimals at most, or "*" for the rest, got "25.125%"',
      ],
    ],
    [
      'a share without its percent sign',
      variants('{ name: a, share: 50, upstream: u }', REST),
      [
        's.yaml:5:27 splits.s.variants[0].share: expected a percentage from 0% to 100% with two decimals at most, or "*" for the rest (did you mean "50%"?), got 50',
      ],
    ],
    [
      'shares over 100 %',
      variants('{ name: a, share: 60%, upstream: u }', '{ name: b, share: 50%, upstream: u }'),
      ['s.yaml:4:5 splits.s.variants: expected shares of at most 100% together, got 110%'],
    ],
    [
      'shares under 100 % and no "*"',
      variants('{ name: b, share: 33.33%, upstream: u }', A),
      [
        's.yaml:4:5 splits.s.variants: expected shares of 100% together, or a last variant with share "*", got 83.33%',
      ],
    ],
    [
      'two "*"',
      variants('{ name: a, share: "*", upstream: u }', REST),
      [
        's.yaml:6:30 splits.s.variants[1].share: expected a single variant that takes the rest, got "*" again',
      ],
    ],
    [
      '"*" that is not last',
      variants(REST, A),
      [
        's.yaml:5:30 splits.s.variants[0].share: expected the variant that takes the rest as the last one, because ranges follow the order of the list, got "*" at 1 of 2',
      ],
    ],
    [
      'a duplicate name',
      variants(A, '{ name: a, share: "*", upstream: u }'),
      ['s.yaml:6:17 splits.s.variants[1].name: expected each name once in a split, got "a" again'],
    ],
    [
      'share and weight mixed',
      variants(A, '{ name: b, weight: 2, upstream: u }', REST),
      [
        's.yaml:6:9 splits.s.variants[1]: expected share for all variants of a split, or weight for all of them, got 2 with share and 1 with weight',
      ],
    ],
    [
      'weights that are all 0',
      variants('{ name: a, weight: 0, upstream: u }', '{ name: b, weight: 0, upstream: u }'),
      ['s.yaml:4:5 splits.s.variants: expected at least one weight above 0, got only zeros'],
    ],
    [
      'a variant without a share',
      variants('{ name: a, upstream: u }', REST),
      [
        's.yaml:5:9 splits.s.variants[0]: expected share, a percentage from 0% to 100% with two decimals at most, or "*" for the rest, got nothing',
      ],
    ],
    [
      'an upstream that nobody defined',
      `upstreams: { backend: { url: http://b } }\nsplits: { s: { variants: [{ name: a, share: "*", upstream: bakcend }] } }`,
      [
        's.yaml:2:60 splits.s.variants[0].upstream: expected the name of an entry in upstreams, or a URL like http://backend:8080 (did you mean "backend"?), got "bakcend"',
      ],
    ],
    [
      'a host and port without http://',
      variants('{ name: a, share: "*", upstream: backend:8080 }'),
      [
        's.yaml:5:42 splits.s.variants[0].upstream: expected the name of an entry in upstreams, or a URL like http://backend:8080 (did you mean "http://backend:8080"?), got "backend:8080"',
      ],
    ],
    [
      'a URL with a path',
      variants('{ name: a, share: "*", upstream: "http://b/x" }'),
      [
        's.yaml:5:42 splits.s.variants[0].upstream: expected a URL like http://backend:8080, https://backend or unix:/run/app.sock, without a path, got "http://b/x"',
      ],
    ],
    [
      'a bad key text, at its own character',
      `splits: { s: { key: "x:$bad", variants: [{ name: a, share: "*", upstream: http://u }] } }`,
      [
        's.yaml:1:24 splits.s.key: expected a variable of $arg_NAME $http_NAME $cookie_NAME $remote_addr $host $uri $request_uri $request_method $args, got "$bad"',
      ],
    ],
    [
      'a duration without a unit',
      `${variants(A, REST)}timeouts: { idle: 75 }\n`,
      [
        's.yaml:7:19 timeouts.idle: expected a duration from 10ms to 24h like 250ms, 5s or 1m (did you mean "75s"?), got 75',
      ],
    ],
    [
      'no split and no route',
      'listen: ":8000"\n',
      ['s.yaml:1:1 splits: expected at least one split, or routes to upstreams, got none'],
    ],
    [
      'several splits without routes',
      `${variants(A, REST)}  t: { variants: [${REST}] }\n`,
      [
        's.yaml:2:1 splits: expected routes that say which split serves which request, because there are several splits, got splits s, t and no routes',
      ],
    ],
    [
      'a route to an unknown split',
      `${variants(A, REST)}routes: [{ split: z }]\n`,
      ['s.yaml:7:19 routes[0].split: expected the name of a split (did you mean "s"?), got "z"'],
    ],
    [
      'a route to nothing',
      `${variants(A, REST)}routes: [{ path: /x }]\n`,
      ['s.yaml:7:10 routes[0]: expected one of split, upstream and respond, got none of them'],
    ],
    [
      'a route to a split and an upstream',
      `${variants(A, REST)}routes: [{ split: s, upstream: u }]\n`,
      ['s.yaml:7:10 routes[0]: expected one of split, upstream and respond, got 2 of them'],
    ],
    [
      'an address of a route on which nobody listens, and a path with dots',
      `listen: ":8000"\n${variants(A, REST)}routes: [{ listen: ":8001", split: s }, { path: /a/../b, split: s }]\n`,
      [
        's.yaml:8:20 routes[0].listen: expected one of the addresses in listen, got ":8001"',
        's.yaml:8:49 routes[1].path: expected a path like /api/, as it is once decoded: without "?", "//", "/./" and "/../", got "/a/../b"',
      ],
    ],
    [
      'the same route by prefix, exactly, and on an address',
      `listen: [":8000", "*:8001"]\n${variants(A, REST)}routes: [{ split: s }, { exact: true, split: s }, { listen: ":8001", split: s }, { listen: "*:8001", split: s }]\n`,
      ['s.yaml:8:82 routes[3]: expected each host and path once, got every host / again'],
    ],
    [
      'an upstream without a place, with two, and with servers that are all down',
      'upstreams:\n  a: { host: h }\n  b: { url: "http://b", servers: [{ url: "http://c" }] }\n  c: { servers: [{ url: "http://c", down: true }] }\nroutes: [{ upstream: a }]\n',
      [
        `s.yaml:2:3 upstreams.a.url: expected ${URL_EXPECTED}, or servers, got nothing`,
        's.yaml:3:3 upstreams.b: expected either url or servers, got both',
        's.yaml:4:8 upstreams.c.servers: expected a server that is not down, got none',
      ],
    ],
    [
      'fields that cannot be set',
      'variantHeader: { name: X-Arm }\nrequestId: true\nupstreamDefaults: { setHeaders: { X-Request-Id: "1" } }\nupstreams:\n  a: { url: "http://a", setHeaders: { Host: h, x-arm: "1", X-A: "1", x-a: "2", "b c": "3", X-B: 4 } }\nroutes: [{ upstream: a }]\n',
      [
        's.yaml:3:35 upstreamDefaults.setHeaders.X-Request-Id: expected a field that variantHeader, requestId and traceparent do not set, got "X-Request-Id"',
        's.yaml:5:39 upstreams.a.setHeaders.Host: expected the name of a field that is not about the connection or the length of the message (Host is set by host), got "Host"',
        's.yaml:5:48 upstreams.a.setHeaders.x-arm: expected a field that variantHeader, requestId and traceparent do not set, got "x-arm"',
        's.yaml:5:70 upstreams.a.setHeaders.x-a: expected each field once, got "x-a" again',
        's.yaml:5:80 upstreams.a.setHeaders["b c"]: expected the name of a field that is not about the connection or the length of the message (Host is set by host), got "b c"',
        's.yaml:5:97 upstreams.a.setHeaders.X-B: expected a text like "$remote_addr" or "shop $host" without control characters, 4096 characters at most, got a number',
      ],
    ],
    [
      'servers that cannot be',
      'upstreams:\n  a: { servers: [{ url: "http://a/x", weight: 0 }, { url: "http://b", weigth: 1, eject: { time: 2m } }, { backup: yes }] }\nroutes: [{ upstream: a }]\n',
      [
        `s.yaml:2:25 upstreams.a.servers[0].url: expected ${URL_EXPECTED}, got "http://a/x"`,
        's.yaml:2:47 upstreams.a.servers[0].weight: expected a whole number from 1 to 1000, got 0',
        's.yaml:2:71 upstreams.a.servers[1].weigth: expected a known option (did you mean "weight"?), got "weigth"',
        `s.yaml:2:105 upstreams.a.servers[2].url: expected ${URL_EXPECTED}, got nothing`,
        's.yaml:2:115 upstreams.a.servers[2].backup: expected true or false (did you mean true?), got "yes"',
      ],
    ],
    [
      'a route twice',
      `${variants(A, REST)}routes: [{ host: A.b, split: s }, { host: a.b, upstream: u }]\n`,
      ['s.yaml:7:35 routes[1]: expected each host and path once, got a.b / again'],
    ],
    [
      'an address twice',
      `listen: [":8000", ":8000"]\nadmin: ":8000"\n${variants(A, REST)}`,
      [
        's.yaml:1:19 listen[1]: expected each address once, got ":8000"',
        's.yaml:2:8 admin: expected an address that listen does not use, got ":8000"',
      ],
    ],
    [
      'h2c among the upgrades',
      `${variants(A, REST)}upgrades: [websocket, h2c]\n`,
      ['s.yaml:7:1 upgrades: expected protocols other than h2c, got ["websocket","h2c"]'],
    ],
    [
      'a fallback that nobody defined',
      'upstreams: { u: { url: "http://u", onDown: { fallback: v } } }\nroutes: [{ upstream: u }]\n',
      [
        's.yaml:1:56 upstreams.u.onDown.fallback: expected the name of an entry in upstreams, or a URL like http://backend:8080 (did you mean "u"?), got "v"',
      ],
    ],
    [
      'an upstream that falls back to itself',
      'upstreams: { w: { url: "http://w", onDown: { fallback: w } } }\nroutes: [{ upstream: w }]\n',
      ['s.yaml:1:56 upstreams.w.onDown.fallback: expected another upstream, got "w" itself'],
    ],
    [
      'TLS options that do not go together',
      'upstreams: { a: { url: "http://a", tls: { caFile: /c } }, b: { url: "https://b", tls: { certFile: /c } } }\nroutes: [{ upstream: a }]\n',
      [
        's.yaml:1:36 upstreams.a.tls: expected tls only if the URL is https://, got "http://a"',
        's.yaml:1:99 upstreams.b.tls.certFile: expected certFile and keyFile together, got certFile alone',
      ],
    ],
    [
      'an ejection longer than its limit',
      'upstreamDefaults: { eject: { time: 2m } }\nroutes: [{ upstream: http://a }]\n',
      ['s.yaml:1:36 upstreamDefaults.eject.time: expected at most timeMax, 60000ms, got 120000ms'],
    ],
    [
      'pipelining without the retry that keeps one failure from being that of others',
      'upstreamDefaults: { pool: { pipelining: 4 } }\nupstreams: { a: { url: "http://a", retry: { attempts: 0 } } }\nroutes: [{ upstream: a }]\n',
      [
        's.yaml:2:55 upstreams.a.retry.attempts: expected retry.attempts: 1 if pool.pipelining is above 1, because its exchanges are lost together, got 0',
      ],
    ],
    [
      'a name that JavaScript keeps for itself',
      'upstreams: { __proto__: { url: http://u } }\nroutes: [{ upstream: __proto__ }]\n',
      ['s.yaml:1:14 upstreams.__proto__: expected another name, got "__proto__"'],
    ],
  ])('%s', (_what, text, lines) => {
    expect(bad(text)).toEqual(lines);
  });

  it('a mistake in upstreamDefaults is told once, where it stands, however many upstreams take it', () => {
    const text = `upstreamDefaults: { connectTimeout: 0s, poool: {} }
upstreams: { a: { url: http://a }, b: { url: http://b } }
routes: [{ upstream: a }, { path: /b, upstream: b }, { path: /c, upstream: http://c }]
`;
    expect(bad(text)).toEqual([
      's.yaml:1:37 upstreamDefaults.connectTimeout: expected a duration from 1ms to 10m like 250ms, 5s or 1m, got "0s"',
      's.yaml:1:41 upstreamDefaults.poool: expected a known option (did you mean "pool"?), got "poool"',
    ]);
  });

  it('a mistake that came in by an anchor is told where the anchor stands', () => {
    const text = `x-a: &a { connectTimeout: never }
upstreams: { u: { <<: *a, url: http://u } }
routes: [{ upstream: u }]
`;
    expect(bad(text)).toEqual([
      's.yaml:1:27 upstreams.u.connectTimeout: expected a duration from 1ms to 10m like 250ms, 5s or 1m, got "never"',
    ]);
  });

  it('mistakes of every layer come together, in the order of the file', () => {
    const text = `listen: 8000
splits:
  s:
    key: $bad
    variants:
      - { name: a, share: 80%, upstream: nobody }
      - { name: a, share: 30%, upstraem: u }
routes: [{ split: t }]
`;
    expect(bad(text).map((line) => line.replace(/: expected.*/, ''))).toEqual([
      's.yaml:1:9 listen',
      's.yaml:4:10 splits.s.key',
      's.yaml:5:5 splits.s.variants',
      's.yaml:6:42 splits.s.variants[0].upstream',
      's.yaml:7:9 splits.s.variants[1].upstream',
      's.yaml:7:17 splits.s.variants[1].name',
      's.yaml:7:32 splits.s.variants[1].upstraem',
      's.yaml:8:19 routes[0].split',
    ]);
  });

  it('what was received is cut to 60 characters', () => {
    const [line] = bad(`listen: "${'x'.repeat(500)}"\n${variants(A, REST)}`);
    expect(line).toMatch(/, got "x{59}…"$/);
  });

  it('more than fifty mistakes are counted, not listed', () => {
    const lines = Array.from({ length: 80 }, (_, index) => `{ name: v${index}, share: 1, upstream: u }`);
    const all = bad(variants(...lines));
    expect(all).toHaveLength(51);
    expect(all.at(-1)).toBe('… and 30 more problems');
  });
});

describe('a text of any kind is read in a time that grows with its length', () => {
  const repeat = (count: number, line: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => line(i)).join('');
  const base =
    'splits: { s: { variants: [{ name: a, share: 50%, upstream: "http://u" }, { name: b, share: "*", upstream: "http://u" }] } }\n';
  const names = (count: number) => repeat(count, (i) => `  backend-number-${i}: { url: "http://b${i}" }\n`);
  // Each took half a minute or more, at thirty-two times this size, when every alias, key or name was compared with all others.
  it.each<[what: string, size: number, textOf: (size: number) => string]>([
    ['aliases of one anchor', 2000, (n) => `x-a: &a 1\nx-b: [${repeat(n, () => '*a,')}1]\n${base}`],
    [
      'anchors with an alias each',
      600,
      (n) =>
        `x-b: [${repeat(n, (i) => `&a${i} 1,`)}1]\nx-c: [${repeat(n, (i) => `*a${n - 1 - i},`)}1]\n${base}`,
    ],
    ['open brackets', 30_000, (n) => '['.repeat(n)],
    ['open braces with keys', 6000, (n) => '{"a":'.repeat(n)],
    ['items on one line', 15_000, (n) => '- '.repeat(n)],
    ['a long line of dashes in a comment', 60_000, (n) => `# ${'-'.repeat(n)}\n${base}`],
    ['merge keys', 600, (n) => `x-m: &m { a: 1 }\nx-n: [${repeat(n, () => '{<<: *m},')}1]\n${base}`],
    [
      'merge keys of a wide map',
      20,
      (n) =>
        `x-m: &m {${repeat(1500, (i) => `k${i}: 1,`)}}\nx-n: [${repeat(n, () => '{<<: *m},')}1]\n${base}`,
    ],
    ['keys of one map', 1500, (n) => base + repeat(n, (i) => `x-k${i}: 1\n`)],
    ['unknown keys', 1250, (n) => base + repeat(n, (i) => `key${i}: 1\n`)],
    [
      'misspelt upstreams',
      250,
      (n) =>
        `upstreams:\n${names(n)}routes:\n${repeat(n, (i) => `  - { path: /p${i}, upstream: bakcend-numbr-${i} }\n`)}`,
    ],
    [
      'misspelt variants of an override',
      100,
      (n) =>
        `splits:\n  s:\n    override: { header: x-v, secret: 0123456789abcdef, variants: [${repeat(n, (i) => `zz-nope-with-a-long-name-${i},`)}] }\n    variants:\n${repeat(n, (i) => `      - { name: v-some-long-name-here-${i}, weight: 1, upstream: "http://x" }\n`)}`,
    ],
    [
      'routes',
      300,
      (n) => `${base}routes:\n${repeat(n, (i) => `  - { host: h${i}.example, path: /p${i}, split: s }\n`)}`,
    ],
  ])('%s', (_, size, textOf) => {
    expect(growth((n) => parseConfig(textOf(n), 's.yaml'), size)).toBeLessThan(LINEAR_MAX);
  });
});

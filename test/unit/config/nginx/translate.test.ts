// An nginx.conf as it is: what its syntax means, what it becomes, what is left out, what cannot be kept.
import { describe, expect, it } from 'vitest';
import { type Directive, readDirectives } from '../../../../src/config/nginx/syntax.ts';
import { parseNginx } from '../../../../src/config/nginx/translate.ts';
import { formatProblems } from '../../../../src/config/problem.ts';
import { growth, LINEAR_MAX } from '../../../support/growth.ts';

const SECTION_1 = `split_clients $arg_token $appversion { 50% version_1a; * version_1b; }
server { listen 8000; location / { proxy_set_header Host $host; proxy_pass http://$appversion; } }
`;

type Files = Record<string, string>;

const run = (text: string, files: Files = {}) => {
  const outcome = parseNginx(text, 'nginx.conf', {
    readInclude: (pattern) => {
      if (files[pattern] !== undefined) return [{ file: pattern, text: files[pattern] }];
      return pattern.includes('*') ? [] : { got: 'no such file' };
    },
  });
  return {
    config: outcome.config,
    problems: formatProblems(outcome.problems ?? []),
    notes: outcome.translation?.notes,
    document: outcome.translation?.document,
    files: outcome.translation?.files,
  };
};

const good = (text: string, files: Files = {}) => {
  const outcome = run(text, files);
  expect(outcome.problems).toEqual([]);
  return { ...outcome, config: outcome.config!, document: outcome.document!, notes: outcome.notes! };
};

/** A file that asks upstream `a` at every path, with these directives in its http, server and location. */
const asking = ({ http = '', server = '', location = '' }) =>
  `http { ${http} server { listen 80; ${server} location / { proxy_pass http://a; ${location} } } }`;

describe('the syntax', () => {
  const show = (directives: readonly Directive[]): unknown =>
    directives.map(({ name, words, block }) => [
      name.text,
      ...words.map(({ text }) => text),
      ...(block ? [show(block)] : []),
    ]);
  const read = (text: string, files: Files = {}) =>
    readDirectives(text, 'n.conf', (pattern) =>
      files[pattern] === undefined ? { got: 'no such file' } : [{ file: pattern, text: files[pattern] }],
    );

  it.each<[string, string, unknown]>([
    [
      'spaces that are none to nginx as letters',
      'a b\u00a0c\v; \u00a0 d;',
      [
        ['a', 'b\u00a0c\v'],
        ['\u00a0', 'd'],
      ],
    ],
    [
      'words and blocks',
      'a b c; d { e f; g { } }',
      [
        ['a', 'b', 'c'],
        [
          'd',
          [
            ['e', 'f'],
            ['g', []],
          ],
        ],
      ],
    ],
    [
      'comments',
      '# one\na b; # two ; { \nc#d e;',
      [
        ['a', 'b'],
        ['c#d', 'e'],
      ],
    ],
    ['quotes', `a "b c" 'd "e"' "";`, [['a', 'b c', 'd "e"', '']]],
    ['a variable in braces inside a word', 'a ${b}c{d;}', [['a', '${b}c', [['d']]]]],
    ['words over lines', 'a\n  b\r\n\tc\n;', [['a', 'b', 'c']]],
    ['a closing brace inside a word', 'a b};', [['a', 'b}']]],
    ['a byte order mark', '\ufeffa b;', [['a', 'b']]],
  ])('%s', (_what, text, tree) => {
    const { directives, problems } = read(text);
    expect(problems).toEqual([]);
    expect(show(directives)).toEqual(tree);
  });

  it('undoes the escapes that nginx undoes and leaves the others', () => {
    expect(show(read(String.raw`a "\"x\"" '\'' \d \\ "\t" "\$";`).directives)).toEqual([
      ['a', '"x"', "'", '\\d', '\\', '\t', '\\$'],
    ]);
  });

  it('puts the directives of an included file in the place of the include, with their own positions', () => {
    const { directives, files } = read('a { include b.conf; c; }', { 'b.conf': '\n  x y;' });
    expect(show(directives)).toEqual([['a', [['x', 'y'], ['c']]]]);
    expect(directives[0]!.block![0]!.name).toMatchObject({ file: 'b.conf', line: 2, column: 3 });
    expect(files).toEqual(['n.conf', 'b.conf']);
  });

  it.each<[string, string, string]>([
    [
      'a missing semicolon',
      'a { b c }',
      'n.conf:1:5: expected ";" at the end of a directive, got "b" and "}"',
    ],
    [
      'a missing semicolon at the end',
      'a;\nb c',
      'n.conf:2:1: expected ";" at the end of a directive, got "b" and the end of the file',
    ],
    [
      'a missing brace',
      'a {\n b { c; }\n',
      'n.conf:1:1: expected "}" at the end of the block, got the end of the file',
    ],
    ['a brace too many', 'a { } }', 'n.conf:1:7: expected a directive, got "}" without its "{"'],
    ['a lonely semicolon', 'a;;', 'n.conf:1:3: expected a directive before ";", got ";"'],
    ['an open quote', 'a "b;\nc;', 'n.conf:1:3: expected a closing ", got the end of the file'],
    [
      'text behind a quote',
      'a "b"c;',
      'n.conf:1:6: expected a space, ";" or "{" after a quoted word, got "c"',
    ],
    [
      'an include of nothing',
      'include gone.conf;',
      'n.conf:1:9: expected a file that can be read, got "gone.conf": no such file',
    ],
  ])('tells %s with its place', (_what, text, line) => {
    expect(formatProblems(read(text).problems)).toEqual([line]);
  });

  it('ends an include of itself, and blocks without end, with a problem', () => {
    expect(formatProblems(read('include a;', { a: 'include a;' }).problems)[0]).toMatch(
      /expected includes of 16 levels/,
    );
    expect(formatProblems(read('a {'.repeat(10_000)).problems)[0]).toMatch(
      /expected blocks of 16 levels at most/,
    );
  });
});

describe('the file of the design, unchanged', () => {
  it('is a split with nginx’s own defaults', () => {
    const { config, document, notes } = good(SECTION_1);
    expect(document).toEqual({
      listen: ':8000',
      upstreamDefaults: {
        host: '$host',
        connectTimeout: '60s',
        eject: { failures: 1, time: '10s', timeMax: '10s' },
      },
      upstreams: { version_1a: { url: 'http://version_1a' }, version_1b: { url: 'http://version_1b' } },
      splits: {
        appversion: {
          key: '$arg_token',
          missingKey: 'first',
          variants: [
            { name: 'version_1a', share: '50%', upstream: 'version_1a' },
            { name: 'version_1b', share: '*', upstream: 'version_1b' },
          ],
        },
      },
      limits: { requestBody: '1MiB' },
      timeouts: { requestHead: '60s' },
      forwarded: 'keep',
      upgrades: [],
    });
    expect(config.routes).toEqual([{ path: '/', exact: false, split: 'appversion' }]);
    expect(notes).toEqual([]);
  });

  it('takes the addresses of its upstream blocks, wherever they stand', () => {
    const { config } = good(`${SECTION_1}
upstream version_1a { server backend:8080; }
upstream version_1b { server backend-experiment max_fails=3 fail_timeout=5s; keepalive 16; }
`);
    expect([...config.upstreams].map(([name, { url }]) => [name, url!.host, url!.port])).toEqual([
      ['version_1a', 'backend', 8080],
      ['version_1b', 'backend-experiment', 80],
    ]);
  });
});

describe('what is kept', () => {
  it('upstreams: Host is the name in proxy_pass unless it is set', () => {
    const text = (host: string) =>
      `upstream a { server b:81; } ${asking({ location: host }).slice('http { '.length, -1)}`;
    expect(good(text('')).config.upstreams.get('a')!.host).toBe('a');
    expect(good(text('proxy_set_header Host shop.example;')).config.upstreams.get('a')!.host).toBe(
      'shop.example',
    );
    expect(good(text('proxy_set_header Host $http_host;')).config.upstreams.get('a')!.host).toBeUndefined();
    expect(good(asking({})).config.upstreams.get('a')!.host).toBe('$proxy_host');
  });

  it('hosts: the default server takes every other host, whatever its name', () => {
    const server = (listen: string, names: string, upstream: string) =>
      `server { listen ${listen}; server_name ${names}; location / { proxy_pass http://${upstream}; } }`;
    const { config } = good(
      server('80', 'a.example *.a.example', 'a') +
        server('80 default_server', 'b.example', 'b') +
        server('80', '.c.example', 'c'),
    );
    expect(config.routes.map(({ host, upstream }) => [host, upstream])).toEqual([
      ['a.example', 'a'],
      ['*.a.example', 'a'],
      [undefined, 'b'],
      ['c.example', 'c'],
      ['*.c.example', 'c'],
    ]);
  });

  it('hosts: the default server keeps its own name where the wildcard of another server is over it', () => {
    const server = (names: string, upstream: string) =>
      `server { listen 80; server_name ${names}; location / { proxy_pass http://${upstream}; } }`;
    const { config } = good(server('own.example other.test *.a.example', 'a') + server('*.example', 'b'));
    expect(config.routes.map(({ host, upstream }) => [host, upstream])).toEqual([
      [undefined, 'a'],
      ['own.example', 'a'],
      ['*.a.example', 'a'],
      ['*.example', 'b'],
    ]);
  });

  it('locations: prefixes become routes, a location with settings of its own an upstream of its own', () => {
    const { config } = good(
      asking({
        server:
          'location /slow { proxy_pass http://a; proxy_read_timeout 5m; } location ^~ /img/ { proxy_pass http://img:81; }',
      }),
    );
    expect(config.routes.map(({ path, upstream }) => [path, upstream])).toEqual([
      ['/slow', 'a'],
      ['/img/', 'img:81'],
      ['/', 'a-2'],
    ]);
    expect([...config.upstreams].map(([name, { responseTimeout }]) => [name, responseTimeout])).toEqual([
      ['a', 300_000],
      ['img:81', 60_000],
      ['a-2', 60_000],
    ]);
  });

  it.each<[string, Parameters<typeof asking>[0], object]>([
    [
      'client_max_body_size',
      { http: 'client_max_body_size 8m;' },
      { limits: { requestBody: 8 * 1024 ** 2 } },
    ],
    [
      'the innermost of two',
      { http: 'client_max_body_size 8m;', location: 'client_max_body_size 16k;' },
      { limits: { requestBody: 16_384 } },
    ],
    ['no limit at all', { server: 'client_max_body_size 0;' }, { limits: { requestBody: 1024 ** 4 } }],
    ['keepalive_timeout', { http: 'keepalive_timeout 65;' }, { timeouts: { idle: 65_000 } }],
    ['times of several units', { http: 'keepalive_timeout 1m30s;' }, { timeouts: { idle: 90_000 } }],
    [
      'client timeouts',
      { http: 'client_header_timeout 5s; client_body_timeout 6s; send_timeout 700ms;' },
      { timeouts: { requestHead: 5000, requestBody: 6000, write: 700 } },
    ],
    [
      'WebSockets',
      { location: 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";' },
      { upgrades: ['websocket'] },
    ],
    ['no WebSockets otherwise', {}, { upgrades: [] }],
    ['X-Forwarded as the client sent them', {}, { forwarded: 'keep' }],
    [
      'several addresses',
      { server: 'listen 127.0.0.1:81; listen [::]:80; listen unix:/run/s.sock;' },
      {
        listen: [
          { host: '127.0.0.1', port: 81, path: null },
          { host: null, port: 80, path: null },
          { host: null, port: 0, path: '/run/s.sock' },
        ],
      },
    ],
  ])('%s', (_what, parts, expected) => {
    expect(good(asking(parts)).config).toMatchObject(expected);
  });

  it.each([
    [
      'connect and read timeouts',
      'proxy_connect_timeout 1s; proxy_read_timeout 2s;',
      { connectTimeout: 1000, responseTimeout: 2000 },
    ],
    ['nginx’s own default for connects', '', { connectTimeout: 60_000, responseTimeout: 60_000 }],
    [
      'fields, with what is known of the server put in',
      'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Port $server_port; proxy_set_header X-Name "$server_name-${proxy_host}";',
      {
        host: '$proxy_host',
        setHeaders: {
          'X-Forwarded-For': '$proxy_add_x_forwarded_for',
          'X-Port': '80',
          'X-Name': '-a',
        },
      },
    ],
    ['the host without its port', 'proxy_set_header Host ${host}:81;', { host: '$host:81' }],
    ['no retry', 'proxy_next_upstream off;', { retry: { attempts: 0 } }],
  ])('%s', (_what, location, expected) => {
    expect(good(asking({ location })).config.upstreams.get('a')).toMatchObject(expected);
  });

  it('the variable of split_clients in a field is the name of the variant', () => {
    const { config } = good(
      SECTION_1.replace('proxy_set_header Host $host', 'proxy_set_header X-Version "v=$appversion"'),
    );
    expect([...config.upstreams.values()].map(({ setHeaders }) => setHeaders)).toEqual([
      { 'X-Version': 'v=version_1a' },
      { 'X-Version': 'v=version_1b' },
    ]);
  });

  it('several servers of an upstream with weight, backup, down, and ejection as max_fails says', () => {
    const { config, notes } = good(
      asking({
        http: `upstream a { server b:81 weight=3 max_fails=3 fail_timeout=30s; server c down; server unix:/run/d.sock backup;
          server e max_fails=0; server f fail_timeout=0; keepalive 8; least_conn; }`,
      }),
    );
    const never = { failures: 0, time: 10_000, timeMax: 10_000 };
    const { servers, eject, host } = config.upstreams.get('a')!;
    expect(host).toBe('a');
    expect(eject).toEqual({ failures: 1, time: 10_000, timeMax: 10_000 });
    expect(servers!.map(({ url, ...rest }) => [url.path ?? `${url.host}:${url.port}`, rest])).toEqual([
      [
        'b:81',
        { weight: 3, backup: false, down: false, eject: { failures: 3, time: 30_000, timeMax: 30_000 } },
      ],
      ['c:80', { weight: 1, backup: false, down: true }],
      ['/run/d.sock', { weight: 1, backup: true, down: false }],
      ['e:80', { weight: 1, backup: false, down: false, eject: never }],
      ['f:80', { weight: 1, backup: false, down: false, eject: never }],
    ]);
    expect(notes).toEqual([
      'left out, because it has no effect here: keepalive',
      'Location of a response is passed on unchanged; nginx replaces the address of the upstream by its own',
      'every upstream uses least_conn, between two servers that are drawn by weight',
      'a server of an upstream is chosen at random, by weight and load; nginx uses them in turn',
    ]);
  });

  it('the only server of an upstream: its limit of connections, and when its addresses are left out', () => {
    const { config } = good(
      asking({ http: 'upstream a { server b max_conns=7 max_fails=2 fail_timeout=1m weight=5; }' }),
    );
    expect(config.upstreams.get('a')).toMatchObject({
      url: { host: 'b' },
      eject: { failures: 2, time: 60_000, timeMax: 60_000 },
      pool: { maxConnections: 7 },
    });
  });

  it('exact locations, and limits of bodies that differ', () => {
    const { config } = good(
      asking({
        http: 'client_max_body_size 2m;',
        server: `location = / { proxy_pass http://a; client_max_body_size 1k; } location =/x { proxy_pass http://a; }
          location /any { proxy_pass http://a; client_max_body_size 0; }`,
      }),
    );
    expect(config.limits.requestBody).toBe(1024);
    expect(config.routes.map(({ path, exact, limits }) => [path, exact, limits?.requestBody])).toEqual([
      ['/', true, undefined],
      ['/x', true, 2 * 1024 ** 2],
      ['/any', false, 1024 ** 4],
      ['/', false, 2 * 1024 ** 2],
    ]);
  });

  it('servers on different addresses: each address has its routes, and its default', () => {
    const server = (listen: string, name: string, upstream: string) =>
      `server { ${listen} server_name ${name}; location / { proxy_pass http://${upstream}; } }`;
    const { config, document } = good(
      server('listen 80; listen [::]:80;', 'a.example', 'a') +
        server('listen 81 default_server; listen 80;', 'b.example', 'b') +
        server('listen 81;', 'c.example', 'c'),
    );
    expect(document.listen).toEqual([':80', ':81']);
    expect(config.routes.map(({ listen, host, upstream }) => [listen?.port, host, upstream])).toEqual([
      [80, undefined, 'a'],
      [80, 'b.example', 'b'],
      [81, undefined, 'b'],
      [81, 'c.example', 'c'],
    ]);
  });

  it('a value that stands twice in split_clients becomes two variants of one upstream', () => {
    const { config } = good(SECTION_1.replace('* version_1b', '10% version_1b; 40% version_1a'));
    expect(config.splits.get('appversion')!.variants.map(({ name, upstream }) => [name, upstream])).toEqual([
      ['version_1a', 'version_1a'],
      ['version_1b', 'version_1b'],
      ['version_1a-2', 'version_1a'],
    ]);
  });

  it('includes, and the file types that images without nginx lack', () => {
    const { files } = good('http { include mime.types; include conf.d/*.conf; include site.conf; }', {
      'site.conf': SECTION_1,
    });
    expect(files).toEqual(['nginx.conf', 'site.conf']);
  });
});

it('what changes nothing is named in one note', () => {
  const { notes } = good(`user nginx; worker_processes auto; events { worker_connections 1024; }
${asking({ http: 'sendfile on; access_log off; gzip off;', server: 'server_tokens off;', location: 'proxy_redirect off; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;' })}`);
  expect(notes).toEqual([
    'left out, because it has no effect here: user, worker_processes, events, sendfile, access_log, gzip, server_tokens, proxy_redirect, proxy_http_version, proxy_buffering, proxy_set_header Connection',
  ]);
});

/** "nginx.conf:LINE:COLUMN" of the first place where `word` stands in `text`. */
const placeOf = (text: string, word: string) => {
  const before = text.slice(0, text.indexOf(word)).split('\n');
  return `nginx.conf:${before.length}:${before.at(-1)!.length + 1}`;
};

describe('access_log', () => {
  const NOTE =
    'access_log: every request is logged on stdout as a line of JSON (accessLog.mode: all); file and format are not kept';
  const accessLogOf = (http: string, location = '') => {
    const { document, notes } = good(asking({ http, location: `proxy_redirect off; ${location}` }));
    return { accessLog: document.accessLog, notes: notes.filter((note) => note.includes('logged')) };
  };

  it('with a path logs every request here, and a note says where', () => {
    const logged = { accessLog: { mode: 'all' }, notes: [NOTE] };
    expect(accessLogOf('access_log /var/log/nginx/access.log main;')).toEqual(logged);
    expect(accessLogOf('access_log off;', 'access_log /dev/stdout;')).toEqual(logged);
  });

  it('off, or into nothing, logs none', () => {
    expect(accessLogOf('access_log off;')).toEqual({ accessLog: undefined, notes: [] });
    expect(accessLogOf('access_log /dev/null;')).toEqual({ accessLog: undefined, notes: [] });
  });
});

describe('buffers for message heads become limits', () => {
  const limitsOf = (http: string, server = '', location = '') => {
    const { document, notes } = good(asking({ http, server, location: `proxy_redirect off; ${location}` }));
    const { limits, upstreamDefaults } = document as Record<string, { limits?: object } | undefined>;
    return { limits, ofResponses: upstreamDefaults?.limits, notes };
  };
  const BODY = { requestBody: '1MiB' };
  const left = (names: string) => [`left out, because it has no effect here: ${names}`];

  it('of a request: a line has one buffer, all fields have all of them, and nothing counts them', () => {
    expect(limitsOf('large_client_header_buffers 4 16k;')).toEqual({
      limits: { ...BODY, requestLine: '16KiB', requestHead: '64KiB', requestFields: 1000 },
      ofResponses: undefined,
      notes: left('proxy_redirect'),
    });
  });

  it('the largest of several counts, up to 1 MiB', () => {
    const both = limitsOf('large_client_header_buffers 8 4k;', 'large_client_header_buffers 64 32k;');
    expect(both.limits).toEqual({ ...BODY, requestLine: '32KiB', requestHead: '1MiB', requestFields: 1000 });
    expect(both.notes).toContain(
      'large_client_header_buffers counts as 1MiB here, the largest head that the splitter reads',
    );
  });

  it('that are the default change nothing', () => {
    expect(limitsOf('large_client_header_buffers 4 8k;').limits).toEqual(BODY);
    expect(limitsOf('client_header_buffer_size 4k;', '', 'proxy_buffer_size 16k;')).toEqual({
      limits: BODY,
      ofResponses: undefined,
      notes: left('client_header_buffer_size, proxy_redirect, proxy_buffer_size'),
    });
  });

  it('of a response, where it is larger than the default', () => {
    expect(limitsOf('', '', 'proxy_buffer_size 128k;').ofResponses).toEqual({
      responseHead: '128KiB',
      responseFields: 1000,
    });
  });

  it.each(['4', '4 x', '0 8k', '4 8k 1'])('"large_client_header_buffers %s" is an error', (words) => {
    const { problems } = run(asking({ http: `large_client_header_buffers ${words};` }));
    expect(problems).toEqual([expect.stringContaining(`got ${JSON.stringify(words)}`)]);
  });
});

it('what is done a little otherwise is told in a sentence of its own', () => {
  expect(good(asking({ server: 'location /img/ { proxy_pass http://a; }' })).notes).toEqual([
    'Location of a response is passed on unchanged; nginx replaces the address of the upstream by its own',
    'a request for /img (without the last slash) is not redirected to /img/',
  ]);
});

describe('what cannot be kept is told with file and line, all at once', () => {
  it.each<[what: string, text: string, word: string, problem: string]>([
    [
      'a regex location',
      asking({ server: 'location ~ \\.php$ { proxy_pass http://a; }' }),
      'location',
      ' location: expected a path, because regular expressions are not kept, got "~ \\\\.php$"',
    ],
    [
      'a URI in proxy_pass',
      asking({ server: 'location /x { proxy_pass http://a/y; }' }),
      'http://a/y',
      ' proxy_pass: expected http:// and a name, an address or one variable of split_clients, without a URI part, got "http://a/y"',
    ],
    [
      'if',
      asking({ location: 'if ($arg_x) { return 403; }' }),
      'if',
      ': expected a directive that can be kept in location (values cannot be computed here; the split reads its key directly), got "if" {…}',
    ],
    [
      'a rewrite',
      asking({ server: 'rewrite ^/a /b;' }),
      'rewrite',
      ': expected a directive that can be kept in server (paths pass unchanged, and no files are served), got "rewrite"',
    ],
    [
      'an unknown directive with a near miss',
      asking({ server: 'client_max_bodysize 1m;' }),
      'client_max_bodysize',
      ': expected a directive that can be kept in server (did you mean "client_max_body_size"?), got "client_max_bodysize"',
    ],
    [
      'gzip',
      asking({ http: 'gzip on;' }),
      'gzip',
      ': expected a directive that can be kept in http (let the upstreams compress), got "gzip"',
    ],
    [
      'TLS',
      asking({ server: 'listen 443 ssl;' }),
      'listen 443',
      ' listen: expected an address with default_server, reuseport or socket options, got "ssl"',
    ],
    [
      'a named location',
      asking({ server: 'location @x { proxy_pass http://a; }' }),
      'location',
      ' location: expected a path like /api/, got "@x"',
    ],
    [
      'a path that no request has',
      asking({ server: 'location /x/../y { proxy_pass http://a; }' }),
      'location',
      ' location: expected a path like /api/, as it is once decoded: without "?", "//", "/./" and "/../", got "/x/../y"',
    ],
    [
      'a field about the connection',
      asking({ location: 'proxy_set_header Transfer-Encoding chunked;' }),
      'proxy_set_header',
      ' proxy_set_header: expected a field that is not about the connection or the length of the message, got "Transfer-Encoding"',
    ],
    [
      'a field twice',
      asking({ location: 'proxy_set_header X-A 1; proxy_set_header x-a 2;' }),
      'proxy_set_header x-a',
      ' proxy_set_header: expected each field once, got x-a again',
    ],
    [
      'a variable in a field that nobody knows',
      asking({ location: 'proxy_set_header X-A $bad;' }),
      'proxy_set_header',
      ' proxy_set_header: expected a variable of $arg_NAME $http_NAME $cookie_NAME $remote_addr $host $uri $request_uri $request_method $args, got "$bad"',
    ],
    [
      'a Host of other variables',
      asking({ location: 'proxy_set_header Host $arg_host;' }),
      'proxy_set_header',
      ' proxy_set_header: expected Host $host, $http_host, $proxy_host or a name, with or without a port, got "$arg_host"',
    ],
    [
      'a parameter of a server',
      asking({ http: 'upstream a { server b wait=3; }' }),
      'server b',
      ' server: expected weight= max_fails= fail_timeout= max_conns= backup down resolve, got "wait=3"',
    ],
    [
      'a limit of connections for one server of several',
      asking({ http: 'upstream a { server b max_conns=3; server c; }' }),
      'upstream a',
      ' upstream: expected max_conns only in an upstream of one server, got 2 servers',
    ],
    [
      'another way to choose a server',
      asking({ http: 'upstream a { ip_hash; server b; }' }),
      'ip_hash',
      ': expected a directive that can be kept in upstream (the servers of an upstream share its requests by weight), got "ip_hash"',
    ],
    [
      'client times that differ between locations',
      asking({ http: 'send_timeout 1m;', server: 'location /x { proxy_pass http://a; send_timeout 2m; }' }),
      'send_timeout 1m',
      ' send_timeout: expected the same for all locations (2m), got 60s',
    ],
    [
      'an address beside every address of its port',
      `server { listen 80; location / { proxy_pass http://a; } }\nserver { listen 127.0.0.1:80; location / { proxy_pass http://b; } }`,
      'listen 127',
      ' listen: expected no address besides :80, which includes every address of this port, got 127.0.0.1:80',
    ],
    [
      'an upstream that is down',
      asking({ http: 'upstream a { server b down; }' }),
      'upstream',
      ' upstream: expected a server that is not down, got none',
    ],
    [
      'a location without proxy_pass',
      asking({ server: 'location /x { root /srv; }' }),
      'location',
      ' location: expected a proxy_pass, because no files are served, got none',
    ],
    [
      'an unknown variable',
      SECTION_1.replace('http://$appversion', 'http://$apversion'),
      'http://$apversion',
      ' proxy_pass: expected a variable of split_clients (did you mean "$appversion"?), got "$apversion"',
    ],
    [
      'a share of 25.125%',
      SECTION_1.replace('50%', '25.125%'),
      '25.125%',
      ' split_clients: expected a percentage from 0% to 100% with two decimals at most, or "*" for the rest, got "25.125%"',
    ],
    [
      'shares without a rest',
      SECTION_1.replace('*', '40%'),
      '$appversion',
      ' split_clients: expected shares of 100% together, or a last variant with share "*", got 90%',
    ],
    [
      'a bad key',
      SECTION_1.replace('$arg_token', '$bad'),
      '$bad',
      ' split_clients: expected a variable of $arg_NAME $http_NAME $cookie_NAME $remote_addr $host $uri $request_uri $request_method $args, got "$bad"',
    ],
    [
      'a rewritten Location',
      asking({ location: 'proxy_redirect http://a/ /b/;' }),
      'proxy_redirect',
      ': expected a directive that can be kept in location, got "proxy_redirect"',
    ],
    [
      'a time that is none',
      asking({ location: 'proxy_read_timeout soon;' }),
      'soon',
      ' proxy_read_timeout: expected a time like 60s or 1m30s, above 0, got "soon"',
    ],
    ['no server', 'events { }', 'events', ': expected a server block, got none'],
    ['nothing', '', '', ': expected a server block, got none'],
    [
      'binary garbage',
      'server {\0',
      '\0',
      ': expected an nginx configuration in UTF-8, got binary data (the byte 0x00)',
    ],
  ])('%s', (_what, text, word, problem) => {
    expect(run(text).problems).toEqual([`${placeOf(text, word)}${problem}`]);
  });

  it('a name of nginx is never answered with a guess', () => {
    for (const name of [
      'error_page',
      'proxy_cache_path',
      'proxy_hide_header',
      'grpc_set_header',
      'http2',
      'gunzip',
    ]) {
      const { problems } = run(`server { ${name} x; location / { proxy_pass http://a; } }`);
      expect(problems).toEqual([expect.stringContaining(`got "${name}"`)]);
      expect(problems![0]).not.toContain('did you mean');
    }
  });

  it('a location that answers by itself is one problem, with a remedy', () => {
    expect(
      run('server { location = /healthz { return 200 ok; } location / { proxy_pass http://a; } }').problems,
    ).toEqual([
      'nginx.conf:1:32: expected a directive that can be kept in location (for a health check delete it: /healthz and /readyz are on the admin port), got "return"',
    ]);
  });

  it('the key of a split is told together with the other problems', () => {
    const text =
      'split_clients $bad $v { 50% a; * b; }\nserver { location / { add_header X Y; proxy_pass http://$v; } }';
    expect(run(text).problems).toEqual([
      'nginx.conf:1:15 split_clients: expected a variable of $arg_NAME $http_NAME $cookie_NAME $remote_addr $host $uri $request_uri $request_method $args, got "$bad"',
      expect.stringContaining('got "add_header"'),
    ]);
  });

  it('the variable of a split in a field is named as such', () => {
    const text =
      'split_clients $arg_token $bad { 50% a; * b; }\nserver { location / { proxy_set_header X $bad; proxy_pass http://a; } }';
    expect(run(text).problems).toEqual([
      'nginx.conf:2:23 proxy_set_header: expected another variable, got "$bad", which split_clients sets: it can only choose the upstream here',
    ]);
  });

  it('problems of included files carry their own names', () => {
    expect(
      run('http { include a.conf; lissten 1; }', {
        'a.conf': 'server { rewrite a b; location / { proxy_pass http://a; } }',
      }).problems,
    ).toEqual([
      'nginx.conf:1:24: expected a directive that can be kept in http (did you mean "listen"?), got "lissten"',
      'a.conf:1:10: expected a directive that can be kept in server (paths pass unchanged, and no files are served), got "rewrite"',
    ]);
  });

  it('a named server that leaves paths to another one', () => {
    const server = (listen: string, rest: string) =>
      `server { listen ${listen}; ${rest} location / { proxy_pass http://a; } }\n`;
    expect(
      run(`${server('80', '')}server { listen 80; server_name b; location /x { proxy_pass http://a; } }`)
        .problems,
    ).toEqual([
      'nginx.conf:2:1 server: expected a "location /" in each server if there are several, got none',
    ]);
  });
});

describe('an nginx.conf of any kind is read in a time that grows with its length', () => {
  const repeat = (count: number, line: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => line(i)).join('');
  // Each took from ten seconds to several minutes, at sixteen times this size, when every problem and every block looked at
  // all others. Of a size, what a text of it holds and how many problems it has.
  it.each<[what: string, size: number, textOf: (size: number) => string, problems: (size: number) => number]>(
    [
      ['unknown directives', 9000, (n) => repeat(n, () => 'a b;\n'), (n) => n + 1],
      [
        'servers',
        250,
        (n) =>
          `http { ${repeat(n, (i) => `server { server_name h${i}.example; location / { proxy_pass http://b${i}; } }\n`)} }`,
        () => 0,
      ],
      [
        'addresses of one server',
        3000,
        (n) =>
          `http { server { ${repeat(n, (i) => `listen ${(i % 65_000) + 1};\n`)} location / { proxy_pass http://b; } } }`,
        // One of them is the admin port.
        (n) => (n >= 9901 ? 1 : 0),
      ],
      [
        'servers with an address each',
        500,
        (n) =>
          `http { ${repeat(n, (i) => `server { listen ${i + 1}; location / { proxy_pass http://b; } }\n`)} }`,
        () => 0,
      ],
      [
        'includes that name no file',
        2500,
        (n) => repeat(n, (i) => `include d${i}/*.conf;\n`),
        (n) => Math.max(1, n - 255),
      ],
      [
        'upstreams and locations',
        250,
        (n) =>
          `http { ${repeat(n, (i) => `upstream u${i} { server b${i}:80; }\n`)} server { ${repeat(n, (i) => `location /p${i} { proxy_pass http://u${i}; }\n`)} } }`,
        () => 0,
      ],
      [
        'fields that thousands of locations inherit',
        600,
        (n) =>
          `http { ${repeat(100, (i) => `proxy_set_header X-H${i} v${i};\n`)} server { ${repeat(n, (i) => `location /p${i} { proxy_pass http://b; }\n`)} } }`,
        () => 0,
      ],
      [
        'more fields than a request may have',
        400,
        (n) =>
          `http { ${repeat(n, (i) => `proxy_set_header X-H${i} v${i};\n`)} server { ${repeat(n, (i) => `location /p${i} { proxy_pass http://b; }\n`)} } }`,
        () => 1,
      ],
    ],
  )('%s', (_, size, textOf, problems) => {
    const read = (n: number) => {
      const outcome = parseNginx(textOf(n), 'nginx.conf', { readInclude: () => [] });
      expect(outcome.problems?.length ?? 0).toBe(problems(n));
    };
    expect(growth(read, size)).toBeLessThan(LINEAR_MAX);
  });
});

// What an nginx.conf becomes: what is kept, what changes nothing here, and what is left out.
import { describe, expect, it } from 'vitest';
import { asking, good, run } from '../../../support/nginx-conf.ts';

const SECTION_1 = `split_clients $arg_token $appversion { 50% version_1a; * version_1b; }
server { listen 8000; location / { proxy_set_header Host $host; proxy_pass http://$appversion; } }
`;

describe('the file of the design, unchanged', () => {
  it('is a split with nginx’s own defaults', () => {
    const { config, document, notes } = good(SECTION_1);
    expect(document).toEqual({
      listen: ':8000',
      upstreamDefaults: {
        host: '$host',
        connectTimeout: '60s',
        eject: { failures: 1, time: '10s', timeMax: '10s' },
        retry: { on: ['error', 'timeout'] },
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
      errorPages: 'html',
      trace: 'refuse',
      badPaths: 'refuse',
      upgrades: [],
    });
    expect(config.routes).toEqual([{ path: '/', exact: false, beforePatterns: false, split: 'appversion' }]);
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
      ['/img', undefined],
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
      'every upstream uses least_conn, between two servers that are drawn by weight',
      'a server of an upstream is chosen at random, by weight and load; nginx uses them in turn',
    ]);
  });

  it.each(['random', 'random two', 'random two least_conn'])('%s, which is how servers are chosen', (how) => {
    const { config, notes } = good(asking({ http: `upstream a { ${how}; server b:81; server c; }` }));
    expect(config.upstreams.get('a')!.servers).toHaveLength(2);
    expect(notes).toEqual([
      'random is random two least_conn here: of two servers that are drawn by weight, the less busy one',
    ]);
  });

  it('hash and ip_hash as a choice by key, with a note that the servers are others', () => {
    const balanceOf = (how: string) => {
      const { config, notes } = good(asking({ http: `upstream a { ${how}; server b:81; server c; }` }));
      return [config.upstreams.get('a')!.balance, notes.filter((note) => note.includes('hash'))] as const;
    };
    const note =
      'hash is balance by key here: one server for each key, as in nginx, but not the same server as in nginx, and a server that is far busier than the others passes keys on';
    for (const how of ['hash $cookie_sid consistent', 'hash $cookie_sid'])
      expect(balanceOf(how)).toEqual([{ key: '$cookie_sid', maxSkew: 1.25 }, [note]]);
    expect(balanceOf('ip_hash')).toEqual([
      { key: '$remote_addr', maxSkew: 1.25 },
      [
        'ip_hash is balance by the key $remote_addr here: one server for each whole address; nginx takes the first three numbers of an IPv4 address, and its servers are others',
      ],
    ]);
    expect(
      good(asking({ http: 'upstream a { server b:81; server c; }' })).config.upstreams.get('a')!.balance,
    ).toBeNull();
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

  it('a server without a location for every path answers the others with 404', () => {
    const { config } = good(`server { listen 80; location / { proxy_pass http://a; } }
      server { listen 80; server_name b; location /x { proxy_pass http://a; } }`);
    expect(config.routes.map(({ host, path, respond }) => [host, path, respond?.status])).toEqual([
      [undefined, '/', undefined],
      ['b', '/x', undefined],
      ['b', '/', 404],
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
    'left out, because it has no effect here: user, worker_processes, events, sendfile, access_log, gzip, server_tokens, proxy_http_version, proxy_buffering, proxy_set_header Connection',
  ]);
});

/** "nginx.conf:LINE:COLUMN" of the first place where `word` stands in `text`. */
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
      notes: [],
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
      notes: left('client_header_buffer_size, proxy_buffer_size'),
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

describe('TLS to upstreams', () => {
  const lines =
    'proxy_ssl_verify off; proxy_ssl_server_name on; proxy_ssl_name x; proxy_ssl_session_reuse on;';

  it('is left out with a note where no proxy_pass has https', () => {
    const { notes } = good(asking({ http: lines }));
    expect(notes.join()).toContain(
      'proxy_ssl_verify, proxy_ssl_server_name, proxy_ssl_name, proxy_ssl_session_reuse',
    );
  });

  it('is refused, but for the name in the handshake, where one has', () => {
    const { problems } = run(asking({ http: lines }).replace('http://a', 'https://a'));
    expect(problems).toHaveLength(3);
    for (const problem of problems) expect(problem).toContain('upstreams.*.tls has the files and names');
    expect(problems.join()).not.toContain('server_name');
  });
});

// Configurations of nginx of different shapes, run by a real nginx and, unchanged, by the splitter: the same requests to
// both get the same status, reach the same upstream with the same target, and all fields but Connection are the same there.
// Skipped, with the reason printed, without nginx.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { Ambassador } from '../../src/ambassador.ts';
import { randomTokens } from '../../src/cli/tokens.ts';
import { parseNginx } from '../../src/config/nginx/translate.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { formatProblems } from '../../src/config/problem.ts';
import { freePort } from '../support/free-port.ts';
import { NGINX_VERSION, startNginx } from '../support/nginx.ts';
import { askAll } from '../support/pipeline.ts';

const NAMES = ['a', 'b', 'c'] as const;

/** A request: its target, or method and target, and field lines. A Content-Length brings a body of that size along. */
type Asked = readonly [target: string, ...fields: string[]];

/**
 * What stands in http and in the server block; A, B and C in angle brackets are the addresses of the upstreams, DEAD one on
 * which nobody listens, FILE the path of a file with the text of `included`.
 */
interface Shape {
  readonly http: string;
  readonly server: string;
  readonly included?: string;
  /** Requests beside the usual ones. */
  readonly more?: readonly Asked[];
  /** The same requests go to 127.0.0.2 too, where the file has servers. */
  readonly hasSecond?: boolean;
}

const TWO = `upstream version_1a { server <A>; } upstream version_1b { server <B> max_fails=3 fail_timeout=1s; keepalive 8; }`;
const HALF = 'split_clients $arg_token $appversion { 50% version_1a; * version_1b; }';
const ALL = 'location / { proxy_pass http://$appversion; }';

const ODD_PATHS = [
  '/',
  '//',
  '/.',
  '/x/..',
  '/..',
  '/%2e%2e/',
  '/%00',
  '/%',
  '/%zz',
  '/api/',
  '/%61pi/',
  '/api%2Fexact',
  '/api/exact',
  '/api//exact',
  '/api/./exact',
  '/api/x/../exact',
  '/api/exact/',
  '/api/exac%74',
  '/api/odd',
  '/api/../admin',
  '/api/%2e%2e/x',
  '/x/%2e%2e/api/x',
  '/api/exact%3Fx',
  '/api/a%20b/%C3%A9',
  '/api/..%2fx',
  '/api/...',
  '/api/.x',
  '/API/x',
];

const SHAPES: Record<string, Shape> = {
  'the file of the design': {
    http: `${TWO} ${HALF}`,
    server: 'location / { proxy_set_header Host $host; proxy_pass http://$appversion; }',
  },
  'three ways in thirds, the name of the block as Host': {
    http: `${TWO} upstream version_1c { server <C>; }
      split_clients $arg_token $appversion { 33.33% version_1a; 33.33% version_1b; * version_1c; }`,
    server: ALL,
  },
  'a salted key of several variables, in quotes': {
    http: `${TWO} split_clients "exp42:\${remote_addr}-\${arg_token}-$request_method" $appversion { 10% "version_1a"; * 'version_1b'; }`,
    server: ALL,
  },
  'a cookie as the key': {
    http: `${TWO} split_clients $cookie_uid $appversion { 50% version_1a; * version_1b; }`,
    server: 'proxy_set_header Host $http_host; location / { proxy_pass http://$appversion; }',
    more: [1, 2, 3, 4, 5, 6].map((uid) => ['/', `Cookie: x=y; uid=${uid}; z=1`] as const),
  },
  'a header field as the key': {
    http: `${TWO} split_clients $http_x_user $appversion { 25% version_1a; * version_1b; }`,
    server: ALL,
    more: [1, 2, 3, 4, 5, 6].map((user) => ['/', `X-User: user-${user}`] as const),
  },
  'two splits in two locations': {
    http: `${TWO} ${HALF} split_clients "other$arg_token" $other { 30% version_1b; * version_1a; }`,
    server: `${ALL} location /api { proxy_pass http://$other; }`,
  },
  'static locations beside a split, the longest prefix wins': {
    http: `${TWO} ${HALF} upstream files { server <C>; }`,
    server: `location /static/ { proxy_pass http://files; } location ^~ /static/new { proxy_pass http://version_1b; } ${ALL}
      location /direct/ { proxy_pass http://<C>; proxy_set_header Host files.example; }`,
    more: [['/static/a.css'], ['/static/newer'], ['/direct/x?y=z'], ['/statics']],
  },
  'a Host of its own, timeouts, and directives without effect': {
    http: `${TWO} ${HALF} sendfile on; keepalive_timeout 30s; server_tokens off; proxy_read_timeout 1m30s;`,
    server: `client_max_body_size 10m; proxy_set_header Host shop.example; location / { proxy_pass http://$appversion;
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host shop.test:8080; proxy_connect_timeout 2s; }`,
  },
  'forwarded fields appended': {
    http: `${TWO} ${HALF} proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host; proxy_set_header Host $http_host;`,
    server: ALL,
    more: [['/', 'X-Forwarded-For: 10.0.0.1, 10.0.0.2']],
  },
  'forwarded fields replaced': {
    http: `${TWO} ${HALF}`,
    server: `location / { proxy_pass http://$appversion; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host; }`,
    more: [['/', 'X-Forwarded-For: 10.0.0.1', 'X-Forwarded-Proto: gopher', 'X-Forwarded-Host: evil']],
  },
  'forwarded fields removed': {
    http: `${TWO} ${HALF} proxy_set_header X-Forwarded-For ""; proxy_set_header X-Forwarded-Proto ""; proxy_set_header X-Forwarded-Host "";`,
    server: ALL,
    more: [
      ['/', 'X-Forwarded-For: 10.0.0.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: public.example'],
    ],
  },
  'exact locations before the longest prefix, every spelling of a path': {
    http: `${TWO} ${HALF} upstream version_1c { server <C>; }`,
    server: `location = / { proxy_pass http://version_1c; } location = /api/exact { proxy_pass http://version_1b; }
      location =/api/odd { proxy_pass http://version_1b; } location /api/ { proxy_pass http://version_1a; } ${ALL}`,
    more: ODD_PATHS.flatMap((path) => [[path], [`${path}?token=1&x=/api/exact`]] as const),
  },
  'several servers: one is down, one is dead, a backup': {
    http: `${HALF} upstream version_1a { server <DEAD> max_fails=2 fail_timeout=3s; server <A> weight=5; server <B> down; }
      upstream version_1b { server <DEAD>; server <C> backup; }`,
    server: ALL,
  },
  'fields of every kind': {
    http: `${TWO} ${HALF}`,
    server: `server_name one.example two.example; location / { proxy_pass http://$appversion; proxy_set_header Host $host;
      proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header Accept-Encoding ""; proxy_set_header X-Version $appversion;
      proxy_set_header X-Token "$arg_token"; proxy_set_header X-Url $request_uri; proxy_set_header X-Uri $uri;
      proxy_set_header X-Uid "uid=\${cookie_uid};"; proxy_set_header X-Agent $http_user_agent; proxy_set_header X-Args $args;
      proxy_set_header X-Server $server_name; proxy_set_header X-Host $host; proxy_set_header X-Method $request_method;
      proxy_set_header X-Proxy $proxy_host; proxy_set_header Authorization ''; proxy_set_header X-Text 'a b  c'; }`,
    more: [
      [
        '/',
        'X-Forwarded-For: 10.0.0.1',
        'X-Forwarded-For: 10.0.0.2',
        'X-Real-IP: 10.0.0.3',
        'X-Forwarded-Proto: x',
      ],
      [
        '/a%20b?token=%61&x',
        'Cookie: uid=7; b=8',
        'User-Agent: test/1',
        'Accept-Encoding: gzip',
        'Accept-Encoding: br',
      ],
      ['POST /', 'Content-Length: 5', 'x-version: forged', 'X-VERSION: twice', 'Authorization: Basic x'],
      ['/', 'Connection: X-Real-IP', 'X-Real-IP: 10.0.0.3'],
    ],
  },
  'Host in every way': {
    http: `${TWO} ${HALF} upstream version_1c { server <C>; }`,
    server: `location / { proxy_pass http://$appversion; proxy_set_header Host $host; }
      location /client { proxy_pass http://$appversion; proxy_set_header Host $http_host; }
      location /port { proxy_pass http://$appversion; proxy_set_header Host $host:8080; }
      location /braces { proxy_pass http://$appversion; proxy_set_header Host "\${host}"; }
      location /fixed { proxy_pass http://$appversion; proxy_set_header Host fixed.example:81; }
      location /own { proxy_pass http://$appversion; proxy_set_header Host $proxy_host; }
      location /none { proxy_pass http://version_1c; }
      location /address { proxy_pass http://<C>; }`,
    more: ['/', '/client', '/port', '/braces', '/fixed', '/own', '/none', '/address'].flatMap((path) => [
      [path, 'Host: Shop.EXAMPLE:8000'] as const,
      [path, 'Host: shop.example.'] as const,
      [path, 'Host: [::1]:80'] as const,
    ]),
  },
  'fields are inherited from the level above only by a level that has none': {
    http: `${TWO} ${HALF} proxy_set_header X-Http 1; proxy_set_header Host http.example;`,
    server: `proxy_set_header X-Server 1; ${ALL} location /own { proxy_pass http://$appversion; proxy_set_header X-Location 1; }
      location /removed { proxy_pass http://version_1a; proxy_set_header X-Server ""; }`,
    more: ['/own', '/removed'].flatMap((path) => [
      [path] as const,
      [path, 'X-Http: client', 'X-Server: client', 'X-Location: client'] as const,
    ]),
  },
  'servers on several addresses, each with a default of its own': {
    http: `${TWO} ${HALF} upstream version_1c { server <C>; }
      server { listen 127.0.0.2:PORT; server_name second.example; location / { proxy_pass http://version_1c; } }
      server { listen 127.0.0.1:PORT; listen 127.0.0.2:PORT default_server; server_name both.example;
        location / { proxy_pass http://version_1b; } location = /exact { proxy_pass http://version_1a; } }`,
    server: `server_name first.example; ${ALL}`,
    hasSecond: true,
    more: ['first.example', 'second.example', 'both.example', 'nobody.example'].flatMap((host) => [
      ['/?token=1', `Host: ${host}`] as const,
      ['/exact', `Host: ${host}`] as const,
    ]),
  },
  'bodies of another size in each location': {
    http: `${TWO} ${HALF} client_max_body_size 100;`,
    server: `${ALL} location /large { proxy_pass http://version_1a; client_max_body_size 1k; }
      location /any { proxy_pass http://version_1b; client_max_body_size 0; }
      location = /small { proxy_pass http://version_1a; client_max_body_size 10; }`,
    more: ['/', '/large', '/any', '/small'].flatMap((path) =>
      [0, 10, 11, 100, 101, 1024, 1025, 5000].map(
        (size) => [`POST ${path}`, `Content-Length: ${size}`] as const,
      ),
    ),
  },
  'an included file, comments, quotes, several splits of small parts': {
    included: `# the splits
      split_clients "one:$arg_token" $one { 0.01% version_1c; 0.5% version_1b; 99.4% version_1a; * "version_1c"; }
      split_clients 'two:$host:$uri' $two { 33.3% version_1a; 66.7% version_1b; }`,
    http: `${TWO} upstream "version_1c" { server <C>; } include <FILE>;`,
    server: `location / { proxy_pass "http://$one"; } # the rest
      location /two/ { proxy_pass http://\${two}; }`,
    more: Array.from(randomTokens(60, 2), (token) => [`/two/%7e${token}/../x${token}`] as const),
  },
  'several servers by name, the first one for every other host': {
    http: `${TWO} upstream version_1c { server <C>; } ${HALF}
      server { listen 127.0.0.1:PORT; server_name exact.example .suffix.example; location / { proxy_pass http://version_1c; } }
      server { listen 127.0.0.1:PORT default_server; server_name own.wild.example; ${ALL} }
      server { listen 127.0.0.1:PORT; server_name *.wild.example; location / { proxy_pass http://version_1a; } location /deep { proxy_pass http://version_1b; } }`,
    server: 'server_name first.example; location / { proxy_pass http://version_1b; }',
    more: [
      'exact.example EXACT.example suffix.example a.suffix.example b.a.suffix.example xsuffix.example own.wild.example',
      'a.wild.example wild.example first.example nobody.example',
    ]
      .join(' ')
      .split(' ')
      .flatMap((host) => [
        ['/?token=1', `Host: ${host}`] as const,
        ['/deep?token=2', `Host: ${host}`] as const,
      ]),
  },
};

const USUAL: readonly Asked[] = [
  ['/'],
  ['/?token'],
  ['/?token='],
  ['/?xtoken=1&TOKEN=2&token=3'],
  ['/a%62c/%2e?token=a%62c'],
  ['/api/x?token=1'],
  ['/apix?token=2'],
  ['/x?token=1', 'X-Forwarded-For: 10.9.8.7', 'X-Forwarded-Proto: http'],
  ...Array.from(randomTokens(40, 1), (token) => [`/?token=${token}`] as const),
];

function request([target, ...fields]: Asked): Buffer {
  const host = fields.some((field) => field.startsWith('Host:')) ? [] : ['Host: localhost'];
  const line = `${target.includes(' ') ? '' : 'GET '}${target} HTTP/1.1`;
  const size = Number(/^Content-Length: (\d+)$/m.exec(fields.join('\n'))?.[1] ?? 0);
  return Buffer.from(`${[line, ...host, ...fields, '', ''].join('\r\n')}${'x'.repeat(size)}`, 'latin1');
}

describe.skipIf(NGINX_VERSION === null)('an nginx.conf run by nginx and by the splitter', () => {
  const servers: Server[] = [];
  const addresses: string[] = [];
  beforeAll(async () => {
    for (const name of NAMES) {
      const server = createServer((asked, response) => {
        const seen: string[] = [];
        for (let i = 0; i < asked.rawHeaders.length; i += 2) {
          const field = asked.rawHeaders[i]!.toLowerCase();
          if (field !== 'connection') seen.push(`${field}: ${asked.rawHeaders[i + 1]}`);
        }
        asked
          .resume()
          .on('end', () => response.end([name, asked.method, asked.url, ...seen.sort()].join(' | ')));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      servers.push(server);
      addresses.push(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    }
  });
  afterAll(() => {
    for (const server of servers) server.close().closeAllConnections();
  });

  const addressed = (text: string, dead: number, file: string) =>
    text
      .replace(/<([ABC])>/g, (_, name: string) => addresses['ABC'.indexOf(name)]!)
      .replaceAll('<DEAD>', `127.0.0.1:${dead}`)
      .replaceAll('<FILE>', file);

  it.each(Object.entries(SHAPES))('%s: not one request differs', async (_what, shape) => {
    const directory = mkdtempSync(join(tmpdir(), 'splitter-parity-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'included.conf');
    writeFileSync(file, shape.included ?? '');
    const dead = await freePort();
    const [http, server] = [addressed(shape.http, dead, file), addressed(shape.server, dead, file)];
    const text = `http { ${http.replaceAll('PORT', '0')}\nserver { listen 127.0.0.1:0; ${server} } }`;
    const readInclude = (path: string) => [{ file: path, text: readFileSync(path, 'utf8') }];
    const { config, problems, translation } = parseNginx(text, 'nginx.conf', { readInclude });
    expect(formatProblems(problems ?? [])).toEqual([]);
    const again = parseConfig(stringify(translation!.document), 'import.yaml');
    expect(formatProblems(again.problems ?? [])).toEqual([]);
    expect(again.config).toEqual(config);

    const nginx = await startNginx(http, server);
    onTestFinished(() => nginx.stop());
    const ambassador = new Ambassador(config!, { log: pino({ level: 'silent' }) });
    onTestFinished(() => ambassador.stop());
    await ambassador.start();
    const asked = [...USUAL, ...(shape.more ?? [])];
    const requests = asked.map(request);
    for (const [index, host] of ['127.0.0.1', '127.0.0.2'].slice(0, shape.hasSecond ? 2 : 1).entries()) {
      const port = Number(/:(\d+)$/.exec(ambassador.listening[index]!)![1]);
      const seen = async (on: number) =>
        (await askAll(on, requests, { host })).map(({ status, body }, at) => [
          asked[at],
          status,
          // An error page is everybody's own.
          status === 200 ? body : '',
        ]);
      expect(await seen(port)).toEqual(await seen(nginx.port));
    }
  });
});

// Configurations of nginx of different shapes, run by a real nginx and, unchanged, by the splitter: the same requests to
// both reach the same upstream with the same target, Host and forwarded fields. Skipped, with the reason printed, without nginx.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Ambassador } from '../../src/ambassador.ts';
import { randomTokens } from '../../src/cli/tokens.ts';
import { parseNginx } from '../../src/config/nginx.ts';
import { formatProblems } from '../../src/config/problem.ts';
import { compileKey } from '../../src/split/key.ts';
import { NGINX_VERSION, startNginx } from '../support/nginx.ts';
import { askAll } from '../support/pipeline.ts';

const NAMES = ['a', 'b', 'c'] as const;

/** What stands in http and in the server block; A, B and C in angle brackets are the addresses of the upstreams. */
interface Shape {
  readonly http: string;
  readonly server: string;
  /** Requests beside the usual ones: target and field lines. */
  readonly more?: readonly (readonly [target: string, ...fields: string[]])[];
}

const TWO = `upstream version_1a { server <A>; } upstream version_1b { server <B> max_fails=3 fail_timeout=1s; keepalive 8; }`;
const HALF = 'split_clients $arg_token $appversion { 50% version_1a; * version_1b; }';
const ALL = 'location / { proxy_pass http://$appversion; }';

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

const USUAL: Shape['more'] = [
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

const checkKey = (text: string) => {
  const key = compileKey(text);
  return 'error' in key ? key : null;
};

function request([target, ...fields]: readonly [string, ...string[]]): Buffer {
  const host = fields.some((field) => field.startsWith('Host:')) ? [] : ['Host: localhost'];
  return Buffer.from(['GET ' + target + ' HTTP/1.1', ...host, ...fields, '', ''].join('\r\n'), 'latin1');
}

describe.skipIf(NGINX_VERSION === null)('an nginx.conf run by nginx and by the splitter', () => {
  const servers: Server[] = [];
  const addresses: string[] = [];
  beforeAll(async () => {
    for (const name of NAMES) {
      const server = createServer(({ url, headers }, response) => {
        const seen = ['host', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'].map(
          (field) => headers[field],
        );
        response.end([name, url, ...seen].join(' | '));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      servers.push(server);
      addresses.push(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    }
  });
  afterAll(() => {
    for (const server of servers) server.close().closeAllConnections();
  });

  const addressed = (text: string) =>
    text.replace(/<([ABC])>/g, (_, name: string) => addresses['ABC'.indexOf(name)]!);

  it.each(Object.entries(SHAPES))('%s: not one request differs', async (_what, shape) => {
    const [http, server] = [addressed(shape.http), addressed(shape.server)];
    const text = `http { ${http.replaceAll('PORT', '0')}\nserver { listen 127.0.0.1:0; ${server} } }`;
    const outcome = parseNginx(text, 'nginx.conf', { checkKey, readInclude: () => [] });
    expect(formatProblems(outcome.problems ?? [])).toEqual([]);
    const nginx = await startNginx(http, server);
    const ambassador = new Ambassador(outcome.config!, { log: pino({ level: 'silent' }) });
    try {
      await ambassador.start();
      const port = Number(/:(\d+)$/.exec(ambassador.listening[0]!)![1]);
      const asked = [...USUAL, ...(shape.more ?? [])];
      const requests = asked.map(request);
      const [theirs, ours] = [await askAll(nginx.port, requests), await askAll(port, requests)];
      expect(ours.map(({ status, body }, at) => [asked[at], status, body])).toEqual(
        theirs.map(({ status, body }, at) => [asked[at], status, body]),
      );
    } finally {
      await ambassador.stop();
      await nginx.stop();
    }
  });
});

// Maps, the values of splits and the variables of a request, made by a real nginx and by the splitter of the same file: the
// same requests reach the same upstream with the same fields. Skipped, with the reason printed, without nginx.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { Ambassador } from '../../src/ambassador.ts';
import { randomTokens } from '../../src/cli/tokens.ts';
import { parseNginx } from '../../src/config/nginx/translate.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { formatProblems } from '../../src/config/problem.ts';
import { loadPatternEngine } from '../../src/key/pattern.ts';
import { freePort } from '../support/free-port.ts';
import { NGINX_VERSION, startNginx } from '../support/nginx.ts';
import { askAll } from '../support/pipeline.ts';

/** What is looked up: the argument `z`, raw bytes and all. */
const VALUES = [
  '',
  'a',
  'A',
  'b',
  'ab',
  'a b',
  'default',
  '\\default',
  'hostnames',
  'x.example',
  'X.EXAMPLE',
  'x.example.',
  'y.x.example',
  'example',
  '.example',
  'www.other',
  'www.other.org',
  'www',
  'v12',
  'v12-beta',
  'V7',
  'caf\xc3\xa9',
  'CAF\xc3\x89',
  'caf\xe9',
  '\xff\xfe',
  '%0a',
  'a+b',
  '~x',
  'one/two/three',
  '10.0.0.1',
  '1',
  '2',
  'x'.repeat(3000),
];

const MAPS: Record<string, string> = {
  strings: "map $arg_z $m { default none; a A; AB 'a and b'; default2 x; caf\u00e9 drink; 1 one; 2 two; }",
  'no default': 'map $arg_z $m { a A; b B; }',
  'the empty string': "map $arg_z $m { '' empty; default $arg_z; a ''; }",
  'escaped words': 'map $arg_z $m { \\default d; \\hostnames h; \\~x tilde; default other; }',
  'values with variables':
    'map $arg_z $m { default "$request_method:$arg_z"; a $host; b "${arg_z}${arg_z}$uri"; }',
  'names of hosts':
    'map $arg_z $m { hostnames; default none; *.example below; x.example itself; www.* www; .other dot; 10.0.0.1 ip; }',
  patterns:
    'map $arg_z $m { default none; ~^v(\\d+)$ "number $1"; ~*^V(?<digits>\\d+) "any $digits $1"; ~^(?<one>[^/]+)/(?<two>[^/]+)/ "$two-$one"; ~\\. dotted; }',
  'patterns on bytes':
    'map $arg_z $m { default none; ~^caf.$ "one byte"; ~^caf..$ "two bytes"; ~*caf\u00e9 "same case"; ~[\\xfe\\xff] high; }',
  'strings before patterns': 'map $arg_z $m { default none; ~a pattern; ab string; }',
  'the first pattern that matches': 'map $arg_z $m { default none; ~^a first; ~a second; ~b$ third; }',
  'a map of a map':
    'map $arg_z $n { default plain; a special; } map "$n:$request_method" $m { default other; special:GET yes; }',
  'a volatile map': 'map $arg_z $m { volatile; default x$arg_z; a A; }',
  'a source of several variables': 'map "$arg_z-$http_x" $m { default none; a- A; ~^(.*)-(.+)$ "$2 $1"; }',
  'an empty text and classes':
    'map $arg_z $m { default none; ~^[]a]$ bracket; ~^[^a-y]+$ other; ~^(a|ab)(c|b?)$ "$1|$2"; }',
};

const VARIABLES =
  `$scheme $https|$is_args|$args $request $server_protocol $content_length|$content_type $remote_user
  $request_method $uri $document_uri $query_string $host $http_host $server_addr $server_port $remote_addr $http_user_agent
  $http_referer $request_length $proxy_add_x_forwarded_for $cookie_a $http_x_a`.replace(/\s+/g, ' ');

type Asked = readonly [line: string, ...fields: string[]];

function request([line, ...fields]: Asked): Buffer {
  const body = /^Content-Length: (\d+)$/m.exec(fields.join('\n'))?.[1] ?? '0';
  const lines = [`${line} HTTP/1.1`, 'Host: shop.example', ...fields, '', ''];
  return Buffer.from(`${lines.join('\r\n')}${'x'.repeat(Number(body))}`, 'latin1');
}

describe.skipIf(NGINX_VERSION === null)('variables of a file, by nginx and by the splitter', () => {
  const upstreams: Server[] = [];
  const addresses: string[] = [];
  beforeAll(async () => {
    await loadPatternEngine();
    for (const name of ['A', 'B', 'C']) {
      const server = createServer((asked, response) => {
        const seen = asked.rawHeaders.flatMap((field, at) =>
          at % 2 === 0 && /^(?:x-|host$)/i.test(field) ? [`${field}: ${asked.rawHeaders[at + 1]}`] : [],
        );
        asked.resume().on('end', () => response.end([name, asked.url, ...seen.sort()].join(' | ')));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      upstreams.push(server);
      addresses.push(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    }
  });
  afterAll(() => {
    for (const server of upstreams) server.close().closeAllConnections();
  });

  async function differences(http: string, server: string, asked: readonly Asked[]): Promise<unknown[]> {
    const place = (text: string) =>
      text.replace(/<([ABC])>/g, (_, name: string) => addresses['ABC'.indexOf(name)]!);
    const text = `http { ${place(http)}\nserver { listen 127.0.0.1:${await freePort()}; ${place(server)} } }`;
    const { config, problems, translation } = parseNginx(text, 'nginx.conf', { readInclude: () => [] });
    expect(formatProblems(problems ?? [])).toEqual([]);
    const again = parseConfig(stringify(translation!.document), 'import.yaml');
    expect(formatProblems(again.problems ?? [])).toEqual([]);
    expect(again.config!.hash).toBe(config!.hash);
    const nginx = await startNginx(place(http), place(server));
    onTestFinished(() => nginx.stop());
    const ambassador = new Ambassador(config!, { log: pino({ level: 'silent' }) });
    onTestFinished(() => ambassador.stop());
    await ambassador.start();
    const port = Number(/:(\d+)$/.exec(ambassador.listening[0]!)![1]);
    const requests = asked.map(request);
    const [ours, theirs] = [await askAll(port, requests), await askAll(nginx.port, requests)];
    const plain = (body: string) =>
      body
        .replaceAll(`:${port}`, ':PORT')
        .replaceAll(`:${nginx.port}`, ':PORT')
        .replaceAll(` ${port} `, ' PORT ')
        .replaceAll(` ${nginx.port} `, ' PORT ');
    return asked.flatMap((one, at) => {
      const [mine, nginxs] = [ours[at]!, theirs[at]!];
      const isSame =
        mine.status === nginxs.status && (mine.status >= 500 || plain(mine.body) === plain(nginxs.body));
      return isSame
        ? []
        : [{ asked: one, ours: [mine.status, mine.body], nginx: [nginxs.status, nginxs.body] }];
    });
  }

  it.each(Object.entries(MAPS))('%s: every value is the same', async (_what, map) => {
    const server = 'location / { proxy_set_header X-M "[$m]"; proxy_pass http://<A>; }';
    const asked = VALUES.flatMap((value): Asked[] => {
      const target = `GET /p?z=${value.replace(/ /g, '%20')}`;
      return [[target], [target, 'X: seen']];
    });
    expect(await differences(map, server, asked)).toEqual([]);
  });

  it('variables of a request have the same bytes', async () => {
    const asked: Asked[] = [
      ['GET /'],
      ['GET /a%20b/../c?'],
      ['GET /a?b=c&d', 'Authorization: Basic dXNlcjpwYXNz', 'Referer: http://x/', 'User-Agent: t/1'],
      ['POST /x', 'Content-Length: 0', 'Content-Type: text/plain'],
      ['GET /', 'Authorization: Basic !!!', 'X-Forwarded-For: 1.2.3.4', 'Cookie: a=1; b=2', 'X-A: one'],
      ['GET /', 'Authorization: Basic Om5vdXNlcg==', 'Cookie: A=2'],
    ];
    const server = `location / { proxy_set_header X-V "${VARIABLES}"; proxy_pass http://<A>; }`;
    expect(await differences('', server, asked)).toEqual([]);
  });

  const tokens: Asked[] = Array.from(randomTokens(40, 3), (token) => [`GET /?token=${token}`]);
  const withCookies = ['a', 'b', 'B', 'c', 'nothing', ''].flatMap((value) =>
    tokens.slice(0, 8).map(([line]): Asked => [line!, `Cookie: x=${value}`]),
  );
  const UPSTREAMS = 'upstream a { server <A>; } upstream b { server <B>; } upstream c { server <C>; }';
  const SPLIT = 'split_clients $arg_token $split { 50% a; * b; }';

  it.each([
    ['a map in front of a split', 'map $cookie_x $v { default $split; a a; b b; c c; }', 'http://$v'],
    [
      'a name of text and variable',
      'upstream app_a { server <C>; } upstream app_b { server <B>; }',
      'http://app_$split',
    ],
    ['a map of the split alone', 'map $split $v { a b; b c; }', 'http://$v'],
    ['a map without a split', 'map $cookie_x $v { default a; b b; ~^c c; }', 'http://$v'],
    ['a map without a default', 'map $cookie_x $v { a a; b b; }', 'http://$v'],
    [
      'a split whose key is a map',
      'map $cookie_x $k { default $arg_token; a "same"; } split_clients $k $v { 30% a; * c; }',
      'http://$v',
    ],
    [
      'a split whose key is another split',
      'split_clients "$split$arg_token" $v { 30% a; * c; }',
      'http://$v',
    ],
    ['values that are URLs', 'map $cookie_x $v { default http://<A>; b http://b; }', '$v'],
  ])('%s chooses the same upstream', async (_what, http, pass) => {
    const server = `location / { proxy_set_header X-Split $split; proxy_pass ${pass}; }`;
    expect(await differences(`${UPSTREAMS} ${SPLIT} ${http}`, server, [...tokens, ...withCookies])).toEqual(
      [],
    );
  });

  it('an upgrade by a map of Upgrade is kept, and the splitter sees to Connection', async () => {
    const http = "map $http_upgrade $connection_upgrade { default upgrade; '' close; }";
    const server = `location / { proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade; proxy_set_header X-C kept; proxy_pass http://<A>; }`;
    expect(await differences(http, server, [['GET /'], ['GET /x', 'X-Y: 1']])).toEqual([]);
  });
});

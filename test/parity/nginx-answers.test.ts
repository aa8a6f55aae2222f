// What nginx answers itself, and what it adds to responses: the same nginx.conf run by nginx and by the splitter gives the
// same status, fields and body for every request.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { Ambassador } from '../../src/ambassador.ts';
import { parseNginx } from '../../src/config/nginx/translate.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { formatProblems } from '../../src/config/problem.ts';
import { loadPatternEngine } from '../../src/key/pattern.ts';
import { NGINX_VERSION, startNginx } from '../support/nginx.ts';
import { RawClient } from '../support/raw-client.ts';

/** What stands in http and in the server, and the requests: a target, or a method and a target, and fields. */
interface Shape {
  readonly http?: string;
  readonly server: string;
  readonly asked: readonly (string | readonly string[])[];
}

const SPLIT = `split_clients $arg_token $v { 50% a; * b; } upstream a { server <A>; } upstream b { server <A>; }`;

const SHAPES: Record<string, Shape> = {
  'health checks, redirects and refusals': {
    server: `location / { return 301 https://$host$request_uri; }
      location = /healthz { return 200 "ok\\n"; } location = /empty { return 204; } location = /plain { return 200; }
      location /type { default_type application/json; return 200 '{"status":"up"}'; }
      location = /x.html { return 200 html; } location /file { return 200 text; }
      location /rel { return 302 /new$uri?$args; } location = /url { return https://example.com/; }
      location /308 { return 308 /x; } location /gone { return 410 "gone $arg_token"; } location /404 { return 404; }
      location /503 { return 503; } location /418 { return 418; } location /300 { return 300 x; } location /500 { return 500; }`,
    asked: [
      ...'/ /a?b=c /healthz /empty /plain /type /x.html /file /file.html /file.gif?x /file/.jpg'.split(' '),
      ...'/rel?x=1 /url /308 /gone?token=7 /404 /503 /418 /300 /500'.split(' '),
      ['HEAD /healthz'],
      ['HEAD /404'],
      ['/a', 'Host: Other.Example:99'],
      ['TRACE /'],
    ],
  },
  'a server that redirects to https, beside one that serves': {
    http: `server { listen 127.0.0.1:PORT; server_name www.example; return 301 $scheme://example.com$request_uri; }
      server { listen 127.0.0.1:PORT; server_name none.example; location /x { return 200 x; } }`,
    server: `server_name main.example; location / { return 200 main; }`,
    asked: ['www.example', 'none.example', 'main.example'].flatMap((host) =>
      ['/', '/x', '/a?b'].map((path) => [path, `Host: ${host}`]),
    ),
  },
  'how a location is made whole': {
    http: 'absolute_redirect off;',
    server: `location /off { return 302 /x; } location /on { absolute_redirect on; return 302 /x; }
      location /port { absolute_redirect on; port_in_redirect off; return 302 /x; }
      location /name { absolute_redirect on; server_name_in_redirect on; return 302 /x; } server_name n.example other;`,
    asked: ['/off', '/on', '/port', '/name', '/none'],
  },
  'fields by level, status and value': {
    http: 'add_header X-Http 1;',
    server: `add_header X-Server 1; add_header X-Always 1 always;
      location /in { return 200 x; } location /own { add_header X-Own "$arg_token;$host" always; return 404; }
      location /bad { return 404; } location /up { proxy_pass http://<A>; proxy_hide_header X-Up; add_header X-Up new; }
      location /plain { proxy_pass http://<A>; add_header Cache-Control no-store; add_header Set-Cookie "v=1; Path=/";
        add_header Set-Cookie b=2; add_header X-None $arg_none; }
      location /expires { expires epoch; proxy_pass http://<A>; } location /max { expires max; return 200 x; }`,
    asked: '/in /own?token=7 /bad /up /plain /up?status=404 /plain?status=404 /expires /max /none'.split(' '),
  },
  'a path without its last slash': {
    http: SPLIT,
    server: `location /api/ { proxy_pass http://$v; } location /a%20b/ { proxy_pass http://a; }
      location "/c d/" { proxy_pass http://a; } location /both/ { proxy_pass http://a; } location /both { return 200 both; }
      location /x/ { return 200 x; } location = /e/ { proxy_pass http://a; add_header X-E 1; }
      location /out/ { proxy_pass http://a; location /out/in/ { return 200 in; } location = /out/e { return 200 e; } }`,
    asked:
      `/api /api?x=1 /api/ /ap /both /both/ /x /x/ /e /e?y /c%20d /c%20d?z /out /out/in /out/in/ /out/e /out/x`
        .split(/\s+/)
        .flatMap((target) => [[target], [`POST ${target}`]]),
  },
};

Object.assign(SHAPES, {
  'locations by regular expression, in their order after the longest prefix': {
    server: `location / { return 200 rest; } location ~ ^/(?<kind>img|css)/(.*)\\.png$ { add_header X-Kind $kind; return 200 "$kind $2"; }
      location ~* \\.PNG$ { return 200 caseless; } location ^~ /firm/ { return 200 firm; } location = /a.png { return 200 exact; }
      location /long/ { return 200 long; } location ~ /$ { return 200 slash; } location ~ "^/x{2}" { proxy_pass http://<A>; }`,
    asked:
      '/ /x /img/a.png /css/b/c.png?d /x.pNg /firm/x.png /a.png /long/x /long/ /long/y.png /img%2Fz.png /xx?y /b//a.png'.split(
        ' ',
      ),
  },
  'names by wildcard and by regular expression': {
    http: `server { listen 127.0.0.1:PORT; server_name *.example; return 200 head; }
      server { listen 127.0.0.1:PORT; server_name www.*; return 200 tail; }
      server { listen 127.0.0.1:PORT; server_name www.shop.example; return 200 exact; }
      server { listen 127.0.0.1:PORT; server_name "~^(?<user>[a-z]+)\\.home$" ~^www\\d; location / { return 200 "user $user"; } }`,
    server: 'server_name first; location / { return 200 first; }',
    asked:
      'a.example www.a.example www.shop.example www.de www.x.org www bob.home BOB.home www1.x b.c.home none first . a..b a.b. .a www.a.example.:8'
        .split(' ')
        .map((host) => ['/', `Host: ${host}`]),
  },
  'paths of the upstream, and the way back': {
    http: SPLIT,
    server: `location /api/ { proxy_pass http://<A>/base/; } location /root/ { proxy_pass http://<A>/; } location /bare { proxy_pass http://<A>/y; }
      location = /exact { proxy_pass http://<A>/one?two=3; } location /var/ { proxy_pass http://$v/fixed$uri$is_args$args; }
      location /same/ { proxy_pass http://$v$request_uri; } location /off/ { proxy_redirect off; proxy_pass http://<A>/; }
      location /own/ { proxy_redirect http://x.example/ /own/; proxy_redirect http://<A>/z/ https://z.example/; proxy_pass http://<A>; }
      location /rw/ { rewrite ^/rw/([^/]+)/(.*)$ /new/$2/$1 break; rewrite ^/rw/$ /only? break; proxy_pass http://<A>; }
      location /red { rewrite ^/red/(.*) /blue/$1 permanent; rewrite ^/red$ http://red.example/? redirect; proxy_pass http://<A>; }
      location /q { rewrite ^ /q2?x=$arg_x break; proxy_pass http://<A>; } location / { proxy_pass http://<A>; }`,
    asked: [
      ...'/api/x /api/ /api /api/a%20b?c=d%20e /api/%C3%A9%22 /api//x/../y /api/a"b /root/x /root/ /bare /bareback?x /exact /exact?four'.split(
        ' ',
      ),
      ...'/var/a?b /var/a%2Fb /same/%20x?y /off/x /rw/a/b/c?d /rw/?x=1 /rw/ /rw/a%20b/c /red/x?y=1 /red?a /red /q?x=1 /q?x=2&y'.split(
        ' ',
      ),
      ...['/api/', '/off/', '/own/', '/', '/root/', '/var/', '/rw/x/'].flatMap((path) =>
        [
          'http://<A>/',
          'http://<A>/base/x',
          'http://<A>/base',
          'http://x.example/q',
          '/rel',
          'http://<A>/z/1',
        ].map((to) => `${path}?status=302&to=${to}`),
      ),
    ],
  },
  'an upstream that if and set choose, by the split and by the request': {
    http: SPLIT,
    server: `location / { if ($v = "b") { proxy_pass http://b; } proxy_pass http://a; }
      location /set { set $up a; if ($v = b) { set $up b; } proxy_pass http://$up; }
      location /two { if ($v = a) { proxy_pass http://b; } if ($v = b) { proxy_pass http://a; } proxy_pass http://<A>; }
      location /both { set $up $v; if ($http_x = 1) { set $up b; } proxy_pass http://$up; }
      location /field { if ($v = b) { add_header X-B $v; } add_header X-V $v; proxy_pass http://a; }
      location /answer { if ($v = b) { return 302 /b; } proxy_pass http://a; }`,
    asked: ['/', '/set', '/two', '/both', '/field', '/answer'].flatMap((path) => [
      ...[1, 2, 3, 4, 5, 6].map((token) => `${path}?token=${token}&status=302&to=http://b/q`),
      [`${path}?token=1`, 'X: 1'],
      [`${path}?token=2`, 'X: 1'],
    ]),
  },
  'values of the response in its fields': {
    server: `location / { add_header X-Status "$status $upstream_status" always; add_header X-Was $upstream_http_x_up always;
      add_header X-Address $upstream_addr; proxy_pass http://<A>; } location /own { add_header X-Status "[$upstream_status]" always; return 404; }
      add_header X-Asked "$upstream_addr $upstream_status $status" always; error_page 503 =200 /sorry; location /dead { proxy_pass http://127.0.0.1:1; }
      location /caught { error_page 502 503 =200 /sorry; proxy_intercept_errors on; proxy_pass http://<A>; }
      location /gone { error_page 502 =200 /sorry; proxy_pass http://127.0.0.1:1; } location /sorry { return 200 "sorry"; }`,
    asked: ['/', '/?status=404', '/own', '/dead', '/caught?status=503', '/caught', '/gone'],
  },
  'error pages of fixed answers, of the upstream and of nginx itself': {
    http: 'upstream dead { server 127.0.0.1:1; } add_header X-Http 1 always;',
    server: `error_page 404 /404.html; error_page 410 /gone?a=b; error_page 502 504 =200 /sorry; error_page 403 @no; error_page 413 =499 /sorry; client_max_body_size 4;
      location = /404.html { internal; default_type text/html; add_header X-Page 1 always; return 200 "none at $request_uri ($uri)"; }
      location /gone { return 200 "$uri $args$is_args"; } location /sorry { add_header X-Sorry 1; return 503 "sorry"; } location @no { return 401 "no $uri"; }
      location /a { return 404; } location /b { return 410; } location /c { return 404 text; } location /d { return 403; } location /up { proxy_pass http://<A>; }
      location /caught { proxy_intercept_errors on; proxy_pass http://<A>; } location /dead { proxy_pass http://dead; }
      location /own { error_page 500 =301 https://x.example$request_uri; error_page 503 http://y.example/; error_page 503 /gone; location /own/500 { return 500; } location /own/503 { return 503; }
        location /own/404 { return 404; } location /own/up { proxy_intercept_errors on; proxy_pass http://<A>; } }
      location /bare { error_page 404 /bare403; error_page 402 = /sorry; error_page 409 =200 /moved; location /bare/4 { return 404; } location /bare/2 { return 402; } location /bare/9 { return 409; } }
      location /bare403 { return 403; } location /moved { return 302 /else; }`,
    asked: [
      ...'/ /nowhere?x=y /404.html /a /b /c /d /gone /sorry /up?status=404 /up?status=502 /caught?status=404 /caught?status=502 /caught?status=403'.split(
        ' ',
      ),
      ...'/caught?status=500 /caught /dead /own/500 /own/503 /own/404 /own/up?status=500 /own/up?status=503 /own/up?status=404'.split(
        ' ',
      ),
      ...'/bare/4 /bare/2 /bare/9'.split(' '),
      ['HEAD /a'],
      ['HEAD /dead'],
      ['POST /up', 'Content-Length: 9'],
      ['POST /a', 'Content-Length: 3'],
    ],
  },
  'error pages that a server inherits, and those of an upstream that is silent': {
    http: 'error_page 404 =200 /none; error_page 502 504 =503 /sorry; error_page 413 @large;',
    server: `proxy_read_timeout 1s; proxy_next_upstream off; client_max_body_size 4;
      location = /none { return 404 "none"; } location = /sorry { add_header X-Page "$request_method" always; return 200 "sorry"; }
      location @large { add_header X-Page large always; return 200 "too large"; } location /up { proxy_pass http://<A>; }
      location /caught { proxy_intercept_errors on; proxy_pass http://<A>; } location /dead { proxy_pass http://127.0.0.1:1; }
      location /own { error_page 502 504 =599 /sorry; location /own/dead { proxy_pass http://127.0.0.1:1; }
        location /own/up { proxy_intercept_errors on; proxy_pass http://<A>; } location /own/4 { return 404; } }`,
    asked: [
      ...'/nowhere /dead /up?hang /up?status=503 /up?status=504 /caught?status=503 /caught?status=504'.split(
        ' ',
      ),
      ...'/own/dead /own/up?status=504 /own/up?status=503 /own/up?status=404 /own/4 /own/none'.split(' '),
      ['POST /up', 'Content-Length: 9'],
      ['POST /nowhere', 'Content-Length: 3'],
      ['HEAD /dead'],
    ],
  },
  'answers by condition': {
    server: `if ($host = old.example) { return 301 https://new.example$request_uri; } set $where server;
      if ($http_x_block) { return 403; }
      location / { return 200 "$where rest"; }
      location /a { set $x ""; if ($arg_x = 1) { return 200 one; } if ($arg_x != 2) { set $x "not two $arg_x"; } return 200 "[$x]"; }
      location /b { if ($http_user_agent ~* "(bot|crawl)er") { add_header X-Bot "$http_user_agent"; return 200 "bot $1"; }
        if ($args !~ keep) { return 302 /kept?keep; } proxy_pass http://<A>; }
      location /c { add_header X-C outer; if ($arg_y) { add_header X-C inner; proxy_pass http://<A>; } return 200 c; }
      location /d { set $a "\${host}x"; set $b "$a$arg_q.y"; if ($uri ~ ^/d/(?<rest>.+)$) { set $b "$rest!$1"; } return 200 $b; }
      location /f { set $x bc; set $y "$arg_a$x"; if ($arg_c) { set $y "$host$x$arg_a$arg_c"; } add_header X-Y "$arg_a$y"; return 200 "$arg_a$x|$y|\${x}$x$arg_a"; }
      location /e { if ($arg_z = 1) { break; } return 200 e; proxy_pass http://<A>; }`,
    asked: [
      ['/', 'Host: old.example'],
      ['/a', 'Host: old.example'],
      ['/a', 'X-Block: 1'],
      ['/a', 'X-Block: 0'],
      ...'/ /a?x=1 /a?x=2 /a?x=3 /b /b?keep /c /c?y=1 /c?y=0 /d /d/more?q=1 /f?a=1&abc=2 /f?a=1&abc=2&c=3 /e /e?z=1'.split(
        ' ',
      ),
      ['/b?keep', 'User-Agent: CRAWLER'],
    ],
  },
} satisfies Record<string, Shape>);

interface Answer {
  readonly line: string;
  readonly fields: readonly string[];
  readonly body: string;
}

/** Fields that no file decides: the clock, the name of the program, and how the connection goes on. */
const OWN_FIELDS = /^(?:date|server|connection|x-splitter-error|keep-alive|allow)$/;

async function answersOf(port: number, address: string, asked: Shape['asked']): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const one of asked) {
    const [written = '', ...fields] = [one].flat();
    const target = written.replaceAll('<A>', address);
    const method = target.startsWith('/') ? 'GET' : target.split(' ')[0]!;
    const host = fields.some((field) => field.startsWith('Host:')) ? [] : ['Host: localhost'];
    const line = `${target.startsWith('/') ? 'GET ' : ''}${target} HTTP/1.1`;
    const client = await RawClient.connect(port);
    await client.send(`${[line, ...host, 'Connection: close', ...fields].join('\r\n')}\r\n\r\n`);
    const response = await client.response(method);
    client.close();
    answers.push({
      line: response.line,
      fields: response.fields
        .filter(([name]) => !OWN_FIELDS.test(name.toLowerCase()))
        .map(([name, value]) => `${name.toLowerCase()}: ${value.replace(/:(?:\d+)(?=\/)/, ':PORT')}`)
        .filter((field) => !field.startsWith('transfer-encoding') && !field.startsWith('content-length'))
        .sort(),
      body: response.body,
    });
  }
  return answers;
}

describe.skipIf(NGINX_VERSION === null)('answers of an nginx.conf', () => {
  let upstream: Server;
  let address = '';
  beforeAll(async () => {
    await loadPatternEngine();
    upstream = createServer((asked, response) => {
      if (asked.url!.endsWith('?hang')) return;
      const status = Number(/status=(\d+)/.exec(asked.url!)?.[1] ?? 200);
      const location = /to=([^&]*)/.exec(asked.url!)?.[1];
      const back = location === undefined ? {} : { Location: decodeURIComponent(location), Refresh: '3' };
      response.writeHead(status, {
        ...back,
        'X-Up': 'up',
        'Cache-Control': 'private',
        Expires: 'x',
        'X-Host': asked.headers.host,
        'X-Url': asked.url,
      });
      response.end(`${asked.method} ${asked.url}`);
    });
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    address = `127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    upstream.close().closeAllConnections();
  });

  it.each(Object.entries(SHAPES))(
    '%s: not one answer differs',
    async (_what, { http = '', server, asked }) => {
      const put = (text: string) => text.replaceAll('<A>', address);
      const text = `http { default_type text/plain; ${put(http).replaceAll('PORT', '0')}\nserver { listen 127.0.0.1:0; ${put(server)} } }`;
      const { config, problems, translation } = parseNginx(text, 'nginx.conf', { readInclude: () => [] });
      expect(formatProblems(problems ?? [])).toEqual([]);
      const again = parseConfig(stringify(translation!.document), 'import.yaml');
      expect(formatProblems(again.problems ?? [])).toEqual([]);
      expect(again.config).toEqual(config);

      const nginx = await startNginx(`server_tokens off; ${put(http)}`, put(server));
      onTestFinished(() => nginx.stop());
      const ambassador = new Ambassador(config!, { log: pino({ level: 'silent' }) });
      onTestFinished(() => ambassador.stop());
      await ambassador.start();
      const port = Number(/:(\d+)$/.exec(ambassador.listening[0]!)![1]);
      const [ours, theirs] = [
        await answersOf(port, address, asked),
        await answersOf(nginx.port, address, asked),
      ];
      const named = (answers: readonly Answer[]) =>
        answers.map((answer, at) => ({ asked: asked[at], ...answer }));
      expect(named(ours)).toEqual(named(theirs));
    },
  );
});

// Files as images and distributions ship them, what nginx itself refuses, and names that nginx compares in its own way.
import { describe, expect, it } from 'vitest';
import { asking, good, run } from '../../../support/nginx-conf.ts';

const OWN = `split_clients $arg_token $v { 50% a; * b; }
server { listen 8000; location / { proxy_pass http://$v; } }`;

const STOCK: Record<string, string> = {
  'the official image': `user nginx; worker_processes auto; error_log /var/log/nginx/error.log notice; pid /run/nginx.pid;
events { worker_connections 1024; }
http { include /etc/nginx/mime.types; default_type application/octet-stream;
  log_format main '$remote_addr - $remote_user [$time_local] "$request" ' '$status $body_bytes_sent';
  access_log /var/log/nginx/access.log main; sendfile on; #tcp_nopush on;
  keepalive_timeout 65; #gzip on;
  include /etc/nginx/conf.d/*.conf; }`,
  Debian: `user www-data; worker_processes auto; pid /run/nginx.pid; error_log /var/log/nginx/error.log;
include /etc/nginx/modules-enabled/*.conf;
events { worker_connections 768; # multi_accept on;
}
http { sendfile on; tcp_nopush on; types_hash_max_size 2048; # server_tokens off;
  include /etc/nginx/mime.types; default_type application/octet-stream;
  ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; # Dropping SSLv3, ref: POODLE
  ssl_prefer_server_ciphers on; access_log /var/log/nginx/access.log; gzip on;
  # gzip_vary on;
  include /etc/nginx/conf.d/*.conf; include /etc/nginx/sites-enabled/*; }`,
  'the image that runs without root': `worker_processes auto; error_log /var/log/nginx/error.log notice; pid /tmp/nginx.pid;
events { worker_connections 1024; }
http { proxy_temp_path /tmp/proxy_temp; client_body_temp_path /tmp/client_temp; fastcgi_temp_path /tmp/fastcgi_temp;
  uwsgi_temp_path /tmp/uwsgi_temp; scgi_temp_path /tmp/scgi_temp;
  include /etc/nginx/mime.types; default_type application/octet-stream; sendfile on; keepalive_timeout 65;
  include /etc/nginx/conf.d/*.conf; }`,
};

describe('main files as they are shipped', () => {
  it.each(Object.entries(STOCK))('%s', (_of, text) => {
    const { config } = good(text, { '/etc/nginx/conf.d/*.conf': OWN });
    expect([...config.splits.keys()]).toEqual(['v']);
  });

  it('gzip is said not to be done', () => {
    expect(good(asking({ http: 'gzip on;' })).notes.join('\n')).toContain('gzip: answers are not compressed');
  });
});

it('a file that proxies is told that bodies are not read whole first, unless it says so itself', () => {
  const told = (line: string) =>
    run(asking({ server: line }))
      .allNotes.join('\n')
      .includes('Content-Length');
  expect([told(''), told('proxy_request_buffering on;'), told('proxy_request_buffering off;')]).toEqual([
    true,
    true,
    false,
  ]);
});

describe('the error page of the official image', () => {
  const PAGE = 'error_page 500 502 503 504 /50x.html; location = /50x.html { root /usr/share/nginx/html; }';

  it('runs, and a note says that the built-in page is sent', () => {
    const { config, notes } = good(asking({ server: PAGE }));
    expect(notes).toContain(
      'error_page: no files are served, so errors that have a file there get the built-in page, with their status',
    );
    expect(config.routes.map(({ errorAnswers }) => errorAnswers)).toEqual(config.routes.map(() => undefined));
  });
});

describe("the default.conf of nginx's image, beside a file that splits", () => {
  it('is one line, which names the file and says what to do', () => {
    const files = {
      'conf.d/default.conf': `server {
    listen       80;
    listen  [::]:80;
    server_name  localhost;

    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }

    error_page   500 502 503 504  /50x.html;
    location = /50x.html {
        root   /usr/share/nginx/html;
    }
}
`,
      'conf.d/split.conf': 'server { listen 8000; location / { proxy_pass http://a; } }',
    };
    const { problems } = run('http { include conf.d/default.conf; include conf.d/split.conf; }', files);
    expect(problems).toEqual([
      'conf.d/default.conf:6:5 location: expected a proxy_pass or a return, because no files are served: delete this server or mount an empty file over this one if it is not needed, as conf.d/default.conf of the nginx image; else pass its requests to an nginx that has the files, got root and index alone',
    ]);
  });
});

describe('directives without effect', () => {
  const LEFT_OUT = `open_file_cache max=10; open_file_cache_valid 30s; etag off; if_modified_since exact; autoindex on;
    keepalive_time 1h; allow all; auth_basic off; proxy_cache off; rewrite_log on; msie_padding off; satisfy any;
    expires off; ssi off;`;

  it('are named in one note', () => {
    const [note, ...others] = good(asking({ server: LEFT_OUT })).notes.filter(
      (one) => !one.startsWith('Loc'),
    );
    expect(others).toEqual([]);
    for (const name of ['open_file_cache', 'etag', 'allow', 'auth_basic off', 'proxy_cache off', 'ssi off'])
      expect(note).toContain(name);
  });

  it.each([
    'deny 10.0.0.0/8;',
    'auth_basic "closed";',
    'proxy_cache zone;',
    'expires @3h;',
    'expires modified 1h;',
    'expires 5ms;',
    'ssi on;',
    'limit_rate 10k;',
  ])('the same directive with an effect is refused: %s', (line) => {
    expect(run(asking({ server: line })).problems).toHaveLength(1);
  });
});

describe('names', () => {
  it('of upstream blocks are compared without case', () => {
    const { config } = good(`upstream Blue { server 10.0.0.1; } upstream green { server 10.0.0.2; }
split_clients $arg_token $v { 50% blue; * GREEN; } server { listen 80; location / { proxy_pass http://$v; } }`);
    expect([...config.upstreams.values()].map(({ url }) => url?.host)).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  it('that several servers at one address have are those of the first one', () => {
    const server = (names: string, upstream: string) =>
      `server { listen 80; server_name ${names}; location / { proxy_pass http://${upstream}; } }\n`;
    const { config, notes } = good(
      server('first.example', 'f') +
        server('shop.example shop.example', 'a') +
        server('Shop.example www.shop.example', 'b'),
    );
    expect(config.routes.map(({ host, upstream }) => `${host} ${upstream}`)).toEqual([
      'undefined f',
      'shop.example a',
      'www.shop.example b',
    ]);
    expect(notes.join('\n')).toContain('server_name Shop.example: several servers at one address have it');
  });

  it('of the default server are kept from a later one', () => {
    const { config } = good(
      'server { server_name x; location / { proxy_pass http://a; } } server { server_name x y; location / { proxy_pass http://b; } }',
    );
    expect(config.routes.map(({ host, upstream }) => `${host} ${upstream}`)).toEqual(['undefined a', 'y b']);
  });
});

describe('the connections of an upstream block', () => {
  const poolOf = (lines: string) => {
    const { config } = good(asking({ http: `upstream a { server b; ${lines} }` }));
    const { idleTimeout, maxExchanges } = config.upstreams.get('a')!.pool;
    return { idleTimeout, maxExchanges };
  };

  it('that are kept obey its limits', () => {
    expect(poolOf('keepalive 8; keepalive_requests 3; keepalive_timeout 1s;')).toEqual({
      idleTimeout: 1000,
      maxExchanges: 3,
    });
  });

  it('have no limits where none is kept', () => {
    expect(poolOf('keepalive_requests 3; keepalive_timeout 1s;')).toEqual(poolOf(''));
  });
});

describe('what nginx refuses is refused', () => {
  const a = 'location / { proxy_pass http://a; }';
  it.each([
    [
      'two upstream blocks of one name',
      `upstream a { server b; } upstream A { server c; } server { ${a} }`,
      'once, got "A" again',
    ],
    [
      'two proxy_pass',
      'server { location / { proxy_pass http://a; proxy_pass http://b; } }',
      'got a second one',
    ],
    ['two equal addresses', `server { listen 80; listen 80; ${a} }`, 'got :80 again'],
    [
      'two default servers',
      `server { listen 80 default_server; ${a} } server { listen 80 default_server; server_name x; ${a} }`,
      'expected one default_server for :80',
    ],
    ['two http blocks', `http { server { ${a} } } http { }`, 'expected one http block'],
    [
      'a port for an upstream block',
      'upstream b { server c; } server { location / { proxy_pass http://b:80; } }',
      'b:80',
    ],
    [
      'log_format in a location',
      'server { location / { proxy_pass http://a; log_format x y; } }',
      'log_format in http',
    ],
    [
      'buffers of heads in a location',
      'server { location / { proxy_pass http://a; large_client_header_buffers 4 16k; } }',
      'in http or server',
    ],
  ])('%s', (_what, text, problem) => {
    const { problems } = run(text);
    expect(problems).toHaveLength(1);
    expect(problems![0]).toContain(problem);
  });
});

describe('proxy_next_upstream', () => {
  const three = 'upstream a { server 10.0.0.1; server 10.0.0.2; server 10.0.0.3; server 10.0.0.4 down; }';
  it.each<[string, object]>([
    ['', { attempts: 2, on: ['error', 'timeout'], timeout: 0 }],
    ['proxy_next_upstream off;', { attempts: 0 }],
    [
      'proxy_next_upstream error http_503 non_idempotent;',
      { attempts: 2, on: ['error', 'http_503', 'non_idempotent'] },
    ],
    ['proxy_next_upstream_tries 2; proxy_next_upstream_timeout 5s;', { attempts: 1, timeout: 5000 }],
    ['proxy_next_upstream_tries 1; proxy_next_upstream_timeout 0;', { attempts: 0, timeout: 0 }],
  ])('"%s" becomes retry', (lines, retry) => {
    const { config } = good(asking({ http: three, location: lines }));
    expect(config.upstreams.get('a')!.retry).toMatchObject(retry);
  });

  it('knows no other condition', () => {
    expect(run(asking({ location: 'proxy_next_upstream error http_418;' })).problems).toEqual([
      expect.stringContaining('got "http_418"'),
    ]);
  });
});

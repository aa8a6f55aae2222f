// What of an nginx.conf cannot be kept: every problem at once, with file and line.
import { beforeAll, describe, expect, it } from 'vitest';
import { loadPatternEngine } from '../../../../src/key/pattern.ts';
import { asking, run } from '../../../support/nginx-conf.ts';

beforeAll(loadPatternEngine);

const SECTION_1 = `split_clients $arg_token $appversion { 50% version_1a; * version_1b; }
server { listen 8000; location / { proxy_set_header Host $host; proxy_pass http://$appversion; } }
`;

const placeOf = (text: string, word: string) => {
  const before = text.slice(0, text.indexOf(word)).split('\n');
  return `nginx.conf:${before.length}:${before.at(-1)!.length + 1}`;
};

describe('what cannot be kept is told with file and line, all at once', () => {
  it.each<[what: string, text: string, word: string, problem: string]>([
    [
      'a regular expression in another location',
      asking({ server: 'location /x/ { location ~ \\.php$ { proxy_pass http://a; } }' }),
      'location ~',
      ' location: expected no regular expression in a location that has or is in another one, got "~ \\\\.php$"',
    ],
    [
      'a URI in proxy_pass of a regular expression',
      asking({ server: 'location ~ ^/x { proxy_pass http://a/y; }' }),
      'http://a/y',
      ' proxy_pass: expected no URI part in a location given by a regular expression or in an if, as in nginx, got "http://a/y"',
    ],
    [
      'an error page that an upstream writes',
      asking({ server: 'error_page 502 /sorry; location /sorry { proxy_pass http://a; }' }),
      'error_page',
      ' error_page: expected a location with a plain return; an error is never sent to an upstream or a file: write return 200 "…" there, or let the upstream write its own pages, got "/sorry"',
    ],
    [
      'a return of three words',
      asking({ location: 'return 200 a b;' }),
      'return',
      ' return: expected a status and a text or URL, or a URL, got 3 words',
    ],
    [
      'a return of a text without a status',
      asking({ location: 'return hello;' }),
      'hello',
      ' return: expected a status from 200 to 999, or a URL, got "hello"',
    ],
    [
      'a return of a status that nginx keeps for itself',
      asking({ location: 'return 495;' }),
      '495',
      ' return: expected a status that nginx sends as it is, from 200, got 495',
    ],
    [
      'a field without a value',
      asking({ location: 'add_header X-A;' }),
      'add_header',
      ' add_header: expected a field name, a value and perhaps "always", got "X-A"',
    ],
    [
      'an if without a block',
      asking({ location: 'if ($arg_a);' }),
      'if',
      ' if: expected a condition and a block, got "($arg_a)"',
    ],
    [
      'a comparison of no variable',
      asking({ location: 'if (a = b) { return 403; }' }),
      'if',
      ' if: expected a comparison of a variable, like ($http_x = "a"), got "(a = b)"',
    ],
    [
      'a share without a value',
      asking({ http: 'split_clients $arg_a $v { 50%; * b; }' }),
      '50%',
      ' split_clients: expected a share and a value, like "50% version_1a;", got "50%"',
    ],
    [
      'an error page of a location that is not there',
      asking({ server: 'error_page 502 @none;' }),
      'error_page',
      ' error_page: expected a location with this name in the server, got "@none"',
    ],
    [
      'an error page for a status below 400',
      asking({ server: 'error_page 301 /x;' }),
      'error_page',
      ' error_page: expected statuses from 400 to 599, perhaps =STATUS, and a path, a named location or a URL, got "301 /x"',
    ],
    [
      'if a file is there',
      asking({ location: 'if (-f $request_filename) { return 403; }' }),
      'if',
      ' if: expected a comparison of a variable, because no files are served, got "(-f $request_filename)"',
    ],
    [
      'a rewrite with more after it',
      asking({ server: 'rewrite ^/a /b; return 404;' }),
      'rewrite',
      ' rewrite: expected a regular expression, a path or URL, and perhaps last, redirect or permanent, in a location also break; without a flag nothing after it that looks at the new path, got "^/a /b"',
    ],
    [
      'a rewrite to what only the request says',
      asking({ server: 'rewrite ^/a/(.*) /$1 last; location /b { return 404; }' }),
      'rewrite',
      ' rewrite: expected a new path whose beginning decides its location, which has no rewrite or if that could change it again, got "/…"',
    ],
    [
      'a rewrite where a text reads the path',
      asking({ server: 'rewrite ^/a /b last;', location: 'proxy_set_header X-Path $uri;' }),
      'rewrite',
      ' rewrite: expected no text that reads what a rewrite changes: texts see the request as it came, got a text that reads $uri',
    ],
    [
      'a rewrite of the query where a text reads an argument',
      asking({ server: 'rewrite ^/a /b?x=1 last;', location: 'proxy_set_header X-Arg $arg_x;' }),
      'rewrite',
      ' rewrite: expected no text that reads what a rewrite changes: texts see the request as it came, got a text that reads the path or the arguments',
    ],
    [
      'an unknown directive with a near miss',
      asking({ server: 'client_max_bodysize 1m;' }),
      'client_max_bodysize',
      ': expected a directive that can be kept in server (did you mean "client_max_body_size"?), got "client_max_bodysize"',
    ],
    [
      'decompression',
      asking({ http: 'gunzip on;' }),
      'gunzip',
      ': expected a directive that can be kept in http (let the upstreams compress), got "gunzip"',
    ],
    [
      'a parameter of listen',
      asking({ server: 'listen 443 quic;' }),
      'listen 443',
      ' listen: expected an address with default_server, ssl, proxy_protocol, reuseport or socket options, got "quic"',
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
      'a Host that is no host',
      asking({ location: 'proxy_set_header Host "a b";' }),
      'proxy_set_header',
      ' proxy_set_header: expected Host $host, $http_host, $proxy_host, another text with variables, or a name with or without a port, got "a b"',
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
      'a hash of an unknown variable',
      asking({ http: 'upstream a { hash $bad; server b; }' }),
      '$bad',
      ' hash: expected a variable of $arg_NAME $http_NAME $cookie_NAME $remote_addr $host $uri $request_uri $request_method $args, got "$bad"',
    ],
    [
      'a set of the query',
      asking({ server: 'location /x { set $args x=1; proxy_pass http://a; }' }),
      'set $args',
      ' set: expected a variable of the file\'s own (the query goes after the URI of proxy_pass), got "$args"',
    ],
    [
      'a set of the rate',
      asking({ server: 'location /x { set $limit_rate 4k; proxy_pass http://a; }' }),
      'set $limit_rate',
      ' set: expected a variable of the file\'s own (rates are limited before or after the splitter), got "$limit_rate"',
    ],
    [
      'another kind of hash',
      asking({ http: 'upstream a { hash $uri ketama; server b; }' }),
      'hash',
      ' hash: expected a key, and perhaps consistent, got "ketama"',
    ],
    [
      'another way to choose a server',
      asking({ http: 'upstream a { random two least_time=header; server b; }' }),
      'random',
      ' random: expected nothing, two, or two least_conn, got "two least_time=header"',
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
      ' location: expected a proxy_pass or a return, because no files are served: delete this server or mount an empty file over this one if it is not needed, as conf.d/default.conf of the nginx image; else pass its requests to an nginx that has the files, got root alone',
    ],
    [
      'an unknown variable',
      SECTION_1.replace('http://$appversion', 'http://$apversion'),
      'http://$apversion',
      ' proxy_pass: expected variables of split_clients and map (did you mean "$appversion"?), got "$apversion"',
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
      'a Location rewritten by a regular expression',
      asking({ location: 'proxy_redirect ~^http://a/ /b/;' }),
      'proxy_redirect',
      ' proxy_redirect: expected off, default (without variables in proxy_pass), or a URL without variables and its replacement, got "~^http://a/ /b/"',
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
    for (const name of ['proxy_cache_purge', 'grpc_set_header', 'http3', 'gunzip']) {
      const { problems } = run(`server { ${name} x; location / { proxy_pass http://a; } }`);
      expect(problems).toEqual([expect.stringContaining(`got "${name}"`)]);
      expect(problems![0]).not.toContain('did you mean');
    }
  });

  it('the key of a split is told together with the other problems', () => {
    const text =
      'split_clients $bad $v { 50% a; * b; }\nserver { location / { add_trailer X Y; proxy_pass http://$v; } }';
    expect(run(text).problems).toEqual([
      'nginx.conf:1:15 split_clients: expected a variable of $arg_NAME $http_NAME $cookie_NAME $remote_addr $host $uri $request_uri $request_method $args, got "$bad"',
      expect.stringContaining('got "add_trailer"'),
    ]);
  });

  it('an empty value is no upstream, where the value itself is one', () => {
    const split = 'split_clients $arg_token $v { 50% a; * ""; }\n';
    const problem = 'nginx.conf:1:40 split_clients: expected the name of an upstream or a host, got ""';
    expect(run(`${split}server { location / { proxy_pass http://$v; } }`).problems).toEqual([problem]);
    const compared = 'if ($v = a) { proxy_pass http://a; } proxy_pass http://b;';
    expect(run(`${split}server { location / { ${compared} } }`).problems).toEqual([]);
  });

  it('problems of included files carry their own names', () => {
    expect(
      run('http { include a.conf; lissten 1; }', {
        'a.conf': 'server { alias a; location / { proxy_pass http://a; } }',
      }).problems,
    ).toEqual([
      'nginx.conf:1:24: expected a directive that can be kept in http (did you mean "listen"?), got "lissten"',
      'a.conf:1:10: expected a directive that can be kept in server (paths pass unchanged, and no files are served), got "alias"',
    ]);
  });
});

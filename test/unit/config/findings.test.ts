// Configurations that would run and not do what was meant: certain mistakes are problems, likely ones are warnings, and
// what is worth knowing is a note.
import { describe, expect, it } from 'vitest';
import { formatFinding } from '../../../src/config/findings.ts';
import { parseNginx } from '../../../src/config/nginx/translate.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { formatProblems } from '../../../src/config/problem.ts';

const AB =
  'variants: [{ name: a, share: 50%, upstream: "http://a" }, { name: b, share: "*", upstream: "http://b" }]';

/** Lines of the problems, or of the findings where there is none. */
const told = (text: string): string[] => {
  const outcome = parseConfig(text, 's.yaml');
  return outcome.problems !== undefined
    ? formatProblems(outcome.problems)
    : outcome.findings.map(formatFinding);
};
const keyed = (key: string, more = '') => told(`${more}splits:\n  s:\n    key: ${key}\n    ${AB}\n`);

describe('a key', () => {
  it.each([
    ['token', '(did you mean "$arg_token"?)'],
    ['"{token}"', '(did you mean "$arg_token"?)'],
    ['"%(token)s"', '(did you mean "$arg_token"?)'],
    ['"{{ token }}"', '(did you mean "$arg_token"?)'],
    ['user-id', '(did you mean "${arg_user-id}"?)'],
    ['cookie_uid', '(did you mean "$cookie_uid"?)'],
    ['remote_addr', '(did you mean "$remote_addr"?)'],
    ['"exp42:"', 'single quotes, \'$arg_token\', got "exp42:"'],
    ['"~^/u/([0-9]+)"', 'got "~^/u/([0-9]+)"'],
    ['[$arg_token, salt]', 's.key[1]: expected a variable like $arg_token in the key'],
  ])('of text alone is a problem: %s', (key, message) => {
    const [line, ...more] = keyed(key);
    expect(more).toEqual([]);
    expect(line).toMatch(
      /^s\.yaml:3:\d+ splits\.s\.key(\[1\])?: expected a variable like \$arg_token in the key, /,
    );
    expect(line).toContain(message);
  });

  it.each([
    [
      '$arg_user-id',
      'warning: s.yaml:3:10 splits.s.key: reads $arg_user and then the text "-id", as nginx does; write ${arg_user-id} for the longer name, or ${arg_user}-id to keep it as it is',
    ],
    [
      '"x:$http_x-user"',
      'warning: s.yaml:3:13 splits.s.key: reads $http_x and then the text "-user", as nginx does; write $http_x_user for the longer name, or ${http_x}-user to keep it as it is',
    ],
  ])('with a name that is cut at a hyphen is a warning at its place: %s', (key, line) => {
    expect(keyed(key)).toEqual([line]);
  });

  it.each(['${arg_user-id}', '${http_x-user}', '${cookie___Host-sid}', '${arg_user}-id', '$arg_a-$arg_b'])(
    'that is read as it is meant gets no warning: %s',
    (key) => expect(keyed(`'${key}'`)).toEqual([]),
  );

  it.each([
    ['[$remote_addr, $arg_token]', 's.key[1]: expected no entry after $remote_addr'],
    ['["x:$uri", $arg_token]', 's.key[1]: expected no entry after $uri'],
    ['[$host, $arg_token]', 's.key[1]: expected no entry after $host'],
    ['[{ mint: uid }, $arg_token]', 's.key[1]: expected no entry after a minted key'],
    ['[$arg_token, "${arg_token}"]', 's.key[1]: expected a variable that no earlier entry has'],
    ['[$arg_token, "exp:$ARG_TOKEN"]', 's.key[1]: expected a variable that no earlier entry has'],
    ['[$arg_a, $arg_b, "$arg_a$arg_b"]', 's.key[2]: expected a variable that no earlier entry has'],
    ['[$http_cookie, $cookie_uid]', 's.key[1]: expected a variable that no earlier entry has'],
    ['[$args, $arg_token]', 's.key[1]: expected a variable that no earlier entry has'],
    ['[{ remember: $remote_addr }]', 's.key[0].remember: expected a key that some requests do not have'],
    [
      '[{ remember: "x:$cookie_uid", cookie: uid }]',
      's.key[0].remember: expected a key that is not read from the cookie that remembers it',
    ],
  ])('with an entry that can never count is a problem: %s', (key, message) => {
    expect(keyed(key)).toEqual([expect.stringContaining(message)]);
  });

  it.each([
    ['"\'$arg_token\'"', 'has quotes around it, which are part of the key'],
    ['\'"$arg_token"\'', 'has quotes around it, which are part of the key'],
    [
      '"[$arg_token, $http_x_user]"',
      'is one text, not a list: each "[", "," and "]" is part of the key; only YAML has lists',
    ],
  ])('with signs that another reader takes off is a warning: %s', (key, message) => {
    expect(keyed(key)).toEqual([`warning: s.yaml:3:10 splits.s.key: ${message}`]);
  });

  it('that is always there makes missingKey pointless', () => {
    expect(told(`splits: { s: { key: [$arg_token, { mint: uid }], missingKey: reject, ${AB} } }`)).toEqual([
      expect.stringContaining(
        'splits.s.missingKey: has no effect: with a minted key no request is without a key',
      ),
    ]);
  });

  it.each([
    ['listen: "127.0.0.1:8000"\n', 'is that of this machine'],
    ['listen: "[::1]:8000"\n', 'is that of this machine'],
    ['listen: ["127.0.0.1:8000", "unix:/run/s.sock"]\n', 'is that of this machine'],
    ['listen: "unix:/run/s.sock"\n', 'is "unix:" for every client'],
  ])('of an address that all clients share is a warning: %j', (listen, reason) => {
    expect(keyed('$remote_addr', listen)).toEqual([
      expect.stringMatching(
        /^warning: .* splits\.s\.key: is the same for every request, so one variant gets all/,
      ),
    ]);
    expect(keyed('$remote_addr', listen)[0]).toContain(reason);
  });

  it('of an address that all clients share is a warning in a list too', () => {
    expect(keyed('[$arg_token, $remote_addr]', 'listen: "127.0.0.1:8000"\n')).toEqual([
      expect.stringMatching(
        /^warning: .* splits\.s\.key\[1\]: is the same for every request without an earlier key, so one variant gets all of them: \$remote_addr is that of this machine/,
      ),
    ]);
  });

  it.each([
    ['$uri', 'one client may get both variants'],
    ['$http_authorization', 'each time the credentials are renewed'],
    ['$http_x_forwarded_for', 'whole chain of addresses'],
  ])('that is often not meant is a note: %s', (key, note) => {
    expect(keyed(key)).toEqual([expect.stringMatching(/^note: s\.yaml:3:10 splits\.s\.key: /)]);
    expect(keyed(key)[0]).toContain(note);
  });

  it('that is the address of a sidecar or proxy before it is a warning', () => {
    expect(keyed('$remote_addr')).toEqual([
      expect.stringMatching(/^warning: s\.yaml:3:10 splits\.s\.key: .* in a sidecar that is the pod itself/),
    ]);
  });

  it('of a host or path that its only route fixes is a warning', () => {
    const routed = (key: string, route: string) =>
      told(`splits: { s: { key: ${key}, ${AB} } }\nroutes: [{ split: s, ${route} }]`);
    expect(routed('$host', 'host: shop.example')).toEqual([
      expect.stringContaining('$host is shop.example on all'),
    ]);
    expect(routed('$uri', 'path: /x, exact: true')).toEqual([expect.stringContaining('$uri is /x on all')]);
    expect(routed('$host$arg_token', 'host: shop.example')).toEqual([]);
  });
});

describe('a setting without effect', () => {
  const with_ = (more: string) => told(`splits: { s: { ${AB} } }\n${more}`);
  it.each([
    [
      'upstreams: { spare: { url: "http://spare" } }',
      'warning: s.yaml:2:14 upstreams.spare: is not used: no variant, route or fallback names this upstream',
    ],
    [
      'accessLog: { mode: errors, sample: 5% }',
      'accessLog.sample: has no effect: accessLog.mode is not sampled',
    ],
    ['assignments: { window: 2h }', 'assignments.window: has no effect: assignments.to is off'],
    ['upgrades: []\ntimeouts: { tunnelIdle: 5m }', 'timeouts.tunnelIdle: has no effect: upgrades is empty'],
    ['drain: { grace: 30s }', 'drain.grace: leaves no time'],
    [
      'upstreamDefaults: { tls: { serverName: a.example } }',
      'upstreamDefaults.tls: has no effect: no upstream is https://',
    ],
    [
      'upstreamDefaults: { eject: { failures: 0, time: 2s } }',
      'upstreamDefaults.eject.time: has no effect: eject.failures is 0',
    ],
    ['drain: { grace: 10s, deadline: 10s }', 'drain.grace: leaves no time'],
    ['upstreamDefaults: { pool: { idleTimeout: 10m } }', 'idleTimeout is longer than maxAge'],
    [
      'upstreamDefaults: { probe: { path: /, timeout: 10s } }',
      'upstreamDefaults.probe: timeout is longer than interval',
    ],
  ])('is a warning: %s', (more, line) => {
    expect(with_(more)).toEqual([expect.stringContaining(line)]);
    expect(with_(more)[0]).toMatch(/^warning: s\.yaml:\d+:\d+ /);
  });

  it.each([
    [
      '{ url: "http://10.0.0.1", eject: { failures: 2 } }',
      'u.eject: has no effect: the upstream has a single address',
    ],
    ['{ url: "unix:/run/a.sock", eject: { failures: 2 } }', 'u.eject: has no effect'],
    ['{ url: "http://u", pool: { maxQueued: 0, queueTimeout: 1s } }', 'u.pool.queueTimeout: has no effect'],
    ['{ servers: [{ url: "http://x" }, { url: "http://x" }] }', 'u.servers[1].url: is in the list already'],
    ['{ servers: [{ url: "http://x", backup: true }] }', 'u.servers: are all backup or down'],
    [
      '{ url: "http://u", onDown: { fallback: "http://u:80" } }',
      'u.onDown.fallback: leads to the same address',
    ],
    [
      '{ url: "http://u", setHeaders: { x-a: $http_x-user } }',
      'u.setHeaders.x-a: reads $http_x and treats the rest as text',
    ],
  ])('of an upstream is a warning: %s', (upstream, line) => {
    expect(told(`upstreams: { u: ${upstream} }\nroutes: [{ upstream: u }]`)).toEqual([
      expect.stringContaining(line),
    ]);
  });

  it('is not seen where a name may have several addresses', () => {
    expect(
      told('upstreams: { u: { url: "http://u", eject: { failures: 2 } } }\nroutes: [{ upstream: u }]'),
    ).toEqual([]);
  });

  it('is a split that no route names', () => {
    expect(told(`splits: { s: { ${AB} }, t: { ${AB} } }\nroutes: [{ split: s }]`)).toEqual([
      'warning: s.yaml:1:124 splits.t: is not used: no route names this split',
    ]);
  });
});

describe('a route', () => {
  const routed = (routes: string, listen = ':8000') =>
    told(`listen: ${listen}\nsplits: { s: { ${AB} } }\nroutes: [{ split: s }, ${routes}]`);

  it.each([
    ['{ listen: ":8000", upstream: "http://a" }', 'routes[0]: expected a route that some request reaches'],
    [
      '{ listen: ":8000", host: "*.x.example", upstream: "http://a" }, { host: a.b.x.example, path: /y, upstream: "http://b" }',
      'routes[2]: expected a route that some request reaches',
    ],
    [
      '{ host: x.example., upstream: "http://a" }',
      'routes[1].host: expected a host without a dot at its end',
    ],
  ])('that no request reaches is a problem: %s', (routes, line) => {
    expect(routed(routes)).toEqual([expect.stringContaining(line)]);
  });

  it('is reached where one address is left to it', () => {
    expect(routed('{ listen: ":8000", upstream: "http://a" }', '[":8000", ":8001"]')).toEqual([]);
    expect(routed('{ listen: ":8000", path: /a, upstream: "http://a" }')).toEqual([]);
  });

  it('with an encoded path is a warning, as it is compared with decoded ones', () => {
    expect(routed('{ path: /a%20b, upstream: "http://a" }')).toEqual([
      expect.stringContaining('routes[1].path: is compared with decoded paths; write "/a b"'),
    ]);
  });
});

describe('an upstream that is the splitter itself', () => {
  it.each([
    ['http://localhost:8000', 'own listen'],
    ['http://127.0.0.1:8000', 'own listen'],
    ['http://[::1]:8000', 'own listen'],
    ['http://localhost:9901', 'own admin'],
    ['http://0.0.0.0:8000', 'own listen'],
  ])('is a warning, as a second pass may be meant: %s', (url, message) => {
    expect(told(`routes: [{ upstream: "${url}" }]`)).toEqual([
      expect.stringMatching(new RegExp(`^warning: .*${message}`)),
    ]);
    expect(told(`upstreams: { u: { url: "${url}" } }\nroutes: [{ upstream: u }]`)).toEqual([
      expect.stringContaining(message),
    ]);
  });

  it('is none on another port, address or socket', () => {
    expect(told('routes: [{ upstream: "http://localhost:8001" }]')).toEqual([]);
    expect(told('listen: "10.0.0.1:8000"\nroutes: [{ upstream: "http://localhost:8000" }]')).toEqual([]);
    expect(told('listen: "unix:/a.sock"\nroutes: [{ upstream: "unix:/b.sock" }]')).toEqual([]);
  });
});

describe('an address', () => {
  const listening = (listen: string, admin = 'off') =>
    told(`listen: ${listen}\nadmin: ${admin}\nsplits: { s: { ${AB} } }`);
  it.each([
    ['[":8000", "127.0.0.1:8000"]', 'off', 's.yaml:1:19 listen[1]: expected no address besides :8000'],
    ['["0.0.0.0:8000", "localhost:8000"]', 'off', 'listen[1]: expected no address besides 0.0.0.0:8000'],
    ['"127.0.0.1:9901"', '":9901"', 'listen: expected no address besides :9901'],
  ])('that another one takes in is a problem: %s, admin %s', (listen, admin, line) => {
    expect(listening(listen, admin)).toEqual([expect.stringContaining(line)]);
  });

  it('beside others of its port is none', () => {
    expect(listening('["127.0.0.1:8000", "[::1]:8000", "10.0.0.1:8000"]')).toEqual([]);
    expect(listening('["0.0.0.0:8000", "[::1]:8000"]')).toEqual([]);
    expect(listening('["127.0.0.1:0", ":0"]')).toEqual([]);
  });
});

describe('a minted cookie', () => {
  const minted = (path: string, routes = '') =>
    told(`splits: { s: { key: [$arg_token, { mint: uid, path: ${path} }], ${AB} } }\n${routes}`);
  it('that does not come back to all routes is a warning', () => {
    expect(minted('/shop')).toEqual([
      expect.stringContaining('splits.s.key[1].path: keeps the cookie from requests outside /shop'),
    ]);
    expect(minted('/shop', 'routes: [{ path: /shop/, split: s }, { path: /x, split: s }]')).toHaveLength(1);
    expect(minted('/shop', 'routes: [{ path: /shop/, split: s }, { upstream: "http://a" }]')).toEqual([]);
    expect(minted('/')).toEqual([]);
  });
});

it('a warning does not repeat what may be a secret', () => {
  const [line] = told(
    'upstreams: { u: { url: "http://u", setHeaders: { authorization: "Bearer $http_x-s3cret" } } }\nroutes: [{ upstream: u }]',
  );
  expect(line).toContain('setHeaders.authorization: reads $http_x and treats the rest as text');
  expect(line).not.toContain('s3cret');
});

describe('a split that does not split', () => {
  const shares = (a: string, b: string, to = 'http://b') =>
    told(
      `splits: { s: { variants: [{ name: a, share: ${a}, upstream: "http://a" }, { name: b, share: "${b}", upstream: "${to}" }] } }`,
    );
  it('is a note where one variant takes everything, or all lead to one upstream', () => {
    expect(shares('0%', '*')).toEqual([
      expect.stringContaining('note: s.yaml:1:16 splits.s.variants: every key goes to b'),
    ]);
    expect(shares('50%', '*', 'http://a')).toEqual([
      expect.stringContaining('all variants lead to http://a: an A/A test'),
    ]);
  });

  it('is a warning where the rest is nothing', () => {
    expect(shares('100%', '*').join()).toContain('splits.s.variants[1].share: gets nothing');
  });
});

it('fifty are listed, the others are counted, however large the document is', () => {
  const spare = Array.from({ length: 5000 }, (_, i) => `  u${i}: { url: "http://u${i}" }`).join('\n');
  const routes = Array.from({ length: 5000 }, (_, i) => `  - { path: /p${i}, upstream: "http://x" }`).join(
    '\n',
  );
  const lines = told(`upstreams:\n${spare}\nroutes:\n${routes}\n`);
  expect(lines).toHaveLength(51);
  expect(lines.at(-1)).toBe('warning: s.yaml:1:1: 4950 more warnings and notes are not listed');
});

describe('an nginx.conf', () => {
  const nginx = (key: string) =>
    parseNginx(
      `split_clients ${key} $v { 50% a; * b; }\nserver { listen 8000; location / { proxy_pass http://$v; } }`,
      'nginx.conf',
      { readInclude: () => ({ got: 'none' }) },
    );

  it('runs what nginx runs: a certain mistake is a warning there', () => {
    const { config, findings } = nginx('constant');
    expect(config?.splits.get('v')?.key).toBe('constant');
    expect(findings?.map(formatFinding)).toEqual([
      'warning: nginx.conf:1:15 split_clients: reads no variable, so every request has the same key and one variant gets all (did you mean "$arg_constant"?)',
    ]);
  });

  it('is not warned of missingKey, which its translation wrote', () => {
    expect(nginx('$request_method').findings?.map(formatFinding)).toEqual([
      expect.stringMatching(/^note: nginx\.conf:1:15 split_clients: \$request_method has very few values/),
    ]);
  });

  it('is warned of a name that is cut at a hyphen', () => {
    expect(nginx('"$http_x-user"').findings?.map(formatFinding)).toEqual([
      expect.stringContaining('nginx.conf:1:15 split_clients: reads $http_x and then the text "-user"'),
    ]);
  });
});

describe('balance', () => {
  const upstream = (balance: string, more = 'routes: [{ upstream: u }]') =>
    told(`upstreams:\n  u: { url: "http://app:81", balance: ${balance} }\n${more}\n`);

  it('by the key of a split is without effect where no split leads', () => {
    expect(upstream('key')).toEqual([
      'warning: s.yaml:2:39 upstreams.u.balance: has no effect: no split leads to this upstream, so there is no key; write one as balance.key',
    ]);
    expect(upstream("{ key: '$cookie_sid' }")).toEqual([]);
    expect(
      upstream('key', 'splits: { s: { variants: [{ name: a, share: "*", upstream: u }] } }').filter((line) =>
        line.includes('balance'),
      ),
    ).toEqual([]);
  });

  it('is refused with a key that is none, reads nothing or has a skew below 1', () => {
    expect(upstream("{ key: '$nope' }")[0]).toContain('upstreams.u.balance.key: expected a variable of ');
    expect(upstream('{ key: sid }')[0]).toContain(
      "upstreams.u.balance.key: expected a variable like '$cookie_session', because a text alone",
    );
    expect(upstream('{ maxSkew: 0.5 }')).toEqual([
      's.yaml:2:50 upstreams.u.balance.maxSkew: expected a number from 1 to 100 like 1.25, got 0.5',
    ]);
    expect(upstream('ring')).toEqual([
      's.yaml:2:39 upstreams.u.balance: expected `load`, `key`, or a map like { key: \'$cookie_session\' }, got "ring"',
    ]);
  });
});

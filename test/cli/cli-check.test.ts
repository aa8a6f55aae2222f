// `check` as a person runs it: what it prints for a good configuration, all problems of a bad one, and its exit code.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CommandRun, runCommand } from '../support/command.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'check-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs `request-splitter check WORDS`; paths of the test's folder are shown as ./ */
async function check(
  words: readonly string[],
  environment: Record<string, string> = {},
): Promise<CommandRun> {
  const { code, out, err } = await runCommand(['check', ...words], { environment });
  return { code, out: out.replaceAll(`${folder}/`, './'), err: err.replaceAll(`${folder}/`, './') };
}

async function file(name: string, text: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

const SECTION_1 = `listen: ":8000"
admin: ":9901"
splits:
  appversion:
    key: $arg_token
    variants:
      - { name: version_1a, share: 50%, upstream: http://backend }
      - { name: version_1b, share: "*", upstream: http://backend-experiment }
`;

describe('a good configuration', () => {
  it('is told with each split, its variants, their shares and the exact range of hashes', async () => {
    const { code, out, err } = await check([await file('splitter.yaml', SECTION_1)]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.replace(/configuration [0-9a-f]{12}/, 'configuration HASH')).toBe(
      `./splitter.yaml: good, 2 variants in 1 split, 2 upstreams, configuration HASH

  listen  :8000
  admin   :9901

  split appversion: $arg_token by ranges; a request without a key goes to version_1b
    version_1a  50%      hashes 0 to 2147483646           http://backend
    version_1b  * = 50%  hashes 2147483647 to 4294967295  http://backend-experiment

  every request  -> split appversion
`,
    );
  });

  it('is told with the keys in their order, and with who can choose a variant', async () => {
    const text = (secret: string) => `splits:
  s:
    key: [$arg_token, { mint: uid, cookie: uid }]
    variants: [{ name: a, share: 100%, upstream: http://a }, { name: b, share: 0%, upstream: http://b }]
    override: { header: x-v, query: v, variants: [b]${secret} }
`;
    const outputs = [
      await check([await file('open.yaml', text(''))]),
      await check([await file('closed.yaml', text(', secret: correct-horse-battery'))]),
    ].map(({ out }) => out);
    expect(outputs[0]).toContain('  split s: $arg_token, else a minted $cookie_uid by ranges\n');
    expect(outputs[0]).toContain(
      'override: b by header x-v, query parameter v, for anybody, because it has no secret\n',
    );
    expect(outputs[1]).toContain(
      'override: b by header x-v, query parameter v, for anybody who has the secret\n',
    );
    expect(outputs[1]).not.toContain('horse');
  });

  it('is told with its routes, weights, parked variants and what happens without a key', async () => {
    const long = `listen: ["127.0.0.1:8000", "[::1]:8000", "unix:/run/s.sock"]
admin: off
upstreams: { a: { url: http://a }, b: { url: http://b } }
splits:
  one:
    missingKey: reject
    variants: [{ name: x, weight: 2, upstream: a }, { name: y, weight: 0, upstream: a }, { name: z, weight: 1, upstream: b }]
  two:
    key: $http_x_a$arg_b
    method: rendezvous
    variants: [{ name: x, share: 25%, upstream: a }, { name: y, share: 75%, upstream: b }]
routes:
  - { host: shop.example, path: /api/, split: one }
  - { split: two }
  - { path: /static/, upstream: a }
`;
    const { out } = await check([await file('long.yaml', long)]);
    expect(out.slice(out.indexOf('\n') + 2)).toBe(`  listen  127.0.0.1:8000, [::1]:8000, unix:/run/s.sock
  admin   off

  split one: $arg_token by ranges; a request without a key is refused with 400
    x  weight 2 = 66.6667%  hashes 0 to 2863311529           a
    y  weight 0 = 0%        no hashes                        a
    z  weight 1 = 33.3333%  hashes 2863311530 to 4294967295  b

  split two: $http_x_a$arg_b by rendezvous; a request without a key goes to y
    x  25%  a
    y  75%  b

  shop.example /api/   -> split one
  every request        -> split two
  every host /static/  -> upstream a
`);
  });

  it('is told with what comes before HTTP on an address, and what routes change on the way back', async () => {
    const text = `listen:
  - { address: ":8000", proxyProtocol: true }
  - { address: ":8443", proxyProtocol: true, tls: { certificate: /tls/tls.crt, key: /tls/tls.key } }
  - ":8080"
upstreams: { up: { url: http://x } }
routes:
  - path: /
    upstream: up
    setResponseHeaders: { X-Side: a, X-Other: b }
    errorAnswers: [{ statuses: [503, 502], respond: { status: 200, body: down } }]
  - { path: /ok, respond: { status: 200, body: ok }, setResponseHeaders: { X-Side: b } }
  - { path: /plain, upstream: up }
`;
    const { code, out } = await check([await file('changes.yaml', text)]);
    expect(code).toBe(0);
    expect(out).toContain('  listen  :8000 (PROXY protocol), :8443 (PROXY protocol, TLS), :8080\n');
    expect(out).toContain(`
  every request      -> upstream up  sets X-Side, X-Other; has its own answers for 502, 503
  every host /ok     -> answer 200   sets X-Side
  every host /plain  -> upstream up
`);
  });

  it('may come from the environment alone, and from --config, CONFIG or FILE', async () => {
    const split = { SPLIT: '50% http://backend; * http://backend-experiment' };
    expect((await check([], split)).out).toMatch(/^environment: good, 2 variants in 1 split, 2 upstreams, /);
    const path = await file('named.yaml', SECTION_1);
    expect((await check(['--config', path])).out).toMatch(/^\.\/named\.yaml: good/);
    expect((await check([], { CONFIG: path })).out).toMatch(/^\.\/named\.yaml: good/);
    expect((await check([path, '--listen', ':7'], { LISTEN: ':9' })).out).toMatch(/listen {2}:7\n/);
  });
});

describe('a configuration that would run and probably does not do what was meant', () => {
  const CUT = SECTION_1.replace('$arg_token', '$arg_user-id');
  const WARNING =
    'warning: ./cut.yaml:5:10 splits.appversion.key: reads $arg_user and then the text "-id", as nginx does; write ${arg_user-id} for the longer name, or ${arg_user}-id to keep it as it is';

  it('is told with its warnings after the summary and exit code 0, with --strict 1', async () => {
    const path = await file('cut.yaml', CUT);
    const { code, out, err } = await check([path]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out.split('\n')[0]).toMatch(
      /^\.\/cut\.yaml: good, 2 variants in 1 split, 2 upstreams, 1 warning, configuration \w{12}$/,
    );
    expect(out.endsWith(`\n\n${WARNING}\n`)).toBe(true);
    expect((await check([path, '--strict'])).code).toBe(1);
    expect((await check([await file('good.yaml', SECTION_1), '--strict'])).code).toBe(0);
  });

  it('prints its warnings alone with --quiet, and a good one nothing', async () => {
    const path = await file('cut.yaml', CUT);
    expect(await check([path, '--quiet'])).toEqual({ code: 0, out: `${WARNING}\n`, err: '' });
    expect(await check([await file('good.yaml', SECTION_1), '--quiet'])).toEqual({
      code: 0,
      out: '',
      err: '',
    });
  });
});

describe('check --json', () => {
  it('is version 1: problems, warnings, notes, hash and the splits with exact ranges', async () => {
    const { code, out } = await check([
      await file('json.yaml', SECTION_1.replace('$arg_token', '$arg_a-b')),
      '--json',
    ]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      version: 1,
      good: true,
      source: './json.yaml',
      hash: expect.stringMatching(/^[0-9a-f]{12}$/),
      problems: [],
      warnings: [
        {
          at: './json.yaml:5:10',
          path: 'splits.appversion.key',
          message: expect.stringContaining('reads $arg_a and then the text "-b"'),
        },
      ],
      notes: [],
      listen: [':8000'],
      admin: ':9901',
      splits: {
        appversion: {
          key: ['$arg_a-b'],
          method: 'ranges',
          missingKey: 'default',
          control: 'version_1b',
          experiment: null,
          variants: [
            {
              name: 'version_1a',
              share: '50%',
              shareRatio: expect.closeTo(0.5, 6),
              upstream: 'http://backend',
              range: { from: 0, end: 2147483647 },
            },
            {
              name: 'version_1b',
              share: '50%',
              shareRatio: expect.closeTo(0.5, 6),
              upstream: 'http://backend-experiment',
              range: { from: 2147483647, end: 4294967296 },
            },
          ],
        },
      },
      routes: [{ listen: null, host: null, path: '/', exact: false, split: 'appversion' }],
      upstreams: ['http://backend', 'http://backend-experiment'],
    });
  });

  it('has the problems of one that is not good, on standard output and with exit code 1', async () => {
    const path = await file('json.yaml', SECTION_1.replace('$arg_token', 'token'));
    const { code, out, err } = await check([path, '--json']);
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expect(JSON.parse(out)).toMatchObject({
      version: 1,
      good: false,
      hash: null,
      problems: [{ at: './json.yaml:5:10', path: 'splits.appversion.key', got: '"token"' }],
      warnings: [],
      splits: {},
      admin: null,
    });
  });
});

describe('a configuration that is not good', () => {
  it('gets all its problems on standard error and exit code 1', async () => {
    const text = SECTION_1.replace('50%', '25.125%')
      .replace('listen', 'lisen')
      .replace('$arg_token', '$args_token');
    const { code, out, err } = await check([await file('bad.yaml', text)]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err.split('\n')).toEqual([
      './bad.yaml:1:1 lisen: expected a known option (did you mean "listen"?), got "lisen"',
      expect.stringMatching(/^\.\/bad\.yaml:5:10 splits\.appversion\.key: expected .*, got "\$args_token"/),
      './bad.yaml:7:36 splits.appversion.variants[0].share: expected a percentage from 0% to 100% with two decimals at most, or "*" for the rest, got "25.125%"',
      '',
    ]);
  });

  it.each<[string, string | Uint8Array, string]>([
    [
      'an empty file',
      '',
      './f.yaml:1:1: expected a configuration with listen, splits, …, got an empty file\n',
    ],
    [
      'a program',
      Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 0x02, 0x01, 0, 0]),
      './f.yaml:1:1: expected YAML text in UTF-8, got binary data (the byte 0x7f)\n',
    ],
    [
      'bytes that are no text',
      Uint8Array.from([0x61, 0xff]),
      './f.yaml:1:2: expected YAML text in UTF-8, got binary data (no UTF-8)\n',
    ],
    [
      '10 MiB',
      Buffer.alloc(10 * 1024 * 1024, 'a: b\n'),
      './f.yaml: expected a configuration of at most 1 MiB, got 10.0 MiB\n',
    ],
  ])('%s is told in one line', async (_what, bytes, line) => {
    expect(await check([await file('f.yaml', bytes)])).toEqual({ code: 1, out: '', err: line });
  });

  it('a file that is not there, or is a directory, is told by name', async () => {
    expect(await check([join(folder, 'gone.yaml')])).toEqual({
      code: 1,
      out: '',
      err: './gone.yaml: expected a file that can be read, got no such file\n',
    });
    expect((await check([folder])).err).toMatch(/: expected a file, got a directory\n$/);
  });
});

describe('wrong usage', () => {
  it('two files, or an unknown flag, is exit code 2', async () => {
    const both = await check(['a.yaml', '--config', 'b.yaml']);
    expect(both).toMatchObject({
      code: 2,
      err: expect.stringContaining('error: FILE and --config name two configurations; give one of them\n'),
    });
  });
});

// A label of 64 letters: refused by the resolver itself, so no question leaves this machine.
const TOO_LONG = 'a'.repeat(64);

describe('check --dns', () => {
  it('looks every upstream up, connects to each address, and is exit code 1 when one cannot be reached', async () => {
    await using server = createServer((socket) => socket.resume().end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const path = await file(
      'dns.yaml',
      `upstreams:
  here: { url: "http://127.0.0.1:${port}" }
  nobody: { url: "unix:${folder}/none.sock" }
  nowhere: { url: "http://${TOO_LONG}" }
routes: [{ upstream: here }, { path: /a, upstream: nobody }, { path: /b, upstream: nowhere }]
`,
    );
    const { code, out } = await check([path, '--dns']);
    expect(code).toBe(1);
    expect(out.replaceAll(String(port), 'PORT').split('\n').slice(-4, -1)).toEqual([
      expect.stringMatching(/^ {2}upstream here {5}127\.0\.0\.1:PORT +accepts connections$/),
      expect.stringMatching(/^ {2}upstream nobody {3}\.\/none\.sock +connect failed \(ENOENT\)$/),
      expect.stringMatching(/^ {2}upstream nowhere {2}a+ +its name is not found \(\w+\)$/),
    ]);
  });
});

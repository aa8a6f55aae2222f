// explain, simulate, plan and import beyond the examples of the documentation: what they answer, and with which exit code.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { LibraryView } from '../../src/split/request.ts';
import { Splitter } from '../../src/split/splitter.ts';
import { runCommand } from '../support/command.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'answers-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

const SPLIT = { SPLIT: 'a=50% http://a; b=* http://b' };
const LONG = `splits:
  one: { missingKey: reject, variants: [{ name: x, share: "*", upstream: http://x }] }
  two: { key: $remote_addr, variants: [{ name: y, share: "*", upstream: http://y }] }
routes:
  - { host: shop.example, split: one }
  - { path: /two/, split: two }
  - { path: /static/, upstream: http://static }
`;

describe('explain', () => {
  it('follows the routes by host and path, to a split or straight to an upstream', async () => {
    const config = ['--config', await file('long.yaml', LONG)];
    const first = async (...words: string[]) => {
      const { code, out } = await runCommand(['explain', ...config, ...words]);
      return [code, out.split('\n')[0]];
    };
    expect(await first('/?token=1', '--host', 'shop.example')).toEqual([0, '/?token=1 goes to x (http://x)']);
    expect(await first('/two/', '--address', '10.0.0.1')).toEqual([0, '/two/ goes to y (http://y)']);
    expect(await first('/static/a.css')).toEqual([
      0,
      '/static/a.css goes to upstream http://static, because its route has no split',
    ]);
    expect(await first('/', '--of', 'two')).toEqual([0, '/ goes to y (http://y)']);
  });

  it('names the fields that a route sets and its answers in place of errors', async () => {
    const text = `upstreams: { up: { url: http://x } }
routes:
  - path: /
    upstream: up
    setResponseHeaders: { X-Side: a, X-Other: b }
    errorAnswers:
      - { statuses: [502], respond: { status: 200, body: down } }
      - { statuses: [502, 404], respond: { status: 404, body: none }, keepStatus: true }
  - { path: /ok, respond: { status: 200, body: ok }, setResponseHeaders: { X-Side: b } }
`;
    const config = ['--config', await file('changes.yaml', text)];
    expect((await runCommand(['explain', ...config, '/'])).out).toBe(
      `/ goes to upstream up, because its route has no split

  fields  X-Side, X-Other of the response
  errors  404 by its own answer, 502 by 200
`,
    );
    expect((await runCommand(['explain', ...config, '/ok'])).out).toBe(
      `/ok is answered with 200 by its route, without an upstream

  fields  X-Side of the response
`,
    );
  });

  it('tells a refusal as the data plane would refuse it, with exit code 1', async () => {
    const config = ['--config', await file('long.yaml', LONG)];
    const refused = async (...words: string[]) => {
      const { code, out } = await runCommand(['explain', ...config, ...words]);
      return [code, out.split('\n')[0]];
    };
    expect(await refused('/none')).toEqual([
      1,
      '/none is refused with 404 NO_ROUTE: no route matches this host and path',
    ]);
    expect((await refused('/', '--host', 'shop.example'))[1]).toMatch(
      /^\/ is refused with 400 KEY_MISSING: /,
    );
    expect((await refused('/a b'))[1]).toMatch(/^\/a b is refused with 400 /);
    expect((await refused('/', '-H', 'Bad Field: x'))[1]).toMatch(/is refused with 400 BAD_FIELD: /);
  });

  it('takes tokens byte for byte, and prints JSON of version 1', async () => {
    const { code, out } = await runCommand(['explain', '--json', '/?token=é'], { environment: SPLIT });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      version: 1,
      split: 'default',
      hash: 876201565,
      key: '\\xc3\\xa9',
      variant: 'a',
      upstream: 'http://a',
      range: { from: 0, end: 2147483647 },
      reason: 'share',
    });
  });

  it('without a good configuration, or of a split that does not exist, explains nothing', async () => {
    const bad = await runCommand(['explain', '/'], { environment: { SPLIT: '5 http://a' } });
    expect(bad).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining('SPLIT:1: expected a percentage'),
    });
    const wrong = await runCommand(['explain', '/', '--of', 'none'], { environment: SPLIT });
    expect(wrong).toMatchObject({
      code: 2,
      err: expect.stringContaining('error: expected --of to name one of: default, got "none"'),
    });
  });
});

describe('simulate', () => {
  const splitter = new Splitter('default', {
    key: '$arg_token',
    method: 'ranges',
    missingKey: 'default',
    variants: [
      { name: 'a', share: 5000, upstream: 'http://a' },
      { name: 'b', share: null, upstream: 'http://b' },
    ],
  });

  it('gives the same answer for the same seed, another for another one', async () => {
    const run = async (...words: string[]) =>
      (await runCommand(['simulate', '-n', '2000', ...words], { environment: SPLIT })).out;
    expect(await run()).toBe(await run());
    expect(await run('--seed', '2')).not.toBe(await run());
  });

  it('counts a repeated key once, a request without a key not at all', async () => {
    const input = '/x?token=alice\n/y?token=alice\n/z\nuser-42\r\n\n"GET /?token=abc HTTP/1.1"';
    const { code, out } = await runCommand(['simulate', '--stdin', '--json'], { environment: SPLIT, input });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      version: 1,
      split: 'default',
      requests: 5,
      unreadable: 0,
      undetermined: 0,
      withoutKey: 1,
      notEnrolled: 0,
      notTargeted: 0,
      uniqueKeys: 3,
      variants: [
        { name: 'a', share: '50%', shareRatio: expect.closeTo(0.5, 8), keys: 2, requests: 3 },
        { name: 'b', share: '50%', shareRatio: expect.closeTo(0.5, 8), keys: 1, requests: 2 },
      ],
      chiSquare: null,
      degrees: 1,
      pValue: null,
      largestDeviationRatio: expect.closeTo(1 / 3, 6),
      isMismatch: false,
      isOneSided: false,
    });
  });

  const LOG = (address: string, token: string) =>
    `${address} - - [x] "GET /?token=${token} HTTP/1.1" 200 5 "-" "agent"\n`;
  const simulate = (key: string, input: string, ...words: string[]) =>
    runCommand(['simulate', '--stdin', '--json', '--key', key, ...words], { environment: SPLIT, input });

  it('reads the address and the agent of a log, and leaves out what is no request', async () => {
    const input = `${Array.from({ length: 40 }, (_, i) => LOG(`10.0.0.${i}`, 'x')).join('')}1.2.3.4 - - [x] "\\x16\\x03" 400 0\n1.2.3.4 - - [x] "-" 408 0\nsome garbage\n`;
    const { code, out } = await simulate('$remote_addr', input);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ requests: 40, unreadable: 3, withoutKey: 0, uniqueKeys: 40 });
    const agents = await simulate('$http_user_agent', input);
    expect(JSON.parse(agents.out)).toMatchObject({ requests: 40, uniqueKeys: 1 });
  });

  it('is wrong usage for a key that a log does not hold', async () => {
    for (const line of [LOG('10.0.0.1', 'x'), '/x?token=1\n']) {
      expect(await simulate('$cookie_uid', line)).toEqual({
        code: 2,
        out: '',
        err: expect.stringContaining(
          'error: a log or request target does not contain $cookie_uid, which the key reads; give tokens, one in a line\n',
        ),
      });
    }
    expect((await simulate('$cookie_uid', 'token-1\ntoken-2\n')).code).toBe(0);
  });

  it('leaves out lines whose key may be where a log does not tell', async () => {
    const config = await file(
      'list.yaml',
      'splits: { s: { key: [$arg_token, $http_x_user, { mint: uid }], variants: [{ name: a, share: 50%, upstream: "http://a" }, { name: b, share: "*", upstream: "http://b" }] } }',
    );
    const { code, out } = await runCommand(['simulate', '--config', config, '--stdin'], {
      input: `${LOG('10.0.0.1', 'x')}${LOG('10.0.0.1', '')}`,
    });
    expect(code).toBe(0);
    expect(out).toContain('\n1 line was skipped, because a log may lack the key\n');
  });

  it('is exit code 1 where one variant gets all of many requests, or there is none', async () => {
    const same = await simulate('$remote_addr', LOG('10.0.0.1', 'x').repeat(200));
    expect(same.code).toBe(1);
    expect(JSON.parse(same.out)).toMatchObject({ isOneSided: true, uniqueKeys: 1 });
    const parked = await runCommand(['simulate', '--split', '0% http://a; * http://b', '-n', '200'], {});
    expect(parked).toMatchObject({
      code: 1,
      out: expect.stringContaining('b gets every request with a key: this is not a split'),
    });
    expect((await simulate('$remote_addr', LOG('10.0.0.1', 'x').repeat(100))).code).toBe(0);
    const none = await runCommand(['simulate', '--stdin'], { environment: SPLIT, input: '' });
    expect(none).toMatchObject({
      code: 1,
      out: expect.stringContaining('no requests: there is nothing to compare\n'),
    });
  });

  it('tells what is probably not meant on standard error', async () => {
    expect((await runCommand(['simulate', '--key', '$http_x-user'], { environment: SPLIT })).err).toMatch(
      /^warning: --key: reads \$http_x and then the text "-user"/,
    );
  });

  it('is exit code 1 for a sample that chance does not explain', async () => {
    const tokens = Array.from({ length: 100 }, (_, index) => `user-${index}`);
    const { out } = await runCommand(['simulate', '--json', ...tokens], { environment: SPLIT });
    expect(JSON.parse(out)).toMatchObject({ isMismatch: false, uniqueKeys: 100 });
    const onlyA = tokens.filter(
      (token) => splitter.decide(new LibraryView({ url: `/?token=${token}` })).variant!.name === 'a',
    );
    const mismatch = await runCommand(['simulate', ...onlyA], { environment: SPLIT });
    expect(mismatch).toMatchObject({
      code: 1,
      out: expect.stringContaining('NOT consistent with the shares'),
    });
  });

  it('needs to know which split, where there are several', async () => {
    const config = await file('long.yaml', LONG);
    expect(await runCommand(['simulate', '--config', config])).toMatchObject({
      code: 2,
      err: expect.stringContaining('error: --of: expected one of the splits one, two, got nothing'),
    });
    expect((await runCommand(['simulate', '--config', config, '--of', 'two', '-n', '10'])).out).toContain(
      'split two:',
    );
  });

  it.each([
    [['-n', 'many'], 'expected a whole number'],
    [['a', '--stdin'], 'TOKEN and --stdin name two sources'],
  ])('%j is wrong usage', async (words, sentence) => {
    expect(await runCommand(['simulate', ...words], { environment: SPLIT })).toMatchObject({
      code: 2,
      err: expect.stringContaining(sentence),
    });
  });
});

describe('plan', () => {
  const split = (name: string, share: string, more = '') =>
    `splits: { ${name}: { ${more} variants: [{ name: a, share: ${share}, upstream: http://a }, { name: b, share: "*", upstream: http://b }] } }\n`;

  it('tells splits that are new or gone, and what else changes', async () => {
    const gone = await runCommand([
      'plan',
      await file('1.yaml', split('old', '50%')),
      await file('2.yaml', split('new', '50%')),
    ]);
    expect(gone).toEqual({ code: 0, out: 'split old is gone\nsplit new is new\n', err: '' });
    const after = split('old', '50%', 'key: "x:$arg_token", method: rendezvous, missingKey: first,').replace(
      'http://b',
      'http://c',
    );
    const { out } = await runCommand([
      'plan',
      join(folder, '1.yaml'),
      await file('3.yaml', after),
      '--samples',
      '1000',
    ]);
    expect(out.split('\n').slice(-6, -1)).toEqual(
      [
        '',
        '  key: $arg_token becomes x:$arg_token; keys without one of them were left out',
        '  method: ranges becomes rendezvous',
        '  missingKey: default becomes first',
        '  b: upstream http://b becomes http://c',
      ].slice(0),
    );
  });

  it('takes an nginx.conf on either side', async () => {
    const nginx = await file(
      'old.conf',
      'split_clients $arg_token $v { 50% a; * b; }\nupstream a { server a; }\nupstream b { server b; }\nserver { listen 8000; location / { proxy_pass http://$v; } }\n',
    );
    const yaml = await file('new.yaml', split('v', '40%', 'missingKey: first,'));
    const there = await runCommand(['plan', nginx, yaml]);
    expect(there).toMatchObject({ code: 0, err: '' });
    expect(there.out).toBe(`split v: 10% of all keys move (exact)

  from \\ to    a    b
  a          40%  10%
  b            .  50%
`);
    const named = await file('named.yaml', split('appversion', '50%', 'missingKey: first,'));
    expect((await runCommand(['plan', nginx, named])).out).toContain('split v: 0% of all keys move (exact)');
    const back = await runCommand(['plan', yaml, nginx, '--json']);
    expect(JSON.parse(back.out)).toMatchObject({
      version: 1,
      splits: [{ split: 'v', plan: { isExact: true } }],
    });
  });

  it('says that a variant was renamed where its upstream is the same', async () => {
    const files = [
      await file('name.yaml', split('s', '50%')),
      await file('renamed.yaml', split('s', '50%').replace('name: a,', 'name: quick,')),
    ];
    expect((await runCommand(['plan', ...files])).out).toContain(
      '  quick: leads to the same upstream as a did; renamed, its keys stay where they were\n',
    );
  });

  it('is exit code 1 only when more than --max-moved moves', async () => {
    const files = [await file('50.yaml', split('s', '50%')), await file('60.yaml', split('s', '60%'))];
    expect(await runCommand(['plan', ...files, '--max-moved', '10%'])).toMatchObject({ code: 0, err: '' });
    expect(await runCommand(['plan', ...files, '--max-moved', '9.99%'])).toMatchObject({
      code: 1,
      err: 'more than 9.99% of all keys move: s (10%)\n',
    });
    expect((await runCommand(['plan', ...files, '--max-moved', 'few'])).code).toBe(2);
  });

  it('is exit code 1 when a later step of the new file moves more than --max-moved', async () => {
    const steps = '{ at: "2030-01-01T00:00Z", to: 2% }, { at: "2030-01-02T00:00Z", to: 52% }';
    const files = [
      await file('before.yaml', split('s', '50%', 'coverage: 0%,')),
      await file('steps.yaml', split('s', '50%', `coverage: { steps: [${steps}] },`)),
    ];
    const plan = ['plan', ...files, '--at', '2029-12-31T00:00Z', '--max-moved'];
    expect(await runCommand([...plan, '10%'])).toMatchObject({
      code: 1,
      err: 'more than 10% of all keys move: s (25% at 2030-01-02T00:00Z)\n',
    });
    expect((await runCommand([...plan, '25%'])).code).toBe(0);
  });

  it('is about the files as they are: no variable stands above them', async () => {
    const files = [await file('50.yaml', split('s', '50%')), await file('60.yaml', split('s', '60%'))];
    const { out } = await runCommand(['plan', ...files, '--json'], { environment: SPLIT });
    expect(JSON.parse(out).splits[0].plan).toMatchObject({ isExact: true, moved: expect.closeTo(0.1, 8) });
  });
});

describe('import', () => {
  const NGINX = `split_clients $arg_token $appversion { 50% version_1a; * version_1b; }
server { listen 8000; location / { proxy_set_header Host $host; proxy_pass http://$appversion; } }
`;

  it('prints YAML that is the very configuration that --nginx runs', async () => {
    const nginx = await file('nginx.conf', NGINX);
    const { code, out } = await runCommand(['import', nginx]);
    expect(code).toBe(0);
    const yaml = await file('imported.yaml', out);
    const hash = async (...words: string[]) =>
      /configuration (\w{12})/.exec((await runCommand(['check', ...words])).out)?.[1];
    expect(await hash(yaml)).toMatch(/^\w{12}$/);
    expect(await hash(yaml)).toBe(await hash('--nginx', nginx));
    expect(parse(out).splits.appversion.missingKey).toBe('first');
  });

  it('tells what cannot be kept, and prints nothing then', async () => {
    const nginx = await file('odd.conf', NGINX.replace('proxy_pass', 'perl a::b; proxy_pass'));
    const { code, out, err } = await runCommand(['import', nginx]);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(
      /odd\.conf:2:65: expected a directive that can be kept in location \(values cannot be computed here; the split reads its key directly\), got "perl"\n$/,
    );
  });
});

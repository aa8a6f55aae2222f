// Which configuration is read: the named file, else the default one, else flags and environment alone.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { formatProblems } from '../../../src/config/problem.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'load-'));
  await writeFile(join(folder, 'default.yaml'), 'routes: [{ upstream: http://default }]');
  await writeFile(join(folder, 'named.yaml'), 'routes: [{ upstream: http://named }]');
});
afterAll(() => rm(folder, { recursive: true }));

const load = async (
  flags: Record<string, string>,
  environment: Record<string, string>,
  standard = 'default.yaml',
  nginx = 'none.conf',
) => {
  const options = {
    defaultFile: join(folder, standard),
    nginxFile: join(folder, nginx),
  };
  const loaded = await loadConfig({ flags, environment }, options);
  const file = loaded.file?.replace(`${folder}/`, '') ?? null;
  if (loaded.problems !== undefined) {
    return {
      file,
      problems: formatProblems(loaded.problems).map((line) => line.replaceAll(`${folder}/`, '')),
    };
  }
  return { file, upstreams: [...loaded.config.upstreams.keys()] };
};

it('a file named by a flag stands above one named by the environment, and both above the default file', async () => {
  const named = join(folder, 'named.yaml');
  const standard = join(folder, 'default.yaml');
  const fromNamed = { file: 'named.yaml', upstreams: ['http://named'] };
  expect(await load({ config: named }, { CONFIG: standard })).toEqual(fromNamed);
  expect(await load({}, { CONFIG: named })).toEqual(fromNamed);
  expect(await load({}, {})).toEqual({ file: 'default.yaml', upstreams: ['http://default'] });
});

it('without any file SPLIT is the configuration', async () => {
  const loaded = await load({}, { SPLIT: '* http://a' }, 'none.yaml');
  expect(loaded).toEqual({ file: null, upstreams: ['http://a'] });
});

it('a named file that is missing is a problem, even when SPLIT is given', async () => {
  const loaded = await load({ config: join(folder, 'gone.yaml') }, { SPLIT: '* http://a' });
  expect(loaded.problems).toEqual(['gone.yaml: expected a file that can be read, got no such file']);
});

it('nothing at all is told with every way to say it', async () => {
  expect((await load({}, {}, 'none.yaml')).problems).toEqual([
    'configuration: expected a file named by --config or CONFIG, or none.yaml, or variants in --split or SPLIT, got none of them',
  ]);
});

describe('the secret of an override', () => {
  const SECRET = 'correct-horse-battery';
  const write = async (name: string, from: string) => {
    const file = join(folder, name);
    const split = `{ variants: [{ name: a, share: "*", upstream: http://a }], override: { query: v, variants: [a], ${from} } }`;
    await writeFile(file, `splits: { s: ${split} }`);
    return file;
  };
  const load = (config: string, environment: Record<string, string> = {}) =>
    loadConfig({ flags: { config }, environment });

  it('is read from a file, which is watched like the configuration', async () => {
    const secretFile = join(folder, 'secret');
    await writeFile(secretFile, `${SECRET}\n`);
    const file = await write('from-file.yaml', `secretFile: ${secretFile}`);
    const loaded = await load(file);
    expect(loaded.config?.splits.get('s')?.override?.secret).toBe(SECRET);
    expect(loaded.files).toEqual([file, secretFile]);
  });

  it('is read from an environment variable', async () => {
    const file = await write('from-variable.yaml', 'secretVariable: TESTERS');
    const loaded = await load(file, { TESTERS: SECRET });
    expect(loaded.config?.splits.get('s')?.override?.secret).toBe(SECRET);
  });

  it.each([
    ['a file that is missing', () => `secretFile: ${folder}/gone`, 'no such file'],
    ['a directory', () => `secretFile: ${folder}`, 'a directory'],
    ['a variable that is missing', () => 'secretVariable: NOBODY', 'no such variable'],
  ])('in %s is a problem: without it nothing runs', async (_, from, got) => {
    const { problems = [] } = await load(await write('bad.yaml', from()));
    expect(formatProblems(problems)).toEqual([expect.stringMatching(`, got ${got}$`)]);
  });
});

describe('an nginx.conf', () => {
  const GOOD = 'server { listen 8000; include conf.d/*.conf; location / { proxy_pass http://nginx; } }';

  it('is run when it is named, its includes read relative to its own directory', async () => {
    await mkdir(join(folder, 'conf.d'), { recursive: true });
    await writeFile(join(folder, 'nginx.conf'), GOOD);
    await writeFile(join(folder, 'conf.d/a.conf'), 'client_max_body_size 2m;');
    const file = join(folder, 'nginx.conf');
    const loaded = await loadConfig({ flags: { nginx: file }, environment: {} });
    expect(loaded.config!.limits.requestBody).toBe(2 * 1024 ** 2);
    expect(loaded).toMatchObject({ file, files: [file, join(folder, 'conf.d/a.conf')] });
  });

  it('that stands where nginx has it is run when nothing else is configured, and only then', async () => {
    await writeFile(join(folder, 'found.conf'), GOOD);
    expect(await load({}, {}, 'none.yaml', 'found.conf')).toEqual({
      file: 'found.conf',
      upstreams: ['nginx'],
    });
    expect(await load({}, {}, 'default.yaml', 'found.conf')).toMatchObject({ file: 'default.yaml' });
    expect(await load({}, { SPLIT: '* http://a' }, 'none.yaml', 'found.conf')).toMatchObject({ file: null });
  });

  it('that nobody asked for and that cannot be kept is told after the other ways', async () => {
    await writeFile(
      join(folder, 'odd.conf'),
      'server { try_files $uri; location / { proxy_pass http://a; } }',
    );
    expect((await load({}, {}, 'none.yaml', 'odd.conf')).problems).toEqual([
      'odd.conf:1:10: expected a directive that can be kept in server (paths pass unchanged, and no files are served), got "try_files"',
      'configuration: expected a file named by --config or CONFIG, or none.yaml, or variants in --split or SPLIT, got only odd.conf, which cannot be run as it is',
    ]);
  });

  it('beside a YAML file is one too many, unless a flag decides', async () => {
    const nginx = join(folder, 'found.conf');
    const yaml = join(folder, 'named.yaml');
    expect((await load({ nginx, config: yaml }, {})).problems).toEqual([
      'configuration: expected one file, got --config and --nginx',
    ]);
    expect(await load({ config: yaml }, { NGINX: nginx })).toMatchObject({ file: 'named.yaml' });
  });

  it('given as YAML is recognised', async () => {
    expect((await load({ config: join(folder, 'nginx.conf') }, {})).problems).toEqual([
      'nginx.conf:1:1: expected YAML (an nginx.conf is run with --nginx FILE, or turned into YAML by the import command), got an nginx configuration',
    ]);
  });
});

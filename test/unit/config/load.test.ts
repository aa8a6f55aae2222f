// Which configuration is read: the named file, else the default one, else flags and environment alone.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
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
) => {
  const options = { checkKey: () => null, defaultFile: join(folder, standard) };
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

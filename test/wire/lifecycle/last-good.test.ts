// `--last-good`: a process whose configuration is refused at its start runs on the last one that was accepted, and says so
// in its log, its metrics and its status. The file holds the text of the configuration and nothing else.
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Echo, startEcho } from '../../../src/demo/echo.ts';
import { ProgramRun } from '../../support/program.ts';

let folder: string;
let echo: Echo;
let run: ProgramRun;
let config: string;
let kept: string;

beforeAll(async () => {
  echo = await startEcho('a');
});
afterAll(() => echo.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'last-good-'));
  config = join(folder, 'splitter.yaml');
  kept = join(folder, 'kept');
});
afterEach(async () => {
  await run.kill();
  rmSync(folder, { recursive: true });
});

const text = (share: string, more = '') => `
listen: "127.0.0.1:0"
admin: "127.0.0.1:0"
splits:
  s:
    key: $arg_token
    variants:
      - { name: a, share: ${share}, upstream: "${echo.url}" }
      - { name: b, share: "*", upstream: "${echo.url}" }
${more}`;
const BROKEN =
  'splits: { s: { key: $arg_token, variants: [{ name: a, share: 1O%, upstream: http://a }] } }\n';

/** A process, on the file with this text. */
function serve(
  words: string | null,
  environment: Record<string, string> = { LAST_GOOD: kept },
  ...args: string[]
) {
  if (words === null) rmSync(config, { force: true });
  else writeFileSync(config, words);
  run = new ProgramRun(args, { CONFIG: config, ...environment });
}
const admin = async () => String((await run.event('serving')).admin);
const isKept = (words: string) =>
  vi.waitFor(() => expect(readFileSync(kept, 'utf8')).toBe(words), { timeout: 20_000 });

/** One process that accepts this text, keeps it, and is killed. */
async function kill(words: string): Promise<void> {
  serve(words);
  await run.event('serving');
  await isKept(words);
  await run.kill();
}

describe('an accepted configuration', () => {
  test('is kept as its own text, for its owner alone, and nothing is left beside it', async () => {
    serve(text('50%'));
    await run.event('serving');
    await isKept(text('50%'));
    expect(statSync(kept).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder).sort()).toEqual(['kept', 'splitter.yaml']);
  });

  test('of a reload takes the place of the older one; a refused one does not', async () => {
    serve(text('50%'));
    await run.event('serving');
    writeFileSync(config, text('10%'));
    await isKept(text('10%'));
    writeFileSync(config, BROKEN);
    await run.event('configuration refused');
    expect(readFileSync(kept, 'utf8')).toBe(text('10%'));
  });

  test('that changes an option of the start is not kept: no start has tried it', async () => {
    serve(text('50%'));
    await run.event('serving');
    await isKept(text('50%'));
    writeFileSync(config, text('50%', 'workers: 2\n'));
    await run.event('a change of these options needs a restart');
    writeFileSync(config, text('20%', 'workers: 2\n'));
    await run.event('configuration accepted', 1);
    expect(readFileSync(kept, 'utf8')).toBe(text('50%'));
  });

  test('does not take secrets of other files or variables with it', async () => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'very-secret-indeed');
    const override = `override: { header: x-variant, variants: [a], secretFile: ${secret} }`;
    const words = text('50%').replace('key: $arg_token', `key: $arg_token\n    ${override}`);
    serve(words);
    await run.event('serving');
    await isKept(words);
    expect(readFileSync(kept, 'utf8')).not.toContain('very-secret-indeed');
  });

  test.each([
    ['a directory', () => mkdirSync(kept)],
    ['a FIFO', () => execFileSync('mkfifo', [kept])],
    ['a link', () => symlinkSync(join(folder, 'elsewhere'), kept)],
  ])('is not written over %s: one log line, and the service runs', async (_title, make) => {
    make();
    serve(text('50%'));
    await run.event('serving');
    expect(await run.event('last good configuration not written')).toMatchObject({
      level: 'error',
      file: kept,
      cause: expect.stringContaining('expected a regular file'),
    });
    expect(readdirSync(folder).sort()).toEqual(['kept', 'splitter.yaml']);
  });

  test('is not written to a folder that is missing: one log line, and the service runs', async () => {
    serve(text('50%'), { LAST_GOOD: join(folder, 'missing', 'kept') });
    await run.event('serving');
    expect((await run.event('last good configuration not written')).cause).toContain('ENOENT');
  });
});

describe('a start on a refused configuration', () => {
  test.each([
    ['a file with a problem', BROKEN, 'share'],
    ['a file that is missing', null, 'no such file'],
  ])('runs on the last good one: %s', async (_title, broken, problem) => {
    await kill(text('30%'));
    serve(broken);
    const url = await admin();
    const warned = await run.event('configuration refused, running on the last good one');
    expect(warned).toMatchObject({ level: 'warn', lastGood: kept });
    expect(String(warned.problems)).toContain(problem);
    const status = (await (await fetch(`${url}/status`)).json()) as {
      splits: { variants: { shareRatio: number }[] }[];
      lastReload: object;
    };
    expect(status.splits[0]!.variants[0]!.shareRatio).toBeCloseTo(0.3);
    expect(status.lastReload).toMatchObject({ successful: false, lastGood: true });
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/^splitter_config_last_good 1$/m);
    expect(metrics).toMatch(/^splitter_config_last_reload_successful 0$/m);
    expect(readFileSync(kept, 'utf8')).toBe(text('30%'));
  });

  test('takes the next good file, and is then like any other', async () => {
    await kill(text('30%'));
    serve(BROKEN);
    const url = await admin();
    writeFileSync(config, text('40%'));
    await isKept(text('40%'));
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/^splitter_config_last_good 0$/m);
    expect(metrics).toMatch(/^splitter_config_last_reload_successful 1$/m);
  });

  test('also counts as over when the file comes back as it was', async () => {
    await kill(text('30%'));
    serve(BROKEN);
    const url = await admin();
    await run.event('configuration refused');
    writeFileSync(config, text('30%'));
    await run.event('configuration unchanged');
    expect(await (await fetch(`${url}/metrics`)).text()).toMatch(/^splitter_config_last_good 0$/m);
  });

  test('runs on the last good one where the new one wants a file that cannot be read at a start', async () => {
    await kill(text('30%'));
    serve(text('60%', 'assignments: { to: stdout, secretFile: /nowhere }\n'));
    await run.event('serving');
    expect(
      String((await run.event('configuration refused, running on the last good one')).problems),
    ).toContain('/nowhere');
  });

  test.each([
    ['there is none', () => undefined, 'no such file'],
    ['it is refused too', () => writeFileSync(kept, BROKEN), 'a text that is refused too'],
    [
      'it is larger than a configuration may be',
      () => writeFileSync(kept, '#'.repeat(1048577)),
      '1048577 bytes',
    ],
    ['it is a FIFO', () => execFileSync('mkfifo', [kept]), 'no regular file'],
  ])('ends with 1 and all problems where %s', async (_title, make, got) => {
    make();
    serve(BROKEN);
    expect(await run.exitCode).toBe(1);
    expect(run.stderr).toContain(`--last-good ${kept}: expected the last accepted configuration, got ${got}`);
    expect(run.stderr).toContain('1O%');
  });

  test('ends with 1 without the option, and `check` never looks at the kept file', async () => {
    await kill(text('30%'));
    serve(BROKEN, {});
    expect(await run.exitCode).toBe(1);
    serve(BROKEN, { LAST_GOOD: kept }, 'check');
    expect(await run.exitCode).toBe(1);
    expect(run.stdout + run.stderr).toContain('1O%');
  });

  test('the configuration itself is not accepted as the file to keep it in', async () => {
    serve(text('50%'), { LAST_GOOD: config });
    expect(await run.exitCode).toBe(1);
    expect(run.stderr).toContain('expected another file than the configuration');
    expect(readFileSync(config, 'utf8')).toBe(text('50%'));
  });
});

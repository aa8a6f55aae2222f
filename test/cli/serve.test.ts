// `serve` in this process: what stops a start, and a start on the last accepted configuration (the same as processes, with
// real signals, is in test/wire/lifecycle).
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { runCommand } from '../support/command.ts';
import { freePort } from '../support/free-port.ts';
import { RunningCommand } from '../support/running-command.ts';

let folder: string;
let config: string;
let kept: string;
let port: number;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'splitter-serve-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  config = join(folder, 'splitter.yaml');
  kept = join(folder, 'kept');
  port = await freePort();
});

const documentWith = (share: string) => `listen: 127.0.0.1:0
admin: 127.0.0.1:${port}
splits:
  s:
    key: $arg_token
    variants:
      - { name: a, share: ${share}, upstream: "http://127.0.0.1:9" }
      - { name: b, share: "*", upstream: "http://127.0.0.1:9" }
`;
const serve = (...words: string[]) => new RunningCommand(['serve', '--config', config, ...words]);
const status = async () =>
  (await (await fetch(`http://127.0.0.1:${port}/status`)).json()) as {
    splits: { variants: { shareRatio: number }[] }[];
  };
/** In percent; null before the admin port is open. */
const share = () =>
  status().then(
    ({ splits }) => Math.round(splits[0]!.variants[0]!.shareRatio * 100),
    () => null,
  );
const isUsed = (percent: number) => expect.poll(share, { timeout: 30_000 }).toBe(percent);

describe('a start', () => {
  test('keeps what it accepted, and the next one runs on that when its own text is refused', async () => {
    writeFileSync(config, documentWith('25%'));
    const first = serve('--last-good', kept);
    await isUsed(25);
    await expect.poll(() => readFileSync(kept, 'utf8'), { timeout: 30_000 }).toBe(documentWith('25%'));
    first.signal('SIGINT');
    expect(await first.ended).toBe(0);
    writeFileSync(config, documentWith('2S%'));
    const second = serve('--last-good', kept);
    await isUsed(25);
    writeFileSync(config, documentWith('75%'));
    await isUsed(75);
    second.signal('SIGTERM');
    second.signal('SIGTERM');
    expect(await second.ended).toBe(1);
  });

  test.each<[string, () => void, RegExp]>([
    ['is not there', () => undefined, /--last-good \S+: expected .*, got no such file\n/],
    ['is a link', () => symlinkSync('/nowhere/at/all', kept), /--last-good \S+: expected .*, got /],
    ['is refused too', () => writeFileSync(kept, documentWith('x')), /got a text that is refused too\n/],
  ])('with a refused text and a last good one that %s says both', async (_, make, sentence) => {
    make();
    writeFileSync(config, documentWith('2S%'));
    const run = serve('--last-good', kept);
    expect(await run.ended).toBe(1);
    expect(run.err).toMatch(sentence);
    expect(run.err).toContain('splitter.yaml:7:27 splits.s.variants[0].share: expected ');
    expect(run.err).toContain('got "2S%"');
  });

  test('never keeps the configuration in its own file', async () => {
    writeFileSync(config, documentWith('25%'));
    const { code, err } = await runCommand(['serve', '--config', config, '--last-good', config]);
    expect([code, err]).toEqual([1, expect.stringContaining('expected another file than the configuration')]);
    expect(readFileSync(config, 'utf8')).toBe(documentWith('25%'));
  });

  test.each([
    ['to: /nowhere/events.log, secretFile: SECRET', 'assignments.to: expected a file that can be written'],
    ['to: stdout, secretFile: /nowhere/secret', 'assignments.secretFile: expected a file that can be read'],
    ['to: stdout, secretFile: EMPTY', 'expected a file with a secret in it, got the empty'],
  ])('with assignments { %s } says what is wrong', async (assignments, sentence) => {
    writeFileSync(join(folder, 'secret'), 'of the test\n');
    writeFileSync(join(folder, 'empty'), ' \n');
    const named = assignments
      .replace('SECRET', join(folder, 'secret'))
      .replace('EMPTY', join(folder, 'empty'));
    writeFileSync(config, `${documentWith('25%')}assignments: { ${named} }\n`);
    const run = serve();
    expect(await run.ended).toBe(1);
    expect(run.err).toContain(sentence);
  });

  test('on an admin port that is taken says so, and names another', async () => {
    const taken = createServer().listen(port, '127.0.0.1');
    onTestFinished(() => void taken.close());
    writeFileSync(config, documentWith('25%'));
    const run = serve();
    expect(await run.ended).toBe(1);
    expect(run.err).toContain(`cannot listen on 127.0.0.1:${port} (the admin port): another program uses it`);
    expect(run.err).toContain('--admin or ADMIN');
  });
});

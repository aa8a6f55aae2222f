// `demo`, what `npm start` runs: what it prints, what it answers, how it ends.
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { ProgramRun } from '../support/program.ts';
import { RunningCommand } from '../support/running-command.ts';

const ANY = '127.0.0.1:0';

let run: ProgramRun;
afterEach(() => run?.kill());

/** As `npm start` starts it. */
const demoFromSource = () => {
  run = new ProgramRun(['demo'], { LISTEN: ANY, ADMIN: ANY }, { fromSource: true });
};
/** In this process. */
const demo = (environment: Record<string, string> = {}, ...args: string[]) =>
  new RunningCommand(['demo', ...args], { LISTEN: ANY, ADMIN: ANY, ...environment });
const address = async (name: string) =>
  (await run.line(new RegExp(`^  ${name} +http`))).trim().split(/ {2,}/)[1]!;

test('says where it listens and what to try, splits the tokens, shows the shares, and ends with Ctrl-C', async () => {
  demoFromSource();
  const [splitter, admin] = [await address('requests'), await address('admin port')];
  await run.line(/^Ctrl-C stops it\.$/);
  expect(run.stdout).toContain(`  curl "${splitter}/?token=42"\n`);
  expect(run.stdout).toContain(`  while :; do curl "${splitter}/?token=$RANDOM"; done\n`);
  expect(run.stdout).toContain(`  curl "${admin}/explain?url=/?token=42"\n`);
  const shown = run.stdout;

  const answers = new Map<string, number>();
  for (let token = 0; token < 200; token += 1) {
    const answer = await (await fetch(`${splitter}/?token=${token}`)).text();
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
  }
  expect([...answers.keys()].sort()).toEqual(['hello backend\n', 'hello backend-experiment\n']);
  const again = await (await fetch(`${splitter}/?token=42`)).text();
  expect(await (await fetch(`${splitter}/?token=42`)).text()).toBe(again);
  const explained = (await (await fetch(`${admin}/explain?url=/?token=42`)).json()) as { variant: string };
  expect(`hello ${explained.variant}\n`).toBe(again);

  const line = await run.line(/so far 202/);
  expect(line).toMatch(
    /^ +[\d,]+ requests\/s · so far 202: backend \d+ \(\d+\.\d %\) · backend-experiment \d+ \(\d+\.\d %\)$/,
  );
  run.signal('SIGINT');
  expect(await run.exitCode).toBe(0);
  const more = run.stdout.slice(shown.length).trimEnd().split('\n');
  expect(more.filter((one) => one !== '' && !one.includes(' requests/s · so far '))).toEqual([
    expect.stringMatching(/^202 requests: backend \d+, backend-experiment \d+$/),
  ]);
  expect(run.stderr).toBe('');
  expect(run.stdout).not.toContain('\u001b');
});

test('with the admin port off does not speak of it', async () => {
  const here = demo({}, '--admin', 'off');
  await here.says(/^Ctrl-C stops it\.$/m);
  expect(here.out).toMatch(/^ {2}admin port +off$/m);
  expect(here.out).not.toContain('explain');
});

test('does not take SPLIT or CONFIG from the environment for its own', async () => {
  const here = demo({ SPLIT: 'nonsense', CONFIG: '/nowhere' });
  const [, splitter] = await here.says(/^ {2}requests +(http\S+)$/m);
  expect(await (await fetch(`${splitter}/?token=1`)).text()).toMatch(/^hello backend/);
  // Files that are reopened are none of the demo's.
  here.signal('SIGUSR1');
  await here.says(/so far 1: /);
  here.signal('SIGINT');
  expect(await here.ended).toBe(0);
  expect(here.out).toMatch(/^1 request: backend \d, backend-experiment \d$/m);
});

test('on a port that is taken prints one sentence and ends with 1', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  try {
    for (const [setting, option] of [
      ['LISTEN', '--listen'],
      ['ADMIN', '--admin'],
    ] as const) {
      const here = demo({ [setting]: taken });
      expect(await here.ended).toBe(1);
      expect(here.out).toBe('');
      expect(here.err).toMatch(/^request-splitter: cannot listen on [^\n]+\n$/);
      expect(here.err).toContain(taken);
      expect(here.err).toContain(`${option} or ${setting}`);
    }
    const next = taken.replace(/\d+$/, (port) => String(Number(port) + 1));
    const here = demo({
      LISTEN: taken,
      ADMIN: taken.replace('127.0.0.1', 'localhost'),
      npm_lifecycle_event: 'start',
    });
    expect(await here.ended).toBe(1);
    expect(here.err.split('\n')).toEqual([
      expect.stringContaining(`npm start -- --admin ${next.replace('127.0.0.1', 'localhost')}`),
      expect.stringContaining(`npm start -- --listen ${next}`),
      '',
    ]);
  } finally {
    other.close();
  }
});

test('an address that is none is a problem with its name', async () => {
  const here = demo({ LISTEN: 'eight' });
  expect(await here.ended).toBe(1);
  expect(here.err).toMatch(/^LISTEN.*: expected an address/);
});

test('SIGTERM ends it with 0', async () => {
  const here = demo();
  await here.says(/^Ctrl-C stops it\.$/m);
  here.signal('SIGTERM');
  expect(await here.ended).toBe(0);
});

// `demo`, what `npm start` runs: what it prints, what it answers, how it ends.
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { ProgramRun } from '../support/program.ts';

const ANY = '127.0.0.1:0';

let run: ProgramRun;
afterEach(() => run.kill());

const demo = (environment: Record<string, string> = {}, ...args: string[]) => {
  run = new ProgramRun(['demo', ...args], { LISTEN: ANY, ADMIN: ANY, ...environment });
};
/** As `npm start` starts it. */
const demoFromSource = () => {
  run = new ProgramRun(['demo'], { LISTEN: ANY, ADMIN: ANY }, { fromSource: true });
};
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
  demo({}, '--admin', 'off');
  await run.line(/^Ctrl-C stops it\.$/);
  expect(run.stdout).toMatch(/^ {2}admin port +off$/m);
  expect(run.stdout).not.toContain('explain');
});

test('does not take SPLIT or CONFIG from the environment for its own', async () => {
  demo({ SPLIT: 'nonsense', CONFIG: '/nowhere' });
  const answer = await (await fetch(`${await address('requests')}/?token=1`)).text();
  expect(answer).toMatch(/^hello backend/);
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
      demo({ [setting]: taken });
      expect(await run.exitCode).toBe(1);
      expect(run.stdout).toBe('');
      expect(run.stderr).toMatch(/^request-splitter: cannot listen on [^\n]+\n$/);
      expect(run.stderr).toContain(taken);
      expect(run.stderr).toContain(`${option} or ${setting}`);
    }
    const next = taken.replace(/\d+$/, (port) => String(Number(port) + 1));
    demo({ LISTEN: taken, ADMIN: taken.replace('127.0.0.1', 'localhost'), npm_lifecycle_event: 'start' });
    expect(await run.exitCode).toBe(1);
    expect(run.stderr.split('\n')).toEqual([
      expect.stringContaining(`npm start -- --admin ${next.replace('127.0.0.1', 'localhost')}`),
      expect.stringContaining(`npm start -- --listen ${next}`),
      '',
    ]);
  } finally {
    other.close();
  }
});

test('an address that is none is a problem with its name', async () => {
  demo({ LISTEN: 'eight' });
  expect(await run.exitCode).toBe(1);
  expect(run.stderr).toMatch(/^LISTEN.*: expected an address/);
});

test('SIGTERM ends it with 0', async () => {
  demo();
  await run.line(/^Ctrl-C stops it\.$/);
  run.signal('SIGTERM');
  expect(await run.exitCode).toBe(0);
});

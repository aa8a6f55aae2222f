// A log device that fails costs log lines, never traffic: the disk is full, the file may not grow, the terminal or the
// reader is gone. Each is made for real, with and without workers.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LocalService } from '../support/local-service.ts';
import type { ProgramOptions } from '../support/program.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';

const LIMIT_MS = 60_000;
const DROPPED = 'splitter_log_lines_dropped_total';
const hasPython = spawnSync('python3', ['--version']).status === 0;
if (!hasPython) console.warn('skipped: the tests of a terminal that goes away need python3');

let folder: string;
let upstream: ScriptedUpstream;
let service: LocalService;
let secret: string;

beforeAll(async () => {
  upstream = await ScriptedUpstream.listen();
});
afterAll(() => upstream.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-failures-'));
  secret = join(folder, 'secret');
  writeFileSync(secret, 'a secret of a test');
});
afterEach(async () => {
  await service.kill();
  rmSync(folder, { recursive: true });
});

async function start(yaml: string, options: ProgramOptions = {}): Promise<void> {
  const split = `splits: { s: { variants: [{ name: a, share: "*", upstream: "${upstream.url}" }] } }`;
  service = await LocalService.start(folder, `drain: { grace: 0ms }\n${split}\n${yaml}\n`, options);
}

/** Requests with these many different keys, one after the other, are all answered. */
async function ask(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    expect((await service.get(`/?token=key-${index}`)).status).toBe(200);
  }
}

async function endsWell(): Promise<void> {
  service.run.signal('SIGTERM');
  expect(await service.run.exitCode).toBe(0);
}

describe.each([1, 2])('with workers: %i', (workers) => {
  test(
    'a stdout without space drops every line for ENOSPC',
    async () => {
      const full = openSync('/dev/full', 'w');
      try {
        await start(`workers: ${workers}\naccessLog: { mode: all }`, { stdout: full });
        await ask(5);
        await service.until(async () => (await service.metric(DROPPED, 'reason="ENOSPC"')) >= 6);
        expect(await service.metric(DROPPED)).toBe(await service.metric(DROPPED, 'reason="ENOSPC"'));
        await endsWell();
      } finally {
        closeSync(full);
      }
    },
    LIMIT_MS,
  );

  test(
    'an assignments file without space drops the events, and the log says so once',
    async () => {
      await start(`workers: ${workers}\nassignments: { to: /dev/full, secretFile: ${secret} }`);
      await ask(5);
      await service.until(async () => (await service.metric(DROPPED, 'reason="ENOSPC"')) >= 5);
      expect(await service.run.event('log file fails: its lines are dropped')).toMatchObject({
        level: 'error',
        file: '/dev/full',
        code: 'ENOSPC',
      });
      await endsWell();
      expect(service.run.stdout.match(/log file fails/g)).toHaveLength(1);
    },
    LIMIT_MS,
  );

  test(
    'a reader of stdout that goes away drops lines for EPIPE',
    async () => {
      await start(`workers: ${workers}\naccessLog: { mode: all }`);
      service.run.closeOutput();
      await ask(5);
      await service.until(async () => (await service.metric(DROPPED, 'reason="EPIPE"')) >= 5);
      await endsWell();
    },
    LIMIT_MS,
  );

  test(
    'a file that may not grow (ulimit -f) drops lines for EFBIG and ends no process',
    async () => {
      const log = openSync(join(folder, 'log'), 'a');
      try {
        const wrap = ['sh', '-c', 'ulimit -f 8; exec "$@"', 'sh'];
        await start(`workers: ${workers}\naccessLog: { mode: all }`, { stdout: log, wrap });
        await ask(40);
        await service.until(async () => (await service.metric(DROPPED, 'reason="EFBIG"')) > 0);
        await ask(5);
        await endsWell();
      } finally {
        closeSync(log);
      }
    },
    LIMIT_MS,
  );
});

test.each([1, 2])(
  'a socket on stdout that nobody reads keeps no process from ending, with workers: %i',
  async (workers) => {
    await start(`workers: ${workers}\naccessLog: { mode: all }`, { readsOutput: false });
    // More than the socket holds.
    const path = `/${'x'.repeat(3000)}`;
    for (let index = 0; index < 300; index += 1) await service.get(path);
    service.run.signal('SIGTERM');
    expect(await service.run.exited).toBe(0);
  },
  LIMIT_MS,
);

test(
  'a worker whose primary is killed ends although nothing can be logged',
  async () => {
    const full = openSync('/dev/full', 'w');
    try {
      await start('workers: 2\naccessLog: { mode: all }', { stdout: full });
      await ask(5);
      const { workers } = JSON.parse((await service.admin('/status')).text) as { workers: { pid: number }[] };
      service.run.signal('SIGKILL');
      const isGone = (pid: number) => {
        try {
          process.kill(pid, 0);
          return false;
        } catch {
          return true;
        }
      };
      await service.until(() => workers.every(({ pid }) => isGone(pid)));
    } finally {
      closeSync(full);
    }
  },
  LIMIT_MS,
);

test(
  'a disk that has space again gets lines again, after one that tells how many were dropped',
  async () => {
    // A file that may hold 4 KiB stands for the disk; emptying it makes space.
    const path = join(folder, 'assignments.jsonl');
    const wrap = ['sh', '-c', 'ulimit -f 8; exec "$@"', 'sh'];
    await start(`assignments: { to: ${path}, secretFile: ${secret} }`, { wrap });
    await ask(60);
    const lost = 'log file fails: its lines are dropped';
    expect(await service.run.event(lost)).toMatchObject({ file: path, code: 'EFBIG' });
    const size = statSync(path).size;
    const whole = readFileSync(path, 'utf8').split('\n').length - 1;
    expect(size).toBeGreaterThan(0);
    writeFileSync(path, '');
    const recovered = await service.run.event('log file works again');
    const dropped = (recovered.dropped as { EFBIG: number }).EFBIG;
    expect(whole + dropped).toBe(60);
    expect(await service.metric(DROPPED, 'reason="EFBIG"')).toBe(dropped);
    expect((await service.get('/?token=another')).status).toBe(200);
    const lines = () =>
      readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line !== '');
    await service.until(() => lines().length === 2);
    expect(lines().map((line) => JSON.parse(line))).toMatchObject([
      { level: 'warn', msg: 'log lines dropped', dropped: { EFBIG: dropped } },
      { msg: 'assignment', variant: 'a' },
    ]);
    await endsWell();
  },
  LIMIT_MS,
);

test.skipIf(!hasPython).each([1, 2])(
  'a terminal that goes away, with workers: %i, drops lines for EIO; its SIGHUP is a reload',
  async (workers) => {
    // The program runs on a terminal that python holds, and hangs up when its own stdin says so.
    const script = `
import os, pty, signal, subprocess, sys
master, slave = pty.openpty()
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=slave)
os.close(slave)
signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
while not os.path.exists(sys.argv[1]):
    try:
        signal.sigtimedwait([signal.SIGUSR2], 0.05)
        os.set_blocking(master, False)
        os.read(master, 65536)
    except BlockingIOError:
        pass
os.close(master)
child.send_signal(signal.SIGHUP)
sys.exit(child.wait())
`;
    const hangUp = join(folder, 'hang-up');
    await start(`workers: ${workers}\naccessLog: { mode: all }`, { wrap: ['python3', '-c', script, hangUp] });
    await ask(3);
    expect(await service.metric(DROPPED)).toBe(0);
    writeFileSync(hangUp, '');
    await service.until(async () => (await service.metric(DROPPED, 'reason="EIO"')) > 0);
    await ask(5);
    await endsWell();
  },
  LIMIT_MS,
);

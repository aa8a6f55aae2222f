// What each signal does to `serve`, at any time of its life, with and without workers: USR1 reopens files and never opens a
// debugger, HUP reloads, and those that mean nothing here do no harm. And how log files are rotated.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { LocalService } from '../../support/local-service.ts';
import { ProgramRun } from '../../support/program.ts';
import { ScriptedUpstream } from '../../support/scripted-upstream.ts';

const LIMIT_MS = 60_000;
const HARMLESS = [
  'SIGUSR1',
  'SIGUSR2',
  'SIGHUP',
  'SIGWINCH',
  'SIGPIPE',
  'SIGTTOU',
  'SIGTTIN',
  'SIGURG',
] as const;

let folder: string;
let upstream: ScriptedUpstream;
let service: LocalService | null;

beforeAll(async () => {
  upstream = await ScriptedUpstream.listen();
});
afterAll(() => upstream.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signals-'));
  service = null;
});
afterEach(async () => {
  await service?.kill();
  rmSync(folder, { recursive: true });
});

function yaml(more = ''): string {
  const split = `splits: { s: { variants: [{ name: a, share: "*", upstream: "${upstream.url}" }] } }`;
  return `drain: { grace: 0ms }\n${split}\n${more}\n`;
}

async function start(more = '', detached = false): Promise<LocalService> {
  service = await LocalService.start(folder, yaml(more), { detached });
  return service;
}

describe.each([1, 2])('with workers: %i', (workers) => {
  test(
    'no signal but INT, QUIT and TERM ends the process, be it sent to one process or to the group',
    async () => {
      const one = await start(`workers: ${workers}`, true);
      const { run } = one;
      const list = async () => {
        const status = JSON.parse((await one.admin('/status')).text) as {
          workers?: { pid: number; state: string }[];
        };
        return status.workers ?? [];
      };
      // A process that has not run its first line yet cannot refuse a signal.
      await one.until(async () => (await list()).every(({ state }) => state === 'serving'));
      const pids = async () => (await list()).map(({ pid }) => pid);
      const before = await pids();
      for (const signal of HARMLESS) {
        process.kill(run.pid, signal);
        process.kill(-run.pid, signal);
        for (const pid of before) process.kill(pid, signal);
      }
      // A worker leaves on its primary's word alone.
      for (const pid of before) process.kill(pid, 'SIGTERM');
      await run.event('configuration unchanged');
      expect((await one.get('/?token=x')).status).toBe(200);
      expect(await pids()).toEqual(before);
      process.kill(-run.pid, 'SIGTERM');
      expect(await run.exitCode).toBe(0);
      expect(run.stdout).not.toContain('worker died');
      expect(run.stderr).toBe('');
    },
    LIMIT_MS,
  );
});

describe('the debugger', () => {
  /** A module that is loaded before the program. */
  const preloaded = (text: string) => {
    const path = join(folder, 'preload.cjs');
    writeFileSync(path, text);
    return { NODE_OPTIONS: `--inspect-port=127.0.0.1:0 --require ${path}` };
  };
  /** Sends the signal to itself once its listener is there. */
  const SENDS = `process.on('newListener', (name) => {
    if (name === 'SIGUSR1') setImmediate(() => process.kill(process.pid, 'SIGUSR1'));
  });`;

  test.each([['check'], ['simulate'], ['--version'], ['import']])('stays closed during %s', (command) => {
    const config = join(folder, 'splitter.yaml');
    writeFileSync(config, yaml());
    const args = command.startsWith('-') ? [command] : [command, config];
    const { stderr } = spawnSync(process.execPath, [inject('builtMain'), ...args], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, ...preloaded(SENDS) },
    });
    expect(stderr).not.toContain('Debugger');
  });

  test(
    'that was opened before the first line of the program is closed by it',
    async () => {
      const config = join(folder, 'splitter.yaml');
      writeFileSync(config, yaml());
      const run = new ProgramRun([], {
        CONFIG: config,
        LISTEN: `unix:${join(folder, 'listen.sock')}`,
        ADMIN: 'off',
        ...preloaded(`require('node:inspector').open();`),
      });
      try {
        await run.event('serving');
        const port = Number(/127\.0\.0\.1:(\d+)/.exec(run.stderr)?.[1]);
        const answer = await new Promise((resolve) => {
          const socket = connect(port, '127.0.0.1', () => resolve('open'));
          socket.on('error', (cause: NodeJS.ErrnoException) => resolve(cause.code));
          socket.on('connect', () => socket.destroy());
        });
        expect(answer).toBe('ECONNREFUSED');
      } finally {
        await run.kill();
      }
    },
    LIMIT_MS,
  );
});

describe('during the start', () => {
  const startWith = (signal: string) => {
    const preload = join(folder, 'preload.cjs');
    writeFileSync(
      preload,
      `process.on('newListener', (name) => {
        if (name === '${signal}') setImmediate(() => process.kill(process.pid, '${signal}'));
      });`,
    );
    const config = join(folder, 'splitter.yaml');
    writeFileSync(config, yaml());
    return new ProgramRun([], {
      CONFIG: config,
      LISTEN: `unix:${join(folder, 'listen.sock')}`,
      ADMIN: 'off',
      NODE_OPTIONS: `--require ${preload}`,
    });
  };

  test('HUP reads the configuration once more', async () => {
    const run = startWith('SIGHUP');
    await run.event('serving');
    await run.event('configuration unchanged');
    run.signal('SIGTERM');
    expect(await run.exitCode).toBe(0);
  });

  test.each(['SIGTERM', 'SIGQUIT', 'SIGINT'])('%s ends it with 0', async (signal) => {
    expect(await startWith(signal).exitCode).toBe(0);
  });
});

describe('during a drain', () => {
  test('HUP and USR1 do no harm', async () => {
    const { run } = await start('', true);
    writeFileSync(join(folder, 'splitter.yaml'), 'not a configuration');
    run.signal('SIGTERM');
    run.signal('SIGHUP');
    run.signal('SIGUSR1');
    expect(await run.exitCode).toBe(0);
  });
});

describe('a file of assignments', () => {
  const file = () => join(folder, 'assignments.jsonl');
  const old = () => `${file()}.1`;
  const lines = (path: string) => {
    try {
      return readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line !== '').length;
    } catch {
      return 0;
    }
  };
  const startLogging = async (more = '') => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'a secret of a test');
    const one = await start(`assignments: { to: ${file()}, secretFile: ${secret} }\n${more}`);
    await one.get('/?token=first');
    await one.until(() => lines(file()) === 1);
    return one;
  };

  test.each([
    ['SIGUSR1', ''],
    ['SIGHUP', ''],
    ['SIGUSR1', 'workers: 2'],
  ] as const)(
    'that was renamed is left for a new one after %s (%s)',
    async (signal, more) => {
      const one = await startLogging(more);
      renameSync(file(), old());
      one.run.signal(signal);
      expect(await one.run.event('reopening log file')).toMatchObject({ file: file() });
      await one.until(() => readFileSync(file(), 'utf8') === '');
      await one.get('/?token=second');
      await one.until(() => lines(file()) === 1);
      expect(lines(old())).toBe(1);
    },
    LIMIT_MS,
  );

  test(
    'that was renamed or removed without a signal is replaced with the next event after a second',
    async () => {
      const one = await startLogging();
      let key = 0;
      renameSync(file(), old());
      await one.until(async () => {
        await one.get(`/?token=key-${key++}`);
        return lines(file()) > 0;
      });
      rmSync(file());
      await one.until(async () => {
        await one.get(`/?token=key-${key++}`);
        return lines(file()) > 0;
      });
    },
    LIMIT_MS,
  );

  test(
    'that is copied and truncated in place is written from its new beginning',
    async () => {
      const one = await startLogging();
      copyFileSync(file(), old());
      truncateSync(file());
      await one.get('/?token=second');
      await one.until(() => lines(file()) === 1);
      expect(JSON.parse(readFileSync(file(), 'utf8'))).toMatchObject({ msg: 'assignment' });
    },
    LIMIT_MS,
  );

  test(
    'that cannot be opened again stays in use, and the log says so',
    async () => {
      const one = await startLogging();
      const moved = join(folder, 'moved');
      renameSync(file(), moved);
      spawnSync('mkdir', [file()]);
      one.run.signal('SIGUSR1');
      expect(await one.run.event('log file not reopened: the old one stays in use')).toMatchObject({
        level: 'error',
        file: file(),
        code: 'EISDIR',
      });
      await one.get('/?token=second');
      await one.until(() => lines(moved) === 2);
    },
    LIMIT_MS,
  );
});

test('a command whose output cannot be written says so and ends with 1', () => {
  const script = 'exec "$@" > /dev/full';
  const { status, stderr } = spawnSync(
    'sh',
    ['-c', script, 'sh', process.execPath, inject('builtMain'), '--help'],
    {
      encoding: 'utf8',
      env: { PATH: process.env.PATH },
    },
  );
  expect([status, stderr]).toEqual([
    1,
    expect.stringMatching(/^request-splitter: cannot write to stdout: ENOSPC[^\n]*\n$/),
  ]);
});

// `sample.store`: a restart and a rollout keep the sample, in a folder and on a Redis server, and a server that is gone stops
// neither the start nor the traffic nor the drain. Real processes.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Echo, startEcho } from '../../../src/demo/echo.ts';
import { runCommand } from '../../support/command.ts';
import { freePort } from '../../support/free-port.ts';
import { ProgramRun } from '../../support/program.ts';

interface Serving {
  readonly listening: readonly [string];
  readonly admin: string;
}

let folder: string;
let echo: Echo;
const runs: ProgramRun[] = [];

beforeAll(async () => {
  echo = await startEcho('a');
});
afterAll(() => echo.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sample-store-'));
});
afterEach(async () => {
  await Promise.all(runs.splice(0).map((run) => run.kill()));
  rmSync(folder, { recursive: true });
});

async function start(store: string, options = ''): Promise<{ run: ProgramRun } & Serving> {
  const config = join(folder, 'splitter.yaml');
  writeFileSync(
    config,
    `listen: 127.0.0.1:0
admin: 127.0.0.1:0
drain: { grace: 0ms }
sample: { store: '${store}', interval: 1s }
${options}
splits:
  appversion:
    variants:
      - { name: version_1a, share: 50%, upstream: '${echo.url}' }
      - { name: version_1b, share: '*', upstream: '${echo.url}' }
`,
  );
  const run = new ProgramRun(['--config', config], {});
  runs.push(run);
  return { run, ...(await run.event<Serving>('serving')) };
}

async function visit(url: string, from: number, to: number): Promise<void> {
  for (let user = from; user < to; user += 1) await (await fetch(`${url}/?token=user-${user}`)).text();
}

async function drain(run: ProgramRun): Promise<void> {
  run.signal('SIGTERM');
  expect(await run.exitCode).toBe(0);
}

/** Unique keys and requests of the sample, as `fleet` adds them up. */
async function added(admins: readonly string[]): Promise<{ keys: number; requests: number }> {
  const { out } = await runCommand([
    'fleet',
    ...admins.map((admin) => admin.slice('http://'.length)),
    '--json',
  ]);
  const { splits } = JSON.parse(out) as {
    splits: { sample: { keys: number }; variants: { uniqueKeys: number; sample: { requests: number } }[] }[];
  };
  const { variants } = splits[0]!;
  return {
    keys: variants.reduce((sum, { uniqueKeys }) => sum + uniqueKeys, 0),
    requests: variants.reduce((sum, { sample }) => sum + sample.requests, 0),
  };
}

describe('a folder', () => {
  test('keeps the sample over a restart, and what was counted before the last write over a SIGKILL', async () => {
    const store = join(folder, 'samples');
    const first = await start(store);
    await visit(first.listening[0], 0, 60);
    await drain(first.run);

    const second = await start(store);
    await second.run.event('sample continued from the store');
    await visit(second.listening[0], 30, 80);
    expect(await added([second.admin])).toEqual({ keys: 80, requests: 110 });
    const writesOf = async () =>
      Number(/store_writes_total (\d+)/.exec(await (await fetch(`${second.admin}/metrics`)).text())?.[1]);
    const before = await writesOf();
    await vi.waitFor(async () => expect(await writesOf()).toBeGreaterThan(before + 1), 20_000);
    await second.run.kill();
  });
});

test('the numbers of several workers are kept once, over two restarts', async () => {
  const store = join(folder, 'samples');
  const first = await start(store, 'workers: 2');
  await visit(first.listening[0], 0, 60);
  await drain(first.run);
  const second = await start(store, 'workers: 2');
  await second.run.event('sample continued from the store');
  await visit(second.listening[0], 30, 80);
  expect(await added([second.admin])).toEqual({ keys: 80, requests: 110 });
  await drain(second.run);
  const third = await start(store, 'workers: 2');
  await third.run.event('sample continued from the store');
  expect(await added([third.admin])).toEqual({ keys: 80, requests: 110 });
});

const hasRedis = existsSync('/usr/bin/redis-server');
if (!hasRedis) console.warn('skipped: redis-server is not installed (Debian package redis-server)');

describe.skipIf(!hasRedis)('a Redis server', () => {
  let server: ChildProcess;
  let port: number;

  beforeEach(async () => {
    port = await freePort();
    writeFileSync(join(folder, 'password'), 'not-for-eyes\n');
    server = spawn(
      'redis-server',
      [
        '--bind',
        '127.0.0.1',
        '--port',
        `${port}`,
        '--save',
        '',
        '--requirepass',
        'not-for-eyes',
        '--dir',
        folder,
      ],
      { stdio: 'ignore' },
    );
    await vi.waitFor(() => {
      const said = execFileSync(
        'redis-cli',
        ['-p', `${port}`, '-a', 'not-for-eyes', '--no-auth-warning', 'ping'],
        { stdio: 'pipe' },
      );
      expect(said.toString()).toBe('PONG\n');
    }, 20_000);
  });
  afterEach(() => {
    server.kill('SIGKILL');
  });

  test('keeps the sample over a rollout of two pods, and shows its password nowhere', async () => {
    const url = `redis://:not-for-eyes@127.0.0.1:${port}/0`;
    const old = [await start(url), await start(url)];
    await visit(old[0]!.listening[0], 0, 40);
    await visit(old[1]!.listening[0], 20, 60);
    for (const { run } of old) await drain(run);

    const next = [await start(url)];
    await next[0]!.run.event('sample continued from the store');
    next.push(await start(url));
    await visit(next[1]!.listening[0], 50, 70);
    expect(await added(next.map(({ admin }) => admin))).toEqual({ keys: 70, requests: 100 });
    const shown = [
      await (await fetch(`${next[0]!.admin}/config`)).text(),
      await (await fetch(`${next[0]!.admin}/status`)).text(),
      ...[...old, ...next].map(({ run }) => run.stdout + run.stderr),
    ].join('\n');
    expect(shown).toContain(`redis://(removed)@127.0.0.1:${port}/0`);
    expect(shown).not.toContain('not-for-eyes');
  });

  test('that is gone stops neither the start nor the traffic nor the drain, and is counted and logged', async () => {
    server.kill('SIGKILL');
    const alone = await start(`redis://127.0.0.1:${port}`);
    await alone.run.event('sample store failed');
    await visit(alone.listening[0], 0, 5);
    const metrics = await (await fetch(`${alone.admin}/metrics`)).text();
    expect(metrics).toMatch(/^splitter_sample_store_failures_total\{reason="read"\} [1-9]/m);
    await drain(alone.run);
    expect(readFileSync(join(folder, 'splitter.yaml'), 'utf8')).toContain('redis://');
  });
});

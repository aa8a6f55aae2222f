// `workers: 2` as it runs: processes that share the ports, one admin port for both, and what becomes of the others'
// traffic and of the numbers when one of them dies, hangs, is told a new configuration or has to go.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ProgramRun } from '../../support/program.ts';
import { RawClient } from '../../support/raw-client.ts';
import { type Script, ScriptedUpstream } from '../../support/scripted-upstream.ts';

const ANY = '127.0.0.1:0';
/** Connections that are opened at most until every worker has one: the system decides who accepts. */
const CONNECTIONS_MAX = 2000;

interface WorkerStatus {
  number: number;
  pid: number;
  state: string;
  isAnswering: boolean;
  generation: number;
  restarts: number;
  connectionsAccepted: number;
  connectionsOpen: number;
}
interface Status {
  workers: [WorkerStatus, WorkerStatus];
  splits: { requests: number; variants: { name: string; requests: number; uniqueKeys: number }[] }[];
  downstream: { connectionsOpen: number; connectionsAccepted: number };
}

let folder: string;
let a: ScriptedUpstream;
let b: ScriptedUpstream;
let run: ProgramRun;
let port: number;
let admin: string;
let clients: RawClient[];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'workers-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  [a, b] = await Promise.all([ScriptedUpstream.listen(), ScriptedUpstream.listen()]);
  clients = [];
});
afterEach(async () => {
  await run.kill();
  for (const client of clients) client.close();
  await Promise.all([a.close(), b.close()]);
});

const split = (percent: number) =>
  `splits: { s: { variants: [{ name: a, share: ${percent}%, upstream: "${a.url}" }, { name: b, share: "*", upstream: "${b.url}" }] } }\n`;

/** Writes the file and starts with it. */
async function start(
  more = '',
  environment: Record<string, string> = {},
  drain = '{ grace: 0ms }',
): Promise<void> {
  const file = join(folder, 'splitter.yaml');
  writeFileSync(file, `workers: 2\ndrain: ${drain}\n${more}\n${split(50)}`);
  run = new ProgramRun([], { LISTEN: ANY, ADMIN: ANY, CONFIG: file, ...environment });
  const serving = (await run.event('serving')) as { listening: string[]; admin: string };
  port = Number(/:(\d+)$/.exec(serving.listening[0]!)?.[1]);
  admin = serving.admin;
}

const text = async (path: string) => (await fetch(`${admin}${path}`)).text();
const status = async () => (await (await fetch(`${admin}/status`)).json()) as Status;

/** All lines of /metrics that have a number. */
async function metrics(): Promise<Map<string, number>> {
  const lines = (await text('/metrics')).split('\n').filter((line) => /^[a-z]/.test(line));
  return new Map(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(' ')),
      Number(line.slice(line.lastIndexOf(' ') + 1)),
    ]),
  );
}

/** Metrics of a later scrape: on a busy machine the admin port may answer several scrapes with the same text. */
async function metricsAfter(before: Map<string, number>): Promise<Map<string, number>> {
  const processorTime = 'process_cpu_seconds_total';
  for (;;) {
    const after = await metrics();
    if (after.get(processorTime) !== before.get(processorTime)) return after;
  }
}

const get = (token: string, path = '/') => `GET ${path}?token=${token} HTTP/1.1\r\nHost: s\r\n\r\n`;

const OK = 'HTTP/1.1 200 OK';

/** Asks and expects a good answer. */
async function answered(client: RawClient, request: string): Promise<void> {
  expect((await client.ask(request)).line).toBe(OK);
}

/** A client connection on each worker, in the order of /status. */
async function connectToEach(): Promise<[RawClient, RawClient]> {
  const found: (RawClient | undefined)[] = [undefined, undefined];
  let before = (await status()).workers;
  for (let tries = 0; tries < CONNECTIONS_MAX && found.includes(undefined); tries += 1) {
    const client = await RawClient.connect(port);
    clients.push(client);
    // An answer proves that a worker has the connection.
    await answered(client, get('somebody'));
    const { workers } = await status();
    const number = workers.findIndex(
      (one, index) => one.connectionsAccepted > before[index]!.connectionsAccepted,
    );
    if (found[number] === undefined) found[number] = client;
    else client.close();
    before = workers;
  }
  return found as [RawClient, RawClient];
}

/** Tokens of both variants, to be told from others by their name. */
const tokens = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${name}-${index}`);

test('connections land on every worker, and what they count is added up exactly', async () => {
  await start();
  const pair = await connectToEach();
  const before = await metrics();
  const keys = tokens('key', 40);
  // Every key comes to both workers: requests are added, different keys are not.
  for (const client of pair) for (const key of keys) await answered(client, get(key));

  const after = await metricsAfter(before);
  const grown = (pattern: RegExp) =>
    [...after].reduce(
      (sum, [line, value]) => (pattern.test(line) ? sum + value - (before.get(line) ?? 0) : sum),
      0,
    );
  expect(grown(/^splitter_requests_total\{.*code="2xx"/)).toBe(80);
  expect(grown(/^splitter_request_duration_seconds_count/)).toBe(80);
  expect(grown(/^splitter_unique_keys/)).toBe(40);
  expect(grown(/^splitter_downstream_connections_accepted_total/)).toBe(0);
  expect(after.get('splitter_workers')).toBe(2);
  expect(after.get('splitter_workers_serving')).toBe(2);
  expect(after.get('splitter_worker_deaths_total')).toBe(0);
  const seen = await status();
  expect(seen.workers.every(({ connectionsOpen }) => connectionsOpen > 0)).toBe(true);
  expect(seen.downstream.connectionsOpen).toBe(
    seen.workers[0].connectionsOpen + seen.workers[1].connectionsOpen,
  );
});

test('a worker that is killed under traffic is replaced; the other one serves on and no count goes down', async () => {
  await start();
  const [doomed, spared] = await connectToEach();
  for (const key of tokens('before', 20)) await doomed.ask(get(key));
  const before = await metrics();
  const [victim, other] = (await status()).workers;

  let isReplaced = false;
  const replaced = run.event('worker replaced').then(() => {
    isReplaced = true;
  });
  process.kill(victim.pid, 'SIGKILL');
  let served = 0;
  while (!isReplaced || served < 20) {
    await answered(spared, get(`during-${served}`));
    served += 1;
  }
  await replaced;
  await doomed.ended;

  const { workers } = await status();
  expect(workers[0]).toMatchObject({ number: 1, state: 'serving', restarts: 1, generation: 1 });
  expect(workers[0].pid).not.toBe(victim.pid);
  expect(workers[1]).toMatchObject({ pid: other.pid, restarts: 0 });
  expect(await run.event('worker died')).toMatchObject({
    level: 'error',
    worker: 1,
    signal: 'SIGKILL',
    restartMs: 0,
  });

  const after = await metricsAfter(before);
  const fallen = [...before].filter(
    ([line, value]) => /_(total|count|sum|bucket)\b/.test(line) && (after.get(line) ?? 0) < value,
  );
  expect(fallen).toEqual([]);
  expect(after.get('splitter_worker_deaths_total')).toBe(1);
  const sum = (numbers: Map<string, number>) =>
    [...numbers].reduce(
      (total, [line, value]) => total + (line.startsWith('splitter_requests_total') ? value : 0),
      0,
    );
  expect(sum(after)).toBe(sum(before) + served);
  expect(after.get('splitter_downstream_connections')).toBe(
    workers[0].connectionsOpen + workers[1].connectionsOpen,
  );
  // The new one takes connections as the old one did.
  const [fresh] = await connectToEach();
  await answered(fresh, get('again'));
});

test('a worker that dies again and again is started later each time', async () => {
  await start();
  for (const [line, restartMs] of [0, 100, 200].entries()) {
    const { workers } = await status();
    process.kill(workers[0].pid, 'SIGKILL');
    expect(await run.event('worker died', line)).toMatchObject({ worker: 1, restartMs });
    await run.event('worker replaced', line);
  }
  expect((await metrics()).get('splitter_worker_deaths_total')).toBe(3);
});

test('a worker that hangs takes no connection, is named, and its numbers stay as it told them last', async () => {
  await start();
  const [hanging] = await connectToEach();
  await hanging.ask(get('before'));
  const before = await status();
  const { pid } = before.workers[0];
  // On a busy machine the other worker, too, may be late with what the primary asks it.
  const PATIENCE = { timeout: 60_000 };
  const seen = async () => {
    const { workers, splits } = await status();
    return [...workers.map(({ isAnswering }) => isAnswering), splits[0]!.requests];
  };
  process.kill(pid, 'SIGSTOP');
  try {
    for (const key of tokens('other', 5)) {
      const client = await RawClient.connect(port);
      clients.push(client);
      await answered(client, get(key));
    }
    await expect.poll(seen, PATIENCE).toEqual([false, true, before.splits[0]!.requests + 5]);
    await expect.poll(async () => (await metrics()).get('splitter_workers_silent'), PATIENCE).toBe(1);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await answered(hanging, get('after'));
  await expect.poll(seen, PATIENCE).toEqual([true, true, before.splits[0]!.requests + 6]);
});

test('one reload reaches all workers, and a worker that is started later runs what runs now', async () => {
  await start();
  const pair = await connectToEach();
  const file = join(folder, 'splitter.yaml');
  writeFileSync(file, `workers: 2\ndrain: { grace: 0ms }\n${split(0)}`);
  run.signal('SIGHUP');
  expect(await run.event('configuration accepted')).toMatchObject({ generation: 2 });
  // Each worker takes it in turns of its own event loop.
  const generations = async () => (await status()).workers.map(({ generation }) => generation);
  await expect.poll(generations, { timeout: 30_000 }).toEqual([2, 2]);
  const before = a.lines.length;
  for (const client of pair) {
    for (const key of tokens('key', 10)) await answered(client, get(key));
  }
  process.kill((await status()).workers[1].pid, 'SIGKILL');
  await run.event('worker replaced');
  // Expensive answers are shared for a while: this one may have begun before the replacement.
  await expect
    .poll(async () => (await status()).workers[1], { timeout: 30_000 })
    .toMatchObject({ restarts: 1, generation: 2 });
  const [, fresh] = await connectToEach();
  for (const key of tokens('key', 10)) await answered(fresh, get(key));
  expect(a.lines).toHaveLength(before);
  expect(run.stdout.match(/"configuration accepted"/g)).toHaveLength(1);

  const missing = `upstreams: { secure: { url: "https://127.0.0.1:1", tls: { caFile: ${folder}/missing.crt } } }`;
  writeFileSync(file, `workers: 2\n${missing}\n${split(50)}`);
  run.signal('SIGHUP');
  await run.event('configuration refused');
  expect((await status()).workers.map(({ generation }) => generation)).toEqual([2, 2]);
});

test('SIGTERM drains every worker: what is in flight is answered, and the end is 0', async () => {
  const gate = Promise.withResolvers<void>();
  const arrivals = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const holding: Script = async (peer) => {
    for (;;) {
      const { line } = await peer.request();
      const index = line.includes('held-0') ? 0 : line.includes('held-1') ? 1 : -1;
      arrivals[index]?.resolve();
      if (index >= 0) await gate.promise;
      await peer.ok(line);
    }
  };
  a.script = holding;
  b.script = holding;
  await start();
  const pair = await connectToEach();
  const answers = pair.map((client, index) => client.ask(get(`held-${index}`)));
  await Promise.all(arrivals.map(({ promise }) => promise));
  run.signal('SIGTERM');
  await run.event('draining');
  const ready = await fetch(`${admin}/readyz`);
  expect(ready.status).toBe(503);
  gate.resolve();
  for (const answer of await Promise.all(answers)) {
    expect(answer.line).toBe(OK);
  }
  expect(await run.exitCode).toBe(0);
  await run.event('drained');
  expect(run.stdout).not.toMatch(/"worker died"/);
});

test('a second signal ends every worker at once, with 1', async () => {
  await start('', {}, '{ grace: 20s, deadline: 60s }');
  const pair = await connectToEach();
  run.signal('SIGTERM');
  await run.event('draining');
  run.signal('SIGTERM');
  expect(await run.exitCode).toBe(1);
  await Promise.all(pair.map((client) => client.ended));
});

test('a port that is taken is one sentence, and no worker is left', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  try {
    run = new ProgramRun([], { LISTEN: taken, ADMIN: ANY, WORKERS: '2', SPLIT: `* ${a.url}` });
    // The output of a program ends when the last process that has it ends.
    expect(await run.exitCode).toBe(1);
    expect(run.stderr).toBe(
      `request-splitter: cannot listen on ${taken} (the port for requests): another program uses it. Stop that program, or choose another address with --listen or LISTEN\n`,
    );
  } finally {
    other.close();
  }
});

test('log lines of several workers are whole, however long the request is', async () => {
  await start('accessLog: { mode: all }');
  const pair = await connectToEach();
  const long = `/${'p'.repeat(6000)}`;
  const round = tokens('key', 30);
  await Promise.all(
    pair.map(async (client) => {
      for (const key of round) await client.ask(get(key, long));
    }),
  );
  run.signal('SIGTERM');
  expect(await run.exitCode).toBe(0);
  const lines = run.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string; path?: string });
  const logged = lines.filter(({ msg, path }) => msg === 'exchange' && path?.startsWith('/ppp'));
  expect(logged).toHaveLength(60);
  expect(logged.every(({ path }) => path!.length < 300)).toBe(true);
});

test('a key that comes to two workers gets one assignment event', async () => {
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'sesame');
  await start(`assignments: { to: stdout, secretFile: ${secret} }`);
  const pair = await connectToEach();
  for (const client of pair) for (const key of tokens('key', 10)) await client.ask(get(key));
  run.signal('SIGTERM');
  expect(await run.exitCode).toBe(0);
  const events = run.stdout.split('\n').filter((line) => line.includes('"msg":"assignment"'));
  // Ten keys, and the one by which the connections were found.
  expect(events).toHaveLength(11);
  expect(new Set(events.map((line) => (JSON.parse(line) as { key: string }).key)).size).toBe(11);
  expect(run.stdout).not.toContain('sesame');
});

test('workers share a Unix socket too, which is gone with the last of them', async () => {
  const path = join(folder, 'listen.sock');
  const file = join(folder, 'splitter.yaml');
  writeFileSync(file, `drain: { grace: 0ms }\n${split(50)}`);
  run = new ProgramRun(['--workers', '2'], { LISTEN: `unix:${path}`, ADMIN: ANY, CONFIG: file });
  await run.event('serving');
  const pool = new Pool('http://localhost', { socketPath: path, connections: 4 });
  try {
    for (const key of tokens('key', 8)) {
      const { statusCode, body } = await pool.request({ method: 'GET', path: `/?token=${key}` });
      expect(statusCode).toBe(200);
      await body.dump();
    }
  } finally {
    await pool.close();
  }
  run.signal('SIGTERM');
  expect(await run.exitCode).toBe(0);
  expect(existsSync(path)).toBe(false);
});

test('the argument of a worker means nothing to somebody who types it', async () => {
  run = new ProgramRun(['worker'], {});
  expect(await run.exitCode).toBe(2);
  expect(run.stderr).toContain('expected one of the commands');
});

test('workers that are 1, as by default, are no processes: there is no list of them', async () => {
  await start('', { WORKERS: '1' });
  expect(await status()).not.toHaveProperty('workers');
  expect(await text('/metrics')).not.toMatch(/^splitter_workers/m);
});

// What the crew does with workers that do what real ones hardly can be made to: hang for good, or never come to be.

import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Counters } from '../../../src/telemetry/counters.ts';
import type { UpstreamEvent } from '../../../src/upstream/report.ts';
import { Crew } from '../../../src/workers/crew.ts';
import type { FromWorker, Reading, ToWorker } from '../../../src/workers/messages.ts';
import type { WorkerProcess } from '../../../src/workers/slot.ts';
import { fakeConfig } from '../../support/fake-running.ts';
import { logLines } from '../../support/log-lines.ts';

const NOTHING: Reading = {
  generation: 1,
  counters: new Counters().read(),
  upstreams: new Map(),
  samples: [],
  linesDropped: new Float64Array(9),
  guards: [],
  earlyWindows: 0,
  process: {
    cpuSeconds: 0,
    residentBytes: 0,
    openFiles: 0,
    openFilesMax: 0,
    heapUsedBytes: 0,
    externalBytes: 0,
    activeSeconds: 0,
  },
};

/** A worker that listens and answers at once, as long as it is not told to hang. */
class FakeWorker extends EventEmitter implements WorkerProcess {
  readonly process: { readonly pid: number | undefined };
  readonly told: ToWorker[] = [];
  hangs = false;
  #isConnected = true;

  constructor(pid: number | undefined) {
    super();
    this.process = { pid };
    if (pid !== undefined) queueMicrotask(() => this.#say({ type: 'hello' }));
  }

  send(message: ToWorker): void {
    this.told.push(message);
    if (this.hangs) return;
    switch (message.type) {
      case 'run':
        return this.#say({ type: 'listening', listening: ['http://127.0.0.1:1'] });
      case 'read':
        return this.#say({ type: 'reading', reading: NOTHING });
      case 'drain':
        this.#say({ type: 'drained', result: 'drained', reading: NOTHING });
        return this.end(0, null);
      case 'stop':
        return this.end(0, null);
    }
  }

  isConnected(): boolean {
    return this.#isConnected;
  }

  kill(): void {
    this.end(null, 'SIGKILL');
  }

  end(code: number | null, signal: string | null): void {
    queueMicrotask(() => {
      this.#isConnected = false;
      this.emit('exit', code, signal);
      this.emit('disconnect');
    });
  }

  #say(message: FromWorker): void {
    queueMicrotask(() => this.emit('message', message));
  }
}

const { log, lines } = logLines();
let forked: FakeWorker[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  lines.length = 0;
  forked = [];
});
afterEach(() => {
  vi.useRealTimers();
});

/** Two workers, made by `fork` with the number of the start, counted from 0. */
function crewOf(fork: (start: number) => FakeWorker): Crew {
  let starts = 0;
  return new Crew(fakeConfig(), { count: 2, log, assignments: null }, () => {
    starts += 1;
    const worker = fork(starts - 1);
    forked.push(worker);
    return worker;
  });
}
const states = (crew: Crew) => crew.workers.list.map(({ state }) => state);

test('a change of an upstream that several workers find is logged once', async () => {
  const crew = crewOf((start) => new FakeWorker(100 + start));
  await crew.start();
  lines.length = 0;
  const say = (worker: number, msg: UpstreamEvent['msg'], address: string) =>
    forked[worker]!.emit('message', { type: 'upstream', event: { msg, upstream: 'u', address } });
  say(0, 'upstream unreachable', '10.0.0.1');
  say(1, 'upstream unreachable', '10.0.0.2');
  say(1, 'upstream reachable again', '10.0.0.2');
  say(0, 'upstream reachable again', '10.0.0.1');
  say(0, 'upstream unreachable', '10.0.0.1');
  expect(lines.map(({ level, msg, address }) => [level, msg, address])).toEqual([
    ['warn', 'upstream unreachable', '10.0.0.1'],
    ['warn', 'upstream reachable again', '10.0.0.2'],
    ['warn', 'upstream unreachable', '10.0.0.1'],
  ]);
  await crew.stop();
});

test('a worker that answers nothing for 30 seconds is killed and replaced', async () => {
  const crew = crewOf((start) => new FakeWorker(100 + start));
  await crew.start();
  expect(states(crew)).toEqual(['serving', 'serving']);
  forked[0]!.hangs = true;
  await vi.advanceTimersByTimeAsync(29_000);
  expect(crew.workers.list.map(({ isAnswering }) => isAnswering)).toEqual([false, true]);
  expect(crew.workers.deaths).toBe(0);
  await vi.advanceTimersByTimeAsync(3000);
  expect(lines.map(({ msg }) => msg)).toEqual([
    'worker hangs and is killed',
    'worker died',
    'worker replaced',
  ]);
  expect(crew.workers.list).toMatchObject([
    { pid: 102, state: 'serving', isAnswering: true, restarts: 1 },
    { pid: 101, state: 'serving', restarts: 0 },
  ]);
  // It is asked no more questions than it can ever answer.
  expect(forked[0]!.told.filter(({ type }) => type === 'read').length).toBeLessThan(12);
  await crew.stop();
});

test('a process that cannot be started counts as a death, and is tried again later and later', async () => {
  const crew = crewOf((start) => {
    if (start === 1) throw Object.assign(new Error('spawn ENOMEM'), { code: 'ENOMEM' });
    const worker = new FakeWorker(start === 2 ? undefined : 100 + start);
    if (start === 2)
      queueMicrotask(() => worker.emit('error', Object.assign(new Error(), { code: 'EAGAIN' })));
    return worker;
  });
  await crew.start();
  expect(crew.state).toBe('serving');
  await vi.advanceTimersByTimeAsync(150);
  expect(lines).toMatchObject([
    { msg: 'worker died', worker: 2, signal: 'ENOMEM', restartMs: 0 },
    { msg: 'worker died', worker: 2, signal: 'EAGAIN', restartMs: 100 },
    { msg: 'worker replaced', worker: 2 },
  ]);
  expect(states(crew)).toEqual(['serving', 'serving']);
  await crew.stop();
});

test('while no worker serves it is starting, and a drain waits for nobody who is not there', async () => {
  const crew = crewOf(() => {
    throw new Error('no process');
  });
  await crew.start();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(crew.state).toBe('starting');
  const died = lines.length;
  expect(died).toBeLessThan(20);
  expect(await crew.drain()).toBe('drained');
  expect(states(crew)).toEqual(['ended', 'ended']);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(lines).toHaveLength(died);
});

test('a worker that does not end in time is killed, and the drain was cut', async () => {
  const crew = crewOf((start) => new FakeWorker(100 + start));
  await crew.start();
  forked[1]!.hangs = true;
  const drained = crew.drain();
  expect(crew.state).toBe('draining');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await drained).toBe('deadline');
  expect(crew.state).toBe('stopped');
});

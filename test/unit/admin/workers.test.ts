// What the admin port shows where workers take the requests: their numbers as they are now, and who is missing.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type AdminServer, startAdmin } from '../../../src/admin/server.ts';
import type { RunningWorker, RunningWorkers } from '../../../src/telemetry/running.ts';
import { fakeRunning } from '../../support/fake-running.ts';

const WORKER: RunningWorker = {
  number: 1,
  pid: 4711,
  state: 'serving',
  isAnswering: true,
  generation: 1,
  restarts: 0,
  connectionsAccepted: 7,
  connectionsOpen: 3,
  residentBytes: 1000,
};
const LIST: readonly RunningWorker[] = [
  WORKER,
  { ...WORKER, number: 2, isAnswering: false },
  { ...WORKER, number: 3, pid: null, state: 'waiting', restarts: 5 },
];

let admin: AdminServer;
let refreshed: number;

beforeEach(async () => {
  refreshed = 0;
  const workers: RunningWorkers = {
    list: LIST,
    deaths: 5,
    process: {
      cpuSeconds: 12,
      residentBytes: 5000,
      openFiles: undefined,
      openFilesMax: undefined,
      heapUsedBytes: 1,
      externalBytes: 2,
      activeSeconds: 3,
    },
    refresh: async () => {
      refreshed += 1;
    },
  };
  admin = await startAdmin({ ...fakeRunning(), workers }, { host: '127.0.0.1', port: 0, path: null });
});
afterEach(() => admin.close());

const text = async (path: string) => (await fetch(admin.address + path)).text();

test('a scrape asks the workers first, and shows how many serve, are silent and have died', async () => {
  const lines = (await text('/metrics')).split('\n');
  expect(refreshed).toBe(1);
  expect(lines).toContain('splitter_workers 3');
  expect(lines).toContain('splitter_workers_serving 2');
  expect(lines).toContain('splitter_workers_silent 1');
  expect(lines).toContain('splitter_worker_deaths_total 5');
});

test('the cost of the process is that of all of them', async () => {
  const lines = (await text('/metrics')).split('\n');
  expect(lines).toContain('process_cpu_seconds_total 12');
  expect(lines).toContain('process_resident_memory_bytes 5000');
  expect(lines).toContain('nodejs_eventloop_active_seconds_total 3');
  expect(lines.some((line) => line.startsWith('process_open_fds '))).toBe(false);
});

test('/status has each worker, asked just now', async () => {
  expect(JSON.parse(await text('/status')).workers).toEqual(LIST);
  expect(refreshed).toBe(1);
});

test('/readyz names the workers that do not serve, and does not ask them', async () => {
  expect(await text('/readyz')).toMatch(/^ready\n(?:upstream .*\n)*worker 3: waiting\n$/);
  expect(refreshed).toBe(0);
});

// Results of runs that never were.
import type { Results, Row, ScenarioResult, SoakResult, Turn } from '../../../bench/results.ts';

export const turn = (given: Partial<Turn> = {}): Turn => ({
  round: 1,
  startedAt: 0,
  foreignCores: 0.01,
  stealCores: 0,
  answered: 1000,
  seconds: 2,
  errors: 0,
  complete: true,
  cpuMicroseconds: 10_000,
  memoryMiB: 50,
  sleeps: 0,
  linesDropped: 0,
  latencyMs: { p50: 1, p99: 2, p999: 3, max: 4 },
  ...given,
});

/** A turn with so much processor time for each of its 1,000 requests. */
export const costing = (microseconds: number) => turn({ cpuMicroseconds: microseconds * 1000 });

/** A turn of one round with that 99th percentile. */
export const withP99 = (round: number, p99: number) =>
  turn({ round, latencyMs: { p50: 1, p99, p999: p99 + 1, max: p99 + 2 } });

export const row = (rival: string, ...turns: Turn[]): Row => ({ rival, title: `title of ${rival}`, turns });

export const scenario = (name: string, rate: number | null, ...rows: Row[]): ScenarioResult => ({
  name,
  title: `title of ${name}`,
  rate,
  load: rate === null ? 'wrk' : 'by the clock',
  length: `length of ${name}`,
  rows,
  notes: [],
});

/** A soak whose memory after each whole cycle is as given. */
export const soak = (...after: number[]): SoakResult => ({
  title: 'request-splitter',
  loads: ['small-get', 'open-2000'],
  loadSeconds: 4,
  cycles: after.map((mib) => [mib / 2, mib]),
  samples: after.map((memoryMiB, at) => ({ seconds: at * 8, memoryMiB })),
  answered: 1000,
  errors: 0,
});

export const results = (given: Partial<Results> = {}): Results => ({
  at: '2030-01-02T03:04:05.678Z',
  machine: { processor: 'one' },
  versions: { httpxy: 'httpxy 1.2.3' },
  run: { load: 'autocannon' },
  reference: 'nginx-tuned',
  missing: [],
  scenarios: [],
  notMeasured: {},
  open: null,
  growth: null,
  watched: [],
  starts: [],
  micro: [],
  soak: null,
  ...given,
});

// Adding up: what was counted never goes down, what is there now goes with the process that had it.
import { describe, expect, test } from 'vitest';
import { Counters } from '../../../src/telemetry/counters.ts';
import { DROP_REASONS } from '../../../src/telemetry/log-device.ts';
import type { ProcessFacts } from '../../../src/telemetry/own-process.ts';
import { KEY_SETS, type SampleReading } from '../../../src/telemetry/sample.ts';
import type { Reading } from '../../../src/workers/messages.ts';
import { Tally } from '../../../src/workers/tally.ts';
import { fakeGeneration } from '../../support/fake-running.ts';

const PROCESS: ProcessFacts = {
  cpuSeconds: 2,
  residentBytes: 100,
  openFiles: 10,
  openFilesMax: 100,
  heapUsedBytes: 40,
  externalBytes: 5,
  activeSeconds: 1,
};

/** What a worker with these counters tells. */
function read(counters: Counters, more: Partial<Reading> = {}): Reading {
  return {
    generation: 1,
    counters: counters.read(),
    upstreams: new Map(),
    samples: [],
    linesDropped: new Float64Array(DROP_REASONS.length),
    guards: [],
    earlyWindows: 0,
    process: PROCESS,
    ...more,
  };
}

/** Counters that have seen a little of everything, `times` over. */
function busy(times: number, counters = new Counters()): Counters {
  const row = counters.variant('s', 'v', 'u');
  const upstream = counters.upstream('u');
  for (let time = 0; time < times; time += 1) {
    row.begin();
    row.end(200, -1, 12.5, 10, 20);
    row.begin();
    row.end(502, 3, 0.1, 1, 2);
    row.begin();
    row.missingKey();
    row.retry();
    row.fallback();
    upstream.connectionOpened();
    upstream.connectFailed(2);
    upstream.ejected();
    upstream.waiting(1);
    counters.downstream.connectionOpened();
    counters.downstream.refused(1);
    counters.downstream.tunnelOpened();
  }
  return counters;
}

describe('numbers of several workers', () => {
  test('are the sums that one process would have counted', () => {
    const tally = new Tally();
    const [first, second] = [busy(2), busy(3)];
    tally.advance(null, read(first));
    tally.advance(null, read(second));
    expect(read(tally.counters)).toEqual(read(busy(5)));
    const before = read(second);
    tally.advance(before, read(busy(4, second)));
    expect(read(tally.counters)).toEqual(read(busy(9)));
  });

  test('are not counted twice when nothing has changed', () => {
    const tally = new Tally();
    const reading = read(busy(1));
    tally.advance(null, reading);
    tally.advance(reading, reading);
    expect(read(tally.counters)).toEqual(read(busy(1)));
  });

  test('keep what a worker counted that is gone, but not what it had open', () => {
    const tally = new Tally();
    const reading = read(busy(2));
    tally.advance(null, reading);
    tally.advance(null, read(busy(3)));
    tally.forget(reading);
    const { counters } = tally;
    const row = counters.variant('s', 'v', 'u');
    expect(row).toMatchObject({ ended: 10, retries: 5, bytesSent: 110, inFlight: 3 });
    expect(counters.upstream('u')).toMatchObject({
      connectionsOpened: 5,
      ejections: 5,
      connectionsOpen: 3,
      exchangesWaiting: 3,
    });
    expect(counters.downstream).toMatchObject({
      connectionsAccepted: 5,
      tunnelsOpened: 5,
      connectionsOpen: 3,
      tunnelsOpen: 3,
    });
  });

  test('count lines that were dropped since the reading before, by reason', () => {
    const tally = new Tally();
    const [first, second] = [4, 7].map((lines) =>
      read(new Counters(), { linesDropped: Float64Array.from(DROP_REASONS, (_, reason) => lines + reason) }),
    );
    tally.advance(null, first!);
    tally.advance(first!, second!);
    tally.advance(null, first!);
    expect([...tally.linesDropped]).toEqual(DROP_REASONS.map((_, reason) => 11 + 2 * reason));
  });
});

describe('unique keys', () => {
  const { config, splitters } = fakeGeneration();
  const sampleOf = (counters: Counters) => {
    const [name, splitter] = [...splitters][0]!;
    return counters.sample(name, splitter.variants, config.splits.get(name)!);
  };
  const readingOf = (counters: Counters): SampleReading => structuredClone(sampleOf(counters).read());

  test('that came to two workers are counted once', () => {
    const tally = new Tally();
    sampleOf(tally.counters);
    for (const [from, to] of [
      [0, 60],
      [40, 100],
    ] as const) {
      const counters = new Counters();
      for (let key = from; key < to; key += 1)
        sampleOf(counters).add(key % 2, Math.imul(key, 0x9e3779b1) >>> 0);
      tally.advance(null, read(counters, { samples: [readingOf(counters)] }));
    }
    const counts = sampleOf(tally.counters)
      .counts()
      .map(({ keys }) => Math.round(keys));
    expect(counts).toEqual([50, 50]);
    expect(sampleOf(tally.counters).rows.map(({ endings }) => endings[0])).toEqual([60, 60]);
  });

  test('that are read again and again are the same as in the worker, exchanges and keys alike', () => {
    const [tally, counters] = [new Tally(), new Counters()];
    sampleOf(tally.counters);
    const sample = sampleOf(counters);
    let before: Reading | null = null;
    for (let round = 0; round < 5; round += 1) {
      for (let key = 0; key < 300 * round; key += 1) {
        sample.add(key % 2, Math.imul(key, 0x9e3779b1) >>> 0, key % 4, key % 50);
        if (key % 3 === 0) sample.leftOut(key % 2, 'fallbacks', 0);
      }
      const now = read(counters, { samples: [readingOf(counters)] });
      tally.advance(before, now);
      before = now;
    }
    const merged = sampleOf(tally.counters);
    expect(merged.rows.map(({ cells }) => cells)).toEqual(sample.rows.map(({ cells }) => cells));
    expect(merged.sums).toEqual(sample.sums);
    for (const set of KEY_SETS) {
      expect(
        Buffer.compare(Buffer.from(merged[set].allWords.buffer), Buffer.from(sample[set].allWords.buffer)),
      ).toBe(0);
      expect(merged.counts(set)).toEqual(sample.counts(set));
    }
    expect(merged.verdict(1).judgement).toEqual(sample.verdict(1).judgement);
  });

  test('of exchanges that began before a reload come to the sample that it replaced', () => {
    const tally = new Tally();
    const old = sampleOf(tally.counters);
    const counters = new Counters();
    sampleOf(counters).add(0, 1);
    const [name, splitter] = [...splitters][0]!;
    const changed = { ...config.splits.get(name)!, method: 'rendezvous' as const };
    const next = tally.counters.sample(name, splitter.variants, changed);
    tally.advance(null, read(counters, { samples: [readingOf(counters)] }));
    expect(Math.round(old.counts()[0]!.keys)).toBe(1);
    expect(next.counts()[0]!.keys).toBe(0);
  });

  test('of a split that has changed since are left out', () => {
    const tally = new Tally();
    sampleOf(tally.counters);
    const counters = new Counters();
    sampleOf(counters).add(0, 1);
    const reading = { ...readingOf(counters), definition: 'another' };
    tally.advance(null, read(counters, { samples: [reading] }));
    expect(sampleOf(tally.counters).counts()[0]!.keys).toBe(0);
  });
});

test('processes are added up; of one that is gone its time stays', () => {
  const tally = new Tally();
  tally.forget(read(new Counters()));
  expect(tally.addUp([PROCESS, PROCESS])).toEqual({
    cpuSeconds: 6,
    residentBytes: 200,
    openFiles: 20,
    openFilesMax: 200,
    heapUsedBytes: 80,
    externalBytes: 10,
    activeSeconds: 3,
  });
  expect(tally.addUp([PROCESS, { ...PROCESS, openFiles: undefined }]).openFiles).toBeUndefined();
});

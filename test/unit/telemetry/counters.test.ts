// The rows that the data plane adds to: which cell each call changes, and that a bound belongs to its own bucket.
import { globSync, readFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { DURATION_BOUNDS_DEFAULT_MS, DURATION_BOUNDS_MAX } from '../../../src/config/duration-bounds.ts';
import { FAULT_CODES } from '../../../src/errors.ts';
import { Counters } from '../../../src/telemetry/counters.ts';
import { FAILED_CLASSES, STATUS_CLASSES } from '../../../src/telemetry/counts.ts';
import { setDurationBounds } from '../../../src/telemetry/duration-buckets.ts';

const CODE = FAULT_CODES.indexOf('UPSTREAM_RESET');

function bucketOf(durationMs: number): number {
  const row = new Counters().variant('s', 'v', 'u');
  row.begin();
  row.end(200, -1, durationMs, 0, 0);
  return row.durations.indexOf(1);
}

describe('rows', () => {
  test('the same names give the same row, other names another one', () => {
    const counters = new Counters();
    const row = counters.variant('s', 'v', 'u');
    expect(counters.variant('s', 'v', 'u')).toBe(row);
    expect(counters.variant('s', 'v', 'other')).not.toBe(row);
    expect(counters.variant('sv', '', 'u')).not.toBe(counters.variant('s', 'v', 'u'));
    expect(counters.upstream('u')).toBe(counters.upstream('u'));
    expect([...counters.variants()].map((one) => [one.split, one.variant, one.upstream])).toEqual([
      ['s', 'v', 'u'],
      ['s', 'v', 'other'],
      ['sv', '', 'u'],
    ]);
    expect([...counters.upstreams()].map((one) => one.upstream)).toEqual(['u']);
  });
});

describe('an exchange', () => {
  test('is in flight from begin to end and then counted once everywhere', () => {
    const row = new Counters().variant('s', 'v', 'u');
    row.begin();
    row.begin();
    expect([row.inFlight, row.ended]).toEqual([2, 0]);
    row.end(204, -1, 1.5, 100, 50);
    expect([row.inFlight, row.ended]).toEqual([1, 1]);
    row.end(502, CODE, 2.25, 10, 5);
    expect(row.inFlight).toBe(0);
    expect([...row.requests]).toEqual([0, 0, 1, 0, 0, 1]);
    expect([row.faults[CODE], row.faults.reduce((a, b) => a + b)]).toEqual([1, 1]);
    expect([row.bytesReceived, row.bytesSent, row.durationSumUs]).toEqual([110, 55, 3750]);
    expect(row.durations.reduce((a, b) => a + b)).toBe(2);
    expect(row.failed).toBe(1);
  });

  test.each([
    [0, 'none'],
    [100, '1xx'],
    [199, '1xx'],
    [200, '2xx'],
    [299, '2xx'],
    [304, '3xx'],
    [499, '4xx'],
    [599, '5xx'],
    [600, '5xx'],
    [999, '5xx'],
  ] as const)('with status %i counts as %s', (status, name) => {
    const row = new Counters().variant('s', 'v', 'u');
    row.begin();
    row.end(status, -1, 0, 0, 0);
    expect(row.requests[STATUS_CLASSES.indexOf(name)]).toBe(1);
  });

  test('has failed by the same classes on the page as here', () => {
    const folder = new URL('../../../src/admin/page/', import.meta.url).pathname;
    const scripts = globSync('*.js', { cwd: folder }).map((name) => readFileSync(folder + name, 'utf8'));
    const lists = scripts.flatMap((text) => text.match(/const FAILED_CLASSES = .*;/) ?? []);
    expect(lists).toEqual([
      `const FAILED_CLASSES = [${FAILED_CLASSES.map((name) => `'${name}'`).join(', ')}];`,
    ]);
  });

  test('counts its retries and missing keys apart', () => {
    const row = new Counters().variant('s', 'v', 'u');
    row.retry();
    row.missingKey();
    row.missingKey();
    expect([row.retries, row.missingKeys]).toEqual([1, 2]);
  });

  test('counts overrides, those that were refused, and minted keys apart', () => {
    const row = new Counters().variant('s', 'v', 'u');
    row.override();
    row.overrideRefused();
    row.overrideRefused();
    for (let times = 0; times < 3; times++) row.keyMinted();
    expect([row.overrides, row.overridesRefused, row.keysMinted, row.missingKeys]).toEqual([1, 2, 3, 0]);
  });
});

describe('the duration histogram', () => {
  test.each(DURATION_BOUNDS_DEFAULT_MS.map((bound, index) => ({ bound, index })))(
    'puts $bound ms into bucket $index and one microsecond more into the next',
    ({ bound, index }) => {
      expect(bucketOf(bound)).toBe(index);
      expect(bucketOf(bound + 0.001)).toBe(index + 1);
    },
  );

  test.each([
    { name: 'the default', bounds: DURATION_BOUNDS_DEFAULT_MS },
    { name: 'one', bounds: [300] },
    { name: 'forty close', bounds: Array.from({ length: DURATION_BOUNDS_MAX }, (_, at) => 200 + at) },
    { name: 'the shortest and the longest', bounds: [0.01, 0.011, 3_599_999, 3_600_000] },
  ])('agrees with a linear search around every bound and power of two, with bounds $name', ({ bounds }) => {
    onTestFinished(() => setDurationBounds(DURATION_BOUNDS_DEFAULT_MS));
    setDurationBounds(bounds);
    const powers = Array.from({ length: 32 }, (_, bits) => 2 ** bits);
    for (const us of [...powers, ...bounds.map((ms) => Math.round(ms * 1000))]) {
      for (const near of [us - 1, us, us + 1]) {
        const linear = bounds.findIndex((bound) => near <= bound * 1000);
        expect([near, bucketOf(near / 1000)]).toEqual([near, linear === -1 ? bounds.length : linear]);
      }
    }
  });

  test('takes durations longer than 2^32 microseconds as +Inf', () => {
    for (const ms of [60_001, 2 ** 32 / 1000, 2 ** 32 / 1000 + 1, 7 * 86_400_000]) {
      expect(bucketOf(ms)).toBe(DURATION_BOUNDS_DEFAULT_MS.length);
    }
  });

  test('takes a duration below zero, or none at all, as zero', () => {
    const row = new Counters().variant('s', 'v', 'u');
    row.end(200, -1, -3, 0, 0);
    row.end(200, -1, Number.NaN, 0, 0);
    expect([row.durations[0], row.durationSumUs]).toEqual([2, 0]);
  });
});

describe('connections', () => {
  test('of an upstream are counted when opened and while open', () => {
    const row = new Counters().upstream('u');
    row.connectionOpened();
    row.connectionOpened();
    row.connectionClosed();
    row.connectFailed(CODE);
    row.waiting(1);
    row.waiting(1);
    row.waiting(-1);
    expect([row.connectionsOpened, row.connectionsOpen, row.exchangesWaiting]).toEqual([2, 1, 1]);
    expect(row.connectFailures[CODE]).toBe(1);
  });

  test('of the downstream side are counted with refusals and tunnels', () => {
    const { downstream } = new Counters();
    downstream.connectionOpened();
    downstream.connectionOpened();
    downstream.connectionClosed();
    downstream.refused(CODE);
    downstream.tunnelOpened();
    downstream.tunnelOpened();
    downstream.tunnelClosed();
    expect([downstream.connectionsAccepted, downstream.connectionsOpen]).toEqual([2, 1]);
    expect([downstream.tunnelsOpened, downstream.tunnelsOpen]).toEqual([2, 1]);
    expect(downstream.refusals[CODE]).toBe(1);
  });
});

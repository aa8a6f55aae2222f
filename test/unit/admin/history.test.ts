// Fifteen minutes of points per variant: rates, percentiles, and what is forgotten.
import { describe, expect, test, vi } from 'vitest';
import { History, quantile } from '../../../src/admin/history.ts';
import { BUCKETS_MAX, durationBoundsSeconds } from '../../../src/telemetry/duration-buckets.ts';
import { Sample } from '../../../src/telemetry/sample.ts';
import { fakeRunning } from '../../support/fake-running.ts';

const START = Date.parse('2030-01-01T00:00:00Z');

test('the samples are judged at every point, and each verdict comes to its end', async () => {
  const running = fakeRunning();
  const variants = Array.from({ length: 1000 }, (_, at) => ({ name: `v${at}`, share: 0.001 }));
  const sample = new Sample({ split: 's', variants, definition: 'd', key: 'k', hasAnyHash: true });
  vi.spyOn(running.counters, 'samples').mockImplementation(() => [sample].values());
  const history = new History(running, START, 0);
  const before = sample.verdict();
  for (let hash = 0; hash < 5000; hash += 1) sample.add(0, hash * 858_993);
  history.take(START + 5000, 5000);
  await expect.poll(() => sample.verdict(), { timeout: 60_000 }).not.toBe(before);
  expect(sample.verdict().isMismatch).toBe(true);
});

test('a reader waits for the first verdict, which is made in pieces, and for no later one', async () => {
  const running = fakeRunning();
  const variants = Array.from({ length: 1000 }, (_, at) => ({ name: `v${at}`, share: 0.001 }));
  const sample = new Sample({ split: 's', variants, definition: 'd', key: 'k', hasAnyHash: true });
  for (let hash = 0; hash < 5000; hash += 1) sample.add(0, hash * 858_993);
  vi.spyOn(running.counters, 'samples').mockImplementation(() => [sample].values());
  const pieces = vi.spyOn(sample, 'lookInPieces');
  const history = new History(running, START, 0);
  expect(sample.isJudged).toBe(false);
  await history.judged();
  expect(sample.isJudged).toBe(true);
  await history.judged();
  expect(pieces).toHaveBeenCalledTimes(1);
});

describe('a point', () => {
  test('is what has ended since the last one, by the second', () => {
    const running = fakeRunning();
    const a = running.counters.variant('appversion', 'version_1a', 'a');
    a.begin();
    a.end(200, -1, 1, 0, 0);
    const history = new History(running, START, 0);
    for (const [status, ms] of [
      [200, 3],
      [200, 3],
      [502, 3],
      [0, 40],
    ] as const) {
      a.begin();
      a.end(status, -1, ms, 0, 0);
    }
    history.take(START + 2000, 2000);
    history.take(START + 4000, 4000);
    const { timesMs, variants } = history.describe(0);
    expect(timesMs).toEqual([START + 2000, START + 4000]);
    expect(variants.toJSON()).toEqual([
      {
        split: 'appversion',
        variant: 'version_1a',
        upstream: 'a',
        requestsPerSecond: [2, 0],
        errorsPerSecond: [1, 0],
        p50Seconds: [expect.closeTo(0.0042, 3), null],
        p99Seconds: [expect.closeTo(0.049, 3), null],
      },
    ]);
  });

  test('is told only when it is younger than asked for', () => {
    const history = new History(fakeRunning(), START, 0);
    for (let point = 1; point <= 4; point += 1) history.take(START + point * 5000, point * 5000);
    expect(history.describe(history.firstAfter(START + 10_000)).timesMs).toEqual([
      START + 15_000,
      START + 20_000,
    ]);
  });

  test('is forgotten after 15 minutes', () => {
    const history = new History(fakeRunning(), START, 0);
    for (let point = 1; point <= 200; point += 1) history.take(START + point * 5000, point * 5000);
    const { timesMs } = history.describe(0);
    expect(timesMs).toHaveLength(180);
    expect(timesMs[0]).toBe(START + 21 * 5000);
    expect(timesMs.at(-1)).toBe(START + 200 * 5000);
  });

  // NTP corrects a wrong clock, or a machine wakes up: the counters have not moved any faster.
  test.each([
    ['back by an hour', -3_600_000],
    ['forward by an hour', 3_600_000],
  ])('keeps its rates when the clock is set %s, and all points get the new time', (_, step) => {
    const running = fakeRunning();
    const a = running.counters.variant('appversion', 'version_1a', 'a');
    const history = new History(running, START, 0);
    for (let point = 1; point <= 4; point += 1) {
      for (let request = 0; request < 10; request += 1) {
        a.begin();
        a.end(200, -1, 1, 0, 0);
      }
      history.take(START + point * 5000 + (point > 2 ? step : 0), point * 5000);
    }
    const { timesMs, variants } = history.describe(0);
    expect(variants.toJSON()[0]!.requestsPerSecond).toEqual([2, 2, 2, 2]);
    expect(timesMs).toEqual([5000, 10_000, 15_000, 20_000].map((ms) => START + step + ms));
  });

  test('is told again to a page that knows times which are still to come since the clock was set back', () => {
    const history = new History(fakeRunning(), START, 0);
    for (let point = 1; point <= 4; point += 1) {
      history.take(START + point * 5000 - (point > 2 ? 3_600_000 : 0), point * 5000);
    }
    expect(history.firstAfter(START + 10_000)).toBe(0);
    expect(history.firstAfter(START + 20_000 - 3_600_000)).toBe(4);
    expect(history.firstAfter(START + 21_000 - 3_600_000)).toBe(4);
  });

  test('of a variant that comes later has no values before', () => {
    const running = fakeRunning();
    const history = new History(running, START, 0);
    history.take(START + 5000, 5000);
    running.counters.variant('appversion', 'late', 'a');
    history.take(START + 10_000, 10_000);
    expect(
      history
        .describe(0)
        .variants.toJSON()
        .find(({ variant }) => variant === 'late'),
    ).toMatchObject({
      requestsPerSecond: [null, 0],
    });
  });
});

describe('a quantile', () => {
  const cells = (...counts: [bucket: number, count: number][]) => {
    const filled = new Float64Array(BUCKETS_MAX);
    for (const [bucket, count] of counts) filled[bucket] = count;
    return filled;
  };

  test('is linear within its bucket', () => {
    expect(quantile(cells([4, 100]), 0.5, durationBoundsSeconds())).toBeCloseTo((0.005 + 0.01) / 2, 12);
    expect(quantile(cells([0, 100]), 0.99, durationBoundsSeconds())).toBeCloseTo(0.0005 * 0.99, 12);
    expect(quantile(cells([0, 98], [9, 2]), 0.99, durationBoundsSeconds())).toBeCloseTo(0.25 + 0.25 / 2, 12);
  });

  test('beyond the last bound is that bound, and nothing without durations', () => {
    expect(quantile(cells([durationBoundsSeconds().length, 5]), 0.5, durationBoundsSeconds())).toBe(60);
    expect(quantile(cells(), 0.5, durationBoundsSeconds())).toBeNaN();
  });
});

import { describe, expect, test } from 'vitest';
import { type ClientPace, measure } from '../../../src/upstream/pool-review.ts';

const begin = (): ClientPace => ({ exchange: 1, bytes: 0, at: 0, patienceMs: 1000 });

/** Reviews the client ten times a second for this long; returns the least patience that was left. */
function review(pace: ClientPace, seconds: number, bytesAt: (ms: number) => number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let ms = 100; ms <= seconds * 1000; ms += 100) {
    measure(pace, bytesAt(ms), ms);
    least = Math.min(least, pace.patienceMs);
  }
  return least;
}

describe('while others wait for its connection a client', () => {
  test('that moves nothing may be cut off after a second', () => {
    expect(review(begin(), 0.9, () => 1)).toBeGreaterThan(0);
    expect(review(begin(), 1.1, () => 1)).toBeLessThan(0);
  });

  test('that moves 2 KiB a second, in one burst each second, is never cut off', () => {
    expect(review(begin(), 3600, (ms) => Math.floor((ms + 500) / 1000) * 2048)).toBeGreaterThan(0);
  });

  test('that moves 240 bytes a second evenly is never cut off', () => {
    expect(review(begin(), 3600, (ms) => (ms * 240) / 1000)).toBeGreaterThan(0);
  });

  test('that was fast and stops may be cut off after ten seconds', () => {
    expect(review(begin(), 10, () => 1e9)).toBeGreaterThanOrEqual(0);
    expect(review(begin(), 10.3, () => 1e9)).toBeLessThan(0);
  });

  test('is slow below 16 KiB a second', () => {
    expect(measure(begin(), 1638, 100)).toBe(true);
    expect(measure(begin(), 1639, 100)).toBe(false);
  });
});

// The time by which schedules run: exact near a step, without a look at the system's clock far from one, and never back.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

const START = 1_800_000_000_000;

beforeEach(() => {
  vi.resetModules();
  vi.useFakeTimers({ now: START });
});

afterEach(() => {
  vi.useRealTimers();
});

it('never goes back', async () => {
  const { wallClock } = await import('../../src/wall-clock.ts');
  expect(wallClock()).toBe(START);
  vi.setSystemTime(START - 5000);
  expect(wallClock()).toBe(START);
});

it('is exact within two seconds of a step, and at most a quarter of a second old before', async () => {
  const { wallClock } = await import('../../src/wall-clock.ts');
  const stepAt = START + 10_000;
  for (let ms = 0; ms < 10_500; ms++) {
    const ageMs = Date.now() - wallClock(stepAt);
    expect(ageMs).toBeLessThanOrEqual(ms > 8250 ? 0 : 250);
    vi.advanceTimersByTime(1);
  }
});

it('does not look at the system clock far from a step, or after the last one', async () => {
  const { wallClock } = await import('../../src/wall-clock.ts');
  wallClock(START + 60_000);
  const now = vi.spyOn(Date, 'now');
  for (let decision = 0; decision < 1000; decision++) {
    wallClock(START + 60_000);
    wallClock(Number.POSITIVE_INFINITY);
  }
  expect(now).not.toHaveBeenCalled();
});

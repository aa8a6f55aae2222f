import { describe, expect, test } from 'vitest';
import { BodyPace } from '../../../src/exchange/body-pace.ts';

const PAUSE_MS = 60_000;
const RATE = 240;

function begin(): BodyPace {
  const pace = new BodyPace();
  pace.reset(PAUSE_MS, 100);
  return pace;
}

describe('a client that is waited for', () => {
  test('may pause for the whole limit at first', () => {
    expect(begin().wait(5000, PAUSE_MS, RATE, 100)).toBe(65_000);
  });

  test('that sends a byte now and then uses the limit up', () => {
    const pace = begin();
    let bytes = 100;
    let dueAt = pace.wait(1000, PAUSE_MS, RATE, bytes);
    let now = 1000;
    while (now + 5000 < dueAt) {
      now += 5000;
      dueAt = pace.wait(now, PAUSE_MS, RATE, ++bytes);
    }
    expect(dueAt).toBeGreaterThan(61_000);
    expect(dueAt).toBeLessThan(61_100);
  });

  test('that keeps the rate may go on for ever', () => {
    const pace = begin();
    let dueAt = Number.POSITIVE_INFINITY;
    for (let second = 1; second < 100_000; second++) {
      expect(second * 1000).toBeLessThan(dueAt);
      dueAt = pace.wait(second * 1000, PAUSE_MS, RATE, 100 + second * RATE);
    }
  });

  test('earns no more than one limit ahead', () => {
    expect(begin().wait(1000, PAUSE_MS, RATE, 1e9)).toBe(61_000);
  });

  test('without a rate has the whole limit for each pause', () => {
    const pace = begin();
    pace.wait(1000, PAUSE_MS, 0, 100);
    expect(pace.wait(50_000, PAUSE_MS, 0, 101)).toBe(110_000);
  });
});

test('time in which the upstream is waited for costs the client nothing', () => {
  const pace = begin();
  pace.wait(1000, PAUSE_MS, RATE, 100);
  pace.rest(11_000);
  pace.rest(20_000);
  expect(pace.wait(500_000, PAUSE_MS, RATE, 100)).toBe(550_000);
});

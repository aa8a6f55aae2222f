// The demo's line a second: what came, and who has had how much so far.
import { expect, test } from 'vitest';
import { trafficLine } from '../../../src/demo/traffic.ts';

const counts = (a: number, b: number, failed = 0) => [
  { variant: 'backend', requests: a, failed },
  { variant: 'backend-experiment', requests: b, failed: 0 },
];

test('a second with traffic is one line of requests, sums and shares', () => {
  expect(trafficLine(counts(550, 557), counts(598, 606))).toBe(
    '    97 requests/s · so far 1,204: backend 598 (49.7 %) · backend-experiment 606 (50.3 %)',
  );
});

test('a second without traffic is no line', () => {
  expect(trafficLine(counts(0, 0), counts(0, 0))).toBeNull();
  expect(trafficLine(counts(5, 7), counts(5, 7))).toBeNull();
});

test('failures of that second are named', () => {
  expect(trafficLine(counts(0, 0, 2), counts(3, 0, 5))).toBe(
    '     3 requests/s, 3 failed · so far 3: backend 3 (100.0 %) · backend-experiment 0 (0.0 %)',
  );
});

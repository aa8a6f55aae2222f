// The guard under simulated traffic, looked at once a second: how often it stops equal variants, how soon a bad one, and
// that a client which repeats itself stops nothing. Fixed seeds.
import { expect, it } from 'vitest';
import { GuardCounts } from '../../src/telemetry/guard-counts.ts';
import { judgeGuard } from '../../src/trust/guard-verdict.ts';
import { randomRatios } from '../support/random.ts';
import { scaled } from '../support/runs.ts';

const GUARD = { against: 'control', minimumKeys: 200, alpha: 100, errors: { worseBy: 1 } };

/** How many of `tries` succeed, by the normal approximation where it is good and one by one elsewhere. */
function binomial(tries: number, rate: number, random: () => number): number {
  const variance = tries * rate * (1 - rate);
  if (variance > 30) {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return Math.max(0, Math.round(tries * rate + Math.sqrt(variance) * normal));
  }
  // Inversion: the waiting times between successes are geometric.
  let count = 0;
  for (let at = 0; ; count++) {
    at += Math.ceil(Math.log(1 - random()) / Math.log1p(-rate));
    if (at > tries) return count;
  }
}

function arm(name: string, keys: number, failed: number) {
  return { name, share: 0.5, keys, failed, failedError: 0, slow: 0, slowError: 0, quantileMs: null };
}

it('stops at most alpha of 10,000 ramps of equal variants, each watched at every second of ten minutes', () => {
  const random = randomRatios(1);
  const ramps = scaled(10_000);
  let stopped = 0;
  for (let ramp = 0; ramp < ramps; ramp++) {
    const rate = [0.001, 0.01, 0.05, 0.3][ramp % 4]!;
    // Coverage grows from 1 % to 100 % of 500 requests a second, each with a key of its own.
    const [keys, failed] = [
      [0, 0],
      [0, 0],
    ];
    for (let second = 0; second < 600; second++) {
      const perSecond = [2, 12, 62, 250][Math.floor(second / 150)]!;
      for (const at of [0, 1] as const) {
        const came = binomial(2 * perSecond, 0.5, random);
        keys[at]! += came;
        failed[at]! += binomial(came, rate, random);
      }
      const arms = [arm('new', keys[0]!, failed[0]!), arm('old', keys[1]!, failed[1]!)];
      if (judgeGuard(GUARD, arms, arms[1]!, 1) === null) continue;
      stopped += 1;
      break;
    }
  }
  expect(stopped / ramps).toBeLessThanOrEqual(0.01);
});

it.each([0, 0.01, 0.05])(
  'stops a variant with two points more of 5xx than %d within 60 s at 500 requests/s in 95 of 100 runs',
  (base) => {
    const random = randomRatios(2);
    let inTime = 0;
    for (let run = 0; run < 100; run++) {
      const counts = new GuardCounts(2);
      for (let second = 0; second < 60; second++) {
        for (let request = 0; request < 500; request++) {
          const variant = random() < 0.5 ? 0 : 1;
          counts.add(
            variant,
            Math.floor(random() * 2 ** 32),
            random() < base + (variant === 0 ? 0.02 : 0),
            1,
          );
        }
        const arms = ['new', 'old'].map((name, at) => ({
          ...arm(name, counts.keys.count(at).keys, counts.failed.count(at).keys),
          failedError: counts.failed.count(at).standardError,
        }));
        if (judgeGuard({ ...GUARD, errors: { worseBy: 100 } }, arms, arms[1]!, 1) === null) continue;
        inTime += 1;
        break;
      }
    }
    expect(inTime).toBeGreaterThanOrEqual(95);
  },
);

it('one client with 1,000 failing retries never stops a split', () => {
  const random = randomRatios(3);
  for (let run = 0; run < 100; run++) {
    const counts = new GuardCounts(2);
    const own = Math.floor(random() * 2 ** 32);
    for (let second = 0; second < 10; second++) {
      for (let request = 0; request < 500; request++)
        counts.add(random() < 0.5 ? 0 : 1, Math.floor(random() * 2 ** 32), false, 1);
      for (let retry = 0; retry < 100; retry++) counts.add(0, own, true, 1);
      const arms = ['new', 'old'].map((name, at) =>
        arm(name, counts.keys.count(at).keys, counts.failed.count(at).keys),
      );
      expect(judgeGuard(GUARD, arms, arms[1]!, 1)).toBeNull();
    }
  }
});

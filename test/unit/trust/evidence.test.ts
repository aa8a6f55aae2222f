// Evidence against shares, on exact counts, against the published formula: multiplied out key by key, and with 60 digits.
import { describe, expect, test } from 'vitest';
import { type ShareCell, shareLogEvidence } from '../../../src/trust/evidence.ts';

const cellsOf = (shares: readonly number[], keys: readonly number[], standardError = 0): ShareCell[] =>
  shares.map((share, at) => ({ share, keys: keys[at]!, standardError }));

/** Lindon and Malek, equation for the Dirichlet-multinomial Bayes factor, as a product over the keys. */
function keyByKey(shares: readonly number[], keys: readonly number[]): number {
  let log = 0;
  let total = 0;
  for (const [at, share] of shares.entries()) {
    for (let key = 0; key < keys[at]!; key += 1) {
      log += Math.log(1000 * share + key) - Math.log(1000 + total) - Math.log(share);
      total += 1;
    }
  }
  return log;
}

describe('evidence from exact counts', () => {
  // mpmath with 60 digits: Γ(k)/Γ(k + n) Π Γ(kθ + x)/Γ(kθ) θ^-x, k = 1000.
  test.each([
    [[0.5, 0.5], [5050, 4950], -0.744581866849444],
    [[0.5, 0.5], [505_000, 495_000], 46.49630358435144],
    [[0.5, 0.5], [500_400_000, 499_600_000], 313.0917086748689],
    [[0.9, 0.1], [90_000, 9000], 43.99665309711795],
    [[0.0001, 0.9999], [0, 1000], 0.030662774026482202],
    [[0.1, 0.3, 0.6], [1100, 2950, 5950], 2.5532106323527635],
    [[0.5, 0.5], [0, 7], 0.02086452054369767],
    [
      [0.25, 0.25, 0.25, 0.25],
      [2_500_000_000, 2_500_100_000, 2_499_900_000, 2_500_000_000],
      -20.178394023737436,
    ],
  ])('of shares %j with %j keys is the published formula to 1e-9', (shares, keys, expected) => {
    expect(Math.abs(shareLogEvidence(cellsOf(shares, keys)) - expected)).toBeLessThan(1e-9);
  });

  test('is the product over all keys, whatever their order, to 1e-9', () => {
    for (const [shares, keys] of [
      [
        [0.5, 0.5],
        [1, 0],
      ],
      [
        [0.3, 0.7],
        [12, 40],
      ],
      [
        [0.01, 0.09, 0.9],
        [0, 55, 431],
      ],
      [
        [0.5, 0.5],
        [2600, 2400],
      ],
    ] as const) {
      expect(Math.abs(shareLogEvidence(cellsOf(shares, keys)) - keyByKey(shares, keys))).toBeLessThan(1e-9);
    }
  });

  test('is none without keys, with one variant, and from variants that are parked', () => {
    expect(shareLogEvidence([])).toBe(0);
    expect(shareLogEvidence(cellsOf([0.5, 0.5], [0, 0]))).toBe(0);
    expect(shareLogEvidence(cellsOf([1], [100]))).toBe(0);
    expect(shareLogEvidence(cellsOf([0.5, 0, 0.5], [500, 900, 500]))).toBe(
      shareLogEvidence(cellsOf([0.5, 0.5], [500, 500])),
    );
  });

  test('does not depend on whether the shares add up to one', () => {
    expect(shareLogEvidence(cellsOf([0.2, 0.2], [520, 480]))).toBe(
      shareLogEvidence(cellsOf([0.5, 0.5], [520, 480])),
    );
  });
});

describe('a counting error', () => {
  test('adds keys that fall exactly by the shares, so that each cell varies as much as it is stated to', () => {
    const [keys, error] = [[505_000, 495_000] as const, 300];
    const noise = error ** 2 / 0.5;
    // The published formula is one of counts alone, so the added keys can be given to it as counts.
    const expected = shareLogEvidence(cellsOf([0.5, 0.5], [505_000 + noise / 2, 495_000 + noise / 2]));
    expect(shareLogEvidence(cellsOf([0.5, 0.5], keys, error))).toBeCloseTo(expected, 9);
  });

  test('lowers evidence, never raises it', () => {
    const at = (error: number) => shareLogEvidence(cellsOf([0.5, 0.5], [505_000, 495_000], error));
    expect(at(0)).toBeGreaterThan(at(300));
    expect(at(300)).toBeGreaterThan(at(1000));
    expect(at(1000)).toBeGreaterThan(at(4000));
  });
});

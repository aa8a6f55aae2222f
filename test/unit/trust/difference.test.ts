// Differences between two variants: e-values against 60 digits, intervals as their inversion.
import { describe, expect, test } from 'vitest';
import {
  type Difference,
  differenceInterval,
  differenceLogEvidence,
  proportionDifference,
} from '../../../src/trust/difference.ts';

const exact = (keys: number, hits: number) => ({ keys, keysError: 0, hits, hitsError: 0 });

describe('evidence for a difference', () => {
  // mpmath with 60 digits, a prior worth 250 keys of a single group.
  test.each([
    [{ value: 0.016, standardError: 0.0021, keys: 2500, degrees: Infinity }, 25.18736446419863],
    [{ value: 0.016, standardError: 0.0021, keys: 2500, degrees: 254 }, 22.422348490180795],
    [{ value: -0.4, standardError: 0.05, keys: 80, degrees: 30 }, 2.657216561865821],
  ])('%j is %d to 1e-9', (difference, expected) => {
    expect(Math.abs(differenceLogEvidence(difference) - expected)).toBeLessThan(1e-9);
  });

  test('of many degrees of freedom is that of a known error', () => {
    const known = { value: 0.016, standardError: 0.0021, keys: 2500, degrees: Infinity };
    expect(differenceLogEvidence({ ...known, degrees: 1e9 })).toBeCloseTo(differenceLogEvidence(known), 5);
  });

  test('is none where nothing can be said', () => {
    const nothing = { value: 1, standardError: 0, keys: 100, degrees: Infinity };
    expect(differenceLogEvidence(nothing)).toBe(0);
    expect(differenceLogEvidence({ ...nothing, standardError: 1, keys: 0 })).toBe(0);
    expect(differenceLogEvidence({ ...nothing, standardError: Number.NaN })).toBe(0);
    expect(differenceInterval(nothing, 0.05)).toEqual({ lower: -Infinity, upper: Infinity });
  });
});

describe('an interval', () => {
  test.each([
    { value: 0.016, standardError: 0.0021, keys: 2500, degrees: Infinity },
    { value: 0.016, standardError: 0.0021, keys: 2500, degrees: 254 },
    { value: -3, standardError: 0.5, keys: 9000, degrees: 12 },
  ] satisfies Difference[])('of %j ends where the evidence reaches 1 / alpha', (difference) => {
    for (const alpha of [0.05, 0.001]) {
      const { lower, upper } = differenceInterval(difference, alpha);
      expect((lower + upper) / 2).toBeCloseTo(difference.value, 12);
      expect(differenceLogEvidence(difference, lower)).toBeCloseTo(-Math.log(alpha), 9);
      expect(differenceLogEvidence(difference, upper)).toBeCloseTo(-Math.log(alpha), 9);
    }
  });

  test('is wider than the usual one, which may be looked at once only', () => {
    const { lower, upper } = differenceInterval(
      { value: 0, standardError: 1, keys: 2500, degrees: Infinity },
      0.05,
    );
    expect(upper - lower).toBeGreaterThan(2 * 1.96);
    expect(upper - lower).toBeLessThan(2 * 3.3);
  });

  test('is infinite while there are too few keys', () => {
    const few = { value: 5, standardError: 1, keys: 1, degrees: 2 };
    expect(differenceInterval(few, 0.05)).toEqual({ lower: -Infinity, upper: Infinity });
  });
});

describe('a difference of proportions', () => {
  test('has the variance of both, and is exact where every hit is counted exactly', () => {
    const { value, standardError, keys } = proportionDifference(exact(10_000, 40), exact(10_000, 310));
    expect(value).toBeCloseTo(0.027, 12);
    expect(keys).toBe(5000);
    const [first, second] = [41 / 10_002, 311 / 10_002];
    expect(standardError).toBeCloseTo(Math.sqrt((first * (1 - first) + second * (1 - second)) / 10_000), 12);
  });

  test('says nothing of groups without keys, and no hit at all is no certainty', () => {
    expect(differenceLogEvidence(proportionDifference(exact(0, 0), exact(100, 50)))).toBe(0);
    expect(proportionDifference(exact(100, 0), exact(100, 0)).standardError).toBeGreaterThan(0);
    expect(differenceLogEvidence(proportionDifference(exact(5, 0), exact(5, 5)))).toBeLessThan(Math.log(100));
  });

  test('allows for the error of counting', () => {
    const counted = { keys: 10_000, keysError: 40, hits: 300, hitsError: 20 };
    const { standardError } = proportionDifference(counted, counted);
    expect(standardError).toBeGreaterThan(
      proportionDifference(exact(10_000, 300), exact(10_000, 300)).standardError,
    );
  });
});

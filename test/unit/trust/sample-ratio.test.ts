// The test for sample-ratio mismatch: its probabilities against closed forms and tables, its verdict against cases.
import { describe, expect, test } from 'vitest';
import type { ShareCell } from '../../../src/trust/evidence.ts';
import { chiSquareTail, testSampleRatio } from '../../../src/trust/sample-ratio.ts';
import { randomRatios } from '../../support/random.ts';

const exact = (share: number, keys: number): ShareCell => ({ share, keys, standardError: 0 });

describe('the tail of chi-square', () => {
  // Critical values as in every table (NIST/SEMATECH e-Handbook, §1.3.6.7.4), to more digits.
  test.each([
    [3.841458820694124, 1, 0.05],
    [10.827566170662733, 1, 0.001],
    [5.991464547107979, 2, 0.05],
    [13.815510557964274, 2, 0.001],
    [16.26623619623813, 3, 0.001],
    [18.307038053275146, 10, 0.05],
    [29.58829844507442, 10, 0.001],
    [124.34211340400407, 100, 0.05],
  ])('beyond %d with %i degrees of freedom is %d', (value, degrees, probability) => {
    expect(chiSquareTail(value, degrees)).toBeCloseTo(probability, 12);
  });

  test('agrees with the closed form for even degrees of freedom, far into the tail', () => {
    for (const degrees of [2, 4, 20, 100, 998]) {
      for (const value of [0.01, 1, degrees / 2, degrees, degrees + 30, degrees * 1.5]) {
        let logTerm = -value / 2;
        let sum = Math.exp(logTerm);
        for (let k = 1; k < degrees / 2; k += 1) {
          logTerm += Math.log(value / 2 / k);
          sum += Math.exp(logTerm);
        }
        expect(chiSquareTail(value, degrees) / sum).toBeCloseTo(1, 9);
      }
    }
  });

  test('is 1 at zero and falls to nothing without leaving 0 to 1', () => {
    expect(chiSquareTail(0, 5)).toBe(1);
    expect(chiSquareTail(1e9, 5)).toBe(0);
    for (let value = 0; value < 3000; value += 7) {
      const tail = chiSquareTail(value, 999);
      expect(tail).toBeGreaterThanOrEqual(0);
      expect(tail).toBeLessThanOrEqual(1);
    }
  });
});

describe('the verdict', () => {
  test('is Pearson for exact counts: 50,500 against 49,500 keys is p = 0.00157', () => {
    const verdict = testSampleRatio([exact(0.5, 50_500), exact(0.5, 49_500)]);
    expect(verdict.pValue).toBeCloseTo(chiSquareTail(10, 1), 12);
    expect(verdict.deviationRatio).toBeCloseTo(0.01, 12);
    expect(verdict.isMismatch).toBe(false);
  });

  test('is a mismatch below p = 0.001', () => {
    expect(testSampleRatio([exact(0.5, 50_600), exact(0.5, 49_400)])).toMatchObject({ isMismatch: true });
    expect(testSampleRatio([exact(0.9, 90_000), exact(0.1, 9_000)])).toMatchObject({ isMismatch: true });
  });

  test('is no mismatch below a deviation of 0.1 %, however sure it is', () => {
    const verdict = testSampleRatio([exact(0.5, 500_400_000), exact(0.5, 499_600_000)]);
    expect(verdict.pValue).toBeLessThan(1e-9);
    expect(verdict.isMismatch).toBe(false);
  });

  test('does not take the error of counting for a mismatch', () => {
    const cells = (standardError: number) => [
      { share: 0.5, keys: 5_030_000, standardError },
      { share: 0.5, keys: 4_970_000, standardError },
    ];
    expect(testSampleRatio(cells(0)).isMismatch).toBe(true);
    expect(testSampleRatio(cells(20_000)).isMismatch).toBe(false);
  });

  test('leaves parked variants out', () => {
    const verdict = testSampleRatio([exact(0.5, 5000), exact(0, 300), exact(0.5, 5000)]);
    expect(verdict.pValue).toBe(1);
  });

  test('is not given without keys, with one variant, or with too few expected keys', () => {
    expect(testSampleRatio([exact(0.5, 0), exact(0.5, 0)])).toEqual({
      pValue: null,
      deviationRatio: null,
      isMismatch: false,
    });
    expect(testSampleRatio([exact(1, 100)]).pValue).toBeNull();
    expect(testSampleRatio([exact(0.5, 9), exact(0.5, 0)]).pValue).toBeNull();
    expect(testSampleRatio([exact(0.9999, 1000), exact(0.0001, 0)]).pValue).toBeNull();
  });

  test('adds small cells up instead of testing them alone', () => {
    const cells = [exact(0.9, 9000), ...Array.from({ length: 100 }, () => exact(0.001, 10))];
    expect(testSampleRatio(cells).pValue).toBe(1);
    const few = [exact(0.9, 900), ...Array.from({ length: 100 }, () => exact(0.001, 1))];
    expect(testSampleRatio(few).pValue).toBeCloseTo(1, 12);
  });

  test('raises a false alarm about as rarely as it promises', () => {
    const random = randomRatios(1);
    let below5Percent = 0;
    let alarms = 0;
    const runs = 4000;
    for (let run = 0; run < runs; run += 1) {
      const keys = [0, 0, 0];
      for (let key = 0; key < 1000; key += 1) {
        const ratio = random();
        keys[ratio < 0.1 ? 0 : ratio < 0.4 ? 1 : 2]! += 1;
      }
      const verdict = testSampleRatio([exact(0.1, keys[0]!), exact(0.3, keys[1]!), exact(0.6, keys[2]!)]);
      if (verdict.pValue! < 0.05) below5Percent += 1;
      if (verdict.isMismatch) alarms += 1;
    }
    expect(below5Percent / runs).toBeCloseTo(0.05, 1.5);
    expect(alarms).toBeLessThanOrEqual(13); // 4 expected; 13 or more has a chance of 1 in 10,000
  });
});

// The number of different keys: error within what is stated from one key to ten million, merging, and no false alarm.
import murmurhash from 'murmurhash';
import { describe, expect, test } from 'vitest';
import { Uniques } from '../../../src/telemetry/uniques.ts';
import { testSampleRatio } from '../../../src/trust/sample-ratio.ts';
import { randomWords } from '../../support/random.ts';

const ALL = 2 ** 32;
const HALF = 2 ** 31;

/** Different pseudo-random 32-bit hashes as real keys have them: with repetitions once there are many. */
function hashes(count: number, seed = 1): Uint32Array {
  const words = randomWords(seed * 0x9e3779b1);
  const all = new Uint32Array(count);
  for (let index = 0; index < count; index += 1) all[index] = words();
  return all;
}

/**
 * 2^16 registers after so many keys on so many hashes, drawn from their law instead of key by key: of all 2^32 hashes each one
 * has come with the same probability, and a register is at most `rank` when none of its 2^(16 - rank) higher ones has.
 */
function registersAfter(keys: number, hashCount: number, seed: number): Uint8Array {
  const occupied = (hashCount * -Math.expm1(-keys / hashCount)) / ALL;
  const atMost = Array.from({ length: 17 }, (_, rank) => (1 - occupied) ** (2 ** (16 - rank)));
  return Uint8Array.from(hashes(2 ** 16, seed), (hash) => {
    const draw = hash / ALL;
    const rank = atMost.findIndex((probability) => draw < probability);
    return rank === -1 ? 17 : rank;
  });
}

function countOf(count: number, seed = 1): { keys: number; standardError: number } {
  const uniques = new Uniques([ALL]);
  for (const hash of hashes(count, seed)) uniques.add(0, hash);
  return uniques.count(0);
}

describe('a count', () => {
  test('is nothing before the first key, and exact for the first few', () => {
    expect(new Uniques([ALL]).count(0)).toEqual({ keys: 0, standardError: 0 });
    expect(countOf(1).keys).toBeCloseTo(1, 3);
    expect(countOf(10).keys).toBeCloseTo(10, 1);
  });

  test('does not grow when the same keys come again', () => {
    const uniques = new Uniques([ALL]);
    for (const hash of hashes(5000)) uniques.add(0, hash);
    const once = uniques.count(0).keys;
    for (const hash of hashes(5000)) uniques.add(0, hash);
    expect(uniques.count(0).keys).toBe(once);
  });

  test.each([100, 1000, 10_000, 65_536, 200_000, 1_000_000, 10_000_000])(
    'of %i keys is within four standard errors, and the error is 0.41 % or less',
    (count) => {
      const { keys, standardError } = countOf(count);
      expect(Math.abs(keys - count)).toBeLessThan(4 * standardError);
      expect(standardError / count).toBeLessThanOrEqual(0.0041);
    },
  );

  test.each([
    [1000, 60],
    [50_000, 60],
    [150_000, 40],
    [400_000, 20],
  ])('of %i keys has no bias and the stated error over %i samples', (count, samples) => {
    const errors = Array.from({ length: samples }, (_, seed) => countOf(count, seed + 1).keys / count - 1);
    const mean = errors.reduce((sum, error) => sum + error) / errors.length;
    const spread = Math.sqrt(errors.reduce((sum, error) => sum + error ** 2, 0) / errors.length);
    const stated = countOf(count).standardError / count;
    expect(Math.abs(mean)).toBeLessThan((3.5 * stated) / Math.sqrt(samples));
    expect(spread / stated).toBeGreaterThan(0.65);
    expect(spread / stated).toBeLessThan(1.35);
  });

  test('of a variant whose hashes are an interval is as good as that of all', () => {
    const uniques = new Uniques([HALF, HALF]);
    const expected = [0, 0];
    for (const hash of hashes(400_000)) {
      const variant = hash < HALF ? 0 : 1;
      uniques.add(variant, hash);
      expected[variant]! += 1;
    }
    for (const variant of [0, 1]) {
      const { keys, standardError } = uniques.count(variant);
      expect(Math.abs(keys - expected[variant]!)).toBeLessThan(4 * standardError);
    }
  });

  test.each([
    [1_000_000, 1],
    [100_000_000, 1],
    [400_000_000, 1],
    [400_000_000, 0.9],
    [400_000_000, 0.5],
    [400_000_000, 0.1],
    [10_000_000, 0.001],
  ])('of %i keys has no bias for the variant with the share %d of the hashes', (total, share) => {
    const count = total * share;
    const errors = Array.from({ length: 30 }, (_, seed) => {
      const uniques = new Uniques([share * ALL]);
      uniques.merge(0, registersAfter(count, share * ALL, seed + 1));
      return uniques.count(0).keys / count - 1;
    });
    const mean = errors.reduce((sum, error) => sum + error) / errors.length;
    expect(Math.abs(mean)).toBeLessThan((4 * 0.0041) / Math.sqrt(errors.length));
  });

  test('is right for real key hashes, of numbers and of names alike', () => {
    for (const prefix of ['', 'user-', 'session/']) {
      const uniques = new Uniques([ALL]);
      for (let id = 0; id < 100_000; id += 1) uniques.add(0, murmurhash.v2(Buffer.from(prefix + id), 0));
      const { keys, standardError } = uniques.count(0);
      expect(Math.abs(keys - 100_000)).toBeLessThan(4 * standardError);
    }
  });

  test('of a variant that owns no hash stays nothing', () => {
    const uniques = new Uniques([0, ALL]);
    uniques.add(0, 12345);
    expect(uniques.count(0).keys).toBe(0);
  });
});

describe('registers', () => {
  test('of replicas merge into the count of all their keys', () => {
    const [first, second, both] = [new Uniques([ALL]), new Uniques([ALL]), new Uniques([ALL])];
    for (const hash of hashes(60_000, 1)) {
      first.add(0, hash);
      both.add(0, hash);
    }
    for (const hash of hashes(60_000, 2)) {
      second.add(0, hash);
      both.add(0, hash);
    }
    first.merge(0, second.registers(0));
    expect(first.registers(0)).toEqual(both.registers(0));
    expect(first.count(0)).toEqual(both.count(0));
  });

  test('of another precision are refused', () => {
    expect(() => new Uniques([ALL]).merge(0, new Uint8Array(4096))).toThrow(
      'expected 65536 registers, got 4096',
    );
  });

  test('are small when a split has more than 32 variants, and do not touch each other', () => {
    const uniques = new Uniques(Array.from({ length: 1000 }, () => ALL / 1000));
    expect(uniques.precision).toBe(12);
    for (const hash of hashes(10_000)) uniques.add(999, hash);
    expect(uniques.count(998).keys).toBe(0);
    const { keys, standardError } = uniques.count(999);
    expect(Math.abs(keys - 10_000)).toBeLessThan(4 * standardError);
    expect(standardError / keys).toBeLessThanOrEqual(0.0163);
  });
});

test('a split that keeps its shares is not called a mismatch, one that loses 3 % of a variant is', () => {
  const honest = new Uniques([HALF, HALF]);
  const losing = new Uniques([HALF, HALF]);
  let index = 0;
  for (const hash of hashes(2_000_000, 7)) {
    const variant = hash < HALF ? 0 : 1;
    honest.add(variant, hash);
    index += 1;
    if (variant === 1 && index % 33 === 0) continue;
    losing.add(variant, hash);
  }
  const verdict = (uniques: Uniques) =>
    testSampleRatio([0, 1].map((variant) => ({ share: 0.5, ...uniques.count(variant) })));
  expect(verdict(honest).isMismatch).toBe(false);
  expect(verdict(losing).isMismatch).toBe(true);
});

// Different keys counted with bitmaps: exact enough for evidence, merged exactly, sent on exactly, and right when full.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { countCommon, KeySet } from '../../../src/telemetry/key-set.ts';
import { randomHashes } from '../../support/random.ts';

const ALL = 2 ** 32;
const HALF = 2 ** 31;

/** Fills a set of one variant with so many random hashes. */
function filled(keys: number, seed: number, variants = 1): KeySet {
  const set = new KeySet(Array.from({ length: variants }, () => ALL));
  for (const hash of randomHashes(keys, seed)) set.add(0, hash);
  return set;
}

/** Digests: comparing hundreds of thousands of words one by one takes seconds. */
function contentsOf(set: KeySet): string[] {
  return [set.allWords, set.registers.all].map((all) => createHash('sha1').update(all).digest('hex'));
}

describe('a count', () => {
  test('is nothing before the first key and does not grow when keys come again', () => {
    const set = new KeySet([ALL]);
    expect(set.count(0)).toEqual({ keys: 0, standardError: 0 });
    for (let time = 0; time < 3; time += 1) for (let key = 0; key < 500; key += 1) set.add(0, key * 7919);
    expect(Math.round(set.count(0).keys)).toBe(500);
  });

  test.each([
    [1000, 0.001],
    [100_000, 0.0004],
    [1_000_000, 0.0004],
    [3_000_000, 0.0005],
  ])('of %i keys has the stated error, which is %d of it at most', (keys, most) => {
    const errors = Array.from({ length: 6 }, (_, seed) => {
      const { keys: counted, standardError } = filled(keys, seed + 1).count(0);
      expect(standardError / keys).toBeLessThanOrEqual(most);
      return (counted - keys) / standardError;
    });
    const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
    expect(Math.abs(mean)).toBeLessThan(1.5);
    expect(Math.max(...errors.map(Math.abs))).toBeLessThan(4);
  });

  test('is left to the registers where the bitmap is nearly full', () => {
    // 4 KiB each for more than 32 variants: full after some 200,000 keys.
    const set = filled(400_000, 5, 40);
    const { keys, standardError } = set.count(0);
    expect(Math.abs(keys - 400_000)).toBeLessThan(4 * standardError);
    expect(standardError / keys).toBeGreaterThan(0.01);
  });

  test('of a variant whose hashes are an interval is as good as that of all', () => {
    const set = new KeySet([HALF, HALF]);
    const drawn = [0, 0];
    for (const hash of randomHashes(400_000, 3)) {
      const variant = hash < HALF ? 0 : 1;
      set.add(variant, hash);
      drawn[variant]! += 1;
    }
    for (const variant of [0, 1]) {
      const { keys, standardError } = set.count(variant);
      expect(Math.abs(keys - drawn[variant]!)).toBeLessThan(4 * standardError);
    }
  });

  test('of the groups of a variant adds up to that of the variant', () => {
    const set = filled(50_000, 9, 2);
    const groups = set.groups(0)!;
    expect(groups).toHaveLength(128);
    expect(groups.reduce((sum, keys) => sum + keys, 0)).toBeCloseTo(set.count(0).keys, -2);
    expect(set.groups(1)!.every((keys) => keys === 0)).toBe(true);
  });
});

describe('sets of several processes', () => {
  test('merge into the set that saw all keys, bit for bit', () => {
    const [first, second, both] = [filled(60_000, 1, 2), filled(60_000, 2, 2), new KeySet([ALL, ALL])];
    for (const seed of [1, 2]) for (const hash of randomHashes(60_000, seed)) both.add(0, hash);
    first.merge(0, second.words(0), second.registers.registers(0));
    expect(contentsOf(first)).toEqual(contentsOf(both));
    expect(first.count(0)).toEqual(both.count(0));
    expect(first.groups(0)).toEqual(both.groups(0));
    const before = first.count(0);
    first.merge(0, second.words(0), second.registers.registers(0));
    expect(first.count(0)).toEqual(before);
  });

  test('are the same after any number of changes that were sent on, few or many', () => {
    const [worker, primary] = [new KeySet([ALL, ALL]), new KeySet([ALL, ALL])];
    for (const [round, keys] of [0, 10, 5000, 40_000, 0, 3].entries()) {
      for (const hash of randomHashes(keys, round + 50)) worker.add(hash & 1, hash);
      const changes = worker.takeChanges();
      expect(changes === null).toBe(keys === 0);
      if (changes !== null) primary.apply(structuredClone(changes));
      expect(contentsOf(primary)).toEqual(contentsOf(worker));
    }
    expect(primary.count(0)).toEqual(worker.count(0));
    expect(primary.groups(1)).toEqual(worker.groups(1));
  });

  test('of another size are refused', () => {
    expect(() => new KeySet([ALL]).merge(0, new Uint32Array(8), new Uint8Array(2 ** 16))).toThrow(
      'expected a bitmap of 131072 words, got 8',
    );
  });
});

describe('keys that two sets have in common', () => {
  test('are counted within their error, also between sets of different sizes', () => {
    for (const variants of [2, 3]) {
      const [old, now] = [filled(20_000, 1, 2), new KeySet(Array.from({ length: variants }, () => ALL))];
      for (const hash of randomHashes(5000, 1)) now.add(0, hash);
      for (const hash of randomHashes(10_000, 77)) now.add(0, hash);
      const { keys, standardError } = countCommon([now.words(0)], [old.words(0), old.words(1)])!;
      expect(Math.abs(keys - 5000)).toBeLessThan(4 * standardError + 3);
      expect(standardError).toBeLessThan(60);
    }
  });

  test('are none where there is no other set', () => {
    expect(countCommon([], [])).toEqual({ keys: 0, standardError: 0 });
  });
});

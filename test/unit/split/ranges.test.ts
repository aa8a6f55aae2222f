// Shares and weights to ranges of the hash: the bounds of nginx to the last bit, and what each end of a range owns.
import murmurhash from 'murmurhash';
import { describe, expect, it } from 'vitest';
import type { SplitConfig } from '../../../src/config/options/split.ts';
import { boundsOf, Ranges } from '../../../src/split/ranges.ts';

const END = 2 ** 32;

function shares(...list: (number | null)[]): SplitConfig['variants'] {
  return list.map((share, index) => ({ name: `v${index}`, share, upstream: 'u' }));
}

function weights(...list: number[]): SplitConfig['variants'] {
  return list.map((weight, index) => ({ name: `v${index}`, weight, upstream: 'u' }));
}

describe('the hash', () => {
  it.each([
    ['', 0],
    ['a', 2456313694],
    ['abc', 324500635],
    ['token', 2222849947],
    ['alice', 479601241],
    ['user-42', 3766944517],
    ['12345', 3110510018],
    ['é', 876201565],
    ['a%20b', 3600467795],
    ['xbaaErt4', 0],
    ['seaaa5zI', 2147483646],
    ['flaacpuc', 2147483647],
    ['kgaa79Mn', 2147483648],
    ['adaadpOj', 4294967294],
    ['vraaWviL', 4294967295],
  ])('of %j is %i', (key, hash) => {
    expect(murmurhash.v2(Buffer.from(key), 0)).toBe(hash);
  });
});

describe('bounds of shares', () => {
  it.each([
    ['10 %', [1000, null], [429496729, END]],
    ['50 %', [5000, null], [2147483647, END]],
    ['90 %', [9000, null], [3865470565, END]],
    ['0.01 %', [1, null], [429496, END]],
    ['99.99 %', [9999, null], [4294537798, END]],
    ['33.33 % three ways', [3333, 3333, null], [1431512599, 2863025198, END]],
    ['each share is truncated before it is added', [1, 1, 1, null], [429496, 858992, 1288488, END]],
    ['50/50: the second one takes the rest', [5000, 5000], [2147483647, END]],
    [
      'five times 20 %: the last one takes the rest',
      [2000, 2000, 2000, 2000, 2000],
      [858993459, 1717986918, 2576980377, 3435973836, END],
    ],
    ['0 % in front owns nothing', [0, 5000, null], [0, 2147483647, END]],
    ['0 % between owns nothing', [5000, 0, 5000], [2147483647, 2147483647, END]],
    ['0 % behind 100 % owns nothing', [5000, 5000, 0], [2147483647, END, END]],
    ['"*" behind 100 % owns nothing', [5000, 5000, null], [2147483647, END, END]],
    ['100 %', [10_000], [END]],
    ['100 % in front of others', [10_000, 0, null], [END, END, END]],
    ['"*" alone', [null], [END]],
  ])('%s', (_, list, bounds) => {
    expect(boundsOf(shares(...list))).toEqual(bounds);
  });

  it.each([
    ['less than 100 % and no "*"', [5000, 4999]],
    ['more than 100 %', [5000, 5001]],
    ['something behind "*"', [5000, null, 1]],
  ])('%s is a broken invariant', (_, list) => {
    expect(() => boundsOf(shares(...list))).toThrow('broken invariant');
  });
});

describe('bounds of weights', () => {
  it.each([
    ['one and one are halves', [1, 1], [2 ** 31, END]],
    ['thirds, each rounded down from the start', [1, 1, 1], [1431655765, 2863311530, END]],
    ['0 owns nothing', [0, 1, 0, 1, 0], [0, 2 ** 31, 2 ** 31, END, END]],
    ['a ratio that no share can say', [1, 999_999], [4294, END]],
    ['a single one', [7], [END]],
  ])('%s', (_, list, bounds) => {
    expect(boundsOf(weights(...list))).toEqual(bounds);
  });

  it('only zeros are a broken invariant', () => {
    expect(() => boundsOf(weights(0, 0))).toThrow('broken invariant');
  });
});

describe('a hash belongs to the first variant with hash < bound, strictly', () => {
  it.each([
    [0, 0],
    [2147483646, 0],
    [2147483647, 1],
    [2147483648, 1],
    [4294967294, 1],
    [4294967295, 1],
  ])('%i is of variant %i at 50/50', (hash, index) => {
    expect(new Ranges(shares(5000, null)).pick(hash)).toBe(index);
    expect(new Ranges(shares(5000, 5000)).pick(hash)).toBe(index);
  });

  it('a thousand variants are each found at both ends of their ranges', () => {
    const ranges = new Ranges(weights(...Array.from({ length: 1000 }, (_, i) => i)));
    for (const [index, { from, end }] of ranges.list.entries()) {
      if (index === 0) expect(end).toBe(0);
      else expect([ranges.pick(from), ranges.pick(end - 1)]).toEqual([index, index]);
    }
  });

  it('a variant without a share is never picked', () => {
    const ranges = new Ranges(shares(0, 5000, 0, null, ...[]));
    expect([0, 2147483646, 2147483647, END - 1].map((hash) => ranges.pick(hash))).toEqual([1, 1, 3, 3]);
  });
});

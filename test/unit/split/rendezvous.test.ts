// Rendezvous: how a score comes about, who wins, and how few keys a change of shares moves.
import murmurhash from 'murmurhash';
import { describe, expect, it } from 'vitest';
import type { SplitConfig } from '../../../src/config/options/split.ts';
import { Ranges } from '../../../src/split/ranges.ts';
import { Rendezvous } from '../../../src/split/rendezvous.ts';

function shares(list: Record<string, number | null>): SplitConfig['variants'] {
  return Object.entries(list).map(([name, share]) => ({ name, share, upstream: 'u' }));
}

const keys = Array.from({ length: 50_000 }, (_, i) => Buffer.from(`token-${i}`));

function part(moved: (key: Buffer) => boolean): number {
  return keys.filter(moved).length / keys.length;
}

it('a score is -share / ln(u), u from the hash of name, NUL and key', () => {
  const rendezvous = new Rendezvous(shares({ a: 2500, longer_name: null }));
  for (const key of ['', '42', 'x'.repeat(63), 'x'.repeat(64), 'x'.repeat(65), 'x'.repeat(5000), '43']) {
    const score = (name: string, share: number) =>
      -share / Math.log((murmurhash.v2(Buffer.from(`${name}\0${key}`), 0) + 0.5) / 2 ** 32);
    expect(rendezvous.scores(Buffer.from(key))).toEqual([score('a', 2500), score('longer_name', 7500)]);
  }
});

it('the variant with the highest score takes the key', () => {
  const rendezvous = new Rendezvous(shares({ a: 1000, b: 1000, c: null }));
  for (const key of keys.slice(0, 1000)) {
    const scores = rendezvous.scores(key);
    expect(rendezvous.pick(key)).toBe(scores.indexOf(Math.max(...scores)));
  }
});

it('long keys, which are hashed piece by piece, go by the same scores', () => {
  const rendezvous = new Rendezvous(shares({ a: 1000, b: 1000, c: null }));
  for (const key of keys.slice(0, 50)) {
    const long = Buffer.concat([key, Buffer.alloc(200, 'x')]);
    const scores = rendezvous.scores(long);
    expect(rendezvous.pick(long)).toBe(scores.indexOf(Math.max(...scores)));
  }
});

it('each variant takes its share of the keys', () => {
  const rendezvous = new Rendezvous(shares({ a: 1000, b: 2000, c: null }));
  const counts = [0, 0, 0];
  for (const key of keys) counts[rendezvous.pick(key)]!++;
  // Four standard deviations of a binomial count.
  for (const [i, share] of [0.1, 0.2, 0.7].entries()) {
    expect(Math.abs(counts[i]! - share * keys.length)).toBeLessThan(
      4 * Math.sqrt(keys.length * share * (1 - share)),
    );
  }
});

it('"*" may stand anywhere, and weights are ratios', () => {
  expect(new Rendezvous(shares({ a: null, b: 2500 })).shares).toEqual([0.75, 0.25]);
  const weighted = [1, 3].map((weight, i) => ({ name: `v${i}`, weight, upstream: 'u' }));
  expect(new Rendezvous(weighted).shares).toEqual([0.25, 0.75]);
});

it('a variant without a share takes no key', () => {
  const rendezvous = new Rendezvous(shares({ parked: 0, a: 5000, b: 5000, rest: null }));
  expect(new Set(keys.map((key) => rendezvous.pick(key)))).toEqual(new Set([1, 2]));
  expect(rendezvous.scores(keys[0]!)[0]).toBe(0);
});

it('variants without any share are a broken invariant', () => {
  expect(() => new Rendezvous(shares({ a: 0 }))).toThrow('broken invariant');
});

describe('a10 b10 c80 -> a20 b10 c70', () => {
  const [before, after] = [shares({ a: 1000, b: 1000, c: null }), shares({ a: 2000, b: 1000, c: null })];

  it('moves about 11 % of the keys with rendezvous, where 10 % is the least that is possible', () => {
    const [old, next] = [new Rendezvous(before), new Rendezvous(after)];
    const moved = part((key) => old.pick(key) !== next.pick(key));
    expect(moved).toBeGreaterThan(0.095);
    expect(moved).toBeLessThan(0.12);
  });

  it('moves 20 % of the keys with ranges', () => {
    const [old, next] = [new Ranges(before), new Ranges(after)];
    const hash = (key: Buffer) => murmurhash.v2(key, 0);
    const moved = part((key) => old.pick(hash(key)) !== next.pick(hash(key)));
    expect(moved).toBeGreaterThan(0.19);
    expect(moved).toBeLessThan(0.21);
  });
});

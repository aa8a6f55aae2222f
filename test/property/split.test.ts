// What holds for every split: each hash has exactly one owner, the same key has the same variant, and a change of
// shares moves no more keys than it must.
import fc from 'fast-check';
import murmurhash from 'murmurhash';
import { describe, expect, it, vi } from 'vitest';
import type { SplitConfig } from '../../src/config/options/split.ts';
import { boundsOf, Ranges } from '../../src/split/ranges.ts';
import { Rendezvous } from '../../src/split/rendezvous.ts';
import { LibraryView } from '../../src/split/request.ts';
import { Splitter } from '../../src/split/splitter.ts';
import { RUNS_LIMIT_MS, runs } from '../support/runs.ts';

vi.setConfig({ testTimeout: RUNS_LIMIT_MS });

type Variants = SplitConfig['variants'];

const END = 2 ** 32;
const named = (list: readonly Partial<Variants[number]>[]): Variants =>
  list.map((one, index) => ({ name: `v${index}`, upstream: 'u', ...one }));

/** Shares that add up: cuts of 0..10000, the last one either written out or "*". */
const shares: fc.Arbitrary<Variants> = fc
  .tuple(fc.array(fc.integer({ min: 0, max: 10_000 }), { maxLength: 12 }), fc.boolean())
  .map(([cuts, star]) => {
    const ends = [...cuts.sort((a, b) => a - b), 10_000];
    const list = ends.map((end, i) => ({ share: end - (ends[i - 1] ?? 0) }) as { share: number | null });
    if (star) list[list.length - 1] = { share: null };
    return named(list);
  });

const weights: fc.Arbitrary<Variants> = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 1_000_000 }), fc.integer({ min: 0, max: 3 })), {
    minLength: 1,
    maxLength: 1000,
  })
  .filter((list) => list.some((weight) => weight > 0))
  .map((list) => named(list.map((weight) => ({ weight }))));

const variants = fc.oneof(shares, weights);
const hashes = fc.integer({ min: 0, max: END - 1 });
const tokens = fc.stringMatching(/^[\x21\x24-\x25\x27-\x7e\xa0-\xff]{1,80}$/);

describe('ranges', () => {
  it('cover every hash exactly once', () => {
    fc.assert(
      fc.property(variants, (list) => {
        const { list: ranges } = new Ranges(list);
        let next = 0;
        for (const { from, end } of ranges) {
          expect(from).toBe(next);
          expect(end).toBeGreaterThanOrEqual(from);
          next = end;
        }
        expect(next).toBe(END);
      }),
    );
  });

  it('pick the variant in whose range the hash lies', () => {
    fc.assert(
      fc.property(variants, fc.array(hashes, { minLength: 1 }), (list, some) => {
        const ranges = new Ranges(list);
        const ends = ranges.list.flatMap(({ from, end }) => [from, end - 1, end]);
        for (const hash of [...some, ...ends].filter((one) => one >= 0 && one < END)) {
          const { from, end } = ranges.list[ranges.pick(hash)]!;
          expect(from <= hash && hash < end).toBe(true);
        }
      }),
    );
  });

  it('of many variants pick the first one whose bound is above the hash, also where many bounds lie close together', () => {
    const many = fc
      .array(fc.oneof(fc.constantFrom(0, 1, 2), fc.integer({ min: 0, max: 1_000_000 })), {
        minLength: 15,
        maxLength: 1000,
        size: 'max',
      })
      .filter((list) => list.some((weight) => weight > 0))
      .map((list) => named(list.map((weight) => ({ weight }))));
    fc.assert(
      fc.property(many, fc.array(hashes, { minLength: 50 }), (list, some) => {
        const ranges = new Ranges(list);
        const bounds = boundsOf(list);
        for (const hash of [...some, ...bounds.flatMap((end) => [end - 1, end, end + 1])]) {
          if (hash < 0 || hash >= END) continue;
          const owner = bounds.findIndex((end) => hash < end);
          if (ranges.pick(hash) !== owner) expect([hash, ranges.pick(hash)]).toEqual([hash, owner]);
        }
      }),
    );
  });

  it('give a variant without a share nothing, and every other one something', () => {
    fc.assert(
      fc.property(variants, (list) => {
        const total = list.reduce((sum, { share }) => sum + (share ?? 0), 0);
        for (const [index, { from, end }] of new Ranges(list).list.entries()) {
          const { share, weight } = list[index]!;
          const given = weight ?? (share === null ? 10_000 - total : share!);
          expect(end > from).toBe(given > 0);
        }
      }),
    );
  });

  it('give each weight its part to within one hash', () => {
    fc.assert(
      fc.property(weights, (list) => {
        const total = list.reduce((sum, { weight }) => sum + weight!, 0);
        for (const [index, { from, end }] of new Ranges(list).list.entries()) {
          expect(Math.abs(end - from - (list[index]!.weight! / total) * END)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('of two variants: a change of shares moves exactly the hashes between the two bounds', () => {
    const share = fc.integer({ min: 0, max: 10_000 });
    fc.assert(
      fc.property(share, share, fc.array(hashes), (one, other, some) => {
        const [before, after] = [one, other].map((a) => named([{ share: a }, { share: null }]));
        const [old, next] = [new Ranges(before!), new Ranges(after!)];
        const [low, high] = [boundsOf(before!)[0]!, boundsOf(after!)[0]!].sort((a, b) => a - b);
        for (const hash of [...some, low! - 1, low!, high! - 1, high!].filter((h) => h >= 0 && h < END)) {
          expect(old.pick(hash) !== next.pick(hash)).toBe(hash >= low! && hash < high!);
        }
      }),
    );
  });
});

describe('rendezvous', () => {
  it('does not care about the order of the list', () => {
    const shuffled = variants.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    );
    fc.assert(
      fc.property(shuffled, fc.array(tokens, { minLength: 1 }), ([list, other], some) => {
        const [one, two] = [new Rendezvous(list), new Rendezvous(other)];
        for (const key of some.map((token) => Buffer.from(token, 'latin1'))) {
          expect(other[two.pick(key)]!.name).toBe(list[one.pick(key)]!.name);
        }
      }),
      runs(50),
    );
  });

  it('a variant that grows takes keys from others and gives none away', () => {
    const change = weights
      .filter((list) => list.length > 1)
      .chain((list) =>
        fc.tuple(fc.constant(list), fc.nat(list.length - 1), fc.integer({ min: 1, max: 1_000_000 })),
      );
    fc.assert(
      fc.property(change, fc.array(tokens, { minLength: 1 }), ([list, grown, more], some) => {
        const larger = list.map((one, i) => (i === grown ? { ...one, weight: one.weight! + more } : one));
        const [old, next] = [new Rendezvous(list), new Rendezvous(larger)];
        for (const key of some.map((token) => Buffer.from(token, 'latin1'))) {
          if (old.pick(key) !== next.pick(key)) expect(next.pick(key)).toBe(grown);
        }
      }),
      runs(50),
    );
  });
});

describe('the splitter', () => {
  const splits = fc.record({
    key: fc.constantFrom('$arg_token', 'salt:${arg_token}', '$arg_token$request_method'),
    method: fc.constantFrom('ranges' as const, 'rendezvous' as const),
    missingKey: fc.constantFrom('default' as const, 'first' as const),
    variants,
  });

  it('the same key has the same variant, whatever else the request says and whoever decides', () => {
    const noise = fc.array(fc.tuple(fc.constantFrom('x', 'tok', 'xtoken', 'tokenx', 'a_b'), tokens), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(splits, tokens, noise, noise, (config, token, front, behind) => {
        const [one, two] = [new Splitter('s', config), new Splitter('s', config)];
        const query = [...front, ['token', token], ...behind]
          .map(([name, value]) => `${name}=${value}`)
          .join('&');
        const plain = one.decide(new LibraryView({ url: `/?token=${token}` }));
        const noisy = two.decide(new LibraryView({ url: `/some/path?${query}`, headers: { token: 'x' } }));
        expect(noisy).toEqual(plain);
        expect(one.decide(new LibraryView({ url: `/?TOKEN=${token}` }))).toEqual(plain);
      }),
      runs(50),
    );
  });

  it('an override is cut out of query and cookies, and every other pair stays where it is', () => {
    const names = fc.constantFrom('v', 'V', 'x', 'vv', 'a%76', '');
    const pairs = fc.array(fc.tuple(names, fc.constantFrom('', '=', '=1', '=v', '=a=b')), { maxLength: 6 });
    const list = named([{ share: 10_000 }]);
    const splitter = new Splitter('s', {
      key: '$arg_x',
      method: 'ranges',
      missingKey: 'default',
      variants: list,
      override: { query: 'v', cookie: 'v', variants: ['v0'] },
    });
    fc.assert(
      fc.property(pairs, pairs, (query, cookies) => {
        const joined = (all: typeof query, by: string) => all.map((pair) => pair.join('')).join(by);
        const kept = (all: typeof query) => all.filter(([name]) => name.toLowerCase() !== 'v');
        const url = query.length === 0 ? '/p' : `/p?${joined(query, '&')}`;
        const view = new LibraryView({ url, headers: { cookie: joined(cookies, '; ') } });
        const { target = null, cookie = null } = splitter.decide(view).extras?.override ?? {};
        const [queryLeft, cookiesLeft] = [kept(query), kept(cookies)];
        const targetLeft = queryLeft.length === 0 ? '/p' : `/p?${joined(queryLeft, '&')}`;
        const expected = [
          queryLeft.length === query.length ? null : targetLeft,
          cookiesLeft.length === cookies.length ? null : joined(cookiesLeft, '; '),
        ];
        const text = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString('latin1');
        expect([text(target), text(cookie)]).toEqual(expected);
      }),
    );
  });

  it('decides by the hash of the raw bytes of the key', () => {
    fc.assert(
      fc.property(variants, tokens, (list, token) => {
        const splitter = new Splitter('s', {
          key: '$arg_token',
          method: 'ranges',
          missingKey: 'default',
          variants: list,
        });
        const hash = murmurhash.v2(Buffer.from(token, 'latin1'), 0);
        const decision = splitter.decide(new LibraryView({ url: `/?token=${token}` }));
        expect(decision).toMatchObject({ hash, variant: { index: new Ranges(list).pick(hash) } });
      }),
    );
  });
});

// Who moves when a split changes: exact where it can be, sampled where it has to be.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SplitConfig } from '../../../src/config/options/split.ts';
import { type Plan, planChange } from '../../../src/split/plan.ts';
import { HASH_COUNT, Ranges } from '../../../src/split/ranges.ts';
import { LibraryView } from '../../../src/split/request.ts';

/** A split whose variants have these shares in hundredths of a percent; null is "*". */
const split = (shares: Record<string, number | null>, more: Partial<SplitConfig> = {}): SplitConfig => ({
  key: '$arg_token',
  method: 'ranges',
  missingKey: 'default',
  ...more,
  variants: Object.entries(shares).map(([name, share]) => ({ name, share, upstream: `http://${name}` })),
});

const none = (): never => {
  throw new Error('arithmetic needs no sample');
};
function* sample(): Generator<LibraryView> {
  for (let token = 0; token < 20_000; token++) yield new LibraryView({ url: `/?token=${token}` });
}
const flows = ({ flows }: Plan) =>
  Object.fromEntries(flows.map(({ from, to, ratio }) => [`${from} ${to}`, ratio]));

describe('with ranges on the same key the plan is exact', () => {
  it('moves the difference of the shares between two variants', () => {
    const plan = planChange(split({ a: 5000, b: null }), split({ a: 6000, b: null }), none);
    expect(plan.isExact).toBe(true);
    expect(plan.moved).toBeCloseTo(0.1, 8);
    expect(flows(plan)).toEqual({
      'a a': expect.closeTo(0.5, 8),
      'b a': expect.closeTo(0.1, 8),
      'b b': expect.closeTo(0.4, 8),
    });
  });

  it('moves 20 % for a10 b10 c80 -> a20 b10 c70, where 10 % would do', () => {
    const plan = planChange(split({ a: 1000, b: 1000, c: null }), split({ a: 2000, b: 1000, c: null }), none);
    expect(plan.moved).toBeCloseTo(0.2, 8);
    expect(flows(plan)).toMatchObject({ 'b a': expect.closeTo(0.1, 8), 'c b': expect.closeTo(0.1, 8) });
  });

  it('moves everybody when two halves change places, and nobody when only their upstreams do', () => {
    expect(planChange(split({ a: 5000, b: null }), split({ b: 5000, a: null }), none).moved).toBe(1);
    const renamed = split({ a: 5000, b: null });
    const other = { ...renamed, variants: renamed.variants.map((one) => ({ ...one, upstream: 'http://x' })) };
    expect(planChange(renamed, other, none)).toMatchObject({ moved: 0, isExact: true });
  });

  it('does not see parked variants, which own no hash', () => {
    const plan = planChange(split({ a: 0, b: 5000, c: null }), split({ b: 5000, a: 0, c: null, d: 0 }), none);
    expect(flows(plan)).toEqual({ 'b b': expect.closeTo(0.5, 8), 'c c': expect.closeTo(0.5, 8) });
  });

  it('counts every hash once, and agrees with the ranges at any hash', () => {
    const shares = fc.array(fc.integer({ min: 0, max: 4000 }), { minLength: 1, maxLength: 6 }).map((list) => {
      let left = 10_000;
      const kept = list.map((share) => {
        const taken = Math.min(share, left);
        left -= taken;
        return taken;
      });
      return split({ ...Object.fromEntries(kept.map((share, index) => [`v${index}`, share])), rest: null });
    });
    fc.assert(
      fc.property(shares, shares, fc.integer({ min: 0, max: HASH_COUNT - 1 }), (before, after, hash) => {
        const plan = planChange(before, after, none);
        expect(plan.flows.reduce((sum, { ratio }) => sum + ratio, 0)).toBeCloseTo(1, 9);
        const from = before.variants[new Ranges(before.variants).pick(hash)]!.name;
        const to = after.variants[new Ranges(after.variants).pick(hash)]!.name;
        expect(flows(plan)[`${from} ${to}`]).toBeGreaterThan(0);
      }),
    );
  });
});

describe('where arithmetic cannot tell, a sample is decided by both', () => {
  it('for rendezvous, which moves little more than it must', () => {
    const method = { method: 'rendezvous' } as const;
    const before = split({ a: 1000, b: 1000, c: null }, method);
    const plan = planChange(before, split({ a: 2000, b: 1000, c: null }, method), sample);
    expect(plan.isExact).toBe(false);
    expect(plan.moved).toBeGreaterThan(0.1);
    expect(plan.moved).toBeLessThan(0.12);
    expect(planChange(before, before, sample).moved).toBe(0);
  });

  it('for another salt, which deals all keys anew', () => {
    const plan = planChange(
      split({ a: 5000, b: null }),
      split({ a: 5000, b: null }, { key: 'x:$arg_token' }),
      sample,
    );
    expect(plan.isExact).toBe(false);
    expect(plan.moved).toBeGreaterThan(0.48);
    expect(plan.moved).toBeLessThan(0.52);
  });

  it('and an empty sample moves nobody', () => {
    const method = { method: 'rendezvous' } as const;
    const one = split({ a: 5000, b: null }, method);
    expect(planChange(one, one, () => [])).toEqual({ isExact: false, moved: 0, flows: [] });
  });
});

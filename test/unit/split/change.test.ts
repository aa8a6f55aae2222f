// What the log says of a new configuration: its keys and shares, and which part of all keys moves.
import { expect, it } from 'vitest';
import type { SplitConfig } from '../../../src/config/options/split.ts';
import { describeChange } from '../../../src/split/change.ts';
import { Splitter } from '../../../src/split/splitter.ts';

const deciding = (shares: Record<string, number | null>, more: Partial<SplitConfig> = {}, name = 's') => {
  const variants = Object.entries(shares).map(([variant, share]) => ({
    name: variant,
    share,
    upstream: `http://${variant}`,
  }));
  const split: SplitConfig = {
    key: '$arg_token',
    method: 'ranges',
    missingKey: 'default',
    ...more,
    variants,
  };
  return {
    config: { splits: new Map([[name, split]]) },
    splitters: new Map([[name, new Splitter(name, split)]]),
  };
};

it('a change of shares is told with keys, shares and the part that moves', () => {
  expect(describeChange(deciding({ a: 5000, b: null }), deciding({ a: 4000, b: null }))).toEqual({
    key: { s: '$arg_token' },
    splits: {
      s: [
        { variant: 'a', share: '40%', upstream: 'http://a' },
        { variant: 'b', share: '60%', upstream: 'http://b' },
      ],
    },
    moved: { s: '10%' },
  });
});

it('what only a sample could tell is unknown, what stays is 0%, what is new is left out', () => {
  const half = deciding({ a: 5000, b: null });
  expect(describeChange(half, deciding({ a: 5000, b: null }, { key: '$arg_user' })).moved).toEqual({
    s: 'unknown',
  });
  const rendezvous = { method: 'rendezvous' as const };
  expect(
    describeChange(deciding({ a: 5000, b: null }, rendezvous), deciding({ a: 5000, b: null }, rendezvous))
      .moved,
  ).toEqual({ s: '0%' });
  expect(describeChange(half, deciding({ a: 5000, b: null }, {}, 'new')).moved).toEqual({});
});

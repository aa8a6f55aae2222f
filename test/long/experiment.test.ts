// The properties of experiments at full size: a million keys, a thousand salts. test/property/experiment.test.ts holds the
// same at the size of every run.
import { expect, it, vi } from 'vitest';
import { randomTokens } from '../../src/cli/tokens.ts';
import type { SplitConfig } from '../../src/config/options/split.ts';
import { LibraryView } from '../../src/split/request.ts';
import { saltedHash, seedOf } from '../../src/split/salted-hash.ts';
import { Splitter } from '../../src/split/splitter.ts';
import { chiSquareTail } from '../../src/trust/sample-ratio.ts';
import { RUNS_LIMIT_MS, scaled } from '../support/runs.ts';

vi.setConfig({ testTimeout: 2 * RUNS_LIMIT_MS });

const base: SplitConfig = {
  key: '$arg_token',
  method: 'ranges',
  missingKey: 'default',
  variants: [
    { name: 'a', share: 5000, upstream: 'a' },
    { name: 'b', share: null, upstream: 'b' },
  ],
};

it('of a million keys none loses its place or its variant when coverage grows, and none is in two splits of a layer', () => {
  const coverages = [10, 1000, 5000, 10_000];
  const ramp = coverages.map((coverage) => new Splitter('s', { ...base, coverage }));
  const layered = [
    { from: 0, to: 3333 },
    { from: 3333, to: 10_000 },
  ].map((slot, index) => new Splitter(`t${index}`, { ...base, layer: 'l', slot }));
  const enrolled = coverages.map(() => 0);
  let slot = 0;
  const keys = scaled(1_000_000);
  for (const token of randomTokens(keys, 1)) {
    const view = new LibraryView({ url: `/?token=${token}` });
    const [first, second] = layered.map((splitter) => splitter.decide(view).reason);
    if ((first === 'share') === (second === 'share')) expect.fail(`${token} is in two splits, or in none`);
    if (first === 'share') slot += 1;
    let before: string | undefined;
    for (const [index, splitter] of ramp.entries()) {
      const { variant, reason } = splitter.decide(view);
      if (reason === 'share') enrolled[index]! += 1;
      else if (before !== undefined) expect.fail(`${token} was enrolled and is not at ${coverages[index]}`);
      if (before !== undefined && before !== variant!.name) expect.fail(`${token} has another variant`);
      if (reason === 'share') before = variant!.name;
    }
  }
  for (const [index, coverage] of coverages.entries()) {
    const expected = (keys * coverage) / 10_000;
    expect(Math.abs(enrolled[index]! - expected)).toBeLessThanOrEqual(5 * Math.sqrt(expected));
  }
  expect(Math.abs(slot - keys * 0.3333)).toBeLessThan(5 * Math.sqrt(keys * 0.3333));
});

it('two layers are independent: of a thousand pairs of salts no more fail a chi-square test than chance gives', () => {
  const keys = [...randomTokens(5000, 2)].map((token) => Buffer.from(token));
  const pValues = Array.from({ length: scaled(1000) }, (_, salt) => {
    const [one, two] = [seedOf('layer', `one${salt}`), seedOf('layer', `two${salt}`)];
    let [both, first, second] = [0, 0, 0];
    for (const key of keys) {
      const isInOne = saltedHash(key, one) < 0.3 * 2 ** 32;
      const isInTwo = saltedHash(key, two) < 0.5 * 2 ** 32;
      if (isInOne) first += 1;
      if (isInTwo) second += 1;
      if (isInOne && isInTwo) both += 1;
    }
    const n = keys.length;
    const expected = (first * second) / n;
    const variance = expected * (1 - first / n) * (1 - second / n);
    return chiSquareTail((both - expected) ** 2 / variance, 1);
  });
  for (const level of [0.05, 0.01, 0.001]) {
    const expected = pValues.length * level;
    const low = pValues.filter((p) => p < level).length;
    expect(low).toBeLessThanOrEqual(expected + 3 * Math.sqrt(expected) + 1);
    if (level === 0.05) expect(low).toBeGreaterThanOrEqual(expected - 4 * Math.sqrt(expected));
  }
});

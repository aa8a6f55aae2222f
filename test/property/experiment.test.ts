// What holds for every experiment: coverage only ever adds keys and changes no variant, two splits of one layer never share
// a key, and coverage, layers and shares do not depend on each other.
import { describe, expect, it, vi } from 'vitest';
import { randomTokens } from '../../src/cli/tokens.ts';
import type { SplitConfig } from '../../src/config/options/split.ts';
import { LibraryView } from '../../src/split/request.ts';
import { saltedHash, seedOf } from '../../src/split/salted-hash.ts';
import { type Reason, Splitter } from '../../src/split/splitter.ts';
import { chiSquareTail } from '../../src/trust/sample-ratio.ts';
import { RUNS_LIMIT_MS, scaled } from '../support/runs.ts';

vi.setConfig({ testTimeout: RUNS_LIMIT_MS });

const KEYS = scaled(20_000);

const base: SplitConfig = {
  key: '$arg_token',
  method: 'ranges',
  missingKey: 'default',
  variants: [
    { name: 'a', share: 3000, upstream: 'a' },
    { name: 'b', share: 3000, upstream: 'b' },
    { name: 'c', share: null, upstream: 'c' },
  ],
};

const splitterOf = (name: string, more: Partial<SplitConfig>) => new Splitter(name, { ...base, ...more });
const viewOf = (token: string) => new LibraryView({ url: `/?token=${token}` });
const decisionOf = (splitter: Splitter, token: string): [string, Reason] => {
  const { variant, reason } = splitter.decide(viewOf(token));
  return [variant!.name, reason];
};

describe.each(['ranges', 'rendezvous'] as const)('coverage with %s', (method) => {
  it('only ever adds keys, each with the variant that it has at 100 %', () => {
    const coverages = [1, 100, 1000, 2500, 9999, 10_000];
    const splitters = coverages.map((coverage) => splitterOf('s', { method, coverage }));
    const whole = splitterOf('s', { method });
    const enrolled = coverages.map(() => 0);
    for (const token of randomTokens(KEYS, 7)) {
      const [variant] = decisionOf(whole, token);
      let wasEnrolled = false;
      for (const [index, splitter] of splitters.entries()) {
        const [got, reason] = decisionOf(splitter, token);
        if (reason === 'share') {
          enrolled[index]! += 1;
          if (got !== variant)
            expect.fail(`${token} has ${got} at ${coverages[index]}, and ${variant} at 100 %`);
        } else if (wasEnrolled || got !== 'c')
          expect.fail(`${token}: ${got}, ${reason} at ${coverages[index]}`);
        wasEnrolled = reason === 'share';
      }
    }
    // Five standard deviations.
    for (const [index, coverage] of coverages.entries()) {
      const expected = (KEYS * coverage) / 10_000;
      expect(Math.abs(enrolled[index]! - expected)).toBeLessThanOrEqual(1 + 5 * Math.sqrt(expected));
    }
  });
});

it('with coverage of 100 % every decision is what it is without', () => {
  const [plain, covered] = [splitterOf('s', {}), splitterOf('s', { coverage: 10_000 })];
  for (const token of randomTokens(KEYS, 8)) {
    const view = viewOf(token);
    expect(covered.decide(view)).toEqual(plain.decide(view));
  }
});

describe.each(['ranges', 'rendezvous'] as const)('layers with %s', (method) => {
  it('give no key to two of their splits, and every key to one', () => {
    const slots = [
      { from: 0, to: 3000 },
      { from: 3000, to: 3001 },
      { from: 3001, to: 8000 },
      { from: 8000, to: 10_000 },
    ];
    const splitters = slots.map((slot, index) =>
      splitterOf(`s${index}`, { method, layer: 'checkout', slot }),
    );
    for (const token of randomTokens(KEYS, 9)) {
      const takers = splitters.filter((splitter) => decisionOf(splitter, token)[1] === 'share');
      if (takers.length !== 1) expect.fail(`${token} is in ${takers.length} splits`);
    }
  });
});

/** The p-value of "these two yes-no answers about the same keys are independent". */
function independence(answers: readonly (readonly [boolean, boolean])[]): number {
  const count = (one: boolean, other: boolean) => answers.filter(([a, b]) => a === one && b === other).length;
  const [both, first, second, none] = [
    count(true, true),
    count(true, false),
    count(false, true),
    count(false, false),
  ];
  const rows = (both + first) * (second + none);
  const columns = (both + second) * (first + none);
  const square = (answers.length * (both * none - first * second) ** 2) / (rows * columns);
  return chiSquareTail(square, 1);
}

/** Of so many tests at this level not more than chance gives fail: four standard deviations. */
function expectNominal(pValues: readonly number[], level: number): void {
  const expected = pValues.length * level;
  const low = pValues.filter((p) => p < level).length;
  expect(low).toBeLessThanOrEqual(expected + 4 * Math.sqrt(expected));
}

describe('independence', () => {
  const bytes = [...randomTokens(2000, 10)].map((token) => Buffer.from(token));
  const below = (seed: number, part: number) => bytes.map((key) => saltedHash(key, seed) < part * 2 ** 32);

  it('two layers do not depend on each other, whatever their names are', () => {
    const salts = scaled(200);
    const pValues = Array.from({ length: salts }, (_, salt) => {
      const [one, two] = [below(seedOf('layer', `l${salt}`), 0.3), below(seedOf('layer', `m${salt}`), 0.5)];
      return independence(one.map((isIn, index) => [isIn, two[index]!]));
    });
    for (const level of [0.05, 0.01]) expectNominal(pValues, level);
  });

  it('variants of two splits in two layers with the same key do not depend on each other', () => {
    const slot = { from: 0, to: 10_000 };
    const tokens = [...randomTokens(2000, 11)];
    const pValues = Array.from({ length: scaled(50) }, (_, salt) => {
      const [one, two] = ['x', 'y'].map((layer) => splitterOf(`${layer}${salt}`, { layer, slot }));
      return independence(
        tokens.map((token) => [decisionOf(one!, token)[0] === 'a', decisionOf(two!, token)[0] === 'a']),
      );
    });
    for (const level of [0.05, 0.01]) expectNominal(pValues, level);
  });

  it('enrolment does not depend on the share', () => {
    const tokens = [...randomTokens(2000, 12)];
    const pValues = Array.from({ length: scaled(50) }, (_, salt) => {
      const splitter = splitterOf(`s${salt}`, { coverage: 2000 });
      const whole = splitterOf(`s${salt}`, {});
      return independence(
        tokens.map((token) => [
          decisionOf(splitter, token)[1] === 'share',
          decisionOf(whole, token)[0] === 'a',
        ]),
      );
    });
    for (const level of [0.05, 0.01]) expectNominal(pValues, level);
  });
});

// Maps: what they look up beside what nginx does (test/parity has that), what is refused, and what hostile input costs.
import { beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/parse.ts';
import { formatProblems } from '../../../src/config/problem.ts';
import { compilePattern, loadPatternEngine, type Pattern } from '../../../src/key/pattern.ts';
import { compileSplits } from '../../../src/split/own.ts';
import { LibraryView } from '../../../src/split/request.ts';
import { growth, LINEAR_MAX } from '../../support/growth.ts';

beforeAll(loadPatternEngine);

const SPLIT = {
  key: '$v',
  variants: [
    { name: 'a', share: '50%', upstream: 'http://a' },
    { name: 'b', share: '*', upstream: 'http://b' },
  ],
};

const read = (variables: unknown, split: unknown = SPLIT) =>
  parseConfig(JSON.stringify({ variables, splits: { s: split } }), 's.yaml');
const problemsOf = (variables: unknown, split?: unknown) =>
  formatProblems(read(variables, split).problems ?? []);

function lookedUp(variables: unknown, url: string): string {
  const { config, problems } = read(variables);
  expect(formatProblems(problems ?? [])).toEqual([]);
  return compileSplits(config!).splitters.get('s')!.explain(new LibraryView({ url })).key;
}

describe('what is refused', () => {
  it.each([
    ['itself', { v: { of: '$v' } }, '$v -> $v'],
    ['itself by way of another', { v: { of: '$arg_a', default: '$w' }, w: { of: '$v' } }, '$v -> $w -> $v'],
    ['the split that reads it', { v: { of: '$s' } }, '$v -> $s -> $v'],
    ['a name that nginx has', { v: { of: '$arg_a' }, host: { of: 'x' } }, 'every request has this variable'],
    ['the name of a split', { v: { of: '$arg_a' }, S: { of: 'x' } }, 'a split has this one'],
    ['an unknown variable', { v: { of: '$bad' } }, 'got "$bad"'],
    ['a variable of the response', { v: { of: '$status' } }, 'only after the upstream has answered'],
    ['two entries but for case', { v: { of: '$arg_a', values: { a: 'x', A: 'y' } } }, 'each value once'],
    ['look-ahead', { v: { of: '$arg_a', values: { '~a(?=b)': 'x' } } }, 'without look-ahead'],
    ['a back-reference', { v: { of: '$arg_a', values: { '~(a)\\1': 'x' } } }, 'without back-references'],
    ['a possessive quantifier', { v: { of: '$arg_a', values: { '~a++b': 'x' } } }, 'without possessive'],
    ['a broken pattern', { v: { of: '$arg_a', values: { '~(a': 'x' } } }, 'a regular expression of RE2'],
    ['a capture that is not there', { v: { of: '$arg_a', values: { '~(a)': '$2' } } }, 'has 1 captures'],
    [
      'a huge repetition',
      { v: { of: '$arg_a', values: { '~((a{100}){100})': 'x' } } },
      'a regular expression',
    ],
  ])('%s', (_what, variables, words) => {
    expect(problemsOf(variables).join('\n')).toContain(words);
  });

  it('everything at once, each with its place', () => {
    const problems = problemsOf({ v: { of: '$bad', values: { '~(': 'x' } }, w: { of: '$w' } });
    expect(problems).toHaveLength(3);
  });

  it('choose beside chance', () => {
    const split = { ...SPLIT, key: '$arg_token', choose: '$arg_v', missingKey: 'random' };
    expect(problemsOf({}, split).join()).toContain('no choose beside missingKey: random');
  });
});

describe('what hostile input costs', () => {
  it('10,000 entries are looked up like one', () => {
    const values = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, at) => [`key-${at}`, `value-${at}`]),
    );
    expect(lookedUp({ v: { of: '$arg_a', values, default: 'none' } }, '/?a=KEY-9999')).toBe('value-9999');
    expect(lookedUp({ v: { of: '$arg_a', values, default: 'none' } }, '/?a=key-x')).toBe('none');
  });

  it.each(['(a+)+$', '(a|aa)+$', '(.*)*b', '([a-z]+)*[0-9]', '(a*)*(a*)*c'])(
    '%s is tried on 64 KiB in a time that grows with their number',
    (text) => {
      const pattern = compilePattern(text, false) as Pattern;
      expect(growth((size) => pattern.test(`${'a'.repeat(size)}!`), 8192)).toBeLessThan(LINEAR_MAX);
    },
  );
});

describe('a value', () => {
  it('is the same each time that it is read in one request', () => {
    const { config } = read({ v: { of: 'x', default: '$request_id' } }, { ...SPLIT, key: '$v$v' });
    const { key } = compileSplits(config!)
      .splitters.get('s')!
      .explain(new LibraryView({ url: '/' }));
    expect(key.slice(0, 32)).toBe(key.slice(32));
  });

  it('of chance makes a split without a sample, and check warns of it', () => {
    const { config, findings } = read({ v: { of: '$request_id' } });
    expect(compileSplits(config!).splitters.get('s')!.isRandom).toBe(true);
    expect(findings!.map(({ sentence }) => sentence).join()).toContain('$request_id is random');
  });
});

describe('choose', () => {
  const variables = { v: { of: '$cookie_x', values: { blue: 'b', stray: 'none' }, default: '$s' } };
  const { config } = read(variables, { ...SPLIT, key: '$arg_token', choose: '$v' });
  const splitter = compileSplits(config!).splitters.get('s')!;
  const decide = (token: string, cookie = '') =>
    splitter.decide(new LibraryView({ url: `/?token=${token}`, headers: { cookie } }));

  it('leaves what the map leaves to the shares, and their reason', () => {
    const reasons = ['1', '2', '3', '4', '5', '6'].map((token) => decide(token));
    expect(new Set(reasons.map(({ reason }) => reason))).toEqual(new Set(['share']));
    expect(new Set(reasons.map(({ variant }) => variant!.name))).toEqual(new Set(['a', 'b']));
  });

  it('is an override where the map names a variant, even the one that the share gives', () => {
    for (const token of ['1', '2', '3', '4', '5', '6']) {
      expect(decide(token, 'x=blue')).toMatchObject({ variant: { name: 'b' }, reason: 'override' });
    }
  });

  it('has no variant for a value that none has', () => {
    expect(decide('1', 'x=stray').variant).toBeNull();
    expect(splitter.faultWithout).toBe('NO_VARIANT');
  });
});

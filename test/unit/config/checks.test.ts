// What is wrong with values that are good alone: steps, guards and answers, each by its path.
import { beforeAll, describe, expect, it } from 'vitest';
import { formatFinding } from '../../../src/config/findings.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { formatProblem } from '../../../src/config/problem.ts';
import { loadPatternEngine } from '../../../src/key/pattern.ts';

beforeAll(loadPatternEngine);

const VARIANTS = [
  { name: 'a', share: '50%', upstream: 'http://a' },
  { name: 'b', share: '*', upstream: 'http://b' },
];
const read = (split: object, more: object = {}) =>
  parseConfig(
    JSON.stringify({ splits: { s: { key: '$arg_a', variants: VARIANTS, ...split } }, ...more }),
    'f',
  );
const problemsOf = (split: object, more?: object) => (read(split, more).problems ?? []).map(formatProblem);
const answering = (route: object) => problemsOf({}, { routes: [{ split: 's' }, { path: '/x', ...route }] });
const AT = '2026-12-01T09:00Z';

describe('steps of shares', () => {
  it.each([
    [{ a: '*', b: '*' }, 'expected a single variant that takes the rest, got "*" again'],
    [{ a: '*', b: '10%' }, 'expected the last variant as the one that takes the rest'],
    [{ a: '10%', b: '20%' }, 'expected shares of 100% together, got 30%'],
    [{ a: '90%', b: '20%' }, 'expected shares of 100% together, got 110%'],
  ])('%j is no whole', (to, sentence) => {
    const [problem] = problemsOf({ shareSteps: [{ at: AT, to }] });
    expect(problem).toContain('splits.s.shareSteps[0]');
    expect(problem).toContain(sentence);
  });
});

describe('a guard', () => {
  const guard = { errors: { worseBy: '1 point' } };
  it('needs two variants, and keys of the one that it compares with', () => {
    expect(problemsOf({ guard, variants: VARIANTS.slice(1) })[0]).toContain(
      'expected a guard only in a split with two variants or more, got 1 variant',
    );
    const none = [{ ...VARIANTS[0], share: '100%' }, VARIANTS[1]];
    expect(problemsOf({ guard, variants: none }).at(-1)).toContain(
      'guard.against: expected a variant with a share',
    );
    const weights = VARIANTS.map(({ name, upstream }, at) => ({ name, upstream, weight: 1 - at }));
    expect(problemsOf({ guard: { ...guard, against: 'b' }, variants: weights }).at(-1)).toContain(
      'b, which has none',
    );
  });
});

describe('targeting', () => {
  it.each([
    [{}, 'one of '],
    [{ all: [{ variable: '$uri', is: '/' }], any: [{ variable: '$uri', is: '/' }] }, 'got all and any'],
    [{ not: { variable: '$uri', is: '/' }, is: 'x' }, 'expected no is without variable'],
    [{ variable: '$uri' }, 'splits.s.when'],
  ])('%j is no condition', (when, sentence) => {
    expect(problemsOf({ when }).join('\n')).toContain(sentence);
  });
});

describe('coverage', () => {
  it('of nothing, and a part with keys at random, are warned of', () => {
    const findings = (split: object) => (read(split).findings ?? []).map(formatFinding).join('\n');
    expect(findings({ coverage: '0%' })).toContain('is 0%: every request gets the control');
    expect(findings({ coverage: '10%', missingKey: 'random' })).toContain(
      'is random: requests without a key may get any variant, whatever coverage is',
    );
  });
});

describe('an answer of a route', () => {
  it.each([
    [
      { respond: { status: 200, location: '/y' } },
      'location: expected a location only with status 201 or 3xx',
    ],
    [{ respond: { status: 204, body: 'x' } }, 'body: expected no body with status 204'],
    [{ pattern: '~(', respond: { status: 200 } }, 'routes[1].pattern: expected '],
    [{ when: [{ of: '$bad', is: 'x' }], respond: { status: 200 } }, 'routes[1].when[0].of: expected '],
    [
      { split: 's', errorAnswers: [{ on: [502], respond: { status: 204 } }] },
      'respond.status: expected a status whose answer has a body',
    ],
  ])('%j is refused', (route, sentence) => {
    expect(answering(route).join('\n')).toContain(sentence);
  });
});

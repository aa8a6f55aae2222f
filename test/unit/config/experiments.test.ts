// What a configuration says of experiments, and what is wrong with it: each problem with the place of the value, those of
// layers with both places.
import { describe, expect, it } from 'vitest';
import { describeConfig } from '../../../src/admin/effective-config.ts';
import { formatFinding } from '../../../src/config/findings.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { formatProblem } from '../../../src/config/problem.ts';

const VARIANTS = `variants:
      - { name: a, share: 50%, upstream: a }
      - { name: b, share: '*', upstream: b }`;
const UPSTREAMS = 'upstreams: { a: { url: "http://a" }, b: { url: "http://b" } }\n';

/** A document with these options of split `s`, and with more at its top. */
const documentOf = (options: string, top = '') =>
  `${top}splits:\n  s:\n    ${VARIANTS}\n${options.replace(/^(?=.)/gm, '    ')}\n${UPSTREAMS}`;
const read = (text: string) => parseConfig(text, 'f.yaml');
const problemsOf = (text: string) => (read(text).problems ?? []).map(formatProblem);
const splitOf = (text: string) => {
  const { config, problems } = read(text);
  if (config === undefined) throw new Error(problems.map(formatProblem).join('\n'));
  return config.splits.get('s')!;
};

describe('values', () => {
  it('coverage is a percentage, a list of steps, or a percentage every so often', () => {
    expect(splitOf(documentOf('coverage: 10%')).coverage).toBe(1000);
    const at = Date.UTC(2026, 11, 1, 9);
    expect(splitOf(documentOf('coverage: { steps: [{ at: 2026-12-01T09:00Z, to: 1% }] }')).coverage).toEqual({
      steps: [{ at, to: 100 }],
    });
    const every = 'coverage: { at: 2026-12-01T10:00:00+01:00, every: 90m, to: [1%, 5%, 100%] }';
    expect(splitOf(documentOf(every)).coverage).toEqual({
      steps: [
        { at, to: 100 },
        { at: at + 5_400_000, to: 500 },
        { at: at + 10_800_000, to: 10_000 },
      ],
    });
  });

  it('a split in a layer has its key', () => {
    const top = "layers: { l: { key: '$cookie_uid' } }\n";
    expect(splitOf(documentOf('layer: l\nslot: 0%-30%', top))).toMatchObject({
      key: '$cookie_uid',
      layer: 'l',
      slot: { from: 0, to: 3000 },
    });
  });

  it('what is shown of them can be read again', () => {
    const text = documentOf(
      `layer: l
slot: 0%-30.5%
control: a
coverage: { at: 2026-12-01T09:00:00.050Z, every: 1h, to: [1%, 5%] }
shareSteps: [{ at: 2026-12-01T09:00Z, to: { a: 10%, b: '*' } }]
when: { all: [{ variable: $http_x, in: [u, v] }, { not: { variable: $uri, prefix: /z } }] }
guard: { errors: { worseBy: 1 point }, slow: {}, alpha: 0.5% }`,
      "layers: { l: { key: '$arg_token', free: [30.5%-60%, 60%-100%] } }\n",
    );
    const { config } = read(text);
    const { routes: _, ...shown } = JSON.parse(JSON.stringify(describeConfig(config!)));
    const again = read(JSON.stringify(shown));
    expect(again.problems?.map(formatProblem)).toBeUndefined();
    expect(again.config!.splits.get('s')).toEqual(config!.splits.get('s'));
    expect(again.config!.hash).toBe(config!.hash);
  });

  it('options that are not used are not in a configuration, so they do not change its hash', () => {
    expect(JSON.stringify(splitOf(documentOf('')))).not.toMatch(/coverage|layer|guard|when|control|Steps/);
  });
});

describe('problems', () => {
  it.each([
    ['coverage: 101%', /f\.yaml:6:15 splits\.s\.coverage: expected a percentage from 0% to 100%.*got "101%"/],
    ['coverage: { steps: [] }', /coverage\.steps: expected a list of 1 to 100 steps/],
    [
      'coverage: { steps: [{ at: 2026-12-01, to: 1% }] }',
      /steps\[0\]\.at: expected a time with its offset from UTC.*got "2026-12-01"/,
    ],
    ['coverage: { steps: [{ at: 2026-02-30T09:00Z, to: 1% }] }', /got "2026-02-30T09:00Z"/],
    [
      'coverage: { steps: [{ at: 2026-12-01T09:00Z, to: 1% }, { at: 2026-12-01T09:00Z, to: 2% }] }',
      /steps\[1\]\.at: expected a time after 2026-12-01T09:00Z/,
    ],
    ['control: c', /splits\.s\.control: expected the name of a variant of this split.*got "c"/],
    ['slot: 0%-30%', /slot: expected slot only together with layer/],
    ['layer: l\nslot: 0%-30%', /layer: expected the name of an entry in layers, but there are none, got "l"/],
    ['when: { is: x }', /when: expected one of all, any, not, variable, got none/],
    ['when: { variable: $uri }', /when: expected one of is, prefix, in, present with variable, got none/],
    ['when: { variable: $uri, is: x, prefix: y }', /got is and prefix/],
    ['when: { variable: uri, is: x }', /when\.variable: expected a variable like \$http_x_plan, got "uri"/],
    ['when: { variable: $nope, is: x }', /when\.variable: expected a variable of .*got "\$nope"/],
    ['when: { all: [{ variable: $uri, matches: x }] }', /when\.all\[0\]\.matches: expected .*got "matches"/],
    [
      'when: { variable: $arg_n, is: 1 }',
      /when\.is: expected a text \(in quotes if it looks like a number\)/,
    ],
    ['when: { variable: $uri, is: x, not: { variable: $uri, is: y } }', /got not and variable/],
    ['guard: {}', /guard: expected at least one of errors and slow/],
    ['guard: { errors: { worseBy: 1% } }', /worseBy: expected percentage points from 0\.01 to 100/],
    ['guard: { errors: {}, against: z }', /guard\.against: expected the name of a variant/],
    [
      'shareSteps: [{ at: 2026-12-01T09:00Z, to: { a: 10% } }]',
      /shareSteps\[0\]\.to: expected a share for every variant, got none for b/,
    ],
    [
      "shareSteps: [{ at: 2026-12-01T09:00Z, to: { a: 10%, c: '*' } }]",
      /expected the name of a variant of this split.*got "c"/,
    ],
    [
      'shareSteps: [{ at: 2026-12-01T09:00Z, to: { a: 10%, b: 80% } }]',
      /expected shares of 100% together, got 90%/,
    ],
  ])('%s', (options, expected) => {
    const problems = problemsOf(documentOf(options));
    expect(problems.length).toBeLessThanOrEqual(2);
    expect(problems.filter((problem) => expected.test(problem))).toHaveLength(1);
  });

  const two = (a: string, b: string, layer = "{ key: '$arg_token' }") => `layers:
  l: ${layer}
splits:
  s: { layer: l, slot: ${a}, variants: [{ name: a, share: '*', upstream: 'http://a' }] }
  t: { layer: l, slot: ${b}, variants: [{ name: a, share: '*', upstream: 'http://a' }] }
routes: [{ path: /t, split: t }, { split: s }]
`;

  it.each([
    [
      '0%-30%',
      '20%-50%',
      'f.yaml:5:24 splits.t.slot: expected no overlap with the slot of split s, 0%-30% (f.yaml:4:24), got 20%-50%',
    ],
    [
      '0%-100%',
      '20%-50%',
      'f.yaml:5:24 splits.t.slot: expected no overlap with the slot of split s, 0%-100% (f.yaml:4:24), got 20%-50%',
    ],
    [
      '0%-30%',
      '40%-50%',
      'f.yaml:5:24 splits.t.slot: expected no gap after the slot of split s, 0%-30% (f.yaml:4:24), or 30%-40% as free in the layer, got 40%-50%',
    ],
    [
      '10%-30%',
      '30%-100%',
      'f.yaml:4:24 splits.s.slot: expected no gap after the start of layer l (f.yaml:2:3), or 0%-10% as free in the layer, got 10%-30%',
    ],
    [
      '0%-30%',
      '30%-120%',
      'f.yaml:5:24 splits.t.slot: expected a part of 0%-100% of layer l (f.yaml:2:3), got 30%-120%',
    ],
    [
      '30%-0%',
      '30%-100%',
      'f.yaml:4:24 splits.s.slot: expected a slot that ends after its start, got 30%-0%',
    ],
  ])('slots %s and %s', (a, b, expected) => {
    expect(problemsOf(two(a, b))).toEqual([expected]);
  });

  it('a gap that is written down is none, and what is left at the end is noted', () => {
    const { problems, findings } = read(two('0%-30%', '40%-50%', "{ key: '$arg_token', free: 30%-40% }"));
    expect(problems).toBeUndefined();
    expect(findings!.map(formatFinding)).toContain(
      'note: f.yaml:2:3 layers.l: has 50%-100% left for more splits',
    );
  });

  it('a split in a layer has no key of its own', () => {
    const text = two('0%-30%', '30%-100%').replace('s: { layer', "s: { key: '$uri', layer");
    expect(problemsOf(text)).toEqual([
      'f.yaml:4:13 splits.s.key: expected no key, because the key of layer "l" is that of its splits, got "$uri"',
    ]);
  });
});

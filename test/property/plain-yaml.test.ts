// A plain text of YAML says what it says to the yaml package, whatever stands in it: the quick reader of configurations
// gives the same values or leaves the text alone.

import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { isMap, parseDocument } from 'yaml';
import { readPlainYaml } from '../../src/config/plain-yaml.ts';
import { YamlValues } from '../../src/config/yaml-values.ts';
import { RUNS_LIMIT_MS, runs } from '../support/runs.ts';

vi.setConfig({ testTimeout: RUNS_LIMIT_MS });

/** What the package says: the values, or undefined for a text with anything wrong in it. */
function valuesOf(text: string): unknown {
  const document = parseDocument(text, {
    version: '1.2',
    merge: true,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
  });
  if (document.errors.length > 0 || !isMap(document.contents)) return undefined;
  const values = new YamlValues(document, text);
  return values.faults.length > 0 ? undefined : values.value;
}

const TEXT = `listen: ":8000"
admin: off   # none
limits: { connections: 20000, list: [1, -2, 0.5, "a b", c d] }

splits:
  s:
    key: exp42:\${arg_token} 
    variants:
      - { name: x, share: 50%, upstream: http://a:80/x?y=z#1 }
      - name: y
        share: '*'
        upstream: http://c
  # a comment
  "t u": { variants: [], empty: {} , none: null }
nothing:
routes:
- host: a.shop.example
  path: /x/
- listen: :8000
- true
`;
const PIECES =
  `a|b: |c:|: |- |\n|\n  |\n    |\n- |\n  - | |  |{|}|[|]|, |,|"x"|'y'|#| # d|&a|*a|!t|>|?|? |-|~|null|null: |true|1|0x1|1.5|
 -0|-1|.5|+1|1e3|0o7|1_0|.inf|$arg|http://a:80|%|@|\`|é|"|'|\\|::|:8000|<<: |"<<": |true: |1: |"q": |'r': |\u00a0|\u2028|\ufeff|---|...|
 x-y: |[1, 2]|{ a: 1, b: "c" }|50%|"*"|10.0.0.1|2020-01-01|=|;|/p/|(a|~^x|~ x|__proto__: |0.10|- - |a b|a: b|{}|\t|\r\n|\0|é: |''|""`
    .split('|')
    .flatMap((piece) => [piece, piece.replace(/^\n /, '')]);

const piece = fc.constantFrom(...PIECES, '|', ' | ');
const cut = fc.record({
  at: fc.nat(TEXT.length),
  length: fc.nat(3),
  put: fc.oneof(piece, fc.string({ maxLength: 2 })),
});
const slipped = fc.array(cut, { minLength: 0, maxLength: 3 }).map((cuts) => {
  let text = TEXT;
  for (const { at, length, put } of cuts) text = text.slice(0, at) + put + text.slice(at + length);
  return text;
});
const jumbled = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(''));

it('reads a text as the yaml package does, or not at all', () => {
  expect(readPlainYaml(TEXT)).toEqual(valuesOf(TEXT));
  let plain = 0;
  fc.assert(
    fc.property(fc.oneof(slipped, jumbled), (text) => {
      const values = readPlainYaml(text);
      if (values === undefined) return;
      plain++;
      // Compared as text, as the order of keys and -0 count.
      const expected = valuesOf(text);
      expect(values).toStrictEqual(expected);
      expect(Object.keys(values)).toEqual(Object.keys(expected as object));
    }),
    runs(3000),
  );
  expect(plain).toBeGreaterThan(0);
});

// What is read back from the option declaration: known keys, the rows of the manual, the JSON Schema; and that the
// generated documents say what the code says.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { MANUAL, renderManual, renderSchema, SCHEMA } from '../../../scripts/write-docs.ts';
import { jsonSchema, knownKeys, optionRows } from '../../../src/config/declaration.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { formatProblems } from '../../../src/config/problem.ts';

const manual = readFileSync(MANUAL, 'utf8');

/** The YAML blocks of the manual by the name in their first line. */
const examples = new Map(
  [...manual.matchAll(/^```yaml\n# (\S+)\n([\s\S]*?)^```$/gm)].map((match) => [match[1]!, match[2]!]),
);

describe('the manual', () => {
  it('has the option and flag tables of today (node scripts/write-docs.ts writes them)', () => {
    expect(renderManual(manual)).toBe(manual);
  });

  it.each([...examples].filter(([name]) => name !== 'wrong.yaml'))(
    'has a good example in %s',
    (name, text) => {
      const { problems } = parseConfig(text, name, {
        readSecret: () => 'a-secret-in-a-file',
      });
      expect(formatProblems(problems ?? [])).toEqual([]);
    },
  );

  it('shows each kind of example', () => {
    expect([...examples.keys()]).toEqual(
      expect.arrayContaining(['splitter.yaml', 'shop.yaml', 'anchors.yaml', 'wrong.yaml']),
    );
  });
});

describe('the declaration', () => {
  it('has a sentence and a kind for every option that a user can write', () => {
    const undocumented = optionRows().filter(({ kind, doc }) => kind === '' || !/[.%`]$/.test(doc));
    expect(undocumented).toEqual([]);
    const documented = new Set(optionRows().map(({ path }) => path.replaceAll('[]', '')));
    const missing = (path: string[], shown: string): string[] =>
      knownKeys(path).flatMap((key) => {
        const name = shown === '' ? key : `${shown}.${key}`;
        return [...(documented.has(name) ? [] : [name]), ...missing([...path, key], name)];
      });
    expect(missing([], '')).toEqual([]);
  });

  it('knows the keys of every map, and none where the user picks the names', () => {
    expect(knownKeys([])).toContain('listen');
    expect(knownKeys(['splits', 'any', 'variants', 3])).toEqual([
      'name',
      'share',
      'weight',
      'upstream',
      'value',
    ]);
    expect(knownKeys(['upstreams', 'any', 'pool'])).toContain('maxConnections');
    expect(knownKeys(['upstreams'])).toEqual([]);
    expect(knownKeys(['listen', 0, 'x'])).toEqual([]);
  });
});

describe('the JSON Schema for editors', () => {
  const schema = z.fromJSONSchema(jsonSchema() as Parameters<typeof z.fromJSONSchema>[0]);
  const accepts = (text: string) => schema.safeParse(parseDocument(text, { merge: true }).toJS()).success;

  it('is the file in the package (node scripts/write-docs.ts writes it)', () => {
    expect(readFileSync(SCHEMA, 'utf8')).toBe(renderSchema());
  });

  it('accepts every good example of the manual', () => {
    for (const [name, text] of examples) expect([name, accepts(text)]).toEqual([name, name !== 'wrong.yaml']);
  });

  it.each([
    ['an unknown key', 'lisen: ":8000"'],
    [
      'a share with three decimals',
      'splits: { s: { variants: [{ name: a, share: 25.125%, upstream: u }] } }',
    ],
    ['a duration without a unit', 'timeouts: { idle: "75" }'],
    ['a size in MB', 'limits: { requestBody: 8MB }'],
    ['a method that does not exist', 'splits: { s: { method: random, variants: [] } }'],
    [
      'an upstream with a URL and servers',
      'upstreams: { a: { url: "http://b", servers: [{ url: "http://c" }] } }',
    ],
    ['an upstream without a URL', 'upstreams: { a: { host: b } }'],
  ])('refuses %s', (_what, text) => {
    expect(accepts(text)).toBe(false);
  });

  it.each([
    ['a single address', 'listen: ":8000"'],
    ['a list of addresses', 'listen: [":8000", "unix:/run/s.sock"]'],
    ['keys for anchors', 'x-shared: [1, 2]'],
  ])('accepts %s', (_what, text) => {
    expect(accepts(text)).toBe(true);
  });
});

// What keeps src readable: how long files and functions may be, one meaning for a name, docstrings of
// classes, and comments that name what exists. Reads the syntax tree that the bundler's parser gives.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAst } from 'rolldown/parseAst';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const LINES_MAX = 400;
const FUNCTION_LINES_MAX = 80;

interface SourceFile {
  readonly path: string;
  readonly source: string;
  readonly body: readonly Node[];
}

/** A node of the tree as far as these tests look at it (ESTree with TypeScript's additions). */
interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly id?: { readonly name?: string } | null;
  readonly declaration?: Node | null;
  readonly declarations?: readonly Node[];
  readonly source?: { readonly value: string } | null;
  readonly key?: { readonly name?: string };
}

const files: readonly SourceFile[] = globSync('src/**/*.{ts,js}', { cwd: root })
  .sort()
  .map((path) => {
    const source = readFileSync(join(root, path), 'utf8');
    const lang = path.endsWith('.ts') ? 'ts' : 'js';
    return { path, source, body: parseAst(source, { lang }).body as readonly unknown[] as readonly Node[] };
  });

const lineAt = (source: string, offset: number): number => source.slice(0, offset).split('\n').length;

/** Every node below a value, with the name of what is declared around it. */
function* nodesOf(value: unknown, name = ''): Generator<{ node: Node; name: string }> {
  if (Array.isArray(value)) for (const one of value) yield* nodesOf(one, name);
  if (typeof value !== 'object' || value === null || !('type' in value)) return;
  const node = value as Node;
  const own = node.id?.name ?? node.key?.name ?? name;
  yield { node, name: own };
  for (const child of Object.values(node)) if (typeof child === 'object') yield* nodesOf(child, own);
}

/** Names that a file declares at its top level. */
function topLevelNames({ body }: SourceFile): string[] {
  return body.flatMap((statement) => {
    const declared = statement.declaration ?? statement;
    if (!declared.type.endsWith('Declaration')) return [];
    return (declared.declarations ?? [declared]).flatMap(({ id }) =>
      id?.name === undefined ? [] : [id.name],
    );
  });
}

test(`no file has more than ${LINES_MAX} lines`, () => {
  const long = files.map(({ path, source }) => [path, source.split('\n').length - 1] as const);
  expect(long.filter(([, lines]) => lines > LINES_MAX)).toEqual([]);
});

test(`no function has more than ${FUNCTION_LINES_MAX} lines`, () => {
  const long = files.flatMap(({ path, source, body }) =>
    [...nodesOf(body)]
      .filter(({ node }) => /^(Function(Declaration|Expression)|ArrowFunctionExpression)$/.test(node.type))
      .map(({ node, name }) => ({
        place: `${path}: ${name}`,
        lines: lineAt(source, node.end) - lineAt(source, node.start) + 1,
      }))
      .filter(({ lines }) => lines > FUNCTION_LINES_MAX),
  );
  expect(long).toEqual([]);
});

test('no name is declared at the top level of two files', () => {
  const places = new Map<string, string[]>();
  for (const file of files)
    for (const name of new Set(topLevelNames(file)))
      places.set(name, [...(places.get(name) ?? []), file.path]);
  expect([...places].filter(([, paths]) => paths.length > 1)).toEqual([]);
});

test('every exported class has a docstring', () => {
  const without = files.flatMap(({ path, source, body }) =>
    body
      .filter(
        ({ type, declaration }) => type.startsWith('Export') && declaration?.type === 'ClassDeclaration',
      )
      .filter(({ start }) => !/\*\/\s*$/.test(source.slice(0, start)))
      .map(({ declaration }) => `${path}: ${declaration?.id?.name}`),
  );
  expect(without).toEqual([]);
});

test('every identifier in backticks in a comment exists', () => {
  const COMMENT = /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g;
  const words = new Set(
    files.flatMap(
      ({ source }) => source.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '').match(/[A-Za-z_$][\w$]*/g) ?? [],
    ),
  );
  const unknown = files.flatMap(({ path, source }) =>
    [...source.matchAll(COMMENT)]
      .flatMap(([comment]) => [...comment.matchAll(/`#?([a-z][\w$]*|[A-Z][\w$]*(?:\.[\w$]+)?)(?:\(\))?`/g)])
      .map(([, text]) => text!)
      .filter((text) => !text.split('.').every((word) => words.has(word)))
      .map((text) => `${path}: ${text}`),
  );
  expect(unknown).toEqual([]);
});

// YAML text -> Config or every problem with line and column. Bounds what a hostile or broken text can cost: size,
// aliases, nesting. Reads no file: config/load does. Source: YAML 1.2 with anchors and merge keys (yaml package).

import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import { type Override, overlay } from './env.ts';
import { type CheckKey, linkSource, type Outcome, type ReadSecret, type Source } from './link.ts';
import { formatPath, type Path, type Place, type Problem, showGot } from './problem.ts';
import { refuseText } from './text.ts';

const VALUES_MAX = 200_000;
const ALIAS_COUNT_MAX = 10_000;
const SYNTAX_PROBLEMS_MAX = 5;
const NGINX_BLOCK = /^[ \t]*(?:http|events|server|split_clients|upstream)\b[^:\n]*\{/m;
const NESTING_EXPECTED = 'a document that is a few levels deep';

interface ParseOptions {
  readonly checkKey: CheckKey;
  /** Gets the secrets that stand outside of the file; without it they are a problem. */
  readonly readSecret?: ReadSecret;
  /** Flags and environment variables that stand above the file. */
  readonly overrides?: readonly Override[];
}

/** Config of a YAML text, or all problems, each at its place in `file` (a name for messages; nothing is read). */
export function parseConfig(text: string, file: string, options: ParseOptions): Outcome {
  const read = readYaml(text, file);
  if ('problems' in read) return read;
  const { source, problems } = overlay(read, options.overrides ?? []);
  const outcome = linkSource(source, options.checkKey, options.readSecret);
  if (problems.length === 0) return outcome;
  return { problems: [...problems, ...(outcome.problems ?? [])].sort((a, b) => a.order - b.order) };
}

function readYaml(text: string, file: string): Source | { problems: readonly Problem[] } {
  const garbage = refuseText(text, file, 'YAML text');
  if (garbage !== undefined) return { problems: [garbage] };
  const lineCounter = new LineCounter();
  const at = (offset: number): string => {
    const { line, col } = lineCounter.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const problem = (offset: number, expected: string, got: string): Problem => ({
    at: at(offset),
    path: '',
    order: offset,
    expected,
    got,
  });
  try {
    const document = parseDocument(text, {
      version: '1.2',
      merge: true,
      prettyErrors: false,
      logLevel: 'error',
      lineCounter,
    });
    if (document.errors.some((error) => error.message.startsWith('Maximum call stack'))) {
      return { problems: [problem(0, NESTING_EXPECTED, 'thousands of nested brackets')] };
    }
    if ((document.errors.length > 0 || isScalar(document.contents)) && NGINX_BLOCK.test(text)) {
      const expected =
        'YAML (an nginx.conf is run with --nginx FILE, or turned into YAML by the import command)';
      return { problems: [problem(NGINX_BLOCK.exec(text)!.index, expected, 'an nginx configuration')] };
    }
    if (document.errors.length > 0) {
      return {
        problems: document.errors.slice(0, SYNTAX_PROBLEMS_MAX).map((error) => syntax(error, text, problem)),
      };
    }
    const loose = looseReference(document);
    if (loose !== undefined) return { problems: [problem(loose.offset, loose.expected, loose.got)] };
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
      return { problems: [problem(0, 'a configuration with listen, splits, …', 'an empty file')] };
    }
    const value: unknown = document.toJS({ maxAliasCount: ALIAS_COUNT_MAX });
    const size = expandedSize(value, new Map());
    if (!(size <= VALUES_MAX)) {
      const got = size === Number.POSITIVE_INFINITY ? 'an alias inside its own anchor' : `${size} values`;
      return { problems: [problem(0, `${VALUES_MAX} values at most once aliases are expanded`, got)] };
    }
    if (!isMap(document.contents)) {
      return { problems: [problem(0, 'a map of options like listen: and splits:', showGot(value))] };
    }
    const locate = (path: Path, part: 'value' | 'key' = 'value', offset = 0): Place => {
      const order = positionOf(document, path, part, offset);
      return { at: at(order), path: formatPath(path), order };
    };
    return { document: withoutExtensions(value), locate };
  } catch (cause) {
    // yaml throws ReferenceError for alias bombs; nesting deeper than the stack is a RangeError of the engine.
    if (cause instanceof ReferenceError) {
      return { problems: [problem(0, `${ALIAS_COUNT_MAX} uses of aliases at most`, 'more')] };
    }
    if (cause instanceof RangeError) {
      return { problems: [problem(0, NESTING_EXPECTED, 'thousands of nested brackets')] };
    }
    throw cause;
  }
}

function syntax(
  error: YAMLError,
  text: string,
  problem: (offset: number, expected: string, got: string) => Problem,
): Problem {
  const [start, end] = error.pos;
  const lineEnd = text.indexOf('\n', start);
  const line = text.slice(text.lastIndexOf('\n', start - 1) + 1, lineEnd < 0 ? text.length : lineEnd).trim();
  const written = showGot(line);
  switch (error.code) {
    case 'BAD_ALIAS':
      return problem(
        start,
        'the name of an anchor after *; the share of the rest is written "*", in quotes',
        written,
      );
    case 'DUPLICATE_KEY':
      return problem(start, 'each key once in a map', `${showGot(keyText(text, start, end))} again`);
    case 'MULTIPLE_DOCS':
      return problem(start, 'one YAML document', 'several');
    case 'TAB_AS_INDENT':
      return problem(start, 'spaces for indentation', `a tab in ${written}`);
    default:
      return problem(start, 'valid YAML', `${written} (${error.message.replace(/\s+/g, ' ')})`);
  }
}

function keyText(text: string, start: number, end: number): string {
  return /^["']?([^"':\s]*)/.exec(text.slice(start, Math.max(end, start + 64)))?.[1] ?? '';
}

/** The first alias without an anchor, or merge key of something that is no map: what toJS would throw on. */
function looseReference(document: Document): { offset: number; expected: string; got: string } | undefined {
  let found: { offset: number; expected: string; got: string } | undefined;
  visit(document, {
    Alias(_key, node) {
      if (node.resolve(document) !== undefined) return undefined;
      const expected = `an anchor &${node.source} before its alias; a literal "*" stands in quotes`;
      found = { offset: node.range?.[0] ?? 0, expected, got: showGot(`*${node.source}`) };
      return visit.BREAK;
    },
    Pair(_key, pair) {
      if (!isMergeKey(pair)) return undefined;
      const source = resolve(document, pair.value);
      const sources = isSeq(source) ? source.items.map((item) => resolve(document, item)) : [source];
      const odd = sources.find((one) => !isMap(one));
      if (sources.every(isMap)) return undefined;
      const got =
        odd === undefined || odd === null ? 'nothing' : showGot(isScalar(odd) ? odd.value : String(odd));
      const offset = (pair.key as Node).range?.[0] ?? 0;
      found = { offset, expected: 'an alias of a map behind the merge key "<<", or a list of them', got };
      return visit.BREAK;
    },
  });
  return found;
}

// With `merge: true` the parsed key has a symbol as its value; its source text stays "<<".
function isMergeKey(pair: Pair): boolean {
  return (
    isScalar(pair.key) &&
    (pair.key.source ?? String(pair.key.value)) === '<<' &&
    pair.key.type !== 'QUOTE_DOUBLE' &&
    pair.key.type !== 'QUOTE_SINGLE'
  );
}

/** Number of values with every alias expanded, each shared object counted once per use but walked once; Infinity for a cycle. */
function expandedSize(value: unknown, sizes: Map<object, number>): number {
  if (typeof value !== 'object' || value === null) return 1;
  const known = sizes.get(value);
  if (known !== undefined) return known;
  sizes.set(value, Number.POSITIVE_INFINITY);
  let size = 1;
  for (const entry of Object.values(value)) size += expandedSize(entry, sizes);
  sizes.set(value, size);
  return size;
}

/** Top-level keys `x-…` are the user's own: a place for anchors. */
function withoutExtensions(value: unknown): unknown {
  const entries = Object.entries(value as Record<string, unknown>);
  return Object.fromEntries(entries.filter(([key]) => !key.startsWith('x-')));
}

/** Offset in the text of the value (or key) at `path`; a collection is found by its key, what is absent by its parent. */
function positionOf(document: Document, path: Path, part: 'value' | 'key', offset: number): number {
  let node: Node | null | undefined = resolve(document, document.contents);
  let start = node?.range?.[0] ?? 0;
  for (const [depth, step] of path.entries()) {
    const last = depth === path.length - 1;
    if (isSeq(node) && typeof step === 'number') {
      const item = node.items[step] as Node | undefined;
      if (item === undefined) return start;
      start = item.range?.[0] ?? start;
      node = resolve(document, item);
      if (last) start += shiftInside(item, offset);
      continue;
    }
    const pair = isMap(node) ? findPair(document, node, String(step)) : undefined;
    if (pair === undefined) return start;
    const value = pair.value as Node | null;
    start = (pair.key as Node).range?.[0] ?? start;
    if (last && part === 'key') return start;
    node = resolve(document, value);
    if (last && value !== null && !isCollection(node)) {
      start = value.range?.[0] ?? start;
      start += shiftInside(value, offset);
    }
  }
  return start;
}

/** How far behind its own start the character `offset` of a text stands. */
function shiftInside(value: Node, offset: number): number {
  // Only in a plain or a simply quoted text of one line do characters and columns run in step.
  if (offset === 0 || !isScalar(value) || String(value.source ?? value.value).includes('\\')) return 0;
  return offset + (value.type === 'PLAIN' ? 0 : 1);
}

function resolve(document: Document, node: unknown): Node | null | undefined {
  return isAlias(node) ? (node.resolve(document) as Node | undefined) : (node as Node | null | undefined);
}

/** The pair that gives `key` its value: the map's own, else one that a merge key brings in. */
function findPair(document: Document, map: YAMLMap, key: string): Pair | undefined {
  const own = map.items.find((pair) => isPair(pair) && isScalar(pair.key) && String(pair.key.value) === key);
  if (own !== undefined) return own;
  for (const pair of map.items) {
    if (!isMergeKey(pair)) continue;
    const merged = resolve(document, pair.value);
    const maps = isSeq(merged) ? merged.items.map((item) => resolve(document, item)) : [merged];
    for (const candidate of maps) {
      const found = isMap(candidate) ? findPair(document, candidate, key) : undefined;
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

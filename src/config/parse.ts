// YAML text -> Config or every problem with line and column. Bounds what a hostile or broken text can cost: size,
// aliases, nesting. Reads no file: config/load does. Source: YAML 1.2 with anchors and merge keys (yaml package).

import {
  isCollection,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLError,
} from 'yaml';
import { optionRows } from './declaration.ts';
import { type GivenSetting, overlay } from './env.ts';
import { type ConfigResult, linkSource } from './link.ts';
import { formatPath, type Path, type Place, type Problem, showGot } from './problem.ts';
import type { LocatedDocument } from './raw.ts';
import { describeSecret, type ReadSecret } from './secrets.ts';
import { nginxBlockAt, refuseText } from './text.ts';
import { type AnyNode, YamlValues } from './yaml-values.ts';

const SYNTAX_PROBLEMS_MAX = 5;
/** Deeper ones are refused before they are parsed: each level costs the parser up to a kilobyte. */
const NESTING_MAX = 1000;

interface ParseOptions {
  /** Reads the secrets that are not in the file; without it they are a problem. */
  readonly readSecret?: ReadSecret;
  /** Flags and environment variables, which take precedence over the file. */
  readonly settings?: readonly GivenSetting[];
}

/** Config of a YAML text, or all problems, each at its place in `file` (a name for messages; nothing is read). */
export function parseConfig(text: string, file: string, options: ParseOptions = {}): ConfigResult {
  const read = readYaml(text, file);
  if ('problems' in read) return read;
  const { source, problems } = overlay(read, options.settings ?? []);
  const outcome = linkSource(source, options.readSecret);
  if (problems.length === 0) return outcome;
  return { problems: [...problems, ...(outcome.problems ?? [])].sort((a, b) => a.order - b.order) };
}

function tooDeep(file: string): Problem {
  const expected = 'a document that is a few levels deep';
  return { at: `${file}:1:1`, path: '', order: 0, expected, got: 'thousands of nested brackets' };
}

/** More brackets are open at once, or more block collections begin on one line, than anybody means. */
function isTooDeep(text: string): boolean {
  // Looking for brackets costs next to nothing; only the lexer knows which of them are in a quoted text or a comment.
  return isNested(text) && isNested(new Lexer().lex(text));
}

function isNested(tokens: Iterable<string>): boolean {
  let brackets = 0;
  let blocks = 0;
  for (const token of tokens) {
    if (token === '[' || token === '{') brackets++;
    else if (token === ']' || token === '}') brackets = Math.max(0, brackets - 1);
    if (token === '-' || token === '?' || token === ':') blocks++;
    else if (token !== ' ') blocks = 0;
    if (brackets > NESTING_MAX || blocks > NESTING_MAX) return true;
  }
  return false;
}

function readYaml(text: string, file: string): LocatedDocument | { problems: readonly Problem[] } {
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
  if (isTooDeep(text)) return { problems: [tooDeep(file)] };
  try {
    const document = parseDocument(text, {
      version: '1.2',
      merge: true,
      // The package compares each key with all others: YamlValues does it once for each.
      uniqueKeys: false,
      prettyErrors: false,
      logLevel: 'error',
      lineCounter,
    });
    if (document.errors.some((error) => error.message.startsWith('Maximum call stack'))) {
      return { problems: [tooDeep(file)] };
    }
    if ((document.errors.length > 0 || isScalar(document.contents)) && nginxBlockAt(text) >= 0) {
      const expected =
        'YAML (an nginx.conf is run with --nginx FILE, or turned into YAML by the import command)';
      return { problems: [problem(nginxBlockAt(text), expected, 'an nginx configuration')] };
    }
    if (document.errors.length > 0) {
      return {
        problems: document.errors.slice(0, SYNTAX_PROBLEMS_MAX).map((error) => syntax(error, text, problem)),
      };
    }
    const values = new YamlValues(document, text);
    if (values.faults.length > 0) {
      const faults = values.faults.map(({ offset, expected, got }) => problem(offset, expected, got));
      return { problems: faults };
    }
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
      return { problems: [problem(0, 'a configuration with listen, splits, …', 'an empty file')] };
    }
    const { value } = values;
    if (!isMap(document.contents)) {
      return { problems: [problem(0, 'a map of options like listen: and splits:', describeSecret(value))] };
    }
    const locate = (path: Path, part: 'value' | 'key' = 'value', offset = 0): Place => {
      const order = positionOf(values, document.contents, path, part, offset);
      return { at: at(order), path: formatPath(path), order };
    };
    return { document: withoutExtensions(value), locate };
  } catch (cause) {
    // Nesting deeper than the stack is a RangeError of the engine.
    if (cause instanceof RangeError) {
      return { problems: [tooDeep(file)] };
    }
    throw cause;
  }
}

function syntax(
  error: YAMLError,
  text: string,
  problem: (offset: number, expected: string, got: string) => Problem,
): Problem {
  const [start] = error.pos;
  const lineEnd = text.indexOf('\n', start);
  const line = text.slice(text.lastIndexOf('\n', start - 1) + 1, lineEnd < 0 ? text.length : lineEnd).trim();
  const isSafe = namesOptionsAlone(line);
  const written = isSafe ? showGot(line) : `a line of ${line.length} characters`;
  switch (error.code) {
    case 'BAD_ALIAS':
      return problem(
        start,
        'the name of an anchor after *; the share of the rest is written "*", in quotes',
        written,
      );
    case 'MULTIPLE_DOCS':
      return problem(start, 'one YAML document', 'several');
    case 'TAB_AS_INDENT':
      return problem(start, 'spaces for indentation', `a tab in ${written}`);
    default:
      return problem(
        start,
        'valid YAML',
        `${written} (${(isSafe ? error.message : error.message.replace(/[:"].*/s, '')).replace(/\s+/g, ' ')})`,
      );
  }
}

let optionNames: Set<string> | undefined;

function isOptionName(name: string): boolean {
  // Made by the first text with broken syntax.
  if (optionNames === undefined) {
    optionNames = new Set(optionRows().flatMap(({ path }) => path.split(/[.[\]*]+/)));
    for (const secret of ['secret', 'setHeaders', '']) optionNames.delete(secret);
  }
  return optionNames.has(name);
}

/** With broken syntax a text belongs to no known option, so it is shown only when every key in its line is known. */
function namesOptionsAlone(line: string): boolean {
  const keys = Array.from(
    line.matchAll(/(?:^|[\s,{])["']?([^\s"',{}[\]:]+)["']?\s*:(?=\s|$)/g),
    ([, key]) => key!,
  );
  return keys.length > 0 && keys.every(isOptionName);
}

/** Top-level keys `x-…` are the user's own: a place for anchors. */
function withoutExtensions(value: unknown): unknown {
  const entries = Object.entries(value as Record<string, unknown>);
  return Object.fromEntries(entries.filter(([key]) => !key.startsWith('x-')));
}

/** Offset in the text of the value (or key) at `path`; a collection is found by its key, what is absent by its parent. */
function positionOf(
  values: YamlValues,
  contents: unknown,
  path: Path,
  part: 'value' | 'key',
  offset: number,
): number {
  let node: AnyNode = values.resolve(contents);
  let start = node?.range?.[0] ?? 0;
  for (const [depth, step] of path.entries()) {
    const last = depth === path.length - 1;
    if (isSeq(node) && typeof step === 'number') {
      const item = node.items[step] as Node | undefined;
      if (item === undefined) return start;
      start = item.range?.[0] ?? start;
      node = values.resolve(item);
      if (last) start += shiftInside(item, offset);
      continue;
    }
    const pair = isMap(node) ? values.find(node, String(step)) : undefined;
    if (pair === undefined) return start;
    const value = pair.value as Node | null;
    start = (pair.key as Node).range?.[0] ?? start;
    if (last && part === 'key') return start;
    node = values.resolve(value);
    if (last && value !== null && !isCollection(node)) {
      start = value.range?.[0] ?? start;
      start += shiftInside(value, offset);
    }
  }
  return start;
}

/** How far the character `offset` of a text is from the start of its node. */
function shiftInside(value: Node, offset: number): number {
  // Only in a plain or a simply quoted text of one line do characters and columns run in step.
  if (offset === 0 || !isScalar(value) || String(value.source ?? value.value).includes('\\')) return 0;
  return offset + (value.type === 'PLAIN' ? 0 : 1);
}

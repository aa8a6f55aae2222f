// The rewrite program of a block of an nginx.conf (`if`, `set`, `return`, `break`): which ways through it there are, each
// with the conditions of the requests that take it. What cannot be compiled into such ways is refused.
// Source: nginx's ngx_http_rewrite_module.c, ngx_http_script.c.

import { variablesOf } from '../../key/key-text.ts';
import { showGot } from '../problem.ts';
import { putLiterals } from './answers.ts';
import type { Scope } from './directives.ts';
import type { TranslationReport } from './report.ts';
import type { Directive } from './syntax.ts';

/** `when` of a route. */
export type Conditions = readonly Record<string, string>[];

/** One way through a block. */
export interface Branch {
  readonly conditions: Conditions;
  /** The block that counts in the end: that of the last `if` on the way. */
  readonly scope: Scope;
  /** Variables that have one value, or one text, there. */
  readonly literals: ReadonlyMap<string, string>;
  /** What ends the way; null where the request goes on to what the block does with all of them. */
  readonly answer: Directive | null;
}

/** Directives of the program. */
const PROGRAM_DIRECTIVES: ReadonlySet<string> = new Set(['if', 'set', 'return', 'break']);
const BRANCHES_MAX = 256;

/** A directive of the program, and the block that it is in. */
interface ProgramStep {
  readonly directive: Directive;
  readonly scope: Scope;
}

/** True for a directive that `branchesOf` reads. */
export function isProgram({ name }: Directive): boolean {
  return PROGRAM_DIRECTIVES.has(name.text);
}

/** The ways through a block, those with more conditions first; the last one has none beside `conditions`. */
export function branchesOf(
  scope: Scope,
  literals: ReadonlyMap<string, string>,
  conditions: Conditions,
  report: TranslationReport,
): readonly Branch[] {
  const ways: Branch[] = [];
  const known = withSetNames(scope, literals);
  walk(stepsOf(scope), { scope, literals: known, conditions, answer: null }, ways, report);
  const tooMany = ways[BRANCHES_MAX];
  if (tooMany !== undefined) {
    const at = scope.directives.find(isProgram)!.name;
    report.fail(at, 'if', `at most ${BRANCHES_MAX} ways through a block`, 'more');
  }
  return ways;
}

/** Variables that some way sets are empty on the others. */
function withSetNames(
  { directives }: Scope,
  literals: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const names = setNames(directives).filter((name) => !literals.has(name));
  return names.length === 0 ? literals : new Map([...literals, ...names.map((name) => [name, ''] as const)]);
}

function setNames(directives: readonly Directive[]): string[] {
  return directives.flatMap(({ name, words, block }) => {
    if (name.text === 'if') return setNames(block ?? []);
    return name.text === 'set' ? [words[0]?.text.slice(1) ?? ''] : [];
  });
}

function stepsOf(scope: Scope): ProgramStep[] {
  return scope.directives.filter(isProgram).map((directive) => ({ directive, scope }));
}

/** Follows the steps from here; at an `if` first the way of the requests for which it holds. */
function walk(steps: readonly ProgramStep[], from: Branch, ways: Branch[], report: TranslationReport): void {
  let way = from;
  for (const [index, { directive, scope }] of steps.entries()) {
    if (ways.length > BRANCHES_MAX) return;
    const { text } = directive.name;
    if (text === 'return') {
      ways.push({ ...way, answer: directive });
      return;
    }
    if (text === 'break') break;
    if (text === 'set') way = afterSet(directive, way, report);
    else {
      const inner: Scope = { parent: scope, directives: directive.block ?? [] };
      const found = readCondition(directive, way.literals, report);
      if (found === undefined) continue;
      const rest = steps.slice(index + 1);
      const held = { ...way, scope: inner, conditions: [...way.conditions, ...found] };
      walk([...stepsOf(inner), ...rest], held, ways, report);
    }
  }
  ways.push(way);
}

function afterSet({ name, words }: Directive, way: Branch, report: TranslationReport): Branch {
  const [variable, value] = words.map(({ text }) => text);
  if (variable === undefined || value === undefined || words.length > 2 || !/^\$\w+$/.test(variable)) {
    report.fail(name, 'set', 'a variable and a value', showGot(words.map(({ text }) => text).join(' ')));
    return way;
  }
  const literals = new Map(way.literals).set(variable.slice(1), inBraces(putLiterals(value, way.literals)));
  return { ...way, literals };
}

/** The text with every variable in braces, so that it can stand before any other. */
function inBraces(text: string): string {
  let braced = '';
  let end = 0;
  for (const { written, start, end: next } of variablesOf(text)) {
    braced += `${text.slice(end, start)}\${${written.replace(/[${}]/g, '')}}`;
    end = next;
  }
  return braced + text.slice(end);
}

/** The conditions of an `if`, all of which have to hold; undefined where it cannot be kept, which is reported. */
function readCondition(
  { name, words, block }: Directive,
  literals: ReadonlyMap<string, string>,
  report: TranslationReport,
): Conditions | undefined {
  const written = words.map(({ text }) => text);
  const [first = '', operator, value] = withoutBrackets(written);
  const fail = (expected: string): undefined =>
    void report.fail(name, 'if', expected, showGot(written.join(' ')));
  if (block === null) return fail('a condition and a block');
  if (/^!?-[fdex]$/.test(first)) return fail('a comparison of a variable, because no files are served');
  if (!/^\$\w+$/.test(first)) return fail('a comparison of a variable, like ($http_x = "a")');
  const of = putLiterals(first, literals);
  if (operator === undefined)
    return [
      { of, isNot: '' },
      { of, isNot: '0' },
    ];
  if (value === undefined) return fail('one of = != ~ ~* !~ !~* and a value');
  const text = putLiterals(value, literals);
  if (/^(?:=|!=)$/.test(operator) && text.includes('$'))
    return fail('a value without variables; write the comparison as a map');
  switch (operator) {
    case '=':
      return [{ of, is: text }];
    case '!=':
      return [{ of, isNot: text }];
    case '~':
      return [{ of, matches: `~${value}` }];
    case '~*':
      return [{ of, matches: `~*${value}` }];
    case '!~':
      return [{ of, matchesNot: `~${value}` }];
    case '!~*':
      return [{ of, matchesNot: `~*${value}` }];
    default:
      return fail('one of = != ~ ~* !~ !~*');
  }
}

/** The words between the brackets, which may stand alone or at the first and the last word. */
function withoutBrackets(words: readonly string[]): string[] {
  const first = words[0] ?? '';
  const last = words.at(-1) ?? '';
  if (!first.startsWith('(') || !last.endsWith(')')) return [];
  if (words.length === 1) return [first.slice(1, -1)].filter((word) => word !== '');
  return [first.slice(1), ...words.slice(1, -1), last.slice(0, -1)].filter((word) => word !== '');
}

// The rewrite program of a block of an nginx.conf (`if`, `set`, `return`, `rewrite`, `break`): which ways through it there are, each
// with the conditions of the requests that take it. What cannot be compiled into such ways is refused.
// Source: nginx's ngx_http_rewrite_module.c, ngx_http_script.c.

import { variablesOf } from '../../key/key-text.ts';
import { showGot } from '../problem.ts';
import { putLiterals } from './answers.ts';
import { ownDirectives, type Scope } from './directives.ts';
import { mayMatch, type NewPath, newPathOf } from './new-paths.ts';
import { afterMatch, nameCaptures, withoutNumbered } from './numbered-captures.ts';
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
  /** What `rewrite … break` does to the path; null where none is on the way. */
  readonly rule: PathRule | null;
  /** The path by which the request looks for a location again; null where it does not. */
  readonly newPath: NewPath | null;
  /** What ends the way, a return or a rewrite that redirects; null where the request goes on to what the block does with all of them. */
  readonly answer: Directive | null;
}

/** A rule of `rewritePath`. */
interface PathRule {
  readonly pattern: string;
  readonly with: string;
  readonly last: true;
}

/** Directives of the program. */
const PROGRAM_DIRECTIVES: ReadonlySet<string> = new Set(['if', 'set', 'return', 'break', 'rewrite']);
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

/** The way does not end in what the block does with all other requests. */
export function isOver({ answer, newPath }: Branch): boolean {
  return answer !== null || newPath !== null;
}

/** The ways through a block, those with more conditions first; the last one has none beside `conditions`. */
export function branchesOf(
  scope: Scope,
  literals: ReadonlyMap<string, string>,
  conditions: Conditions,
  report: TranslationReport,
): readonly Branch[] {
  const hasProgram = [...PROGRAM_DIRECTIVES].some((name) => ownDirectives(scope, name).length > 0);
  if (!hasProgram) return [{ scope, literals, conditions, rule: null, newPath: null, answer: null }];
  const ways: Branch[] = [];
  const known = withSetNames(scope, literals);
  walk(
    stepsOf(scope),
    { scope, literals: known, conditions, rule: null, newPath: null, answer: null },
    ways,
    report,
  );
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
    else if (text === 'rewrite') {
      const rest = steps.slice(index + 1);
      const matched = afterRewrite(directive, way, rest, report);
      if (matched !== undefined) ways.push(matched);
    } else {
      const inner: Scope = { parent: scope, directives: directive.block ?? [] };
      const found = readCondition(directive, way.literals, report);
      if (found === undefined) continue;
      const rest = steps.slice(index + 1);
      if (isContradicted(way.conditions, found)) continue;
      const { conditions: more, literals } = afterComparison(found, way.literals);
      const held = { ...way, scope: inner, conditions: [...way.conditions, ...more], literals };
      walk([...stepsOf(inner), ...rest], held, ways, report);
    }
  }
  ways.push(way);
}

/** What holds after the comparisons; where texts read `$1`, the groups of a pattern get names. */
function afterComparison(
  conditions: Conditions,
  literals: ReadonlyMap<string, string>,
): Pick<Branch, 'conditions' | 'literals'> {
  if (!literals.has('1')) return { conditions, literals };
  let after = literals;
  const named = conditions.map(({ matches, ...rest }): Record<string, string> => {
    if (matches === undefined) return rest;
    const { pattern, texts } = nameCaptures(matches, 'if');
    after = afterMatch(literals, texts);
    return { ...rest, matches: pattern };
  });
  return { conditions: named, literals: after };
}

/** Two values of one text are never those of one request. */
function isContradicted(known: Conditions, more: Conditions): boolean {
  return more.some(({ of, is }) =>
    known.some((one) => one.of === of && one.is !== undefined && is !== undefined && one.is !== is),
  );
}

/** Variables of nginx that a set changes the request by, and what to do instead. */
const SET_REMEDIES: ReadonlyMap<string, string> = new Map([
  ['$args', 'the query goes after the URI of proxy_pass'],
  ['$limit_rate', 'rates are limited before or after the splitter'],
]);

function afterSet({ name, words }: Directive, way: Branch, report: TranslationReport): Branch {
  const [variable, value] = words.map(({ text }) => text);
  if (variable === undefined || value === undefined || words.length > 2 || !/^\$\w+$/.test(variable)) {
    report.fail(name, 'set', 'a variable and a value', showGot(words.map(({ text }) => text).join(' ')));
    return way;
  }
  const remedy = SET_REMEDIES.get(variable);
  if (remedy !== undefined) {
    report.fail(name, 'set', `a variable of the file's own (${remedy})`, showGot(variable));
    return way;
  }
  const literals = new Map(way.literals).set(variable.slice(1), inBraces(putLiterals(value, way.literals)));
  return { ...way, literals };
}

const REWRITE_EXPECTED =
  'a regular expression, a path or URL, and perhaps last, redirect or permanent, in a location also break; without a flag nothing after it that looks at the new path';

/** The way of the requests that a rewrite matches; undefined where it cannot be kept, which is reported. */
function afterRewrite(
  directive: Directive,
  way: Branch,
  rest: readonly ProgramStep[],
  report: TranslationReport,
): Branch | undefined {
  const { name, words } = directive;
  const [pattern, replacement, flag, more] = words.map(({ text }) => text);
  const fail = (expected: string): undefined =>
    void report.fail(name, 'rewrite', expected, showGot(words.map(({ text }) => text).join(' ')));
  if (pattern === undefined || replacement === undefined || more !== undefined) return fail(REWRITE_EXPECTED);
  const compared = afterComparison([{ of: '$uri', matches: `~${pattern}` }], way.literals);
  const { literals } = compared;
  const conditions = [...way.conditions, ...compared.conditions];
  if (redirectStatus(replacement, flag) !== null) {
    const isMixed = replacement.slice(0, -1).includes('?');
    if (isMixed && !replacement.endsWith('?'))
      return fail('a "?" at the end of a replacement that has a query');
    return { ...way, conditions, literals, answer: directive };
  }
  // Before the location is chosen a new path would choose it.
  const isAgain = flag === 'last' || flag === undefined;
  if (!isAgain && (flag !== 'break' || way.scope.parent?.parent == null)) return fail(REWRITE_EXPECTED);
  const newPath = isAgain ? newPathOf(putLiterals(replacement, withoutNumbered(way.literals)), name) : null;
  const isNext = ({ directive: one }: ProgramStep): boolean =>
    one.name.text !== 'rewrite' || mayMatch(one, newPath!);
  if (flag === undefined && rest.some(isNext)) return fail(REWRITE_EXPECTED);
  return {
    ...way,
    newPath,
    conditions,
    literals,
    rule: {
      pattern: `~${pattern}`,
      with: putLiterals(replacement, withoutNumbered(way.literals)),
      last: true,
    },
  };
}

/** The status of a rewrite that redirects; null for one that does not. */
export function redirectStatus(replacement: string, flag: string | undefined): 301 | 302 | null {
  if (flag === 'permanent') return 301;
  return flag === 'redirect' || /^(?:https?:\/\/|\$scheme)/.test(replacement) ? 302 : null;
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

// What a request must have, beside host and path prefix, for a route to take it: a path that matches a pattern, and
// conditions on texts. What the patterns capture can be read by the texts of the route and, by name, by every text.
// Sources: nginx's ngx_http_core_find_location (regex locations), ngx_http_rewrite_if_condition.

import type { RequestView } from '../bytes.ts';
import { type CompiledKey, compileKey } from './compile.ts';
import type { OwnVariables, TextScope } from './own-variables.ts';
import { Captures, compilePattern, type Pattern } from './pattern.ts';
import { withCaptures } from './value-map.ts';

/** A condition as the configuration has it: a text, and one of the four ways to compare it. */
interface ConditionSource {
  readonly of: string;
  readonly is?: string | undefined;
  readonly isNot?: string | undefined;
  readonly matches?: string | undefined;
  readonly matchesNot?: string | undefined;
}

/** What of a route `compileMatch` reads. */
export interface MatchSource {
  /** Only one that begins with "~" is a pattern. */
  readonly host?: string | undefined;
  readonly pattern?: string | undefined;
  readonly when?: readonly ConditionSource[] | undefined;
}

/** What is wrong with one, at a path below the route. */
export interface MatchFault {
  readonly path: readonly (string | number)[];
  readonly expected: string;
  readonly got: string;
  readonly offset: number;
}

interface CompiledPattern {
  readonly pattern: Pattern;
  readonly captures: Captures;
}

interface RouteCondition {
  readonly of: CompiledKey;
  /** Latin-1; null where a pattern is compared. */
  readonly text: string | null;
  readonly compiled: CompiledPattern | null;
  readonly isWanted: boolean;
}

/** The compiled pattern and conditions of one route. Immutable but for what was captured last; its generation owns it. */
export class RouteMatch {
  /** The scope of the texts that are made at once when the route takes a request: it has the captures. */
  readonly scope: TextScope;
  readonly hasPattern: boolean;
  readonly hasConditions: boolean;
  readonly #host: CompiledPattern | null;
  readonly #pattern: CompiledPattern | null;
  readonly #conditions: readonly RouteCondition[];
  readonly #own: OwnVariables | null;

  constructor(
    host: CompiledPattern | null,
    pattern: CompiledPattern | null,
    conditions: readonly RouteCondition[],
    scope: TextScope,
    own: OwnVariables | null,
  ) {
    this.scope = scope;
    this.hasPattern = pattern !== null;
    this.hasConditions = conditions.length > 0;
    this.#host = host;
    this.#pattern = pattern;
    this.#conditions = conditions;
    this.#own = own;
  }

  /** True when the name of the host matches the pattern. */
  takesHost(host: string, view: RequestView): boolean {
    return this.#host === null || this.#captures(this.#host, host, view);
  }

  /** True when the normal form of the path, one character a byte, matches the pattern. */
  takesPath(path: string, view: RequestView): boolean {
    return this.#pattern === null || this.#captures(this.#pattern, path, view);
  }

  /** True when all conditions hold. */
  holds(view: RequestView): boolean {
    for (const { of, text, compiled, isWanted } of this.#conditions) {
      const bytes = of.expand(view);
      const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
      const isFound = compiled === null ? value === text : this.#captures(compiled, value, view);
      if (isFound !== isWanted) return false;
    }
    return true;
  }

  #captures({ pattern, captures }: CompiledPattern, text: string, view: RequestView): boolean {
    const captured = pattern.exec(text);
    if (captured === null) return false;
    captures.set(captured);
    for (const [name, group] of pattern.names) {
      this.#own?.variable(name).assign(view, Buffer.from(captured[group] ?? '', 'latin1'));
    }
    return true;
  }
}

/** Compiles what a route asks of a request, or every fault in it. `own` gets what named captures hold; null in checks. */
export function compileMatch(
  { host, pattern, when = [] }: MatchSource,
  scope: TextScope,
  own: OwnVariables | null,
): RouteMatch | { readonly faults: readonly MatchFault[] } {
  const faults: MatchFault[] = [];
  let inner = scope;
  const compiledPattern = (text: string, path: MatchFault['path']): CompiledPattern | null => {
    const isCaseless = text.startsWith('~*');
    const made = compilePattern(text.replace(/^~\*?/, ''), isCaseless);
    if ('expected' in made) {
      faults.push({ path, ...made, offset: 0 });
      return null;
    }
    const compiled = { pattern: made, captures: new Captures() };
    if (made.captures > 0) inner = withCaptures(inner, made, compiled.captures);
    return compiled;
  };
  const name = host?.startsWith('~') === true ? compiledPattern(host.replace(/^~\*?/, '~*'), ['host']) : null;
  const path = pattern === undefined ? null : compiledPattern(pattern, ['pattern']);
  const conditions: RouteCondition[] = [];
  for (const [index, { of, is, isNot, matches, matchesNot }] of when.entries()) {
    const text = compileKey(of, inner);
    if ('error' in text) {
      const [expected = '', got = ''] = text.error.replace(/^expected /, '').split(', got ');
      faults.push({ path: ['when', index, 'of'], expected, got, offset: text.offset });
      continue;
    }
    const form = matches ?? matchesNot;
    const plain = is ?? isNot;
    const option = matches === undefined ? 'matchesNot' : 'matches';
    conditions.push({
      of: text,
      text: plain === undefined ? null : Buffer.from(plain).toString('latin1'),
      compiled: form === undefined ? null : compiledPattern(form, ['when', index, option]),
      isWanted: is !== undefined || matches !== undefined,
    });
  }
  return faults.length > 0 ? { faults } : new RouteMatch(name, path, conditions, inner, own);
}

/** The names that the patterns of a route capture; a pattern that cannot be compiled has none. */
export function capturedNames({ host, pattern, when = [] }: MatchSource): string[] {
  // Most routes have none of these, and there may be ten thousand of them.
  if (pattern === undefined && when.length === 0 && host?.startsWith('~') !== true) return [];
  const texts = [
    host?.startsWith('~') === true ? host : undefined,
    pattern,
    ...when.flatMap(({ matches, matchesNot }) => [matches, matchesNot]),
  ];
  return texts.flatMap((text) =>
    Array.from((text ?? '').matchAll(/\(\?P?<([A-Za-z_]\w*)>/g), ([, name]) => name!.toLowerCase()),
  );
}

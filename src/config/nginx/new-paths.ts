// Where a request goes whose path a `rewrite` has changed before a location was chosen, or with `last`: found in advance
// from the beginning of the new path. What that cannot decide is refused. Knows nothing of routes.
// Sources: nginx's ngx_http_script_regex_end_code, ngx_http_core_post_rewrite_phase.

import { ownDirectives, type Scope } from './directives.ts';
import type { Directive, Position } from './syntax.ts';

/** A new path: what is known of its beginning. */
export interface NewPath {
  readonly start: string;
  /** There is nothing after the beginning. */
  readonly isWhole: boolean;
  readonly changesQuery: boolean;
  readonly at: Position;
}

/** A location as far as a path chooses it. */
interface PlaceOfPath {
  readonly scope: Scope;
  readonly path: string;
  readonly isExact: boolean;
  readonly isPattern: boolean;
  readonly isFirm: boolean;
}

export const NEW_PATH_EXPECTED =
  'a new path whose beginning decides its location, which has no rewrite or if that could change it again';

/** What the replacement of a rewrite says of the new path. */
export function newPathOf(replacement: string, at: Position): NewPath {
  const [path = ''] = replacement.split('?');
  const dollar = path.indexOf('$');
  return {
    start: dollar < 0 ? path : path.slice(0, dollar),
    isWhole: dollar < 0,
    changesQuery: replacement.includes('?'),
    at,
  };
}

/** False where no path that begins so can match the pattern of this rewrite. */
export function mayMatch({ words: [pattern] }: Directive, { start, isWhole }: NewPath): boolean {
  const literal = literalStart(pattern?.text ?? '');
  return start.startsWith(literal) || (!isWhole && literal.startsWith(start));
}

/** The plain beginning of every path that a pattern matches; empty where it has none. */
function literalStart(pattern: string): string {
  const [, literal = '', next = ''] = /^\^((?:[A-Za-z0-9_/-]|\\[.-])*)(.?)/s.exec(pattern) ?? [];
  if (/\|/.test(pattern)) return '';
  const plain = literal.replaceAll('\\', '');
  return /[*?+{]/.test(next) ? plain.slice(0, -1) : plain;
}

/** The location of a new path; undefined where its beginning does not decide. */
export function locationOf<T extends PlaceOfPath>(locations: readonly T[], path: NewPath): T | undefined {
  const { start, isWhole } = path;
  if (!start.startsWith('/') || /\/\/|\/\.|%/.test(start)) return undefined;
  const paths = locations.filter((one) => !one.isPattern && one.path.startsWith('/'));
  const exact = paths.find((one) => one.isExact && one.path === start);
  if (isWhole && exact !== undefined) return exact;
  // The rest of the path could choose one of these; nginx also redirects to the path with a slash at its end.
  const isOpen = isWhole
    ? paths.some((one) => one.path === `${start}/`)
    : paths.some((one) => one.path.startsWith(start) && (one.isExact || one.path !== start));
  if (isOpen) return undefined;
  const [longest] = paths
    .filter((one) => !one.isExact && start.startsWith(one.path))
    .sort((a, b) => b.path.length - a.path.length);
  const isBeforePatterns = longest?.isFirm === true || !locations.some(({ isPattern }) => isPattern);
  return isBeforePatterns ? longest : undefined;
}

/** The block of a location as a request with a new path runs it; undefined where that could change the path again. */
export function withoutRewrites(scope: Scope, path: NewPath): Scope | undefined {
  const rewrites = ownDirectives(scope, 'rewrite');
  const isInIf = ownDirectives(scope, 'if').some(({ block }) =>
    block?.some(({ name }) => name.text === 'rewrite'),
  );
  if (isInIf || rewrites.some((rewrite) => mayMatch(rewrite, path))) return undefined;
  if (rewrites.length === 0) return scope;
  return { parent: scope.parent, directives: scope.directives.filter(({ name }) => name.text !== 'rewrite') };
}

/** What was found of a file, by whether the query changes: a file may have thousands of rewrites. */
const readsByFile = new WeakMap<readonly Directive[], Map<boolean, boolean>>();

/** Whether a text of the file reads what a rewrite changes: the path or, with another query, the arguments. */
export function readsChanged(file: readonly Directive[], changesQuery: boolean): boolean {
  const known = readsByFile.get(file) ?? new Map<boolean, boolean>();
  readsByFile.set(file, known);
  const changed = changesQuery
    ? /\$\{?(?:uri|document_uri|args|query_string|is_args|arg_\w*)\b/i
    : /\$\{?(?:uri|document_uri)\b/i;
  const reads = known.get(changesQuery) ?? reading(file, changed);
  known.set(changesQuery, reads);
  return reads;
}

function reading(directives: readonly Directive[], variable: RegExp): boolean {
  return directives.some(
    ({ name, words, block }) =>
      (name.text !== 'log_format' && words.some(({ text }) => variable.test(text))) ||
      (block !== null && reading(block, variable)),
  );
}

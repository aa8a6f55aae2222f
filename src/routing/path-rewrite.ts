// Changes the path of a request on its way to the upstream (`rewritePath`): a prefix, a whole target, or rules with
// regular expressions; byte for byte as nginx does. Sources: ngx_http_proxy_create_request, ngx_http_script_regex_end_code,
// ngx_escape_uri (NGX_ESCAPE_URI).

import { PERCENT, QUESTION, type RequestView } from '../bytes.ts';
import type { RewritePathOptions } from '../config/options/rewrite.ts';
import type { TextScope } from '../key/own-variables.ts';
import { normalisePath } from '../key/path.ts';
import { Captures, compilePattern, type Pattern } from '../key/pattern.ts';
import { withCaptures } from '../key/value-map.ts';
import { type AnswerText, compileAnswerText } from './answer-text.ts';
import { encodeCharacter, escapedCaptures } from './escaped-captures.ts';

interface CompiledRule {
  readonly pattern: Pattern;
  readonly captures: Captures;
  readonly path: AnswerText;
  /** What comes before the query of the request; null for nothing. */
  readonly query: AnswerText | null;
  readonly keepsQuery: boolean;
  readonly isLast: boolean;
}

/** A compiled `rewritePath`; immutable but for what was captured last, owned by the generation. */
export class PathRewrite {
  readonly #prefix: number;
  readonly #base: string;
  readonly #target: AnswerText | null;
  readonly #rules: readonly CompiledRule[] | null;

  constructor({ prefix, with: base = '', target, rules }: RewritePathOptions, scope: TextScope) {
    this.#prefix = Buffer.byteLength(prefix ?? '');
    this.#base = base;
    this.#target = target === undefined ? null : compileAnswerText(target, scope);
    this.#rules = rules === undefined ? null : rules.map((rule) => compileRule(rule, scope));
  }

  /** The new target; null where the request keeps its own. */
  targetFor(view: RequestView): Uint8Array | null {
    if (this.#target !== null) {
      const target = this.#target.make(view).replace(UNSENDABLE, encodeCharacter);
      return target.startsWith('/') ? Buffer.from(target, 'latin1') : null;
    }
    const normal = normalisePath(view);
    if (normal === null) return null;
    const path = Buffer.from(normal).toString('latin1');
    const query = queryOf(view);
    if (this.#rules !== null) return applyRules(this.#rules, path, query, view);
    const rest = path.slice(Math.min(this.#prefix, path.length));
    const suffix = isQuoted(view) ? escapeUri(rest) : rest.replace(UNSENDABLE, encodeCharacter);
    return Buffer.from(`${this.#base}${suffix}${query === '' ? '' : `?${query}`}`, 'latin1');
  }
}

/** The compiled `rewritePath` of a route; null for none. */
export function compilePathRewrite(
  options: RewritePathOptions | undefined,
  scope: TextScope,
): PathRewrite | null {
  return options === undefined ? null : new PathRewrite(options, scope);
}

function compileRule(
  { pattern: text, with: replacement, last }: NonNullable<RewritePathOptions['rules']>[number],
  scope: TextScope,
): CompiledRule {
  const pattern = compilePattern(text.replace(/^~\*?/, ''), text.startsWith('~*'));
  if ('expected' in pattern)
    throw new Error(`broken invariant: a pattern that was checked: ${pattern.expected}`);
  const captures = new Captures();
  const inner = withCaptures(scope, pattern, captures);
  const mark = replacement.indexOf('?');
  const query = mark < 0 ? '' : replacement.slice(mark + 1);
  const dropsQuery = replacement.endsWith('?');
  const ownQuery = dropsQuery ? query.slice(0, -1) : query;
  return {
    pattern,
    captures,
    path: compileAnswerText(mark < 0 ? replacement : replacement.slice(0, mark), inner),
    query: ownQuery === '' ? null : compileAnswerText(ownQuery, escapedCaptures(inner)),
    keepsQuery: !dropsQuery,
    isLast: last,
  };
}

function applyRules(
  rules: readonly CompiledRule[],
  from: string,
  asked: string,
  view: RequestView,
): Uint8Array | null {
  let path = from;
  let query = asked;
  let hasChanged = false;
  for (const { pattern, captures, path: text, query: added, keepsQuery, isLast } of rules) {
    const captured = pattern.exec(path);
    if (captured === null) continue;
    captures.set(captured);
    const own = added === null ? '' : added.make(view);
    const kept = keepsQuery ? query : '';
    path = text.make(view);
    query = own !== '' && kept !== '' ? `${own}&${kept}` : own + kept;
    hasChanged = true;
    if (isLast) break;
  }
  if (!hasChanged || !path.startsWith('/')) return null;
  const sent = query.replace(UNSENDABLE, encodeCharacter);
  return Buffer.from(`${escapeUri(path)}${sent === '' ? '' : `?${sent}`}`, 'latin1');
}

function queryOf({ bytes, targetStart, targetEnd }: RequestView): string {
  const mark = bytes.indexOf(QUESTION, targetStart);
  if (mark < 0 || mark >= targetEnd) return '';
  return Buffer.from(bytes.buffer, bytes.byteOffset + mark + 1, targetEnd - mark - 1).toString('latin1');
}

/** The path of the request has an escape, so that nginx escapes what it sends on. */
function isQuoted({ bytes, targetStart, targetEnd }: RequestView): boolean {
  for (let at = targetStart; at < targetEnd && bytes[at] !== QUESTION; at++)
    if (bytes[at] === PERCENT) return true;
  return false;
}

/** What nginx escapes in a path that it changed. */
const ESCAPED_IN_PATH = /[\0-\x20"#%<>?\\^`{|}\x7f-\xff]/g;
/** What would end the target, or the line: nginx 1.22 sends it as it is. */
const UNSENDABLE = /[\0-\x20\x7f]/g;

function escapeUri(path: string): string {
  return path.replace(ESCAPED_IN_PATH, encodeCharacter);
}

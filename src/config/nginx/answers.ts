// The answers that an nginx.conf gives itself: `return`, and the redirect to the path with a slash at its end.
// Sources: nginx's ngx_http_rewrite_module.c, ngx_http_send_response and ngx_http_core_find_config_phase.

import { showGot } from '../problem.ts';
import { inheritedDirective, type Scope } from './directives.ts';
import { mediaTypesOf, typeOfPath } from './media-types.ts';
import { withoutNumbered } from './numbered-captures.ts';
import type { TranslationReport } from './report.ts';
import type { Directive } from './syntax.ts';

/** `respond` of a route. */
export type Respond = Record<string, unknown> & { readonly status: number };

/** The place of an answer: its block, the variables that have one value there, and its path if it has only one. */
export interface AnswerPlace {
  readonly scope: Scope;
  readonly literals: ReadonlyMap<string, string>;
  readonly path: string | null;
}

/** Statuses whose answer has a Location. */
export const REDIRECT_STATUSES: readonly number[] = [301, 302, 303, 307, 308];
/** Statuses with which nginx closes the connection. */
const CLOSING: readonly number[] = [444, 499];

/** What a `return` answers; undefined where it has a problem, which is reported. */
export function readReturn(
  { name, words }: Directive,
  place: AnswerPlace,
  report: TranslationReport,
): Respond | undefined {
  const [first, second, more] = words.map(({ text }) => text);
  if (first === undefined || more !== undefined) {
    report.fail(name, 'return', 'a status and a text or URL, or a URL', `${words.length} words`);
    return undefined;
  }
  if (!/^\d{1,3}$/.test(first)) {
    if (second === undefined && /^(?:https?:\/\/|\$scheme)/.test(first)) return redirect(302, first, place);
    report.fail(words[0]!, 'return', 'a status from 200 to 999, or a URL', showGot(first));
    return undefined;
  }
  const status = Number(first);
  if (CLOSING.includes(status) || (status === 408 && second === undefined)) return { status: 444 };
  if (status < 200 || (status >= 494 && status <= 498)) {
    report.fail(words[0]!, 'return', 'a status that nginx sends as it is, from 200', first);
    return undefined;
  }
  if (REDIRECT_STATUSES.includes(status)) return redirect(status, second ?? '', place);
  if (status === 204 || status === 304) return { status };
  if (second === undefined && status >= 400) return { status };
  return { status, body: putLiterals(second ?? '', place.literals), ...typesOf(place) };
}

/** The redirect from a path without the slash at the end of a location's path (RFC 3986 §3.3 has two resources there). */
export function slashRedirect(path: string, place: AnswerPlace): Respond {
  return redirect(301, `${escapePath(path)}$is_args$args`, place);
}

/** What a rewrite that redirects answers. */
export function rewriteRedirect(status: number, replacement: string, place: AnswerPlace): Respond {
  const text = replacement.endsWith('?') ? replacement.slice(0, -1) : `${replacement}$is_args$args`;
  const answer = redirect(status, text, { ...place, literals: withoutNumbered(place.literals) });
  return /\$\{?[1-9]|%/.test(replacement) ? { ...answer, escapeCaptures: true } : answer;
}

function redirect(status: number, text: string, place: AnswerPlace): Respond {
  const location = putLiterals(text, place.literals);
  const isWhole = /^[a-z][a-z0-9+.-]*:/i.test(location) || location === '';
  const base = isWhole ? null : redirectBase(place);
  return { status, location, ...(base === null ? {} : { locationBase: base }) };
}

/** What nginx puts before a Location that begins with a slash; null for nothing. */
export function redirectBase({ scope, literals }: AnswerPlace): string | null {
  const isOn = (directive: string, byDefault: string): boolean =>
    (inheritedDirective(scope, directive)?.words[0]?.text ?? byDefault) === 'on';
  if (!isOn('absolute_redirect', 'on')) return null;
  const name = isOn('server_name_in_redirect', 'off') ? literals.get('server_name') : undefined;
  const port = isOn('port_in_redirect', 'on') ? literals.get('server_port') : undefined;
  const host = name === undefined || name === '' ? '$host' : name;
  return `$scheme://${host}${port === undefined || port === '80' ? '' : `:${port}`}`;
}

function typesOf({ scope, path }: AnswerPlace): Record<string, unknown> {
  const types = mediaTypesOf(scope);
  const type = path === null ? types.default : typeOfPath(types, path);
  const byEnd = [...types.byEnd].filter(([, one]) => one !== types.default);
  return {
    ...(type === 'text/plain' ? {} : { contentType: type }),
    ...(path !== null || byEnd.length === 0 ? {} : { contentTypes: Object.fromEntries(byEnd) }),
  };
}

/** The text with the variables that have one value put in. The others stay, apart from what is put in after them. */
export function putLiterals(text: string, literals: ReadonlyMap<string, string>): string {
  return text.replace(
    /\$(?:\{(\w+)\}|([1-9]|\w+))(?=(\$?))/g,
    (whole, braced: string | undefined, bare: string | undefined, next: string) => {
      const value = literals.get((braced ?? bare)!);
      if (value !== undefined) return value;
      return next === '' || bare === undefined || /^\d/.test(bare) ? whole : `\${${bare}}`;
    },
  );
}

/** A path as nginx writes it in a Location. Source: ngx_escape_uri, NGX_ESCAPE_URI. */
function escapePath(path: string): string {
  return Array.from(Buffer.from(path), (byte) => {
    const isPlain = byte > 0x20 && byte < 0x7f && !`"#%?<>\\^\`{|}`.includes(String.fromCharCode(byte));
    return isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}

// The error pages of an nginx.conf: `error_page` becomes `errorAnswers` where its target answers by itself or is a URL.
// Sources: nginx's ngx_http_core_error_page in ngx_http_core_module.c, ngx_http_special_response.c.

import { showGot } from '../problem.ts';
import { addedFields } from './added-fields.ts';
import { putLiterals, REDIRECT_STATUSES, type Respond, readReturn } from './answers.ts';
import { branchesOf, isProgram } from './branches.ts';
import { inheritedDirective, innermostDirectives, ownDirectives, type Scope } from './directives.ts';
import type { TranslationReport } from './report.ts';
import type { Directive } from './syntax.ts';

/** A location that an error can be sent to. */
interface ErrorTarget {
  readonly scope: Scope;
  /** Its path; "@name" for one with a name. */
  readonly path: string;
  readonly isExact: boolean;
  readonly isPattern: boolean;
}

/** The errors that a directive names, what they become and where that comes from. */
interface ErrorPage {
  readonly statuses: readonly number[];
  /** The status of the answer; null for the error's own, undefined for that of the target. */
  readonly status: number | null | undefined;
  readonly uri: string;
  readonly at: Directive;
}

const FORM_EXPECTED = 'statuses from 400 to 599, perhaps =STATUS, and a path, a named location or a URL';
const TARGET_EXPECTED =
  'a location with a plain return; an error is never sent to an upstream or a file: write return 200 "…" there, or let the upstream write its own pages';
const STATIC_DIRECTIVES: ReadonlySet<string> = new Set([
  'root',
  'alias',
  'internal',
  'index',
  'allow',
  'access_log',
]);
/** Statuses of heads that were refused before a server was chosen. */
const HEAD_STATUSES: readonly number[] = [400, 408, 414, 431, 494, 495, 496, 497];

const FILE_NOTE =
  'error_page: no files are served, so errors that have a file there get the built-in page, with their status';
const HEAD_NOTE =
  'error_page: a head that cannot be read, and TRACE, get the built-in page: they are answered before a server is chosen';

/** `errorAnswers` of a block; undefined for none. `locations` are those of its server. */
export function errorAnswersOf(
  scope: Scope,
  literals: ReadonlyMap<string, string>,
  locations: readonly ErrorTarget[],
  report: TranslationReport,
): Record<string, unknown>[] | undefined {
  const directives = innermostDirectives(scope, 'error_page');
  if (directives.length === 0) return undefined;
  const isForUpstream = inheritedDirective(scope, 'proxy_intercept_errors')?.words[0]?.text === 'on';
  const taken = new Set<number>();
  const answers: Record<string, unknown>[] = [];
  for (const directive of directives) {
    const page = readErrorPage(directive, report);
    if (page === undefined) continue;
    if (page.statuses.some((status) => HEAD_STATUSES.includes(status))) report.note(HEAD_NOTE);
    // Of two pages for one status nginx takes the first.
    const statuses = [...new Set(page.statuses)].filter((status) => !taken.has(status));
    const answer = answerOf(page, literals, locations, report);
    for (const status of statuses) taken.add(status);
    if (answer === undefined || statuses.length === 0) continue;
    answers.push({ statuses, ...answer, ...(isForUpstream ? { upstreamErrors: true } : {}) });
  }
  return answers.length === 0 ? undefined : answers;
}

/** True for an exact location that holds nothing but a file, to which error pages lead. */
export function isErrorFile({ scope, isExact, path }: ErrorTarget, server: Scope): boolean {
  if (!isExact || !scope.directives.every(({ name }) => STATIC_DIRECTIVES.has(name.text))) return false;
  const isAsked = ({ directives }: Scope): boolean =>
    directives.some(
      ({ name, words, block }) =>
        (name.text === 'error_page' && words.at(-1)?.text === path) ||
        (block !== null && name.text !== 'server' && isAsked({ parent: null, directives: block })),
    );
  for (let level: Scope | null = server; level !== null; level = level.parent)
    if (isAsked(level)) return true;
  return false;
}

function readErrorPage(at: Directive, report: TranslationReport): ErrorPage | undefined {
  const written = at.words.map(({ text }) => text);
  const uri = written.at(-1) ?? '';
  const given = written.slice(0, -1);
  const changed = given.at(-1)?.startsWith('=') === true ? given.pop()! : null;
  const statuses = given.map(Number);
  const isOdd = given.some((text) => !/^[45]\d\d$/.test(text)) || statuses.includes(499);
  const isTarget = /^(?:\/|@.|https?:\/\/|\$scheme:\/\/)/.test(uri);
  const status = changed === null ? null : changed === '=' ? undefined : Number(changed.slice(1));
  const isStatus = status === null || status === undefined || (status >= 200 && status <= 599);
  if (statuses.length === 0 || isOdd || !isTarget || !isStatus || status === 204 || status === 304) {
    report.fail(at.name, 'error_page', FORM_EXPECTED, showGot(written.join(' ')));
    return undefined;
  }
  return { statuses, status, uri, at };
}

/** What an error page answers; undefined for the built-in page, or where it has a problem, which is reported. */
function answerOf(
  { status, uri, at }: ErrorPage,
  literals: ReadonlyMap<string, string>,
  locations: readonly ErrorTarget[],
  report: TranslationReport,
): Record<string, unknown> | undefined {
  if (!/^[/@]/.test(uri)) {
    const redirect = REDIRECT_STATUSES.includes(status ?? 0) ? status! : 302;
    return { respond: { status: redirect, location: putLiterals(uri, literals) } };
  }
  const fail = (expected: string): undefined =>
    void report.fail(at.name, 'error_page', expected, showGot(uri));
  if (uri.includes('$')) return fail('a path without variables');
  const [path, query = ''] = uri.split(/\?(.*)/s) as [string, string?];
  const target = errorTargetOf(path, locations);
  if (target === undefined) {
    if (path.startsWith('@')) return fail('a location with this name in the server');
    return fail('a path of a location with a plain return');
  }
  const only = target.scope.directives.every(({ name }) => STATIC_DIRECTIVES.has(name.text));
  if (only && target.isExact && status === null) return void report.note(FILE_NOTE);
  const moved: ReadonlyMap<string, string> = path.startsWith('@')
    ? literals
    : new Map([
        ...literals,
        ['uri', path],
        ['document_uri', path],
        ['args', query],
        ['query_string', query],
        ['is_args', query === '' ? '' : '?'],
      ]);
  const known = report.problems.length;
  for (const inner of target.scope.directives)
    if (!isProgram(inner) && !/^(?:proxy_pass|internal|location)$/.test(inner.name.text))
      report.inheritable(inner, 'location');
  const ways = branchesOf(target.scope, moved, [], report);
  if (report.problems.length > known) return undefined;
  const [way] = ways;
  if (ways.length !== 1 || way?.answer?.name.text !== 'return') return fail(TARGET_EXPECTED);
  const place = { scope: target.scope, literals: way.literals, path: path.startsWith('@') ? null : path };
  const respond = readReturn(way.answer, place, report);
  if (respond === undefined) return undefined;
  if (/\$\{?arg_/.test(String(respond.body ?? '') + String(respond.location ?? '')))
    return fail('a target whose texts read no $arg_…');
  if ([204, 304, 444].includes(respond.status)) return fail('a target that answers with a body');
  const fields = addedFields(target.scope, way.literals, report);
  const isOwn = respond.location !== undefined || respond.body === undefined;
  return {
    respond: isOwn || typeof status !== 'number' ? respond : ({ ...respond, status } satisfies Respond),
    ...(isOwn || status !== null ? {} : { keepStatus: true }),
    setResponseHeaders: fields ?? {},
  };
}

/** The location that takes a path, or has the name; undefined for none, and where a regular expression may take it. */
function errorTargetOf(path: string, locations: readonly ErrorTarget[]): ErrorTarget | undefined {
  if (path.startsWith('@')) return locations.find((location) => location.path === path);
  const exact = locations.find((location) => location.isExact && location.path === path);
  if (exact !== undefined) return exact;
  if (locations.some(({ isPattern }) => isPattern)) return undefined;
  return locations
    .filter(
      (location) => !location.isExact && location.path.startsWith('/') && path.startsWith(location.path),
    )
    .sort((a, b) => b.path.length - a.path.length)[0];
}

/** A location that only errors reach. */
export function isInternal(scope: Scope): boolean {
  return ownDirectives(scope, 'internal').length > 0;
}

// What an nginx.conf does to the path of a request that it passes on, and to the Location that comes back: the URI part of
// proxy_pass, `rewrite … break` and proxy_redirect. Sources: ngx_http_proxy_create_request and ngx_http_proxy_redirect in
// nginx's ngx_http_proxy_module.c, ngx_http_rewrite_module.c.

import { showGot } from '../problem.ts';
import { putLiterals, redirectBase } from './answers.ts';
import type { Branch } from './branches.ts';
import { ownDirectives, type Scope } from './directives.ts';
import type { TranslationReport } from './report.ts';
import type { Directive } from './syntax.ts';

/** The location that passes requests on. */
interface Passing {
  readonly path: string;
  readonly isPattern: boolean;
  /** The proxy_pass is in an `if`. */
  readonly isInIf: boolean;
  /** That of the location itself; undefined where it has none. */
  readonly own: Directive | undefined;
}

/** What becomes of a proxy_pass: its target without a URI part, and options of the route. */
interface PassedPath {
  readonly pass: Directive;
  readonly rewritePath: Record<string, unknown> | null;
  readonly rewriteLocation: LocationRewrites;
}

/** `rewriteLocation` of a route. */
type LocationRewrites = readonly { readonly from: string; readonly to: string }[];

const URI_PART =
  /^(https?:\/\/(?:unix:[^:]+:?|[^/$]*(?:\$(?!(?:request_uri|uri|is_args|document_uri)\b|\{(?:request_uri|uri|is_args|document_uri)\})(?:\w+|\{\w+\})[^/$]*)*))(.*)$/s;

/** Reads what a location does to paths; undefined where it cannot be kept, which is reported. */
export function readPassedPath(
  pass: Directive,
  location: Passing,
  way: Branch,
  report: TranslationReport,
): PassedPath | undefined {
  const [word] = pass.words;
  if (word === undefined) return { pass, rewritePath: null, rewriteLocation: [] };
  const text = putLiterals(word.text, way.literals);
  const [, target = text, uri = ''] = URI_PART.exec(text) ?? [];
  // Also one that has one value here: to nginx it is a variable.
  const hasVariables = word.text.includes('$');
  const bare = { ...pass, words: [{ ...word, text: target }, ...pass.words.slice(1)] };
  const rewritePath = readRewrite(uri, hasVariables, location, way);
  if (typeof rewritePath === 'string') {
    report.fail(word, 'proxy_pass', rewritePath, showGot(text));
    return undefined;
  }
  // An `if` inherits the redirects of the location around it.
  const ownText = putLiterals(location.own?.words[0]?.text ?? word.text, way.literals);
  const ownHasVariables = (location.own ?? pass).words[0]?.text.includes('$') === true;
  const ownUri = URI_PART.exec(ownText)?.[2] ?? '';
  const own = { url: ownText, uri: ownUri, hasVariables: ownHasVariables };
  const rewriteLocation = readRedirects(own, location, way, report);
  return { pass: bare, rewritePath, rewriteLocation };
}

function readRewrite(
  uri: string,
  hasVariables: boolean,
  { path, isPattern, isInIf }: Passing,
  { rule }: Branch,
): Record<string, unknown> | string | null {
  if (rule !== null) return uri === '' ? { rules: [rule] } : 'no URI part after a rewrite';
  if (uri === '' || /^\$\{?request_uri\}?$/.test(uri)) return null;
  if (hasVariables) return { target: uri };
  if (isPattern || isInIf)
    return 'no URI part in a location given by a regular expression or in an if, as in nginx';
  return { prefix: path, with: uri };
}

function readRedirects(
  { url, uri, hasVariables }: { readonly url: string; readonly uri: string; readonly hasVariables: boolean },
  { path, isPattern }: Passing,
  { scope, literals }: Branch,
  report: TranslationReport,
): { from: string; to: string }[] {
  const base = redirectBase({ scope, literals, path: null }) ?? '';
  const byDefault = (): { from: string; to: string }[] => {
    if (uri === '') return [{ from: `${url}/`, to: `${base}/` }];
    return isPattern ? [] : [{ from: url, to: `${base}${path}` }];
  };
  const given = innermostRedirects(scope);
  if (given.length === 0) return hasVariables ? [] : byDefault();
  return given.flatMap(({ name, words }) => {
    const [from, to, more] = words.map((word) => word.text);
    if (from === 'off' && to === undefined) return [];
    if (from === 'default' && to === undefined && !hasVariables) return byDefault();
    if (from === undefined || to === undefined || more !== undefined || /^~|\$/.test(from)) {
      const expected =
        'off, default (without variables in proxy_pass), or a URL without variables and its replacement';
      report.fail(name, 'proxy_redirect', expected, showGot(words.map((word) => word.text).join(' ')));
      return [];
    }
    return [{ from, to: `${to.startsWith('/') ? base : ''}${putLiterals(to, literals)}` }];
  });
}

/** nginx inherits proxy_redirect only where a block has none itself. */
function innermostRedirects(scope: Scope): readonly Directive[] {
  for (let level: Scope | null = scope; level !== null; level = level.parent) {
    const own = ownDirectives(level, 'proxy_redirect');
    if (own.length > 0) return own;
  }
  return [];
}

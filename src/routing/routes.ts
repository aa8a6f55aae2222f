// Which route takes a request: by the address it came in, its host and its path. A path is compared as nginx compares
// it, decoded and with "." and ".." resolved, so that no spelling of a path leads past a route; it goes upstream as it
// came. Knows nothing of what a route leads to. Source: nginx's ngx_http_core_find_location, virtual server names.

import { DOT, PERCENT, QUESTION, SLASH } from '../bytes.ts';
import { addressId } from '../config/listen-address.ts';
import type { Config } from '../config/options/document.ts';
import type { RouteConfig } from '../config/options/route.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { normalisePath } from '../key/path.ts';

/** Why no route takes a request: none is for it, its path has no meaning (bad encoding, a way above the root), or its method. */
type RouteFault = 'NO_ROUTE' | 'BAD_TARGET' | 'TRACE_REFUSED';

/** What takes a request that came in by `listenedOn`, the first listening address unless it is given. */
export type RouteOf<T> = (head: RequestHead, listenedOn?: string) => T | RouteFault;

interface CompiledRoute<T> {
  /** One address; null for every one. */
  readonly listenedOn: string | null;
  /** Lower case; "*.example" for all names below; null for every host. */
  readonly host: string | null;
  readonly path: Buffer;
  readonly exact: boolean;
  readonly end: T;
}

/** The choice among the routes of a configuration; `ends[i]` is what route i leads to. */
export function compileRoutes<T>(
  config: Pick<Config, 'routes' | 'listen' | 'trace'>,
  ends: readonly T[],
): RouteOf<T> {
  const route = compileTable(config, ends);
  if (config.trace === 'pass') return route;
  return (head, listenedOn) => (isTrace(head) ? 'TRACE_REFUSED' : route(head, listenedOn));
}

/** The only method of five letters that begins with "T" and is not an extension: TRACE (RFC 9110 §9.3.8). */
function isTrace({ bytes, methodStart, methodEnd }: RequestHead): boolean {
  if (methodEnd - methodStart !== 5 || bytes[methodStart] !== 0x54) return false;
  return bytes.toString('latin1', methodStart, methodEnd) === 'TRACE';
}

function compileTable<T>(
  { routes, listen }: Pick<Config, 'routes' | 'listen'>,
  ends: readonly T[],
): RouteOf<T> {
  const ordered = routes.map((route, index) => compile(route, ends[index]!)).sort((a, b) => rank(b, a));
  const [first] = ordered;
  if (ordered.length === 1 && first !== undefined && takesAll(first)) {
    const { end } = first;
    return () => end;
  }
  const needsHost = ordered.some((route) => route.host !== null);
  const needsPath = ordered.some((route) => route.exact || route.path.length > 1);
  const defaultAddress = listen[0] === undefined ? '' : addressId(listen[0]);
  return (head, listenedOn = defaultAddress) => {
    const host = needsHost ? Buffer.from(head.host()).toString('latin1') : '';
    if (needsPath && !readPath(head)) return 'BAD_TARGET';
    for (let i = 0; i < ordered.length; i++) {
      const route = ordered[i]!;
      if (route.listenedOn !== null && route.listenedOn !== listenedOn) continue;
      if (route.host !== null && !takesHost(route.host, host)) continue;
      if (!needsPath || takesPath(route)) return route.end;
    }
    return 'NO_ROUTE';
  };
}

function compile<T>(route: RouteConfig, end: T): CompiledRoute<T> {
  return {
    listenedOn: route.listen === undefined ? null : addressId(route.listen),
    host: route.host?.toLowerCase() ?? null,
    path: Buffer.from(route.path),
    exact: route.exact === true,
    end,
  };
}

function takesAll({ listenedOn, host, path, exact }: CompiledRoute<unknown>): boolean {
  return listenedOn === null && host === null && path.length === 1 && !exact;
}

/**
 * One address before any; an exact host before a wildcard, a longer wildcard before a shorter one, any host last; then
 * an exact path before a prefix, and the longest prefix.
 */
function rank(a: CompiledRoute<unknown>, b: CompiledRoute<unknown>): number {
  return (
    Number(a.listenedOn !== null) - Number(b.listenedOn !== null) ||
    hostRank(a.host) - hostRank(b.host) ||
    Number(a.exact) - Number(b.exact) ||
    a.path.length - b.path.length
  );
}

function hostRank(host: string | null): number {
  if (host === null) return 0;
  return host.startsWith('*.') ? host.length : 1000;
}

function takesHost(pattern: string, host: string): boolean {
  return pattern.startsWith('*.')
    ? host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1
    : host === pattern;
}

// The path that is compared now. Routes are asked one request at a time, so one place is enough and nothing is made.
let pathBytes: Uint8Array = Buffer.alloc(0);
let pathStart = 0;
let pathEnd = 0;

/** Sets the path to compare; false for one that nginx refuses. Only an odd one is rewritten. */
function readPath(head: RequestHead): boolean {
  const { targetStart, targetEnd } = head;
  pathBytes = head.bytes;
  pathStart = targetStart;
  let isOdd = false;
  let at = targetStart;
  for (; at < targetEnd && pathBytes[at] !== QUESTION; at++) {
    if (pathBytes[at] === PERCENT) isOdd = true;
    else if (pathBytes[at] === SLASH && (pathBytes[at + 1] === SLASH || pathBytes[at + 1] === DOT))
      isOdd = true;
  }
  pathEnd = at;
  if (!isOdd) return true;
  const path = normalisePath(head);
  if (path === null) return false;
  pathBytes = path;
  pathStart = 0;
  pathEnd = path.length;
  return true;
}

/** "*" (OPTIONS) is taken by the prefix "/" alone. */
function takesPath({ path, exact }: CompiledRoute<unknown>): boolean {
  const size = pathEnd - pathStart;
  if (exact ? size !== path.length : path.length === 1) return !exact;
  if (size < path.length) return false;
  for (let i = path.length - 1; i >= 0; i--) if (pathBytes[pathStart + i] !== path[i]) return false;
  return true;
}

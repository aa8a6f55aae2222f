// Which route takes a request: by the address it came in, its host and its path. A path is compared as nginx compares
// it, decoded and with "." and ".." resolved, so that no spelling of a path leads past a route; it goes upstream as it
// came. Knows nothing of what a route leads to. Source: nginx's ngx_http_core_find_location, virtual server names.

import { DOT, PERCENT, QUESTION, SLASH } from '../bytes.ts';
import { addressId } from '../config/listen-address.ts';
import type { Config } from '../config/options/document.ts';
import type { RouteConfig } from '../config/options/route.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { OwnVariables } from '../key/own-variables.ts';
import { normalisePath } from '../key/path.ts';
import { capturedNames, compileMatch, type RouteMatch } from '../key/route-match.ts';
import { atOnce, STEPS_A_PIECE, type WorkInPieces } from '../turns.ts';
import { PathTree } from './path-tree.ts';

/** Why no route takes a request: none is for it, its path has no meaning (bad encoding, a way above the root), or its method. */
type RouteFault = 'NO_ROUTE' | 'BAD_TARGET' | 'TRACE_REFUSED';

/** What takes a request that came in by `listenedOn`, the first listening address unless it is given. */
export type RouteOf<T> = (head: RequestHead, listenedOn?: string) => T | RouteFault;

/** What takes requests at one path: the first end whose conditions hold. */
interface PathPlace<T> {
  readonly choices: Choice<T>[];
  /** A pattern is not asked about the paths below it. */
  isBeforePatterns: boolean;
}

/** One end at a place. */
interface Choice<T> {
  readonly match: RouteMatch;
  readonly end: T;
}

/** The routes for one host at one address. */
interface HostTable<T> {
  /** One address; null for every one. */
  readonly listenedOn: string | null;
  /** Lower case; "*.example" for all names below, "example.*" for all after; "~…" is a pattern; null for every host. */
  readonly host: string | null;
  readonly match: RouteMatch;
  readonly tree: PathTree<PathPlace<T>>;
  readonly patterns: Choice<T>[];
}

/** The choice among the routes of a configuration; `ends[i]` is what route i leads to, `matches[i]` what it asks for. */
export function compileRoutes<T>(
  config: Parameters<typeof compileRoutesInPieces>[0],
  ends: readonly T[],
  matches: readonly RouteMatch[],
): RouteOf<T> {
  return atOnce(compileRoutesInPieces(config, ends, matches));
}

/** As compileRoutes(), some routes at a time. */
export function* compileRoutesInPieces<T>(
  config: Pick<Config, 'routes' | 'listen' | 'trace' | 'badPaths'>,
  ends: readonly T[],
  matches: readonly RouteMatch[],
): WorkInPieces<RouteOf<T>> {
  const table = yield* compileTable(config, ends, matches);
  const route: RouteOf<T> =
    config.badPaths === 'pass'
      ? table
      : (head, listenedOn) => (readPath(head) ? table(head, listenedOn) : 'BAD_TARGET');
  if (config.trace === 'pass') return route;
  return (head, listenedOn) => (isTrace(head) ? 'TRACE_REFUSED' : route(head, listenedOn));
}

/** What the routes of a configuration ask of a request, beside address, host and path prefix. */
export function compileMatches(
  config: Pick<Config, 'routes'>,
  own: OwnVariables = new OwnVariables(),
): RouteMatch[] {
  return atOnce(compileMatchesInPieces(config, own));
}

/** As compileMatches(), some routes at a time. */
export function* compileMatchesInPieces(
  { routes }: Pick<Config, 'routes'>,
  own: OwnVariables,
): WorkInPieces<RouteMatch[]> {
  for (const [index, route] of routes.entries()) {
    for (const name of capturedNames(route)) own.variable(name);
    if (index % STEPS_A_PIECE === 0) yield;
  }
  const matches: RouteMatch[] = [];
  for (const route of routes) {
    const match = compileMatch(route, own.scope('request'), own);
    if ('faults' in match)
      throw new Error(`broken invariant: a route that was checked: ${match.faults[0]!.expected}`);
    matches.push(match);
    if (matches.length % STEPS_A_PIECE === 0) yield;
  }
  return matches;
}

/** The only method of five letters that begins with "T" and is not an extension: TRACE (RFC 9110 §9.3.8). */
function isTrace({ bytes, methodStart, methodEnd }: RequestHead): boolean {
  if (methodEnd - methodStart !== 5 || bytes[methodStart] !== 0x54) return false;
  return bytes.toString('latin1', methodStart, methodEnd) === 'TRACE';
}

function* compileTable<T>(
  { routes, listen }: Pick<Config, 'routes' | 'listen'>,
  ends: readonly T[],
  matches: readonly RouteMatch[],
): WorkInPieces<RouteOf<T>> {
  const [first] = routes;
  if (routes.length === 1 && first !== undefined && takesAll(first)) {
    const end = ends[0]!;
    return () => end;
  }
  const tables = yield* tablesOf(routes, ends, matches);
  yield;
  const others = tables.filter(({ host }) => host === null || /[*~]/.test(host));
  const byHost = yield* tablesByHost(tables, others);
  const needsHost = tables.some(({ host }) => host !== null);
  const needsPath = routes.some(
    ({ exact, path, pattern }) => exact === true || path !== '/' || pattern !== undefined,
  );
  const defaultAddress = listen[0] === undefined ? '' : addressId(listen[0]);
  return (head, listenedOn = defaultAddress) => {
    const host = needsHost ? Buffer.from(head.host()).toString('latin1') : '';
    if (needsPath && !readPath(head)) return 'BAD_TARGET';
    if (!needsPath) forgetPath();
    const asked = (needsHost ? byHost.get(host) : undefined) ?? others;
    for (let i = 0; i < asked.length; i++) {
      const table = asked[i]!;
      if (table.listenedOn !== null && table.listenedOn !== listenedOn) continue;
      if (table.host !== null && !takesHost(table, host, head)) continue;
      const choice = findChoice(table, head);
      if (choice !== null) return choice.end;
    }
    return 'NO_ROUTE';
  };
}

/** For each host that is named in full: its own tables and those of the others that may take it, in their order. */
function* tablesByHost<T>(
  tables: readonly HostTable<T>[],
  others: readonly HostTable<T>[],
): WorkInPieces<Map<string, HostTable<T>[]>> {
  const places = new Map(tables.map((table, place) => [table, place]));
  const always = others.filter(({ host }) => host === null || host.startsWith('~'));
  const wildcards = Map.groupBy(
    others.filter(({ host }) => host?.startsWith('~') === false),
    ({ host }) => host!,
  );
  const named = Map.groupBy(
    tables.filter(({ host }) => host !== null && !/[*~]/.test(host)),
    ({ host }) => host!,
  );
  yield;
  const byHost = new Map<string, HostTable<T>[]>();
  for (const [host, own] of named) {
    const taking = [...own, ...always, ...wildcardsFor(host).flatMap((name) => wildcards.get(name) ?? [])];
    byHost.set(
      host,
      taking.sort((a, b) => places.get(a)! - places.get(b)!),
    );
    if (byHost.size % STEPS_A_PIECE === 0) yield;
  }
  return byHost;
}

/** One table for each address and host, in the order in which they are asked. */
function* tablesOf<T>(
  routes: readonly RouteConfig[],
  ends: readonly T[],
  matches: readonly RouteMatch[],
): WorkInPieces<HostTable<T>[]> {
  const tables = new Map<string, HostTable<T>>();
  for (const [index, route] of routes.entries()) {
    const listenedOn = route.listen === undefined ? null : addressId(route.listen);
    const host = route.host?.startsWith('~') === true ? route.host : (route.host?.toLowerCase() ?? null);
    const id = JSON.stringify([listenedOn, host]);
    const match = matches[index]!;
    const table = tables.get(id) ?? {
      listenedOn,
      host,
      match,
      tree: new PathTree<PathPlace<T>>(),
      patterns: [],
    };
    tables.set(id, table);
    const choice = { match, end: ends[index]! };
    if (route.pattern !== undefined) table.patterns.push(choice);
    else {
      const make = (): PathPlace<T> => ({ choices: [], isBeforePatterns: route.exact === true });
      const place = table.tree.at(Buffer.from(route.path), route.exact === true, make);
      place.choices.push(choice);
      if (route.beforePatterns === true) place.isBeforePatterns = true;
    }
    if (index % STEPS_A_PIECE === 0) yield;
  }
  return [...tables.values()].sort((a, b) => rank(b, a));
}

function findChoice<T>({ tree, patterns }: HostTable<T>, head: RequestHead): Choice<T> | null {
  const isPath = pathBytes[pathStart] === SLASH;
  // "*" (OPTIONS) is taken by the prefix "/" alone.
  const place = isPath ? tree.find(pathBytes, pathStart, pathEnd) : tree.find(ROOT, 0, 1);
  if (patterns.length > 0 && isPath && place?.isBeforePatterns !== true) {
    const path = Buffer.from(
      pathBytes.buffer,
      pathBytes.byteOffset + pathStart,
      pathEnd - pathStart,
    ).toString('latin1');
    for (let i = 0; i < patterns.length; i++) {
      const { match } = patterns[i]!;
      if (match.takesPath(path, head) && match.holds(head)) return patterns[i]!;
    }
  }
  if (place === null) return null;
  const { choices } = place;
  for (let i = 0; i < choices.length; i++) {
    const choice = choices[i]!;
    if (!choice.match.hasConditions || choice.match.holds(head)) return choice;
  }
  return null;
}

function takesAll({ listen, host, path, exact, pattern, when }: RouteConfig): boolean {
  return (
    listen === undefined &&
    host === undefined &&
    path === '/' &&
    exact !== true &&
    pattern === undefined &&
    when === undefined
  );
}

/**
 * One address before any; an exact host before "*.example", that before "example.*", longer wildcards before shorter ones,
 * patterns in the order of the file, any host last.
 */
function rank(a: HostTable<unknown>, b: HostTable<unknown>): number {
  return Number(a.listenedOn !== null) - Number(b.listenedOn !== null) || hostRank(a.host) - hostRank(b.host);
}

function hostRank(host: string | null): number {
  if (host === null) return 0;
  if (host.startsWith('~')) return 1;
  if (host.startsWith('*.')) return 1000 + host.length;
  return host.endsWith('.*') ? 1 + host.length : 10_000;
}

function takesHost({ host, match }: HostTable<unknown>, asked: string, head: RequestHead): boolean {
  return host!.startsWith('~') ? match.takesHost(asked, head) : takesName(host!, asked);
}

function takesName(pattern: string, host: string): boolean {
  if (pattern.startsWith('*.')) return host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1;
  if (pattern.endsWith('.*'))
    return host.startsWith(pattern.slice(0, -1)) && host.length > pattern.length - 1;
  return host === pattern;
}

/** Every "*.example" and "example.*" that takesName() finds in a host: two for each of its dots, however many there are. */
function wildcardsFor(host: string): string[] {
  const names: string[] = [];
  for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
    if (dot > 0) names.push(`*${host.slice(dot)}`);
    if (dot + 1 < host.length) names.push(`${host.slice(0, dot + 1)}*`);
  }
  return names;
}

// The path that is compared now. Routes are asked one request at a time, so one place is enough and nothing is made.
const ROOT = Buffer.from('/');
let pathBytes: Uint8Array = ROOT;
let pathStart = 0;
let pathEnd = 1;

/** Every path is alike. */
function forgetPath(): void {
  pathBytes = ROOT;
  pathStart = 0;
  pathEnd = 1;
}

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

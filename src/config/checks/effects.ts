// Finds what a valid configuration says without effect: routes that no request reaches, upstreams and splits that no
// route uses, settings that another setting switches off or contradicts, an upstream that is the splitter itself.
// Runs when there are no problems, on the document as written and as read.

import { byKey } from '../by-key.ts';
import type { Report, Written } from '../findings.ts';
import type { ListenAddress } from '../listen-address.ts';
import { parseUpstreamUrl, type UpstreamUrl } from '../options/addresses.ts';
import type { ConfigDocument } from '../options/document.ts';
import { type Path, showGot } from '../problem.ts';
import { mapOf, type RawMap, valueAt } from '../raw.ts';
import type { SharedValues } from './keys.ts';
import { checkSharedValues, reportCut } from './keys.ts';
import { checkContradictions, checkSwitchedOff } from './settings.ts';

/** Reports everything of this kind. The work grows with the size of the document, not with its square. */
export function checkEffects(written: Written, report: Report): void {
  checkAddresses(written, report);
  checkRoutes(written, report);
  checkUse(written, report);
  const routesOf = byKey(written.document.routes, ({ split }) => split);
  for (const [name, split] of Object.entries(mapOf(written.raw.splits))) {
    checkVariants(['splits', name], written.document.splits[name]!, mapOf(split), report);
    checkMintPath(['splits', name], written.document.splits[name]!, routesOf.get(name) ?? [], report);
    const shared = sharedValues(routesOf.get(name) ?? [], written.document.listen);
    checkSharedValues(['splits', name], mapOf(split), shared, report);
  }
  checkDestinations(written, report);
  if (written.isTranslated) return;
  checkSwitchedOff(written, report);
  checkContradictions(written, report);
}

type Split = ConfigDocument['splits'][string];
type Route = ConfigDocument['routes'][number];

/** A route without an address loses to one with an address: where each address has a wider one, it is never reached. */
function checkRoutes({ raw, document }: Written, report: Report): void {
  const { routes, listen } = document;
  const id = (address: ListenAddress, host: string | null, path: string) =>
    JSON.stringify([address, host, path]);
  const bound = new Set<string>();
  for (const route of routes) {
    if (route.listen !== undefined && !route.exact) {
      bound.add(id(route.listen, route.host?.toLowerCase() ?? null, route.path));
    }
  }
  for (const [index, route] of routes.entries()) {
    const at: Path = ['routes', index];
    const isHidden =
      bound.size > 0 &&
      route.listen === undefined &&
      listen.every((address) =>
        hostsAbove(route.host).some((host) =>
          ['/', route.path].some((path) => bound.has(id(address, host, path))),
        ),
      );
    if (isHidden) {
      const expected =
        'a route that some request reaches; the routes with listen come first and take all of these';
      report.mistake(at, expected, `${route.host ?? 'every host'} ${route.path}`);
    }
    const path: unknown = valueAt(raw, [...at, 'path']);
    if (typeof path === 'string' && /%[0-9A-Fa-f]{2}/.test(path)) {
      report.warn([...at, 'path'], `is compared with decoded paths; write ${showGot(decode(path))}`);
    }
    if (route.host?.endsWith('.') === true) {
      const expected = 'a host without a dot at its end, as requests are compared without it';
      report.mistake([...at, 'host'], expected, showGot(route.host));
    }
    if (typeof path === 'string' && path.includes('#')) {
      report.warn([...at, 'path'], 'has a "#", which no client sends: what follows it is a fragment');
    }
  }
}

/** The host of a route and the wider ones that take its requests: "a.b.c", "*.b.c", "*.c", every host. */
function hostsAbove(host: string | undefined): (string | null)[] {
  if (host === undefined) return [null];
  const labels = host.toLowerCase().split('.').slice(0, 64);
  const wider = labels.map((_, index) => `*.${labels.slice(index + 1).join('.')}`).slice(0, -1);
  return [host.toLowerCase(), ...wider, null];
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Upstreams and splits to which nothing leads. */
function checkUse({ raw, document }: Written, report: Report): void {
  const { routes, splits } = document;
  const names = Object.keys(splits);
  const usedSplits = new Set(routes.length === 0 ? names : routes.map(({ split }) => split));
  const used = new Set<unknown>(routes.map(({ upstream }) => upstream));
  for (const split of Object.values(splits)) for (const { upstream } of split.variants) used.add(upstream);
  for (const { onDown } of Object.values(document.upstreams)) used.add(onDown);
  used.add(document.upstreamDefaults.onDown);
  for (const name of names) {
    if (!usedSplits.has(name)) report.warn(['splits', name], 'is not used: no route names this split');
  }
  for (const name of Object.keys(mapOf(raw.upstreams))) {
    if (!used.has(name)) {
      report.warn(['upstreams', name], 'is not used: no variant, route or fallback names this upstream');
    }
  }
}

/** Shares that do not make a split. */
function checkVariants(path: Path, split: Split, raw: RawMap, report: Report): void {
  const { variants, override } = split;
  const list: Path = [...path, 'variants'];
  const given = variants.reduce((sum, { share }) => sum + (share ?? 0), 0);
  const rest = variants.findIndex(({ share }) => share === null);
  const isRestEmpty = rest >= 0 && given === 10_000;
  if (isRestEmpty) {
    report.warn([...list, rest, 'share'], 'takes nothing, as the other shares are 100 % together');
  }
  const owners = variants.filter(({ share, weight }) =>
    weight === undefined ? (share === null ? !isRestEmpty : share! > 0) : weight > 0,
  );
  if (owners.length === 1 && variants.length > 1) {
    const how = override === undefined ? '' : ' except by override';
    report.note(list, `every key goes to ${owners[0]!.name}; the other variants take nothing${how}`);
  }
  const [first] = variants;
  if (variants.length > 1 && variants.every(({ upstream }) => upstream === first!.upstream)) {
    report.note(list, `all variants lead to ${first!.upstream}: an A/A test`);
  }
  const asked: unknown = mapOf(raw.override).variants;
  if (!Array.isArray(asked)) return;
  for (const [index, name] of asked.entries()) {
    if (asked.indexOf(name) < index && index < 100) {
      report.warn([...path, 'override', 'variants', index], `names ${showGot(name)} again`);
    }
  }
}

/** Variables with one value for every request that the routes of a split take; without routes it takes all. */
function sharedValues(own: readonly Route[], listen: readonly ListenAddress[]): SharedValues {
  const shared = new Map<string, string>();
  const isAnywhere = own.length === 0 || own.some((route) => route.listen === undefined);
  const addresses = isAnywhere ? listen : own.map((route) => route.listen!);
  if (addresses.length > 0 && addresses.every(({ path }) => path !== null)) {
    shared.set('remote_addr', 'is "unix:" for every client of a Unix socket');
  } else if (addresses.length > 0 && addresses.every(isLocal)) {
    shared.set('remote_addr', 'is that of this machine, as the splitter listens on loopback alone');
  }
  const [first] = own;
  if (first === undefined) return shared;
  const same = (read: (route: Route) => string | undefined) =>
    own.every((route) => read(route) === read(first)) && read(first) !== undefined;
  if (same(({ host }) => host?.toLowerCase()) && !first.host!.startsWith('*.')) {
    for (const variable of ['host', 'http_host']) shared.set(variable, `is ${first.host} on all its routes`);
  }
  if (same(({ path, exact }) => (exact ? path : undefined))) {
    shared.set('uri', `is ${first.path} on all its routes`);
  }
  return shared;
}

function isLocal({ host, path }: ListenAddress): boolean {
  return path !== null || (host !== null && isLoopback(host));
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** A minted cookie that the browser does not send back to all of the split's routes. */
function checkMintPath(path: Path, { key }: Split, own: readonly Route[], report: Report): void {
  const entries = Array.isArray(key) ? key : [key];
  for (const [index, entry] of entries.entries()) {
    if (typeof entry !== 'object' || !('mint' in entry) || entry.path === '/') continue;
    const within = (route: string) =>
      route === entry.path || route.startsWith(entry.path.replace(/\/?$/, '/'));
    if (own.length > 0 && own.every((route) => within(route.path))) continue;
    const at: Path = [...path, 'key', index, 'path'];
    report.warn(at, `keeps the cookie from requests outside ${entry.path}: there each one gets another key`);
  }
}

/** Two addresses of one port of which one takes in the other: the second cannot be opened. */
function checkAddresses({ raw, document }: Written, report: Report): void {
  const paths = document.listen.map(
    (_, index): Path => (Array.isArray(raw.listen) ? ['listen', index] : ['listen']),
  );
  const all = document.listen.map((address, index) => ({ address, path: paths[index]! }));
  if (document.admin !== null) all.push({ address: document.admin, path: ['admin'] });
  for (const [port, sharing] of byKey(all, ({ address }) => address.port)) {
    const wide = sharing.find(({ address }) => address.path === null && isWide(address.host));
    if (port === 0 || wide === undefined) continue;
    for (const { address, path } of sharing) {
      const isApart = wide.address.host === '0.0.0.0' && address.host?.includes(':') === true;
      if (address === wide.address || address.path !== null || isApart) continue;
      const expected = `no address beside ${wide.address.host ?? ''}:${port}, which takes every one of this port`;
      report.mistake(path, expected, showGot(valueAt(raw, path) ?? `:${port}`));
    }
  }
}

/** Every address, of IPv4 alone or of both families. */
function isWide(host: string | null): boolean {
  return host === null || host === '0.0.0.0' || host === '::';
}

/** Upstreams that lead back to the splitter, and fallbacks that lead to where they came from. */
function checkDestinations({ raw, document }: Written, report: Report): void {
  const admin = document.admin === null ? [] : [{ name: 'admin', address: document.admin }];
  const own = [...document.listen.map((address) => ({ name: 'listen', address })), ...admin];
  // An upstream is compared with the few addresses of its own port or socket.
  const byPlace = byKey(own, ({ address }) => address.path ?? address.port);
  const check = (path: Path, url: UpstreamUrl | undefined): void => {
    const near = url === undefined ? [] : (byPlace.get(url.path ?? url.port) ?? []);
    const taken = near.find(({ address }) => isSame(address, url!));
    if (taken === undefined) return;
    // A warning: a second pass may be meant, by another Host or path. An endless one ends at the limits of the pool.
    const got = showGot(valueAt(raw, path));
    report.warn(path, `${got} is the splitter's own ${taken.name} address, so its requests come back to it`);
  };
  const inline = (path: Path) => {
    const text = valueAt(raw, path);
    if (typeof text === 'string' && !Object.hasOwn(document.upstreams, text))
      check(path, parseUpstreamUrl(text));
  };
  for (const [name, { variants }] of Object.entries(document.splits)) {
    for (const index of variants.keys()) inline(['splits', name, 'variants', index, 'upstream']);
  }
  for (const index of document.routes.keys()) inline(['routes', index, 'upstream']);
  for (const [name, upstream] of Object.entries(document.upstreams)) {
    const at: Path = ['upstreams', name];
    check([...at, 'url'], upstream.url);
    for (const [index, server] of upstream.servers?.entries() ?? []) {
      check([...at, 'servers', index, 'url'], server.url);
    }
    const { onDown } = upstream;
    const next = onDown === null ? undefined : (document.upstreams[onDown]?.url ?? parseUpstreamUrl(onDown));
    if (next !== undefined && isSamePlace(next, upstream.url)) {
      report.warn([...at, 'onDown', 'fallback'], 'leads to the same address, which is down as well');
    }
    for (const [field, value] of Object.entries(upstream.setHeaders ?? {})) {
      reportCut([...at, 'setHeaders', field], value, report);
    }
  }
}

function isSamePlace(a: UpstreamUrl, b: UpstreamUrl | undefined): boolean {
  return b !== undefined && a.path === b.path && a.port === b.port && a.host === b.host;
}

function isSame(address: ListenAddress, url: UpstreamUrl): boolean {
  if (url.path !== null || address.path !== null) return address.path === url.path;
  if (address.port === 0 || address.port !== url.port) return false;
  if (isWide(address.host)) return isLoopback(url.host) || isWide(url.host);
  return address.host === url.host || (isLoopback(address.host ?? '') && url.host === 'localhost');
}

// Checks routes and the addresses they are for: what a route leads to, routes that say the same or that no request
// reaches, splits and upstreams that no route leads to.

import { byKey } from '../by-key.ts';
import type { CheckReport, Written } from '../findings.ts';
import {
  ADMIN_DEFAULT,
  addressId,
  isWide,
  LISTEN_DEFAULT,
  type ListenAddress,
  parseListen,
} from '../listen-address.ts';
import { UPSTREAM_EXPECTED } from '../options/addresses.ts';
import type { RouteOptions } from '../options/route.ts';
import { isForTexts } from '../options/split.ts';
import { type Path, showGot } from '../problem.ts';
import { isMap, mapOf, type RawMap, valueAt } from '../raw.ts';
import { checkAnswer } from './answers.ts';

/** What the routes of a document may name, and what those before it take. */
interface RouteNames {
  readonly splits: ReadonlySet<string>;
  readonly addresses: ReadonlySet<string>;
  readonly taken: Set<string>;
}

/** What each route takes and leads to. */
export function checkRoutes(raw: RawMap, report: CheckReport): void {
  const { routes } = raw;
  const splits = Object.keys(mapOf(raw.splits));
  const routed = splits.filter((name) =>
    variantsOf(raw, name).some(({ upstream }) => upstream !== undefined),
  );
  requireUpstreams(raw, routed, report);
  if (routes === undefined || (Array.isArray(routes) && routes.length === 0)) {
    if (splits.length === 0 && (raw.splits === undefined || isMap(raw.splits))) {
      report.problem(['splits'], 'at least one split, or routes to upstreams', 'none');
    } else if (routed.length > 1) {
      const names = routed.slice(0, 5).join(', ');
      const expected = 'routes that say which split serves which request, because there are several splits';
      report.problem(['splits'], expected, `splits ${names} and no routes`);
    }
    return;
  }
  if (!Array.isArray(routes)) return;
  const known = {
    splits: new Set(splits),
    addresses: new Set([raw.listen ?? LISTEN_DEFAULT].flat().map(addressIn)),
    taken: new Set<string>(),
  };
  for (const [index, value] of routes.entries()) {
    if (isMap(value)) checkRoute(['routes', index], value, known, report);
  }
}

/** Variants that have to lead somewhere: those of splits that routes lead to, and of which another one does. */
function requireUpstreams(raw: RawMap, routed: readonly string[], report: CheckReport): void {
  const names = new Set(routed);
  if (Array.isArray(raw.routes) && raw.routes.length > 0) {
    for (const route of raw.routes) names.add(String(mapOf(route).split));
  } else if (routed.length === 0)
    for (const name of Object.keys(mapOf(raw.splits)).slice(0, 1)) names.add(name);
  for (const name of names) {
    for (const [index, variant] of variantsOf(raw, name).entries()) {
      if (variant.upstream !== undefined) continue;
      report.problem(['splits', name, 'variants', index, 'upstream'], UPSTREAM_EXPECTED, 'nothing');
    }
  }
}

function variantsOf(raw: RawMap, split: string): RawMap[] {
  const { variants } = mapOf(mapOf(raw.splits)[split]);
  return Array.isArray(variants) ? variants.map(mapOf) : [];
}

function checkRoute(
  path: Path,
  route: RawMap,
  { splits, addresses, taken }: RouteNames,
  report: CheckReport,
): void {
  const { split, upstream, respond } = route;
  const ends = [split, upstream, respond].filter((end) => end !== undefined).length;
  const expected = 'one of split, upstream and respond';
  if (ends !== 1) report.problem(path, expected, ends === 0 ? 'none of them' : `${ends} of them`);
  checkAnswer(path, route, report);
  if (typeof split === 'string' && !splits.has(split)) {
    const known = splits.size === 0 ? 'the name of a split, but there are none' : 'the name of a split';
    report.problem([...path, 'split'], (guess) => `${known}${guess(split, splits)}`, showGot(split));
  }
  const { listen } = route;
  if (typeof listen === 'string' && parseListen(listen) !== undefined) {
    if (!addresses.has(addressIn(listen)))
      report.problem([...path, 'listen'], 'one of the addresses in listen', showGot(listen));
  }
  const host = typeof route.host === 'string' ? route.host.toLowerCase() : '';
  const where = typeof route.path === 'string' ? route.path : '/';
  // Those with conditions are asked in their order, and patterns in theirs.
  if (Array.isArray(route.when)) return;
  const id = JSON.stringify([addressIn(listen), host, route.exact === true, where, route.pattern]);
  if (taken.has(id)) {
    const got = `${host === '' ? 'every host' : host} ${where} again`;
    report.problem(path, 'each host and path once', got);
  }
  taken.add(id);
}

/** The same text for the same address, however it was written; "" for anything else. */
function addressIn(listen: unknown): string {
  const text = isMap(listen) ? listen.address : listen;
  const address = typeof text === 'string' ? parseListen(text) : undefined;
  return address === undefined ? '' : addressId(address);
}

/** Each address once. */
export function checkAddresses({ raw, document }: Written, report: CheckReport): void {
  const seen = new Set<string>();
  for (const [index, address] of document.listen.entries()) {
    if (address.path === null && address.port === 0) continue;
    const id = addressId(address);
    const path = Array.isArray(raw.listen) ? ['listen', index] : ['listen'];
    if (seen.has(id)) report.problem(path, 'each address once', showGot(valueAt(raw, path)));
    seen.add(id);
  }
  const { admin } = document;
  if (admin !== null && (admin.path !== null || admin.port !== 0) && seen.has(addressId(admin))) {
    report.problem(['admin'], 'an address that listen does not use', showGot(raw.admin ?? ADMIN_DEFAULT));
  }
}

/** Two addresses of one port of which one takes in the other: the second cannot be opened. */
export function checkPorts({ raw, document }: Written, report: CheckReport): void {
  const paths = document.listen.map(
    (_, index): Path => (Array.isArray(raw.listen) ? ['listen', index] : ['listen']),
  );
  const all: { readonly address: ListenAddress; readonly path: Path }[] = document.listen.map(
    (address, index) => ({ address, path: paths[index]! }),
  );
  if (document.admin !== null) all.push({ address: document.admin, path: ['admin'] });
  for (const [port, sharing] of byKey(all, ({ address }) => address.port)) {
    const wide = sharing.find(({ address }) => address.path === null && isWide(address.host));
    if (port === 0 || wide === undefined) continue;
    for (const { address, path } of sharing) {
      const isApart = wide.address.host === '0.0.0.0' && address.host?.includes(':') === true;
      if (address === wide.address || address.path !== null || isApart) continue;
      const expected = `no address besides ${wide.address.host ?? ''}:${port}, which includes every address of this port`;
      report.mistake(path, expected, showGot(valueAt(raw, path) ?? `:${port}`));
    }
  }
}

/** Routes that no request reaches: where each address has a wider route, one without an address loses to it. */
export function checkReach({ raw, document }: Written, report: CheckReport): void {
  const { routes, listen } = document;
  const id = (address: ListenAddress, host: string | null, path: string) =>
    JSON.stringify([addressId(address), host, path]);
  const bound = new Set<string>();
  for (const route of routes) {
    if (route.listen !== undefined && !route.exact && !isConditional(route)) {
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
        'a route that some request reaches; the routes with listen come first and match all of these';
      report.mistake(at, expected, `${route.host ?? 'every host'} ${route.path}`);
    }
    const path: unknown = valueAt(raw, [...at, 'path']);
    if (typeof path === 'string' && /%[0-9A-Fa-f]{2}/.test(path)) {
      report.warn([...at, 'path'], `is compared with decoded paths; write ${showGot(decodeOrKeep(path))}`);
    }
    if (route.host?.endsWith('.') === true) {
      const expected = 'a host without a dot at its end, because requests are compared without it';
      report.mistake([...at, 'host'], expected, showGot(route.host));
    }
    if (typeof path === 'string' && path.includes('#')) {
      report.warn([...at, 'path'], 'has a "#", which no client sends: what follows it is a fragment');
    }
  }
}

function isConditional({ pattern, when }: RouteOptions): boolean {
  return pattern !== undefined || when !== undefined;
}

/** The host of a route and the wider ones that take its requests: "a.b.c", "*.b.c", "*.c", every host. */
function hostsAbove(host: string | undefined): (string | null)[] {
  if (host === undefined) return [null];
  const labels = host.toLowerCase().split('.').slice(0, 64);
  const wider = labels.map((_, index) => `*.${labels.slice(index + 1).join('.')}`).slice(0, -1);
  return [host.toLowerCase(), ...wider, null];
}

function decodeOrKeep(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Upstreams and splits that nothing leads to. */
export function checkUse({ raw, document }: Written, report: CheckReport): void {
  const { routes, splits } = document;
  const names = Object.keys(splits);
  const usedSplits = new Set(routes.length === 0 ? names : routes.map(({ split }) => split));
  const used = new Set<unknown>(routes.map(({ upstream }) => upstream));
  for (const split of Object.values(splits)) for (const { upstream } of split.variants) used.add(upstream);
  for (const { onDown } of Object.values(document.upstreams)) used.add(onDown);
  used.add(document.upstreamDefaults.onDown);
  for (const name of names) {
    if (isForTexts(splits[name]!) || usedSplits.has(name)) continue;
    report.warn(['splits', name], 'is not used: no route names this split');
  }
  for (const name of Object.keys(mapOf(raw.upstreams))) {
    if (!used.has(name)) {
      report.warn(['upstreams', name], 'is not used: no variant, route or fallback names this upstream');
    }
  }
}

// One accepted configuration as the data plane uses it: immutable, built whole, taken into use by one assignment.
// It decides which route takes a request. An exchange keeps the generation that it started with.

import type { Config, RouteConfig } from '../config/schema.ts';
import type { RequestRewrite } from '../http1/forward.ts';
import type { RequestHead } from '../http1/head.ts';
import { Splitter } from '../split/splitter.ts';
import type { Counters, VariantCounters } from '../telemetry/counters.ts';
import type { Sample } from '../telemetry/sample.ts';
import type { Upstream } from './upstream.ts';

/** Where a decided request goes, and what is counted for it. */
export interface Arm {
  readonly upstream: Upstream;
  readonly counters: VariantCounters;
  readonly rewrite: RequestRewrite;
  /** Where exchanges go that cannot reach `upstream`; null = they fail. */
  readonly fallback: Destination | null;
}

/** An upstream and how requests are rewritten for it. */
export interface Destination {
  readonly upstream: Upstream;
  readonly rewrite: RequestRewrite;
}

/** A route's end where a splitter decides: one arm for each of its variants, in their order. */
export interface RoutedSplit {
  readonly splitter: Splitter;
  readonly arms: readonly Arm[];
  /** The different keys of each variant. */
  readonly sample: Sample;
  /** Position of the split in the configuration. */
  readonly number: number;
}

/** What a route leads to: a splitter with its arms, or one arm. */
type Routed = RoutedSplit | { readonly splitter: null; readonly arm: Arm };

export interface Generation {
  readonly number: number;
  readonly config: Config;
  readonly splitters: ReadonlyMap<string, Splitter>;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** Protocols to which a connection may be upgraded, lower case. */
  readonly upgrades: ReadonlySet<string>;
  readonly acceptedAt: Date;
  /** The target for a request; null when no route takes it. */
  readonly route: (head: RequestHead) => Routed | null;
}

/** Builds the generation for a valid configuration; `upstreams` holds one entry for each of `config.upstreams`. */
export function buildGeneration(
  number: number,
  config: Config,
  upstreams: ReadonlyMap<string, Upstream>,
  counters: Counters,
): Generation {
  const destinationFor = (name: string): Destination => {
    const upstream = upstreams.get(name);
    if (upstream === undefined) throw new Error(`the configuration names an upstream that it lacks: ${name}`);
    return { upstream, rewrite: rewriteFor(config, upstream) };
  };
  const armFor = (split: string, variant: string, name: string): Arm => {
    const destination = destinationFor(name);
    const { onDown } = destination.upstream.config;
    const fallback = onDown === null ? null : destinationFor(onDown);
    return { ...destination, fallback, counters: counters.variant(split, variant, name) };
  };
  const splitters = new Map<string, Splitter>();
  const targets = new Map<string, Routed>();
  for (const [name, split] of config.splits) {
    const splitter = new Splitter(name, split);
    splitters.set(name, splitter);
    const arms = splitter.variants.map((variant) => armFor(name, variant.name, variant.upstream));
    const sample = counters.sample(name, splitter.variants, split);
    targets.set(name, { splitter, arms, sample, number: targets.size });
  }
  const routes = config.routes.map((route): CompiledRoute<Routed> => {
    const target =
      route.split !== undefined
        ? targets.get(route.split)
        : ({ splitter: null, arm: armFor('', '', route.upstream) } as const);
    if (target === undefined)
      throw new Error(`the configuration names a split that it lacks: ${route.split}`);
    return { ...placeOf(route), target };
  });
  return {
    number,
    config,
    splitters,
    upstreams,
    upgrades: new Set(config.upgrades.map((protocol) => protocol.toLowerCase())),
    acceptedAt: new Date(),
    route: compileRoutes(routes),
  };
}

function rewriteFor(config: Config, upstream: Upstream): RequestRewrite {
  const { host, url } = upstream.config;
  const authority = Buffer.from(url.authority, 'latin1');
  const replaced =
    host === '$proxy_host' ? authority : host === undefined ? null : Buffer.from(host, 'latin1');
  return { host: replaced, authority, forwarded: config.forwarded, via: config.via };
}

interface RoutePlace {
  /** Lower case; "*.example" for all names below; null for every host. */
  readonly host: string | null;
  readonly path: Buffer;
}

interface CompiledRoute<T> extends RoutePlace {
  readonly target: T;
}

function placeOf({ host, path }: RouteConfig): RoutePlace {
  return { host: host?.toLowerCase() ?? null, path: Buffer.from(path, 'latin1') };
}

/** The same choice of a route without the upstreams of a running splitter: for a command that only explains. */
export function compileRouteTable(routes: readonly RouteConfig[]): (head: RequestHead) => RouteConfig | null {
  return compileRoutes(routes.map((route) => ({ ...placeOf(route), target: route })));
}

/** An exact host before a wildcard, a longer wildcard before a shorter one, any host last; then the longest path. */
function rank(route: RoutePlace): number {
  if (route.host === null) return 0;
  return route.host.startsWith('*.') ? route.host.length : 1000;
}

function compileRoutes<T>(routes: readonly CompiledRoute<T>[]): (head: RequestHead) => T | null {
  const ordered = [...routes].sort((a, b) => rank(b) - rank(a) || b.path.length - a.path.length);
  const first = ordered[0];
  if (ordered.length === 1 && first !== undefined && first.host === null && first.path.length === 1) {
    const { target } = first;
    return () => target;
  }
  const needsHost = ordered.some((route) => route.host !== null);
  return (head) => {
    const host = needsHost ? Buffer.from(head.host()).toString('latin1') : '';
    for (const route of ordered) {
      if (route.host !== null && !takesHost(route.host, host)) continue;
      if (takesPath(route.path, head)) return route.target;
    }
    return null;
  };
}

function takesHost(pattern: string, host: string): boolean {
  return pattern.startsWith('*.')
    ? host.endsWith(pattern.slice(1)) && host.length > pattern.length - 1
    : host === pattern;
}

/** True when the target's path starts with `path`; "*" (OPTIONS) is taken by "/" alone. */
function takesPath(path: Buffer, head: RequestHead): boolean {
  const { bytes, targetStart, targetEnd } = head;
  if (path.length === 1) return true;
  if (targetEnd - targetStart < path.length) return false;
  return bytes.compare(path, 0, path.length, targetStart, targetStart + path.length) === 0;
}

// One accepted configuration as the data plane uses it: immutable, built whole, taken into use by one assignment.
// Which route takes a request is routes.ts. An exchange keeps the generation that it started with.

import type { Config } from '../config/options/document.ts';
import { answerNames, type RouteConfig } from '../config/options/route.ts';
import { isForTexts } from '../config/options/split.ts';
import { membersOf } from '../config/options/upstream.ts';
import type { HeadLimits } from '../http1/fields.ts';
import type { RequestRewrite } from '../http1/forward-request.ts';
import { requestLimits } from '../http1/request-head.ts';
import type { TextScope } from '../key/own-variables.ts';
import type { RouteMatch } from '../key/route-match.ts';
import { NEVER_STOPPED } from '../split/enrolment.ts';
import { compileSplitsInPieces } from '../split/own.ts';
import type { Splitter } from '../split/splitter.ts';
import type { AssignedSplit, Assignments } from '../telemetry/assignments.ts';
import type { Counters, VariantCounters } from '../telemetry/counters.ts';
import type { GuardCounts } from '../telemetry/guard-counts.ts';
import type { PlannedGuards } from '../telemetry/guards.ts';
import type { Sample } from '../telemetry/sample.ts';
import { STEPS_A_PIECE, type WorkInPieces } from '../turns.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { wallClock } from '../wall-clock.ts';
import { type Edits, editsFor } from './edits.ts';
import { compileErrorAnswers, type ErrorAnswers } from './error-answers.ts';
import { FixedAnswer } from './fixed-answer.ts';
import { compilePathRewrite, type PathRewrite } from './path-rewrite.ts';
import { compileResponseFields, type ResponseFields } from './response-fields.ts';
import { compileMatchesInPieces, compileRoutesInPieces, type RouteOf } from './routes.ts';
import { compileHost, compileSetFields } from './set-fields.ts';
import { TrustedProxies } from './trusted-proxies.ts';

/** Where a decided request goes, and what is counted for it: a hop, and the one to take when it cannot be reached. */
export interface Destination {
  readonly upstream: Upstream;
  readonly counters: VariantCounters;
  /** How requests are rewritten, for each server of the upstream. */
  readonly rewrites: readonly RequestRewrite[];
  /** Where exchanges go that cannot reach `upstream`; null = they fail. */
  readonly fallback: Hop | null;
  /** What is edited in its messages; null = nothing. */
  readonly edits: Edits | null;
}

/** An upstream, and how requests are rewritten for it. */
export interface Hop {
  readonly upstream: Upstream;
  readonly rewrites: readonly RequestRewrite[];
}

/** A route's end where a splitter decides: one destination for each of its variants, in their order. */
export interface RoutedSplit {
  readonly splitter: Splitter;
  readonly destinations: readonly Destination[];
  /** The different keys of each variant. */
  readonly sample: Sample;
  /** What its guard counts; null without a guard. */
  readonly guard: GuardCounts | null;
  /** For the assignment events; null without them. */
  readonly assigned: AssignedSplit | null;
}

/** An answer that is given without an upstream, and what is counted for it. */
interface RoutedAnswer {
  readonly answer: FixedAnswer;
  /** In place of an upstream's. */
  readonly name: string;
  readonly counters: VariantCounters;
}

/** What a route leads to: a splitter with its destinations, one destination or an answer; and what the route says of its own. */
type Routed = (
  | RoutedSplit
  | { readonly splitter: null; readonly destination: Destination; readonly fixed: null }
  | { readonly splitter: null; readonly destination: null; readonly fixed: RoutedAnswer }
) & {
  /** Largest request body in bytes. */
  readonly bodyBytesMax: number;
  /** What is changed in the fields of responses; null = nothing. */
  readonly responseFields: ResponseFields | null;
  /** What is answered in place of errors; null = what they are. */
  readonly errorAnswers: ErrorAnswers | null;
  /** How the path of requests is changed; null = not at all. */
  readonly pathRewrite: PathRewrite | null;
};

export interface Generation {
  readonly number: number;
  readonly config: Config;
  readonly splitters: ReadonlyMap<string, Splitter>;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** What the head of a request may be at most. */
  readonly headLimits: HeadLimits;
  /** Protocols to which a connection may be upgraded, lower case. */
  readonly upgrades: ReadonlySet<string>;
  /** Proxies that name the client of a request; null = every client is its own. */
  readonly trustedProxies: TrustedProxies | null;
  readonly acceptedAt: Date;
  /** What takes a request, or why nothing does. */
  readonly route: RouteOf<Routed>;
}

/** A generation that is not in use yet. */
export interface PlannedGeneration {
  readonly generation: Generation;
  /** The sample of each of its splits; new ones take their place when it is taken into use. */
  readonly samples: readonly Sample[];
}

/**
 * Builds the generation for a valid configuration, piece by piece; `upstreams` holds one entry for each of `config.upstreams`.
 * What counts now goes on counting: `counters` only gets rows that are missing.
 */
export function* buildGeneration(
  number: number,
  config: Config,
  upstreams: ReadonlyMap<string, Upstream>,
  counters: Counters,
  assignments: Assignments | null = null,
  guards: PlannedGuards | null = null,
): WorkInPieces<PlannedGeneration> {
  const stopOf = (name: string) => guards?.stopOf(name) ?? NEVER_STOPPED;
  const { own, splitters } = yield* compileSplitsInPieces(config, { clock: wallClock, stopOf });
  const destinationFor = destinationsIn(config, upstreams, counters, own.scope('request'));
  const splits = new Map<string, RoutedSplit>();
  const samples: Sample[] = [];
  for (const [name, splitter] of splitters) {
    // A split without upstreams is a variable of texts, and nothing else.
    if (isForTexts(splitter.config)) continue;
    const destinations: Destination[] = [];
    for (const variant of splitter.variants) {
      destinations.push(destinationFor(splitter, variant.name, variant.upstream));
      if (destinations.length % STEPS_A_PIECE === 0) yield;
    }
    yield;
    const sample = counters.planSample(name, splitter.variants, splitter.config);
    samples.push(sample);
    const assigned = splitter.isRandom ? null : (assignments?.enroll(sample) ?? null);
    const guard = guards?.countsOf(name) ?? null;
    splits.set(name, { splitter, destinations, sample, assigned, guard });
    yield;
  }
  const names = answerNames(config.routes);
  const matches = yield* compileMatchesInPieces(config, own);
  const endOf = (route: RouteConfig, index: number): Routed => {
    const settings = settingsOf(route, config, matches[index]!, own.scope('response'));
    if (route.respond !== undefined) {
      const name = names[index]!;
      const fixed = {
        answer: new FixedAnswer(route.respond, matches[index]!.scope),
        name,
        counters: counters.variant('', '', name),
      };
      return { splitter: null, destination: null, fixed, ...settings };
    }
    if (route.split === undefined) {
      const destination = destinationFor(null, '', route.upstream);
      return { splitter: null, destination, fixed: null, ...settings };
    }
    const routed = splits.get(route.split);
    if (routed === undefined)
      throw new Error(`the configuration names a split that it lacks: ${route.split}`);
    return { ...routed, ...settings };
  };
  const ends: Routed[] = [];
  for (const [index, route] of config.routes.entries()) {
    ends.push(endOf(route, index));
    if (index % STEPS_A_PIECE === 0) yield;
  }
  const route = yield* compileRoutesInPieces(config, ends, matches);
  const generation = {
    number,
    config,
    splitters,
    upstreams,
    headLimits: requestLimits(config.limits),
    upgrades: new Set(config.upgrades.map((protocol) => protocol.toLowerCase())),
    trustedProxies: config.trustedProxies === undefined ? null : new TrustedProxies(config.trustedProxies),
    acceptedAt: new Date(),
    route,
  };
  return { generation, samples };
}

/** Makes the destination of a variant, or of a route straight to an upstream. */
function destinationsIn(
  config: Config,
  upstreams: ReadonlyMap<string, Upstream>,
  counters: Counters,
  scope: TextScope,
): (splitter: Splitter | null, variant: string, upstream: string) => Destination {
  const hopFor = (name: string): Hop => {
    const upstream = upstreams.get(name);
    if (upstream === undefined) throw new Error(`the configuration names an upstream that it lacks: ${name}`);
    return { upstream, rewrites: rewritesFor(config, upstream, scope) };
  };
  return (splitter, variant, name) => {
    const hop = hopFor(name);
    const { onDown } = hop.upstream.config;
    const fallback = onDown === null ? null : hopFor(onDown);
    const edits = editsFor(config, splitter, splitter === null ? null : variant);
    return { ...hop, fallback, edits, counters: counters.variant(splitter?.name ?? '', variant, name) };
  };
}

/** What a route says beside what it leads to. */
function settingsOf(
  route: RouteConfig,
  { limits }: Config,
  match: RouteMatch,
  scope: TextScope,
): Pick<Routed, 'bodyBytesMax' | 'responseFields' | 'errorAnswers' | 'pathRewrite'> {
  return {
    bodyBytesMax: route.limits?.requestBody ?? limits.requestBody,
    responseFields: compileResponseFields(route.setResponseHeaders, route.rewriteLocation, scope),
    errorAnswers: compileErrorAnswers(route.errorAnswers, match.scope, scope),
    pathRewrite: compilePathRewrite(route.rewritePath, match.scope),
  };
}

function rewritesFor({ forwarded, via }: Config, { config }: Upstream, scope: TextScope): RequestRewrite[] {
  const { host } = config;
  const set = compileSetFields(config.setHeaders, scope);
  return membersOf(config).map(({ url }) => {
    const authority = Buffer.from(url.authority, 'latin1');
    const hostText =
      host !== undefined && host !== '$proxy_host' && host.includes('$')
        ? compileHost(host, url.authority, scope)
        : null;
    const isOwn = host === undefined || hostText !== null;
    const replaced = host === '$proxy_host' ? authority : isOwn ? null : Buffer.from(host, 'latin1');
    return { host: replaced, hostText, authority, forwarded, via, set };
  });
}

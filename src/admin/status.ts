// What /status says: a running splitter as one JSON value of a documented shape, version 1. A member may be added
// under the same version; one that goes or changes its meaning makes version 2. Knows nothing of HTTP.

import { hostname } from 'node:os';
import { answerNames } from '../config/options/route.ts';
import { membersOf } from '../config/options/upstream.ts';
import { describeKey } from '../split/key-list.ts';
import type { ReloadStatus, Running } from '../telemetry/running.ts';
import { VERSION } from '../telemetry/version.ts';
import { formatAddress, formatUpstreamUrl } from './effective-config.ts';
import { describeExperiment } from './experiment.ts';
import { type AsJson, List } from './json-pieces.ts';
import { describeSplit, exchangesOf } from './split-status.ts';

/** The answer of /status as a client reads it. */
export type StatusV1 = AsJson<ReturnType<typeof describeStatus>>;

/** The name of the pod, which is the host name of its containers. */
const POD = hostname();

/** The pods behind the numbers of a fleet. Times as in `Date.prototype.toISOString`. */
export interface FleetStatus {
  readonly name: string;
  /** Null before the first question. */
  readonly askedAt: string | null;
  readonly answering: number;
  /** Of the configurations that answering pods run. */
  readonly hashes: readonly string[];
  readonly problems: readonly string[];
  readonly pods: readonly {
    readonly address: string;
    readonly pod: string | null;
    readonly state: string;
    readonly problem: string | null;
    readonly generation: number | null;
    readonly hash: string | null;
    readonly startedAt: string | null;
    readonly requests: number;
    readonly failed: number;
    readonly troubles: readonly string[];
  }[];
}

/**
 * The whole status, version 1, as a value whose long lists are made while they are written: in a large answer the numbers
 * of the last variant are a few milliseconds younger than those of the first. `requests…` count since the start of the
 * process and survive reloads; an exchange that has not ended is in `requestsInFlight` alone. `observedRatio` is null until a request of the split has ended.
 * `uniqueKeys` count since `sample.since`; with `withRegisters` each variant has its HyperLogLog registers, base64 of one
 * byte each, and those of several replicas are added up by taking the larger of each pair. `workers` is there only when
 * workers take the requests.
 */
export function describeStatus(running: Running, reloads: ReloadStatus, withRegisters = false) {
  const { counters, generation } = running;
  const { config } = generation;
  return {
    version: 1,
    pod: POD,
    fleet: null as FleetStatus | null,
    state: running.state,
    program: {
      version: VERSION,
      node: process.versions.node,
      startedAt: new Date(performance.timeOrigin).toISOString(),
    },
    listening: running.listening,
    certificates: running.certificates,
    ...(running.workers === undefined ? {} : { workers: running.workers.list }),
    generation: {
      number: generation.number,
      hash: config.hash,
      acceptedAt: generation.acceptedAt.toISOString(),
    },
    lastReload: {
      successful: reloads.isSuccessful,
      at: reloads.at.toISOString(),
      problems: reloads.problems,
      failures: reloads.failures,
      lastGood: reloads.isLastGood,
    },
    splits: splitsOf(running, withRegisters),
    routes: routesOf(running),
    upstreams: upstreamsOf(running),
    downstream: counters.downstream.status(),
  };
}

/** The splits of /status one by one. */
export function splitsOneByOne(running: Running) {
  return splitsOf(running, false).entries();
}

function splitsOf({ counters, generation, guards }: Running, withRegisters: boolean) {
  return List.of(generation.splitters, ([name, splitter]) => {
    const { variants } = splitter;
    const split = generation.config.splits.get(name)!;
    const sample = counters.peekSample(name, variants, splitter.config);
    const { method, missingKey } = split;
    const source = { name, key: describeKey(split.key), method, missingKey, variants, sample };
    const experiment = describeExperiment(splitter, guards.stopFactsOf(name) ?? null, guards.isOfFleet(name));
    return { ...describeSplit(source, counters, withRegisters), experiment };
  });
}

function routesOf({ counters, generation }: Running) {
  const { routes } = generation.config;
  const names = answerNames(routes);
  return List.of(
    [...routes.entries()],
    ([index, { listen, host = null, path, exact = false, split = null, upstream = null, respond }]) => {
      const counted = upstream ?? names[index];
      return {
        listen: listen === undefined ? null : formatAddress(listen),
        host,
        path,
        exact,
        split,
        upstream,
        ...(respond === undefined ? {} : { respond: respond.status }),
        ...(counted === null || counted === undefined
          ? {}
          : exchangesOf(counters.peekVariant('', '', counted))),
      };
    },
  );
}

function upstreamsOf({ counters, generation }: Running) {
  return List.of(generation.config.upstreams, ([name, upstream]) => {
    return {
      name,
      url: membersOf(upstream)
        .map(({ url }) => formatUpstreamUrl(url))
        .join(', '),
      ...counters.peekUpstream(name).status(),
      trouble: generation.upstreams.get(name)?.trouble ?? null,
      addresses: generation.upstreams.get(name)?.describe() ?? [],
    };
  });
}

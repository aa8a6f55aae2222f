// What /status of a fleet says: the same JSON as that of a pod, version 1, with the numbers of all pods, so that the same page
// and the same scripts read it. `fleet` names the pods; what only a single pod has is empty.

import { List } from '../admin/json-pieces.ts';
import { describeSplit } from '../admin/split-status.ts';
import type { FleetStatus } from '../admin/status.ts';
import { VERSION } from '../telemetry/version.ts';
import type { FleetView } from './view.ts';

/** The whole status. `name` is the fleet's, as the user gave it; `askedAt` null = not asked yet. */
export function describeFleet(
  view: FleetView,
  name: string,
  problems: readonly string[],
  askedAt: Date | null,
) {
  const { pods, counters, splits, hashes } = view;
  const answering = pods.filter(({ problem }) => problem === null);
  const first = answering[0];
  const differing = splits.filter(({ podsOtherwise }) => podsOtherwise > 0);
  const fleet: FleetStatus = {
    name,
    askedAt: askedAt?.toISOString() ?? null,
    answering: answering.length,
    hashes,
    problems: [
      ...problems,
      ...otherBuckets(view, answering.length),
      ...differing.map(
        (split) =>
          `split ${split.name}: ${split.podsOtherwise} of ${split.pods + split.podsOtherwise} pods have another definition, whose keys are not in these numbers`,
      ),
    ],
    pods,
  };
  return {
    version: 1,
    pod: `fleet ${name}`,
    fleet,
    state: answering.length > 0 ? ('serving' as const) : ('starting' as const),
    program: {
      version: VERSION,
      node: process.versions.node,
      startedAt: new Date(performance.timeOrigin).toISOString(),
    },
    listening: [],
    generation: { number: first?.generation ?? 0, hash: hashes.join(', '), acceptedAt: null },
    lastReload: { successful: true, at: null, problems: [], failures: 0, lastGood: false },
    splits: List.of(splits, (split) => ({ ...describeSplit(split, counters, false), experiment: null })),
    routes: [],
    upstreams: [],
    downstream: counters.downstream.status(),
  };
}

function otherBuckets({ podsWithOtherBuckets }: FleetView, answering: number): string[] {
  if (podsWithOtherBuckets === 0) return [];
  return [
    `${podsWithOtherBuckets} of ${answering} pods have other metrics.durationBuckets, and their durations are not in these numbers`,
  ];
}

/** The splits one by one. */
export function* fleetSplits(view: FleetView) {
  for (const split of view.splits) yield { ...describeSplit(split, view.counters, false), experiment: null };
}

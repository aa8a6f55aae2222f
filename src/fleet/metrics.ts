// The metrics of a fleet, in Prometheus' text format: numbers of all pods together, which those of the pods do not add up to,
// as a key that came to two pods is one key. Every name begins with splitter_fleet_, so that a sum over pods has none of them.

import { Gauge, Registry } from 'prom-client';
import { VERSION } from '../telemetry/version.ts';
import type { Level } from '../trust/evidence.ts';
import type { FleetGuards } from './guards.ts';
import type { FleetView } from './view.ts';

/** Values of a level. */
const LEVEL_VALUES: Readonly<Record<Level, number>> = { none: 0, look: 1, stop: 2 };

type Line = readonly [labels: Readonly<Record<string, string>>, value: number];

interface FleetFamily {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: (view: FleetView, guards: FleetGuards) => Iterable<Line>;
}

function ofSplits(
  name: string,
  help: string,
  value: (split: FleetView['splits'][number]) => number,
): FleetFamily {
  return {
    name,
    type: 'gauge',
    help,
    labels: ['split'],
    read: ({ splits }) => splits.map((split) => [{ split: split.name }, value(split)] as const),
  };
}

function ofKeys(name: string, set: 'assigned' | 'answered' | 'failed', help: string): FleetFamily {
  return {
    name,
    type: 'gauge',
    help,
    labels: ['split', 'variant'],
    *read({ splits }) {
      for (const { name: split, sample } of splits) {
        for (const [index, { keys }] of sample.counts(set).entries()) {
          yield [{ split, variant: sample.variants[index]!.name }, Math.round(keys)];
        }
      }
    },
  };
}

function ofRows(
  name: string,
  help: string,
  value: (row: { ended: number; failed: number }) => number,
): FleetFamily {
  return {
    name,
    type: 'counter',
    help,
    labels: ['split', 'variant', 'upstream'],
    *read({ counters }) {
      for (const row of counters.variants()) {
        const { split, variant, upstream } = row;
        yield [{ split, variant, upstream }, value(row)];
      }
    },
  };
}

/** Every family, in the order of a scrape. */
export const FLEET_FAMILIES: readonly FleetFamily[] = [
  {
    name: 'splitter_fleet_build_info',
    type: 'gauge',
    help: 'Always 1; its label is the version of the process that adds up the fleet.',
    labels: ['version'],
    read: () => [[{ version: VERSION }, 1]],
  },
  {
    name: 'splitter_fleet_pods',
    type: 'gauge',
    help: 'Addresses of the fleet, by whether they answered the last time.',
    labels: ['state'],
    read: ({ pods }) => {
      const silent = pods.filter(({ problem }) => problem !== null).length;
      return [
        [{ state: 'answering' }, pods.length - silent],
        [{ state: 'silent' }, silent],
      ];
    },
  },
  {
    name: 'splitter_fleet_configurations',
    type: 'gauge',
    help: 'Different configurations that answering pods run; more than 1 for longer than a rollout means that a pod has missed a change.',
    labels: [],
    read: ({ hashes }) => [[{}, hashes.length]],
  },
  ofSplits(
    'splitter_fleet_sample_ratio_mismatch',
    '1 once the keys of all pods together have not fallen by the shares, until the sample begins again.',
    ({ sample }) => (sample.verdict().isMismatch ? 1 : 0),
  ),
  ofSplits(
    'splitter_fleet_verdict_level',
    'What the numbers of all pods together say of the split: 0 nothing, 1 worth a look, 2 stop.',
    ({ sample }) => LEVEL_VALUES[sample.verdict().level],
  ),
  ofSplits(
    'splitter_fleet_sample_start_timestamp_seconds',
    'Unix time at which the oldest sample of the pods began.',
    ({ sample }) => sample.since.getTime() / 1000,
  ),
  ofSplits(
    'splitter_fleet_split_pods_otherwise',
    'Pods that have the split with other shares, variants or keys; their keys are in none of these numbers.',
    ({ podsOtherwise }) => podsOtherwise,
  ),
  {
    name: 'splitter_fleet_guard_stopped',
    type: 'gauge',
    help: '1 while the guard of the split is stopped on all replicas, else 0. No line without a guard that has a fleet.',
    labels: ['split'],
    read: (_, { splits }) => splits.map(({ split, isStopped }) => [{ split }, isStopped ? 1 : 0] as const),
  },
  ofKeys(
    'splitter_fleet_unique_keys',
    'assigned',
    'Distinct keys of all pods together that belong to the variant by its share; a key that came to several pods is one.',
  ),
  ofKeys(
    'splitter_fleet_answered_keys',
    'answered',
    'Of these, keys that got a whole good answer from any pod.',
  ),
  ofKeys('splitter_fleet_failed_keys', 'failed', 'Of these, keys that met a failure at any pod.'),
  ofRows(
    'splitter_fleet_requests_total',
    'Exchanges that have ended at all pods that have ever answered.',
    ({ ended }) => ended,
  ),
  ofRows(
    'splitter_fleet_failed_requests_total',
    'Of these, those with 5xx or without a response.',
    ({ failed }) => failed,
  ),
];

/** The text of all families. */
export async function fleetMetrics(
  view: FleetView,
  guards: FleetGuards,
): Promise<{ readonly type: string; readonly text: string }> {
  const registry = new Registry();
  for (const { name, help, labels, read } of FLEET_FAMILIES) {
    const gauge = new Gauge({ name, help, labelNames: [...labels], registers: [registry] });
    for (const [values, value] of read(view, guards)) gauge.set(values, value);
  }
  const text = await registry.metrics();
  return { type: registry.contentType, text: withTypes(text) };
}

/** prom-client's counters cannot be set to a value, so all families are written as gauges: the line # TYPE says what they are. */
function withTypes(text: string): string {
  let typed = text;
  for (const { name, type } of FLEET_FAMILIES)
    typed = typed.replace(`# TYPE ${name} gauge`, `# TYPE ${name} ${type}`);
  return typed;
}

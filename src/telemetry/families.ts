// Lists every metric family with name, type, help, labels and how it is read. The families of what is counted follow from
// counts.ts; the others, of the running configuration, samples, workers and process, are declared here. A scrape and the
// table of docs/metrics.md have the order of FAMILIES. Source of the form: prometheus.io/docs/practices/naming.

import { ALARM_LEVELS } from '../trust/evidence.ts';
import { DROP_REASONS } from './log-device.ts';
import { OWN_PROCESS, PROCESS_FACTS, type ProcessFacts } from './own-process.ts';
import {
  DOWNSTREAM_FAMILIES,
  type MetricFamily,
  type MetricSource,
  UPSTREAM_FAMILIES,
  VARIANT_FAMILIES,
  VARIANT_LABELS,
} from './row-families.ts';
import type { CertificateView, Running, RunningWorkers } from './running.ts';
import type { KEY_SETS, Sample } from './sample.ts';
import { VERSION } from './version.ts';

const NO_LABELS: readonly string[] = [];

/** A family of a single line without labels. */
function single(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (source: MetricSource) => number,
): MetricFamily {
  return { name, type, help, labels: NO_LABELS, read: (source) => [[{}, value(source)]] };
}

/** Samples of the splits that run now; one of a split that a reload removed says nothing any more. */
function presentSamples({ counters, generation }: Running): Sample[] {
  return [...counters.samples()].filter(({ split }) => generation.splitters.has(split));
}

/** A family of one line for each split that has a sample. @param value null = no line */
function ofSamples(name: string, help: string, value: (sample: Sample) => number | null): MetricFamily {
  return {
    name,
    type: 'gauge',
    help,
    labels: ['split'],
    *read({ running }) {
      for (const sample of presentSamples(running)) {
        const read = value(sample);
        if (read !== null) yield [{ split: sample.split }, read];
      }
    },
  };
}

/** The distinct keys of each variant in one of the sets of a sample. */
function keysOf(name: string, set: (typeof KEY_SETS)[number], help: string): MetricFamily {
  return {
    name,
    type: 'gauge',
    help,
    labels: ['split', 'variant'],
    *read({ running }) {
      for (const sample of presentSamples(running)) {
        for (const [index, { keys }] of sample.counts(set).entries()) {
          yield [{ split: sample.split, variant: sample.variants[index]!.name }, Math.round(keys)];
        }
      }
    },
  };
}

/** Several addresses may have one file: a metric has a line for each file. */
function certificatesByFile({ certificates }: Running): Map<string, CertificateView> {
  return new Map(certificates.map((one) => [one.certificate, one]));
}

const OF_THE_SPLITTER: readonly MetricFamily[] = [
  ...VARIANT_FAMILIES,
  {
    name: 'splitter_share_ratio',
    type: 'gauge',
    help: 'Share of all keys that the running configuration gives to the variant, from 0 to 1.',
    labels: VARIANT_LABELS,
    *read({ running }) {
      for (const [split, splitter] of running.generation.splitters) {
        for (const { name, upstream, share } of splitter.variants) {
          yield [{ split, variant: name, upstream }, share];
        }
      }
    },
  },
  {
    name: 'splitter_coverage_ratio',
    type: 'gauge',
    help: 'Part of the keys, in a layer of those of the slot, that takes part in the split now, from 0 to 1; 0 while the guard has stopped it.',
    labels: ['split'],
    *read({ running }) {
      for (const [split, { enrolment }] of running.generation.splitters) {
        if (enrolment !== null) yield [{ split }, enrolment.isStopped ? 0 : enrolment.coverage / 10_000];
      }
    },
  },
  keysOf(
    'splitter_unique_keys',
    'assigned',
    'Distinct keys that belong to the variant by its share, since the sample of the split began; estimated, standard error below 0.05 % up to 3 million keys of one of two variants, 1.6 % at most.',
  ),
  keysOf(
    'splitter_answered_keys',
    'answered',
    'Distinct keys of the sample that got a whole good answer: 2xx, 3xx or 101.',
  ),
  keysOf(
    'splitter_failed_keys',
    'failed',
    'Distinct keys of the sample that met a failure: 5xx, or no whole answer, and not by the client.',
  ),
  ofSamples(
    'splitter_sample_start_timestamp_seconds',
    'Unix time at which the sample of the split began: the last change that can move a key, or the start.',
    (sample) => sample.since.getTime() / 1000,
  ),
  ofSamples(
    'splitter_sample_ratio_p_value',
    '1 / the largest evidence so far that unique keys do not fall by their shares: it is ever below 0.001 in one of 1,000 correct samples. No line without keys.',
    (sample) => sample.verdict().pValue,
  ),
  ofSamples(
    'splitter_sample_ratio_mismatch',
    '1 from the moment at which the p-value fell below 0.001, with a share that is off by 0.1 % of itself or more, until the sample begins again; else 0.',
    (sample) => (sample.verdict().isMismatch ? 1 : 0),
  ),
  ofSamples(
    'splitter_verdict_level',
    'The highest level of the alarms of the split: 0 none, 1 look, 2 stop.',
    (sample) => ALARM_LEVELS.indexOf(sample.verdict().level),
  ),
  {
    name: 'splitter_guard_stopped',
    type: 'gauge',
    help: '1 while the guard of the split has stopped it, so that every key gets the control, else 0. No line without a guard.',
    labels: ['split'],
    *read({ running }) {
      for (const split of running.generation.splitters.keys()) {
        const stop = running.guards.stopFactsOf(split);
        if (stop !== undefined) yield [{ split }, stop === null ? 0 : 1];
      }
    },
  },
  {
    name: 'splitter_guard_fleet_answering',
    type: 'gauge',
    help: '1 while the fleet judges the guard of the split, 0 while this process does because the fleet is silent. No line without guard.fleet.',
    labels: ['split'],
    *read({ running }) {
      for (const split of running.generation.splitters.keys()) {
        const isOfFleet = running.guards.isOfFleet(split);
        if (isOfFleet !== undefined) yield [{ split }, isOfFleet ? 1 : 0];
      }
    },
  },
  {
    name: 'splitter_alarm',
    type: 'gauge',
    help: 'Alarms of the sample by trouble, 1 look, 2 stop; one that follows from a test stays until the sample begins again. The variant is empty for the split as a whole.',
    labels: ['split', 'variant', 'trouble'],
    *read({ running }) {
      for (const sample of presentSamples(running)) {
        for (const { variant, trouble, level } of sample.verdict().alarms) {
          yield [{ split: sample.split, variant: variant ?? '', trouble }, ALARM_LEVELS.indexOf(level)];
        }
      }
    },
  },
  ofSamples(
    'splitter_moved_keys',
    'Distinct keys of the sample that had another variant in the sample before it. No line where that is not known.',
    (sample) => {
      const moved = sample.moved();
      return moved === null ? null : Math.round(moved.keys);
    },
  ),
  ...UPSTREAM_FAMILIES,
  {
    name: 'splitter_upstream_addresses',
    type: 'gauge',
    help: "Addresses of the upstream's name; 0 while it has none.",
    labels: ['upstream'],
    *read({ running }) {
      for (const [name, upstream] of running.generation.upstreams) {
        yield [{ upstream: name }, upstream.describe().length];
      }
    },
  },
  {
    name: 'splitter_upstream_addresses_healthy',
    type: 'gauge',
    help: 'Addresses of the upstream that are neither ejected nor found down by a probe.',
    labels: ['upstream'],
    *read({ running }) {
      for (const [name, upstream] of running.generation.upstreams) {
        yield [{ upstream: name }, upstream.describe().filter(({ healthy }) => healthy).length];
      }
    },
  },
  ...DOWNSTREAM_FAMILIES,
  {
    name: 'splitter_certificate_expiry_timestamp_seconds',
    type: 'gauge',
    help: 'Unix time at which the certificate of a listening address expires, by its file. No line without TLS, as with the next one.',
    labels: ['certificate'],
    *read({ running }) {
      for (const [certificate, { notAfter }] of certificatesByFile(running))
        yield [{ certificate }, Date.parse(notAfter) / 1000];
    },
  },
  {
    name: 'splitter_certificate_current',
    type: 'gauge',
    help: '1 if the certificate is the one in its file, 0 if that file cannot be used and the old certificate stays in use.',
    labels: ['certificate'],
    *read({ running }) {
      for (const [certificate, { problem }] of certificatesByFile(running))
        yield [{ certificate }, problem === null ? 1 : 0];
    },
  },
  single(
    'splitter_draining',
    'gauge',
    '1 while the splitter drains after SIGTERM or SIGQUIT, else 0.',
    ({ running }) => (running.state === 'draining' ? 1 : 0),
  ),
  {
    name: 'splitter_config_info',
    type: 'gauge',
    help: 'Always 1; its label is the hash of the running configuration, so replicas can be compared.',
    labels: ['hash'],
    read: ({ running }) => [[{ hash: running.generation.config.hash }, 1]],
  },
  single(
    'splitter_config_generation',
    'gauge',
    'Number of the running configuration: 1 at the start, one more for each accepted reload.',
    ({ running }) => running.generation.number,
  ),
  single(
    'splitter_config_last_reload_successful',
    'gauge',
    '1 if the last attempt to load a configuration was accepted, 0 if it was refused and the old one is still in use.',
    ({ reloads }) => (reloads.isSuccessful ? 1 : 0),
  ),
  single(
    'splitter_config_last_reload_success_timestamp_seconds',
    'gauge',
    'Unix time at which the running configuration was accepted.',
    ({ running }) => running.generation.acceptedAt.getTime() / 1000,
  ),
  single(
    'splitter_config_last_good',
    'gauge',
    '1 while the splitter uses a configuration that an earlier process accepted (--last-good), because its own was refused at the start.',
    ({ reloads }) => (reloads.isLastGood ? 1 : 0),
  ),
  single(
    'splitter_config_reload_failures_total',
    'counter',
    'Attempts to load a configuration that were refused.',
    ({ reloads }) => reloads.failures,
  ),
  {
    name: 'splitter_log_lines_dropped_total',
    type: 'counter',
    help: 'Log lines, assignment events included, that could not be written: slow_reader, or the error of the operating system.',
    labels: ['reason'],
    *read({ log }) {
      for (const [index, reason] of DROP_REASONS.entries()) yield [{ reason }, log.linesDropped[index]!];
    },
  },
  single(
    'splitter_admin_connections',
    'gauge',
    'Connections to the admin port that are open.',
    ({ admin }) => admin.connectionsOpen,
  ),
  {
    name: 'splitter_admin_connections_dropped_total',
    type: 'counter',
    help: 'Connections to the admin port that were closed before their client had finished, by reason: timeout, evicted to make room for others, accept_failed.',
    labels: ['reason'],
    *read({ admin }) {
      for (const [reason, count] of Object.entries(admin.dropped)) yield [{ reason }, count];
    },
  },
  single(
    'splitter_assignment_early_windows_total',
    'counter',
    'Windows of assignment events that began early because the table of keys was full: keys of such a window may get a second event.',
    ({ log }) => log.earlyWindows,
  ),
  {
    name: 'splitter_sample_store_writes_total',
    type: 'counter',
    help: 'Times that the samples were written to `sample.store`. No line while there is no store, as with the next.',
    labels: NO_LABELS,
    read: ({ store }) => (Object.keys(store.failures).length === 0 ? [] : [[{}, store.writes]]),
  },
  {
    name: 'splitter_sample_store_failures_total',
    type: 'counter',
    help: 'Times that `sample.store` failed, by reason: read, write, timeout, entry (one that cannot be read).',
    labels: ['reason'],
    *read({ store }) {
      for (const [reason, count] of Object.entries(store.failures)) yield [{ reason }, count];
    },
  },
  {
    name: 'splitter_build_info',
    type: 'gauge',
    help: 'Always 1; its labels are the versions of the splitter and of Node.js, and how sockets are read (docs/decisions/0018).',
    labels: ['version', 'node', 'socket_io'],
    read: ({ running }) => [
      [{ version: VERSION, node: process.versions.node, socket_io: running.socketIo }, 1],
    ],
  },
];

/** Lines only where workers take the requests. */
function ofWorkers(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (workers: RunningWorkers) => number,
): MetricFamily {
  return {
    name,
    type,
    help,
    labels: NO_LABELS,
    read: ({ running: { workers } }) => (workers === undefined ? [] : [[{}, value(workers)]]),
  };
}

const OF_THE_WORKERS: readonly MetricFamily[] = [
  ofWorkers(
    'splitter_workers',
    'gauge',
    'Workers that exist to serve requests: `workers` of the configuration. No line without workers, as with the next three.',
    ({ list }) => list.length,
  ),
  ofWorkers(
    'splitter_workers_serving',
    'gauge',
    'Workers that serve requests now.',
    ({ list }) => list.filter(({ state }) => state === 'serving').length,
  ),
  ofWorkers(
    'splitter_workers_silent',
    'gauge',
    'Workers that did not answer in time, so that their numbers are older.',
    ({ list }) => list.filter(({ isAnswering }) => !isAnswering).length,
  ),
  ofWorkers(
    'splitter_worker_deaths_total',
    'counter',
    'Workers that died unexpectedly; each is replaced.',
    ({ deaths }) => deaths,
  ),
];

const [CPU_SECONDS, ...OTHER_FACTS] = Object.entries(PROCESS_FACTS).map(
  ([name, { kind, metric, help }]): MetricFamily => ({
    name: metric,
    type: kind,
    help,
    labels: NO_LABELS,
    *read({ running }) {
      const value = (running.workers?.process ?? OWN_PROCESS)[name as keyof ProcessFacts];
      if (value !== undefined) yield [{}, value];
    },
  }),
);

const STARTED_AT_SECONDS = performance.timeOrigin / 1000;

const OF_THE_PROCESS: readonly MetricFamily[] = [
  CPU_SECONDS!,
  single(
    'process_start_time_seconds',
    'gauge',
    'Unix time at which the process started.',
    () => STARTED_AT_SECONDS,
  ),
  ...OTHER_FACTS,
];

/** Every family, in the order of a scrape. */
export const FAMILIES: readonly MetricFamily[] = [...OF_THE_SPLITTER, ...OF_THE_WORKERS, ...OF_THE_PROCESS];

// Which numbers /metrics shows: every family is declared once with name, type, help, labels and how it is read, and
// the table of docs/metrics.md comes from the same declarations. Nothing is counted here: prom-client formats what
// counters.ts holds at the moment of a scrape. Source of the form: prometheus.io/docs/practices/naming.

import { Gauge, type MetricObjectWithValues, type MetricType, Registry } from 'prom-client';
import { FAULT_CODES, FAULTS } from '../errors.ts';
import { DURATION_BOUNDS_SECONDS, STATUS_CLASSES, type VariantCounters } from './counters.ts';
import { DROP_REASONS } from './log-device.ts';
import { OWN_PROCESS } from './own-process.ts';
import {
  type AdminFacts,
  type LogLoss,
  NOTHING_DROPPED,
  type ProcessFacts,
  type ReloadStatus,
  type Running,
  type RunningWorkers,
} from './running.ts';
import type { Sample } from './sample.ts';
import { VERSION } from './version.ts';

interface Source {
  readonly running: Running;
  readonly reloads: ReloadStatus;
  readonly log: LogLoss;
  readonly admin: AdminFacts;
}

/** One line: labels, value, and for a histogram what comes after the family's name ("_bucket"). */
type Line = readonly [labels: Readonly<Record<string, string>>, value: number, suffix?: string];

interface Declaration {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  read(source: Source): Iterable<Line>;
}

const VARIANT_LABELS = ['split', 'variant', 'upstream'] as const;
const NO_LABELS: readonly string[] = [];

function labelsOf(row: VariantCounters): { split: string; variant: string; upstream: string } {
  return { split: row.split, variant: row.variant, upstream: row.upstream };
}

/** A family with one line for each variant. */
function perVariant(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (row: VariantCounters) => number,
): Declaration {
  return {
    name,
    type,
    help,
    labels: VARIANT_LABELS,
    *read({ running }) {
      for (const row of running.counters.variants()) yield [labelsOf(row), value(row)];
    },
  };
}

/** A family of a single line without labels. */
function single(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (source: Source) => number,
): Declaration {
  return { name, type, help, labels: NO_LABELS, read: (source) => [[{}, value(source)]] };
}

/** The codes of a fault row that have happened: a row for each of the 35 codes of each variant would drown a scrape. */
function* happened(cells: Float64Array): Iterable<[code: string, blame: string, count: number]> {
  for (const [index, code] of FAULT_CODES.entries()) {
    const count = cells[index]!;
    if (count > 0) yield [code, FAULTS[code].blame, count];
  }
}

/** Samples of the splits that run now; one of a split that a reload removed says nothing any more. */
function presentSamples({ counters, generation }: Running): Sample[] {
  return [...counters.samples()].filter(({ split }) => generation.splitters.has(split));
}

function* readDurations({ running }: Source): Iterable<Line> {
  for (const row of running.counters.variants()) {
    const labels = labelsOf(row);
    let cumulative = 0;
    for (const [index, bound] of DURATION_BOUNDS_SECONDS.entries()) {
      cumulative += row.durations[index]!;
      yield [{ ...labels, le: String(bound) }, cumulative, '_bucket'];
    }
    cumulative += row.durations[DURATION_BOUNDS_SECONDS.length]!;
    yield [{ ...labels, le: '+Inf' }, cumulative, '_bucket'];
    yield [labels, row.durationSumUs / 1e6, '_sum'];
    yield [labels, cumulative, '_count'];
  }
}

const OF_THE_SPLITTER: readonly Declaration[] = [
  {
    name: 'splitter_requests_total',
    type: 'counter',
    help: 'Exchanges that have ended, by class of the status that was sent: 1xx to 5xx, or none where the client got no response.',
    labels: [...VARIANT_LABELS, 'code'],
    *read({ running }) {
      for (const row of running.counters.variants()) {
        const labels = labelsOf(row);
        for (const [index, code] of STATUS_CLASSES.entries())
          yield [{ ...labels, code }, row.requests[index]!];
      }
    },
  },
  {
    name: 'splitter_request_faults_total',
    type: 'counter',
    help: 'Exchanges that ended with a fault of the splitter, the upstream or the client, by its code. A code appears with its first fault.',
    labels: [...VARIANT_LABELS, 'code', 'blame'],
    *read({ running }) {
      for (const row of running.counters.variants()) {
        const labels = labelsOf(row);
        for (const [code, blame, count] of happened(row.faults)) yield [{ ...labels, code, blame }, count];
      }
    },
  },
  {
    name: 'splitter_request_duration_seconds',
    type: 'histogram',
    help: 'Time from the first byte of the request head to the last byte of the response.',
    labels: VARIANT_LABELS,
    read: readDurations,
  },
  perVariant(
    'splitter_requests_in_flight',
    'gauge',
    'Exchanges that have begun and not ended.',
    (row) => row.inFlight,
  ),
  perVariant(
    'splitter_received_bytes_total',
    'counter',
    'Bytes of requests, heads and bodies as on the wire.',
    (row) => row.bytesReceived,
  ),
  perVariant(
    'splitter_sent_bytes_total',
    'counter',
    'Bytes of responses, heads and bodies as on the wire.',
    (row) => row.bytesSent,
  ),
  perVariant(
    'splitter_retries_total',
    'counter',
    'Exchanges that were sent again on another connection of the same upstream.',
    (row) => row.retries,
  ),
  perVariant(
    'splitter_missing_keys_total',
    'counter',
    "Requests without a key that the split's missingKey gave to this variant.",
    (row) => row.missingKeys,
  ),
  perVariant(
    'splitter_overrides_total',
    'counter',
    'Requests for which a tester chose this variant; they are no part of the sample.',
    (row) => row.overrides,
  ),
  perVariant(
    'splitter_overrides_refused_total',
    'counter',
    'Requests that asked for a variant they may not have (an unknown name, a wrong secret) and came to this one by their key.',
    (row) => row.overridesRefused,
  ),
  perVariant(
    'splitter_keys_minted_total',
    'counter',
    'Requests without a key that got a minted one, which belongs to this variant.',
    (row) => row.keysMinted,
  ),
  perVariant(
    'splitter_preflights_total',
    'counter',
    'CORS preflight requests (OPTIONS) that came to this variant; they are no part of the sample.',
    (row) => row.preflights,
  ),
  perVariant(
    'splitter_keys_remembered_total',
    'counter',
    'Answers that put the key of their request into a cookie, because `remember` asks for it and the client did not bring it.',
    (row) => row.keysRemembered,
  ),
  perVariant(
    'splitter_fallbacks_total',
    'counter',
    'Exchanges of this variant that the upstream of onDown took, because its own was down.',
    (row) => row.fallbacks,
  ),
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
    name: 'splitter_unique_keys',
    type: 'gauge',
    help: 'Different keys that belong to the variant by its share, since the split was last changed; estimated, standard error 0.41 % (1.6 % above 32 variants).',
    labels: ['split', 'variant'],
    *read({ running }) {
      for (const sample of presentSamples(running)) {
        for (const [index, { keys }] of sample.counts().entries()) {
          yield [{ split: sample.split, variant: sample.variants[index]!.name }, Math.round(keys)];
        }
      }
    },
  },
  {
    name: 'splitter_sample_ratio_p_value',
    type: 'gauge',
    help: 'Probability that unique keys are at least this far from their shares by chance. No line while there are too few keys.',
    labels: ['split'],
    *read({ running }) {
      for (const sample of presentSamples(running)) {
        const { pValue } = sample.verdict();
        if (pValue !== null) yield [{ split: sample.split }, pValue];
      }
    },
  },
  {
    name: 'splitter_sample_ratio_mismatch',
    type: 'gauge',
    help: '1 when the p-value is below 0.001 and a share is off by 0.1 % of itself or more, else 0: the sample cannot be trusted.',
    labels: ['split'],
    *read({ running }) {
      for (const sample of presentSamples(running)) {
        yield [{ split: sample.split }, sample.verdict().isMismatch ? 1 : 0];
      }
    },
  },
  {
    name: 'splitter_upstream_connections',
    type: 'gauge',
    help: 'Connections to the upstream that are open, used or idle.',
    labels: ['upstream'],
    *read({ running }) {
      for (const row of running.counters.upstreams()) yield [{ upstream: row.upstream }, row.connectionsOpen];
    },
  },
  {
    name: 'splitter_upstream_connections_opened_total',
    type: 'counter',
    help: 'Connections to the upstream that have been opened.',
    labels: ['upstream'],
    *read({ running }) {
      for (const row of running.counters.upstreams())
        yield [{ upstream: row.upstream }, row.connectionsOpened];
    },
  },
  {
    name: 'splitter_upstream_connect_failures_total',
    type: 'counter',
    help: 'Connects to the upstream that failed, by code. A code appears with its first failure.',
    labels: ['upstream', 'code'],
    *read({ running }) {
      for (const row of running.counters.upstreams()) {
        for (const [code, , count] of happened(row.connectFailures)) {
          yield [{ upstream: row.upstream, code }, count];
        }
      }
    },
  },
  {
    name: 'splitter_upstream_exchanges_waiting',
    type: 'gauge',
    help: 'Exchanges that wait for a connection to the upstream.',
    labels: ['upstream'],
    *read({ running }) {
      for (const row of running.counters.upstreams())
        yield [{ upstream: row.upstream }, row.exchangesWaiting];
    },
  },
  {
    name: 'splitter_upstream_connections_held',
    type: 'gauge',
    help: 'Connections that wait for slow clients while other exchanges wait for a connection; limited by pool.maxHeld.',
    labels: ['upstream'],
    *read({ running }) {
      for (const row of running.counters.upstreams()) yield [{ upstream: row.upstream }, row.connectionsHeld];
    },
  },
  {
    name: 'splitter_upstream_pool_exhaustions_total',
    type: 'counter',
    help: 'Times that exchanges waited for a connection for a second or longer.',
    labels: ['upstream'],
    *read({ running }) {
      for (const row of running.counters.upstreams()) yield [{ upstream: row.upstream }, row.exhaustions];
    },
  },
  {
    name: 'splitter_upstream_streams',
    type: 'gauge',
    help: 'Tunnels and event streams to the upstream that are open; limited by pool.maxTunnels.',
    labels: ['upstream'],
    *read({ running }) {
      for (const row of running.counters.upstreams()) yield [{ upstream: row.upstream }, row.streamsOpen];
    },
  },
  {
    name: 'splitter_upstream_ejections_total',
    type: 'counter',
    help: 'Times that an address of the upstream was left out because it failed.',
    labels: ['upstream'],
    *read({ running }) {
      for (const row of running.counters.upstreams()) yield [{ upstream: row.upstream }, row.ejections];
    },
  },
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
  single(
    'splitter_downstream_connections',
    'gauge',
    'Connections of clients that are open.',
    ({ running }) => running.counters.downstream.connectionsOpen,
  ),
  single(
    'splitter_downstream_connections_accepted_total',
    'counter',
    'Connections of clients that have been accepted.',
    ({ running }) => running.counters.downstream.connectionsAccepted,
  ),
  {
    name: 'splitter_refusals_total',
    type: 'counter',
    help: 'Requests and connections that were refused, or whose client went away, before a variant was chosen, by code. A code appears with its first refusal.',
    labels: ['code', 'blame'],
    *read({ running }) {
      for (const [code, blame, count] of happened(running.counters.downstream.refusals)) {
        yield [{ code, blame }, count];
      }
    },
  },
  single(
    'splitter_tunnels',
    'gauge',
    'Tunnels, such as WebSocket connections, that are open.',
    ({ running }) => running.counters.downstream.tunnelsOpen,
  ),
  single(
    'splitter_tunnels_opened_total',
    'counter',
    'Tunnels that have been opened.',
    ({ running }) => running.counters.downstream.tunnelsOpened,
  ),
  single(
    'splitter_response_buffer_bytes',
    'gauge',
    'Bytes of responses that were read from upstreams and wait for clients that do not read; limited by limits.responseBuffers.',
    ({ running }) => running.counters.downstream.responseBytesBuffered,
  ),
  single(
    'splitter_draining',
    'gauge',
    '1 while the splitter goes away after SIGTERM or SIGQUIT, else 0.',
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
    '1 when the last attempt to load a configuration was accepted, 0 when it was refused and the old one runs on.',
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
    '1 while the configuration runs that an earlier process accepted (--last-good), because the one of the start was refused.',
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
    name: 'splitter_build_info',
    type: 'gauge',
    help: 'Always 1; its labels are the versions of the splitter and of Node.js.',
    labels: ['version', 'node'],
    read: () => [[{ version: VERSION, node: process.versions.node }, 1]],
  },
];

/** Lines only where workers take the requests. */
function ofWorkers(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (workers: RunningWorkers) => number,
): Declaration {
  return {
    name,
    type,
    help,
    labels: NO_LABELS,
    read: ({ running: { workers } }) => (workers === undefined ? [] : [[{}, value(workers)]]),
  };
}

const OF_THE_WORKERS: readonly Declaration[] = [
  ofWorkers(
    'splitter_workers',
    'gauge',
    'Workers that are there to take requests: `workers` of the configuration. No line without workers, as in the next three.',
    ({ list }) => list.length,
  ),
  ofWorkers(
    'splitter_workers_serving',
    'gauge',
    'Workers that take requests now.',
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
    'Workers that ended without being told to; each is replaced.',
    ({ deaths }) => deaths,
  ),
];

// The names are those of prom-client's default metrics, so that stock dashboards work. Its own collectors are not used:
// they start a GC observer and a 10 ms event-loop timer that cost while nobody looks, and promtool objects to three names.
const STARTED_AT_SECONDS = performance.timeOrigin / 1000;

function ofTheProcess(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (facts: ProcessFacts) => number | undefined,
): Declaration {
  return {
    name,
    type,
    help,
    labels: NO_LABELS,
    *read({ running }) {
      const number = value(running.workers?.process ?? OWN_PROCESS);
      if (number !== undefined) yield [{}, number];
    },
  };
}

const OF_THE_PROCESS: readonly Declaration[] = [
  ofTheProcess(
    'process_cpu_seconds_total',
    'counter',
    'User and system CPU time spent in seconds; this and the following with all workers.',
    ({ cpuSeconds }) => cpuSeconds,
  ),
  single(
    'process_start_time_seconds',
    'gauge',
    'Unix time at which the process started.',
    () => STARTED_AT_SECONDS,
  ),
  ofTheProcess(
    'process_resident_memory_bytes',
    'gauge',
    'Resident memory size in bytes.',
    ({ residentBytes }) => residentBytes,
  ),
  ofTheProcess(
    'process_open_fds',
    'gauge',
    'Number of open file descriptors; only where /proc shows them.',
    ({ openFiles }) => openFiles,
  ),
  ofTheProcess(
    'process_max_fds',
    'gauge',
    'Maximum number of open file descriptors; only where there is one and /proc shows it.',
    ({ openFilesMax }) => openFilesMax,
  ),
  ofTheProcess(
    'nodejs_heap_size_used_bytes',
    'gauge',
    'JavaScript heap in use in bytes.',
    ({ heapUsedBytes }) => heapUsedBytes,
  ),
  ofTheProcess(
    'nodejs_external_memory_bytes',
    'gauge',
    'Memory of buffers outside the JavaScript heap in bytes.',
    ({ externalBytes }) => externalBytes,
  ),
  ofTheProcess(
    'nodejs_eventloop_active_seconds_total',
    'counter',
    'Time in which the event loop was not idle; its rate is the utilization of the one core that the splitter, or each worker, can use.',
    ({ activeSeconds }) => activeSeconds,
  ),
];

const DECLARATIONS = [...OF_THE_SPLITTER, ...OF_THE_WORKERS, ...OF_THE_PROCESS];

/** Lines that are formatted in one piece: a scrape of thousands of lines must not hold the event loop. */
const GROUP_LINES = 100;

/** A family as prom-client's registry formats it, a group of lines at a time. */
class Family extends Gauge {
  readonly declaration: Declaration;
  /** What is formatted next. */
  lines: readonly Line[] = [];

  constructor(declaration: Declaration) {
    const { name, help, labels } = declaration;
    super({ name, help, labelNames: [...labels], registers: [] });
    this.declaration = declaration;
  }

  override async get(): Promise<MetricObjectWithValues<{ value: number; labels: Record<string, string> }>> {
    const { name, help, type } = this.declaration;
    const values = this.lines.map(([labels, value, suffix = '']) => ({
      labels,
      value,
      metricName: name + suffix,
    }));
    // prom-client types its metric types as a numeric enum, but writes and reads their names.
    return {
      name,
      help,
      type: type as unknown as MetricType,
      aggregator: 'sum',
      collect: () => undefined,
      values,
    };
  }
}

/** The lines of one family, a group in each text; the lines # HELP and # TYPE come before the first. */
async function* formatFamily(registry: Registry, family: Family, source: Source): AsyncIterable<string> {
  const { name } = family.declaration;
  let isFirst = true;
  for (const lines of groups(family.declaration.read(source))) {
    family.lines = lines;
    const text = await registry.getSingleMetricAsString(name);
    const headEnd = text.indexOf('\n', text.indexOf('\n') + 1) + 1;
    yield isFirst ? `${text}\n` : `${text.slice(headEnd)}\n`;
    isFirst = false;
  }
}

/** Groups of GROUP_LINES; at least one, which may be empty. */
function* groups(lines: Iterable<Line>): Iterable<readonly Line[]> {
  let group: Line[] = [];
  let isFirst = true;
  for (const line of lines) {
    if (group.length === GROUP_LINES) {
      yield group;
      isFirst = false;
      group = [];
    }
    group.push(line);
  }
  if (group.length > 0 || isFirst) yield group;
}

/** Formats all families of one running splitter in Prometheus' text format 0.0.4. */
export function createMetrics(
  running: Running,
  reloads: ReloadStatus,
  log: LogLoss = NOTHING_DROPPED,
  admin: AdminFacts = { connectionsOpen: 0, dropped: {} },
): {
  readonly contentType: string;
  /** The text in small parts. */
  pieces(): AsyncIterable<string>;
  render(): Promise<string>;
} {
  const registry = new Registry();
  const families = DECLARATIONS.map((declaration) => new Family(declaration));
  for (const family of families) registry.registerMetric(family);
  const source = { running, reloads, log, admin };
  const pieces = async function* (): AsyncIterable<string> {
    for (const [index, family] of families.entries()) {
      if (index > 0) yield '\n';
      yield* formatFamily(registry, family, source);
    }
  };
  return {
    contentType: registry.contentType,
    pieces,
    render: async () => {
      let text = '';
      for await (const piece of pieces()) text += piece;
      return text;
    },
  };
}

/** The table of docs/metrics.md as Markdown, one line a family, in the order of a scrape. */
export function metricsTable(): string {
  const rows = DECLARATIONS.map(
    ({ name, type, labels, help }) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(' ')} | ${help} |`,
  );
  return ['| metric | type | labels | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

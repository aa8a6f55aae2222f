// Declares what the operating system and V8 say about a process: each fact once, with its metric and how it is read. Nothing
// is kept here: a number is read when it is asked for, so only a scrape pays. The names are those of prom-client's default
// metrics, so that stock dashboards work; its collectors would start a GC observer and a 10 ms timer that cost all the time.

import { readdirSync, readFileSync } from 'node:fs';

interface ProcessFact {
  readonly kind: 'counter' | 'gauge';
  readonly metric: string;
  readonly help: string;
  /** The number for this process; undefined where it is not known. */
  readonly read: () => number | undefined;
}

/** In the order of /metrics. */
export const PROCESS_FACTS = {
  cpuSeconds: {
    kind: 'counter',
    metric: 'process_cpu_seconds_total',
    help: 'User and system CPU time spent in seconds; this and the following include all workers.',
    read: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  },
  residentBytes: {
    kind: 'gauge',
    metric: 'process_resident_memory_bytes',
    help: 'Resident memory size in bytes.',
    read: () => process.memoryUsage.rss(),
  },
  openFiles: {
    kind: 'gauge',
    metric: 'process_open_fds',
    help: 'Number of open file descriptors; only if /proc shows them.',
    read: () => {
      try {
        return readdirSync('/proc/self/fd').length - 1; // the directory itself was open while it was read
      } catch {
        return undefined; // not Linux
      }
    },
  },
  openFilesMax: {
    kind: 'gauge',
    metric: 'process_max_fds',
    help: 'Maximum number of open file descriptors; only if there is one and /proc shows it.',
    read: () => {
      try {
        const found = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
        return found === null ? undefined : Number(found[1]); // "unlimited"
      } catch {
        return undefined; // not Linux
      }
    },
  },
  heapUsedBytes: {
    kind: 'gauge',
    metric: 'nodejs_heap_size_used_bytes',
    help: 'JavaScript heap in use in bytes.',
    read: () => process.memoryUsage().heapUsed,
  },
  externalBytes: {
    kind: 'gauge',
    metric: 'nodejs_external_memory_bytes',
    help: 'Memory of buffers outside the JavaScript heap in bytes.',
    read: () => process.memoryUsage().external,
  },
  activeSeconds: {
    kind: 'counter',
    metric: 'nodejs_eventloop_active_seconds_total',
    help: 'Time in which the event loop was not idle; its rate is the utilization of the one core that the splitter, or each worker, can use.',
    read: () => performance.eventLoopUtilization().active / 1000,
  },
} as const satisfies Record<string, ProcessFact>;

/** The facts about one process, or the sums over several. */
export type ProcessFacts = {
  readonly [N in keyof typeof PROCESS_FACTS]: ReturnType<(typeof PROCESS_FACTS)[N]['read']>;
};

/** This process, read at each access. */
export const OWN_PROCESS = Object.defineProperties(
  {},
  Object.fromEntries(
    Object.entries(PROCESS_FACTS).map(([name, { read }]) => [name, { get: read, enumerable: true }]),
  ),
) as ProcessFacts;

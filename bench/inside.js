// Loaded into the process under test with --import: records what cannot be seen from outside, the pauses of the
// garbage collector and the times for which the event loop did nothing else, and writes them at the exit into the file
// that BENCH_RECORD_TO names. Plain JavaScript: a TypeScript file would load Node's compiler into the process.
import { writeFileSync } from 'node:fs';
import { constants, PerformanceObserver, performance } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

const TICK_MS = 1;
/** Shorter ones are the timer's own. */
const BLOCK_MS_MIN = 2;
/** Entries kept, for each of the two. */
const ENTRIES_MAX = 100_000;

const KINDS = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, 'young generation'],
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'whole heap'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'a step of marking'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weak references'],
]);

/** [end in Unix milliseconds, milliseconds, kind] */
const pauses = [];
/** [end in Unix milliseconds, milliseconds] */
const blocks = [];

/** @param {import('node:perf_hooks').PerformanceEntry[]} entries */
function keep(entries) {
  for (const { startTime, duration, detail } of entries) {
    if (pauses.length === ENTRIES_MAX) return;
    pauses.push([performance.timeOrigin + startTime + duration, duration, KINDS.get(detail.kind) ?? 'other']);
  }
}

function record() {
  const observer = new PerformanceObserver((list) => keep(list.getEntries()));
  observer.observe({ entryTypes: ['gc'] });
  if (process.env.BENCH_RECORD_BLOCKS !== undefined) {
    let last = performance.now();
    setInterval(() => {
      const now = performance.now();
      const block = now - last - TICK_MS;
      last = now;
      if (block >= BLOCK_MS_MIN && blocks.length < ENTRIES_MAX)
        blocks.push([performance.timeOrigin + now, block]);
    }, TICK_MS).unref();
  }
  process.on('exit', () => {
    keep(observer.takeRecords());
    writeFileSync(process.env.BENCH_RECORD_TO, JSON.stringify({ pauses, blocks }));
  });
}

// The threads of the process load this file, too.
if (isMainThread) record();

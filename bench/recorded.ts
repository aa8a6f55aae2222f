// What bench/inside.js has recorded in a process of the splitter: reads it, and finds what belongs to some time.
import { readFileSync } from 'node:fs';
import type { Pause } from './results.ts';

/** Ends in Unix milliseconds, durations in milliseconds. */
export interface Recorded {
  readonly pauses: readonly (readonly [endedAt: number, ms: number, kind: string])[];
  readonly blocks: readonly (readonly [endedAt: number, ms: number])[];
}

/** Of a process that has ended; empty when it left nothing. */
export function readRecorded(path: string): Recorded {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Recorded;
  } catch {
    return { pauses: [], blocks: [] };
  }
}

interface Span {
  readonly from: number;
  readonly to: number;
}

const isWithin = (span: Span) => (endedAt: number) => endedAt >= span.from && endedAt <= span.to;

/** The pauses that ended in one of the spans. */
export const pausesWithin = (recorded: Recorded, spans: readonly Span[]): Pause[] =>
  recorded.pauses
    .filter(([endedAt]) => spans.some((span) => isWithin(span)(endedAt)))
    .map(([, ms, kind]) => [kind, Math.round(ms * 1000) / 1000]);

/** The longest block that ended in a span; 0 without one. */
export const longestBlock = (recorded: Recorded, span: Span): number =>
  Math.max(0, ...recorded.blocks.filter(([endedAt]) => isWithin(span)(endedAt)).map(([, ms]) => ms));

/** Upper ends of the histogram of pauses, in milliseconds. */
const BOUNDS_MS = [0.25, 0.5, 1, 2, 4, 8, 16, 32];

export interface PauseBucket {
  readonly text: string;
  readonly pauses: number;
  readonly totalMs: number;
}

/** How many pauses there were of which length, without the empty buckets at both ends. */
export function histogramOf(pauses: readonly Pause[]): PauseBucket[] {
  const buckets = [...BOUNDS_MS, Number.POSITIVE_INFINITY].map((bound, at) => {
    const low = BOUNDS_MS[at - 1] ?? 0;
    const inside = pauses.filter(([, ms]) => ms > low && ms <= bound).map(([, ms]) => ms);
    return {
      text: Number.isFinite(bound) ? `${low} to ${bound} ms` : `over ${low} ms`,
      pauses: inside.length,
      totalMs: inside.reduce((sum, ms) => sum + ms, 0),
    };
  });
  const first = buckets.findIndex((bucket) => bucket.pauses > 0);
  const last = buckets.findLastIndex((bucket) => bucket.pauses > 0);
  return first === -1 ? [] : buckets.slice(first, last + 1);
}

// The last 15 minutes of every variant, kept here so that a page that is opened now is not empty: requests and errors a
// second, 50th and 99th percentile of the duration, one point every five seconds; its memory is bounded by the number of
// variants. It also looks at the samples, so that their alarms wait for no reader. Time is passed in, by two clocks: durations
// are measured by one that never jumps, and a point is dated by the other one as it stands now.

import type { VariantCounters } from '../telemetry/counters.ts';
import type { Running } from '../telemetry/running.ts';
import { inTurns } from '../turns.ts';
import { type AsJson, List } from './json-pieces.ts';

/** Time between two points. */
export const HISTORY_INTERVAL_MS = 5000;
/** Points that are kept: 15 minutes. */
const POINTS_MAX = 180;
/** A clock that is off by more than this was set; by less, it was slewed. */
const CLOCK_STEP_MS = 1000;

/** Rings of one variant, and the readings of the counters at the last point. */
class Track {
  readonly row: VariantCounters;
  readonly requests = emptyRing();
  readonly errors = emptyRing();
  readonly p50 = emptyRing();
  readonly p99 = emptyRing();
  #ended: number;
  #failed: number;
  readonly #durations: Float64Array;
  readonly #added: Float64Array;

  constructor(row: VariantCounters) {
    this.row = row;
    this.#ended = row.ended;
    this.#failed = row.failed;
    this.#durations = row.durations.slice();
    this.#added = new Float64Array(row.durations.length);
  }

  take(slot: number, seconds: number, bounds: readonly number[]): void {
    const { row } = this;
    this.requests[slot] = (row.ended - this.#ended) / seconds;
    this.errors[slot] = (row.failed - this.#failed) / seconds;
    for (let bucket = 0; bucket < this.#added.length; bucket += 1) {
      this.#added[bucket] = row.durations[bucket]! - this.#durations[bucket]!;
    }
    this.p50[slot] = quantile(this.#added, 0.5, bounds);
    this.p99[slot] = quantile(this.#added, 0.99, bounds);
    this.#ended = row.ended;
    this.#failed = row.failed;
    this.#durations.set(row.durations);
  }
}

function emptyRing(): Float64Array {
  return new Float64Array(POINTS_MAX).fill(Number.NaN);
}

/** The answer of /history as a client reads it. */
export type HistoryV1 = AsJson<ReturnType<History['describe']>>;

function* lookAtAll(running: Pick<Running, 'counters'>, nowMs: number) {
  for (const sample of running.counters.samples()) yield* sample.lookInPieces(nowMs);
}

/** The points of one running splitter. Its admin port owns it and says when a point is due. */
export class History {
  readonly #running: Pick<Running, 'counters'>;
  readonly #tracks = new Map<VariantCounters, Track>();
  /** By the clock that never jumps. */
  readonly #times = new Float64Array(POINTS_MAX);
  #taken = 0;
  #lastMs: number;
  /** The judging of all samples that has begun; null between two. */
  #looks: Promise<void> | null = null;
  /** What makes a Unix time of such a time. */
  #offsetMs: number;

  /** `nowMs` is a Unix time, `steadyMs` one of `performance.now()`. */
  constructor(running: Pick<Running, 'counters'>, nowMs: number, steadyMs: number) {
    this.#running = running;
    this.#lastMs = steadyMs;
    this.#offsetMs = nowMs - steadyMs;
    this.#follow();
  }

  /** Takes one point: what has ended since the last one. The parameters are those of the constructor. */
  take(nowMs: number, steadyMs: number): void {
    const seconds = Math.max(steadyMs - this.#lastMs, 1) / 1000;
    const slot = this.#taken % POINTS_MAX;
    if (Math.abs(nowMs - steadyMs - this.#offsetMs) > CLOCK_STEP_MS) this.#offsetMs = nowMs - steadyMs;
    this.#follow();
    for (const track of this.#tracks.values())
      track.take(slot, seconds, this.#running.counters.durationBounds);
    this.#times[slot] = steadyMs;
    void this.#look(nowMs);
    this.#taken += 1;
    this.#lastMs = steadyMs;
  }

  /** Judges all samples; what is still under way comes to its end first. */
  #look(nowMs: number): Promise<void> {
    this.#looks ??= inTurns(lookAtAll(this.#running, nowMs)).finally(() => {
      this.#looks = null;
    });
    return this.#looks;
  }

  /** Every sample has a verdict: before its first one, a reader of many variants would judge them all in one piece. */
  async judged(): Promise<void> {
    const hasOneWithout = () => [...this.#running.counters.samples()].some(({ isJudged }) => !isJudged);
    if (hasOneWithout()) await this.#look(Date.now());
    // It began while the last look was under way.
    if (hasOneWithout()) await this.#look(Date.now());
  }

  /** The first point will begin here: nothing is known of what was counted before. */
  begin(steadyMs: number): void {
    this.#lastMs = steadyMs;
    this.#tracks.clear();
    this.#follow();
  }

  /** Number of the first point after the Unix time `sinceMs`: 0 for the first that was taken. */
  firstAfter(sinceMs: number): number {
    const oldest = Math.max(0, this.#taken - POINTS_MAX);
    // A time in the future was taken from an answer before the clock was set back.
    if (sinceMs > this.#unixMs(this.#taken - 1) + 2 * HISTORY_INTERVAL_MS) return oldest;
    let point = this.#taken;
    while (point > oldest && this.#unixMs(point - 1) > sinceMs) point -= 1;
    return point;
  }

  /**
   * The points from number `first` on, oldest first, version 1; those that are no longer there are left out. A value is null
   * where there was no traffic to measure.
   */
  describe(first: number) {
    const slots: number[] = [];
    const timesMs: number[] = [];
    for (let point = Math.max(first, this.#taken - POINTS_MAX); point < this.#taken; point += 1) {
      slots.push(point % POINTS_MAX);
      timesMs.push(this.#unixMs(point));
    }
    const values = (ring: Float64Array) =>
      slots.map((slot) => (Number.isNaN(ring[slot]!) ? null : Number(ring[slot]!.toPrecision(6))));
    return {
      version: 1,
      intervalSeconds: HISTORY_INTERVAL_MS / 1000,
      timesMs,
      variants: List.of([...this.#tracks.values()], ({ row, requests, errors, p50, p99 }) => ({
        split: row.split,
        variant: row.variant,
        upstream: row.upstream,
        requestsPerSecond: values(requests),
        errorsPerSecond: values(errors),
        p50Seconds: values(p50),
        p99Seconds: values(p99),
      })),
    };
  }

  #unixMs(point: number): number {
    return Math.round(this.#times[point % POINTS_MAX]! + this.#offsetMs);
  }

  /** A row that is new since the last point begins here; what it has counted by now is in no earlier point. */
  #follow(): void {
    for (const row of this.#running.counters.variants()) {
      if (!this.#tracks.has(row)) this.#tracks.set(row, new Track(row));
    }
  }
}

/**
 * The q-quantile of durations in seconds by the cells of a histogram, linear within a bucket as PromQL's histogram_quantile;
 * the largest bound for what lies beyond it, NaN without any durations. @param bounds upper bounds of the cells, in seconds
 */
export function quantile(cells: Float64Array, q: number, bounds: readonly number[]): number {
  let total = 0;
  for (let bucket = 0; bucket <= bounds.length; bucket += 1) total += cells[bucket]!;
  if (total === 0) return Number.NaN;
  const rank = q * total;
  let below = 0;
  for (const [bucket, upper] of bounds.entries()) {
    const count = cells[bucket]!;
    if (below + count >= rank && count > 0) {
      const lower = bucket === 0 ? 0 : bounds[bucket - 1]!;
      return lower + (upper - lower) * ((rank - below) / count);
    }
    below += count;
  }
  return bounds.at(-1)!;
}

// The last 15 minutes of every variant, kept here so that a page that is opened now is not empty: requests and errors a
// second, 50th and 99th percentile of the duration, one point every five seconds; its memory is bounded by the number of
// variants. It also looks at the samples, so that their alarms wait for no reader. Time is passed in, by two clocks: durations
// are measured by one that never jumps, and a point is dated by the other one as it stands now.

import type { VariantCounters } from '../telemetry/counters.ts';
import { BUCKETS_MAX } from '../telemetry/duration-buckets.ts';
import type { Running } from '../telemetry/running.ts';
import { inTurns } from '../turns.ts';
import { type AsJson, List } from './json-pieces.ts';

/** Time between two points. */
export const HISTORY_INTERVAL_MS = 5000;
/** Points that are kept: 15 minutes. */
const POINTS_MAX = 180;
/** A clock that is off by more than this was set; by less, it was slewed. */
const CLOCK_STEP_MS = 1000;

/** What is measured of a variant at each point. */
interface Rings {
  readonly requests: Float64Array;
  readonly errors: Float64Array;
  readonly p50: Float64Array;
  readonly p99: Float64Array;
}

/** The points of one variant, and the readings of the counters at the last one. Memory for them is taken by its first traffic. */
class Track {
  readonly row: VariantCounters;
  /** Number of its first point. */
  readonly #first: number;
  #rings: Rings | null = null;
  #ended: number;
  #failed: number;
  #durations: Float64Array;

  /** @param first number of the next point */
  constructor(row: VariantCounters, first: number) {
    this.row = row;
    this.#first = first;
    this.#ended = row.ended;
    this.#failed = row.failed;
    // Those of a variant without traffic are all zero.
    this.#durations = this.#ended === 0 ? NO_DURATIONS : row.durations.slice();
  }

  /** Takes point number `point`. `added` is room for the durations since the last one. */
  take(point: number, seconds: number, bounds: readonly number[], added: Float64Array): void {
    const { row } = this;
    const { ended } = row;
    const slot = point % POINTS_MAX;
    if (ended === this.#ended) {
      if (this.#rings !== null) setPoint(this.#rings, slot, 0, 0, Number.NaN, Number.NaN);
      return;
    }
    this.#rings ??= emptyRings(this.#first, point);
    const { failed, durations } = row;
    for (let bucket = 0; bucket < added.length; bucket += 1)
      added[bucket] = durations[bucket]! - (this.#durations[bucket] ?? 0);
    const [requests, errors] = [(ended - this.#ended) / seconds, (failed - this.#failed) / seconds];
    setPoint(
      this.#rings,
      slot,
      requests,
      errors,
      quantile(added, 0.5, bounds),
      quantile(added, 0.99, bounds),
    );
    this.#ended = ended;
    this.#failed = failed;
    if (this.#durations === NO_DURATIONS) this.#durations = durations.slice();
    else this.#durations.set(durations);
  }

  /** The value of such a point; NaN for none. */
  value(ring: keyof Rings, point: number): number {
    if (this.#rings !== null) return this.#rings[ring][point % POINTS_MAX]!;
    return point >= this.#first && (ring === 'requests' || ring === 'errors') ? 0 : Number.NaN;
  }
}

const NO_DURATIONS = new Float64Array(0);

function setPoint(
  rings: Rings,
  slot: number,
  requests: number,
  errors: number,
  p50: number,
  p99: number,
): void {
  rings.requests[slot] = requests;
  rings.errors[slot] = errors;
  rings.p50[slot] = p50;
  rings.p99[slot] = p99;
}

/** Rings of a variant that had no traffic from point `first` to the one before `point`. */
function emptyRings(first: number, point: number): Rings {
  const ring = () => new Float64Array(POINTS_MAX).fill(Number.NaN);
  const rings = { requests: ring(), errors: ring(), p50: ring(), p99: ring() };
  for (let idle = Math.max(first, point - POINTS_MAX + 1); idle < point; idle += 1)
    setPoint(rings, idle % POINTS_MAX, 0, 0, Number.NaN, Number.NaN);
  return rings;
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
  /** Room for the durations of one variant. */
  readonly #added: Float64Array;
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
    this.#added = new Float64Array(BUCKETS_MAX);
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
    const bounds = this.#running.counters.durationBounds;
    for (const track of this.#tracks.values()) track.take(this.#taken, seconds, bounds, this.#added);
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
    const points: number[] = [];
    for (let point = Math.max(first, this.#taken - POINTS_MAX); point < this.#taken; point += 1)
      points.push(point);
    const values = (track: Track, ring: keyof Rings) =>
      points.map((point) => {
        const value = track.value(ring, point);
        return Number.isNaN(value) ? null : Number(value.toPrecision(6));
      });
    return {
      version: 1,
      intervalSeconds: HISTORY_INTERVAL_MS / 1000,
      timesMs: points.map((point) => this.#unixMs(point)),
      variants: List.of([...this.#tracks.values()], (track) => ({
        split: track.row.split,
        variant: track.row.variant,
        upstream: track.row.upstream,
        requestsPerSecond: values(track, 'requests'),
        errorsPerSecond: values(track, 'errors'),
        p50Seconds: values(track, 'p50'),
        p99Seconds: values(track, 'p99'),
      })),
    };
  }

  #unixMs(point: number): number {
    return Math.round(this.#times[point % POINTS_MAX]! + this.#offsetMs);
  }

  /** A row that is new since the last point begins here; what it has counted by now is in no earlier point. */
  #follow(): void {
    for (const row of this.#running.counters.variants()) {
      if (!this.#tracks.has(row)) this.#tracks.set(row, new Track(row, this.#taken));
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

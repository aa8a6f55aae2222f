// What is counted: one row of numbers per (split, variant, upstream), per upstream, and one for the downstream side.
// The hot path only adds integers into typed arrays here; metrics.ts turns them into text when somebody scrapes.
// Rows are found by name once per generation and live as long as the process, so a reload resets nothing.
// Every cell is a Float64Array entry that holds an integer, exact up to 2^53: a Uint32Array would wrap after
// 4.3 billion requests, two and a half days at 20,000/s, and costs the same to add to.

import type { SplitConfig } from '../config/schema.ts';
import { FAULT_CODES } from '../errors.ts';
import type { Variant } from '../split/splitter.ts';
import { defineSample, Sample } from './sample.ts';

/**
 * Upper bounds of the duration histogram in seconds, "+Inf" left out. The 1-2.5-5 steps of Prometheus' own default, so
 * that a promise like "99 % within 250 ms" has its bound, continued downwards to 0.5 ms (an upstream beside the splitter
 * answers in less than the usual smallest bound of 5 ms) and upwards to 60 s, the default `responseTimeout`.
 */
export const DURATION_BOUNDS_SECONDS: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Classes by which responses are counted: slot = first digit of the status; "none" = no response was sent. */
export const STATUS_CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

const BOUNDS_US = Float64Array.from(DURATION_BOUNDS_SECONDS, (seconds) => Math.round(seconds * 1e6));
const LAST_BOUND_US = BOUNDS_US.at(-1)!;

// FIRST_BUCKET[bits] = bucket of the smallest duration that needs so many bits. Two neighbouring bounds are at least
// a factor of 2 apart, so a duration with that many bits is in this bucket or in the next: one comparison finds it.
const FIRST_BUCKET = Uint8Array.from({ length: 33 }, (_, bits) => {
  const smallest = bits === 0 ? 0 : 2 ** (bits - 1);
  const index = BOUNDS_US.findIndex((bound) => smallest <= bound);
  return index === -1 ? BOUNDS_US.length : index;
});

/** Bucket of a duration in whole microseconds; the last one, `DURATION_BOUNDS_SECONDS.length`, is "+Inf". */
function findBucket(durationUs: number): number {
  if (durationUs > LAST_BOUND_US) return BOUNDS_US.length;
  const bucket = FIRST_BUCKET[32 - Math.clz32(durationUs)]!;
  return durationUs > BOUNDS_US[bucket]! ? bucket + 1 : bucket;
}

const LAST_CLASS = STATUS_CLASSES.length - 1;

/** The cells of one row as plain numbers. Readings of rows of the same class have the same order. */
export interface RowReading {
  /** Only ever grow. */
  readonly counts: Float64Array;
  /** Numbers of what is there now. */
  readonly gauges: Float64Array;
}

/** Adds the first cells to these arrays, one after the other; returns the position of the next one. */
function addCells(cells: Float64Array, ...arrays: readonly Float64Array[]): number {
  let at = 0;
  for (const array of arrays) {
    for (let index = 0; index < array.length; index += 1) array[index]! += cells[at + index]!;
    at += array.length;
  }
  return at;
}

/** Numbers of one (split, variant, upstream). A route straight to an upstream has split "" and variant "". */
export class VariantCounters {
  readonly split: string;
  readonly variant: string;
  readonly upstream: string;
  /** Ended exchanges by slot of STATUS_CLASSES. */
  readonly requests = new Float64Array(STATUS_CLASSES.length);
  /** Ended exchanges by position of their code in FAULT_CODES; an exchange without a fault is not here. */
  readonly faults = new Float64Array(FAULT_CODES.length);
  /** Ended exchanges by duration, one cell a bucket, not cumulative. */
  readonly durations = new Float64Array(DURATION_BOUNDS_SECONDS.length + 1);
  #durationSumUs = 0;
  #bytesReceived = 0;
  #bytesSent = 0;
  #inFlight = 0;
  #retries = 0;
  #missingKeys = 0;
  #fallbacks = 0;
  #overrides = 0;
  #overridesRefused = 0;
  #keysMinted = 0;

  constructor(split: string, variant: string, upstream: string) {
    this.split = split;
    this.variant = variant;
    this.upstream = upstream;
  }

  /** An exchange was given to this variant. */
  begin(): void {
    this.#inFlight += 1;
  }

  /**
   * An exchange that began has ended, well or badly; called exactly once for each begin().
   * @param status status sent downstream, 0 = none; one outside 100..599 counts as 5xx (RFC 9110 §15)
   * @param fault position of the code in FAULT_CODES, -1 = no fault
   * @param durationMs from the first byte of the request head to the last byte of the response
   * @param bytesReceived bytes from downstream, @param bytesSent bytes to downstream: heads and bodies as on the wire
   */
  end(status: number, fault: number, durationMs: number, bytesReceived: number, bytesSent: number): void {
    const statusClass = (status / 100) | 0;
    this.requests[statusClass <= LAST_CLASS ? statusClass : LAST_CLASS]! += 1;
    if (fault >= 0) this.faults[fault]! += 1;
    // A clock that was read once for many exchanges may be a little behind: never negative, never NaN in the sum.
    const durationUs = durationMs > 0 ? Math.round(durationMs * 1000) : 0;
    this.durations[findBucket(durationUs)]! += 1;
    this.#durationSumUs += durationUs;
    this.#bytesReceived += bytesReceived;
    this.#bytesSent += bytesSent;
    this.#inFlight -= 1;
  }

  /** A request without a key was given to this variant by the split's `missingKey`. */
  missingKey(): void {
    this.#missingKeys += 1;
  }

  /** An exchange was sent again on another connection. */
  retry(): void {
    this.#retries += 1;
  }

  /** An exchange of this variant was sent to the upstream of `onDown: { fallback }`. */
  fallback(): void {
    this.#fallbacks += 1;
  }

  /** A tester chose this variant. */
  override(): void {
    this.#overrides += 1;
  }

  /** An override was asked for and not granted; the request came to this variant as if nothing had been there. */
  overrideRefused(): void {
    this.#overridesRefused += 1;
  }

  /** A request got a new key, which belongs to this variant. */
  keyMinted(): void {
    this.#keysMinted += 1;
  }

  get inFlight(): number {
    return this.#inFlight;
  }
  get overrides(): number {
    return this.#overrides;
  }
  get overridesRefused(): number {
    return this.#overridesRefused;
  }
  get keysMinted(): number {
    return this.#keysMinted;
  }
  get fallbacks(): number {
    return this.#fallbacks;
  }
  /** Sum of all durations in whole microseconds. */
  get durationSumUs(): number {
    return this.#durationSumUs;
  }
  get bytesReceived(): number {
    return this.#bytesReceived;
  }
  get bytesSent(): number {
    return this.#bytesSent;
  }
  get retries(): number {
    return this.#retries;
  }
  get missingKeys(): number {
    return this.#missingKeys;
  }
  /** Ended exchanges, all classes together. */
  get ended(): number {
    return this.requests.reduce((sum, count) => sum + count, 0);
  }

  /** Everything counted here, to be added up elsewhere. */
  read(): RowReading {
    const sums = [this.#durationSumUs, this.#bytesReceived, this.#bytesSent];
    const counts = [...sums, this.#retries, this.#missingKeys, this.#fallbacks];
    return {
      counts: Float64Array.of(...this.requests, ...this.faults, ...this.durations, ...counts),
      gauges: Float64Array.of(this.#inFlight),
    };
  }

  /** Adds the difference of two readings of a row elsewhere. */
  add({ counts, gauges }: RowReading): void {
    const at = addCells(counts, this.requests, this.faults, this.durations);
    this.#durationSumUs += counts[at]!;
    this.#bytesReceived += counts[at + 1]!;
    this.#bytesSent += counts[at + 2]!;
    this.#retries += counts[at + 3]!;
    this.#missingKeys += counts[at + 4]!;
    this.#fallbacks += counts[at + 5]!;
    this.#inFlight += gauges[0]!;
  }
}

/** Numbers of one upstream, whichever variants use it. */
export class UpstreamCounters {
  readonly upstream: string;
  /** Failed connects by position of their code in FAULT_CODES. */
  readonly connectFailures = new Float64Array(FAULT_CODES.length);
  #opened = 0;
  #open = 0;
  #waiting = 0;
  #ejections = 0;

  constructor(upstream: string) {
    this.upstream = upstream;
  }

  connectionOpened(): void {
    this.#opened += 1;
    this.#open += 1;
  }

  /** A connection that was counted by connectionOpened() is gone. */
  connectionClosed(): void {
    this.#open -= 1;
  }

  /** @param fault position of the code in FAULT_CODES */
  connectFailed(fault: number): void {
    this.connectFailures[fault]! += 1;
  }

  /** An address was ejected. */
  ejected(): void {
    this.#ejections += 1;
  }

  /** @param delta +1 when an exchange begins to wait for a connection, -1 when it has one or has given up */
  waiting(delta: number): void {
    this.#waiting += delta;
  }

  get ejections(): number {
    return this.#ejections;
  }
  get connectionsOpened(): number {
    return this.#opened;
  }
  get connectionsOpen(): number {
    return this.#open;
  }
  get exchangesWaiting(): number {
    return this.#waiting;
  }

  /** Everything counted here, to be added up elsewhere. */
  read(): RowReading {
    return {
      counts: Float64Array.of(...this.connectFailures, this.#opened, this.#ejections),
      gauges: Float64Array.of(this.#open, this.#waiting),
    };
  }

  /** Adds the difference of two readings of a row elsewhere. */
  add({ counts, gauges }: RowReading): void {
    const at = addCells(counts, this.connectFailures);
    this.#opened += counts[at]!;
    this.#ejections += counts[at + 1]!;
    this.#open += gauges[0]!;
    this.#waiting += gauges[1]!;
  }
}

/** Numbers of the side that calls us. */
export class DownstreamCounters {
  /** Requests refused before a variant was chosen, by position of their code in FAULT_CODES. */
  readonly refusals = new Float64Array(FAULT_CODES.length);
  #accepted = 0;
  #open = 0;
  #tunnelsOpened = 0;
  #tunnelsOpen = 0;

  connectionOpened(): void {
    this.#accepted += 1;
    this.#open += 1;
  }

  /** A connection that was counted by connectionOpened() is gone. */
  connectionClosed(): void {
    this.#open -= 1;
  }

  /** @param fault position of the code in FAULT_CODES */
  refused(fault: number): void {
    this.refusals[fault]! += 1;
  }

  tunnelOpened(): void {
    this.#tunnelsOpened += 1;
    this.#tunnelsOpen += 1;
  }

  /** A tunnel that was counted by tunnelOpened() is gone. */
  tunnelClosed(): void {
    this.#tunnelsOpen -= 1;
  }

  get connectionsAccepted(): number {
    return this.#accepted;
  }
  get connectionsOpen(): number {
    return this.#open;
  }
  get tunnelsOpened(): number {
    return this.#tunnelsOpened;
  }
  get tunnelsOpen(): number {
    return this.#tunnelsOpen;
  }

  /** Everything counted here, to be added up elsewhere. */
  read(): RowReading {
    return {
      counts: Float64Array.of(...this.refusals, this.#accepted, this.#tunnelsOpened),
      gauges: Float64Array.of(this.#open, this.#tunnelsOpen),
    };
  }

  /** Adds the difference of two readings of a row elsewhere. */
  add({ counts, gauges }: RowReading): void {
    const at = addCells(counts, this.refusals);
    this.#accepted += counts[at]!;
    this.#tunnelsOpened += counts[at + 1]!;
    this.#open += gauges[0]!;
    this.#tunnelsOpen += gauges[1]!;
  }
}

/** All numbers of the process. Rows are never removed: the same names give the same row, whatever was reloaded. */
export class Counters {
  readonly downstream = new DownstreamCounters();
  readonly #variants = new Map<string, VariantCounters>();
  readonly #upstreams = new Map<string, UpstreamCounters>();
  readonly #samples = new Map<string, Sample>();

  /** The row of these names. Looked up once per generation, not per exchange. */
  variant(split: string, variant: string, upstream: string): VariantCounters {
    const id = `${split}\0${variant}\0${upstream}`;
    let row = this.#variants.get(id);
    if (row === undefined) {
      row = new VariantCounters(split, variant, upstream);
      this.#variants.set(id, row);
    }
    return row;
  }

  /** The row of this upstream. Looked up once per generation, not per connection. */
  upstream(upstream: string): UpstreamCounters {
    let row = this.#upstreams.get(upstream);
    if (row === undefined) {
      row = new UpstreamCounters(upstream);
      this.#upstreams.set(upstream, row);
    }
    return row;
  }

  /**
   * The sample of different keys of a split: the same one as long as no key can change its variant, else a new one, which
   * takes the old one's place. Looked up once per generation.
   */
  sample(split: string, variants: readonly Variant[], config: SplitConfig): Sample {
    let sample = this.#samples.get(split);
    if (sample?.definition !== defineSample(config)) {
      sample = new Sample(split, variants, config);
      this.#samples.set(split, sample);
    }
    return sample!;
  }

  /** The present sample of each split that has one. */
  samples(): IterableIterator<Sample> {
    return this.#samples.values();
  }

  /** Every row, in the order in which they were first asked for. */
  variants(): IterableIterator<VariantCounters> {
    return this.#variants.values();
  }

  /** Every row, in the order in which they were first asked for. */
  upstreams(): IterableIterator<UpstreamCounters> {
    return this.#upstreams.values();
  }
}

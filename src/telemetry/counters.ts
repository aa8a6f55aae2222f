// What is counted: one row of numbers per (split, variant, upstream), per upstream, and one for the downstream side.
// The hot path only adds integers into typed arrays here; metrics.ts turns them into text when somebody scrapes.
// Rows are found by name once per generation and live as long as the process, so a reload resets nothing.

import type { SplitConfig } from '../config/options/split.ts';
import { FAULT_CODES } from '../errors.ts';
import type { Variant } from '../split/splitter.ts';
import { declareRow, Row } from './rows.ts';
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

/** Everything that is counted for one (split, variant, upstream). */
export const VARIANT_ROW = declareRow(
  {
    requests: STATUS_CLASSES.length,
    faults: FAULT_CODES.length,
    durations: DURATION_BOUNDS_SECONDS.length + 1,
    durationSumUs: 1,
    bytesReceived: 1,
    bytesSent: 1,
    retries: 1,
    missingKeys: 1,
    fallbacks: 1,
    overrides: 1,
    overridesRefused: 1,
    keysMinted: 1,
    preflights: 1,
    keysRemembered: 1,
  },
  ['inFlight'],
);
const VARIANT = { ...VARIANT_ROW.at, ...VARIANT_ROW.gauges };

/** Everything that is counted for one upstream. */
export const UPSTREAM_ROW = declareRow(
  { connectFailures: FAULT_CODES.length, opened: 1, ejections: 1, exhaustions: 1 },
  ['open', 'waiting', 'streams', 'held'],
);
const UPSTREAM = { ...UPSTREAM_ROW.at, ...UPSTREAM_ROW.gauges };

/** Everything that is counted for the side that calls us. */
export const DOWNSTREAM_ROW = declareRow({ refusals: FAULT_CODES.length, accepted: 1, tunnelsOpened: 1 }, [
  'open',
  'tunnelsOpen',
  'responseBytesBuffered',
]);
const DOWNSTREAM = { ...DOWNSTREAM_ROW.at, ...DOWNSTREAM_ROW.gauges };

/** Numbers of one (split, variant, upstream). A route straight to an upstream has split "" and variant "". */
export class VariantCounters extends Row<keyof typeof VARIANT_ROW.at, keyof typeof VARIANT_ROW.gauges> {
  readonly split: string;
  readonly variant: string;
  readonly upstream: string;
  /** Ended exchanges by slot of STATUS_CLASSES. */
  readonly requests = this.cellsOf('requests');
  /** Ended exchanges by position of their code in FAULT_CODES; an exchange without a fault is not here. */
  readonly faults = this.cellsOf('faults');
  /** Ended exchanges by duration, one cell a bucket, not cumulative. */
  readonly durations = this.cellsOf('durations');

  constructor(split: string, variant: string, upstream: string) {
    super(VARIANT_ROW);
    this.split = split;
    this.variant = variant;
    this.upstream = upstream;
  }

  /** An exchange was given to this variant. */
  begin(): void {
    this.gauges[VARIANT.inFlight]! += 1;
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
    this.counts[VARIANT.durationSumUs]! += durationUs;
    this.counts[VARIANT.bytesReceived]! += bytesReceived;
    this.counts[VARIANT.bytesSent]! += bytesSent;
    this.gauges[VARIANT.inFlight]! -= 1;
  }

  /** A request without a key was given to this variant by the split's `missingKey`. */
  missingKey(): void {
    this.counts[VARIANT.missingKeys]! += 1;
  }

  /** A tunnel, whose exchange had ended well, was ended by this fault. @param fault position of the code in FAULT_CODES */
  tunnelEnded(fault: number): void {
    this.faults[fault]! += 1;
  }

  /** An exchange was sent again on another connection. */
  retry(): void {
    this.counts[VARIANT.retries]! += 1;
  }

  /** An exchange of this variant was sent to the upstream of `onDown: { fallback }`. */
  fallback(): void {
    this.counts[VARIANT.fallbacks]! += 1;
  }

  /** A tester chose this variant. */
  override(): void {
    this.counts[VARIANT.overrides]! += 1;
  }

  /** An override was asked for and not granted; the request came to this variant as if nothing had been there. */
  overrideRefused(): void {
    this.counts[VARIANT.overridesRefused]! += 1;
  }

  /** A request got a new key, which belongs to this variant. */
  keyMinted(): void {
    this.counts[VARIANT.keysMinted]! += 1;
  }

  /** A CORS preflight request came to this variant. */
  preflight(): void {
    this.counts[VARIANT.preflights]! += 1;
  }

  /** A key that came to this variant was put into a cookie. */
  keyRemembered(): void {
    this.counts[VARIANT.keysRemembered]! += 1;
  }

  get inFlight(): number {
    return this.gauges[VARIANT.inFlight]!;
  }
  get overrides(): number {
    return this.counts[VARIANT.overrides]!;
  }
  get overridesRefused(): number {
    return this.counts[VARIANT.overridesRefused]!;
  }
  get preflights(): number {
    return this.counts[VARIANT.preflights]!;
  }
  get keysMinted(): number {
    return this.counts[VARIANT.keysMinted]!;
  }
  get keysRemembered(): number {
    return this.counts[VARIANT.keysRemembered]!;
  }
  get fallbacks(): number {
    return this.counts[VARIANT.fallbacks]!;
  }
  /** Sum of all durations in whole microseconds. */
  get durationSumUs(): number {
    return this.counts[VARIANT.durationSumUs]!;
  }
  get bytesReceived(): number {
    return this.counts[VARIANT.bytesReceived]!;
  }
  get bytesSent(): number {
    return this.counts[VARIANT.bytesSent]!;
  }
  get retries(): number {
    return this.counts[VARIANT.retries]!;
  }
  get missingKeys(): number {
    return this.counts[VARIANT.missingKeys]!;
  }
  /** Ended exchanges, all classes together. */
  get ended(): number {
    return this.requests.reduce((sum, count) => sum + count, 0);
  }
}

/** Numbers of one upstream, whichever variants use it. */
export class UpstreamCounters extends Row<keyof typeof UPSTREAM_ROW.at, keyof typeof UPSTREAM_ROW.gauges> {
  readonly upstream: string;
  /** Failed connects by position of their code in FAULT_CODES. */
  readonly connectFailures = this.cellsOf('connectFailures');

  constructor(upstream: string) {
    super(UPSTREAM_ROW);
    this.upstream = upstream;
  }

  connectionOpened(): void {
    this.counts[UPSTREAM.opened]! += 1;
    this.gauges[UPSTREAM.open]! += 1;
  }

  /** A connection that was counted by connectionOpened() is gone. */
  connectionClosed(): void {
    this.gauges[UPSTREAM.open]! -= 1;
  }

  /** @param fault position of the code in FAULT_CODES */
  connectFailed(fault: number): void {
    this.connectFailures[fault]! += 1;
  }

  /** An address was ejected. */
  ejected(): void {
    this.counts[UPSTREAM.ejections]! += 1;
  }

  /** @param delta +1 when an exchange begins to wait for a connection, -1 when it has one or has given up */
  waiting(delta: number): void {
    this.gauges[UPSTREAM.waiting]! += delta;
  }

  /** @param delta +1 when a connection becomes a tunnel or carries an event stream, -1 when that has ended */
  streams(delta: number): void {
    this.gauges[UPSTREAM.streams]! += delta;
  }

  /** @param delta +1 when a connection is held by a slow client, -1 when it is no longer */
  held(delta: number): void {
    this.gauges[UPSTREAM.held]! += delta;
  }

  /** Exchanges have waited for a connection for a second. */
  poolExhausted(): void {
    this.counts[UPSTREAM.exhaustions]! += 1;
  }

  get connectionsHeld(): number {
    return this.gauges[UPSTREAM.held]!;
  }
  get exhaustions(): number {
    return this.counts[UPSTREAM.exhaustions]!;
  }
  get streamsOpen(): number {
    return this.gauges[UPSTREAM.streams]!;
  }
  get ejections(): number {
    return this.counts[UPSTREAM.ejections]!;
  }
  get connectionsOpened(): number {
    return this.counts[UPSTREAM.opened]!;
  }
  get connectionsOpen(): number {
    return this.gauges[UPSTREAM.open]!;
  }
  get exchangesWaiting(): number {
    return this.gauges[UPSTREAM.waiting]!;
  }
}

/** Numbers of the side that calls us. */
export class DownstreamCounters extends Row<
  keyof typeof DOWNSTREAM_ROW.at,
  keyof typeof DOWNSTREAM_ROW.gauges
> {
  /** Requests refused before a variant was chosen, by position of their code in FAULT_CODES. */
  readonly refusals = this.cellsOf('refusals');

  constructor() {
    super(DOWNSTREAM_ROW);
  }

  connectionOpened(): void {
    this.counts[DOWNSTREAM.accepted]! += 1;
    this.gauges[DOWNSTREAM.open]! += 1;
  }

  /** A connection that was counted by connectionOpened() is gone. */
  connectionClosed(): void {
    this.gauges[DOWNSTREAM.open]! -= 1;
  }

  /** @param fault position of the code in FAULT_CODES */
  refused(fault: number): void {
    this.refusals[fault]! += 1;
  }

  tunnelOpened(): void {
    this.counts[DOWNSTREAM.tunnelsOpened]! += 1;
    this.gauges[DOWNSTREAM.tunnelsOpen]! += 1;
  }

  /** A tunnel that was counted by tunnelOpened() is gone. */
  tunnelClosed(): void {
    this.gauges[DOWNSTREAM.tunnelsOpen]! -= 1;
  }

  /** @param byteCount of responses that were read ahead of their clients; negative when they have left */
  responseBuffered(byteCount: number): void {
    this.gauges[DOWNSTREAM.responseBytesBuffered]! += byteCount;
  }

  get responseBytesBuffered(): number {
    return this.gauges[DOWNSTREAM.responseBytesBuffered]!;
  }
  get connectionsAccepted(): number {
    return this.counts[DOWNSTREAM.accepted]!;
  }
  get connectionsOpen(): number {
    return this.gauges[DOWNSTREAM.open]!;
  }
  get tunnelsOpened(): number {
    return this.counts[DOWNSTREAM.tunnelsOpened]!;
  }
  get tunnelsOpen(): number {
    return this.gauges[DOWNSTREAM.tunnelsOpen]!;
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

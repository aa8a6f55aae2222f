// Counts: one row of numbers per (split, variant, upstream), per upstream, and one for the side of the clients. The hot
// path only adds integers to typed arrays here, at constant positions; prometheus.ts formats them when /metrics is read.
// Rows are found by name once per generation and live as long as the process, so a reload resets no number.

import type { SplitConfig } from '../config/options/split.ts';
import { REASONS, type Reason } from '../split/splitter.ts';
import {
  DOWNSTREAM_ROW,
  FAILED_CLASSES,
  HANDSHAKE_FAILURES,
  type HandshakeFailure,
  STATUS_CLASSES,
  UPSTREAM_ROW,
  VARIANT_ROW,
} from './counts.ts';
import { durationBoundsSeconds, findBucket } from './duration-buckets.ts';
import { type RowReading, rowClass } from './rows.ts';
import { defineSample, identifySample, Sample, type SampledVariant } from './sample.ts';

const LAST_CLASS = STATUS_CLASSES.length - 1;
const FAILED_SLOTS = FAILED_CLASSES.map((name) => STATUS_CLASSES.indexOf(name));

const VARIANT = VARIANT_ROW.at;
const UPSTREAM = UPSTREAM_ROW.at;
const DOWNSTREAM = DOWNSTREAM_ROW.at;

/**
 * Numbers of one (split, variant, upstream), of the process or of all workers together. A route straight to an upstream has
 * split "" and variant "". Counters owns it; it is never removed.
 */
export class VariantCounters extends rowClass(VARIANT_ROW) {
  readonly split: string;
  readonly variant: string;
  readonly upstream: string;

  constructor(split: string, variant: string, upstream: string) {
    super();
    this.split = split;
    this.variant = variant;
    this.upstream = upstream;
  }

  /** An exchange was given to this variant. */
  begin(): void {
    this.cells[VARIANT.inFlight]! += 1;
  }

  /**
   * An exchange that began has ended, well or badly; called exactly once for each begin().
   * @param status status sent downstream, 0 = none; one outside 100..599 counts as 5xx (RFC 9110 §15)
   * @param fault position of the code in FAULT_CODES, -1 = no fault
   * @param durationMs from the first byte of the request head to the last byte of the response
   * @param bytesReceived bytes from downstream, @param bytesSent bytes to downstream: heads and bodies as on the wire
   */
  end(status: number, fault: number, durationMs: number, bytesReceived: number, bytesSent: number): void {
    const { cells } = this;
    const statusClass = (status / 100) | 0;
    cells[VARIANT.requests + (statusClass <= LAST_CLASS ? statusClass : LAST_CLASS)]! += 1;
    if (fault >= 0) cells[VARIANT.faults + fault]! += 1;
    // A clock that was read once for many exchanges may be a little behind: never negative, never NaN in the sum.
    const durationUs = durationMs > 0 ? Math.round(durationMs * 1000) : 0;
    cells[VARIANT.durations + findBucket(durationUs)]! += 1;
    cells[VARIANT.durationSumUs]! += durationUs;
    cells[VARIANT.bytesReceived]! += bytesReceived;
    cells[VARIANT.bytesSent]! += bytesSent;
    cells[VARIANT.inFlight]! -= 1;
  }

  /** A request was given to this variant for this reason. */
  decided(reason: Reason): void {
    this.cells[VARIANT.decisions + REASONS.indexOf(reason)]! += 1;
  }

  /** A request without a key was given to this variant by the split's `missingKey`. */
  missingKey(): void {
    this.cells[VARIANT.missingKeys]! += 1;
  }

  /** A tunnel, whose exchange had ended well, was ended by this fault. @param fault position of the code in FAULT_CODES */
  tunnelEnded(fault: number): void {
    this.cells[VARIANT.faults + fault]! += 1;
  }

  /** An exchange was sent again on another connection. */
  retry(): void {
    this.cells[VARIANT.retries]! += 1;
  }

  /** An exchange of this variant was sent to the upstream of `onDown: { fallback }`. */
  fallback(): void {
    this.cells[VARIANT.fallbacks]! += 1;
  }

  /** A tester chose this variant. */
  override(): void {
    this.cells[VARIANT.overrides]! += 1;
  }

  /** An override was asked for and not granted; the request came to this variant as if it had not asked. */
  overrideRefused(): void {
    this.cells[VARIANT.overridesRefused]! += 1;
  }

  /** A request got a new key, which belongs to this variant. */
  keyMinted(): void {
    this.cells[VARIANT.keysMinted]! += 1;
  }

  /** A CORS preflight request came to this variant. */
  preflight(): void {
    this.cells[VARIANT.preflights]! += 1;
  }

  /** A key that came to this variant was put into a cookie. */
  keyRemembered(): void {
    this.cells[VARIANT.keysRemembered]! += 1;
  }

  /** Ended exchanges, all classes together. */
  get ended(): number {
    return this.requests.reduce((sum, count) => sum + count, 0);
  }

  /** Ended exchanges that got no response or one of 5xx: what history, demo and page call failed. */
  get failed(): number {
    return FAILED_SLOTS.reduce((sum, slot) => sum + this.requests[slot]!, 0);
  }
}

/** Numbers of one upstream, whichever variants use it. Counters owns it; it is never removed. */
export class UpstreamCounters extends rowClass(UPSTREAM_ROW) {
  readonly upstream: string;

  constructor(upstream: string) {
    super();
    this.upstream = upstream;
  }

  connectionOpened(): void {
    this.cells[UPSTREAM.connectionsOpened]! += 1;
    this.cells[UPSTREAM.connectionsOpen]! += 1;
  }

  /** A connection that was counted by connectionOpened() is gone. */
  connectionClosed(): void {
    this.cells[UPSTREAM.connectionsOpen]! -= 1;
  }

  /** @param fault position of the code in FAULT_CODES */
  connectFailed(fault: number): void {
    this.cells[UPSTREAM.connectFailures + fault]! += 1;
  }

  /** An address was ejected. */
  ejected(): void {
    this.cells[UPSTREAM.ejections]! += 1;
  }

  /** @param delta +1 when an exchange begins to wait for a connection, -1 when it has one or has given up */
  waiting(delta: number): void {
    this.cells[UPSTREAM.exchangesWaiting]! += delta;
  }

  /** @param delta +1 when a connection becomes a tunnel or carries an event stream, -1 when that has ended */
  streams(delta: number): void {
    this.cells[UPSTREAM.streamsOpen]! += delta;
  }

  /** @param delta +1 when a connection is held by a slow client, -1 when it is no longer */
  held(delta: number): void {
    this.cells[UPSTREAM.connectionsHeld]! += delta;
  }

  /** Exchanges have waited for a connection for a second. */
  poolExhausted(): void {
    this.cells[UPSTREAM.exhaustions]! += 1;
  }
}

/** Numbers of the side of the clients. Counters owns the only one. */
export class DownstreamCounters extends rowClass(DOWNSTREAM_ROW) {
  connectionOpened(): void {
    this.cells[DOWNSTREAM.connectionsAccepted]! += 1;
    this.cells[DOWNSTREAM.connectionsOpen]! += 1;
  }

  /** A connection that was counted by connectionOpened() is gone. */
  connectionClosed(): void {
    this.cells[DOWNSTREAM.connectionsOpen]! -= 1;
  }

  /** A request was refused before a variant was chosen. @param fault position of the code in FAULT_CODES */
  refused(fault: number): void {
    this.cells[DOWNSTREAM.refusals + fault]! += 1;
  }

  handshakeBegun(): void {
    this.cells[DOWNSTREAM.handshakesOpen]! += 1;
  }

  handshakeSucceeded(isResumed: boolean): void {
    this.cells[DOWNSTREAM.handshakesOpen]! -= 1;
    this.cells[DOWNSTREAM.handshakes]! += 1;
    if (isResumed) this.cells[DOWNSTREAM.handshakesResumed]! += 1;
  }

  /** @param hadBegun it was counted by handshakeBegun() */
  handshakeFailed(reason: HandshakeFailure, hadBegun: boolean): void {
    if (hadBegun) this.cells[DOWNSTREAM.handshakesOpen]! -= 1;
    this.cells[DOWNSTREAM.handshakeFailures + HANDSHAKE_FAILURES.indexOf(reason)]! += 1;
  }

  tunnelOpened(): void {
    this.cells[DOWNSTREAM.tunnelsOpened]! += 1;
    this.cells[DOWNSTREAM.tunnelsOpen]! += 1;
  }

  /** A tunnel that was counted by tunnelOpened() is gone. */
  tunnelClosed(): void {
    this.cells[DOWNSTREAM.tunnelsOpen]! -= 1;
  }

  /** @param byteCount of responses that were read ahead of their clients; negative when they have left */
  responseBuffered(byteCount: number): void {
    this.cells[DOWNSTREAM.responseBytesBuffered]! += byteCount;
  }
}

/** All rows of a process at one moment, as one process sends them to another. */
export interface CountersReading {
  readonly downstream: RowReading;
  readonly variants: readonly {
    readonly split: string;
    readonly variant: string;
    readonly upstream: string;
    readonly cells: RowReading;
  }[];
  readonly upstreams: readonly { readonly upstream: string; readonly cells: RowReading }[];
}

/**
 * All numbers of the process, from its start to its end. The ambassador owns it, or with workers the primary's tally. Rows
 * are never removed: the same names give the same row after any reload.
 */
export class Counters {
  readonly downstream = new DownstreamCounters();
  /** Upper bounds, in seconds, of the buckets of its durations and of those of its samples. */
  durationBounds = durationBoundsSeconds();
  readonly #variants = new Map<string, VariantCounters>();
  readonly #upstreams = new Map<string, UpstreamCounters>();
  readonly #samples = new Map<string, Sample>();

  /** The row of these names. Looked up once per generation, not per exchange. */
  variant(split: string, variant: string, upstream: string): VariantCounters {
    const id = variantId(split, variant, upstream);
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

  /** The row to read from; one of zeros, which is not kept, where none has been counted yet. */
  peekVariant(split: string, variant: string, upstream: string): VariantCounters {
    const row = this.#variants.get(variantId(split, variant, upstream));
    return row ?? new VariantCounters(split, variant, upstream);
  }

  /** As peekVariant(). */
  peekUpstream(upstream: string): UpstreamCounters {
    return this.#upstreams.get(upstream) ?? new UpstreamCounters(upstream);
  }

  /**
   * The sample of different keys of a split: the same one as long as no key can change its variant, else a new one, which
   * takes the old one's place. Looked up once per generation.
   */
  sample(split: string, variants: readonly SampledVariant[], config: SplitConfig): Sample {
    const sample = this.planSample(split, variants, config);
    this.adoptSample(sample);
    return sample;
  }

  /** What sample() would return; a new one takes no place yet. */
  planSample(split: string, variants: readonly SampledVariant[], config: SplitConfig): Sample {
    const known = this.#samples.get(split);
    if (known?.definition === defineSample(config)) return known;
    return new Sample(identifySample(split, variants, config));
  }

  /** Gives the sample its split's place, if it has not got it. */
  adoptSample(sample: Sample): void {
    const known = this.#samples.get(sample.split);
    if (known === sample) return;
    if (known !== undefined) sample.replace(known);
    this.#samples.set(sample.split, sample);
  }

  /** The sample to read from; an empty one, which is not kept, where the split has none of this definition. */
  peekSample(split: string, variants: readonly SampledVariant[], config: SplitConfig): Sample {
    const sample = this.#samples.get(split);
    return sample?.definition === defineSample(config)
      ? sample
      : new Sample(identifySample(split, variants, config));
  }

  /** The present sample of this split; undefined where it has none. */
  presentSample(split: string): Sample | undefined {
    return this.#samples.get(split);
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

  /** Every cell of every row, to be added up elsewhere. */
  read(): CountersReading {
    return {
      downstream: this.downstream.read(),
      variants: Array.from(this.#variants.values(), (row) => {
        const { split, variant, upstream } = row;
        return { split, variant, upstream, cells: row.read() };
      }),
      upstreams: Array.from(this.#upstreams.values(), (row) => {
        return { upstream: row.upstream, cells: row.read() };
      }),
    };
  }

  /**
   * Adds what another process has counted from one reading to the next. @param before null = the first reading
   * @param now null = the process has ended: what it counted stays, its gauges go
   */
  advance(before: CountersReading | null, now: CountersReading | null): void {
    const { downstream } = this;
    downstream.add(downstream.difference(before?.downstream, now?.downstream));
    const variantsBefore = new Map(before?.variants.map((one) => [idOf(one), one.cells]));
    for (const one of now?.variants ?? before?.variants ?? []) {
      const row = this.variant(one.split, one.variant, one.upstream);
      row.add(row.difference(variantsBefore.get(idOf(one)), now === null ? undefined : one.cells));
    }
    const upstreamsBefore = new Map(before?.upstreams.map((one) => [one.upstream, one.cells]));
    for (const one of now?.upstreams ?? before?.upstreams ?? []) {
      const row = this.upstream(one.upstream);
      row.add(row.difference(upstreamsBefore.get(one.upstream), now === null ? undefined : one.cells));
    }
  }
}

function variantId(split: string, variant: string, upstream: string): string {
  return `${split}\0${variant}\0${upstream}`;
}

function idOf({ split, variant, upstream }: CountersReading['variants'][number]): string {
  return variantId(split, variant, upstream);
}

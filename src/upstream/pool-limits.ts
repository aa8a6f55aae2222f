// Says what each connection of an upstream counts as, and how many there may be of each kind: pooled connections carry one
// exchange after another; streams (tunnels and event streams) stay for as long as their clients do; held ones wait for
// nobody but their clients while other exchanges wait for a connection. It opens and closes nothing.
// Sources: RFC 9110 §7.8; WHATWG HTML, server-sent events; docs/decisions/0021.

import type { UpstreamConfig } from '../config/options/upstream.ts';
import type { UpstreamCounters } from '../telemetry/counters.ts';

/** What a connection counts as. */
export const COUNTS_AS = { pooled: 0, stream: 1, held: 2 } as const;

/** A connection as the limits see it; they alone write the member. */
interface CountedConnection {
  /** What it counts as: one of COUNTS_AS. */
  countsAs: number;
}

/** The counts of one upstream. */
export class PoolLimits {
  readonly #counters: UpstreamCounters;
  readonly #streamsMax: number;
  readonly heldMax: number;
  #pooledMax: number;
  #pooled = 0;
  #streams = 0;
  #held = 0;

  constructor({ pool }: UpstreamConfig, counters: UpstreamCounters) {
    this.#counters = counters;
    this.#pooledMax = pool.maxConnections;
    this.#streamsMax = pool.maxTunnels;
    this.heldMax = pool.maxHeld;
  }

  /** No further pooled connection may be opened. */
  get isFull(): boolean {
    return this.#pooled >= this.#pooledMax;
  }

  /** Pooled connections that may still be opened; negative when held ones have come back. */
  get room(): number {
    return this.#pooledMax - this.#pooled;
  }

  /** No further tunnel may be opened. */
  get hasAllStreams(): boolean {
    return this.#streams >= this.#streamsMax;
  }

  get hasAllHeld(): boolean {
    return this.#held >= this.heldMax;
  }

  get pooled(): number {
    return this.#pooled;
  }

  get held(): number {
    return this.#held;
  }

  /** Nothing may be opened any more. */
  close(): void {
    this.#pooledMax = 0;
  }

  /** A connection begins to be opened. */
  opened(): void {
    this.#pooled++;
  }

  /** A connection has closed. */
  closed(connection: CountedConnection): void {
    this.#add(connection.countsAs, -1);
  }

  /** The connection has become a tunnel or carries an event stream. False when there is no room for one more: it stays as it was. */
  countAsStream(connection: CountedConnection): boolean {
    if (connection.countsAs === COUNTS_AS.stream) return true;
    if (this.hasAllStreams) return false;
    this.#change(connection, COUNTS_AS.stream);
    return true;
  }

  /** The connection's exchange has ended and it may carry another one. False when the pool has no room for it. */
  countAsPooled(connection: CountedConnection): boolean {
    if (connection.countsAs === COUNTS_AS.pooled) return true;
    if (this.isFull) return false;
    this.#change(connection, COUNTS_AS.pooled);
    return true;
  }

  /** The connection waits for its client alone. The caller has asked for `hasAllHeld`. */
  hold(connection: CountedConnection): void {
    this.#change(connection, COUNTS_AS.held);
  }

  /** A held connection moves on: it counts in the pool again, room or not. */
  unhold(connection: CountedConnection): void {
    this.#change(connection, COUNTS_AS.pooled);
  }

  #change(connection: CountedConnection, to: number): void {
    this.#add(connection.countsAs, -1);
    connection.countsAs = to;
    this.#add(to, 1);
  }

  #add(kind: number, delta: number): void {
    if (kind === COUNTS_AS.pooled) this.#pooled += delta;
    else if (kind === COUNTS_AS.stream) {
      this.#streams += delta;
      this.#counters.streams(delta);
    } else {
      this.#held += delta;
      this.#counters.held(delta);
    }
  }
}

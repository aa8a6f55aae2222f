// Says what each connection of an upstream counts as, and how many there may be: pooled connections, which carry one
// exchange after another, and streams (tunnels and event streams), which stay for as long as their clients do and so have
// a limit of their own. It opens and closes nothing. Sources: RFC 9110 §7.8; WHATWG HTML, server-sent events.

import type { UpstreamConfig } from '../config/schema.ts';
import type { UpstreamCounters } from '../telemetry/counters.ts';
import type { UpstreamConnection } from './upstream-connection.ts';

/** What a connection counts as. */
export const COUNTS_AS = { pooled: 0, stream: 1 } as const;

/** The counts of one upstream. */
export class PoolLimits {
  readonly #counters: UpstreamCounters;
  readonly #streamsMax: number;
  #pooledMax: number;
  #pooled = 0;
  #streams = 0;

  constructor({ pool }: UpstreamConfig, counters: UpstreamCounters) {
    this.#counters = counters;
    this.#pooledMax = pool.maxConnections;
    this.#streamsMax = pool.maxTunnels;
  }

  /** No further pooled connection may be opened. */
  get isFull(): boolean {
    return this.#pooled >= this.#pooledMax;
  }

  /** No further tunnel may be opened. */
  get hasAllStreams(): boolean {
    return this.#streams >= this.#streamsMax;
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
  closed(connection: UpstreamConnection): void {
    if (connection.countsAs === COUNTS_AS.stream) this.#streamEnded();
    else this.#pooled--;
  }

  /** The connection has become a tunnel or carries an event stream. False when there is no room for one more: it stays as it was. */
  countAsStream(connection: UpstreamConnection): boolean {
    if (connection.countsAs === COUNTS_AS.stream) return true;
    if (this.hasAllStreams) return false;
    connection.countsAs = COUNTS_AS.stream;
    this.#pooled--;
    this.#streams++;
    this.#counters.streams(1);
    return true;
  }

  /** The connection's exchange has ended and it may carry another one. False when the pool has no room for it. */
  countAsPooled(connection: UpstreamConnection): boolean {
    if (connection.countsAs === COUNTS_AS.pooled) return true;
    if (this.isFull) return false;
    connection.countsAs = COUNTS_AS.pooled;
    this.#streamEnded();
    this.#pooled++;
    return true;
  }

  #streamEnded(): void {
    this.#streams--;
    this.#counters.streams(-1);
  }
}

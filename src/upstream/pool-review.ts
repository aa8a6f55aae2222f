// Reviews a full pool ten times a second for as long as exchanges wait for it: finds the connections that wait for nobody
// but slow clients, takes them out of the count, and ends the slowest of them when there are too many. It also says once
// that the pool is exhausted. A pool with room is never reviewed, so this costs fast traffic nothing.
// Source: docs/decisions/0021.

import type { UpstreamCounters } from '../telemetry/counters.ts';
import type { UpstreamExchange } from '../transport/contracts.ts';
import type { Deadlines, Timed } from '../transport/deadlines.ts';
import { COUNTS_AS, type PoolLimits } from './pool-limits.ts';
import type { PoolFacts } from './report.ts';

const INTERVAL_MS = 100;
/** A client that moves fewer bytes holds its connection: the pace of an old mobile network. */
const PACE_BYTES_PER_SECOND = 16_384;
/** A client that moves this many is never cut off for others, however slow it is. */
const PROGRESS_BYTES_PER_SECOND = 240;
/** Time without such progress before a client may be cut off; what it moves at a faster rate earns more of it. */
const CLIENT_PATIENCE_MS = 1000;
/** The most that a client can have earned: one that sends in bursts is no slower than one that sends evenly. */
const CLIENT_PATIENCE_MAX_MS = 10_000;
/** An exhausted pool is reported after this time, and then no sooner than this again. */
const REPORT_AFTER_MS = 1000;
const REPORT_EVERY_MS = 60_000;
/** An exchange of this age counts as long-running in the report. */
const LONG_MS = 10_000;
/** The review goes on for this time after an exchange was refused: none may be waiting where `maxQueued` is 0. */
const REFUSED_MS = 1000;

/** How an exchange's client keeps up, as the reviews have seen it. */
export interface ClientPace {
  /** Number of the exchange on its connection. */
  exchange: number;
  /** What its client had moved, and when. */
  bytes: number;
  at: number;
  /** How much longer it may move nothing until it may be cut off; below 0 it may be. */
  patienceMs: number;
}

/** A connection as a review sees it. */
interface ReviewedConnection {
  countsAs: number;
  readonly exchange: UpstreamExchange | null;
  /** Exchanges that were sent on it, the present ones included. */
  readonly exchanges: number;
  /** How the client of the present exchange keeps up; null unless the pool was full. Written by the review alone. */
  pace: ClientPace | null;
}

/** The pool that is reviewed. */
export interface ReviewedPool {
  readonly deadlines: Deadlines;
  readonly connections: Iterable<ReviewedConnection>;
  readonly waitingCount: number;
  serveWaiting(): void;
  reportExhausted(facts: PoolFacts): void;
}

/** The review of one pool, which owns it; `begin` starts it, and it ends by itself when no exchange waits any more. */
export class PoolReview implements Timed {
  deadline = Number.POSITIVE_INFINITY;
  readonly #pool: ReviewedPool;
  readonly #limits: PoolLimits;
  readonly #counters: UpstreamCounters;
  #isRunning = false;
  #exhaustedSince = 0;
  #refusedAt = Number.NEGATIVE_INFINITY;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #isCounted = false;

  constructor(pool: ReviewedPool, limits: PoolLimits, counters: UpstreamCounters) {
    this.#pool = pool;
    this.#limits = limits;
    this.#counters = counters;
  }

  /** An exchange waits for a connection, or was refused because too many do. */
  begin(now: number, isRefused: boolean): void {
    if (isRefused) this.#refusedAt = now;
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#isCounted = false;
    this.#exhaustedSince = now;
    this.#pool.deadlines.add(this);
    this.#review(now);
    this.#pool.deadlines.set(this, now + INTERVAL_MS);
  }

  /** Nothing more is to be reviewed. */
  stop(): void {
    this.#isRunning = false;
    this.#pool.deadlines.remove(this);
  }

  onDeadline(now: number): void {
    if (this.#wanted(now) <= 0) return this.stop();
    const slow = this.#review(now);
    if (this.#limits.heldMax > 0) {
      this.#cutOff(slow, now);
      this.#holdSome(slow, now);
    }
    this.#pool.serveWaiting();
    if (this.#pool.waitingCount > 0 && now - this.#exhaustedSince >= REPORT_AFTER_MS) this.#report(now);
    this.#pool.deadlines.set(this, now + INTERVAL_MS);
  }

  /** Exchanges that there is no connection for. */
  #wanted(now: number): number {
    return this.#pool.waitingCount + (now - this.#refusedAt < REFUSED_MS ? 1 : 0);
  }

  /** Measures every client that is waited for. Returns the connections of those that are too slow. */
  #review(now: number): ReviewedConnection[] {
    const slow: ReviewedConnection[] = [];
    for (const connection of this.#pool.connections) {
      if (connection.countsAs === COUNTS_AS.stream) continue;
      if (isSlow(connection, now)) slow.push(connection);
      else if (connection.countsAs === COUNTS_AS.held) this.#limits.unhold(connection);
    }
    return slow;
  }

  /** Ends exchanges whose clients do not move, the slowest first, as far as holding them does not make enough room. */
  #cutOff(slow: readonly ReviewedConnection[], now: number): void {
    const { heldMax, held, room } = this.#limits;
    const pooled = slow.filter(({ countsAs }) => countsAs === COUNTS_AS.pooled).length;
    let missing = this.#wanted(now) - Math.max(0, room) - Math.min(pooled, heldMax - held);
    if (missing <= 0) return;
    const still = slow.filter(({ pace }) => pace!.patienceMs <= 0);
    still.sort((a, b) => a.pace!.patienceMs - b.pace!.patienceMs);
    for (const connection of still) {
      if (missing-- <= 0) return;
      connection.exchange?.fail('CLIENT_TOO_SLOW');
    }
  }

  #holdSome(slow: readonly ReviewedConnection[], now: number): void {
    for (const connection of slow) {
      if (this.#limits.room >= this.#wanted(now) || this.#limits.hasAllHeld) return;
      if (connection.exchange !== null && connection.countsAs === COUNTS_AS.pooled)
        this.#limits.hold(connection);
    }
  }

  #report(now: number): void {
    if (!this.#isCounted) this.#counters.poolExhausted();
    this.#isCounted = true;
    if (now - this.#reportedAt < REPORT_EVERY_MS) return;
    this.#reportedAt = now;
    let slowClients = 0;
    let longRunning = 0;
    for (const { countsAs, exchange } of this.#pool.connections) {
      if (countsAs !== COUNTS_AS.pooled || exchange === null) continue;
      if (exchange.waitsForClient) slowClients++;
      else if (exchange.ageMs(now) >= LONG_MS) longRunning++;
    }
    const { pooled, held } = this.#limits;
    const waiting = this.#pool.waitingCount;
    this.#pool.reportExhausted({ connections: pooled, longRunning, slowClients, held, waiting });
  }
}

/** True when the connection waits for its client alone, and that has been below the pace since the last review. */
function isSlow(connection: ReviewedConnection, now: number): boolean {
  const { exchange } = connection;
  if (exchange === null || !exchange.waitsForClient) {
    connection.pace = null;
    return false;
  }
  const bytes = exchange.clientBytes;
  const { pace } = connection;
  if (pace === null || pace.exchange !== connection.exchanges) {
    connection.pace = { exchange: connection.exchanges, bytes, at: now, patienceMs: CLIENT_PATIENCE_MS };
    return false;
  }
  return measure(pace, bytes, now);
}

/** Takes down what the client has moved by now. True when it was slower than the pace since the last review. */
export function measure(pace: ClientPace, bytes: number, now: number): boolean {
  const moved = bytes - pace.bytes;
  const elapsedMs = now - pace.at;
  const earnedMs = (moved * 1000) / PROGRESS_BYTES_PER_SECOND;
  pace.patienceMs = Math.min(CLIENT_PATIENCE_MAX_MS, pace.patienceMs + earnedMs - elapsedMs);
  pace.bytes = bytes;
  pace.at = now;
  return moved < (PACE_BYTES_PER_SECOND * elapsedMs) / 1000;
}

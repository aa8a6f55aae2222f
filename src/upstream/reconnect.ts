// Holds the exchanges of an upstream that refuses every connect, as one that restarts does, and lets one of them at a time
// try again. Nothing of them was sent, so any method may wait. It opens no connection itself. An outage that has just
// begun is waited out; in a longer one each exchange gets one more try, so that its failure is known soon.

import type { Cause, FaultCode } from '../errors.ts';
import type { UpstreamExchange } from '../transport/contracts.ts';
import type { Deadlines, Timed } from '../transport/deadlines.ts';

/** Time between two tries; up to half of it more, so that several splitters do not come at the same moment. */
const CONNECT_PAUSE_MS = 200;
/** How long after its beginning an outage is waited out at most. */
const OUTAGE_WINDOW_MS = 2000;

/** The exchanges that wait until one upstream accepts a connection. */
export class Reconnect implements Timed {
  deadline = Number.POSITIVE_INFINITY;
  readonly #deadlines: Deadlines;
  readonly #windowMs: number;
  readonly #tryAgain: (exchange: UpstreamExchange, now: number) => void;
  /** In order of arrival. */
  readonly #held = new Set<UpstreamExchange>();
  /** When the first connect was refused; -1 = the last one was not. */
  #downSince = -1;

  /** `tryAgain` connects for one exchange, which is no longer held. `limitMs`: the longest wait that the upstream allows. */
  constructor(
    deadlines: Deadlines,
    limitMs: number,
    tryAgain: (exchange: UpstreamExchange, now: number) => void,
  ) {
    this.#deadlines = deadlines;
    this.#windowMs = Math.min(OUTAGE_WINDOW_MS, limitMs);
    this.#tryAgain = tryAgain;
  }

  get size(): number {
    return this.#held.size;
  }

  has(exchange: UpstreamExchange): boolean {
    return this.#held.has(exchange);
  }

  /** Holds the exchange until the next tries. False when it has waited long enough. */
  hold(exchange: UpstreamExchange, now: number): boolean {
    if (this.#downSince < 0) this.#downSince = now;
    if (exchange.attempts.reconnectUntil === 0)
      exchange.attempts.reconnectUntil = Math.max(this.#downSince + this.#windowMs, now + CONNECT_PAUSE_MS);
    else if (now >= exchange.attempts.reconnectUntil) return false;
    if (this.#held.size === 0) {
      this.#deadlines.add(this);
      this.#deadlines.set(this, now + pause());
    }
    this.#held.add(exchange);
    return true;
  }

  /** The exchange no longer waits. Returns true when it did. */
  forget(exchange: UpstreamExchange): boolean {
    if (!this.#held.delete(exchange)) return false;
    if (this.#held.size === 0) this.#rest();
    return true;
  }

  /** The upstream accepts connections: returns those that were held, which are held no more. */
  accepted(): readonly UpstreamExchange[] {
    this.#downSince = -1;
    if (this.#held.size === 0) return NONE_HELD;
    const held = [...this.#held];
    this.#held.clear();
    this.#rest();
    return held;
  }

  /** A try was refused: ends those that have waited long enough. */
  refused(now: number, code: FaultCode, cause: Cause | null): void {
    for (const exchange of this.#held)
      if (now >= exchange.attempts.reconnectUntil) exchange.unreachable(code, now, cause);
  }

  onDeadline(now: number): void {
    for (const exchange of this.#held) {
      // Whatever becomes of this try, the others do not wait for its end.
      this.#deadlines.set(this, now + pause());
      this.#tryAgain(exchange, now);
      return;
    }
  }

  #rest(): void {
    this.#deadlines.remove(this);
    this.deadline = Number.POSITIVE_INFINITY;
  }
}

const NONE_HELD: readonly UpstreamExchange[] = [];

function pause(): number {
  return CONNECT_PAUSE_MS * (1 + Math.random() / 2);
}

// The queue of exchanges on one upstream connection: those whose requests were sent after the present one's and whose
// answers are read after its. It decides who may be sent along, who is next, and when the queue has waited long enough;
// the connection sends them elsewhere. Sources: RFC 9112 §9.3.2, docs/decisions/0019.

import type { UpstreamExchange } from '../transport/contracts.ts';
import type { Address } from './address.ts';

/** How long a pipelined request waits for the answers ahead of its own before it is sent again on its own. */
const QUEUE_PATIENCE_MS = 100;
const NO_EXCHANGES: readonly UpstreamExchange[] = [];

/** The queue of one connection, which owns it. It keeps the address's number of exchanges in flight. */
export class Pipeline {
  /** When the patience of the queue ends. */
  dueAt = Number.POSITIVE_INFINITY;
  /** The present exchange was in the queue before. */
  hasAdvanced = false;
  readonly #address: Address;
  /** In the order of their answers; null = one whose client has gone. */
  #queue: (UpstreamExchange | null)[] = [];
  /** No exchange may follow the one that came last. */
  #isClosed = false;

  constructor(address: Address) {
    this.#address = address;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  get length(): number {
    return this.#queue.length;
  }

  /** One more may be sent. `exchangesMax`: with the present one. */
  hasRoom(exchangesMax: number): boolean {
    return !this.#isClosed && this.#queue.length + 1 < exchangesMax;
  }

  /** The exchange is sent. A server that answers HEAD with a body would write it where the next answer is read. */
  sends(exchange: UpstreamExchange): void {
    this.#isClosed = exchange.isHead;
  }

  push(exchange: UpstreamExchange): void {
    this.#queue.push(exchange);
  }

  /** What was pushed has left: its patience begins. */
  begin(now: number): void {
    this.dueAt = now + QUEUE_PATIENCE_MS;
  }

  /** The client of one in the queue has gone. */
  drop(exchange: UpstreamExchange): void {
    const place = this.#queue.indexOf(exchange);
    if (place !== -1) this.#queue[place] = null;
  }

  /** The present exchange's answer has ended: the next one, or null when its client has gone. */
  shift(): UpstreamExchange | null {
    const next = this.#queue.shift() ?? null;
    if (next === null) this.#address.inFlight--;
    else {
      if (this.#queue.length === 0) this.dueAt = Number.POSITIVE_INFINITY;
      this.hasAdvanced = true;
    }
    return next;
  }

  /** Empties the queue and returns those whose clients are there. */
  takeAll(): readonly UpstreamExchange[] {
    this.dueAt = Number.POSITIVE_INFINITY;
    const queue = this.#queue;
    if (queue.length === 0) return NO_EXCHANGES;
    this.#queue = [];
    this.#address.inFlight -= queue.length;
    return queue.filter((exchange) => exchange !== null);
  }

  /** The connection has disappointed: nothing is pipelined to its address for a while, if something was here. */
  rest(): void {
    if (this.#queue.length > 0 || this.hasAdvanced) this.#address.restPipelining(performance.now());
  }
}

// Decides when a request on the admin port is answered: probes at once, everything else at a bounded rate, and never so
// many in one turn of the event loop that requests in the data plane have to wait. Knows no sockets.

/** Longest time that answers hold the event loop in one turn. */
const ANSWERING_MS = 2;
/** Tokens: an answer costs one, plus one per 128 KiB. */
const TOKENS_MAX = 100;
const TOKENS_PER_MS = 0.2;
const BYTES_PER_TOKEN = 131_072;
/** Pause before the queue is looked at again once the tokens are used up. */
const QUEUE_PAUSE_MS = 5;

/** Something that waits for its turn. */
export interface Waiting {
  /** Its turn has come. */
  proceed(): void;
}

/** The queue of one admin port, which owns it and stops it at its end. Who has entered leaves, or is called once. */
export class AnswerPace {
  readonly #probes = new Set<Waiting>();
  readonly #others = new Set<Waiting>();
  #tokens = TOKENS_MAX;
  #refilledAt = performance.now();
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Calls `proceed` in this turn of the event loop or a later one. */
  enter(waiting: Waiting, isProbe: boolean): void {
    (isProbe ? this.#probes : this.#others).add(waiting);
    if (isProbe || this.#timer === undefined) this.#immediate ??= setImmediate(this.#run);
  }

  leave(waiting: Waiting): void {
    this.#probes.delete(waiting);
    this.#others.delete(waiting);
  }

  /** An answer of this size is sent. */
  charge(byteCount: number): void {
    this.#tokens -= byteCount / BYTES_PER_TOKEN;
  }

  stop(): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    this.#probes.clear();
    this.#others.clear();
  }

  readonly #run = (): void => {
    this.#immediate = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const now = performance.now();
    this.#tokens = Math.min(TOKENS_MAX, this.#tokens + (now - this.#refilledAt) * TOKENS_PER_MS);
    this.#refilledAt = now;
    const until = now + ANSWERING_MS;
    for (const waiting of this.#probes) {
      this.#probes.delete(waiting);
      waiting.proceed();
      if (performance.now() > until) break;
    }
    for (const waiting of this.#others) {
      if (this.#tokens <= 0 || performance.now() > until) break;
      this.#others.delete(waiting);
      this.#tokens -= 1;
      waiting.proceed();
    }
    if (this.#probes.size > 0 || (this.#others.size > 0 && this.#tokens > 0)) {
      this.#immediate ??= setImmediate(this.#run);
    } else if (this.#others.size > 0) {
      this.#timer = setTimeout(this.#run, QUEUE_PAUSE_MS);
    }
  };
}

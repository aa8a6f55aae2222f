// Memory for bytes that connections of the admin port have received and not parsed yet. Buffers are used again, because
// garbage outside V8's heap is freed late and then stays with the process. Buffers for long heads are few: the connection
// that has had one for longest is evicted for the next. Knows neither sockets nor requests.

/** Size of an ordinary buffer: at least what one read brings. */
export const SHORT_BYTES = 2048;
/** Ordinary buffers that are kept. */
const SHORT_SPARES_MAX = 256;
/** Most bytes of a head, as in node:http. */
export const HEAD_BYTES_MAX = 16_384;
/** Size of a buffer for a long head: the longest one and another read. */
const LONG_BYTES = HEAD_BYTES_MAX + SHORT_BYTES;
/** Long heads that may be incomplete at the same time, and their buffers that are kept. */
const LONG_MAX = 64;
const LONG_SPARES_MAX = 16;

/** Who has a buffer. */
export interface HoldsBytes {
  /** Closes it to make room. It gives its buffer back soon after the call. */
  evict(): void;
}

/** The buffers of one admin port, which lives as long as the port. */
export class HeldMemory {
  readonly #shortSpares: Buffer[] = [];
  readonly #longSpares: Buffer[] = [];
  /** In the order in which they took their buffers. */
  readonly #longHolders = new Set<HoldsBytes>();

  /** A buffer for at least `byteCount` bytes; the holder gives it back. */
  take(byteCount: number, holder: HoldsBytes): Buffer {
    if (byteCount <= SHORT_BYTES) return this.#shortSpares.pop() ?? Buffer.allocUnsafeSlow(SHORT_BYTES);
    if (byteCount > LONG_BYTES) return Buffer.allocUnsafeSlow(byteCount);
    if (this.#longHolders.size >= LONG_MAX) {
      const [oldest] = this.#longHolders;
      this.#longHolders.delete(oldest!);
      oldest!.evict();
    }
    this.#longHolders.add(holder);
    return this.#longSpares.pop() ?? Buffer.allocUnsafeSlow(LONG_BYTES);
  }

  giveBack(buffer: Buffer, holder: HoldsBytes): void {
    if (buffer.length === SHORT_BYTES) {
      if (this.#shortSpares.length < SHORT_SPARES_MAX) this.#shortSpares.push(buffer);
    } else if (buffer.length === LONG_BYTES) {
      this.#longHolders.delete(holder);
      if (this.#longSpares.length < LONG_SPARES_MAX) this.#longSpares.push(buffer);
    }
  }
}

// Memory for bytes that connections of the admin port have received and not parsed yet. Buffers are used again, because
// garbage outside V8's heap is freed late and then stays with the process. The largest are few: the connection that has
// had one for longest is evicted for the next. Knows neither sockets nor requests.

/** Most bytes that one read brings; what a client sends ahead stays in the kernel. */
export const READ_BYTES = 2048;
/** Most bytes of a head, as in node:http. */
export const HEAD_BYTES_MAX = 16_384;

/** Who has a buffer. */
export interface HoldsBytes {
  /** Closes it to make room. It gives its buffer back during the call. */
  evict(): void;
}

/** Buffers of one size. */
class BufferPool {
  readonly byteCount: number;
  readonly #holdersMax: number;
  readonly #sparesMax: number;
  readonly #spares: Buffer[] = [];
  /** In the order in which they took their buffers. */
  readonly #holders = new Set<HoldsBytes>();

  constructor(byteCount: number, holdersMax: number, sparesMax: number) {
    this.byteCount = byteCount;
    this.#holdersMax = holdersMax;
    this.#sparesMax = sparesMax;
  }

  take(holder: HoldsBytes): Buffer {
    if (this.#holders.size >= this.#holdersMax) {
      const [oldest] = this.#holders;
      oldest!.evict();
      this.#holders.delete(oldest!);
    }
    this.#holders.add(holder);
    // Not from Node's pool: a small Buffer there would keep the whole pool block alive.
    return this.#spares.pop() ?? Buffer.allocUnsafeSlow(this.byteCount);
  }

  giveBack(buffer: Buffer, holder: HoldsBytes): void {
    this.#holders.delete(holder);
    if (this.#spares.length < this.#sparesMax) this.#spares.push(buffer);
  }
}

/** The buffers of one admin port, which lives as long as the port. */
export class HeldMemory {
  readonly #pools = [
    new BufferPool(READ_BYTES, Number.POSITIVE_INFINITY, 256),
    new BufferPool(4 * READ_BYTES, Number.POSITIVE_INFINITY, 128),
    // For the longest head and another read.
    new BufferPool(HEAD_BYTES_MAX + READ_BYTES, 128, 32),
  ];

  /** A buffer for at least `byteCount` bytes; the holder gives it back. */
  take(byteCount: number, holder: HoldsBytes): Buffer {
    const pool = this.#pools.find((one) => one.byteCount >= byteCount);
    return pool?.take(holder) ?? Buffer.allocUnsafeSlow(byteCount);
  }

  giveBack(buffer: Buffer, holder: HoldsBytes): void {
    this.#pools.find((one) => one.byteCount === buffer.length)?.giveBack(buffer, holder);
  }
}

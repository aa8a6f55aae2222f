// What a client that does not read has waiting for it: the bytes of responses that were read for it all the same, within
// the limits of the configuration, and whether it keeps up with the least rate. Source: docs/decisions/0022.

import type { Config } from '../config/options/document.ts';
import type { DownstreamCounters } from '../telemetry/counters.ts';
import type { Wire } from '../transport/wire.ts';

/** The backlog of one client, which owns it, from the first time that the client did not read until it has read all. */
export class Backlog {
  readonly #wire: Wire;
  readonly #counters: DownstreamCounters;
  /** Bytes of responses that were read whole or in part while the client did not read. */
  #bufferedBytes = 0;
  /** What had not left when the client was last seen to make progress. */
  #unsentMark = 0;

  constructor(wire: Wire, counters: DownstreamCounters) {
    this.#wire = wire;
    this.#counters = counters;
  }

  /** The client takes no more bytes for now. */
  begin(): void {
    this.#unsentMark = this.#unsentBytes;
  }

  /** Bytes that may still be read for this client. */
  roomWithin({ responseBuffer, responseBuffers }: Config['limits']): number {
    return Math.min(
      responseBuffer - this.#bufferedBytes,
      responseBuffers - this.#counters.responseBytesBuffered,
    );
  }

  add(byteCount: number): void {
    this.#bufferedBytes += byteCount;
    this.#counters.responseBuffered(byteCount);
  }

  clear(): void {
    if (this.#bufferedBytes > 0) this.#counters.responseBuffered(-this.#bufferedBytes);
    this.#bufferedBytes = 0;
  }

  /** The client has taken `limits.minimumRate` since it was last asked about. */
  keepsUp({ limits, timeouts }: Config): boolean {
    const taken = this.#unsentMark - this.#unsentBytes;
    if (taken < Math.max(1, (limits.minimumRate * timeouts.write) / 1000)) return false;
    this.#unsentMark -= taken;
    return true;
  }

  /** What was read before the client stopped reading and has not left. */
  get #unsentBytes(): number {
    return this.#wire.unsentBytes - this.#bufferedBytes;
  }
}

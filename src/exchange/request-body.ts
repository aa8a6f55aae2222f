// The body of a request on its way to the upstream: counted against its framing and its limit, its chunks decoded and
// encoded anew, and whether it can be sent a second time. When it may go on, and where to, is the exchange's business.
// Sources: RFC 9112 §6-7, RFC 9110 §9.2.2.

import { type Cause, type FaultCode, limitOf } from '../errors.ts';
import { ChunkedDecoder, chunkHead } from '../http1/chunked.ts';
import { BODY, type RequestFraming } from '../http1/framing.ts';
import type { FieldSection } from '../http1/head.ts';
import type { Wire } from '../transport/wire.ts';

/** One body at a time: `begin` before each. */
export class RequestBody {
  /** Every byte has been given to the upstream's socket. */
  isSent = false;
  /** Why it goes no further. */
  fault: FaultCode | null = null;
  /** Bytes that are still to come of one with a length; of a chunked one, those that have come. */
  #byteCount = 0;
  #bytesMax = 0;
  #decoder: ChunkedDecoder | null = null;
  /** Where all of it is in the memory of the head, when it came in one piece with it. */
  #keptStart = 0;
  #keptEnd = 0;

  begin(framing: RequestFraming): void {
    this.isSent = framing.body === BODY.none;
    this.fault = null;
    this.#byteCount = framing.body === BODY.length ? framing.length : 0;
    this.#keptStart = 0;
    this.#keptEnd = 0;
    if (framing.body === BODY.chunked) {
      this.#decoder ??= new ChunkedDecoder(false);
      this.#decoder.reset();
    }
  }

  /** The most that it may have, in bytes. False when it says itself that it has more. */
  limit(framing: RequestFraming, bytesMax: number): boolean {
    this.#bytesMax = bytesMax;
    return framing.body !== BODY.length || framing.length <= bytesMax;
  }

  /** Which rule a refused chunked body broke, as text. To be called while the bytes are there. */
  describeFault(): string {
    return this.#decoder!.describeFault();
  }

  /** The limit that it exceeds. */
  describeLimit(): Cause {
    return limitOf('limits.requestBody', this.#bytesMax, 'bytes');
  }

  /** All of it is still there. */
  get isKept(): boolean {
    return this.#keptEnd > this.#keptStart;
  }

  /** Writes what is kept once more. `headBytes`: the memory of its head. */
  sendAgain(wire: Wire, headBytes: Buffer): void {
    if (this.isKept) wire.write(headBytes, this.#keptStart, this.#keptEnd);
  }

  /** The trailer section of a chunked body that has been sent. */
  get trailers(): FieldSection {
    return this.#decoder!.trailers;
  }

  /**
   * Takes body bytes from bytes[from, to) and writes them. Returns the position up to which they belong to the body, or
   * up to which they were read before `fault` was set. They are valid during the call; those that came with the head stay.
   */
  relay(
    wire: Wire,
    framing: RequestFraming,
    headBytes: Buffer,
    bytes: Buffer,
    from: number,
    to: number,
  ): number {
    if (framing.body === BODY.chunked) return this.#relayChunks(wire, bytes, from, to);
    const end = Math.min(to, from + this.#byteCount);
    if (this.#byteCount === framing.length && end - from === framing.length)
      this.#keep(headBytes, bytes, from, end);
    this.#byteCount -= end - from;
    this.isSent = this.#byteCount === 0;
    wire.write(bytes, from, end);
    return end;
  }

  /** What was held of a client's bytes is a view of the same memory as the head. */
  #keep(headBytes: Buffer, bytes: Buffer, from: number, end: number): void {
    const shift = bytes.byteOffset - headBytes.byteOffset;
    if (bytes.buffer !== headBytes.buffer || shift < 0 || shift + end > headBytes.length) return;
    this.#keptStart = shift + from;
    this.#keptEnd = shift + end;
  }

  #relayChunks(wire: Wire, bytes: Buffer, from: number, to: number): number {
    const decoder = this.#decoder!;
    let position = from;
    while (position < to && !decoder.isDone) {
      position = decoder.nextJoined(bytes, position, to);
      const { dataStart, dataEnd } = decoder;
      this.#byteCount += dataEnd - dataStart;
      if (decoder.isRefused) this.fault = 'BAD_CHUNK';
      else if (this.#byteCount > this.#bytesMax) this.fault = 'BODY_TOO_LARGE';
      if (this.fault !== null) return position;
      if (dataEnd > dataStart) {
        wire.gather().text(chunkHead(dataEnd - dataStart));
        wire.write(bytes, dataStart, dataEnd);
        wire.gather().text('\r\n');
      }
    }
    this.isSent = decoder.isDone;
    return position;
  }
}

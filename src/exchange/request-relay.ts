// A request on its way to the upstream: its head, rewritten, and its body, counted against its framing and its limit and
// encoded again, and whether it can be sent a second time. When it may go on, and where, is the exchange's decision.
// Sources: RFC 9112 §6-7, RFC 9110 §7.8, §9.2.2.

import { type Cause, causeOf, type FaultCode, limitOf } from '../errors.ts';
import { CHUNK_END, ChunkedDecoder, chunkHead, LAST_CHUNK_END } from '../http1/chunked.ts';
import { type RequestEdit, type RequestRewrite, writeRequestHead } from '../http1/forward-request.ts';
import type { ForwardedFacts } from '../http1/forwarded.ts';
import { BODY, type RequestFraming } from '../http1/framing.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { writeLastChunk } from '../http1/trailers.ts';
import type { Wire } from '../transport/wire.ts';
import { mayRepeat, mayShareConnection } from './retry.ts';

/** Memory that is kept for the heads of requests; one that needed more than the second gives it back. */
const KEPT_BYTES = 2048;
const KEPT_BYTES_MAX = 16_384;

/** One request at a time, for the exchange that owns it; `reset` before each. */
export class RequestRelay {
  /** Every byte has been given to the upstream's socket. */
  isSent = false;
  /** Why the body goes no further. */
  fault: FaultCode | null = null;
  /** How the request is edited, each time it is sent; null = not at all. */
  edit: RequestEdit | null = null;
  /** The Upgrade that the client asked for is one that may pass. */
  passesUpgrade = false;
  readonly #head: RequestHead;
  readonly #framing: RequestFraming;
  #kept: Buffer = Buffer.allocUnsafeSlow(KEPT_BYTES);
  #headEnd = 0;
  /** How the request was rewritten for the server that it was sent to last. */
  #rewrite: RequestRewrite | null = null;
  /** Bytes that are still to come of a body with a length; of a chunked one, those that have come. */
  #byteCount = 0;
  #bytesMax = 0;
  #decoder: ChunkedDecoder | null = null;
  /** Where all of the body is, when it came in one piece with the head: in the memory of the head, or a copy. */
  #keptBody: Buffer | null = null;
  #keptStart = 0;
  #keptEnd = 0;
  /** Bytes that came with the head in one piece and were not kept with it. */
  #followers = 0;
  /** The whole body is among them. */
  #followsWhole = false;

  constructor(head: RequestHead, framing: RequestFraming) {
    this.#head = head;
    this.#framing = framing;
  }

  /** A request has come, and its head ends at `headEnd`. `upgrades`: protocols that may pass, in lower case. */
  reset(headEnd: number, upgrades: ReadonlySet<string>): void {
    const framing = this.#framing;
    this.#headEnd = headEnd;
    this.edit = null;
    this.passesUpgrade = framing.upgradeEnd > framing.upgradeStart && upgrades.has(this.#protocol());
    this.isSent = framing.body === BODY.none;
    this.fault = null;
    this.#byteCount = framing.body === BODY.length ? framing.length : 0;
    this.#keptBody = null;
    this.#followsWhole = framing.body === BODY.length && framing.length <= this.#followers;
    this.#followers = 0;
    if (framing.body === BODY.chunked) {
      this.#decoder ??= new ChunkedDecoder(false);
      this.#decoder.reset();
    }
  }

  /** Refers to nothing of its request any more. */
  release(): void {
    this.edit = null;
    this.#rewrite = null;
    this.#keptBody = null;
    this.#followers = 0;
    this.#head.release();
    if (this.#kept.length > KEPT_BYTES_MAX) this.#kept = Buffer.allocUnsafeSlow(KEPT_BYTES);
  }

  /** Copies bytes[from, to) to where they stay until the next request; contracts.ts says what `followers` are. */
  keep(bytes: Buffer, from: number, to: number, followers: number): Buffer {
    const byteCount = to - from;
    this.#followers = followers;
    if (byteCount > this.#kept.length)
      this.#kept = Buffer.allocUnsafeSlow(Math.max(byteCount, this.#kept.length * 2));
    bytes.copy(this.#kept, 0, from, to);
    return this.#kept;
  }

  /** The most that the body may have, in bytes. False when it says itself that it has more. */
  limit(bytesMax: number): boolean {
    this.#bytesMax = bytesMax;
    return this.#framing.body !== BODY.length || this.#framing.length <= bytesMax;
  }

  /** Why `fault` is set, or the limit was exceeded. To be called while the bytes are there. */
  describeFault(): Cause {
    return this.fault === 'BAD_CHUNK'
      ? causeOf(this.#decoder!.describeFault())
      : limitOf('limits.requestBody', this.#bytesMax, 'bytes');
  }

  /** The request may be sent along with others on one connection. */
  get mayShareConnection(): boolean {
    return !this.passesUpgrade && mayShareConnection(this.#head, this.#framing);
  }

  /** The request may be sent again. `bytesReceived`: what has come of it, its head included. */
  mayRepeat(wasSent: boolean, bytesReceived: number): boolean {
    const isBodyThere = this.#keptBody !== null || bytesReceived === this.#headEnd - this.#head.start;
    return mayRepeat(this.#head, this.#framing, wasSent, isBodyThere);
  }

  /** True when these values of Upgrade name the one protocol that the client asked for and may have (RFC 9110 §7.8). */
  awaitsSwitchTo(protocols: readonly Uint8Array[]): boolean {
    if (!this.passesUpgrade || protocols.length !== 1) return false;
    return Buffer.from(protocols[0]!).toString('latin1').toLowerCase() === this.#protocol();
  }

  #protocol(): string {
    const { upgradeStart, upgradeEnd } = this.#framing;
    return this.#head.bytes.toString('latin1', upgradeStart, upgradeEnd).toLowerCase();
  }

  /** Writes the head, and the body as far as it was sent before. */
  send(wire: Wire, rewrite: RequestRewrite, facts: ForwardedFacts): void {
    const head = this.#head;
    this.#rewrite = rewrite;
    writeRequestHead(
      wire.gather(),
      head,
      this.#framing,
      this.#headEnd,
      rewrite,
      facts,
      this.passesUpgrade,
      this.edit,
    );
    if (this.#keptBody !== null) wire.write(this.#keptBody, this.#keptStart, this.#keptEnd);
  }

  /**
   * Takes body bytes from bytes[from, to) and writes them. Returns the position up to which they belong to the body, or
   * up to which they were read before `fault` was set. They are valid during the call; those that came with the head stay.
   */
  relay(wire: Wire, bytes: Buffer, from: number, to: number): number {
    const framing = this.#framing;
    if (framing.body === BODY.chunked) return this.#relayChunks(wire, bytes, from, to);
    const end = Math.min(to, from + this.#byteCount);
    if (this.#byteCount === framing.length && end - from === framing.length) this.#keepBody(bytes, from, end);
    this.#byteCount -= end - from;
    this.isSent = this.#byteCount === 0;
    wire.write(bytes, from, end, this.#isFrontFree(bytes));
    return end;
  }

  /** What is before the body in `bytes` is needed no more: it is not the head. */
  #isFrontFree(bytes: Buffer): boolean {
    return bytes.buffer !== this.#head.bytes.buffer;
  }

  /** What was held of a client's bytes is a view of the same memory as the head. */
  #keepBody(bytes: Buffer, from: number, end: number): void {
    const headBytes = this.#head.bytes;
    const shift = bytes.byteOffset - headBytes.byteOffset;
    if (bytes.buffer === headBytes.buffer && shift >= 0 && shift + end <= headBytes.length) {
      this.#keptBody = headBytes;
      this.#keptStart = shift + from;
      this.#keptEnd = shift + end;
    } else if (this.#followsWhole) {
      this.#keptBody = Buffer.from(bytes.subarray(from, end));
      this.#keptStart = 0;
      this.#keptEnd = end - from;
    }
  }

  #relayChunks(wire: Wire, bytes: Buffer, from: number, to: number): number {
    const decoder = this.#decoder!;
    const isFrontFree = this.#isFrontFree(bytes);
    let position = from;
    while (position < to && !decoder.isDone) {
      position = decoder.nextJoined(bytes, position, to);
      const { dataStart, dataEnd } = decoder;
      this.#byteCount += dataEnd - dataStart;
      if (decoder.isRefused) this.fault = 'BAD_CHUNK';
      else if (this.#byteCount > this.#bytesMax) this.fault = 'BODY_TOO_LARGE';
      if (this.fault !== null) return position;
      if (dataEnd > dataStart) {
        this.isSent = decoder.isDone && decoder.trailers.count === 0;
        wire.gather().text(chunkHead(dataEnd - dataStart));
        wire.write(bytes, dataStart, dataEnd, isFrontFree, this.isSent ? LAST_CHUNK_END : CHUNK_END);
        if (this.isSent) return position;
      }
    }
    if (decoder.isDone) {
      this.isSent = true;
      writeLastChunk(wire.gather(), decoder.trailers, this.#framing, this.#droppedTrailers());
    }
    return position;
  }

  /** Fields that no trailer of the request may add. */
  #droppedTrailers(): readonly Uint8Array[] | null {
    const { set = null } = this.#rewrite!;
    const { edit } = this;
    if (set === null || edit === null) return set?.names ?? edit?.droppedFields ?? null;
    return [...set.names, ...edit.droppedFields];
  }
}

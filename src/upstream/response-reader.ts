// Reads the responses of one upstream connection strictly and says where each of them ends. Heads and bodies go to the
// exchange that waits for them; what follows a response, and what a failure means, is the connection's decision.
// Sources: RFC 9112 §4, §6, §7.

import { causeOf, type FaultCode } from '../errors.ts';
import { ChunkedDecoder } from '../http1/chunked.ts';
import { type HeadLimits, INCOMPLETE, REFUSED } from '../http1/fields.ts';
import { BODY, ResponseFraming } from '../http1/framing.ts';
import { ResponseHead } from '../http1/response-head.ts';
import type { UpstreamExchange } from '../transport/contracts.ts';
import { HeldRoom } from '../transport/held.ts';

/** A head that comes in one piece is read and written within one call: one of them is enough, and stays in the cache. */
const sharedHead = new ResponseHead();

/** How much earlier than an upstream says it closes an idle connection it is closed here; half the time when that is less. */
const KEEP_ALIVE_MARGIN_MS = 1000;

/** Interim responses to one request; more is a flood. */
const INTERIM_MAX = 32;
export const TOO_MANY_INTERIMS = causeOf(`more than ${INTERIM_MAX} interim responses arrived`);

export const ANSWER_UNASKED = causeOf('bytes arrived before the request was sent');

const PART = { head: 0, length: 1, chunked: 2, close: 3 } as const;

/**
 * Unrequested bytes begin like an answer. A 408 is none: with it a server may say why it closes an idle connection
 * (RFC 9110 §15.5.9).
 */
export function beginsAnswer(bytes: Buffer, from: number, to: number): boolean {
  const text = bytes.toString('latin1', from, Math.min(to, from + 13));
  return 'HTTP/'.startsWith(text.slice(0, 5)) && text.slice(8) !== ' 408 ';
}

/** The reader of one connection, which owns it; `reset` before each response. */
export class ResponseReader {
  readonly framing = new ResponseFraming();
  /** The head that is being read: the one that all connections share, or its own for a head that came in pieces. */
  head = sharedHead;
  /** Why a response was refused. */
  fault: FaultCode | null = null;
  readonly #limits: HeadLimits;
  #part: number = PART.head;
  #decoder: ChunkedDecoder | null = null;
  #remaining = 0;
  #interims = 0;
  /** The beginning of a head. */
  #held: Buffer | null = null;
  #room: HeldRoom | null = null;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  reset(): void {
    this.#part = PART.head;
    this.#interims = 0;
    this.head = sharedHead;
  }

  /** How long its connection may be idle, as far as the upstream has said, in milliseconds. */
  get idleLimitMs(): number {
    const { idleSeconds } = this.framing;
    if (idleSeconds < 0) return Number.POSITIVE_INFINITY;
    const limitMs = idleSeconds * 1000;
    // The upstream began to count earlier, and a request takes a moment to reach it.
    return limitMs - Math.min(KEEP_ALIVE_MARGIN_MS, limitMs / 2);
  }

  get isInHead(): boolean {
    return this.#part === PART.head;
  }

  /** Nothing of the next head has come. */
  get isBetween(): boolean {
    return this.#part === PART.head && this.#held === null;
  }

  /** Not one byte of a response has come. */
  get isSilent(): boolean {
    return this.#part === PART.head && this.#held === null && this.#interims === 0;
  }

  /** The body that is being read ends with its connection. */
  get endsWithConnection(): boolean {
    return this.#part === PART.close;
  }

  /** Bytes of the body that are still to be read; -1 = unknown. */
  get bytesLeft(): number {
    return this.#part === PART.length ? this.#remaining : -1;
  }

  /** The body that is being read has ended. */
  get isDone(): boolean {
    if (this.#part === PART.length) return this.#remaining === 0;
    return this.#part === PART.chunked && this.#decoder!.isDone;
  }

  /** Which rule the refused response broke. To be called while the bytes are there. */
  describeFault(): string {
    if (this.#part === PART.chunked) return this.#decoder!.describeFault();
    return this.head.fault === null ? this.framing.describeFault() : this.head.describeFault();
  }

  /** What is held of a head and bytes[from, to) in one piece; null when nothing is held. */
  join(bytes: Buffer, from: number, to: number): Buffer | null {
    if (this.#held === null) return null;
    this.#room ??= new HeldRoom();
    const joined = this.#room.join(this.#held, bytes, from, to);
    this.#held = null;
    return joined;
  }

  /** Holds nothing any more. */
  drop(): void {
    this.#held = null;
  }

  /** Reads a head. Returns the position after it, INCOMPLETE, or REFUSED with `fault`. */
  readHead(bytes: Buffer, from: number, to: number, isHead: boolean): number {
    if (this.head === sharedHead) {
      sharedHead.limits = this.#limits;
      sharedHead.reset();
    }
    const end = this.head.parse(bytes, from, to);
    if (end === INCOMPLETE) {
      this.#hold(bytes, from, to);
      return INCOMPLETE;
    }
    this.#room = null;
    this.fault = end === REFUSED ? this.head.fault : this.framing.read(this.head, isHead);
    return this.fault === null ? end : REFUSED;
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    // What has been parsed of it goes on in a head that is not shared, from its beginning.
    if (this.head === sharedHead) {
      const head = new ResponseHead();
      head.limits = this.#limits;
      head.reset();
      head.parse(bytes, from, to);
      this.head = head;
    }
    // What was joined stays where it is; all else is another connection's memory a moment later.
    this.#held = this.#room === null ? Buffer.from(bytes.subarray(from, to)) : bytes.subarray(from, to);
  }

  /** The head was an interim one: another one follows. False when there have been too many. */
  nextHead(): boolean {
    this.head = sharedHead;
    return ++this.#interims <= INTERIM_MAX;
  }

  /** The head was the final one: its body is read next. False when it has none. */
  beginBody(): boolean {
    switch (this.framing.body) {
      case BODY.none:
        return false;
      case BODY.length:
        this.#part = PART.length;
        this.#remaining = this.framing.length;
        return true;
      case BODY.chunked:
        this.#part = PART.chunked;
        this.#decoder ??= new ChunkedDecoder(true);
        this.#decoder.reset();
        return true;
      default:
        this.#part = PART.close;
        return true;
    }
  }

  /** Hands body bytes to the exchange. Returns the position up to which they belong to the body, or REFUSED. */
  readBody(bytes: Buffer, from: number, to: number, exchange: UpstreamExchange): number {
    if (this.#part === PART.length) {
      const end = Math.min(to, from + this.#remaining);
      this.#remaining -= end - from;
      exchange.receiveResponseBody(bytes, from, end, false);
      return end;
    }
    if (this.#part === PART.chunked) {
      const decoder = this.#decoder!;
      const end = decoder.nextJoined(bytes, from, to);
      const { dataStart, dataEnd } = decoder;
      if (dataEnd > dataStart)
        exchange.receiveResponseBody(
          bytes,
          dataStart,
          dataEnd,
          decoder.isDone && decoder.trailers.count === 0,
        );
      if (decoder.isRefused) return REFUSED;
      if (decoder.isDone) exchange.receiveResponseTrailers(decoder.trailers, this.framing);
      return end;
    }
    exchange.receiveResponseBody(bytes, from, to, false);
    return to;
  }
}

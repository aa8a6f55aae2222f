// One connection of the admin port: reads a request, waits for its answer, sends it, and only then reads the next one.
// Every phase has a time limit and bounded memory, whatever the client sends or does not read. What is answered and who may
// ask is decided elsewhere. Source: RFC 9112 §9.3.

import type { Socket } from 'node:net';
import { REFUSED, RequestHead } from '../http1/head.ts';
import type { Deadlines, Timed } from '../transport/deadlines.ts';
import { type ReadMemory, Wire, type WireOwner } from '../transport/wire.ts';
import type { Pace, Waiting } from './pace.ts';
import { type AdminRequest, type Answer, readRequest, refusal, writeHead } from './request.ts';

/** From the connect to the first byte of a request. */
const FIRST_BYTE_MS = 2000;
/** From the first byte of a head to its last. */
const HEAD_MS = 5000;
/** From a complete request to the last byte of its answer, and without any progress meanwhile. */
const ANSWER_MS = 30_000;
const STALLED_MS = 10_000;
/** Between two requests: longer than most scrape intervals. */
const IDLE_MS = 75_000;
/** For a client to read the last answer and close. */
const LINGER_MS = 1000;
/** As node:http has it. */
const HEAD_BYTES_MAX = 16_384;
/** Readers of heads that are kept for the next request. */
const SPARE_HEADS_MAX = 16;
/** An answer is written in parts of this size, each once the one before has left. */
const PART_BYTES = 65_536;

/** What a connection is doing. */
export const PHASE = {
  /** No byte of a request yet. */
  silent: 'silent',
  /** Part of a head. */
  head: 'head',
  /** The request waits for its answer. */
  waiting: 'waiting',
  /** The answer is being sent. */
  sending: 'sending',
  /** Answered; the next request may come. */
  idle: 'idle',
  /** Answered for the last time; what the client still sends is thrown away, as a reset could destroy the answer. */
  lingering: 'lingering',
} as const;
type Phase = (typeof PHASE)[keyof typeof PHASE];

/** Why a connection was closed though its client had not finished. */
export type DropReason = 'timeout' | 'evicted' | 'accept_failed';

/** What a connection needs of its port. */
export interface ConnectionOwner {
  readonly deadlines: Deadlines;
  readonly pace: Pace;
  readonly readMemory: ReadMemory;
  answer(request: AdminRequest): Answer | Promise<Answer>;
  isProbe(request: AdminRequest): boolean;
  closed(connection: Connection): void;
  drop(reason: DropReason): void;
  /** It has begun to send an answer, whose memory it holds until the end. */
  sending(connection: Connection): void;
}

const NOTHING = Buffer.alloc(0);
const spareHeads: RequestHead[] = [];

export class Connection implements WireOwner, Timed, Waiting {
  deadline = Number.POSITIVE_INFINITY;
  phase: Phase = PHASE.silent;
  /** `performance.now()` of the last progress: a request that is complete, a part that was sent. */
  progressAt: number;
  /** The answer that is being sent. */
  answer: Answer | null = null;
  readonly acceptedAt: number;
  readonly #owner: ConnectionOwner;
  readonly #wire: Wire;
  readonly #socket: Socket;
  /** Only while part of a head is there. */
  #head: RequestHead | null = null;
  /** Bytes that have not been parsed to an end: held[0, heldLength). */
  #held = NOTHING;
  #heldLength = 0;
  #request: AdminRequest | null = null;
  #keepAlive = false;
  #answerBy = 0;
  #sent = 0;
  /** The client has ended its side. */
  #hasEnded = false;

  constructor(owner: ConnectionOwner, socket: Socket, now: number) {
    this.#owner = owner;
    this.#socket = socket;
    this.progressAt = now;
    this.acceptedAt = now;
    this.#wire = new Wire(socket, this, true);
    owner.deadlines.add(this);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    socket.on('end', this.#onEnd);
    this.#setDeadline(now + FIRST_BYTE_MS);
    this.#wire.startReading(owner.readMemory);
  }

  received(bytes: Buffer, from: number, to: number): void {
    if (this.phase === PHASE.lingering) return;
    const isBusy = this.phase === PHASE.waiting || this.phase === PHASE.sending;
    if (this.#heldLength === 0 && !isBusy) return this.#read(bytes, from, to, performance.now());
    this.#hold(bytes, from, to);
    if (!isBusy) this.#read(this.#held, 0, this.#heldLength, performance.now());
  }

  /** The time limit of its phase has passed. */
  onDeadline(): void {
    if (this.phase !== PHASE.idle && this.phase !== PHASE.lingering) this.#owner.drop('timeout');
    this.#socket.destroy();
  }

  /** Makes room for others. */
  evict(): void {
    this.#owner.drop('evicted');
    this.#socket.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Its turn has come. */
  proceed(): void {
    const request = this.#request;
    if (request === null || this.#socket.destroyed) return;
    const answer = this.#owner.answer(request);
    if (answer instanceof Promise) void this.#sendLater(answer, request);
    else this.#send(answer, request);
  }

  // Writes go to the socket itself, so the Wire never gathers or blocks.
  flushed(): void {}
  blocked(): void {}
  drained(): void {}
  writeFailed(): boolean {
    return false;
  }

  readonly #onError = (): void => {
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#owner.deadlines.remove(this);
    this.#owner.pace.leave(this);
    this.#release();
    this.#held = NOTHING;
    this.#request = null;
    this.#giveBackHead();
    this.#owner.closed(this);
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    // A request that is complete is answered; nothing else can come any more.
    if (this.phase !== PHASE.waiting && this.phase !== PHASE.sending) this.#socket.end();
  };

  /** Parses bytes[from, to), which may be those that are held; at most one request is taken. */
  #read(bytes: Buffer, from: number, to: number, now: number): void {
    let start = from;
    // RFC 9112 §2.2: an empty line before a request is skipped.
    while (this.phase !== PHASE.head && start < to && (bytes[start] === 13 || bytes[start] === 10))
      start += 1;
    if (start === to) {
      this.#heldLength = 0;
      return;
    }
    const head = this.#takeHead();
    const end = head.parse(bytes, start, to);
    if (end === REFUSED) return this.#refuse(refusal(head.fault ?? 'BAD_REQUEST_LINE'), now);
    if ((end < 0 ? to : end) - start > HEAD_BYTES_MAX) return this.#refuse(refusal('HEAD_TOO_LARGE'), now);
    if (end < 0) {
      if (bytes !== this.#held || start > 0) this.#holdOnly(bytes, start, to);
      if (this.phase !== PHASE.head) this.#setDeadline(now + HEAD_MS);
      this.phase = PHASE.head;
      return;
    }
    const read = readRequest(head);
    this.#giveBackHead();
    this.#holdOnly(bytes, end, to);
    if ('status' in read) return this.#refuse(read, now);
    this.#wire.pause();
    this.phase = PHASE.waiting;
    this.progressAt = now;
    this.#answerBy = now + ANSWER_MS;
    this.#setDeadline(this.#answerBy);
    this.#request = read;
    this.#owner.pace.enter(this, this.#owner.isProbe(read));
  }

  #takeHead(): RequestHead {
    if (this.#head !== null) return this.#head;
    this.#head = spareHeads.pop() ?? new RequestHead();
    this.#head.reset();
    return this.#head;
  }

  #giveBackHead(): void {
    const head = this.#head;
    if (head === null) return;
    this.#head = null;
    head.release();
    if (spareHeads.length < SPARE_HEADS_MAX) spareHeads.push(head);
  }

  /** Keeps bytes[from, to) and nothing else. */
  #holdOnly(bytes: Buffer, from: number, to: number): void {
    const rest = bytes.subarray(from, to);
    this.#held = NOTHING;
    this.#heldLength = 0;
    if (rest.length > 0) this.#hold(rest, 0, rest.length);
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    const length = this.#heldLength + to - from;
    if (length > this.#held.length) {
      // Memory of its own size: a small Buffer would keep a whole slab of Node's.
      const larger = Buffer.allocUnsafeSlow(Math.max(length, this.#held.length * 2));
      this.#held.copy(larger, 0, 0, this.#heldLength);
      this.#held = larger;
    }
    bytes.copy(this.#held, this.#heldLength, from, to);
    this.#heldLength = length;
  }

  #refuse(answer: Answer, now: number): void {
    this.#wire.pause();
    this.#giveBackHead();
    this.#heldLength = 0;
    this.#answerBy = now + ANSWER_MS;
    this.#send(answer, null);
  }

  async #sendLater(later: Promise<Answer>, request: AdminRequest): Promise<void> {
    const answer = await later;
    if (this.#request === request) this.#send(answer, request);
    else answer.body.release();
  }

  /** Sends an answer whose body is held for this connection. */
  #send(answer: Answer, request: AdminRequest | null): void {
    const { bytes } = answer.body;
    this.answer = answer;
    this.phase = PHASE.sending;
    this.#keepAlive = request?.keepAlive === true && !this.#hasEnded;
    this.#sent = request?.method === 'HEAD' ? bytes.length : 0;
    this.#owner.pace.charge(bytes.length - this.#sent);
    this.#owner.sending(this);
    const head = writeHead(answer, this.#keepAlive);
    if (bytes.length - this.#sent === 0) {
      this.#socket.write(head, 'latin1', this.#onSent);
    } else {
      this.#socket.cork();
      this.#socket.write(head, 'latin1');
      this.#sendPart();
      this.#socket.uncork();
    }
    this.#progress(performance.now());
  }

  #sendPart(): void {
    const { bytes } = this.answer!.body;
    const part = bytes.subarray(this.#sent, this.#sent + PART_BYTES);
    this.#sent += part.length;
    this.#socket.write(part, this.#onSent);
  }

  readonly #onSent = (cause?: Error | null): void => {
    if (cause || this.answer === null || this.#socket.destroyed) return;
    const now = performance.now();
    if (this.#sent < this.answer.body.bytes.length) {
      this.#sendPart();
      this.#progress(now);
      return;
    }
    this.#release();
    this.#request = null;
    if (this.#keepAlive) this.#becomeIdle(now);
    else this.#linger(now);
  };

  #progress(now: number): void {
    this.progressAt = now;
    this.#setDeadline(Math.min(this.#answerBy, now + STALLED_MS));
  }

  #becomeIdle(now: number): void {
    this.phase = PHASE.idle;
    this.progressAt = now;
    this.#setDeadline(now + IDLE_MS);
    if (this.#heldLength > 0) this.#read(this.#held, 0, this.#heldLength, now);
    if (this.phase === PHASE.idle || this.phase === PHASE.head) this.#wire.resume();
  }

  #linger(now: number): void {
    this.phase = PHASE.lingering;
    this.#held = NOTHING;
    this.#heldLength = 0;
    this.#setDeadline(now + LINGER_MS);
    this.#socket.end();
    this.#wire.resume();
  }

  #release(): void {
    this.answer?.body.release();
    this.answer = null;
  }

  #setDeadline(at: number): void {
    this.#owner.deadlines.set(this, at);
  }
}

// One connection of the admin port: reads a request, waits for its answer, sends it, and only then reads the next one.
// Every phase has a time limit and bounded memory, whatever the client sends or does not read. What is answered and who may
// ask is decided elsewhere. Source: RFC 9112 §9.3.

import type { Socket } from 'node:net';
import { CR, LF } from '../bytes.ts';
import { REFUSED } from '../http1/fields.ts';
import { RequestHead } from '../http1/request-head.ts';
import type { Deadlines, Timed } from '../transport/deadlines.ts';
import type { ReadMemory } from '../transport/read-memory.ts';
import { Wire, type WireOwner } from '../transport/wire.ts';
import { HEAD_BYTES_MAX, type HeldMemory, type HoldsBytes } from './held-bytes.ts';
import type { AnswerPace, Waiting } from './pace.ts';
import { type AdminRequest, type Answer, readAdminRequest, refusal, writeHead } from './request.ts';

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
const LAST_READ_MS = 1000;
/** An answer is written in parts of this size, each once the one before has left. */
const PART_BYTES = 65_536;
/** A body up to this size is written together with its head. */
const SHORT_ANSWER_BYTES = 1024;

/** What a connection is doing. */
export const ADMIN_PHASE = {
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
type Phase = (typeof ADMIN_PHASE)[keyof typeof ADMIN_PHASE];

/** Why a connection was closed though its client had not finished. */
export type DropReason = 'timeout' | 'evicted' | 'accept_failed';

/** What a connection needs of its port. */
export interface AdminPort {
  readonly deadlines: Deadlines;
  readonly pace: AnswerPace;
  readonly readMemory: ReadMemory;
  readonly heldMemory: HeldMemory;
  answer(request: AdminRequest): Answer | Promise<Answer>;
  isProbe(request: AdminRequest): boolean;
  closed(connection: AdminConnection): void;
  drop(reason: DropReason): void;
  /** It has begun to send an answer, whose memory it holds until the end. */
  sending(connection: AdminConnection): void;
}

/** Reads the heads of all connections: a head is read from its start each time that a line of it has ended. */
const head = new RequestHead();

/** What `head.parse` made of bytes[start, to): a request, the answer that refuses it, or null for part of a head. */
function requestOf(end: number, start: number, to: number): AdminRequest | Answer | null {
  if (end === REFUSED) return refusal(head.fault ?? 'BAD_REQUEST_LINE');
  if ((end < 0 ? to : end) - start > HEAD_BYTES_MAX) return refusal('HEAD_TOO_LARGE');
  return end < 0 ? null : readAdminRequest(head);
}

/**
 * One client. Answers its requests one by one and in order, and ends by itself: every phase has a time limit. Its port owns
 * it from accept to close and may evict it.
 */
export class AdminConnection implements WireOwner, Timed, Waiting, HoldsBytes {
  deadline = Number.POSITIVE_INFINITY;
  phase: Phase = ADMIN_PHASE.silent;
  /** `performance.now()` of the last progress: a request that is complete, a part that was sent. */
  progressAt: number;
  /** The answer that is being sent. */
  answer: Answer | null = null;
  readonly acceptedAt: number;
  readonly #owner: AdminPort;
  readonly #wire: Wire;
  readonly #socket: Socket;
  /** Bytes of requests that are not answered yet, at its start. */
  #held: Buffer | null = null;
  #heldLength = 0;
  #request: AdminRequest | null = null;
  #keepAlive = false;
  #answerBy = 0;
  #sent = 0;
  /** The client has ended its side. */
  #hasEnded = false;

  constructor(owner: AdminPort, socket: Socket, now: number) {
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
    if (this.phase === ADMIN_PHASE.lingering) return;
    const isBusy = this.phase === ADMIN_PHASE.waiting || this.phase === ADMIN_PHASE.sending;
    if (this.#heldLength === 0 && !isBusy) return this.#read(bytes, from, to, performance.now());
    this.#hold(bytes, from, to);
    if (isBusy) return;
    const lineEnd = bytes.indexOf(LF, from);
    const hasLine = lineEnd !== -1 && lineEnd < to;
    if (hasLine || this.#heldLength > HEAD_BYTES_MAX)
      this.#read(this.#held!, 0, this.#heldLength, performance.now());
  }

  /** The time limit of its phase has passed. */
  onDeadline(): void {
    if (this.phase !== ADMIN_PHASE.idle && this.phase !== ADMIN_PHASE.lingering) this.#owner.drop('timeout');
    this.#socket.destroy();
  }

  /** Makes room for others. */
  evict(): void {
    this.#owner.drop('evicted');
    this.#letGo();
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
    this.#letGo();
    this.#request = null;
    this.#owner.closed(this);
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    // A request that is complete is answered; nothing else can come any more.
    if (this.phase !== ADMIN_PHASE.waiting && this.phase !== ADMIN_PHASE.sending) this.#socket.destroy();
  };

  /** Parses bytes[from, to), which may be those that are held; at most one request is taken. */
  #read(bytes: Buffer, from: number, to: number, now: number): void {
    let start = from;
    // RFC 9112 §2.2: an empty line before a request is skipped.
    while (this.phase !== ADMIN_PHASE.head && start < to && (bytes[start] === CR || bytes[start] === LF))
      start += 1;
    if (start === to) return this.#letGo();
    head.reset();
    const end = head.parse(bytes, start, to);
    const read = requestOf(end, start, to);
    head.release();
    if (read === null) {
      this.#holdOnly(bytes, start, to);
      if (this.phase !== ADMIN_PHASE.head) this.#setDeadline(now + HEAD_MS);
      this.phase = ADMIN_PHASE.head;
      return;
    }
    if ('status' in read) return this.#refuse(read, now);
    this.#holdOnly(bytes, end, to);
    this.#wire.pause();
    this.phase = ADMIN_PHASE.waiting;
    this.progressAt = now;
    this.#answerBy = now + ANSWER_MS;
    this.#setDeadline(this.#answerBy);
    this.#request = read;
    this.#owner.pace.enter(this, this.#owner.isProbe(read));
  }

  /** Keeps bytes[from, to) and nothing else. */
  #holdOnly(bytes: Buffer, from: number, to: number): void {
    if (bytes === this.#held && from < to) {
      bytes.copyWithin(0, from, to);
      this.#heldLength = to - from;
      return;
    }
    this.#letGo();
    if (from < to) this.#hold(bytes, from, to);
  }

  /** Keeps bytes[from, to) after those that are kept. */
  #hold(bytes: Buffer, from: number, to: number): void {
    const { heldMemory } = this.#owner;
    const before = this.#held;
    const length = this.#heldLength + to - from;
    if (before === null || length > before.length) {
      this.#held = heldMemory.take(length, this);
      before?.copy(this.#held, 0, 0, this.#heldLength);
      if (before !== null) heldMemory.giveBack(before, this);
    }
    bytes.copy(this.#held!, this.#heldLength, from, to);
    this.#heldLength = length;
  }

  #letGo(): void {
    if (this.#held !== null) this.#owner.heldMemory.giveBack(this.#held, this);
    this.#held = null;
    this.#heldLength = 0;
  }

  #refuse(answer: Answer, now: number): void {
    this.#wire.pause();
    this.#letGo();
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
    this.phase = ADMIN_PHASE.sending;
    this.#keepAlive = request?.keepAlive === true && !this.#hasEnded;
    this.#sent = request?.method === 'HEAD' ? bytes.length : 0;
    this.#owner.pace.charge(bytes.length - this.#sent);
    this.#owner.sending(this);
    const head = writeHead(answer, this.#keepAlive);
    const byteCount = bytes.length - this.#sent;
    if (byteCount <= SHORT_ANSWER_BYTES) {
      const body = bytes.toString('latin1', this.#sent);
      this.#sent = bytes.length;
      this.#socket.write(head + body, 'latin1', this.#onSent);
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
    this.phase = ADMIN_PHASE.idle;
    this.progressAt = now;
    this.#setDeadline(now + IDLE_MS);
    if (this.#held !== null) this.#read(this.#held, 0, this.#heldLength, now);
    if (this.phase === ADMIN_PHASE.idle || this.phase === ADMIN_PHASE.head) this.#wire.resume();
  }

  #linger(now: number): void {
    this.phase = ADMIN_PHASE.lingering;
    this.#letGo();
    this.#setDeadline(now + LAST_READ_MS);
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

// One client connection: reads requests strictly, one after the other, and writes the answers that the splitter gives
// itself. It decides when a connection lives on, and holds back what a client sends ahead of its turn. What happens to
// a request is the exchange's business. Sources: RFC 9112 §2.2, §9.3-9.6.

import type { Socket } from 'node:net';
import { type Cause, causeOf, type FaultCode, limitOf } from '../errors.ts';
import { composeFault } from '../exchange/own-answer.ts';
import { INCOMPLETE, REFUSED } from '../http1/fields.ts';
import type { ForwardedFacts } from '../http1/forwarded.ts';
import type { Generation } from '../routing/generation.ts';
import type { AnswerFrame, Client, ClientExchange } from '../transport/contracts.ts';
import { HeldRoom } from '../transport/held.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import { clientMemory, HEAD_END, keptEnd } from './client-memory.ts';
import { ClientSocket } from './client-socket.ts';
import type { ConnectionHost } from './connection-host.ts';
import type { TlsClient } from './tls-client.ts';

/** Answers of our own, gathered for a client that sends ahead, above which it is written to before it is read on. */
const ANSWERS_BYTES_MAX = 65_536;
/** Bytes held for a client that sends ahead; more stay in the kernel. A head that is not complete has limits of its own. */
const AHEAD_BYTES_MAX = 65_536;
const CLIENT_ENDED = causeOf('the client closed the connection');
/** How long a connection that was closed after a refusal is still read from, so that the answer is not lost to a reset. */
const LINGER_STEP_MS = 2000;
/** The longest that it is, by a client that goes on sending: an upload that was refused early. */
const LINGER_LONGEST_MS = 30_000;

const CLIENT_STATE = { head: 0, exchange: 1, tunnel: 2, lingering: 3, closed: 4 } as const;

/**
 * One client connection, from the accept to its end, owned by the listener. Its promise: requests are answered in their order,
 * and only a request that ended where its framing says is followed by another one. contracts.ts has the exchange's calls.
 */
export class Downstream extends ClientSocket<Downstream> implements Client<Generation> {
  /** Reads, runs and answers the present request; null between two requests, so that an idle client costs little. */
  #exchange: ClientExchange<Generation> | null = null;
  #state: number = CLIENT_STATE.head;
  #tunnel: Tunnel | null = null;
  /** Received and not yet read: the beginning of a head, a body that has to wait, or requests sent ahead. */
  #held: Buffer | null = null;
  #room: HeldRoom | null = null;
  #isReading = false;
  #hasHeadBegun = false;
  #lingersUntil = 0;
  #hasEnded = false;

  constructor(
    listener: ConnectionHost<Downstream>,
    socket: Socket,
    facts: ForwardedFacts,
    remoteAddress: string,
    listenedOn: string,
    tls: TlsClient | null,
  ) {
    super(listener, socket, facts, remoteAddress, listenedOn, tls);
    this.setDeadline(performance.now() + this.timeouts.idle);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    this.wire.startReading(clientMemory);
  }

  /** A client that has ended its side still gets its answers. */
  get #isAnswered(): boolean {
    return this.listener.generation.config.halfClose === 'answer';
  }

  /** No request is being read or answered. */
  get isIdle(): boolean {
    return this.#state === CLIENT_STATE.head && !this.#hasHeadBegun;
  }

  onDeadline(now: number): void {
    switch (this.#state) {
      case CLIENT_STATE.head:
        if (!this.#hasHeadBegun) return this.extendWrite(now) ? undefined : this.close(now);
        this.#refuse('HEAD_TIMEOUT', now, limitOf('timeouts.requestHead', this.timeouts.requestHead, 'ms'));
        return;
      case CLIENT_STATE.exchange:
        return this.#exchange!.onClientDeadline(now);
      default:
        if (!this.extendWrite(now)) this.wire.socket.destroy();
    }
  }

  proceed(): void {
    if (this.#isReading) return;
    const held = this.#held;
    if (held !== null) {
      this.#held = null;
      this.#read(held, 0, held.length, true);
    }
    // What is held between two requests is the beginning of a head that wants more, or waits until the client reads. A
    // body waits for the upstream alone: a client may well write all of it before it reads the first answer.
    const wantsMore =
      this.#state === CLIENT_STATE.head
        ? !this.wire.isBlocked
        : this.#held === null || this.#held.length < AHEAD_BYTES_MAX;
    if (wantsMore) this.wire.resume();
  }

  exchangeEnded(keepAlive: boolean, now: number): void {
    if (this.#state !== CLIENT_STATE.exchange) return this.#dropExchange();
    const wantsNoMore = this.listener.isClosing && this.#held === null && !this.#isReading;
    if (!keepAlive || wantsNoMore || this.wire.socket.destroyed) return this.close(now);
    this.#nextHead(now);
  }

  /**
   * The present answer is the last one: the splitter is going away, and no complete request waits here. One that does was
   * sent before the client could know, so it is answered as well.
   */
  get isLastAnswer(): boolean {
    return this.listener.isDraining && this.#held?.includes(HEAD_END) !== true;
  }

  answerFrame(keepAlive: boolean, now: number): AnswerFrame {
    const { head, framing } = this.#exchange!;
    return {
      dateLine: this.listener.dateLine(now),
      minorVersion: head.minorVersion,
      isHead: framing.isHead,
      persists: keepAlive && !this.isLastAnswer,
      isHtml: this.listener.generation.config.errorPages === 'html',
    };
  }

  /** Answers the present request with text of own-answer.ts; unless it persists the connection closes after it. */
  answer(text: string, persists: boolean, now: number): void {
    if (!this.isAnswerable) return this.cut(false);
    const out = this.wire.gather();
    out.text(text);
    if (out.length > ANSWERS_BYTES_MAX) this.wire.flush();
    this.exchangeEnded(persists, now);
  }

  /** Ends the exchange that is under way, if there is one. */
  cutExchange(code: FaultCode, cause: Cause | null = null): void {
    if (this.#exchange?.isActive === true) this.#exchange.fail(code, cause);
  }

  /** Cuts the connection in the middle of a response; with `reset` where an orderly end would look like a whole one. */
  cut(reset: boolean): void {
    this.#state = CLIENT_STATE.closed;
    this.#held = null;
    this.#room = null;
    this.cutSocket(reset);
    this.#dropExchange();
  }

  /** Ends the connection: what is written still leaves; what still comes is read for a moment and thrown away. */
  close(now: number): void {
    if (this.#state === CLIENT_STATE.closed || this.#state === CLIENT_STATE.lingering) return;
    this.wire.end();
    this.linger(now);
  }

  /** The socket's writing side has ended: wait a moment for the client's end. */
  linger(now: number): void {
    if (this.#state === CLIENT_STATE.closed) return;
    this.#state = CLIENT_STATE.lingering;
    this.#tunnel = null;
    this.#held = null;
    this.#room = null;
    this.#dropExchange();
    this.wire.resume();
    this.#lingersUntil = now + LINGER_LONGEST_MS;
    this.setDeadline(now + (this.wire.isBlocked ? this.timeouts.write : LINGER_STEP_MS));
  }

  /** A client that still sends has not read its answer yet: a reset would take that away from it. */
  #lingerOn(): void {
    if (this.listener.isDraining) return;
    const at = Math.min(performance.now() + LINGER_STEP_MS, this.#lingersUntil);
    if (at > this.deadline) this.setDeadline(at);
  }

  /** Every byte belongs to the tunnel from now on, those that were sent ahead as well. */
  becomeTunnel(tunnel: Tunnel): void {
    this.#state = CLIENT_STATE.tunnel;
    this.#tunnel = tunnel;
    this.setDeadline(Number.POSITIVE_INFINITY);
    const held = this.#held;
    this.#held = null;
    this.#room = null;
    this.#dropExchange();
    this.wire.resume();
    if (held !== null) tunnel.fromDownstream(held, 0, held.length);
    if (this.#hasEnded) tunnel.downstreamEnded();
    // What an earlier answer left unsent says nothing any more when it goes on being so.
    if (this.wire.isBlocked) tunnel.downstreamBlocked();
  }

  received(bytes: Buffer, from: number, to: number): void {
    switch (this.#state) {
      case CLIENT_STATE.tunnel:
        return this.#tunnel!.fromDownstream(bytes, from, to);
      case CLIENT_STATE.lingering:
        return this.#lingerOn();
      case CLIENT_STATE.closed:
        return;
    }
    if (this.#held !== null) {
      this.#room ??= new HeldRoom();
      const joined = this.#room.join(this.#held, bytes, from, to);
      this.#held = null;
      // A held beginning of a head is read on as soon as there is more; all else waits for its turn.
      if (this.#state === CLIENT_STATE.head && !this.wire.isBlocked)
        this.#read(joined, 0, joined.length, true);
      else this.#hold(joined);
    } else if (this.#state === CLIENT_STATE.head) {
      // A head stays until its exchange has ended, the memory that it was read into does not.
      const end = keptEnd(bytes, from, to);
      this.#read(this.#takeExchange().keep(bytes, from, end, to - end), 0, end - from, true);
      if (end === to) return;
      // It is a body, which goes on from where it is, unless the client does not read its answers and all of it waits.
      if (this.#held !== null) this.received(bytes, end, to);
      else this.#read(bytes, end, to, false);
    } else this.#read(bytes, from, to, false);
  }

  blocked(): void {
    if (this.#state === CLIENT_STATE.tunnel) return this.#tunnel!.downstreamBlocked();
    this.beginBacklog();
    if (this.#state === CLIENT_STATE.exchange) this.#exchange!.downstreamBlocked(performance.now());
    else if (this.#state === CLIENT_STATE.head && !this.#hasHeadBegun)
      this.setDeadline(performance.now() + this.timeouts.write);
  }

  drained(): void {
    this.emptyBacklog();
    if (this.#state === CLIENT_STATE.tunnel) return this.#tunnel!.downstreamDrained();
    if (this.#state === CLIENT_STATE.exchange) this.#exchange!.downstreamDrained();
    else if (this.#state === CLIENT_STATE.lingering) this.setDeadline(performance.now() + LINGER_STEP_MS);
    else if (this.#state === CLIENT_STATE.head) {
      if (!this.#hasHeadBegun) this.setDeadline(performance.now() + this.timeouts.idle);
      this.proceed();
    }
  }

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    const now = performance.now();
    switch (this.#state) {
      case CLIENT_STATE.tunnel:
        return this.#tunnel!.downstreamEnded();
      case CLIENT_STATE.exchange:
        // A request that is not complete never will be.
        if (!this.#isAnswered || (!this.#exchange!.isRequestSent && this.#held === null))
          this.#exchange!.abort(CLIENT_ENDED);
        return;
      case CLIENT_STATE.head:
        this.#countUnfinishedHead(CLIENT_ENDED);
        // Requests that wait until the client reads are answered only if it may still want the answers.
        if (!this.#isAnswered || this.#held === null || !this.wire.isBlocked) this.close(now);
        return;
      default:
        this.wire.destroySoon();
    }
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    // 'close' follows and ends whatever was under way; a reset by the client is no event for an operator.
    const cause = causeOf(error.code ?? 'the connection failed');
    this.#countUnfinishedHead(cause);
    this.#exchange?.abort(cause);
  };

  /** The client goes away in the middle of a head: a request that nobody will answer. */
  #countUnfinishedHead(cause: Cause): void {
    if (this.#state !== CLIENT_STATE.head || !this.#hasHeadBegun) return;
    this.#hasHeadBegun = false;
    this.#exchange?.refused('DOWNSTREAM_GONE', causeOf(`${cause.text} in the middle of a head`), 0);
  }

  readonly #onClose = (): void => {
    this.#tunnel?.downstreamClosed();
    this.#exchange?.abort(CLIENT_ENDED);
    this.#state = CLIENT_STATE.closed;
    this.#held = null;
    this.#room = null;
    this.emptyBacklog();
    this.#dropExchange();
    this.listener.closed(this);
  };

  /**
   * Reads bytes until they end, a request has to wait, or the connection is done with. `isKept`: the bytes stay as they
   * are for as long as the exchange or what is held needs them.
   */
  #read(received: Buffer, from: number, end: number, isKept: boolean): void {
    this.#isReading = true;
    let bytes = received;
    let position = from;
    let to = end;
    let stays = isKept;
    while (position < to) {
      if (this.#state === CLIENT_STATE.head) {
        if (!stays) {
          bytes = Buffer.from(bytes.subarray(position, to));
          position = 0;
          to = bytes.length;
          stays = true;
        }
        // A client that does not read its answers gets no further ones.
        if (this.wire.isBlocked) break;
        const end = this.#readHead(bytes, position, to);
        if (end === INCOMPLETE) break;
        position = end < 0 ? to : end;
      } else if (this.#state === CLIENT_STATE.exchange) {
        const exchange = this.#exchange!;
        if (exchange.isRequestSent || !exchange.takesBody) break;
        position = exchange.receiveRequestBody(bytes, position, to, performance.now());
      } else position = to;
    }
    if (position < to)
      this.#hold(stays ? bytes.subarray(position, to) : Buffer.from(bytes.subarray(position, to)));
    else this.#room = null;
    this.#isReading = false;
    if (this.#state === CLIENT_STATE.head && this.#held === null) this.#dropExchange();
    if (!this.#hasEnded) return;
    // What is held of a head now is a beginning whose rest will never come, unless it waits until the client reads.
    if (this.#state === CLIENT_STATE.head) {
      if (this.#held === null || !this.wire.isBlocked) this.close(performance.now());
    } else if (this.#held === null && this.#state === CLIENT_STATE.exchange && !this.#exchange!.isRequestSent)
      this.#exchange!.abort(CLIENT_ENDED);
  }

  #readHead(bytes: Buffer, from: number, to: number): number {
    const exchange = this.#takeExchange();
    const { head, framing } = exchange;
    const now = performance.now();
    const end = head.parse(bytes, from, to);
    if (end === INCOMPLETE) {
      if (!this.#hasHeadBegun) {
        this.#hasHeadBegun = true;
        this.setDeadline(now + this.timeouts.requestHead);
      }
      return INCOMPLETE;
    }
    const fault = end === REFUSED ? head.fault : framing.read(head);
    if (fault !== null) {
      const why = end === REFUSED ? head.describeFault() : framing.describeFault();
      this.#refuse(fault, now, causeOf(why));
      return REFUSED;
    }
    this.#hasHeadBegun = false;
    this.#state = CLIENT_STATE.exchange;
    // Until the exchange says otherwise nobody waits for the client.
    this.deadline = Number.POSITIVE_INFINITY;
    exchange.begin(end, now);
    return end;
  }

  #nextHead(now: number): void {
    this.#state = CLIENT_STATE.head;
    this.#exchange!.head.reset();
    const timeouts = this.timeouts;
    this.setDeadline(now + (this.wire.isBlocked ? timeouts.write : timeouts.idle));
    if (this.#held !== null) {
      // Whether the client reads its answers has to be known before it gets another one.
      this.wire.flush();
      return this.proceed();
    }
    if (this.#isReading) return;
    this.#dropExchange();
    if (this.#hasEnded) this.close(now);
    else this.wire.resume();
  }

  #hold(bytes: Buffer): void {
    this.#held = bytes;
    const isHead = this.#state === CLIENT_STATE.head && !this.wire.isBlocked;
    if (bytes.length >= AHEAD_BYTES_MAX && !isHead) this.wire.pause();
  }

  #takeExchange(): ClientExchange<Generation> {
    this.#exchange ??= this.listener.takeExchange(this);
    return this.#exchange;
  }

  /** Gives the exchange back, unless it is under way. */
  #dropExchange(): void {
    const exchange = this.#exchange;
    if (exchange === null || exchange.isActive || this.#isReading) return;
    this.#exchange = null;
    this.listener.giveBack(exchange);
  }

  /** Answers a request that was refused before an exchange began, and closes: its end cannot be trusted. */
  #refuse(code: FaultCode, now: number, cause: Cause | null = null): void {
    const exchange = this.#exchange!;
    this.#state = CLIENT_STATE.exchange;
    exchange.framing.isHead = false;
    const answer = composeFault(code, cause, '', this.answerFrame(false, now));
    exchange.refused(code, cause, this.isAnswerable ? answer.length : 0);
    this.answer(answer, false, now);
  }
}

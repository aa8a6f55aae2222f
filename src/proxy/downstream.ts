// One client connection: reads requests strictly, one after the other, and writes the answers that the splitter gives
// itself. It decides when a connection lives on, and holds back what a client sends ahead of its turn. What happens to
// a request is the exchange's business. Sources: RFC 9112 §2.2, §9.3-9.6.

import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { FAULTS, type FaultCode } from '../errors.ts';
import type { ForwardedFacts } from '../http1/forward.ts';
import { RequestFraming } from '../http1/framing.ts';
import { INCOMPLETE, REFUSED, RequestHead } from '../http1/head.ts';
import type { Timed } from './deadlines.ts';
import { Exchange } from './exchange.ts';
import type { Listener } from './listener.ts';
import type { Tunnel } from './tunnel.ts';

/** Bytes held for a client that sends ahead; more stay in the kernel. */
const HELD_BYTES_MAX = 65_536;
/** How long a connection that was closed after a refusal is still read from, so that the answer is not lost to a reset. */
const LINGER_MS = 2000;

const PHASE = { head: 0, exchange: 1, tunnel: 2, lingering: 3, closed: 4 } as const;

export class Downstream implements Timed {
  deadline = Number.POSITIVE_INFINITY;
  readonly head = new RequestHead();
  readonly framing = new RequestFraming();
  readonly listener: Listener;
  readonly socket: Socket;
  readonly forwardedFacts: ForwardedFacts;
  /** The address that the client came in by, as routes.ts names it. */
  readonly listenedOn: string;
  readonly #exchange: Exchange;
  #phase: number = PHASE.head;
  #tunnel: Tunnel | null = null;
  /** Received and not yet read: the beginning of a head, a body that has to wait, or requests sent ahead. */
  #held: Buffer | null = null;
  #isReading = false;
  #isPaused = false;
  #hasHeadBegun = false;
  #hasEnded = false;

  constructor(
    listener: Listener,
    socket: Socket,
    facts: ForwardedFacts,
    remoteAddress: string,
    listenedOn: string,
    now: number,
  ) {
    this.listener = listener;
    this.listenedOn = listenedOn;
    this.#exchange = new Exchange(this);
    this.socket = socket;
    this.forwardedFacts = facts;
    this.head.remoteAddress = remoteAddress;
    this.head.reset();
    listener.deadlines.add(this);
    this.setDeadline(now + listener.generation.config.timeouts.idle);
    socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  /** No request is being read or answered. */
  get isIdle(): boolean {
    return this.#phase === PHASE.head && !this.#hasHeadBegun;
  }

  setDeadline(at: number): void {
    this.listener.deadlines.set(this, at);
  }

  onDeadline(now: number): void {
    switch (this.#phase) {
      case PHASE.head:
        if (!this.#hasHeadBegun) return this.close(now);
        this.#refuse('HEAD_TIMEOUT', now);
        return;
      case PHASE.exchange:
        if (this.#exchange.isWaiting) this.#exchange.waitedTooLong(now);
        else if (this.socket.writableNeedDrain) this.#exchange.fail('WRITE_TIMEOUT');
        else this.#exchange.fail('BODY_TIMEOUT');
        return;
      default:
        this.socket.destroy();
    }
  }

  /** Reads on in what was held, as far as the exchange lets it, and writes what was gathered for the upstream. */
  proceed(): void {
    if (this.#isReading) return;
    const held = this.#held;
    if (held !== null) {
      this.#held = null;
      this.#read(held);
    } else this.#exchange.flushRequest();
    // What is held between two requests is the beginning of a head that wants more, or waits until the client reads. A
    // body waits for the upstream alone: a client may well write all of it before it reads the first answer.
    const wantsMore =
      this.#phase === PHASE.head
        ? !this.socket.writableNeedDrain
        : this.#held === null || this.#held.length < HELD_BYTES_MAX;
    if (this.#isPaused && wantsMore) {
      this.#isPaused = false;
      this.socket.resume();
    }
  }

  /** The exchange has ended and its response is written whole. */
  exchangeEnded(keepAlive: boolean, now: number): void {
    if (this.#phase !== PHASE.exchange) return;
    const wantsNoMore = this.listener.isClosing && this.#held === null && !this.#isReading;
    if (!keepAlive || wantsNoMore || this.socket.destroyed) return this.close(now);
    this.#nextHead(now);
  }

  /** Answers the present request with a fault code of errors.ts; without `keepAlive` the connection closes behind it. `addedLines` end with CRLF. */
  answer(code: FaultCode, keepAlive: boolean, now: number, addedLines = ''): void {
    const { status, sentence } = FAULTS[code];
    const body = `${code}: ${sentence}\n`;
    const allow = status === 405 ? 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n' : '';
    this.#answer(status, `${allow}x-splitter-error: ${code}\r\n${addedLines}`, body, keepAlive, now);
  }

  /** Answers OPTIONS or TRACE that may go no further (RFC 9110 §7.6.2). */
  answerLastHop(status: number, keepAlive: boolean, now: number): void {
    this.#answer(status, 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n', '', keepAlive, now);
  }

  /** Ends the exchange that is under way, if there is one. */
  cutExchange(code: FaultCode): void {
    if (this.#exchange.isActive) this.#exchange.fail(code);
  }

  /** Cuts the connection in the middle of a response; with `reset` where an orderly end would look like a whole one. */
  cut(reset: boolean): void {
    this.#phase = PHASE.closed;
    this.#held = null;
    // A Unix socket knows no reset, and Node throws when it is asked for one.
    if (reset && this.forwardedFacts.address !== '') this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  /** Ends the connection: what is written still leaves; what still comes is read for a moment and thrown away. */
  close(now: number): void {
    if (this.#phase === PHASE.closed || this.#phase === PHASE.lingering) return;
    this.socket.end();
    this.linger(now);
  }

  /** The socket's writing side has ended: wait a moment for the client's end. */
  linger(now: number): void {
    if (this.#phase === PHASE.closed) return;
    this.#phase = PHASE.lingering;
    this.#tunnel = null;
    this.#held = null;
    if (this.#isPaused || this.socket.isPaused()) {
      this.#isPaused = false;
      this.socket.resume();
    }
    const { config } = this.listener.generation;
    this.setDeadline(now + (this.socket.writableLength > 0 ? config.timeouts.write : LINGER_MS));
  }

  /** Every byte belongs to the tunnel from now on, those that were sent ahead as well. */
  becomeTunnel(tunnel: Tunnel): void {
    this.#phase = PHASE.tunnel;
    this.#tunnel = tunnel;
    this.setDeadline(Number.POSITIVE_INFINITY);
    const held = this.#held;
    this.#held = null;
    if (this.#isPaused) {
      this.#isPaused = false;
      this.socket.resume();
    }
    if (held !== null) tunnel.fromDownstream(held, 0, held.length);
    if (this.#hasEnded) tunnel.downstreamEnded();
  }

  readonly #onData = (chunk: Buffer): void => {
    switch (this.#phase) {
      case PHASE.tunnel:
        return this.#tunnel!.fromDownstream(chunk, 0, chunk.length);
      case PHASE.lingering:
      case PHASE.closed:
        return;
    }
    if (this.#held === null) return this.#read(chunk);
    const joined = Buffer.concat([this.#held, chunk]);
    this.#held = null;
    // A held beginning of a head is read on as soon as there is more; all else waits for its turn.
    if (this.#phase === PHASE.head && !this.socket.writableNeedDrain) this.#read(joined);
    else this.#hold(joined, 0);
  };

  readonly #onDrain = (): void => {
    if (this.#phase === PHASE.tunnel) return this.#tunnel!.downstreamDrained();
    if (this.#phase === PHASE.exchange) this.#exchange.downstreamDrained();
    else if (this.#phase === PHASE.head) this.proceed();
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    const now = performance.now();
    switch (this.#phase) {
      case PHASE.tunnel:
        return this.#tunnel!.downstreamEnded();
      case PHASE.exchange:
        // A half-closed client still gets its answer; one whose request is not complete will never complete it.
        if (!this.#exchange.isRequestSent && this.#held === null) this.#exchange.abort();
        return;
      case PHASE.head:
        if (this.#held === null || !this.socket.writableNeedDrain) this.close(now);
        return;
      default:
        this.socket.destroySoon();
    }
  };

  readonly #onError = (): void => {
    // 'close' follows and ends whatever was under way; a reset by the client is no event for an operator.
    this.#exchange.abort();
  };

  readonly #onClose = (): void => {
    this.#tunnel?.downstreamClosed();
    this.#exchange.abort();
    this.#phase = PHASE.closed;
    this.#held = null;
    this.listener.closed(this);
  };

  /** Reads bytes until they end, a request has to wait, or the connection is done with. */
  #read(bytes: Buffer): void {
    this.#isReading = true;
    const exchange = this.#exchange;
    const to = bytes.length;
    let position = 0;
    while (position < to) {
      if (this.#phase === PHASE.head) {
        // A client that does not read its answers gets no further ones.
        if (this.socket.writableNeedDrain) break;
        const end = this.#readHead(bytes, position, to);
        if (end < 0) {
          if (end === INCOMPLETE) break;
          position = to;
        } else position = end;
      } else if (this.#phase === PHASE.exchange) {
        if (exchange.isRequestSent || !exchange.takesBody) break;
        position = exchange.receiveRequestBody(bytes, position, to, performance.now());
      } else position = to;
    }
    if (position < to) this.#hold(bytes, position);
    exchange.flushRequest();
    this.#isReading = false;
    if (!this.#hasEnded) return;
    // What is held of a head now is a beginning whose rest will never come, unless it waits until the client reads.
    if (this.#phase === PHASE.head) {
      if (this.#held === null || !this.socket.writableNeedDrain) this.close(performance.now());
    } else if (this.#held === null && this.#phase === PHASE.exchange && !exchange.isRequestSent)
      exchange.abort();
  }

  #readHead(bytes: Buffer, from: number, to: number): number {
    const { head, framing } = this;
    const now = performance.now();
    const end = head.parse(bytes, from, to);
    if (end === INCOMPLETE) {
      if (!this.#hasHeadBegun) {
        this.#hasHeadBegun = true;
        this.setDeadline(now + this.listener.generation.config.timeouts.requestHead);
      }
      return INCOMPLETE;
    }
    const fault = end === REFUSED ? head.fault : framing.read(head);
    if (fault !== null) {
      this.#refuse(fault, now);
      return REFUSED;
    }
    this.#hasHeadBegun = false;
    this.#phase = PHASE.exchange;
    // Until the exchange says otherwise nobody waits for the client.
    this.deadline = Number.POSITIVE_INFINITY;
    this.#exchange.begin(end, now);
    return end;
  }

  #nextHead(now: number): void {
    this.#phase = PHASE.head;
    this.head.reset();
    const { timeouts } = this.listener.generation.config;
    this.setDeadline(now + (this.socket.writableLength > 0 ? timeouts.write : timeouts.idle));
    if (this.#held !== null || this.#isPaused) this.proceed();
    else if (this.#hasEnded && !this.#isReading) this.close(now);
  }

  #hold(bytes: Buffer, from: number): void {
    this.#held = from === 0 ? bytes : bytes.subarray(from);
    if (this.#held.length < HELD_BYTES_MAX || this.#isPaused) return;
    this.#isPaused = true;
    this.socket.pause();
  }

  /** Answers a request that was refused before an exchange began, and closes: its end cannot be trusted. */
  #refuse(code: FaultCode, now: number): void {
    this.#exchange.refused(code);
    this.#phase = PHASE.exchange;
    this.framing.isHead = false;
    this.answer(code, false, now);
  }

  #answer(status: number, fields: string, body: string, keepAlive: boolean, now: number): void {
    const { socket } = this;
    if (socket.destroyed || socket.writableEnded) return this.cut(false);
    const persists = keepAlive && !this.listener.isDraining;
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${this.listener.dateLine()}${fields}`;
    if (body !== '') head += 'Content-Type: text/plain; charset=utf-8\r\n';
    head += `Content-Length: ${body.length}\r\n`;
    if (!persists) head += 'Connection: close\r\n';
    else if (this.head.minorVersion === 0) head += 'Connection: keep-alive\r\n';
    socket.write(`${head}\r\n${this.framing.isHead ? '' : body}`, 'latin1');
    this.exchangeEnded(persists, now);
  }
}

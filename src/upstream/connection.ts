// One socket to one address of an upstream: it connects, carries one exchange after another, and decides whether it may
// serve the next one. response-reader.ts reads what comes; pipeline.ts keeps the queue. Source: RFC 9112 §9.

import { type Cause, causeOf, type FaultCode } from '../errors.ts';
import { INCOMPLETE, REFUSED } from '../http1/fields.ts';
import type { PooledConnection, UpstreamExchange } from '../transport/contracts.ts';
import type { Timed } from '../transport/deadlines.ts';
import { ReadMemory } from '../transport/read-memory.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import { Wire, type WireOwner } from '../transport/wire.ts';
import type { Address } from './address.ts';
import { codeOfConnectError, describeConnectError } from './connect-failure.ts';
import type { UpstreamConnectionOwner } from './connection-owner.ts';
import { Pipeline } from './pipeline.ts';
import { COUNTS_AS } from './pool-limits.ts';
import type { ClientPace } from './pool-review.ts';
import { ANSWER_UNASKED, beginsAnswer, ResponseReader, TOO_MANY_INTERIMS } from './response-reader.ts';

/** All upstreams' bytes are read into this. In front there is room for a head, so that it leaves with its body in one write. */
const upstreamMemory = new ReadMemory(131_072, 1024);
const ENDED = causeOf('the upstream closed the connection');
const ENDED_SILENTLY = causeOf('the upstream closed the connection without an answer');
const LOST_AHEAD = causeOf('the response before it on the same connection failed or took too long');
const SWITCH_UNASKED = causeOf('101 switches to a protocol that was not requested');

const CONNECTION_STATE = { connecting: 0, idle: 1, busy: 2, tunnel: 3, closed: 4 } as const;

/**
 * One connection, from the connect to its end, owned by the upstream that opened it. Its promise: a response reaches the
 * exchange whose request it answers and no other one; what cannot be attributed for certain ends the connection.
 */
export class UpstreamConnection implements PooledConnection, Timed, WireOwner {
  deadline = Number.POSITIVE_INFINITY;
  exchange: UpstreamExchange | null = null;
  /** It decides whether its address, which was ejected, is well again. */
  isTrial = false;
  /** The address has heard of the loss. */
  #isCounted = false;
  exchanges = 0;
  /** What it counts as in the limits of the pool. */
  countsAs: number = COUNTS_AS.pooled;
  /** How the client of the present exchange keeps up; null unless the pool was full. */
  pace: ClientPace | null = null;
  /** Time of `performance.now()` after which it serves no further exchange. */
  readonly retireAt: number;
  /** Exchanges after which it serves no further one; fewer once the upstream says so. */
  exchangesMax: number;
  readonly wire: Wire;
  readonly address: Address;
  readonly #upstream: UpstreamConnectionOwner<UpstreamConnection>;
  readonly #reader: ResponseReader;
  readonly #pipeline: Pipeline;
  #tunnel: Tunnel | null = null;
  #state: number = CONNECTION_STATE.connecting;
  #readAt = 0;
  /** Something of what the present exchanges wrote has left. */
  #isSent = false;
  #answerDueAt = Number.POSITIVE_INFINITY;
  /** Answers will come that no exchange waits for any more. */
  #isSpent = false;
  /** It takes no more bytes: it ends as a broken connection. */
  #hasRefused = false;
  #error: { readonly code: FaultCode; readonly cause: Cause } = { code: 'UPSTREAM_RESET', cause: ENDED };
  /** The TCP connection is there, the TLS handshake has not ended. */
  #isInHandshake = false;

  constructor(upstream: UpstreamConnectionOwner<UpstreamConnection>, address: Address, now: number) {
    this.#upstream = upstream;
    this.#reader = new ResponseReader(upstream.headLimits);
    this.#pipeline = new Pipeline(address);
    this.address = address;
    // 10 % jitter, so that connections opened together do not all end together.
    const { maxAge, maxExchanges } = upstream.config.pool;
    this.retireAt = now + maxAge * (0.9 + Math.random() * 0.1);
    this.exchangesMax = Math.ceil(maxExchanges * (0.9 + Math.random() * 0.1));
    const isPlain = address.server.tls === null;
    const socket = address.connect(now);
    this.wire = new Wire(socket, this, isPlain);
    socket.on(isPlain ? 'connect' : 'secureConnect', this.#onConnect);
    if (!isPlain) socket.on('connect', this.#onHandshake);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  /** Longest time for which it may be idle, as far as the upstream has said, in milliseconds. */
  get idleLimitMs(): number {
    return this.#reader.idleLimitMs;
  }

  get isConnecting(): boolean {
    return this.#state === CONNECTION_STATE.connecting;
  }

  /** One more exchange may be sent along with those that were sent on it in this turn. */
  get takesAnother(): boolean {
    return (
      this.exchange !== null &&
      this.#state === CONNECTION_STATE.busy &&
      this.#reader.isInHead &&
      !this.#isSent &&
      this.#pipeline.hasRoom(this.#upstream.config.pool.pipelining) &&
      this.exchanges < this.exchangesMax
    );
  }

  expectResponse(exchange: UpstreamExchange): void {
    this.exchanges++;
    this.#pipeline.sends(exchange);
    // A connection that was opened for the exchange has it already.
    if (this.exchange !== null && this.exchange !== exchange) return this.#pipeline.push(exchange);
    this.#isSent = false;
    this.#pipeline.hasAdvanced = false;
    this.#expect(exchange);
  }

  #expect(exchange: UpstreamExchange): void {
    this.exchange = exchange;
    this.#state = CONNECTION_STATE.busy;
    this.#reader.reset();
  }

  get bodyBytesLeft(): number {
    return this.#reader.bytesLeft;
  }

  waitUntil(at: number): void {
    this.#answerDueAt = at;
    this.#upstream.deadlines.set(this, Math.min(at, this.#pipeline.dueAt));
  }

  becomeTunnel(tunnel: Tunnel): void {
    this.#state = CONNECTION_STATE.tunnel;
    this.#tunnel = tunnel;
    this.exchange = null;
    this.#upstream.servers.succeeded(this.address);
  }

  /** Ends a tunnel's connection: what is written still leaves, until `deadline`. */
  close(deadline: number): void {
    if (this.#state === CONNECTION_STATE.closed) return;
    this.wire.end();
    if (!this.wire.hasUnsent) return this.destroy();
    this.#upstream.deadlines.set(this, deadline);
    this.wire.destroySoon();
  }

  /** Ends the connection at once, without a word to its exchange, if it has one; those in the queue are sent elsewhere. */
  destroy(): void {
    if (this.#state === CONNECTION_STATE.closed) return;
    const wasConnecting = this.#state === CONNECTION_STATE.connecting;
    const queue = this.#pipeline.takeAll();
    this.#state = CONNECTION_STATE.closed;
    this.exchange = null;
    this.#reader.drop();
    this.wire.socket.destroy();
    this.#upstream.closed(this, wasConnecting);
    this.#sendElsewhere(queue);
  }

  blame(code: FaultCode, now: number, cause: Cause | null): void {
    if (!this.#isCounted) this.#upstream.servers.observeFailure(this.address, now, code, cause);
  }

  hasAlternative(now: number): boolean {
    return this.#upstream.servers.hasOther(this.address, now);
  }

  release(now: number): void {
    this.#upstream.release(this, now);
  }

  countAsStream(): boolean {
    return this.#upstream.countAsStream(this);
  }

  leave(exchange: UpstreamExchange, isUpstreams: boolean): void {
    if (exchange !== this.exchange) return this.#pipeline.drop(exchange);
    if (isUpstreams) this.#pipeline.rest();
    this.destroy();
  }

  onDeadline(now: number): void {
    const { exchange } = this;
    if (this.#state === CONNECTION_STATE.connecting) {
      const where = this.#isInHandshake ? 'the TLS handshake did not finish' : 'no answer';
      const limit = `within connectTimeout, ${this.#upstream.config.connectTimeout} ms`;
      return this.#lost('UPSTREAM_CONNECT_TIMEOUT', causeOf(`${where} ${limit}`));
    }
    if (exchange === null) return this.destroy();
    if (now < this.#answerDueAt) return this.#releaseQueue();
    exchange.onAnswerDeadline();
  }

  /** The present answer takes long: those in the queue are sent again, each on its own. */
  #releaseQueue(): void {
    // While the client ahead does not read its answer the upstream is not to blame.
    if (!this.wire.isPaused) this.#pipeline.rest();
    this.#isSpent = true;
    const queue = this.#pipeline.takeAll();
    this.waitUntil(this.#answerDueAt);
    this.#sendElsewhere(queue);
  }

  #sendElsewhere(queue: readonly UpstreamExchange[]): void {
    for (const exchange of queue)
      exchange.upstreamLost(this, 'UPSTREAM_RESET', true, this.#isSent, LOST_AHEAD);
  }

  flushed(): void {
    if (this.#isSent || this.exchange === null) return;
    this.#isSent = true;
    this.address.gatheringEnded(this);
    if (this.#pipeline.isEmpty) return;
    this.#pipeline.begin(performance.now());
    this.waitUntil(this.#answerDueAt);
  }

  /** An upstream that refuses an upload may answer and close: the answer, which has come, is read before the error counts. */
  writeFailed(): boolean {
    const { exchange } = this;
    if (!this.#isSent || exchange === null || this.#tunnel !== null) return false;
    this.#hasRefused = true;
    exchange.upstreamBlocked();
    return true;
  }

  blocked(): void {
    if (this.#tunnel !== null) this.#tunnel.upstreamBlocked();
    else this.exchange?.upstreamBlocked();
  }

  drained(): void {
    if (this.#tunnel !== null) this.#tunnel.upstreamDrained();
    else this.exchange?.upstreamDrained();
  }

  readonly #onHandshake = (): void => {
    this.#isInHandshake = true;
  };

  readonly #onConnect = (): void => {
    if (this.#state !== CONNECTION_STATE.connecting) return;
    this.#isInHandshake = false;
    this.#state = CONNECTION_STATE.idle;
    this.wire.startReading(upstreamMemory);
    this.#upstream.connected(this);
  };

  readonly #onEnd = (): void => {
    if (this.#tunnel !== null) return this.#tunnel.upstreamEnded();
    const isBusy = this.#state === CONNECTION_STATE.busy;
    // After a reset it is unknown whether the last bytes have come.
    if (isBusy && this.#reader.endsWithConnection && !this.#hasRefused) {
      this.#readAt = performance.now();
      return void this.#finish(true);
    }
    this.#lost('UPSTREAM_RESET', isBusy && this.#reader.isBetween ? ENDED_SILENTLY : ENDED);
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    const cause = describeConnectError(error, this.#isInHandshake);
    this.#error = { code: codeOfConnectError(error, this.#isInHandshake), cause }; // 'close' follows.
  };

  readonly #onClose = (): void => {
    this.#tunnel?.upstreamClosed();
    this.#lost(this.#error.code, this.#error.cause);
  };

  /** The peer ended or broke the connection where no message ends. */
  #lost(code: FaultCode, cause: Cause | null): void {
    if (this.#state === CONNECTION_STATE.closed) return;
    const { exchange } = this;
    const wasConnecting = this.#state === CONNECTION_STATE.connecting;
    // One byte of a response is enough to know that the request was seen.
    const { isSilent } = this.#reader;
    const wasSent = this.#isSent;
    this.#pipeline.rest();
    const fault = wasConnecting && code === 'UPSTREAM_RESET' ? 'UPSTREAM_CONNECT_FAILED' : code;
    if (this.isTrial && code !== 'RESOURCES_EXHAUSTED') {
      // Before the connection closes: an exchange that waits for its place must not become the next trial.
      this.isTrial = false;
      this.blame(fault, performance.now(), cause);
    } else if (isSilent && wasSent && exchange !== null && this.exchanges > 1)
      this.#isCounted = this.#upstream.servers.observeLoss(this.address, performance.now(), code, cause);
    this.destroy();
    if (wasConnecting) this.#upstream.connectFailed(this, exchange, fault, performance.now(), cause);
    else exchange?.upstreamLost(this, code, isSilent, wasSent, cause);
  }

  received(received: Buffer, from: number, end: number): void {
    if (this.#tunnel !== null) return this.#tunnel.fromUpstream(received, from, end);
    // Unrequested bytes, whatever they are, must never become a response.
    if (this.exchange === null || !this.#isSent) return this.#receiveUnasked(received, from, end);
    this.#readAt = performance.now();
    this.exchange.answerMoves(this.#readAt);
    const reader = this.#reader;
    const joined = reader.join(received, from, end);
    const bytes = joined ?? received;
    const to = joined === null ? end : joined.length;
    let position = joined === null ? from : 0;
    while (position < to) {
      position = reader.isInHead ? this.#readHead(bytes, position, to) : this.#readBody(bytes, position, to);
      if (position < 0) return;
    }
  }

  #receiveUnasked(bytes: Buffer, from: number, to: number): void {
    if (beginsAnswer(bytes, from, to)) this.address.restReuse(performance.now());
    if (this.exchange === null) this.destroy();
    else this.#lost('UPSTREAM_BAD_RESPONSE', ANSWER_UNASKED);
  }

  /** Returns the position after the head, or -1 when nothing more is to be read now. */
  #readHead(bytes: Buffer, from: number, to: number): number {
    const exchange = this.exchange!;
    const reader = this.#reader;
    const end = reader.readHead(bytes, from, to, exchange.isHead);
    if (end === INCOMPLETE) return -1;
    if (end === REFUSED) return this.#refuse(exchange, reader.fault!, causeOf(reader.describeFault()));
    const { head, framing } = reader;
    // For a trial a whole head is answer enough, however long the rest takes.
    if (this.isTrial) this.address.health.observeAnswer();
    this.isTrial = false;
    if (framing.isInterim) {
      if (head.status === 101) return this.#switchProtocols(exchange, bytes, end, to);
      if (!reader.nextHead()) return this.#refuse(exchange, 'UPSTREAM_BAD_RESPONSE', TOO_MANY_INTERIMS);
      exchange.receiveInterim(head, framing, end);
      return end;
    }
    if (framing.exchangesLeft >= 0) {
      const exchanges = this.exchanges - this.#pipeline.length + framing.exchangesLeft;
      this.exchangesMax = Math.min(this.exchangesMax, exchanges);
    }
    exchange.receiveResponseHead(head, framing, end, this.#readAt);
    if (this.exchange !== exchange) return -1; // It has gone to another server.
    return reader.beginBody() ? end : this.#finishAt(end, to);
  }

  /** No answer can be read here. After another answer it may be the rest of that one: the request is sent again. */
  #refuse(exchange: UpstreamExchange, fault: FaultCode, cause: Cause): number {
    if (this.#pipeline.hasAdvanced) this.#lost(fault, cause);
    else exchange.fail(fault, cause);
    return -1;
  }

  #switchProtocols(exchange: UpstreamExchange, bytes: Buffer, end: number, to: number): number {
    const { head, framing } = this.#reader;
    if (!framing.connectionUpgrade || !exchange.awaitsSwitchTo(head.fieldValues('upgrade')))
      return this.#refuse(exchange, 'UPSTREAM_BAD_RESPONSE', SWITCH_UNASKED);
    exchange.switchProtocols(head, framing, end);
    if (end < to) this.#tunnel?.fromUpstream(bytes, end, to);
    return -1;
  }

  #readBody(bytes: Buffer, from: number, to: number): number {
    const reader = this.#reader;
    const end = reader.readBody(bytes, from, to, this.exchange!);
    if (end !== REFUSED) return reader.isDone ? this.#finishAt(end, to) : end;
    this.exchange!.fail('UPSTREAM_BODY_CUT', causeOf(reader.describeFault()));
    return -1;
  }

  /** The response ends at `end`; bytes after it are the next exchange's, or make the connection unfit for another one. */
  #finishAt(end: number, to: number): number {
    return this.#finish(!this.#reader.framing.keepAlive || (end < to && this.#pipeline.isEmpty)) ? end : -1;
  }

  /** Ends the present exchange well. Returns true when the next one's response is read from here on. */
  #finish(isUnfit: boolean): boolean {
    const exchange = this.exchange!;
    const pipeline = this.#pipeline;
    // A body that was handed over may still wait for an upstream that has answered without reading it.
    const goesOn = !isUnfit && !this.#isSpent && exchange.isRequestSent && !this.wire.isBlocked;
    if (goesOn && pipeline.isEmpty) {
      this.exchange = null;
      pipeline.hasAdvanced = false;
      this.#state = CONNECTION_STATE.idle;
      this.wire.resume();
      exchange.finishResponse(this, this.#readAt);
      return false;
    }
    const next = goesOn ? pipeline.shift() : null;
    if (next === null) {
      this.#upstream.servers.succeeded(this.address);
      // Closed by the upstream, or the next answer's client has gone: the rest of the queue is sent elsewhere.
      if (!goesOn) pipeline.rest();
      this.destroy();
      exchange.finishResponse(null, this.#readAt);
      return false;
    }
    this.#expect(next);
    this.#upstream.answered(this.address);
    this.wire.resume();
    next.answerMoves(this.#readAt);
    exchange.finishResponse(null, this.#readAt);
    return this.#state === CONNECTION_STATE.busy && this.#reader.isInHead && this.exchange === next;
  }
}

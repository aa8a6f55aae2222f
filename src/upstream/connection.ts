// One socket to one address of an upstream: reads responses strictly and hands them to the exchange that waits for
// them. It decides where a response ends and whether the connection may serve another exchange; which exchange comes
// next is the pool's business (upstream.ts). Sources: RFC 9112 §4, §6, §9.

import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { UpstreamConfig } from '../config/options/upstream.ts';
import { type Cause, causeOf, type FaultCode } from '../errors.ts';
import { ChunkedDecoder } from '../http1/chunked.ts';
import { type HeadLimits, INCOMPLETE, REFUSED } from '../http1/fields.ts';
import { BODY, ResponseFraming } from '../http1/framing.ts';
import { ResponseHead } from '../http1/response-head.ts';
import type { PooledConnection, UpstreamExchange } from '../transport/contracts.ts';
import type { Deadlines, Timed } from '../transport/deadlines.ts';
import { HeldRoom } from '../transport/held.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import { ReadMemory, Wire, type WireOwner } from '../transport/wire.ts';
import type { Address } from './address.ts';
import { describeConnectError, isTlsError } from './connect-failure.ts';
import { COUNTS_AS } from './pool-limits.ts';
import type { Pace } from './pool-review.ts';

/**
 * All upstreams' bytes are read into this, one read at a time: it stays in the processor's cache. In front of what is read
 * there is room for a response head that has grown, so that head and body leave in one write.
 */
const memory = new ReadMemory(131_072, 1024);
/** Errors of connect(2) that say nothing about the upstream. */
const OUT_OF_RESOURCES = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EAGAIN']);
/** Interim responses to one request; more is a flood. */
const INTERIM_MAX = 32;
/** How long a pipelined request waits for the answers in front of its own before it is sent again on its own. */
const PATIENCE_MS = 100;
/** How much earlier than an upstream says it closes an idle connection it is closed here; half the time when that is less. */
const KEEP_ALIVE_MARGIN_MS = 1000;
const NONE: readonly UpstreamExchange[] = [];
const ENDED = causeOf('the upstream closed the connection');
const ENDED_SILENTLY = causeOf('the upstream closed the connection without an answer');
const LOST_AHEAD = causeOf('the answer ahead on the same connection failed or took too long');
const TOO_MANY_INTERIMS = causeOf(`more than ${INTERIM_MAX} interim responses came`);
const SWITCH_UNASKED = causeOf('101 switches to a protocol that was not asked for');
const ANSWER_UNASKED = causeOf('bytes came before the request was sent');
/** A head that comes in one piece is read and written anew within one call: one of them is enough, and stays in the cache. */
const sharedHead = new ResponseHead();

const PHASE = {
  connecting: 0,
  idle: 1,
  head: 2,
  length: 3,
  chunked: 4,
  close: 5,
  tunnel: 6,
  closed: 7,
} as const;

/**
 * Bytes that nobody asked for begin like an answer. With 408 a server may say why it closes an idle connection
 * (RFC 9110 §15.5.9): that is none.
 */
function isAnswer(bytes: Buffer, from: number, to: number): boolean {
  const text = bytes.toString('latin1', from, Math.min(to, from + 13));
  return 'HTTP/'.startsWith(text.slice(0, 5)) && text.slice(8) !== ' 408 ';
}

/** What a connection asks of the upstream that opened it. */
export interface ConnectionOwner {
  readonly config: UpstreamConfig;
  readonly deadlines: Deadlines;
  readonly headLimits: HeadLimits;
  /** Once, when it is established. */
  connected(connection: UpstreamConnection): void;
  /** In place of that; `closed` has been called. */
  connectFailed(
    connection: UpstreamConnection,
    exchange: UpstreamExchange | null,
    code: FaultCode,
    now: number,
    cause: Cause | null,
  ): void;
  /** Once, last: it is closed. */
  closed(connection: UpstreamConnection, wasConnecting: boolean): void;
  /** Its exchange has ended well. */
  release(connection: UpstreamConnection, now: number): void;
  countAsStream(connection: UpstreamConnection): boolean;
  hasOther(address: Address, now: number): boolean;
  /** An exchange has ended well on it, and another one's answer is read next. */
  answered(address: Address): void;
  succeeded(address: Address): void;
  observeFailure(address: Address, now: number, code: FaultCode, cause: Cause | null): void;
}

export class UpstreamConnection implements PooledConnection, Timed, WireOwner {
  deadline = Number.POSITIVE_INFINITY;
  /** The exchange whose response is read next; null while idle. */
  exchange: UpstreamExchange | null = null;
  /** It decides whether its address, which was ejected, is well again. */
  isTrial = false;
  /** Exchanges that were sent on this connection, the present ones included. */
  exchanges = 0;
  /** What it counts as in the limits of the pool. */
  countsAs: number = COUNTS_AS.pooled;
  /** How the client of the present exchange keeps up; null unless the pool was full. */
  pace: Pace | null = null;
  /** Time of `performance.now()` after which it serves no further exchange. */
  readonly retireAt: number;
  /** Exchanges after which it serves no further one; fewer once the upstream says so. */
  exchangesMax: number;
  readonly wire: Wire;
  readonly address: Address;
  readonly #upstream: ConnectionOwner;
  /** The head that is being read: the one that all connections share, or one of its own for what came in pieces. */
  #head = sharedHead;
  readonly #framing = new ResponseFraming();
  #decoder: ChunkedDecoder | null = null;
  #tunnel: Tunnel | null = null;
  #phase: number = PHASE.connecting;
  #remaining = 0;
  #readAt = 0;
  #interims = 0;
  #held: Buffer | null = null;
  #room: HeldRoom | null = null;
  /** Something of what the present exchanges wrote has left. */
  #isSent = false;
  /** Nobody may stand behind the exchange that came last. */
  #isLast = false;
  /** Pipelined exchanges, in the order of their answers; null = one whose client has gone. */
  #followers: (UpstreamExchange | null)[] = [];
  /** The present exchange stood behind another one. */
  #isBehind = false;
  /** Time limit of the present exchange. */
  #answerDueAt = Number.POSITIVE_INFINITY;
  /** When the patience of the followers ends. */
  #followersDueAt = Number.POSITIVE_INFINITY;
  /** Answers will come that nobody waits for any more. */
  #isSpent = false;
  /** It takes no more bytes: its end is that of a broken connection. */
  #hasRefused = false;
  #errorCode: FaultCode = 'UPSTREAM_RESET';
  #errorCause: Cause | null = null;
  /** The TCP connection is there, the TLS handshake has not ended. */
  #isInHandshake = false;

  constructor(upstream: ConnectionOwner, address: Address, now: number) {
    const { url, tls } = address.member;
    this.#upstream = upstream;
    this.address = address;
    // 10 % jitter, so that connections opened together do not all end together.
    const { maxAge, maxExchanges } = upstream.config.pool;
    this.retireAt = now + maxAge * (0.9 + Math.random() * 0.1);
    this.exchangesMax = Math.ceil(maxExchanges * (0.9 + Math.random() * 0.1));
    const options = { host: address.host, port: url.port, noDelay: true, allowHalfOpen: true };
    let socket: Socket;
    if (url.path !== null) socket = connect({ path: url.path, allowHalfOpen: true });
    else if (tls === null) socket = connect(options);
    else socket = connectTls({ ...options, ...tls.optionsFor(address.host, now) });
    this.wire = new Wire(socket, this, tls === null);
    socket.on(url.tls ? 'secureConnect' : 'connect', this.#onConnect);
    if (url.tls) socket.on('connect', this.#onTcpConnect);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
  }

  /** Longest time for which it may be idle, as far as the upstream has said, in milliseconds. */
  get idleLimitMs(): number {
    const { idleSeconds } = this.#framing;
    if (idleSeconds < 0) return Number.POSITIVE_INFINITY;
    const limitMs = idleSeconds * 1000;
    // The upstream began to count earlier, and a request takes a moment to reach it.
    return limitMs - Math.min(KEEP_ALIVE_MARGIN_MS, limitMs / 2);
  }

  get isConnecting(): boolean {
    return this.#phase === PHASE.connecting;
  }

  /** One more exchange may be sent along with those that were sent on it in this turn. */
  get takesAnother(): boolean {
    return (
      this.exchange !== null &&
      this.#phase === PHASE.head &&
      !this.#isSent &&
      !this.#isLast &&
      this.#followers.length + 1 < this.#upstream.config.pool.pipelining &&
      this.exchanges < this.exchangesMax
    );
  }

  /** The exchange writes its request head now: a response is expected from here on, behind those of the others. */
  expectResponse(exchange: UpstreamExchange): void {
    this.exchanges++;
    // A server that answers HEAD with a body, as some do, would write it where the next client's answer is read.
    this.#isLast = exchange.isHead;
    // A connection that was opened for the exchange has it already.
    if (this.exchange !== null && this.exchange !== exchange) {
      this.#followers.push(exchange);
      return;
    }
    this.#isSent = false;
    this.#isBehind = false;
    this.#expect(exchange);
  }

  #expect(exchange: UpstreamExchange): void {
    this.exchange = exchange;
    this.#interims = 0;
    this.#phase = PHASE.head;
    this.#head = sharedHead;
  }

  /** Bytes of the response body that are still to be read; -1 = unknown. */
  get bodyBytesLeft(): number {
    return this.#phase === PHASE.length ? this.#remaining : -1;
  }

  /** Sets the time limit of the present exchange. */
  waitUntil(at: number): void {
    this.#answerDueAt = at;
    this.#upstream.deadlines.set(this, Math.min(at, this.#followersDueAt));
  }

  /** Both sockets are one stream of bytes from now on. */
  becomeTunnel(tunnel: Tunnel): void {
    this.#phase = PHASE.tunnel;
    this.#tunnel = tunnel;
    this.exchange = null;
    this.#upstream.succeeded(this.address);
  }

  /** Ends a tunnel's connection: what is written still leaves, until `deadline`. */
  close(deadline: number): void {
    if (this.#phase === PHASE.closed) return;
    this.wire.end();
    if (!this.wire.hasUnsent) return this.destroy();
    this.#upstream.deadlines.set(this, deadline);
    this.wire.socket.destroySoon();
  }

  /** Ends the connection at once. The exchange on it, if any, is not told; those behind it are sent elsewhere. */
  destroy(): void {
    if (this.#phase === PHASE.closed) return;
    const wasConnecting = this.#phase === PHASE.connecting;
    const followers = this.#takeFollowers();
    this.#phase = PHASE.closed;
    this.exchange = null;
    this.#held = null;
    this.wire.socket.destroy();
    this.#upstream.closed(this, wasConnecting);
    this.#sendElsewhere(followers);
  }

  blame(code: FaultCode, now: number, cause: Cause | null): void {
    this.#upstream.observeFailure(this.address, now, code, cause);
  }

  hasAlternative(now: number): boolean {
    return this.#upstream.hasOther(this.address, now);
  }

  release(now: number): void {
    this.#upstream.release(this, now);
  }

  countAsStream(): boolean {
    return this.#upstream.countAsStream(this);
  }

  /** The exchange wants no answer any more. `isUpstreams`: the upstream is to blame. */
  leave(exchange: UpstreamExchange, isUpstreams: boolean): void {
    if (exchange !== this.exchange) {
      const place = this.#followers.indexOf(exchange);
      if (place !== -1) this.#followers[place] = null;
      return;
    }
    if (isUpstreams) this.#restPipelining();
    this.destroy();
  }

  onDeadline(now: number): void {
    const { exchange } = this;
    if (this.#phase === PHASE.connecting) {
      const where = this.#isInHandshake ? 'the TLS handshake did not end' : 'no answer';
      const cause = causeOf(`${where} within connectTimeout, ${this.#upstream.config.connectTimeout} ms`);
      if (this.isTrial) this.#failTrial('UPSTREAM_CONNECT_TIMEOUT', cause);
      this.destroy();
      this.#upstream.connectFailed(this, exchange, 'UPSTREAM_CONNECT_TIMEOUT', now, cause);
      return;
    }
    if (exchange === null) return this.destroy();
    if (now < this.#answerDueAt) return this.#letFollowersGo();
    exchange.onAnswerDeadline();
  }

  /** The answer in front takes long: those behind it are sent again, each on its own. */
  #letFollowersGo(): void {
    // Where the client in front does not read its answer the upstream is not to blame.
    if (!this.wire.isPaused) this.#restPipelining();
    this.#isSpent = true;
    const followers = this.#takeFollowers();
    this.waitUntil(this.#answerDueAt);
    this.#sendElsewhere(followers);
  }

  #sendElsewhere(followers: readonly UpstreamExchange[]): void {
    for (const follower of followers)
      follower.upstreamLost(this, 'UPSTREAM_RESET', true, this.#isSent, LOST_AHEAD);
  }

  #takeFollowers(): readonly UpstreamExchange[] {
    this.#followersDueAt = Number.POSITIVE_INFINITY;
    if (this.#followers.length === 0) return NONE;
    const followers = this.#followers;
    this.#followers = [];
    this.address.inFlight -= followers.length;
    return followers.filter((follower) => follower !== null);
  }

  #restPipelining(): void {
    if (this.#followers.length > 0 || this.#isBehind) this.address.restPipelining(performance.now());
  }

  flushed(): void {
    if (this.#isSent || this.exchange === null) return;
    this.#isSent = true;
    this.address.gatheringEnded(this);
    if (this.#followers.length === 0) return;
    this.#followersDueAt = performance.now() + PATIENCE_MS;
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

  readonly #onTcpConnect = (): void => {
    this.#isInHandshake = true;
  };

  readonly #onConnect = (): void => {
    if (this.#phase !== PHASE.connecting) return;
    this.#isInHandshake = false;
    this.#phase = PHASE.idle;
    this.wire.startReading(memory);
    this.#upstream.connected(this);
  };

  readonly #onEnd = (): void => {
    if (this.#tunnel !== null) return this.#tunnel.upstreamEnded();
    // Of a connection that was reset nobody can tell whether its last bytes have come.
    if (this.#phase === PHASE.close && !this.#hasRefused) {
      this.#readAt = performance.now();
      this.#finish(true);
      return;
    }
    this.#lost('UPSTREAM_RESET', this.#phase === PHASE.head && this.#held === null ? ENDED_SILENTLY : ENDED);
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.#errorCause = describeConnectError(error, this.#isInHandshake);
    if (OUT_OF_RESOURCES.has(error.code ?? '')) this.#errorCode = 'RESOURCES_EXHAUSTED';
    else if (this.#isInHandshake || isTlsError(error)) this.#errorCode = 'UPSTREAM_TLS_FAILED';
    // 'close' follows.
  };

  readonly #onClose = (): void => {
    this.#tunnel?.upstreamClosed();
    this.#lost(this.#errorCode, this.#errorCause ?? ENDED);
  };

  /** The peer ended or broke the connection where no message ends. */
  #lost(code: FaultCode, cause: Cause | null = null): void {
    if (this.#phase === PHASE.closed) return;
    const { exchange } = this;
    const wasConnecting = this.#phase === PHASE.connecting;
    // One byte of a response is enough to know that the request was seen.
    const isSilent = this.#phase === PHASE.head && this.#held === null && this.#interims === 0;
    const wasSent = this.#isSent;
    this.#restPipelining();
    const fault = wasConnecting && code === 'UPSTREAM_RESET' ? 'UPSTREAM_CONNECT_FAILED' : code;
    if (this.isTrial && code !== 'RESOURCES_EXHAUSTED') this.#failTrial(fault, cause);
    this.destroy();
    if (wasConnecting) {
      this.#upstream.connectFailed(this, exchange, fault, performance.now(), cause);
    } else if (exchange !== null) exchange.upstreamLost(this, code, isSilent, wasSent, cause);
  }

  received(received: Buffer, from: number, end: number): void {
    let bytes = received;
    let position = from;
    let to = end;
    if (this.#tunnel !== null) return this.#tunnel.fromUpstream(bytes, from, to);
    // Bytes that nobody asked for: whatever they are, they must never become somebody's response.
    if (this.exchange === null || !this.#isSent) return this.#receiveUnasked(bytes, from, to);
    this.#readAt = performance.now();
    this.exchange.answerMoves(this.#readAt);
    if (this.#held !== null) {
      this.#room ??= new HeldRoom();
      bytes = this.#room.join(this.#held, received, from, to);
      position = 0;
      to = bytes.length;
      this.#held = null;
    }
    while (position < to) {
      position =
        this.#phase === PHASE.head
          ? this.#readHead(bytes, position, to)
          : this.#readBody(bytes, position, to);
      if (position < 0) return;
    }
  }

  #receiveUnasked(bytes: Buffer, from: number, to: number): void {
    if (isAnswer(bytes, from, to)) this.address.restReuse(performance.now());
    if (this.exchange === null) this.destroy();
    else this.#lost('UPSTREAM_BAD_RESPONSE', ANSWER_UNASKED);
  }

  /** Returns the position behind the head, or -1 when nothing more is to be read now. */
  #readHead(bytes: Buffer, from: number, to: number): number {
    const exchange = this.exchange!;
    const framing = this.#framing;
    if (this.#head === sharedHead) {
      sharedHead.limits = this.#upstream.headLimits;
      sharedHead.reset();
    }
    let head = this.#head;
    const end = head.parse(bytes, from, to);
    if (end === INCOMPLETE) {
      // What has been parsed of it goes on in a head of its own, from its beginning.
      if (head === sharedHead) {
        head = new ResponseHead();
        head.limits = this.#upstream.headLimits;
        head.reset();
        head.parse(bytes, from, to);
        this.#head = head;
      }
      // What was joined stays where it is; all else is another connection's memory a moment later.
      this.#held = this.#room === null ? Buffer.from(bytes.subarray(from, to)) : bytes.subarray(from, to);
      return -1;
    }
    this.#room = null;
    const fault = end === REFUSED ? head.fault : framing.read(head, exchange.isHead);
    if (fault !== null) {
      const why = end === REFUSED ? head.describeFault() : framing.describeFault();
      return this.#refuse(exchange, fault, causeOf(why));
    }
    if (framing.isInterim) {
      if (head.status === 101) return this.#switchProtocols(exchange, bytes, end, to);
      if (++this.#interims > INTERIM_MAX)
        return this.#refuse(exchange, 'UPSTREAM_BAD_RESPONSE', TOO_MANY_INTERIMS);
      exchange.receiveInterim(head, framing, end);
      this.#head = sharedHead;
      return end;
    }
    if (this.isTrial) this.#passTrial();
    if (framing.exchangesLeft >= 0) {
      const exchanges = this.exchanges - this.#followers.length + framing.exchangesLeft;
      this.exchangesMax = Math.min(this.exchangesMax, exchanges);
    }
    exchange.receiveResponseHead(head, framing, end, this.#readAt);
    switch (framing.body) {
      case BODY.none:
        return this.#finishAt(end, to);
      case BODY.length:
        this.#phase = PHASE.length;
        this.#remaining = framing.length;
        return end;
      case BODY.chunked:
        this.#phase = PHASE.chunked;
        this.#decoder ??= new ChunkedDecoder(true);
        this.#decoder.reset();
        return end;
      default:
        this.#phase = PHASE.close;
        return end;
    }
  }

  /** Said before the connection closes: whoever waits for its place must not become the next trial. */
  #failTrial(code: FaultCode, cause: Cause | null): void {
    this.isTrial = false;
    this.#upstream.observeFailure(this.address, performance.now(), code, cause);
  }

  /** A whole head is answer enough, however long the body takes. */
  #passTrial(): void {
    this.isTrial = false;
    this.address.health.observeAnswer();
  }

  /** No answer can be read here. Where one is behind, it may be the rest of the answer in front: it is sent again. */
  #refuse(exchange: UpstreamExchange, fault: FaultCode, cause: Cause | null = null): number {
    if (this.#isBehind) this.#lost(fault, cause);
    else exchange.fail(fault, cause);
    return -1;
  }

  #switchProtocols(exchange: UpstreamExchange, bytes: Buffer, end: number, to: number): number {
    if (!this.#framing.connectionUpgrade || !exchange.awaitsSwitchTo(this.#head.fieldValues('upgrade'))) {
      return this.#refuse(exchange, 'UPSTREAM_BAD_RESPONSE', SWITCH_UNASKED);
    }
    exchange.switchProtocols(this.#head, this.#framing, end);
    if (end < to) this.#tunnel?.fromUpstream(bytes, end, to);
    return -1;
  }

  #readBody(bytes: Buffer, from: number, to: number): number {
    const exchange = this.exchange!;
    if (this.#phase === PHASE.length) {
      const end = Math.min(to, from + this.#remaining);
      this.#remaining -= end - from;
      exchange.receiveResponseBody(bytes, from, end);
      return this.#remaining === 0 ? this.#finishAt(end, to) : end;
    }
    if (this.#phase === PHASE.chunked) {
      const decoder = this.#decoder!;
      const end = decoder.nextJoined(bytes, from, to);
      if (decoder.dataEnd > decoder.dataStart)
        exchange.receiveResponseBody(bytes, decoder.dataStart, decoder.dataEnd);
      if (decoder.isRefused) {
        exchange.fail('UPSTREAM_BODY_CUT', causeOf(decoder.describeFault()));
        return -1;
      }
      if (!decoder.isDone) return end;
      exchange.receiveResponseTrailers(decoder.trailers, this.#framing);
      return this.#finishAt(end, to);
    }
    exchange.receiveResponseBody(bytes, from, to);
    return to;
  }

  /** The response ends at `end`; bytes behind it are the next exchange's, or make the connection unfit for another one. */
  #finishAt(end: number, to: number): number {
    const hasNext = this.#followers.length > 0;
    return this.#finish(!this.#framing.keepAlive || (end < to && !hasNext)) ? end : -1;
  }

  /** Ends the present exchange well. Returns true when the next one's response is read from here on. */
  #finish(isSpent: boolean): boolean {
    const exchange = this.exchange!;
    const followers = this.#followers;
    // A body that was handed over may still wait for an upstream that has answered without reading it.
    const goesOn = !isSpent && !this.#isSpent && exchange.isRequestSent && !this.wire.isBlocked;
    if (goesOn && followers.length === 0) {
      this.exchange = null;
      this.#isBehind = false;
      this.#phase = PHASE.idle;
      this.wire.resume();
      exchange.finishResponse(this, this.#readAt);
      return false;
    }
    const next = goesOn ? followers.shift()! : null;
    if (next === null) {
      this.#upstream.succeeded(this.address);
      // Closed by the upstream, or the next answer's client has gone: those behind it are sent elsewhere.
      if (!goesOn) this.#restPipelining();
      else this.address.inFlight--;
      this.destroy();
      exchange.finishResponse(null, this.#readAt);
      return false;
    }
    if (followers.length === 0) this.#followersDueAt = Number.POSITIVE_INFINITY;
    this.#isBehind = true;
    this.#expect(next);
    this.#upstream.answered(this.address);
    this.wire.resume();
    next.answerMoves(this.#readAt);
    exchange.finishResponse(null, this.#readAt);
    return this.#phase === PHASE.head && this.exchange === next;
  }
}

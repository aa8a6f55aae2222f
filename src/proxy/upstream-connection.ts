// One socket to one address of an upstream: reads responses strictly and hands them to the exchange that waits for
// them. It decides where a response ends and whether the connection may serve another exchange; which exchange comes
// next is the pool's business (upstream.ts). Sources: RFC 9112 §4, §6, §9.

import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { FaultCode } from '../errors.ts';
import { ChunkedDecoder } from '../http1/chunked.ts';
import { BODY, ResponseFraming } from '../http1/framing.ts';
import { INCOMPLETE, REFUSED, ResponseHead } from '../http1/head.ts';
import type { Timed } from './deadlines.ts';
import type { Exchange } from './exchange.ts';
import type { Tunnel } from './tunnel.ts';
import type { Address, Upstream } from './upstream.ts';

/** Bytes read at once; a connection whose responses are larger reads more. */
const READ_BYTES = 16_384;
const LARGE_READ_BYTES = 131_072;
/** Large buffers that no connection uses now; a few are kept for the next large body. */
const SPARE_LARGE_MAX = 16;
const spareLarge: Buffer[] = [];
/** Errors of connect(2) that say nothing about the upstream. */
const OUT_OF_RESOURCES = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EAGAIN']);
/** Interim responses to one request; more is a flood. */
const INTERIM_MAX = 32;

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

export class UpstreamConnection implements Timed {
  deadline = Number.POSITIVE_INFINITY;
  /** The exchange whose response is read next; null while idle. */
  exchange: Exchange | null = null;
  /** Exchanges that were sent on this connection, the present one included. */
  exchanges = 0;
  /** Time of `performance.now()` after which it serves no further exchange. */
  readonly retireAt: number;
  /** Exchanges after which it serves no further one. */
  readonly exchangesMax: number;
  readonly socket: Socket;
  readonly address: Address;
  readonly #upstream: Upstream;
  readonly #head = new ResponseHead();
  readonly #framing = new ResponseFraming();
  #decoder: ChunkedDecoder | null = null;
  #tunnel: Tunnel | null = null;
  #phase: number = PHASE.connecting;
  #remaining = 0;
  #readAt = 0;
  #interims = 0;
  #held: Buffer | null = null;
  #isPaused = false;
  #readBuffer: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  #isBufferLent = false;
  #errorCode: FaultCode = 'UPSTREAM_RESET';
  #lastReadBytes = 0;
  #responseBytes = 0;
  #isLarge = false;

  constructor(upstream: Upstream, address: Address, now: number) {
    const { url, tls } = address.member;
    this.#upstream = upstream;
    this.address = address;
    // 10 % jitter, so that connections opened together do not all end together.
    const { maxAge, maxExchanges } = upstream.config.pool;
    this.retireAt = now + maxAge * (0.9 + Math.random() * 0.1);
    this.exchangesMax = Math.ceil(maxExchanges * (0.9 + Math.random() * 0.1));
    const onread = { buffer: this.#nextBuffer, callback: this.#onRead };
    if (url.path !== null) this.socket = connect({ path: url.path, allowHalfOpen: true, onread });
    else if (tls !== null) {
      const options = { ...tls.optionsFor(address.host, now), noDelay: true, allowHalfOpen: true };
      this.socket = connectTls(options);
      this.socket.on('data', this.#onData);
    } else {
      this.socket = connect({
        host: address.host,
        port: url.port,
        noDelay: true,
        allowHalfOpen: true,
        onread,
      });
    }
    this.socket.on(url.tls ? 'secureConnect' : 'connect', this.#onConnect);
    this.socket.on('drain', this.#onDrain);
    this.socket.on('end', this.#onEnd);
    this.socket.on('error', this.#onError);
    this.socket.on('close', this.#onClose);
  }

  get isOpen(): boolean {
    return this.#phase !== PHASE.closed;
  }

  get isConnecting(): boolean {
    return this.#phase === PHASE.connecting;
  }

  /** The exchange has written its request head: a response is expected from here on. */
  expectResponse(exchange: Exchange): void {
    this.exchange = exchange;
    this.exchanges++;
    this.#interims = 0;
    this.#phase = PHASE.head;
    this.#head.reset();
  }

  /** Stops reading until `resume`: the client does not keep up. */
  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.socket.resume();
  }

  /** Bytes of the last read wait in a socket. */
  get isBufferLent(): boolean {
    return this.#isBufferLent;
  }

  /** The bytes of the last read are still in use: the next read goes into new memory. */
  lendBuffer(): void {
    this.#isBufferLent = true;
  }

  /** Both sockets are one stream of bytes from now on. */
  becomeTunnel(tunnel: Tunnel): void {
    this.#phase = PHASE.tunnel;
    this.#tunnel = tunnel;
    this.exchange = null;
  }

  /** Ends a tunnel's connection: what is written still leaves, until `deadline`. */
  close(deadline: number): void {
    if (this.#phase === PHASE.closed) return;
    this.socket.end();
    if (this.socket.writableLength === 0) return this.destroy();
    this.#upstream.deadlines.set(this, deadline);
    this.socket.destroySoon();
  }

  /** Ends the connection at once; the exchange on it, if any, is not told. */
  destroy(): void {
    if (this.#phase === PHASE.closed) return;
    const wasConnecting = this.#phase === PHASE.connecting;
    this.#phase = PHASE.closed;
    this.exchange = null;
    this.#held = null;
    this.socket.destroy();
    this.#upstream.closed(this, wasConnecting);
  }

  onDeadline(now: number): void {
    const { exchange } = this;
    if (this.#phase === PHASE.connecting) {
      this.destroy();
      this.#upstream.connectFailed(this, exchange, 'UPSTREAM_CONNECT_TIMEOUT', now);
    } else if (exchange === null) this.destroy();
    else exchange.fail(exchange.hasResponseBegun ? 'UPSTREAM_BODY_TIMEOUT' : 'UPSTREAM_RESPONSE_TIMEOUT');
  }

  /** Memory for the next read: new when the last one is still in use, large in the middle of a large body. */
  readonly #nextBuffer = (): Buffer => {
    const isLarge = this.#readBuffer.length === LARGE_READ_BYTES;
    const isMidResponse = this.#phase > PHASE.idle && this.#phase < PHASE.closed;
    // The last response tells of the next one: after a large one the next is read in one piece too.
    if (isMidResponse && this.#lastReadBytes >= READ_BYTES) this.#isLarge = true;
    const wantsLarge = this.#isLarge;
    if (this.#isBufferLent || wantsLarge !== isLarge) {
      if (isLarge && !this.#isBufferLent && spareLarge.length < SPARE_LARGE_MAX)
        spareLarge.push(this.#readBuffer);
      this.#readBuffer = wantsLarge
        ? (spareLarge.pop() ?? Buffer.allocUnsafeSlow(LARGE_READ_BYTES))
        : Buffer.allocUnsafeSlow(READ_BYTES);
      this.#isBufferLent = false;
    }
    return this.#readBuffer;
  };

  readonly #onRead = (byteCount: number): boolean => {
    this.#lastReadBytes = byteCount;
    this.#responseBytes += byteCount;
    this.#read(this.#readBuffer, byteCount);
    return !this.#isPaused;
  };

  readonly #onData = (chunk: Buffer): void => {
    // Each of these is memory of its own.
    this.#isBufferLent = false;
    this.#read(chunk, chunk.length);
  };

  readonly #onConnect = (): void => {
    if (this.#phase !== PHASE.connecting) return;
    this.#phase = PHASE.idle;
    this.#upstream.connected(this);
  };

  readonly #onDrain = (): void => {
    if (this.#tunnel !== null) this.#tunnel.upstreamDrained();
    else this.exchange?.upstreamDrained();
  };

  readonly #onEnd = (): void => {
    if (this.#tunnel !== null) return this.#tunnel.upstreamEnded();
    if (this.#phase === PHASE.close) return this.#finish(true);
    this.#lost('UPSTREAM_RESET');
  };

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    const code = error.code ?? '';
    if (OUT_OF_RESOURCES.has(code)) this.#errorCode = 'RESOURCES_EXHAUSTED';
    else if (/^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code))
      this.#errorCode = 'UPSTREAM_TLS_FAILED';
    // 'close' follows.
  };

  readonly #onClose = (): void => {
    this.#tunnel?.upstreamClosed();
    this.#lost(this.#errorCode);
  };

  /** The peer ended or broke the connection where no message ends. */
  #lost(code: FaultCode): void {
    if (this.#phase === PHASE.closed) return;
    const { exchange } = this;
    const wasConnecting = this.#phase === PHASE.connecting;
    // One byte of a response is enough to know that the request was seen.
    const isSilent = this.#phase === PHASE.head && this.#held === null && this.#interims === 0;
    this.destroy();
    if (wasConnecting) {
      const fault = code === 'UPSTREAM_RESET' ? 'UPSTREAM_CONNECT_FAILED' : code;
      this.#upstream.connectFailed(this, exchange, fault, performance.now());
    } else if (exchange !== null) exchange.upstreamLost(this, code, isSilent);
  }

  #read(received: Buffer, byteCount: number): void {
    let bytes = received;
    let position = 0;
    let to = byteCount;
    if (this.#tunnel !== null) return this.#tunnel.fromUpstream(bytes, 0, to);
    if (this.exchange === null) {
      // Bytes that nobody asked for: whatever they are, they must never become somebody's response.
      return this.destroy();
    }
    this.#readAt = performance.now();
    this.#upstream.deadlines.set(this, this.#readAt + this.#upstream.config.responseTimeout);
    if (this.#held !== null) {
      bytes = Buffer.concat([this.#held, received.subarray(0, to)]);
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
    this.exchange?.flushResponse();
  }

  /** Returns the position behind the head, or -1 when nothing more is to be read now. */
  #readHead(bytes: Buffer, from: number, to: number): number {
    const exchange = this.exchange!;
    const head = this.#head;
    const framing = this.#framing;
    const end = head.parse(bytes, from, to);
    if (end === INCOMPLETE) {
      this.#held = Buffer.from(bytes.subarray(from, to));
      exchange.flushResponse();
      return -1;
    }
    const fault = end === REFUSED ? head.fault : framing.read(head, exchange.isHead);
    if (fault !== null) {
      exchange.fail(fault);
      return -1;
    }
    if (framing.isInterim) {
      if (head.status === 101) return this.#switchProtocols(exchange, bytes, end, to);
      if (++this.#interims > INTERIM_MAX) {
        exchange.fail('UPSTREAM_BAD_RESPONSE');
        return -1;
      }
      exchange.receiveInterim(head, framing, end);
      head.reset();
      return end;
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
        this.#decoder ??= new ChunkedDecoder();
        this.#decoder.reset();
        return end;
      default:
        this.#phase = PHASE.close;
        return end;
    }
  }

  #switchProtocols(exchange: Exchange, bytes: Buffer, end: number, to: number): number {
    if (!this.#framing.connectionUpgrade || !exchange.awaitsSwitchTo(this.#head.fieldValues('upgrade'))) {
      exchange.fail('UPSTREAM_BAD_RESPONSE');
      return -1;
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
      const end = decoder.next(bytes, from, to);
      if (decoder.dataEnd > decoder.dataStart)
        exchange.receiveResponseBody(bytes, decoder.dataStart, decoder.dataEnd);
      if (decoder.isRefused) {
        exchange.fail('UPSTREAM_BODY_CUT');
        return -1;
      }
      if (!decoder.isDone) return end;
      exchange.receiveResponseTrailers(decoder.trailers, this.#framing);
      return this.#finishAt(end, to);
    }
    exchange.receiveResponseBody(bytes, from, to);
    return to;
  }

  /** The response ends at `end`; bytes behind it make the connection unfit for another one. */
  #finishAt(end: number, to: number): number {
    this.#finish(end < to || !this.#framing.keepAlive);
    return -1;
  }

  #finish(isSpent: boolean): void {
    const exchange = this.exchange!;
    const isReusable = !isSpent && exchange.isRequestSent;
    this.#isLarge = this.#responseBytes > READ_BYTES;
    this.#responseBytes = 0;
    this.exchange = null;
    this.#phase = PHASE.idle;
    if (!isReusable) {
      this.destroy();
      return exchange.finishResponse(null);
    }
    this.resume();
    exchange.finishResponse(this);
  }
}

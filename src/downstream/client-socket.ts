// The socket of one client with what is known of it beside its requests: its address, its time limit, and what waits while
// it does not read. It decides nothing about requests; connection.ts does.

import type { Socket } from 'node:net';
import { hostname } from 'node:os';
import type { Surroundings } from '../bytes.ts';
import type { Config } from '../config/options/document.ts';
import { type ForwardedFacts, forwardedFacts } from '../http1/forwarded.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { type ProxyHeader, UNIX_ADDRESS } from '../ip-address.ts';
import type { NamedClient } from '../routing/trusted-proxies.ts';
import type { Timed } from '../transport/deadlines.ts';
import { Wire, type WireOwner } from '../transport/wire.ts';
import { Backlog } from './backlog.ts';
import type { ConnectionHost } from './connection-host.ts';
import type { TlsClient } from './tls-client.ts';

/** Connections of this process so far. */
let connectionCount = 0;

/** The part of a client connection, of the class `Connection`, that knows no request. It is as old as its socket. */
export abstract class ClientSocket<Connection> implements Timed, WireOwner, Surroundings {
  deadline = Number.POSITIVE_INFINITY;
  readonly listener: ConnectionHost<Connection>;
  readonly wire: Wire;
  /** For the present request: those of the connection, unless a trusted proxy names another client. */
  forwardedFacts: ForwardedFacts;
  readonly remoteAddress: string;
  readonly listenedOn: string;
  readonly connectionNumber = ++connectionCount;
  requestCount = 0;
  /** What the TLS handshake has shown; null for plain text. */
  readonly tls: TlsClient | null;
  /** What the PROXY header of the connection says; null without one. Set by the listener, before the first request. */
  proxyHeader: ProxyHeader | null = null;
  readonly #ownFacts: ForwardedFacts;
  /** Whose request a trusted proxy has passed on last; null = the client's own. */
  #named: NamedClient | null = null;
  /** What waits for a client that does not read; null while it reads. */
  #backlog: Backlog | null = null;

  constructor(
    listener: ConnectionHost<Connection>,
    socket: Socket,
    facts: ForwardedFacts,
    remoteAddress: string,
    listenedOn: string,
    tls: TlsClient | null,
  ) {
    this.listener = listener;
    this.listenedOn = listenedOn;
    this.forwardedFacts = facts;
    this.#ownFacts = facts;
    this.remoteAddress = remoteAddress;
    this.tls = tls;
    this.wire = new Wire(socket, this, tls === null, tls?.carrier ?? null);
    listener.deadlines.add(this);
  }

  get remotePort(): number {
    return this.#named === null ? this.peerPort : this.#named.port;
  }

  get peerAddress(): string {
    return this.remoteAddress;
  }

  get peerPort(): number {
    return this.wire.socket.remotePort ?? 0;
  }

  /** A Unix socket has none, and "unix:" is what nginx says of it. */
  get localAddress(): string {
    return this.wire.socket.localAddress?.replace(/^::ffff:(?=\d+\.)/i, '') ?? 'unix:';
  }

  get localPort(): number {
    return this.wire.socket.localPort ?? 0;
  }

  /** In lower case, as in nginx. */
  get hostname(): string {
    return hostname().toLowerCase();
  }

  get pid(): number {
    return process.pid;
  }

  timeMs(): number {
    return Date.now();
  }

  elapsedMs(): number {
    return performance.now();
  }

  identify(head: RequestHead, now: number): void {
    this.requestCount++;
    head.beganAtMs = now;
    const { trustedProxies } = this.listener.generation;
    if (trustedProxies === null && this.#named === null) return;
    const named = trustedProxies?.clientOf(head, this.remoteAddress, this.proxyHeader) ?? null;
    this.#named = named;
    head.remoteAddress = named?.address ?? this.remoteAddress;
    this.forwardedFacts = named === null ? this.#ownFacts : forwardedFacts(named.address, this.tls !== null);
  }

  abstract onDeadline(now: number): void;
  abstract received(bytes: Buffer, from: number, to: number): void;
  abstract blocked(): void;
  abstract drained(): void;

  flushed(): void {
    // A client is not waited for until its answer has left.
  }

  writeFailed(): boolean {
    return false;
  }

  setDeadline(at: number): void {
    this.listener.deadlines.set(this, at);
  }

  /** The time limits that hold now. */
  protected get timeouts(): Config['timeouts'] {
    return this.listener.generation.config.timeouts;
  }

  /** An answer can still be written. */
  get isAnswerable(): boolean {
    return this.wire.isWritable;
  }

  /** Ends the connection at once; what was answered still reaches the socket. */
  destroy(): void {
    this.wire.flush();
    this.wire.socket.destroy();
  }

  /** The same in the middle of a response. With `reset` the client can tell that it is not whole. */
  protected cutSocket(reset: boolean): void {
    // What was gathered of the response is true as far as it goes.
    this.wire.flush();
    // A Unix socket knows no reset, and Node throws when it is asked for one.
    if (reset && this.remoteAddress !== UNIX_ADDRESS) this.wire.reset();
    else this.wire.socket.destroy();
  }

  get responseBufferRoom(): number {
    return this.#openBacklog().roomWithin(this.listener.generation.config.limits);
  }

  bufferResponse(byteCount: number): boolean {
    this.#openBacklog().add(byteCount);
    return this.responseBufferRoom > 0;
  }

  keepsUp(): boolean {
    return this.wire.isBlocked && this.#backlog?.keepsUp(this.listener.generation.config) === true;
  }

  /** True when a client that does not read has kept up: it gets another time limit. */
  protected extendWrite(now: number): boolean {
    if (!this.keepsUp()) return false;
    this.setDeadline(now + this.timeouts.write);
    return true;
  }

  /** The client takes no more bytes for now. */
  protected beginBacklog(): void {
    this.#openBacklog().begin();
  }

  /** The client has read everything, or has gone. */
  protected emptyBacklog(): void {
    this.#backlog?.clear();
    this.#backlog = null;
  }

  #openBacklog(): Backlog {
    this.#backlog ??= new Backlog(this.wire, this.listener.counters);
    return this.#backlog;
  }
}

// Takes connections: the listening sockets, the clients that are connected, their number's limit, and the way out
// (drain). It decides nothing about requests. Sources: RFC 9112 §9.6; accept(2).

import { createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { EMPTY } from '../bytes.ts';
import { addressId, type ListenAddress } from '../config/listen-address.ts';
import type { ListenOption } from '../config/options/listen.ts';
import { type Cause, causeOf, FAULT_CODES, FAULTS, type FaultCode, formatCause, limitOf } from '../errors.ts';
import { Exchange } from '../exchange/exchange.ts';
import type { Observers } from '../exchange/outcome.ts';
import { faultText } from '../exchange/own-answer.ts';
import { forwardedFacts } from '../http1/forwarded.ts';
import { type ProxyHeader, UNIX_ADDRESS } from '../ip-address.ts';
import type { Generation } from '../routing/generation.ts';
import type { DownstreamCounters } from '../telemetry/counters.ts';
import type { HandshakeFailure } from '../telemetry/counts.ts';
import type { ClientExchange } from '../transport/contracts.ts';
import type { Deadlines } from '../transport/deadlines.ts';
import type { Descriptors } from '../transport/descriptors.ts';
import { descriptorOf } from '../transport/socket-handle.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import { Downstream } from './connection.ts';
import type { ConnectionHost } from './connection-host.ts';
import { ProxyArrivals } from './proxy-arrivals.ts';
import type { TlsClient } from './tls-client.ts';
import type { Handshake, TlsHost, TlsPort } from './tls-port.ts';
import { TlsWatch } from './tls-watch.ts';

const ACCEPT_BACKLOG = 4096;
/** How long a client that was turned away may take to let go. */
const TURN_AWAY_MS = 500;
/** How long a client whose handshake ends after the listening sockets have closed may take for its request. */
const LAST_REQUEST_MS = 1000;
/** Exchanges kept for later clients; about as many as are under way at once in a busy sidecar. */
const SPARE_EXCHANGES_MAX = 1024;

/**
 * The listening sockets and all clients of one data plane, which owns it. Its promise: the limit of clients holds, those beyond it
 * get an answer, and after `drain` or `stop` none is left.
 */
export class Listener implements ConnectionHost<Downstream>, TlsHost {
  readonly deadlines: Deadlines;
  readonly counters: DownstreamCounters;
  readonly observers: Observers;
  /** What requests are decided by from now on; those that have begun keep theirs. */
  generation: Generation;
  /** Responses carry `Connection: close`. */
  isDraining = false;
  /** No new connection is taken, and one that becomes idle closes. */
  isClosing = false;
  readonly #servers: Server[] = [];
  readonly #connections = new Set<Downstream>();
  readonly #tlsWatch: TlsWatch;
  readonly #arrivals = new ProxyArrivals();
  /** How connections with a PROXY header have begun: what it says, and the bytes that came along after it. */
  readonly #begun = new WeakMap<Socket, { readonly header: ProxyHeader | null; readonly rest: Buffer }>();
  readonly #tunnels = new Set<Tunnel>();
  readonly #spareExchanges: ClientExchange<Generation>[] = [];
  readonly #descriptors: Descriptors;
  readonly #onRefused: (code: FaultCode, cause: string) => void;
  readonly #onHandshakeFailed: (reason: HandshakeFailure, client: string, cause: string) => void;
  readonly #tlsPorts: TlsPort[] = [];
  #dateLine = '';
  #dateUntil = 0;
  #onEmpty: (() => void) | null = null;

  constructor(
    generation: Generation,
    deadlines: Deadlines,
    counters: DownstreamCounters,
    observers: Observers,
    descriptors: Descriptors,
    onRefused: (code: FaultCode, cause: string) => void,
    onHandshakeFailed: (reason: HandshakeFailure, client: string, cause: string) => void = () => undefined,
  ) {
    this.#onHandshakeFailed = onHandshakeFailed;
    this.#descriptors = descriptors;
    this.#onRefused = onRefused;
    this.generation = generation;
    this.deadlines = deadlines;
    this.#tlsWatch = new TlsWatch(deadlines);
    this.counters = counters;
    this.observers = observers;
  }

  /** Open client connections, tunnels included. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Listens on one more address, with TLS where `tlsPort` is given, and returns it as a URL with its real port.
   * Rejects with the error of listen(2), EADDRINUSE above all.
   */
  async listen(address: ListenOption, tlsPort: TlsPort | null = null): Promise<string> {
    const listenedOn = addressId(address);
    const begin = (socket: Socket): void => this.#begin(socket, listenedOn, tlsPort);
    const next =
      address.proxyProtocol === true ? (socket: Socket) => this.#awaitHeader(socket, begin) : begin;
    const accept = (socket: Socket): void => this.#accept(socket, tlsPort, next);
    if (tlsPort !== null) {
      tlsPort.attach(this, listenedOn);
      this.#tlsPorts.push(tlsPort);
    }
    const server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
    await this.#bind(server, address);
    // An accept that failed (memory, buffers, a firewall) is one client's misfortune, not the end of all.
    server.on('error', (error: NodeJS.ErrnoException) =>
      this.#refuse('RESOURCES_EXHAUSTED', causeOf(`accept failed: ${error.code ?? 'no reason given'}`)),
    );
    this.#servers.push(server);
    if (address.path !== null) return `unix:${address.path}`;
    const bound = server.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
    const host = address.host ?? 'localhost';
    return `${tlsPort === null ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  }

  /** Stops taking connections, ends those that are idle, and resolves when none is left. */
  async drain(): Promise<void> {
    this.isClosing = true;
    for (const server of this.#servers) server.close();
    this.#arrivals.stop();
    const now = performance.now();
    for (const connection of this.#connections) {
      if (connection.isIdle) connection.close(now);
    }
    if (this.#isEmpty) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  /** Ends every tunnel in an orderly way. */
  closeTunnels(): void {
    for (const tunnel of [...this.#tunnels]) tunnel.close();
  }

  /** The drain deadline has passed: ends every exchange, with an answer where none has begun. */
  cutExchanges(): void {
    const cause = limitOf('drain.deadline', this.generation.config.drain.deadline, 'ms');
    for (const connection of this.#connections) connection.cutExchange('DRAIN_DEADLINE', cause);
  }

  /** Ends everything at once. */
  async stop(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)));
    for (const port of this.#tlsPorts) port.stop();
    this.#arrivals.stop();
    for (const connection of this.#connections) connection.destroy();
    await Promise.all(closed);
  }

  /** An exchange for this client, until it is given back. */
  takeExchange(downstream: Downstream): ClientExchange<Generation> {
    const exchange = this.#spareExchanges.pop() ?? new Exchange(this.observers, this.counters);
    exchange.attach(downstream);
    return exchange;
  }

  giveBack(exchange: ClientExchange<Generation>): void {
    exchange.detach();
    if (this.#spareExchanges.length < SPARE_EXCHANGES_MAX) this.#spareExchanges.push(exchange);
  }

  /** A client connection is closed. */
  closed(connection: Downstream): void {
    this.deadlines.remove(connection);
    if (connection.tls !== null) this.#tlsWatch.remove(connection);
    if (!this.#connections.delete(connection)) return;
    this.counters.connectionClosed();
    this.#descriptors.clients--;
    if (this.#isEmpty) this.#onEmpty?.();
  }

  /** Neither a connection nor a handshake that may become one. */
  get #isEmpty(): boolean {
    return this.#connections.size === 0 && this.#handshakes === 0 && this.#arrivals.count === 0;
  }

  get #handshakes(): number {
    let count = 0;
    for (const port of this.#tlsPorts) count += port.pending;
    return count;
  }

  secured(socket: TLSSocket, client: TlsClient, { remoteAddress }: Handshake, listenedOn: string): void {
    this.#open(socket, remoteAddress, listenedOn, client);
  }

  handshakeEnded(): void {
    this.#descriptors.clients--;
    if (this.isClosing && this.#isEmpty) this.#onEmpty?.();
  }

  handshakeFailed(client: string, reason: HandshakeFailure, cause: string): void {
    this.#onHandshakeFailed(reason, client, cause);
  }

  tunnelOpened(tunnel: Tunnel): void {
    this.#tunnels.add(tunnel);
    this.counters.tunnelOpened();
  }

  tunnelClosed(tunnel: Tunnel): void {
    if (this.#tunnels.delete(tunnel)) this.counters.tunnelClosed();
  }

  /** "Date: …" CRLF of `now`, a time of `performance.now()`; made anew each second. */
  dateLine(now: number): string {
    if (now >= this.#dateUntil) {
      const date = new Date();
      this.#dateUntil = now + 1000 - date.getMilliseconds();
      this.#dateLine = `Date: ${date.toUTCString()}\r\n`;
    }
    return this.#dateLine;
  }

  async #bind(server: Server, { host, port, path }: ListenAddress): Promise<void> {
    if (path !== null) return listenOn(server, { path, backlog: ACCEPT_BACKLOG });
    if (host !== null) return listenOn(server, { host, port, backlog: ACCEPT_BACKLOG });
    try {
      await listenOn(server, { host: '::', port, backlog: ACCEPT_BACKLOG, ipv6Only: false });
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL') throw error;
      await listenOn(server, { host: '0.0.0.0', port, backlog: ACCEPT_BACKLOG });
    }
  }

  #accept(socket: Socket, tlsPort: TlsPort | null, next: (socket: Socket) => void): void {
    const { connections } = this.generation.config.limits;
    if (this.#connections.size + this.#handshakes + this.#arrivals.count >= connections)
      return this.#refuseClient(
        socket,
        tlsPort,
        'CONNECTIONS_EXHAUSTED',
        limitOf('limits.connections', connections),
      );
    if (descriptorOf(socket) >= this.#descriptors.clientsEnd)
      return this.#refuseClient(socket, tlsPort, 'RESOURCES_EXHAUSTED', this.#descriptors.describe());
    this.#descriptors.clients++;
    next(socket);
  }

  /** A PROXY header comes first. Of a proxy that is not trusted none is read. */
  #awaitHeader(socket: Socket, next: (socket: Socket) => void): void {
    const { trustedProxies, config } = this.generation;
    const ended = (cause: Cause | null): void => {
      this.handshakeEnded();
      if (cause !== null) this.#refuse('BAD_PROXY_HEADER', cause);
    };
    if (trustedProxies?.trusts(peerOf(socket) || UNIX_ADDRESS) === false) {
      socket.destroy();
      return ended(causeOf('the peer is not in trustedProxies.from'));
    }
    this.#arrivals.accept(socket, config.timeouts.requestHead, {
      deadlines: this.deadlines,
      ended,
      arrived: (header, rest) => {
        this.#begun.set(socket, { header, rest });
        next(socket);
      },
    });
  }

  /** The bytes from here on are TLS or HTTP. */
  #begin(socket: Socket, listenedOn: string, tlsPort: TlsPort | null): void {
    if (tlsPort === null) return this.#open(socket, peerOf(socket), listenedOn, null);
    const rest = this.#begun.get(socket)?.rest ?? EMPTY;
    socket.pause();
    tlsPort.accept(socket, peerOf(socket), performance.now());
    if (rest.length > 0 && !socket.destroyed) socket.unshift(rest);
  }

  /** Requests may come. `address` is empty on a Unix socket. */
  #open(socket: Socket, address: string, listenedOn: string, tls: TlsClient | null): void {
    const facts = forwardedFacts(address, tls !== null);
    this.counters.connectionOpened();
    const client = address === '' ? UNIX_ADDRESS : address;
    const connection = new Downstream(this, socket, facts, client, listenedOn, tls);
    this.#connections.add(connection);
    if (tls !== null) this.#tlsWatch.add(connection);
    const begun = this.#begun.get(tls?.carrier ?? socket);
    connection.proxyHeader = begun?.header ?? null;
    // Its handshake began before the listening sockets closed: a request that is on its way is still served.
    if (this.isClosing) connection.setDeadline(performance.now() + LAST_REQUEST_MS);
    if (tls === null && begun !== undefined && begun.rest.length > 0)
      connection.received(begun.rest, 0, begun.rest.length);
  }

  /** A client that may not even begin: nothing can be said to it before a handshake, which would cost what is short. */
  #refuseClient(socket: Socket, tlsPort: TlsPort | null, code: FaultCode, cause: Cause): void {
    if (tlsPort === null) return this.turnAway(socket, code, cause);
    this.#refuse(code, cause);
    socket.on('error', () => undefined);
    socket.destroy();
  }

  #refuse(code: FaultCode, cause: Cause): void {
    this.counters.refused(FAULT_CODES.indexOf(code));
    this.#onRefused(code, formatCause(cause));
  }

  turnAway(socket: Socket, code: FaultCode, cause: Cause): void {
    this.#refuse(code, cause);
    const isLast = descriptorOf(socket) >= this.#descriptors.refusedEnd;
    const body = faultText(code, cause);
    socket.on('error', () => socket.destroy());
    // What the client sent is read and thrown away: unread, it would make the kernel reset the answer away.
    socket.resume();
    socket.setTimeout(TURN_AWAY_MS, () => socket.destroy());
    socket.end(
      `HTTP/1.1 ${FAULTS[code].status === 400 ? '400 Bad Request' : '503 Service Unavailable'}\r\n${this.dateLine(performance.now())}x-splitter-error: ${code}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
    // Waiting for its end would cost one of the last descriptors: the answer is on its way, or is lost.
    if (isLast) socket.destroy();
  }
}

/** The address of the peer; empty on a Unix socket. */
function peerOf({ remoteAddress = '' }: Socket): string {
  return remoteAddress.startsWith('::ffff:') && remoteAddress.includes('.')
    ? remoteAddress.slice(7)
    : remoteAddress;
}

function listenOn(server: Server, options: Parameters<Server['listen']>[0]): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options as object, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

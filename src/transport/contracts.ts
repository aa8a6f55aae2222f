// What the parts of the data plane may ask of each other, where the one that asks lies below the one that answers: an
// upstream connection of its exchange, an exchange of its client. Each interface lists its calls in their legal order.
// Types only. The classes are in exchange/, upstream/ and downstream/; a test that needs a stand-in implements one of these.

import type { RequestView, Surroundings } from '../bytes.ts';
import type { Cause, FaultCode } from '../errors.ts';
import type { FieldSection } from '../http1/fields.ts';
import type { ForwardedFacts } from '../http1/forwarded.ts';
import type { RequestFraming, ResponseFraming } from '../http1/framing.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { ClientTunnelEnd, TunnelHost, UpstreamTunnelEnd } from './tunnel.ts';
import type { Wire } from './wire.ts';

/** What an exchange needs to know of an address; the upstream owns it. */
export interface AddressFacts {
  /** What people see. */
  readonly name: string;
  /** IP address and port, or "unix:" and the path of a socket. */
  readonly endpoint: string;
  readonly server: {
    /** Its place in the configuration. */
    readonly index: number;
  };
}

/**
 * What an exchange may ask of the upstream connection that carries it.
 *
 * Order: `expectResponse` once, just before the request head is written to `wire`; then `waitUntil` as often as needed;
 * `countAsStream` when the response is one. In answer to `finishResponse` it calls `release`, in answer to `upstreamLost`
 * `blame`, and nothing else after these. An exchange that ends earlier calls `leave` once, with `blame` before it, or
 * `becomeTunnel` when both peers switch protocols. While `isConnecting`, it calls nothing.
 */
export interface PooledConnection extends UpstreamTunnelEnd {
  readonly wire: Wire;
  readonly address: AddressFacts;
  /** The exchange whose response is read next; null while idle. */
  exchange: UpstreamExchange | null;
  /** Exchanges that were sent on this connection, the present ones included. */
  readonly exchanges: number;
  readonly isConnecting: boolean;
  /** Bytes of the response body that are still to be read; -1 = unknown. */
  readonly bodyBytesLeft: number;
  expectResponse(exchange: UpstreamExchange): void;
  /** Sets the time limit of the present exchange. */
  waitUntil(at: number): void;
  /** The failure speaks against the connection's address. */
  blame(code: FaultCode, now: number, cause: Cause | null): void;
  /** The upstream has another address that is healthy. */
  hasAlternative(now: number): boolean;
  /** The exchange has ended well: the connection may serve another one. */
  release(now: number): void;
  /** The connection stays busy for as long as the client likes. False when the upstream has too many of these. */
  countAsStream(): boolean;
  /** The exchange wants no answer any more. `isUpstreams`: the upstream is to blame. */
  leave(exchange: UpstreamExchange, isUpstreams: boolean): void;
}

/** What an exchange has tried at its present upstream. */
export interface AttemptFacts {
  /** Connects that failed; the pool counts them. */
  connects: number;
  /** Until when it waits for an upstream that refuses every connect; the pool sets it. 0 = it has not had to wait. */
  reconnectUntil: number;
  /** It was accepted once already: it is sent again. */
  readonly isRetry: boolean;
  /** The addresses at which a connect or a first use failed. */
  readonly failedAddresses: AddressFacts[];
}

/**
 * What a pool and its connections may ask of an exchange.
 *
 * Order, after the exchange has called `checkOut`: the pool answers with `wait` (again with `start` or `connecting` later),
 * `connecting` (then `start`), `start`, `unreachable` or `fail`. After `start` the connection calls `receiveInterim` any
 * number of times, `receiveResponseHead` once, `receiveResponseBody` any number of times, `receiveResponseTrailers` at
 * most once and `finishResponse` once. Between `start` and the end, `upstreamBlocked` and `upstreamDrained` alternate.
 * `upstreamLost`, `fail` and `switchProtocols` each take the place of what would come next, and nothing follows them.
 */
export interface UpstreamExchange {
  /** The client's request. */
  readonly head: RequestView;
  /** 32-bit hash of the key that a split has decided by; -1 = it had none, or no split has decided. */
  readonly keyHash: number;
  /** The client's request is HEAD: the response has no body. */
  readonly isHead: boolean;
  /** The client asked for an Upgrade that may pass. */
  readonly passesUpgrade: boolean;
  /** The request may share a connection with others that have not been answered yet (RFC 9112 §9.3.2). */
  readonly isPipelinable: boolean;
  /** Another upstream takes it when this one cannot be reached. */
  readonly mayFallBack: boolean;
  /** Every byte of the request has been given to the upstream's socket. */
  readonly isRequestSent: boolean;
  /** Its connection can go no further before the client sends or reads. */
  readonly waitsForClient: boolean;
  /** Bytes that the client has sent and taken, as far as that can be seen. */
  readonly clientBytes: number;
  readonly attempts: AttemptFacts;
  /** Time since the request began. */
  ageMs(now: number): number;

  /** No connection is free: wait for one until `deadline`. */
  wait(deadline: number): void;
  /** A connection is being opened for this exchange. */
  connecting(connection: PooledConnection, now: number): void;
  /** The connection is ready: the request goes out. */
  start(connection: PooledConnection, now: number): void;
  /** No connection can be made, and nothing was sent. */
  unreachable(code: FaultCode, now: number, cause: Cause | null): void;

  /** Bytes of the response have come, or those of the response before it on the same connection have ended. */
  answerMoves(now: number): void;
  /** The limit that the exchange set with `waitUntil` has passed. */
  onAnswerDeadline(): void;
  upstreamBlocked(): void;
  upstreamDrained(): void;
  receiveInterim(head: ResponseHead, framing: ResponseFraming, headEnd: number): void;
  receiveResponseHead(head: ResponseHead, framing: ResponseFraming, headEnd: number, now: number): void;
  /** The bytes are valid during the call only. `isLast`: the body ends with them and has no trailers. */
  receiveResponseBody(bytes: Buffer, from: number, to: number, isLast: boolean): void;
  receiveResponseTrailers(trailers: FieldSection, framing: ResponseFraming): void;
  /** The response has ended well. `connection` may serve another exchange; null when it may not. */
  finishResponse(connection: PooledConnection | null, now: number): void;
  /** True when these values of Upgrade name the one protocol that the client asked for and may have (RFC 9110 §7.8). */
  awaitsSwitchTo(protocols: readonly Uint8Array[]): boolean;
  switchProtocols(head: ResponseHead, framing: ResponseFraming, headEnd: number): void;
  /**
   * The connection was lost before a whole response. `isSilent`: not one byte of a response came. `wasSent`: something of
   * the request has left.
   */
  upstreamLost(
    connection: PooledConnection,
    code: FaultCode,
    isSilent: boolean,
    wasSent: boolean,
    cause: Cause | null,
  ): void;
  /** Ends the exchange badly. */
  fail(code: FaultCode, cause?: Cause | null): void;
}

/** What an answer of the splitter depends on besides its content. */
export interface AnswerFrame {
  /** "Date: …" CRLF. */
  readonly dateLine: string;
  /** The client's. */
  readonly minorVersion: number;
  /** The request is HEAD: the answer has no body. */
  readonly isHead: boolean;
  /** The connection stays open. */
  readonly persists: boolean;
  /** Statuses have nginx's pages, which are HTML. */
  readonly isHtml: boolean;
}

/** What an exchange reads of the listener that took its client. */
export interface ClientListener<Generation> extends TunnelHost {
  /** What requests are decided by from now on. */
  readonly generation: Generation & TunnelHost['generation'];
  /** "Date: …" CRLF of `now`. */
  dateLine(now: number): string;
}

/**
 * What an exchange may ask of the client whose request it is. `Generation` is that of routing/, a room above this one.
 *
 * Order, from `begin` of the exchange to its end: `setDeadline` and `proceed` as often as needed, a response written to
 * `wire` with `bufferResponse` for what the client does not read; then exactly one of `exchangeEnded` (the response is
 * whole), `answer` (the splitter's own), `cut` (it can no longer be whole) and `becomeTunnel`. Nothing follows these.
 */
export interface Client<Generation> extends ClientTunnelEnd, Surroundings {
  readonly wire: Wire;
  readonly listener: ClientListener<Generation>;
  /** Client address as text; "unix:" on a Unix socket. */
  readonly remoteAddress: string;
  /** The address that the client came in by, as routes.ts names it. */
  readonly listenedOn: string;
  readonly forwardedFacts: ForwardedFacts;
  /** The present answer is the last one on this connection. */
  readonly isLastAnswer: boolean;
  /** An answer can still be written. */
  readonly isAnswerable: boolean;
  /** Bytes of a response that may be read for this client while it does not read. */
  readonly responseBufferRoom: number;
  /** A request begins: counts it, and sets in its head when it began and whose it is. */
  identify(head: RequestHead, now: number): void;
  setDeadline(at: number): void;
  /** Reads on in what the client has sent, as far as the exchange takes it. */
  proceed(): void;
  /** A client that does not read has taken `limits.minimumRate` all the same since it was last asked about. */
  keepsUp(): boolean;
  /** Bytes of a response wait here for the client. False when no more should be read for it. */
  bufferResponse(byteCount: number): boolean;
  answerFrame(keepAlive: boolean, now: number): AnswerFrame;
  exchangeEnded(keepAlive: boolean, now: number): void;
  answer(text: string, persists: boolean, now: number): void;
  /** `reset`: where an orderly end would look like a whole response. */
  cut(reset: boolean): void;
}

/**
 * What a client connection may ask of its exchange.
 *
 * Order: `attach` once; for each request `keep` and the parsing of `head` and `framing`, then `refused` or `begin`; in the
 * end `detach`, when it is not active.
 * While `isActive`: `receiveRequestBody` as long as `takesBody`, `downstreamBlocked` and `downstreamDrained` in turn,
 * `onClientDeadline` when the limit of `setDeadline` has passed, `abort` when the client goes away. The exchange ends by a call to its client.
 */
export interface ClientExchange<Generation> {
  readonly head: RequestHead;
  readonly framing: RequestFraming;
  readonly isActive: boolean;
  readonly isRequestSent: boolean;
  /** Body bytes of the request may be handed over now. */
  readonly takesBody: boolean;
  /** Belongs to this client from now on. */
  attach(client: Client<Generation>): void;
  /** Belongs to no client, and refers to nothing of the last one. Throws while it is active. */
  detach(): void;
  /**
   * Copies bytes[from, to) to where they stay for as long as the exchange belongs to its client. `followers`: the number of
   * bytes that came after them in the same read and are not copied.
   */
  keep(bytes: Buffer, from: number, to: number, followers: number): Buffer;
  begin(headEnd: number, now: number): void;
  /** Returns the position up to which bytes[from, to) belong to the body. */
  receiveRequestBody(bytes: Buffer, from: number, to: number, now: number): number;
  downstreamBlocked(now: number): void;
  downstreamDrained(): void;
  /** The limit that the exchange set with `setDeadline` has passed. */
  onClientDeadline(now: number): void;
  fail(code: FaultCode, cause?: Cause | null): void;
  /** The client is gone. */
  abort(cause: Cause): void;
  /** The request was refused before it could begin. */
  refused(code: FaultCode, cause: Cause | null, sentBytes: number): void;
}

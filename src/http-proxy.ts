// A ready request and upgrade handler for a Node server that already exists: the splitter decides, http-proxy makes
// the upstream request, and everything between the two that must not go wrong is here: fields, time limits, faults.
// Takes the same configuration as the program. Sources: RFC 9110 §7.6, RFC 9112 §6; http-proxy 1.18.1.

import { Agent, type ClientRequest, type IncomingMessage, ServerResponse, STATUS_CODES } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { type Duplex, Stream } from 'node:stream';
import httpProxy from 'http-proxy';
import type * as z from 'zod/mini';
import { linkSource } from './config/link.ts';
import { formatPath, formatProblem, type Path, type Problem } from './config/problem.ts';
import {
  type Config,
  type documentSchema,
  membersOf,
  type UpstreamConfig,
  type UpstreamUrl,
} from './config/schema.ts';
import { afterEarlierAnswers, cutAnswer, trackAnswer } from './embed/answer-order.ts';
import { FAULTS, type FaultCode } from './errors.ts';
import { isFieldOf, isForwardedName, isSplitterName, type RequestEdit } from './http1/forward.ts';
import { checkKey } from './key/compile.ts';
import { PEM_BYTES_MAX, readRegularFileSync } from './regular-file.ts';
import { type Edits, editsFor } from './routing/edits.ts';
import { LibraryView } from './split/request.ts';
import { type DecisionExtras, Splitter, type Variant } from './split/splitter.ts';

export type { FaultCode } from './errors.ts';

type DocumentInput = z.input<typeof documentSchema>;
type SplitInput = NonNullable<DocumentInput['splits']>[string];

/**
 * Either one split with an upstream URL in each variant, or a whole configuration document with one split and no
 * routes. Of a document are read: `splits`, `upstreams` and `upstreamDefaults` (url, tls, host, connectTimeout,
 * responseTimeout, retry, pool.maxConnections, maxQueued, queueTimeout, idleTimeout), `forwarded`, `via`, `upgrades`,
 * `variantHeader`, `vary`, `requestId`, `traceparent` and `timeouts.tunnelIdle`. Routes, probes and fallbacks are errors, as they are not offered here; the rest belongs to
 * the server around the handler.
 */
export type HandlerConfig = SplitInput | DocumentInput;

/** What a handler tells the server around it. */
export interface HandlerOptions {
  /** Called once for each exchange or tunnel that ends badly, with the error behind it if there is one. */
  readonly onFault?: (code: FaultCode, request: IncomingMessage, cause: Error | null) => void;
}

/** Listeners for a Node server; both are bound and never throw. */
export interface Handler {
  /**
   * For `createServer(handler.request)` or a route of your server. It needs the request's body unread: mount it before
   * body parsers such as `express.json()`, else requests with a body get 500 BODY_ALREADY_READ.
   */
  readonly request: (request: IncomingMessage, response: ServerResponse) => void;
  /** For `server.on('upgrade', handler.upgrade)`. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Closes every upstream connection; call it once the server has closed. */
  close(): void;
}

/**
 * A handler that sends each request to the upstream of its variant, over kept-alive connections. A fault is answered
 * with the status of errors.ts and its code in `x-splitter-error`; one in the middle of a response cuts the connection.
 * Trailers are not passed on. Throws one TypeError that lists every problem of `config`.
 */
export function createHandler(config: HandlerConfig, options: HandlerOptions = {}): Handler {
  const checked = checkConfig(config);
  const [name, split] = [...checked.splits][0]!;
  const splitter = new Splitter(name, split);
  const door: Door = {
    config: checked,
    splitter,
    edits: splitter.variants.map((variant) => editsFor(checked, splitter, variant.name)),
    upstreams: new Map([...checked.upstreams].map(([key, upstream]) => [key, new Upstream(upstream)])),
    proxy: httpProxy.createProxyServer(),
    onFault: options.onFault ?? (() => {}),
    tunnels: new WeakMap(),
  };
  door.proxy.on('proxyReqWs', (upstreamRequest, request) =>
    door.tunnels.get(request)?.begin(upstreamRequest),
  );
  return {
    request: (request, response) => handleRequest(door, request, response),
    upgrade: (request, socket, head) => handleUpgrade(door, request, socket as Socket, head),
    close: () => {
      for (const upstream of door.upstreams.values()) upstream.agent.destroy();
    },
  };
}

interface Door {
  readonly config: Config;
  readonly splitter: Splitter;
  /** What is edited for each variant, in their order; null = nothing. */
  readonly edits: readonly (Edits | null)[];
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly proxy: httpProxy;
  readonly onFault: NonNullable<HandlerOptions['onFault']>;
  readonly tunnels: WeakMap<IncomingMessage, Tunnel>;
}

function checkConfig(config: HandlerConfig): Config {
  const isObject = typeof config === 'object' && config !== null;
  const isSplit = isObject && 'variants' in config;
  const document = isSplit ? { splits: { split: config } } : config;
  const locate = (path: Path) => {
    const own = isSplit ? path.slice(2) : path;
    return { at: formatPath(own) || 'config', path: '', order: 0 };
  };
  const outcome = linkSource({ document, locate }, checkKey);
  const problems: Problem[] = [...(outcome.problems ?? [])];
  const refuseOption = (path: Path, got: string) =>
    problems.push({ ...locate(path), expected: 'nothing, as only the program offers it', got });
  if (!isSplit && isObject && 'routes' in config) refuseOption(['routes'], 'routes');
  for (const [name, { servers, host, setHeaders, probe, onDown }] of outcome.config?.upstreams ?? []) {
    if (servers !== undefined) refuseOption(['upstreams', name, 'servers'], 'several servers');
    if (host?.startsWith('$host') === true) refuseOption(['upstreams', name, 'host'], host);
    if (setHeaders !== undefined) refuseOption(['upstreams', name, 'setHeaders'], 'fields');
    if (probe !== undefined) refuseOption(['upstreams', name, 'probe'], 'a probe');
    if (onDown !== null) refuseOption(['upstreams', name, 'onDown'], 'a fallback');
  }
  if (outcome.config !== undefined && problems.length === 0) return outcome.config;
  const lines = problems.map((problem) => `  ${formatProblem(problem)}`);
  throw new TypeError(`createHandler: the configuration cannot be used\n${lines.join('\n')}`);
}

/** Where the requests of a variant go, and the connections to it. */
class Upstream {
  readonly config: UpstreamConfig;
  readonly url: UpstreamUrl;
  readonly agent: Agent;
  /** As http-proxy takes it: certificates belong to it, the name for TLS does not. */
  readonly target: { host: string; port: number; protocol: string; socketPath?: string };
  readonly serverName: { servername?: string };

  constructor(config: UpstreamConfig) {
    const { pool } = config;
    const { url } = membersOf(config)[0]!;
    const options = { keepAlive: true, maxSockets: pool.maxConnections, timeout: pool.idleTimeout };
    const files = filesOf(config);
    this.config = config;
    this.url = url;
    this.target = { host: url.host, port: url.port, protocol: url.tls ? 'https:' : 'http:', ...files };
    if (url.path !== null) this.target.socketPath = url.path;
    const name = config.tls?.serverName ?? url.host;
    this.serverName = url.tls ? { servername: isIP(name) === 0 ? name : '' } : {};
    this.agent = url.tls ? new TlsAgent({ ...options, ...files, ...this.serverName }) : new Agent(options);
  }

  /** True when one more exchange would wait behind as many as may wait. */
  isFull(): boolean {
    const { maxConnections, maxQueued } = this.config.pool;
    return count(this.agent.sockets) >= maxConnections && count(this.agent.requests) >= maxQueued;
  }
}

/** Throws as the file system does when one cannot be read: a handler without its certificates is of no use. */
function filesOf({ tls }: UpstreamConfig): { ca?: Buffer; cert?: Buffer; key?: Buffer } {
  const { caFile, certFile, keyFile } = tls ?? {};
  return {
    ...(caFile !== undefined && { ca: readRegularFileSync(caFile, PEM_BYTES_MAX) }),
    ...(certFile !== undefined && { cert: readRegularFileSync(certFile, PEM_BYTES_MAX) }),
    ...(keyFile !== undefined && { key: readRegularFileSync(keyFile, PEM_BYTES_MAX) }),
  };
}

function count(lists: NodeJS.ReadOnlyDict<readonly unknown[]>): number {
  return Object.values(lists).reduce((sum, list) => sum + (list?.length ?? 0), 0);
}

/** Where a request goes, and what the splitter itself changes in its messages. */
interface Course {
  readonly variant: Variant;
  readonly edit: RequestEdit | null;
  /** Names of the upstream's fields that go no further. */
  readonly dropped: readonly Uint8Array[];
  /** Names and values in turn, for whatever answers the client. */
  readonly added: readonly string[];
}

/** Null when the request has no key and such requests are rejected. */
function decide({ splitter, edits }: Door, request: IncomingMessage, view: LibraryView): Course | null {
  // A router may have cut its mount path off what is forwarded; the key is that of the whole target, as in nginx.
  const { originalUrl } = request as { readonly originalUrl?: string };
  const whole = originalUrl === undefined || originalUrl === request.url ? view : new LibraryView(request);
  const { variant, reason, extras } = splitter.decide(whole);
  if (variant === null) return null;
  const own = edits[variant.index]!;
  if (own === null) return { variant, edit: null, dropped: [], added: [] };
  const added = fieldsOf(own.linesOfResponse(extras, reason));
  const edit = own.ofRequest(view, inForwarded(splitter, view, whole, extras), own.makeRequestId(view));
  return { variant, edit, dropped: own.droppedFromResponse ?? [], added };
}

/** The override is removed from the target that is forwarded, which a router may have shortened. */
function inForwarded(
  splitter: Splitter,
  view: LibraryView,
  whole: LibraryView,
  extras: DecisionExtras | null,
) {
  if (whole === view || extras === null || extras.override === null) return extras;
  return { ...extras, override: splitter.decide(view).extras?.override ?? null };
}

function handleRequest(door: Door, request: IncomingMessage, response: ServerResponse): void {
  trackAnswer(request, response);
  const view = new LibraryView(request, request.url);
  const course = decide(door, request, view);
  const coding = request.headers['transfer-encoding']?.toLowerCase();
  if (course === null) return refuse(door, request, response, 'KEY_MISSING');
  if (coding !== undefined && coding !== 'chunked') {
    return refuse(door, request, response, 'UNKNOWN_TRANSFER_ENCODING');
  }
  // A body that is gone cannot be sent: the upstream would wait for it.
  if (hasBody(request) && request.readableDidRead)
    return refuse(door, request, response, 'BODY_ALREADY_READ');
  const upstream = door.upstreams.get(course.variant.upstream)!;
  if (upstream.isFull()) return refuse(door, request, response, 'QUEUE_FULL', course.added);
  new Exchange(door, upstream, course, view, request, response).send();
}

function refuse(
  door: Door,
  request: IncomingMessage,
  response: ServerResponse,
  code: FaultCode,
  added: readonly string[] = [],
): void {
  answer(response, code, added);
  // The connection can go on only once the body has been read.
  request.resume();
  door.onFault(code, request, null);
}

function answer(response: ServerResponse, code: FaultCode, added: readonly string[]): void {
  const body = bodyOf(code);
  const own = ['content-type', 'text/plain', 'content-length', `${body.length}`, 'x-splitter-error', code];
  const fields = [...own, ...added];
  response.writeHead(FAULTS[code].status, fields);
  response.end(body);
}

function bodyOf(code: FaultCode): string {
  return `${code}: ${FAULTS[code].sentence}\n`;
}

/** How long a client that was answered may take to close. */
const LINGER_MS = 2000;
/** How far an upstream request has come; a fault is named after it. */
const PHASE = { queued: 0, connecting: 1, sent: 2, answered: 3, ended: 4 } as const;

/** What exchange and tunnel share: one upstream request, and a limit on every wait for it. */
abstract class Attempt extends Stream {
  protected readonly door: Door;
  protected readonly upstream: Upstream;
  protected readonly course: Course;
  protected readonly request: IncomingMessage;
  protected phase: number = PHASE.queued;
  protected upstreamRequest: ClientRequest | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(door: Door, upstream: Upstream, course: Course, request: IncomingMessage) {
    super();
    this.door = door;
    this.upstream = upstream;
    this.course = course;
    this.request = request;
  }

  /** Ends it for good; `code` is null for a good end. Only the first call counts. */
  abstract end(code: FaultCode | null, cause: Error | null): void;

  /** What a silence of the upstream for its `responseTimeout` means now; null while the client is the one that is slow. */
  protected abstract get silence(): FaultCode | null;

  protected watch(upstreamRequest: ClientRequest): void {
    const { connectTimeout, responseTimeout, pool } = this.upstream.config;
    const { url } = this.upstream;
    this.upstreamRequest = upstreamRequest;
    this.phase = PHASE.queued;
    this.#limit(pool.queueTimeout, 'QUEUE_TIMEOUT');
    upstreamRequest.once('socket', (socket) => {
      const silent = () => {
        const { bytesRead } = socket;
        // Asked now: a client that reads or sends again in this turn ends its own pause, not the upstream's.
        const code = this.silence;
        socket.setTimeout(responseTimeout);
        // A busy event loop runs its timers first: what has come meanwhile is read before this asks again.
        setImmediate(() => {
          if (code !== null && socket.bytesRead === bytesRead) this.end(code, null);
        });
      };
      const connected = () => {
        this.stopWaiting();
        this.phase = PHASE.sent;
        socket.setTimeout(responseTimeout);
        socket.on('timeout', silent);
        upstreamRequest.once('close', () => socket.off('timeout', silent));
      };
      if (!socket.connecting) return connected();
      this.phase = PHASE.connecting;
      this.#limit(connectTimeout, 'UPSTREAM_CONNECT_TIMEOUT');
      socket.once(url.tls ? 'secureConnect' : 'connect', connected);
    });
  }

  protected stopWaiting(): void {
    clearTimeout(this.#timer);
  }

  protected faultOf({ code = '', syscall }: NodeJS.ErrnoException): FaultCode {
    if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'UPSTREAM_UNRESOLVED';
    if (code === 'HPE_HEADER_OVERFLOW') return 'UPSTREAM_HEAD_TOO_LARGE';
    if (code.startsWith('HPE_')) return 'UPSTREAM_BAD_RESPONSE';
    if (this.phase >= PHASE.sent) return 'UPSTREAM_RESET';
    const isTls = this.upstream.url.tls && syscall !== 'connect';
    return isTls ? 'UPSTREAM_TLS_FAILED' : 'UPSTREAM_CONNECT_FAILED';
  }

  #limit(ms: number, code: FaultCode): void {
    this.stopWaiting();
    this.#timer = setTimeout(() => this.end(code, null), ms);
  }
}

/** One request and its response. It stands in for the request's body, so that http-proxy hands over its request at once. */
class Exchange extends Attempt {
  readonly #response: ServerResponse;
  readonly #target: string;
  readonly #fields: readonly string[];
  #attempts = 0;

  constructor(
    door: Door,
    upstream: Upstream,
    course: Course,
    view: LibraryView,
    request: IncomingMessage,
    response: ServerResponse,
  ) {
    super(door, upstream, course, request);
    this.#response = response;
    this.#target = targetFor(course, view);
    this.#fields = [
      ...requestFields(door.config, upstream, course, view, request),
      ...framingFields(request),
    ];
    response.on('error', (cause) => this.end('DOWNSTREAM_GONE', cause));
    response.once('finish', () => this.end(null, null));
    response.once('close', () => this.end('DOWNSTREAM_GONE', null));
  }

  /** Sends the request; the second time on a connection of its own. */
  send(): void {
    const attempt = ++this.#attempts;
    const options = {
      target: this.upstream.target,
      agent: attempt === 1 ? this.upstream.agent : undefined,
      ssl: requestOptions(this.#target, this.#fields, this.upstream.serverName),
      buffer: this,
      toProxy: true,
      selfHandleResponse: true,
    };
    // http-proxy also reports errors of the client's request here, and those of an attempt that is over.
    const failed = (cause: Error) => {
      if (attempt === this.#attempts) this.#failed(cause);
    };
    try {
      this.door.proxy.web(this.request, this.#response, options, failed);
    } catch (cause) {
      this.end('INTERNAL', cause as Error);
    }
  }

  override pipe<T extends NodeJS.WritableStream>(destination: T): T {
    const upstreamRequest = destination as unknown as ClientRequest;
    this.watch(upstreamRequest);
    upstreamRequest.once('response', (upstreamResponse) => this.#relay(upstreamResponse));
    this.request.pipe(upstreamRequest);
    return destination;
  }

  override end(code: FaultCode | null, cause: Error | null): void {
    if (this.phase === PHASE.ended) return;
    const { request, upstreamRequest } = this;
    const response = this.#response;
    this.phase = PHASE.ended;
    this.stopWaiting();
    // A response may end before its request has: what is left of that is read to nowhere, for the connection to go on.
    if (code !== null || !request.complete) upstreamRequest?.destroy();
    request.unpipe();
    request.resume();
    if (code === null) return;
    if (!response.headersSent && !response.destroyed) answer(response, code, this.course.added);
    else cutAnswer(request, response);
    this.door.onFault(code, request, cause);
  }

  /** A pause is the client's own while it has the word: when it sends slowly, or reads slowly. */
  protected override get silence(): FaultCode | null {
    const { request, upstreamRequest } = this;
    if (this.phase === PHASE.answered)
      return this.#response.writableNeedDrain ? null : 'UPSTREAM_BODY_TIMEOUT';
    return request.complete || upstreamRequest?.writableNeedDrain ? 'UPSTREAM_RESPONSE_TIMEOUT' : null;
  }

  #relay(upstreamResponse: IncomingMessage): void {
    if (this.phase === PHASE.ended) return;
    const { statusCode = 0, statusMessage } = upstreamResponse;
    upstreamResponse.on('error', (cause) => this.end('UPSTREAM_BODY_CUT', cause));
    upstreamResponse.once('close', () => {
      if (!upstreamResponse.complete) this.end('UPSTREAM_BODY_CUT', null);
    });
    try {
      const fields = responseFields(this.door.config, this.course, upstreamResponse);
      this.#response.writeHead(statusCode, statusMessage, fields);
    } catch (cause) {
      // A status below 100, or a byte that Node does not write.
      this.end('UPSTREAM_BAD_RESPONSE', cause as Error);
      return;
    }
    this.phase = PHASE.answered;
    upstreamResponse.pipe(this.#response);
  }

  #failed(cause: Error): void {
    if (this.phase >= PHASE.answered) return;
    const code = this.faultOf(cause);
    if (this.#mayRepeat(code)) this.send();
    else this.end(code, cause);
  }

  /** A connection from the pool may have been closed at its other end meanwhile; then nobody saw the request. */
  #mayRepeat(code: FaultCode): boolean {
    const { request, upstreamRequest } = this;
    const isReplayable = /^(?:GET|HEAD|OPTIONS|PUT|DELETE)$/.test(request.method!) && !hasBody(request);
    const wasReused = code === 'UPSTREAM_RESET' && upstreamRequest?.reusedSocket === true;
    return wasReused && isReplayable && this.#attempts <= this.upstream.config.retry.attempts;
  }
}

/** Node hands the socket over at once; earlier requests on it may still be waiting for their answers. */
function handleUpgrade(door: Door, request: IncomingMessage, socket: Socket, head: Buffer): void {
  afterEarlierAnswers(
    socket,
    () => startUpgrade(door, request, socket, head),
    () => door.onFault('DOWNSTREAM_GONE', request, null),
  );
}

function startUpgrade(door: Door, request: IncomingMessage, socket: Socket, head: Buffer): void {
  const protocol = request.headers.upgrade?.toLowerCase();
  const passes = door.config.upgrades.some((name) => name.toLowerCase() === protocol);
  if (hasBody(request)) return refuseUpgrade(door, request, socket, 'BAD_UPGRADE');
  if (!passes || protocol !== 'websocket' || request.method !== 'GET') {
    return handleWithoutUpgrade(door, request, socket);
  }
  const view = new LibraryView(request, request.url);
  const course = decide(door, request, view);
  if (course === null) return refuseUpgrade(door, request, socket, 'KEY_MISSING');
  new Tunnel(door, door.upstreams.get(course.variant.upstream)!, course, request, socket).send(view, head);
}

/** RFC 9110 §7.8: an upgrade may be ignored; the request is then one like any other, the last one of its connection. */
function handleWithoutUpgrade(door: Door, request: IncomingMessage, socket: Socket): void {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => socket.destroySoon());
  socket.on('error', () => socket.destroy());
  socket.once('close', () => response.destroy());
  handleRequest(door, request, response);
}

function refuseUpgrade(door: Door, request: IncomingMessage, socket: Socket, code: FaultCode): void {
  socket.on('error', () => socket.destroy());
  answerUpgrade(socket, code, []);
  door.onFault(code, request, null);
}

function answerUpgrade(socket: Socket, code: FaultCode, added: readonly string[]): void {
  const body = bodyOf(code);
  const own = ['Content-Type', 'text/plain', 'Content-Length', `${body.length}`, 'x-splitter-error', code];
  const fields = [...own, ...added];
  socket.end(headText(FAULTS[code].status, '', fields) + body, 'latin1');
  letGo(socket);
}

/**
 * Closes the socket of an upgrade after its answer. Node reads it no more, so the client's end would never be seen; and what
 * still comes has to be read, as a reset could destroy the answer.
 */
function letGo(socket: Socket): void {
  socket.resume();
  const limit = () => void socket.setTimeout(LINGER_MS, () => socket.destroy());
  if (socket.writableFinished) limit();
  else socket.once('finish', limit);
}

/** A WebSocket: the upgrade request, and then bytes both ways. */
class Tunnel extends Attempt {
  readonly #socket: Socket;

  constructor(door: Door, upstream: Upstream, course: Course, request: IncomingMessage, socket: Socket) {
    super(door, upstream, course, request);
    this.#socket = socket;
    socket.on('error', (cause) => this.end('DOWNSTREAM_GONE', cause));
    socket.once('close', () => this.end(this.phase === PHASE.answered ? null : 'DOWNSTREAM_GONE', null));
  }

  send(view: LibraryView, head: Buffer): void {
    const { door, request } = this;
    const fields = requestFields(door.config, this.upstream, this.course, view, request);
    const ssl = requestOptions(
      targetFor(this.course, view),
      [...fields, 'Connection', 'Upgrade', 'Upgrade', 'websocket'],
      this.upstream.serverName,
    );
    // No agent: a connection that becomes a tunnel is never one of the pool.
    const options = { target: this.upstream.target, ssl, toProxy: true };
    door.tunnels.set(request, this);
    try {
      door.proxy.ws(request, this.#socket, head, options, (cause) => this.end(this.faultOf(cause), cause));
      this.#takeOver(this.upstreamRequest!);
    } catch (cause) {
      this.end('INTERNAL', cause as Error);
    }
  }

  begin(upstreamRequest: ClientRequest): void {
    this.watch(upstreamRequest);
  }

  override end(code: FaultCode | null, cause: Error | null): void {
    if (this.phase === PHASE.ended) return;
    const isAnswered = this.phase === PHASE.answered;
    this.phase = PHASE.ended;
    this.stopWaiting();
    this.upstreamRequest?.destroy();
    if (code === null) return;
    if (isAnswered || FAULTS[code].status === 0) this.#socket.destroy();
    else answerUpgrade(this.#socket, code, this.course.added);
    this.door.onFault(code, this.request, cause);
  }

  protected override get silence(): FaultCode | null {
    if (this.phase < PHASE.answered) return 'UPSTREAM_RESPONSE_TIMEOUT';
    return this.#socket.writableNeedDrain ? null : 'UPSTREAM_BODY_TIMEOUT';
  }

  /** http-proxy itself would relay a refusal with chunked framing named but not applied, and take any protocol. */
  #takeOver(upstreamRequest: ClientRequest): void {
    const [open] = upstreamRequest.listeners('upgrade') as ((...args: unknown[]) => void)[];
    upstreamRequest.removeAllListeners('response').removeAllListeners('upgrade');
    upstreamRequest.once('response', (upstreamResponse) => this.#relayRefusal(upstreamResponse));
    upstreamRequest.once('upgrade', (upstreamResponse, upstreamSocket, upstreamHead) => {
      if (upstreamResponse.headers.upgrade?.toLowerCase() === 'websocket') {
        editHeaders(upstreamResponse, this.course);
        open!(upstreamResponse, upstreamSocket, upstreamHead);
        this.#join(upstreamSocket);
      } else {
        upstreamSocket.destroy();
        this.end('UPSTREAM_BAD_RESPONSE', null);
      }
    });
  }

  /** One side gone means that the other one goes; by itself http-proxy passes on an orderly end alone. */
  #join(upstreamSocket: Socket): void {
    this.stopWaiting();
    this.phase = PHASE.answered;
    upstreamSocket.removeAllListeners('timeout');
    upstreamSocket.setTimeout(this.door.config.timeouts.tunnelIdle, () => this.end('TUNNEL_IDLE', null));
    upstreamSocket.once('close', (hadError) => {
      if (hadError) this.#socket.destroy();
      else this.#socket.destroySoon();
    });
    this.#socket.once('close', () => upstreamSocket.destroy());
  }

  /** The upstream answered without upgrading: its answer goes to the client, whose connection ends behind it. */
  #relayRefusal(upstreamResponse: IncomingMessage): void {
    const { statusCode = 502, statusMessage = '' } = upstreamResponse;
    const fields = responseFields(this.door.config, this.course, upstreamResponse);
    this.phase = PHASE.answered;
    this.#socket.write(headText(statusCode, statusMessage, fields), 'latin1');
    upstreamResponse.on('error', (cause) => this.end('UPSTREAM_BODY_CUT', cause));
    upstreamResponse.pipe(this.#socket);
    letGo(this.#socket);
  }
}

function headText(status: number, reason: string, fields: readonly string[]): string {
  let text = `HTTP/1.1 ${status} ${reason || (STATUS_CODES[status] ?? '')}\r\n`;
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return `${text}Connection: close\r\n\r\n`;
}

/**
 * The object that http-proxy fills in for `http.request`. Path and fields cannot be written: http-proxy merges slashes
 * in paths, joins repeated fields, and takes the framing from a DELETE with a chunked body, whose bytes would then
 * stand on the connection as a request of their own.
 */
function requestOptions(path: string, fields: readonly string[], serverName: object): object {
  const fixed = (value: unknown) => ({ get: () => value, set: () => {}, enumerable: true });
  return Object.defineProperties({ ...serverName }, { path: fixed(path), headers: fixed(fields) });
}

/** Fields that belong to one connection and go no further (RFC 9110 §7.6.1), and Trailer, as trailers do not pass. */
const HOP_BY_HOP = 'connection keep-alive proxy-connection te trailer transfer-encoding upgrade'.split(' ');
/** What of the client's fields makes room for what `forwarded` says. */
const FORWARDED_AWAY: Record<Config['forwarded'], (name: string) => boolean> = {
  append: (name) => name.toLowerCase() === 'x-forwarded-for',
  replace: isForwardedName,
  remove: isForwardedName,
  keep: () => false,
};

/** Names and values in turn without the connection's own fields, those that Connection names, and `dropped`. */
function endToEnd({ rawHeaders, headers }: IncomingMessage, dropped: readonly string[]): string[] {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  // Content-Length belongs to the message, whatever Connection says of it.
  const out = [...HOP_BY_HOP, ...dropped, ...named.filter((name) => name !== 'content-length')];
  return without(rawHeaders, out);
}

function without(fields: readonly string[], dropped: readonly string[]): string[] {
  return fields.filter((_, i) => !dropped.includes(fields[i - (i % 2)]!.toLowerCase()));
}

function valuesOf(fields: readonly string[], name: string): string[] {
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1]!.toLowerCase() === name);
}

function requestFields(
  { forwarded, via }: Config,
  { config: { host }, url }: Upstream,
  { edit }: Course,
  view: LibraryView,
  request: IncomingMessage,
): string[] {
  const sentHost = view.authority ?? request.headers.host ?? '';
  const ownHost = host === '$proxy_host' ? url.authority : host;
  // Expect has been answered by the server: the body is on its way.
  const passing = editedFields(endToEnd(request, ['host', 'content-length', 'expect']), edit);
  const fields = ['Host', ownHost ?? (sentHost || url.authority)];
  fields.push(...passing.filter((_, i) => !FORWARDED_AWAY[forwarded](passing[i - (i % 2)]!)));
  if (forwarded === 'append' || forwarded === 'replace') {
    const before = forwarded === 'append' ? valuesOf(passing, 'x-forwarded-for') : [];
    const own = view.remoteAddress === 'unix:' ? '' : view.remoteAddress;
    const addresses = [...before, own].filter((address) => address !== '').join(', ');
    const scheme = 'encrypted' in request.socket ? 'https' : 'http';
    const has = (name: string) => valuesOf(fields, name).length > 0;
    if (addresses !== '') fields.push('X-Forwarded-For', addresses);
    if (!has('x-forwarded-proto')) fields.push('X-Forwarded-Proto', scheme);
    if (!has('x-forwarded-host') && sentHost !== '') fields.push('X-Forwarded-Host', sentHost);
  }
  if (via) fields.push('Via', `${request.httpVersion} request-splitter`);
  return fields;
}

function targetFor({ edit }: Course, view: LibraryView): string {
  return edit?.target ? Buffer.from(edit.target).toString('latin1') : view.target;
}

function editedFields(passing: readonly string[], edit: RequestEdit | null): readonly string[] {
  if (edit === null) return passing;
  const { droppedFields, cookie, addedLines } = edit;
  const kept = withoutFields(passing, droppedFields);
  const fields = cookie === null ? kept : without(kept, ['cookie']);
  // Cookies that Connection names have gone before, and stay away.
  const hasCookie = fields.length < kept.length && cookie !== null && cookie.length > 0;
  if (hasCookie) fields.push('Cookie', Buffer.from(cookie).toString('latin1'));
  return [...fields, ...fieldsOf(addedLines)];
}

function withoutFields(fields: readonly string[], dropped: readonly Uint8Array[]): string[] {
  return fields.filter((_, i) => !isFieldOf(dropped, fields[i - (i % 2)]!));
}

/** Whole lines as names and values in turn. */
function fieldsOf(lines: string): string[] {
  return [...lines.matchAll(/(.*?): (.*)\r\n/g)].flatMap(([, name, value]) => [name!, value!]);
}

/** The fields of a 101, which http-proxy writes by itself from the parsed ones. */
function editHeaders({ headers }: IncomingMessage, { dropped, added }: Course): void {
  for (const name of Object.keys(headers))
    if (isFieldOf(dropped, name) || isSplitterName(name)) delete headers[name];
  for (let i = 0; i < added.length; i += 2) {
    const name = added[i]!.toLowerCase();
    headers[name] = [headers[name] ?? [], added[i + 1]!].flat();
  }
}

function framingFields({ method, headers }: IncomingMessage): string[] {
  if (headers['transfer-encoding'] !== undefined) return ['Transfer-Encoding', 'chunked'];
  if (headers['content-length'] !== undefined) return ['Content-Length', headers['content-length']];
  // To a method that usually has a body Node would add chunked framing of its own.
  return /^(?:GET|HEAD|DELETE|OPTIONS|TRACE)$/.test(method!) ? [] : ['Content-Length', '0'];
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function responseFields(
  { via }: Config,
  { dropped, added }: Course,
  upstreamResponse: IncomingMessage,
): string[] {
  const passing = endToEnd(upstreamResponse, upstreamResponse.statusCode === 204 ? ['content-length'] : []);
  const theirs = withoutFields(passing, dropped);
  const fields = [...theirs.filter((_, i) => !isSplitterName(theirs[i - (i % 2)]!)), ...added];
  if (via) fields.push('Via', `${upstreamResponse.httpVersion} request-splitter`);
  return fields;
}

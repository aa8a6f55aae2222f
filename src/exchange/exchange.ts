// One request and its response: receive the head, decide, check a connection out, send, relay, settle. This is where
// the pure rooms meet: http1 says what the bytes mean, split says where they go. A client has an Exchange from the first
// byte of a request to the end of its response; then it is kept for the next client (listener.ts).
// Sources: RFC 9110 §7.6, §9.2.2, §10.1.1; RFC 9112 §6-7, §9.

import { type Cause, causeOf, FAULT_CODES, FAULTS, type FaultCode, limitOf } from '../errors.ts';
import { isEventStream } from '../http1/event-stream.ts';
import {
  isHopLimited,
  type RequestEdit,
  type RequestRewrite,
  writeLastChunk,
  writeRequestHead,
} from '../http1/forward.ts';
import { BODY, RequestFraming, type ResponseFraming } from '../http1/framing.ts';
import { FIELD, type FieldSection, RequestHead, type ResponseHead } from '../http1/head.ts';
import type { Edits } from '../routing/edits.ts';
import type { Arm, Destination, Generation, RoutedSplit } from '../routing/generation.ts';
import type { DownstreamCounters } from '../telemetry/counters.ts';
import type {
  AddressFacts,
  Client,
  ClientExchange,
  PooledConnection,
  UpstreamExchange,
} from '../transport/contracts.ts';
import { Tunnel } from '../transport/tunnel.ts';
import { type Observers, Outcome } from './outcome.ts';
import { composeFault, composeLastHop } from './own-answer.ts';
import { RequestBody } from './request-body.ts';
import { ResponseRelay } from './response-relay.ts';
import {
  countsAgainstAddress,
  goesElsewhere,
  mayRepeat,
  mayShareConnection,
  speaksAgainstAddress,
} from './retry.ts';
import { Waits } from './waits.ts';

/** Memory that an exchange keeps for the heads of its requests; one that needed more than the second gives it back. */
const KEPT_BYTES = 2048;
const KEPT_BYTES_MAX = 16_384;

const PHASE = { idle: 0, waiting: 1, sent: 2, responding: 3 } as const;

export class Exchange implements ClientExchange<Generation>, UpstreamExchange {
  readonly head = new RequestHead();
  readonly framing = new RequestFraming();
  /** The client's request is HEAD. */
  isHead = false;
  /** Connects that failed for this exchange. */
  connectAttempts = 0;
  /** Until when it waits for an upstream that refuses every connect, a time of `performance.now()`; 0 = it had not to. */
  reconnectUntil = 0;
  /** The addresses at which a connect or a first use failed for this exchange. */
  readonly failedAddresses: AddressFacts[] = [];
  /** The Upgrade that the client asked for is one that may pass. */
  passesUpgrade = false;
  #client: Client<Generation> | null = null;
  #kept: Buffer = Buffer.allocUnsafeSlow(KEPT_BYTES);
  #phase: number = PHASE.idle;
  #generation: Generation | null = null;
  #arm: Arm | null = null;
  /** Where the exchange goes now: the arm's upstream, or its fallback. */
  #destination: Destination | null = null;
  #connection: PooledConnection | null = null;
  #headEnd = 0;
  /** How the request is edited, each time it is sent; null = not at all. */
  #edit: RequestEdit | null = null;
  readonly #outcome: Outcome;
  readonly #body = new RequestBody();
  readonly #waits = new Waits();
  readonly #response = new ResponseRelay();
  /** An upstream that was lost may have seen the request: it is never shown to another one. */
  #wasShown = false;

  constructor(observers: Observers, counters: DownstreamCounters) {
    this.#outcome = new Outcome(observers, counters);
  }

  /** Belongs to this client from now on. */
  attach(client: Client<Generation>): void {
    this.#client = client;
    this.head.remoteAddress = client.remoteAddress;
    this.head.limits = client.listener.generation.headLimits;
    this.head.reset();
  }

  /** Belongs to nobody, and points to nothing of its client's request. Throws while it is under way. */
  detach(): void {
    if (this.#phase !== PHASE.idle || this.#connection !== null)
      throw new Error('broken invariant: an exchange was given back before its end');
    this.#client = null;
    this.#waits.release();
    this.#edit = null;
    this.#response.begin();
    this.failedAddresses.length = 0;
    this.#outcome.forget();
    this.head.release();
    if (this.#kept.length > KEPT_BYTES_MAX) this.#kept = Buffer.allocUnsafeSlow(KEPT_BYTES);
  }

  /** Copies bytes[from, to) to where they stay for as long as the exchange belongs to its client. */
  keep(bytes: Buffer, from: number, to: number): Buffer {
    const byteCount = to - from;
    if (byteCount > this.#kept.length)
      this.#kept = Buffer.allocUnsafeSlow(Math.max(byteCount, this.#kept.length * 2));
    bytes.copy(this.#kept, 0, from, to);
    return this.#kept;
  }

  get isActive(): boolean {
    return this.#phase !== PHASE.idle;
  }

  /** Every byte of the request has been given to the upstream's socket. */
  get isRequestSent(): boolean {
    return this.#body.isSent;
  }

  /** Its connection can go no further before the client does: it sends no more of its body, or reads no more. */
  get waitsForClient(): boolean {
    const connection = this.#connection;
    if (connection === null || this.#phase < PHASE.sent) return false;
    if (this.hasResponseBegun && this.#client!.wire.isBlocked && connection.wire.isPaused) return true;
    return !this.isRequestSent && !connection.wire.isBlocked;
  }

  /** Bytes that the client has sent, and taken as far as that can be seen. */
  get clientBytes(): number {
    const { bytesReceived, bytesSent } = this.#outcome;
    return bytesReceived + bytesSent - this.#client!.wire.unsentBytes;
  }

  /** Time since the request began. */
  ageMs(now: number): number {
    return now - this.#outcome.startedAt;
  }

  /** A final response head has been written to the client. */
  get hasResponseBegun(): boolean {
    return this.#phase === PHASE.responding;
  }

  /** Body bytes of the request may be handed over now. */
  get takesBody(): boolean {
    const connection = this.#connection;
    return connection !== null && this.#phase >= PHASE.sent && !connection.wire.isBlocked;
  }

  /** Decides where the request goes and asks for a connection. The head is whole and its framing is read. */
  begin(headEnd: number, now: number): void {
    const client = this.#client!;
    const { head, framing } = this;
    const generation = client.listener.generation;
    this.#phase = PHASE.waiting;
    this.#generation = generation;
    this.#arm = null;
    this.#headEnd = headEnd;
    this.reconnectUntil = 0;
    this.#outcome.begin(now, headEnd - head.start, generation.number);
    this.connectAttempts = 0;
    this.#wasShown = false;
    if (this.failedAddresses.length > 0) this.failedAddresses.length = 0;
    this.#edit = null;
    this.#response.begin();
    this.#body.begin(framing);
    this.#waits.reset(client, generation.config, headEnd - head.start);
    this.isHead = framing.isHead;
    this.passesUpgrade = framing.upgradeEnd > framing.upgradeStart && this.#isUpgradeAllowed(generation);
    const { route } = generation;
    const target = route(head, client.listenedOn);
    if (typeof target === 'string') return this.fail(target);
    const arm = target.splitter === null ? target.arm : this.#decide(target, head);
    if (arm === null) return this.fail('KEY_MISSING');
    this.#arm = arm;
    this.#destination = arm;
    this.#outcome.belongsTo(arm);
    if (arm.edits !== null) this.#prepareEdits(arm.edits, head);
    if (this.passesUpgrade && !this.isRequestSent) return this.fail('BAD_UPGRADE');
    if (!this.#body.limit(framing, target.bodyBytesMax))
      return this.fail('BODY_TOO_LARGE', this.#body.describeLimit());
    if (!this.#answersItself(head)) arm.upstream.checkOut(this, now, false);
  }

  #decide(target: RoutedSplit, head: RequestHead): Arm | null {
    const decision = target.splitter.decide(head);
    const { variant } = decision;
    if (variant === null) return null;
    this.#outcome.decided(target, variant.index, decision);
    return target.arms[variant.index]!;
  }

  /** Once for each exchange: a request that is sent again has the same ids, and its answer the same cookie. */
  #prepareEdits(edits: Edits, head: RequestHead): void {
    const { extras, reason } = this.#outcome;
    const requestId = edits.makeRequestId(head);
    this.#outcome.requestId = requestId;
    this.#edit = edits.ofRequest(head, extras, requestId);
    this.#response.drop(edits.droppedFromResponse);
    this.#response.add(edits.linesOfResponse(extras, reason));
  }

  /** A connection is being opened for this exchange. */
  connecting(connection: PooledConnection, now: number): void {
    this.#connection = connection;
    this.#outcome.connectAt = now;
    this.#outcome.address = connection.address.name;
    this.#waits.forConnect();
  }

  /** No connection is free: wait for one until `deadline`. */
  wait(deadline: number): void {
    this.#connection = null;
    this.#waits.forConnection(deadline);
  }

  /** The client's time limit has passed: that of the wait for a connection, for the client to read, or for its body. */
  onClientDeadline(now: number): void {
    if (this.isWaiting) this.#waitedTooLong(now);
    else if (!this.#client!.wire.isBlocked || !this.hasResponseBegun)
      this.fail('BODY_TIMEOUT', this.#waits.limit('requestBody'));
    else if (!this.#waits.extend(now)) this.fail('WRITE_TIMEOUT', this.#waits.limit('write'));
  }

  #waitedTooLong(now: number): void {
    const { upstream } = this.#destination!;
    const { connectTimeout, pool } = upstream.config;
    if (upstream.isHolding(this))
      return this.fail('UPSTREAM_CONNECT_FAILED', limitOf('pool.queueTimeout', pool.queueTimeout, 'ms'));
    if (upstream.hasAddress)
      return this.fail('QUEUE_TIMEOUT', limitOf('pool.queueTimeout', pool.queueTimeout, 'ms'));
    upstream.forget(this);
    this.unreachable('UPSTREAM_UNRESOLVED', now, limitOf('connectTimeout', connectTimeout, 'ms'));
  }

  /** Another upstream takes it when this one cannot be reached. */
  get mayFallBack(): boolean {
    const { fallback } = this.#arm!;
    return fallback !== null && this.#destination !== fallback && !this.#wasShown;
  }

  /** No connection can be made, so nothing was sent: the fallback takes the exchange, marked as such, or it fails. */
  unreachable(code: FaultCode, now: number, cause: Cause | null = null): void {
    const arm = this.#arm!;
    if (arm.fallback === null || !this.mayFallBack || code === 'RESOURCES_EXHAUSTED')
      return this.fail(code, cause);
    this.#destination = arm.fallback;
    this.#connection = null;
    this.connectAttempts = 0;
    this.reconnectUntil = 0;
    this.failedAddresses.length = 0;
    this.#response.add(`x-splitter-fallback: ${arm.fallback.upstream.name}\r\n`);
    this.#outcome.fellBack(arm.fallback.upstream.name);
    arm.fallback.upstream.checkOut(this, now, false);
  }

  /** It was accepted once already: it is sent again. */
  get isRetry(): boolean {
    return this.#outcome.retries > 0;
  }

  get isWaiting(): boolean {
    return this.#phase === PHASE.waiting && this.#connection === null;
  }

  /** The request may share a connection with others that have not been answered yet (RFC 9112 §9.3.2). */
  get isPipelinable(): boolean {
    return !this.passesUpgrade && this.#outcome.retries === 0 && mayShareConnection(this.head, this.framing);
  }

  /** The connection is there: the request goes out. */
  start(connection: PooledConnection, now: number): void {
    const { head, framing } = this;
    const client = this.#client!;
    this.#connection = connection;
    this.#phase = PHASE.sent;
    connection.expectResponse(this);
    this.#outcome.sentAt = now;
    this.#outcome.address = connection.address.name;
    const { wire } = connection;
    writeRequestHead(
      wire.gather(),
      head,
      framing,
      this.#headEnd,
      this.#requestRewrite(),
      client.forwardedFacts,
      this.passesUpgrade,
      this.#edit,
    );
    this.#body.sendAgain(wire, head.bytes);
    this.#updateWaits(now);
    client.proceed();
  }

  /**
   * Takes body bytes of the request from bytes[from, to). Returns the position up to which they belong to the body.
   * They are valid during the call; those that came with the head stay.
   */
  receiveRequestBody(bytes: Buffer, from: number, to: number, now: number): number {
    const { framing, head } = this;
    const body = this.#body;
    const { wire } = this.#connection!;
    const end = body.relay(wire, framing, head.bytes, bytes, from, to);
    if (body.fault !== null) {
      const isBad = body.fault === 'BAD_CHUNK';
      this.fail(body.fault, isBad ? causeOf(body.describeFault()) : body.describeLimit());
      return end;
    }
    this.#outcome.bytesReceived += end - from;
    if (body.isSent && framing.body === BODY.chunked)
      writeLastChunk(wire.gather(), body.trailers, framing, this.#droppedTrailers());
    this.#updateWaits(now);
    return end;
  }

  /** Bytes of the response have come, or those of the response before it on the same connection have ended. */
  answerMoves(now: number): void {
    this.#connection!.waitUntil(now + this.#destination!.upstream.config.responseTimeout);
  }

  /** The time limit of the answer has passed. */
  onAnswerDeadline(): void {
    const { responseTimeout } = this.#destination!.upstream.config;
    const code = this.hasResponseBegun ? 'UPSTREAM_BODY_TIMEOUT' : 'UPSTREAM_RESPONSE_TIMEOUT';
    this.fail(code, limitOf('responseTimeout', responseTimeout, 'ms'));
  }

  /** The upstream's socket takes no more bytes for now. */
  upstreamBlocked(): void {
    this.#updateWaits(performance.now());
  }

  /** The upstream's socket takes bytes again. */
  upstreamDrained(): void {
    if (!this.isRequestSent) this.#updateWaits(performance.now());
    this.#client!.proceed();
  }

  /** The client's socket takes no more bytes for now. */
  downstreamBlocked(now: number): void {
    if (this.#phase === PHASE.responding) this.#waits.clientBlocked(this.#connection, now);
  }

  /** The client's socket takes bytes again. */
  downstreamDrained(): void {
    const connection = this.#connection;
    if (connection === null || connection.exchange !== this || connection.isConnecting) return;
    connection.wire.resume();
    this.#updateWaits(performance.now());
  }

  /** An interim response (1xx) passes; HTTP/1.0 knows none (RFC 9110 §15.2). */
  receiveInterim(head: ResponseHead, framing: ResponseFraming, headEnd: number): void {
    if (head.status === 100) this.#updateWaits(performance.now());
    if (this.head.minorVersion === 0) return;
    this.#writeInterim(head, framing, headEnd);
  }

  /** The final response head has come. */
  receiveResponseHead(head: ResponseHead, framing: ResponseFraming, headEnd: number, now: number): void {
    const client = this.#client!;
    this.#phase = PHASE.responding;
    this.#outcome.status = head.status;
    this.#outcome.firstByteAt = now;
    const { listener } = client;
    this.#outcome.bytesSent += this.#response.writeFinal(
      client.wire,
      head,
      framing,
      headEnd,
      this.head.minorVersion,
      // An answer that comes before the request is complete ends the connection: nobody can tell whether the client
      // will still send the rest (RFC 9112 §9.3).
      this.framing.keepAlive && this.isRequestSent && !client.isLastAnswer,
      this.#generation!.config.via,
      listener.dateLine(now),
    );
    if (framing.body >= BODY.chunked && isEventStream(head)) this.#connection!.countAsStream();
    if (client.wire.isBlocked) this.downstreamBlocked(now);
  }

  /** Body bytes of the response; they are only valid during the call. */
  receiveResponseBody(bytes: Buffer, from: number, to: number): void {
    const client = this.#client!;
    const { wire } = client;
    const isBuffered = wire.isBlocked;
    this.#outcome.bytesSent += this.#response.writeBody(wire, bytes, from, to);
    if (!isBuffered) return;
    const connection = this.#connection!;
    if (!client.bufferResponse(to - from) && !connection.wire.isPaused) this.#waits.pause(connection);
  }

  /** The upstream's chunked body has ended; its trailers pass where the client's framing has room for them. */
  receiveResponseTrailers(trailers: FieldSection, framing: ResponseFraming): void {
    this.#outcome.bytesSent += this.#response.writeTrailers(this.#client!.wire, trailers, framing);
  }

  /** The response has ended well. `connection` may serve another exchange; null when it may not. */
  finishResponse(connection: PooledConnection | null, now: number): void {
    // The connection is no longer this exchange's to pause, whatever the client does with the last bytes.
    this.#connection = null;
    this.#outcome.bytesSent += this.#response.writeEnd(this.#client!.wire);
    const keepAlive = this.#response.keepAlive && this.isRequestSent;
    this.#settle(-1, now);
    connection?.release(now);
    this.#client!.exchangeEnded(keepAlive, now);
  }

  /** True when these values of Upgrade are the one protocol that the client asked for and may have (RFC 9110 §7.8). */
  awaitsSwitchTo(protocols: readonly Uint8Array[]): boolean {
    const { head, framing } = this;
    if (!this.passesUpgrade || protocols.length !== 1) return false;
    const wanted = head.bytes.toString('latin1', framing.upgradeStart, framing.upgradeEnd);
    return Buffer.from(protocols[0]!).toString('latin1').toLowerCase() === wanted.toLowerCase();
  }

  /** The upstream agreed to switch protocols: both connections become a tunnel. */
  switchProtocols(head: ResponseHead, framing: ResponseFraming, headEnd: number): void {
    const client = this.#client!;
    const connection = this.#connection!;
    const { upstream } = this.#destination!;
    if (!connection.countAsStream())
      return this.fail('TUNNELS_EXHAUSTED', limitOf('pool.maxTunnels', upstream.config.pool.maxTunnels));
    this.#outcome.status = 101;
    this.#writeInterim(head, framing, headEnd);
    this.#connection = null;
    const idleMs = this.#generation!.config.timeouts.tunnelIdle;
    const { counters } = this.#arm!;
    this.#settle(-1, performance.now());
    const tunnel = new Tunnel(client, connection, client.listener, counters, idleMs);
    connection.becomeTunnel(tunnel);
    client.becomeTunnel(tunnel);
    if (connection.wire.isBlocked) tunnel.upstreamBlocked();
  }

  /**
   * The upstream's connection was lost before a whole response. `isSilent`: not one byte of a response came. `wasSent`:
   * something of the request has left.
   */
  upstreamLost(
    connection: PooledConnection,
    code: FaultCode,
    isSilent: boolean,
    wasSent: boolean,
    cause: Cause | null = null,
  ): void {
    this.#connection = null;
    const { upstream } = this.#destination!;
    const now = performance.now();
    if (isSilent && this.#mayRetry(wasSent)) {
      const isFirstUse = connection.exchanges === 1;
      if (countsAgainstAddress(wasSent, isFirstUse)) connection.blame(code, now, cause);
      if (goesElsewhere(wasSent, isFirstUse, connection.hasAlternative(now)))
        this.failedAddresses.push(connection.address);
      this.#wasShown ||= wasSent;
      this.#outcome.retried();
      this.#phase = PHASE.waiting;
      upstream.checkOut(this, now, true);
      return;
    }
    connection.blame(code, now, cause);
    this.fail(this.#phase === PHASE.responding ? 'UPSTREAM_BODY_CUT' : code, cause);
  }

  /**
   * Ends the exchange badly: answers with the code's status where that is still possible, else cuts the connection.
   * `cause`: what is known beyond the code, made only now.
   */
  fail(code: FaultCode, cause: Cause | null = null): void {
    const connection = this.#connection;
    const client = this.#client!;
    const hasBegun = this.#phase === PHASE.responding;
    const { status } = FAULTS[code];
    const now = performance.now();
    this.#connection = null;
    if (!hasBegun) this.#outcome.status = status;
    const keepAlive = this.framing.keepAlive && this.isRequestSent && !client.isLastAnswer;
    const upstream = this.#destination?.upstream;
    const isCut = hasBegun || status === 0;
    const answer = isCut
      ? ''
      : composeFault(code, cause, this.#response.addedLines, client.answerFrame(keepAlive, now));
    if (client.isAnswerable) this.#outcome.bytesSent += answer.length;
    this.#settle(FAULT_CODES.indexOf(code), now, cause);
    if (connection === null) upstream?.forget(this);
    else if (connection.isConnecting) connection.exchange = null;
    else {
      const isUpstreams = speaksAgainstAddress(code);
      if (isUpstreams) connection.blame(code, now, cause);
      connection.leave(this, isUpstreams);
    }
    if (isCut) client.cut(hasBegun && this.#response.endsWithConnection);
    else client.answer(answer, keepAlive, now);
  }

  /** The request was refused before it could begin. */
  refused(code: FaultCode, cause: Cause | null, sentBytes: number): void {
    this.#outcome.refused(code, this.head.remoteAddress, cause, sentBytes);
  }

  /** The client is gone: the upstream need not go on. */
  abort(cause: Cause): void {
    if (this.#phase !== PHASE.idle) this.fail('DOWNSTREAM_GONE', cause);
  }

  /** How the request is rewritten for the server that it goes to. */
  #requestRewrite(): RequestRewrite {
    return this.#destination!.rewrites[this.#connection!.address.member.index]!;
  }

  /** Fields that no trailer of the request may bring along. */
  #droppedTrailers(): readonly Uint8Array[] | null {
    const { set = null } = this.#requestRewrite();
    const edit = this.#edit;
    if (set === null || edit === null) return set?.names ?? edit?.droppedFields ?? null;
    return [...set.names, ...edit.droppedFields];
  }

  #writeInterim(head: ResponseHead, framing: ResponseFraming, headEnd: number): void {
    const { wire } = this.#client!;
    this.#outcome.bytesSent += this.#response.writeInterim(wire, head, framing, headEnd);
  }

  #updateWaits(now: number): void {
    const connection = this.#connection;
    if (connection === null) return;
    const { responseTimeout } = this.#destination!.upstream.config;
    const { bytesReceived } = this.#outcome;
    this.#waits.update(
      connection,
      responseTimeout,
      this.isRequestSent,
      this.hasResponseBegun,
      bytesReceived,
      now,
    );
  }

  #mayRetry(wasSent: boolean): boolean {
    const { retries, bytesReceived } = this.#outcome;
    if (this.#phase !== PHASE.sent || retries >= this.#destination!.upstream.config.retry.attempts)
      return false;
    const { head, framing } = this;
    const isBodyThere = this.#body.isKept || bytesReceived === this.#headEnd - head.start;
    return mayRepeat(head, framing, wasSent, isBodyThere);
  }

  /** OPTIONS and TRACE that may go no further are answered here (RFC 9110 §7.6.2). */
  #answersItself(head: RequestHead): boolean {
    for (let i = 0; i < head.count; i++) {
      if (head.ids[i] !== FIELD.maxForwards || !isHopLimited(head)) continue;
      if (!/^0+$/.test(head.bytes.toString('latin1', head.at[i * 4 + 2]!, head.at[i * 4 + 3]!))) continue;
      const now = performance.now();
      const client = this.#client!;
      const keepAlive = this.framing.keepAlive && this.isRequestSent;
      const isOptions = head.bytes[head.methodStart] === 79;
      const frame = client.answerFrame(keepAlive, now);
      const answer = composeLastHop(isOptions ? 200 : 405, frame);
      this.#outcome.status = isOptions ? 200 : 405;
      this.#outcome.bytesSent += answer.length;
      this.#settle(-1, now);
      client.answer(answer, frame.persists, now);
      return true;
    }
    return false;
  }

  #isUpgradeAllowed(generation: Generation): boolean {
    const { head, framing } = this;
    const wanted = head.bytes.toString('latin1', framing.upgradeStart, framing.upgradeEnd).toLowerCase();
    return generation.upgrades.has(wanted);
  }

  #settle(fault: number, now: number, cause: Cause | null = null): void {
    this.#phase = PHASE.idle;
    this.#outcome.settle(fault, now, this.head, cause);
    this.#arm = null;
    this.#destination = null;
    this.#generation = null;
  }
}

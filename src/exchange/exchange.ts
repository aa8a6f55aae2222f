// One request and its response: decide, check a connection out, send, relay, settle. This is where the pure rooms meet:
// http1 says what the bytes mean, split says where they go. waits.ts, retry.ts and the two relays do the parts.
// Sources: RFC 9110 §7.6, §9.2.2, §10.1.1; RFC 9112 §6-7, §9.

import { type Cause, FAULT_CODES, FAULTS, type FaultCode, limitOf } from '../errors.ts';
import { isEventStream } from '../http1/event-stream.ts';
import type { FieldSection } from '../http1/fields.ts';
import { BODY, RequestFraming, type ResponseFraming } from '../http1/framing.ts';
import { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { AnswerContent } from '../routing/fixed-answer.ts';
import type { Destination, Generation, Hop } from '../routing/generation.ts';
import type { DownstreamCounters } from '../telemetry/counters.ts';
import type { Client, ClientExchange, PooledConnection } from '../transport/contracts.ts';
import { Tunnel } from '../transport/tunnel.ts';
import { applyEdits, decide } from './apply-edits.ts';
import { type Observers, Outcome } from './outcome.ts';
import { isLastFault, lastHopAnswer } from './own-answer.ts';
import { OwnAnswers } from './own-answers.ts';
import { RequestRelay } from './request-relay.ts';
import { ResponseRelay } from './response-relay.ts';
import * as retrying from './retry.ts';
import { endWait, Waits } from './waits.ts';

const STEP = { idle: 0, waiting: 1, sent: 2, responding: 3 } as const;

/**
 * A client has one from the first byte of a request to the end of its response; then the listener keeps it for the next.
 * Its promise: one answer or cut for each `begin`, and one record of it. contracts.ts describes the calls and their order.
 */
export class Exchange implements ClientExchange<Generation>, retrying.RepeatableExchange {
  readonly head = new RequestHead();
  readonly framing = new RequestFraming();
  isHead = false;
  readonly attempts = new retrying.Attempts();
  #client: Client<Generation> | null = null;
  #step: number = STEP.idle;
  /** Where the exchange is counted; `#hop` is where it goes now: there, or to its fallback. */
  #destination: Destination | null = null;
  #hop: Hop | null = null;
  #connection: PooledConnection | null = null;
  readonly #outcome: Outcome;
  readonly #request = new RequestRelay(this.head, this.framing);
  readonly #response = new ResponseRelay();
  readonly #waits: Waits;
  readonly #answers: OwnAnswers;

  constructor(observers: Observers, counters: DownstreamCounters) {
    this.#outcome = new Outcome(observers, counters);
    this.#waits = new Waits(this.#request, this.#outcome);
    this.#answers = new OwnAnswers(this.head, this.#response, this.#outcome);
  }

  attach(client: Client<Generation>): void {
    this.#client = client;
    this.head.attach(client, client.listener.generation.headLimits);
  }

  detach(): void {
    if (this.#step !== STEP.idle || this.#connection !== null)
      throw new Error('broken invariant: an exchange was given back before its end');
    this.#client = null;
    this.#waits.release();
    this.#request.release();
    this.#response.release();
    this.attempts.reset();
    this.#outcome.forget();
  }

  keep(bytes: Buffer, from: number, to: number, followers: number): Buffer {
    return this.#request.keep(bytes, from, to, followers);
  }

  get isActive(): boolean {
    return this.#step !== STEP.idle;
  }

  get keyHash(): number {
    return this.#outcome.keyHash;
  }

  get isRequestSent(): boolean {
    return this.#request.isSent;
  }

  get waitsForClient(): boolean {
    const connection = this.#connection;
    if (connection === null || this.#step < STEP.sent) return false;
    return this.#waits.areForClient(connection, this.hasResponseBegun);
  }

  get clientBytes(): number {
    return this.#outcome.bytesMoved - this.#client!.wire.unsentBytes;
  }

  ageMs(now: number): number {
    return now - this.#outcome.startedAt;
  }

  get hasResponseBegun(): boolean {
    return this.#step === STEP.responding;
  }

  get takesBody(): boolean {
    return this.#step >= STEP.sent && this.#connection?.wire.isBlocked === false;
  }

  /** Decides where the request goes and asks for a connection. The head is whole and its framing is read. */
  begin(headEnd: number, now: number): void {
    const client = this.#client!;
    const { head, framing } = this;
    const generation = client.listener.generation;
    this.#step = STEP.waiting;
    client.identify(head, now);
    this.attempts.reset();
    this.#outcome.begin(now, headEnd - head.start, generation.number);
    this.#request.reset(headEnd, generation.upgrades);
    this.#response.reset(client.wire, head.minorVersion, generation.config.via);
    this.#waits.reset(client, generation.config);
    this.isHead = framing.isHead;
    const routed = generation.route(head, client.listenedOn);
    if (typeof routed === 'string') return this.fail(routed);
    this.#response.addForRoute(routed.responseFields, routed.errorAnswers);
    const isTooLarge = !this.#request.limit(routed.bodyBytesMax);
    if (routed.splitter === null && routed.fixed !== null) {
      this.#outcome.belongsTo(routed.fixed.counters, routed.fixed.name);
      if (isTooLarge) return this.fail('BODY_TOO_LARGE', this.#request.describeFault());
      return this.#answer(routed.fixed.answer.contentFor(head));
    }
    const destination = routed.splitter === null ? routed.destination : decide(routed, head, this.#outcome);
    if (destination === null) return this.fail(routed.splitter?.faultWithout ?? 'KEY_MISSING');
    this.#destination = destination;
    this.#hop = destination;
    this.#waits.responseTimeoutMs = destination.upstream.config.responseTimeout;
    this.#outcome.belongsTo(destination.counters, destination.upstream.name);
    if (destination.edits !== null || routed.pathRewrite !== null)
      applyEdits(destination.edits, routed.pathRewrite, head, this.#outcome, this.#request, this.#response);
    if (this.passesUpgrade && !this.isRequestSent) return this.fail('BAD_UPGRADE');
    if (isTooLarge) return this.fail('BODY_TOO_LARGE', this.#request.describeFault());
    const answer = lastHopAnswer(head);
    if (answer !== null) return this.#answer(answer);
    destination.upstream.checkOut(this, now, false);
  }

  connecting(connection: PooledConnection, now: number): void {
    this.#connection = connection;
    this.#outcome.connects(connection.address, now);
    this.#waits.forConnect();
  }

  wait(deadline: number): void {
    this.#connection = null;
    this.#waits.forConnection(deadline);
  }

  onClientDeadline(now: number): void {
    if (this.#step === STEP.waiting && this.#connection === null) endWait(this, this.#hop!.upstream, now);
    else if (!this.#client!.wire.isBlocked || !this.hasResponseBegun)
      this.fail('BODY_TIMEOUT', this.#waits.limit('requestBody'));
    else if (!this.#waits.extend(now)) this.fail('WRITE_TIMEOUT', this.#waits.limit('write'));
  }

  get mayFallBack(): boolean {
    const { fallback } = this.#destination!;
    return fallback !== null && this.#hop !== fallback && !this.attempts.wasShown;
  }

  /** No connection can be made, so nothing was sent: the fallback takes the exchange, marked as such, or it fails. */
  unreachable(code: FaultCode, now: number, cause: Cause | null = null): void {
    const { fallback } = this.#destination!;
    if (fallback === null || !this.mayFallBack || code === 'RESOURCES_EXHAUSTED')
      return this.fail(code, cause);
    this.#hop = fallback;
    this.#connection = null;
    this.#waits.responseTimeoutMs = fallback.upstream.config.responseTimeout;
    this.attempts.startOver();
    this.#response.add(`x-splitter-fallback: ${fallback.upstream.name}\r\n`);
    this.#outcome.fellBack(fallback.upstream.name);
    fallback.upstream.checkOut(this, now, false);
  }

  get passesUpgrade(): boolean {
    return this.#request.passesUpgrade;
  }

  get isPipelinable(): boolean {
    return !this.attempts.isRetry && this.#request.mayShareConnection;
  }

  start(connection: PooledConnection, now: number): void {
    const client = this.#client!;
    this.#connection = connection;
    this.#step = STEP.sent;
    connection.expectResponse(this);
    this.#outcome.sends(connection.address, now);
    const rewrite = this.#hop!.rewrites[connection.address.server.index]!;
    this.#request.send(connection.wire, rewrite, client.forwardedFacts);
    this.#updateWaits(now);
    client.proceed();
  }

  receiveRequestBody(bytes: Buffer, from: number, to: number, now: number): number {
    const request = this.#request;
    const end = request.relay(this.#connection!.wire, bytes, from, to);
    if (request.fault !== null) {
      this.fail(request.fault, request.describeFault());
      return end;
    }
    this.#outcome.bytesReceived += end - from;
    this.#updateWaits(now);
    return end;
  }

  answerMoves(now: number): void {
    this.#waits.answerMoves(this.#connection!, now);
  }

  onAnswerDeadline(): void {
    const code = this.hasResponseBegun ? 'UPSTREAM_BODY_TIMEOUT' : 'UPSTREAM_RESPONSE_TIMEOUT';
    this.fail(code, limitOf('responseTimeout', this.#waits.responseTimeoutMs, 'ms'));
  }

  upstreamBlocked(): void {
    this.#updateWaits(performance.now());
  }

  upstreamDrained(): void {
    if (!this.isRequestSent) this.#updateWaits(performance.now());
    this.#client!.proceed();
  }

  downstreamBlocked(now: number): void {
    if (this.#step === STEP.responding) this.#waits.clientBlocked(this.#connection, now);
  }

  downstreamDrained(): void {
    const connection = this.#connection;
    if (connection?.exchange !== this || connection.isConnecting) return;
    connection.wire.resume();
    this.#updateWaits(performance.now());
  }

  /** An interim response (1xx) passes; HTTP/1.0 knows none (RFC 9110 §15.2). */
  receiveInterim(head: ResponseHead, framing: ResponseFraming, headEnd: number): void {
    if (head.status === 100) this.#updateWaits(performance.now());
    if (this.head.minorVersion > 0)
      this.#outcome.bytesSent += this.#response.writeInterim(head, framing, headEnd);
  }

  receiveResponseHead(head: ResponseHead, framing: ResponseFraming, headEnd: number, now: number): void {
    const client = this.#client!;
    if (head.status >= 403 && retrying.passOn(this, this.#connection, `http_${head.status}`, null, null))
      return;
    const replaced = head.status >= 400 ? this.#answers.inPlaceOf(head.status, head) : null;
    if (replaced !== null) return this.#answer(replaced);
    this.#step = STEP.responding;
    this.#outcome.status = head.status;
    this.#outcome.firstByteAt = now;
    this.#response.completeFields(this.head, head.status, head, this.#outcome);
    this.#outcome.bytesSent += this.#response.writeFinal(
      head,
      framing,
      headEnd,
      this.#mayKeepAlive,
      client.listener.dateLine(now),
    );
    if (framing.body >= BODY.chunked && isEventStream(head)) this.#connection!.countAsStream();
    if (client.wire.isBlocked) this.downstreamBlocked(now);
  }

  /** An answer that comes before the whole request ends the connection: the client may not send the rest (RFC 9112 §9.3). */
  get #mayKeepAlive(): boolean {
    return this.framing.keepAlive && this.isRequestSent && !this.#client!.isLastAnswer;
  }

  receiveResponseBody(bytes: Buffer, from: number, to: number, isLast: boolean): void {
    const client = this.#client!;
    const isBuffered = client.wire.isBlocked;
    this.#outcome.bytesSent += this.#response.writeBody(bytes, from, to, isLast);
    if (isBuffered && !client.bufferResponse(to - from)) this.#waits.pause(this.#connection!);
  }

  receiveResponseTrailers(trailers: FieldSection, framing: ResponseFraming): void {
    this.#outcome.bytesSent += this.#response.writeTrailers(trailers, framing);
  }

  finishResponse(connection: PooledConnection | null, now: number): void {
    // The connection is no longer this exchange's to pause, whatever the client does with the last bytes.
    this.#connection = null;
    this.#outcome.bytesSent += this.#response.writeEnd();
    const keepAlive = this.#response.keepAlive && this.isRequestSent;
    this.#settle(-1, now);
    connection?.release(now);
    this.#client!.exchangeEnded(keepAlive, now);
  }

  awaitsSwitchTo(protocols: readonly Uint8Array[]): boolean {
    return this.#request.awaitsSwitchTo(protocols);
  }

  switchProtocols(head: ResponseHead, framing: ResponseFraming, headEnd: number): void {
    const client = this.#client!;
    const connection = this.#connection!;
    const { maxTunnels } = this.#hop!.upstream.config.pool;
    if (!connection.countAsStream())
      return this.fail('TUNNELS_EXHAUSTED', limitOf('pool.maxTunnels', maxTunnels));
    this.#outcome.status = 101;
    this.#outcome.bytesSent += this.#response.writeInterim(head, framing, headEnd);
    this.#connection = null;
    const { counters } = this.#destination!;
    this.#settle(-1, performance.now());
    Tunnel.open(client, connection, counters, this.#waits.tunnelIdle);
  }

  upstreamLost(
    connection: PooledConnection,
    code: FaultCode,
    isSilent: boolean,
    wasSent: boolean,
    cause: Cause | null = null,
  ): void {
    this.#connection = null;
    const now = performance.now();
    if (isSilent && this.mayGoOn('error', wasSent, now)) {
      if (this.attempts.lost(connection, wasSent, now)) connection.blame(code, now, cause);
      return this.sendAgain(now, FAULTS[code].status);
    }
    connection.blame(code, now, cause);
    this.fail(this.#step === STEP.responding ? 'UPSTREAM_BODY_CUT' : code, cause);
  }

  mayGoOn(condition: retrying.RetryCondition, wasSent: boolean, now: number): boolean {
    const { retries, bytesReceived, startedAt } = this.#outcome;
    if (this.#step !== STEP.sent) return false;
    const { retry } = this.#hop!.upstream.config;
    if (!retrying.allowsRetry(retry, condition, retries, now - startedAt)) return false;
    return this.#request.mayRepeat(wasSent && !retry.on.includes('non_idempotent'), bytesReceived);
  }

  sendAgain(now: number, status: number): void {
    this.#connection = null;
    this.#outcome.retried(status);
    this.#step = STEP.waiting;
    this.#hop!.upstream.checkOut(this, now, true);
  }

  /** Answers with the status of the code where that is still possible, otherwise cuts the client's connection. */
  fail(code: FaultCode, cause: Cause | null = null): void {
    const connection = this.#connection;
    if (retrying.passOn(this, connection, retrying.conditionOf(code), code, cause)) return;
    const client = this.#client!;
    const hasBegun = this.#step === STEP.responding;
    const isCut = hasBegun || FAULTS[code].status === 0;
    const now = performance.now();
    this.#connection = null;
    const keepAlive = this.#mayKeepAlive && !isLastFault(code);
    const upstream = this.#hop?.upstream;
    const frame = client.answerFrame(keepAlive, now);
    const answer = isCut ? '' : this.#answers.toFault(code, cause, frame);
    if (client.isAnswerable) this.#outcome.bytesSent += answer.length;
    this.#settle(FAULT_CODES.indexOf(code), now, cause);
    if (connection === null) upstream?.forget(this);
    else if (connection.isConnecting) connection.exchange = null;
    else retrying.letGo(this, connection, code, cause, now);
    if (isCut) client.cut(hasBegun && this.#response.endsWithConnection);
    else client.answer(answer, keepAlive, now);
  }

  refused(code: FaultCode, cause: Cause | null, sentBytes: number): void {
    this.#outcome.refused(code, this.head.remoteAddress, cause, sentBytes);
  }

  abort(cause: Cause): void {
    if (this.#step !== STEP.idle) this.fail('DOWNSTREAM_GONE', cause);
  }

  #updateWaits(now: number): void {
    if (this.#connection !== null) this.#waits.update(this.#connection, this.hasResponseBegun, now);
  }

  /** A body that has not come yet is not waited for: the connection closes after the answer. */
  #answer(content: AnswerContent): void {
    const client = this.#client!;
    const connection = this.#connection;
    const now = performance.now();
    const { text, persists } = this.#answers.toRequest(content, client, this.#mayKeepAlive, now);
    if (client.isAnswerable) this.#outcome.bytesSent += text.length;
    this.#connection = null;
    connection?.leave(this, false);
    this.#settle(-1, now);
    client.answer(text, persists, now);
  }

  #settle(fault: number, now: number, cause: Cause | null = null): void {
    this.#step = STEP.idle;
    this.#outcome.settle(fault, now, this.head, cause);
    this.#destination = null;
    this.#hop = null;
  }
}

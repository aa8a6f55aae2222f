// A plain request and its response, from the decision to the end of both. Repeats a request that a pooled connection lost.
// Source: RFC 9110 §9.2.2 (idempotent methods).

import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { FaultCode } from '../errors.ts';
import { cutAnswer } from './answer-order.ts';
import { STAGE, UpstreamAttempt } from './attempt.ts';
import type { HandlerContext } from './context.ts';
import { answerFault } from './fault-answer.ts';
import { framingFields, hasBody, responseFields } from './fields.ts';
import type { RequestPlan } from './request-plan.ts';

/**
 * One request and its response. Starts with `send` and ends when the response is written, or with the first fault; it owns
 * its upstream request, which it destroys when it ends early. http-proxy could not send it: that merges slashes in the
 * path, joins repeated fields, and takes the framing from a DELETE with a chunked body, whose bytes would then reach the
 * upstream as a request of their own.
 */
export class HandlerExchange extends UpstreamAttempt {
  readonly #response: ServerResponse;
  #attempts = 0;

  constructor(
    context: HandlerContext,
    plan: RequestPlan,
    request: IncomingMessage,
    response: ServerResponse,
  ) {
    super(context, plan, request);
    this.#response = response;
    response.on('error', (cause) => this.end('DOWNSTREAM_GONE', cause));
    response.once('finish', () => this.end(null, null));
    response.once('close', () => this.end('DOWNSTREAM_GONE', null));
    // A response that waits for its turn has no socket yet, so it does not see the client leave.
    request.once('close', () => {
      if (!request.complete) this.end('DOWNSTREAM_GONE', null);
    });
  }

  /** Sends the request; the second time on a connection of its own. */
  send(): void {
    const { request } = this;
    const { upstream, path, fields } = this.plan;
    const usesPool = this.#attempts++ === 0;
    let upstreamRequest: ClientRequest;
    try {
      upstreamRequest = upstream.request(
        request.method!,
        path,
        [...fields, ...framingFields(request)],
        usesPool,
      );
    } catch (cause) {
      this.end('INTERNAL', cause as Error);
      return;
    }
    this.watch(upstreamRequest);
    upstreamRequest.on('error', (cause) => {
      // An error of the first attempt says nothing about the second.
      if (upstreamRequest === this.upstreamRequest) this.#failed(cause);
    });
    upstreamRequest.once('response', (upstreamResponse) => this.#relay(upstreamResponse));
    request.pipe(upstreamRequest);
  }

  override end(code: FaultCode | null, cause: Error | null): void {
    if (this.stage === STAGE.ended) return;
    const { request, upstreamRequest } = this;
    const response = this.#response;
    this.stage = STAGE.ended;
    this.stopWaiting();
    // A response may end before its request: the rest of the request is read and dropped, so that the connection can go on.
    if (code !== null || !request.complete) upstreamRequest?.destroy();
    request.unpipe();
    request.resume();
    this.plan.counted?.end(response.headersSent ? response.statusCode : 0, code);
    if (code === null) return;
    if (!response.headersSent && !response.destroyed) answerFault(response, code, this.plan.added);
    else cutAnswer(request, response);
    this.context.onFault(code, request, cause);
  }

  /** Not the upstream's silence: a client that is slow to send its body, or slow to read the response. */
  protected override silenceFault(): FaultCode | null {
    const { request, upstreamRequest } = this;
    if (this.stage === STAGE.answered)
      return this.#response.writableNeedDrain ? null : 'UPSTREAM_BODY_TIMEOUT';
    return request.complete || upstreamRequest?.writableNeedDrain ? 'UPSTREAM_RESPONSE_TIMEOUT' : null;
  }

  #relay(upstreamResponse: IncomingMessage): void {
    if (this.stage === STAGE.ended) return;
    const { statusCode = 0, statusMessage } = upstreamResponse;
    upstreamResponse.on('error', (cause) => this.end('UPSTREAM_BODY_CUT', cause));
    upstreamResponse.once('close', () => {
      if (!upstreamResponse.complete) this.end('UPSTREAM_BODY_CUT', null);
    });
    try {
      const fields = responseFields(this.context.config, this.plan, upstreamResponse);
      this.#response.writeHead(statusCode, statusMessage, fields);
    } catch (cause) {
      // A status below 100, or a byte that Node does not write.
      this.end('UPSTREAM_BAD_RESPONSE', cause as Error);
      return;
    }
    this.stage = STAGE.answered;
    upstreamResponse.pipe(this.#response);
  }

  #failed(cause: NodeJS.ErrnoException): void {
    if (this.stage >= STAGE.answered) return;
    // The client's connection is gone, too: its close is about to end this exchange.
    if (this.request.socket.destroyed && cause.code === 'ECONNRESET') return;
    const code = this.faultOf(cause);
    if (this.#mayRepeat(code)) this.send();
    else this.end(code, cause);
  }

  /** The upstream may have closed a pooled connection while the request was on its way: then it never saw the request. */
  #mayRepeat(code: FaultCode): boolean {
    const { request, upstreamRequest } = this;
    const isReplayable = /^(?:GET|HEAD|OPTIONS|PUT|DELETE)$/.test(request.method!) && !hasBody(request);
    const wasReused = code === 'UPSTREAM_RESET' && upstreamRequest?.reusedSocket === true;
    return wasReused && isReplayable && this.#attempts <= this.plan.upstream.config.retry.attempts;
  }
}

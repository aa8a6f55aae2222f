// A WebSocket, from the upgrade request to the end of both sockets. http-proxy sends the request and joins the sockets;
// this corrects the request before it leaves, and judges the answer. Sources: RFC 9110 §7.8, http-proxy 1.18.1.

import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { FAULTS, type FaultCode } from '../errors.ts';
import { STAGE, UpstreamAttempt } from './attempt.ts';
import type { HandlerContext } from './context.ts';
import { answerUpgradeFault, closeAfterAnswer, responseHead } from './fault-answer.ts';
import { editHeaders, responseFields } from './fields.ts';
import type { RequestPlan } from './request-plan.ts';

/** Protocol switched (RFC 9110 §15.2.2). */
const SWITCHING = 101;

/**
 * The upgrade request of a WebSocket, and then bytes in both directions. Starts with `send` and ends when either socket
 * closes; it owns the socket of the client from the upgrade on, and the upstream connection, which is not pooled.
 */
export class HandlerTunnel extends UpstreamAttempt {
  readonly #socket: Socket;
  /** Status that was sent; 0 = none. */
  #status = 0;

  constructor(context: HandlerContext, plan: RequestPlan, request: IncomingMessage, socket: Socket) {
    super(context, plan, request);
    this.#socket = socket;
    socket.on('error', (cause) => this.end('DOWNSTREAM_GONE', cause));
    socket.once('close', () => this.end(this.stage === STAGE.answered ? null : 'DOWNSTREAM_GONE', null));
  }

  /** Sends the upgrade request. `head` is what the client sent after its own. */
  send(head: Buffer): void {
    const { proxy } = this.context;
    const { upstream, path, fields } = this.plan;
    // http-proxy takes the fields from the request; an Expect among them would make Node write them at once.
    const headers = { connection: 'Upgrade', upgrade: 'websocket' };
    const shown: IncomingMessage = Object.create(this.request, { headers: { value: headers } });
    // No agent: a connection that becomes a tunnel is never one of the pool.
    const options = { target: upstream.target, ssl: { ...upstream.serverName }, toProxy: true };
    // Called from within `ws`, before anything of the request is written.
    const prepare = (upstreamRequest: ClientRequest) => {
      this.watch(upstreamRequest);
      // http-proxy merges slashes in the path.
      upstreamRequest.path = path;
      for (const name of upstreamRequest.getHeaderNames()) upstreamRequest.removeHeader(name);
      for (let i = 0; i < fields.length; i += 2) upstreamRequest.appendHeader(fields[i]!, fields[i + 1]!);
      upstreamRequest.setHeader('Connection', 'Upgrade').setHeader('Upgrade', 'websocket');
    };
    proxy.once('proxyReqWs', prepare);
    try {
      proxy.ws(shown, this.#socket, head, options, (cause) => this.end(this.faultOf(cause), cause));
      this.#takeOver(this.upstreamRequest!);
    } catch (cause) {
      this.end('INTERNAL', cause as Error);
    } finally {
      proxy.off('proxyReqWs', prepare);
    }
  }

  override end(code: FaultCode | null, cause: Error | null): void {
    if (this.stage === STAGE.ended) return;
    const isAnswered = this.stage === STAGE.answered;
    this.stage = STAGE.ended;
    this.stopWaiting();
    this.upstreamRequest?.destroy();
    this.plan.counted?.end(this.#status, code);
    if (code === null) return;
    if (isAnswered || FAULTS[code].status === 0) this.#socket.destroy();
    else answerUpgradeFault(this.#socket, code, this.plan.added);
    this.context.onFault(code, this.request, cause);
  }

  protected override silenceFault(): FaultCode | null {
    if (this.stage < STAGE.answered) return 'UPSTREAM_RESPONSE_TIMEOUT';
    return this.#socket.writableNeedDrain ? null : 'UPSTREAM_BODY_TIMEOUT';
  }

  /**
   * Takes the answer from http-proxy, which would accept any protocol, and would relay a refusal whose fields name a chunked
   * framing that its body no longer has.
   */
  #takeOver(upstreamRequest: ClientRequest): void {
    const [open] = upstreamRequest.listeners('upgrade') as ((...args: unknown[]) => void)[];
    upstreamRequest.removeAllListeners('response').removeAllListeners('upgrade');
    upstreamRequest.once('response', (upstreamResponse) => this.#relayRefusal(upstreamResponse));
    upstreamRequest.once('upgrade', (upstreamResponse, upstreamSocket, upstreamHead) => {
      if (upstreamResponse.headers.upgrade?.toLowerCase() === 'websocket') {
        editHeaders(upstreamResponse, this.plan);
        this.#status = SWITCHING;
        open!(upstreamResponse, upstreamSocket, upstreamHead);
        this.#join(upstreamSocket);
      } else {
        upstreamSocket.destroy();
        this.end('UPSTREAM_BAD_RESPONSE', null);
      }
    });
  }

  /** Ends each side when the other one goes. http-proxy itself passes on only an orderly end. */
  #join(upstreamSocket: Socket): void {
    this.stopWaiting();
    this.stage = STAGE.answered;
    upstreamSocket.removeAllListeners('timeout');
    upstreamSocket.setTimeout(this.context.config.timeouts.tunnelIdle, () => this.end('TUNNEL_IDLE', null));
    upstreamSocket.once('close', (hadError) => {
      if (hadError) this.#socket.destroy();
      else this.#socket.destroySoon();
    });
    this.#socket.once('close', () => upstreamSocket.destroy());
  }

  /** The upstream answered without upgrading: the client gets its answer, and then its connection closes. */
  #relayRefusal(upstreamResponse: IncomingMessage): void {
    const { statusCode = 502, statusMessage = '' } = upstreamResponse;
    const fields = responseFields(this.context.config, this.plan, upstreamResponse);
    this.stage = STAGE.answered;
    this.#status = statusCode;
    this.#socket.write(responseHead(statusCode, statusMessage, fields), 'latin1');
    upstreamResponse.on('error', (cause) => this.end('UPSTREAM_BODY_CUT', cause));
    upstreamResponse.pipe(this.#socket);
    closeAfterAnswer(this.#socket);
  }
}

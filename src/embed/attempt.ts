// One request to an upstream, with a limit on every wait for it: for a connection of the pool, for connecting, and for a
// silent upstream. A plain request and a tunnel build on it. A fault is named after the stage in which it happens.

import type { ClientRequest, IncomingMessage } from 'node:http';
import type { FaultCode } from '../errors.ts';
import type { HandlerContext } from './context.ts';
import type { RequestPlan } from './request-plan.ts';

/** How far an upstream request has come. */
export const STAGE = { queued: 0, connecting: 1, sent: 2, answered: 3, ended: 4 } as const;

/**
 * What exchange and tunnel share: the upstream request, and a limit on every wait for it. The handler makes one for each
 * request that it receives, and nothing holds it after its end but listeners of sockets that close.
 */
export abstract class UpstreamAttempt {
  protected readonly context: HandlerContext;
  protected readonly plan: RequestPlan;
  protected readonly request: IncomingMessage;
  protected stage: number = STAGE.queued;
  protected upstreamRequest: ClientRequest | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(context: HandlerContext, plan: RequestPlan, request: IncomingMessage) {
    this.context = context;
    this.plan = plan;
    this.request = request;
  }

  /** Ends the exchange or tunnel; `code` is null for a good end. Only the first call counts. */
  abstract end(code: FaultCode | null, cause: Error | null): void;

  /** The fault when the upstream is silent for its `responseTimeout`; null while the client is the slow one. */
  protected abstract silenceFault(): FaultCode | null;

  /** Limits every wait for `upstreamRequest` until its end, and keeps `stage`. */
  protected watch(upstreamRequest: ClientRequest): void {
    const { config, url } = this.plan.upstream;
    const { connectTimeout: connectTimeoutMs, responseTimeout: responseTimeoutMs, pool } = config;
    this.upstreamRequest = upstreamRequest;
    this.stage = STAGE.queued;
    this.#limit(pool.queueTimeout, 'QUEUE_TIMEOUT');
    upstreamRequest.once('socket', (socket) => {
      const silent = () => {
        const { bytesRead } = socket;
        // Asked before the turn ends: a client that reads or sends again in it ends its own pause, not the upstream's.
        const code = this.silenceFault();
        socket.setTimeout(responseTimeoutMs);
        // A busy event loop runs its timers first: bytes that have already arrived are read before the second look.
        setImmediate(() => {
          if (code !== null && socket.bytesRead === bytesRead) this.end(code, null);
        });
      };
      const connected = () => {
        this.stopWaiting();
        this.stage = STAGE.sent;
        socket.setTimeout(responseTimeoutMs);
        socket.on('timeout', silent);
        upstreamRequest.once('close', () => socket.off('timeout', silent));
      };
      if (!socket.connecting) return connected();
      this.stage = STAGE.connecting;
      this.#limit(connectTimeoutMs, 'UPSTREAM_CONNECT_TIMEOUT');
      socket.once(url.tls ? 'secureConnect' : 'connect', connected);
    });
  }

  /** Ends the wait for a connection. */
  protected stopWaiting(): void {
    clearTimeout(this.#timer);
  }

  /** The fault that an error of Node's client means at this stage. */
  protected faultOf({ code = '', syscall }: NodeJS.ErrnoException): FaultCode {
    if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'UPSTREAM_UNRESOLVED';
    if (code === 'HPE_HEADER_OVERFLOW') return 'UPSTREAM_HEAD_TOO_LARGE';
    if (code.startsWith('HPE_')) return 'UPSTREAM_BAD_RESPONSE';
    if (this.stage >= STAGE.sent) return 'UPSTREAM_RESET';
    const isTls = this.plan.upstream.url.tls && syscall !== 'connect';
    return isTls ? 'UPSTREAM_TLS_FAILED' : 'UPSTREAM_CONNECT_FAILED';
  }

  #limit(ms: number, code: FaultCode): void {
    this.stopWaiting();
    this.#timer = setTimeout(() => this.end(code, null), ms);
  }
}

// The listeners that a Node server calls: each request and each upgrade is refused here or handed to an exchange or a
// tunnel. Takes the same configuration as the program. Source: RFC 9110 §7.8.

import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FAULTS, type FaultCode } from '../errors.ts';
import { afterEarlierAnswers, trackAnswer } from './answer-order.ts';
import { createContext, type HandlerContext } from './context.ts';
import { answerFault, answerUpgradeFault } from './fault-answer.ts';
import { hasBody } from './fields.ts';
import { checkConfig, type HandlerConfig, type HandlerOptions } from './handler-config.ts';
import { HandlerExchange } from './request.ts';
import { planRequest } from './request-plan.ts';
import { HandlerTunnel } from './tunnel.ts';

export type { FaultCode } from '../errors.ts';
export type { HandlerGuardStop } from './guard.ts';
export type { HandlerConfig, HandlerOptions } from './handler-config.ts';

/** Listeners for a Node server; both are bound and never throw. */
export interface Handler {
  /**
   * For `createServer(handler.request)` or a route of your server. It needs the request's body unread: mount it before
   * body parsers such as `express.json()`, else requests with a body get 500 BODY_ALREADY_READ.
   */
  readonly request: (request: IncomingMessage, response: ServerResponse) => void;
  /** For `server.on('upgrade', handler.upgrade)`. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Closes every upstream connection and ends the guard; call it once the server has closed. */
  close(): void;
}

/**
 * A handler that sends each request to the upstream of its variant, over kept-alive connections. A fault is answered
 * with the status of errors.ts and its code in `x-splitter-error`; one in the middle of a response cuts the connection.
 * Trailers are not passed on. Throws one TypeError that lists every problem of `config`.
 */
export function createHandler(config: HandlerConfig, options: HandlerOptions = {}): Handler {
  const context = createContext(checkConfig(config), options);
  return {
    request: (request, response) => handleRequest(context, request, response),
    upgrade: (request, socket, head) => handleUpgrade(context, request, socket as Socket, head),
    close: () => {
      context.guard?.close();
      for (const upstream of context.upstreams.values()) upstream.agent.destroy();
    },
  };
}

function handleRequest(context: HandlerContext, request: IncomingMessage, response: ServerResponse): void {
  trackAnswer(request, response);
  const plan = planRequest(context, request);
  const coding = request.headers['transfer-encoding']?.toLowerCase();
  if (plan === null) return refuseRequest(context, request, response, context.splitter.faultWithout);
  if (coding !== undefined && coding !== 'chunked') {
    return refuseRequest(context, request, response, 'UNKNOWN_TRANSFER_ENCODING');
  }
  // A body that someone else has read cannot be sent: the upstream would wait for it.
  if (hasBody(request) && request.readableDidRead)
    return refuseRequest(context, request, response, 'BODY_ALREADY_READ');
  if (plan.upstream.isFull()) {
    plan.counted?.end(FAULTS.QUEUE_FULL.status, 'QUEUE_FULL');
    return refuseRequest(context, request, response, 'QUEUE_FULL', plan.added);
  }
  new HandlerExchange(context, plan, request, response).send();
}

function refuseRequest(
  context: HandlerContext,
  request: IncomingMessage,
  response: ServerResponse,
  code: FaultCode,
  added: readonly string[] = [],
): void {
  answerFault(response, code, added);
  // The connection can go on only once the body has been read.
  request.resume();
  context.onFault(code, request, null);
}

/** Node hands over the socket of an upgrade even while earlier requests on it wait for their answers. */
function handleUpgrade(
  context: HandlerContext,
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
): void {
  afterEarlierAnswers(
    socket,
    () => startUpgrade(context, request, socket, head),
    () => context.onFault('DOWNSTREAM_GONE', request, null),
  );
}

function startUpgrade(context: HandlerContext, request: IncomingMessage, socket: Socket, head: Buffer): void {
  const protocol = request.headers.upgrade?.toLowerCase();
  const passes = context.config.upgrades.some((name) => name.toLowerCase() === protocol);
  if (hasBody(request)) return refuseUpgrade(context, request, socket, 'BAD_UPGRADE');
  if (!passes || protocol !== 'websocket' || request.method !== 'GET') {
    return handleWithoutUpgrade(context, request, socket);
  }
  const plan = planRequest(context, request);
  if (plan === null) return refuseUpgrade(context, request, socket, context.splitter.faultWithout);
  new HandlerTunnel(context, plan, request, socket).send(head);
}

/** RFC 9110 §7.8: an upgrade may be ignored; the request is then a plain one, and the last one of its connection. */
function handleWithoutUpgrade(context: HandlerContext, request: IncomingMessage, socket: Socket): void {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => socket.destroySoon());
  socket.on('error', () => socket.destroy());
  socket.once('close', () => response.destroy());
  handleRequest(context, request, response);
}

function refuseUpgrade(
  context: HandlerContext,
  request: IncomingMessage,
  socket: Socket,
  code: FaultCode,
): void {
  socket.on('error', () => socket.destroy());
  answerUpgradeFault(socket, code, []);
  context.onFault(code, request, null);
}

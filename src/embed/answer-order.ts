// Keeps the answers on one client connection in the order of their requests. Node's server does not always: it hands over
// the socket of an upgrade while it still answers earlier, pipelined requests. Knows nothing of upstreams.
// Source: RFC 9112 §9.3.2.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Responses that the handler owes, by client connection. */
const openAnswers = new WeakMap<Socket, Set<ServerResponse>>();

/** Notes that `response` is owed to the client of `request` until it closes. */
export function trackAnswer(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  const open = openAnswers.get(socket) ?? new Set();
  openAnswers.set(socket, open.add(response));
  response.once('close', () => open.delete(response));
}

/**
 * Calls `next` once every earlier response on the socket has been written, at once if none is owed. If the socket closes
 * first it calls `gone` instead.
 */
export function afterEarlierAnswers(socket: Socket, next: () => void, gone: () => void): void {
  if (earlierAnswer(socket) === undefined) return next();
  // Node's server no longer listens to the socket, not even for the responses that it is still writing.
  const drained = () => void earlierAnswer(socket)?.emit('drain');
  const failed = () => void socket.destroy();
  const closed = () => {
    release();
    gone();
  };
  const release = () => void socket.off('close', closed).off('error', failed).off('drain', drained);
  const wait = (): void => {
    if (socket.destroyed) return;
    const earlier = earlierAnswer(socket);
    if (earlier !== undefined) return void earlier.once('close', wait);
    release();
    // The last response armed the server's keep-alive timer.
    socket.setTimeout(0);
    next();
  };
  socket.on('close', closed).on('error', failed).on('drain', drained);
  wait();
}

/**
 * The response that the socket waits for. Node keeps the one that it writes in the private field `_httpMessage`, also when
 * other code of the server writes it; without that field the handler knows only its own.
 */
function earlierAnswer(socket: Socket): ServerResponse | undefined {
  const { _httpMessage: current } = socket as { readonly _httpMessage?: ServerResponse | null };
  return current ?? openAnswers.get(socket)?.values().next().value;
}

/**
 * Destroys the connection of a response that cannot be finished. A response that waits for its turn has no socket yet: the
 * connection ends when it gets one, after the responses before it.
 */
export function cutAnswer(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = response;
  if (socket === null) response.once('socket', (own: Socket) => own.destroy());
  const isPlain = socket !== null && !socket.destroyed && !('encrypted' in socket);
  // HTTP/1.0 takes the end of the connection for the end of the body; a reset cannot be mistaken for it.
  if (isPlain && request.httpVersion === '1.0') socket.resetAndDestroy();
  else response.destroy();
}

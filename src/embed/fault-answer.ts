// The answers of the handler itself: a fault as a response of Node's server, or as bytes on the socket of an upgrade,
// which has no response object. Knows nothing of upstreams. Status and sentence of each fault are in errors.ts.

import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { FAULTS, type FaultCode } from '../errors.ts';

/** How long a client may take to close its connection after the answer to an upgrade. */
const CLOSE_WITHIN_MS = 2000;

/** Answers with the fault's status; `added` are further fields, names and values in turn. */
export function answerFault(response: ServerResponse, code: FaultCode, added: readonly string[]): void {
  const body = bodyOfFault(code);
  const own = ['content-type', 'text/plain', 'content-length', `${body.length}`, 'x-splitter-error', code];
  response.writeHead(FAULTS[code].status, [...own, ...added]);
  response.end(body);
}

/** As `answerFault`, on the socket of an upgrade, which it closes. */
export function answerUpgradeFault(socket: Socket, code: FaultCode, added: readonly string[]): void {
  const body = bodyOfFault(code);
  const own = ['Content-Type', 'text/plain', 'Content-Length', `${body.length}`, 'x-splitter-error', code];
  socket.end(responseHead(FAULTS[code].status, '', [...own, ...added]) + body, 'latin1');
  closeAfterAnswer(socket);
}

function bodyOfFault(code: FaultCode): string {
  return `${code}: ${FAULTS[code].sentence}\n`;
}

/** The head of a response after which the connection closes; `reason` defaults to the usual phrase. */
export function responseHead(status: number, reason: string, fields: readonly string[]): string {
  let text = `HTTP/1.1 ${status} ${reason || (STATUS_CODES[status] ?? '')}\r\n`;
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return `${text}Connection: close\r\n\r\n`;
}

/**
 * Closes the socket of an upgrade once its answer is written and the client has closed, or after a limit. Node no longer
 * reads such a socket: it would miss the client's end, and unread bytes would reset the connection, which could destroy
 * the answer.
 */
export function closeAfterAnswer(socket: Socket): void {
  socket.resume();
  const limit = () => void socket.setTimeout(CLOSE_WITHIN_MS, () => socket.destroy());
  if (socket.writableFinished) limit();
  else socket.once('finish', limit);
}

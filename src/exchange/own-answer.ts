// Composes the answers that the splitter gives itself, as they go on the wire. It decides nothing and writes nothing.
// Source: RFC 9112 §4, §9.6.

import { STATUS_CODES } from 'node:http';
import { type Cause, FAULTS, type FaultCode } from '../errors.ts';
import { FIELD } from '../http1/fields.ts';
import { isHopLimited } from '../http1/forward-request.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { AnswerFrame } from '../transport/contracts.ts';

const ALLOW = 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n';

/** The answer to a request that failed. `addedLines` end with CRLF. Printable ASCII, but for what these hold. */
export function composeFault(
  code: FaultCode,
  cause: Cause | null,
  addedLines: string,
  frame: AnswerFrame,
): string {
  const { status } = FAULTS[code];
  return compose(
    status,
    `${status === 405 ? ALLOW : ''}x-splitter-error: ${code}\r\n${addedLines}`,
    faultText(code, cause),
    frame,
  );
}

/** The text of a failed request's answer. A cause that says all that the code's sentence says takes its place. */
export function faultText(code: FaultCode, cause: Cause | null): string {
  const { sentence } = FAULTS[code];
  if (cause === null) return `${code}: ${sentence}\n`;
  if (cause.text.startsWith(sentence)) return `${code}: ${cause.text}\n`;
  return `${code}: ${sentence} (${cause.text})\n`;
}

/** The answer to OPTIONS or TRACE that may go no further (RFC 9110 §7.6.2). */
export function composeLastHop(status: number, frame: AnswerFrame): string {
  return compose(status, ALLOW, '', frame);
}

/** The status with which a request that may go no further is answered; 0 = it may (RFC 9110 §7.6.2). */
export function lastHopStatus(head: RequestHead): number {
  for (let i = 0; i < head.count; i++) {
    if (head.ids[i] !== FIELD.maxForwards || !isHopLimited(head)) continue;
    if (!/^0+$/.test(head.bytes.toString('latin1', head.at[i * 4 + 2]!, head.at[i * 4 + 3]!))) continue;
    return head.bytes[head.methodStart] === 79 ? 200 : 405;
  }
  return 0;
}

function compose(status: number, fields: string, body: string, frame: AnswerFrame): string {
  const { dateLine, minorVersion, isHead, persists } = frame;
  const type = body === '' ? '' : 'Content-Type: text/plain; charset=utf-8\r\n';
  const connection = !persists
    ? 'Connection: close\r\n'
    : minorVersion === 0
      ? 'Connection: keep-alive\r\n'
      : '';
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${dateLine}${fields}${type}Content-Length: ${body.length}\r\n${connection}\r\n`;
  return isHead ? head : head + body;
}

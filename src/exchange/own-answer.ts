// Composes the answers that the splitter gives itself, as they go on the wire. It decides nothing and writes nothing.
// Source: RFC 9112 §4, §9.6.

import { type Cause, FAULTS, type FaultCode } from '../errors.ts';
import { FIELD } from '../http1/fields.ts';
import { isHopLimited } from '../http1/forward-request.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { type AnswerContent, CLOSE_WITHOUT_ANSWER } from '../routing/fixed-answer.ts';
import type { AnswerFrame } from '../transport/contracts.ts';
import { hasPage, isLastPage, pageOf, phraseOf } from './status-pages.ts';

const PLAIN_TEXT = 'text/plain; charset=utf-8';
const ALLOW = 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n';

/** The answers to requests that may go no further. */
const ALLOWED: AnswerContent = { status: 200, body: '', contentType: '', location: null };
const NOT_ALLOWED: AnswerContent = { ...ALLOWED, status: 405 };

/**
 * The answer to a request that failed; `content` is what the route answers in place of the fault, null for nothing.
 * `addedLines` end with CRLF. Printable ASCII, but for what these hold.
 */
export function composeFault(
  code: FaultCode,
  cause: Cause | null,
  addedLines: string,
  frame: AnswerFrame,
  content: AnswerContent | null = null,
): string {
  if (content !== null) return composeAnswer(content, `x-splitter-error: ${code}\r\n${addedLines}`, frame);
  const { status } = FAULTS[code];
  const fields = `${status === 405 ? ALLOW : ''}x-splitter-error: ${code}\r\n${addedLines}`;
  if (frame.isHtml) {
    const page = pageOf(status, true);
    return compose(status, fields, page.body, page.type, frame);
  }
  return compose(status, fields, faultText(code, cause), PLAIN_TEXT, frame);
}

/** The text of a failed request's answer. A cause that says all that the code's sentence says takes its place. */
export function faultText(code: FaultCode, cause: Cause | null): string {
  const { sentence } = FAULTS[code];
  if (cause === null) return `${code}: ${sentence}\n`;
  if (cause.text.startsWith(sentence)) return `${code}: ${cause.text}\n`;
  return `${code}: ${sentence} (${cause.text})\n`;
}

/** True when the connection does not outlive the answer to this fault although it could, as in nginx. */
export function isLastFault(code: FaultCode): boolean {
  return code === 'TRACE_REFUSED' || code === 'BAD_TARGET';
}

/** True when the connection does not outlive this answer, as in nginx. */
export function isLastAnswer({ status, body }: AnswerContent): boolean {
  return status === CLOSE_WITHOUT_ANSWER || (body === null && isLastPage(status));
}

/** An answer that is no failure. `addedLines` end with CRLF. */
export function composeAnswer(content: AnswerContent, addedLines: string, frame: AnswerFrame): string {
  const { status, body, contentType, location } = content;
  if (status === CLOSE_WITHOUT_ANSWER) return '';
  const allow = content === ALLOWED || content === NOT_ALLOWED ? ALLOW : '';
  const fields = `${allow}${addedLines}${location === null ? '' : `Location: ${location}\r\n`}`;
  if (body !== null || !hasPage(status)) return compose(status, fields, body ?? '', contentType, frame);
  const page = pageOf(status, frame.isHtml);
  return compose(status, fields, page.body, page.type, frame);
}

/** The answer to OPTIONS or TRACE that may go no further; null for a request that may (RFC 9110 §7.6.2). */
export function lastHopAnswer(head: RequestHead): AnswerContent | null {
  for (let i = 0; i < head.count; i++) {
    if (head.ids[i] !== FIELD.maxForwards || !isHopLimited(head)) continue;
    if (!/^0+$/.test(head.bytes.toString('latin1', head.at[i * 4 + 2]!, head.at[i * 4 + 3]!))) continue;
    return head.bytes[head.methodStart] === 79 ? ALLOWED : NOT_ALLOWED;
  }
  return null;
}

function compose(status: number, fields: string, body: string, type: string, frame: AnswerFrame): string {
  const { dateLine, minorVersion, isHead, persists, isHtml } = frame;
  const hasContent = status !== 204;
  const content = hasContent
    ? `${type === '' ? '' : `Content-Type: ${type}\r\n`}Content-Length: ${body.length}\r\n`
    : '';
  const connection = !persists
    ? 'Connection: close\r\n'
    : minorVersion === 0
      ? 'Connection: keep-alive\r\n'
      : '';
  const head = `HTTP/1.1 ${status} ${phraseOf(status, isHtml)}\r\n${dateLine}${fields}${content}${connection}\r\n`;
  return isHead || !hasContent || status === 304 ? head : head + body;
}

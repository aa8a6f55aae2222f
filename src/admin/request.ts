// What the admin port reads of a request and how it writes an answer. The bytes are parsed by the data plane's own strict
// reader; what it refuses is refused here with the same status. Knows no sockets.

import { STATUS_CODES } from 'node:http';
import { FAULTS, type FaultCode } from '../errors.ts';
import { BODY, RequestFraming } from '../http1/framing.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { Rendering } from './rendering.ts';

/** One request; field values are latin1 texts, undefined where the field is missing. */
export interface AdminRequest {
  readonly method: string;
  /** Path and query as sent, without the scheme and authority of an absolute URL. */
  readonly target: string;
  /** Null for HTTP/1.0 without the field. */
  readonly host: string | null;
  readonly fields: {
    readonly origin: string | undefined;
    readonly site: string | undefined;
    readonly mode: string | undefined;
  };
  readonly acceptsGzip: boolean;
  /** OpenMetrics is named in Accept, as Prometheus does. */
  readonly acceptsOpenMetrics: boolean;
  /** The connection may be used for another request. */
  readonly keepAlive: boolean;
}

/** An answer; its body is held for the connection that sends it. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: Rendering;
  /** The body is `body` compressed with gzip. */
  readonly isGzipped?: boolean;
  readonly allow?: string;
}

const TEXT = 'text/plain; charset=utf-8';

export function text(status: number, body: string): Answer {
  return { status, type: TEXT, body: Rendering.of(body).hold() };
}

// The page's own scripts and styles, and nothing of anybody else's.
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const SAFETY_LINES = [
  'Cache-Control: no-store',
  `Content-Security-Policy: ${CONTENT_SECURITY_POLICY}`,
  'X-Content-Type-Options: nosniff',
  'Referrer-Policy: no-referrer',
  'Cross-Origin-Resource-Policy: same-origin',
  'Vary: Accept-Encoding',
].join('\r\n');

const framing = new RequestFraming();

/** The request of a complete head, or the answer that refuses it. */
export function readAdminRequest(head: RequestHead): AdminRequest | Answer {
  const { bytes } = head;
  const latin1 = (start: number, end: number) => bytes.toString('latin1', start, end);
  const field = (name: string): string | undefined => {
    const values = head.fieldValues(name);
    return values.length === 0
      ? undefined
      : values.map((value) => Buffer.from(value).toString('latin1')).join(', ');
  };
  const hosts = head.fieldValues('host');
  if (hosts.length > 1 || (hosts.length === 0 && head.minorVersion === 1)) return refusal('BAD_HOST');
  const fault = framing.read(head);
  // A Host field that is no authority is answered like any other that is not ours, by the endpoints.
  if (fault !== null && fault !== 'BAD_HOST') return refusal(fault);
  // RFC 9112 §3.2.2: the authority of an absolute URL takes the place of the Host field.
  const isAbsolute = head.authorityEnd > head.authorityStart;
  const host = isAbsolute ? latin1(head.authorityStart, head.authorityEnd) : field('host');
  return {
    method: latin1(head.methodStart, head.methodEnd),
    target: latin1(head.targetStart, head.targetEnd),
    host: host ?? null,
    fields: {
      origin: field('origin'),
      site: field('sec-fetch-site'),
      mode: field('sec-fetch-mode'),
    },
    acceptsGzip: takesGzip(field('accept-encoding')),
    acceptsOpenMetrics: field('accept')?.includes('application/openmetrics-text') === true,
    // What follows a body that nobody reads is no request.
    keepAlive: fault === null && framing.keepAlive && framing.body === BODY.none,
  };
}

/** The answer to a request that is not well-formed. */
export function refusal(code: FaultCode): Answer {
  const { status, sentence } = FAULTS[code];
  return text(status, `${code}: ${sentence}\n`);
}

/** RFC 9110 §12.5.3: named, by `gzip` or `*`, and not with the weight 0. */
function takesGzip(accepted: string | undefined): boolean {
  if (accepted === undefined) return false;
  let anything = false;
  for (const item of accepted.toLowerCase().split(',')) {
    const [coding, weight = ''] = item.split(';').map((part) => part.trim());
    const isWanted = !/^q=0(?:\.0*)?$/.test(weight);
    if (coding === 'gzip' || coding === 'x-gzip') return isWanted;
    if (coding === '*') anything = isWanted;
  }
  return anything;
}

let lastDateLine = '';
let dateLineUntil = 0;

/** "Date: …", made once a second. */
function dateLine(now: number): string {
  if (now >= dateLineUntil) {
    const date = new Date();
    dateLineUntil = now + 1000 - date.getMilliseconds();
    lastDateLine = `Date: ${date.toUTCString()}`;
  }
  return lastDateLine;
}

/** Status line and fields of an answer. */
export function writeHead(answer: Answer, keepAlive: boolean): string {
  const { status, type, body, isGzipped = false, allow } = answer;
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    dateLine(performance.now()),
    `Content-Type: ${type}`,
    `Content-Length: ${body.bytes.length}`,
    ...(isGzipped ? ['Content-Encoding: gzip'] : []),
    ...(allow === undefined ? [] : [`Allow: ${allow}`]),
    SAFETY_LINES,
    `Connection: ${keepAlive ? 'keep-alive' : 'close'}`,
    '\r\n',
  ].join('\r\n');
}

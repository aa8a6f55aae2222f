// Variables of a response, which only texts for the client can have: the status, the server that answered, the fields
// that came from it and those that are sent. Source: nginx, ngx_http_upstream.c, ngx_http_variables.c.

import type { RequestView, ResponseFacts } from '../bytes.ts';
import { requestContextOf } from './request-context.ts';
import { appendBytes, appendLatin1, COMMA_SPACE, type KeyPart } from './variables.ts';

/** A variable whose text is made of the response; empty before there is one. */
class OfResponse implements KeyPart {
  readonly #textOf: (response: ResponseFacts) => string;

  constructor(textOf: (response: ResponseFacts) => string) {
    this.#textOf = textOf;
  }

  append(view: RequestView): void {
    const { response } = requestContextOf(view);
    if (response !== null) appendLatin1(this.#textOf(response));
  }
}

/** $upstream_http_X and $sent_http_X: all values of the field, as nginx joins them since 1.23. */
class FieldOfResponse implements KeyPart {
  readonly #name: string;
  readonly #isSent: boolean;

  constructor(name: string, isSent: boolean) {
    this.#name = name.replaceAll('_', '-');
    this.#isSent = isSent;
  }

  append(view: RequestView): void {
    const { response } = requestContextOf(view);
    if (response === null) return;
    const values = this.#isSent
      ? response.sentFieldValues(this.#name)
      : response.upstreamFieldValues(this.#name);
    for (const [index, value] of values.entries()) {
      if (index > 0) appendBytes(COMMA_SPACE);
      appendBytes(value);
    }
  }
}

/** $expires_in_N: the date of HTTP (RFC 9110 §5.6.7) in N seconds. */
class Expiry implements KeyPart {
  readonly #ms: number;

  constructor(seconds: number) {
    this.#ms = seconds * 1000;
  }

  append(view: RequestView): void {
    const { surroundings } = requestContextOf(view);
    appendLatin1(new Date(surroundings.timeMs() + this.#ms).toUTCString());
  }
}

/** The variable of a date, $expires_in_3600 or ${expires_in_-1}; undefined for another name. */
export function expiryVariable(name: string): KeyPart | undefined {
  const seconds = /^expires_in_(-?\d{1,10})$/.exec(name)?.[1];
  return seconds === undefined ? undefined : new Expiry(Number(seconds));
}

/** Variables that are a name alone, of a response. */
export const RESPONSE_VARIABLES: ReadonlyMap<string, () => KeyPart> = new Map([
  ['status', () => new OfResponse(({ status }) => String(status).padStart(3, '0'))],
  ['upstream_status', () => new OfResponse(({ upstreamStatus }) => upstreamStatus)],
  ['upstream_addr', () => new OfResponse(({ upstreamAddress }) => upstreamAddress)],
]);

/** Variables of a response with a name of the user's after a prefix. */
export const RESPONSE_PREFIXES: ReadonlyMap<string, (name: string) => KeyPart> = new Map([
  ['upstream_http_', (name: string): KeyPart => new FieldOfResponse(name, false)],
  ['sent_http_', (name: string): KeyPart => new FieldOfResponse(name, true)],
]);

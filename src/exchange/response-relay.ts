// A response on its way to the client: its head, rewritten, and its body in a framing that the client understands. It
// counts what it writes and decides nothing about the exchange. Sources: RFC 9110 §7.6, RFC 9112 §6-7.

import type { RequestView } from '../bytes.ts';
import { CHUNK_END, chunkHead, LAST_CHUNK, LAST_CHUNK_END } from '../http1/chunked.ts';
import type { FieldSection } from '../http1/fields.ts';
import { type ResponseRewrite, writeResponseHead } from '../http1/forward-response.ts';
import { BODY, type ResponseFraming } from '../http1/framing.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { writeLastChunk } from '../http1/trailers.ts';
import { contentInPlaceOf, type ErrorAnswers } from '../routing/error-answers.ts';
import type { AnswerContent } from '../routing/fixed-answer.ts';
import type { ResponseFields } from '../routing/response-fields.ts';
import type { Wire } from '../transport/wire.ts';
import type { Outcome } from './outcome.ts';

/** One response at a time, for the exchange that owns it; `reset` before each. Its methods return the bytes that they wrote. */
export class ResponseRelay {
  readonly #rewrite: ResponseRewrite = {
    minorVersion: 1,
    body: BODY.none,
    keepAlive: true,
    via: false,
    droppedFields: null,
    addedLines: '',
    dateLine: '',
  };

  #wire: Wire | null = null;
  #minorVersion = 1;
  #via = false;
  /** Fields that the route of the request adds to its responses; null = none. */
  #routeFields: ResponseFields | null = null;
  /** What the route answers in place of errors; null = nothing. */
  #errorAnswers: ErrorAnswers | null = null;

  /** A response is written to `wire` next. `minorVersion`: the client's. */
  reset(wire: Wire, minorVersion: number, via: boolean): void {
    this.#wire = wire;
    this.#minorVersion = minorVersion;
    this.#via = via;
    this.#routeFields = null;
    this.#errorAnswers = null;
    this.#rewrite.droppedFields = null;
    this.#rewrite.addedLines = '';
  }

  /** Refers to nothing of its client any more. */
  release(): void {
    this.#wire = null;
    this.#rewrite.droppedFields = null;
    this.#rewrite.addedLines = '';
  }

  /** Fields of the upstream's that do not pass; null = all do. */
  drop(fields: readonly Uint8Array[] | null): void {
    this.#rewrite.droppedFields = fields;
  }

  /** What the route of the request adds to its responses, and answers in place of errors. */
  addForRoute(fields: ResponseFields | null, errorAnswers: ErrorAnswers | null): void {
    this.#routeFields = fields;
    this.#errorAnswers = errorAnswers;
  }

  /**
   * What the route answers in place of an error of this status, at most once; null for nothing. `head` is the upstream's
   * where the error is its own.
   */
  replaceError(request: RequestView, status: number, head: ResponseHead | null): AnswerContent | null {
    const found = this.#errorAnswers?.get(status);
    if (found === undefined || (head !== null && !found.takesUpstreams)) return null;
    this.#errorAnswers = null;
    if (found.fields !== undefined) this.#routeFields = found.fields;
    // Without its challenge a 401 cannot be answered (RFC 9110 §15.5.2); nginx keeps it as well.
    if (head !== null && status === 401) {
      for (const value of head.fieldValues('www-authenticate'))
        this.#rewrite.addedLines += `WWW-Authenticate: ${Buffer.from(value).toString('latin1')}\r\n`;
    }
    return contentInPlaceOf(status, found, request);
  }

  /**
   * Changes what the route changes in a response of this status to `request`. `head` is the upstream's, null without one;
   * `outcome` knows which addresses were asked.
   */
  completeFields(request: RequestView, status: number, head: ResponseHead | null, outcome: Outcome): void {
    const fields = this.#routeFields;
    if (fields === null) return;
    this.#routeFields = null;
    const { dropped, lines } = fields.changesFor(request, {
      status,
      head,
      failedStatus: outcome.replacedStatus,
      asked: outcome.asked,
    });
    if (dropped.length > 0)
      this.#rewrite.droppedFields = [...(this.#rewrite.droppedFields ?? []), ...dropped];
    this.#rewrite.addedLines += lines;
  }

  /** Lines for the head, each with its CRLF. */
  add(lines: string): void {
    this.#rewrite.addedLines += lines;
  }

  get addedLines(): string {
    return this.#rewrite.addedLines;
  }

  /** The client was told that its connection is kept. */
  get keepAlive(): boolean {
    return this.#rewrite.keepAlive;
  }

  /** Nothing but the end of the connection tells the client that it has all of the body. */
  get endsWithConnection(): boolean {
    return this.#rewrite.body === BODY.close;
  }

  /** Writes a head that no body follows: an interim one, or that of a tunnel. */
  writeInterim(head: ResponseHead, framing: ResponseFraming, headEnd: number): number {
    this.#rewrite.minorVersion = 1;
    this.#rewrite.via = this.#via;
    return this.#writeHead(head, framing, headEnd);
  }

  /** Writes the final head. `mayKeepAlive`: as far as the request and the listener go. */
  writeFinal(
    head: ResponseHead,
    framing: ResponseFraming,
    headEnd: number,
    mayKeepAlive: boolean,
    dateLine: string,
  ): number {
    const rewrite = this.#rewrite;
    const minorVersion = this.#minorVersion;
    let { body } = framing;
    if (body === BODY.chunked || body === BODY.close) body = minorVersion === 1 ? BODY.chunked : BODY.close;
    rewrite.minorVersion = minorVersion;
    rewrite.body = body;
    rewrite.keepAlive = mayKeepAlive && body !== BODY.close;
    rewrite.via = this.#via;
    rewrite.dateLine = dateLine;
    return this.#writeHead(head, framing, headEnd);
  }

  /** Writes body bytes; they are only valid during the call. `isLast`: the body ends with them, without trailers. */
  writeBody(bytes: Buffer, from: number, to: number, isLast: boolean): number {
    const wire = this.#wire!;
    if (this.#rewrite.body !== BODY.chunked) {
      wire.write(bytes, from, to, true);
      return to - from;
    }
    const size = chunkHead(to - from);
    const after = isLast ? LAST_CHUNK_END : CHUNK_END;
    if (isLast) this.#rewrite.body = BODY.none;
    wire.gather().text(size);
    wire.write(bytes, from, to, true, after);
    return to - from + size.length + after.length;
  }

  /** Writes the end of a chunked body with its trailers, where the client's framing has room for them. */
  writeTrailers(trailers: FieldSection, framing: ResponseFraming): number {
    if (this.#rewrite.body !== BODY.chunked) return 0;
    const out = this.#wire!.gather();
    const before = out.length;
    writeLastChunk(out, trailers, framing, this.#rewrite.droppedFields);
    this.#rewrite.body = BODY.none;
    return out.length - before;
  }

  /** Writes what ends a body that has none of its own. */
  writeEnd(): number {
    if (this.#rewrite.body !== BODY.chunked) return 0;
    this.#wire!.gather().text(LAST_CHUNK);
    return LAST_CHUNK.length;
  }

  #writeHead(head: ResponseHead, framing: ResponseFraming, headEnd: number): number {
    const out = this.#wire!.gather();
    const before = out.length;
    writeResponseHead(out, head, framing, headEnd, this.#rewrite);
    return out.length - before;
  }
}

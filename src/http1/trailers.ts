// Reads the trailer section of a chunked body, and writes those trailers that may pass after the last chunk.
// Sources: RFC 9112 §7.1.2, RFC 9110 §6.5.

import { foldedName, isForwardedField, isOneOf, isSplitterField } from './field-names.ts';
import { FIELD, FieldSection } from './fields.ts';
import type { RequestFraming, ResponseFraming } from './framing.ts';
import type { Output } from './output.ts';

/** The trailer section of a chunked body (RFC 9112 §7.1.2). The decoder of that body owns it and resets it with itself. */
export class TrailerSection extends FieldSection {
  reset(): void {
    this.count = 0;
    this.fault = null;
    this.releaseRoom();
  }

  /** Parses a whole section at `from`. Returns the position after its empty line, INCOMPLETE or REFUSED. */
  parse(bytes: Buffer, from: number, to: number): number {
    this.bytes = bytes;
    this.count = 0;
    this.fault = null;
    this.position = from;
    const end = this.parseFields(bytes, from, to, 'BAD_CHUNK', 'BAD_CHUNK');
    return end >= 0 && this.#framesAgain() ? this.refuse('BAD_CHUNK', 'trailer') : end;
  }

  /**
   * True for a trailer that frames, routes or switches. Dropping it would protect the receiver, but no honest sender writes
   * one (RFC 9110 §6.5.1), and readers that merge trailers, llhttp among them, let it change the connection.
   */
  #framesAgain(): boolean {
    for (let i = 0; i < this.count; i++) {
      switch (this.ids[i]) {
        case FIELD.transferEncoding:
        case FIELD.contentLength:
        case FIELD.connection:
        case FIELD.upgrade:
        case FIELD.host:
          this.lineStart = this.at[i * 4]!;
          this.readTo = this.at[i * 4 + 1]!;
          return true;
      }
    }
    return false;
  }
}

/**
 * Fields that must not arrive in a trailer section: framing, routing, authentication, payload (RFC 9110 §6.5.1).
 * Forwarded, X-Forwarded-* and the splitter's own fields are dropped as well, in any spelling that an application takes
 * for one of them.
 */
const NOT_IN_TRAILERS: Uint8Array[][] = [];
for (const name of [
  'age authorization cache-control connection content-encoding content-length content-range',
  'content-type cookie date expect expires host if-match if-modified-since if-none-match if-range',
  'if-unmodified-since keep-alive location max-forwards pragma proxy-authenticate proxy-authorization',
  'proxy-connection range retry-after set-cookie te trailer transfer-encoding upgrade vary via',
  'warning www-authenticate',
].flatMap((line) => line.split(' ')))
  NOT_IN_TRAILERS[name.length] = [...(NOT_IN_TRAILERS[name.length] ?? []), foldedName(name)];

function isTrailer(bytes: Buffer, start: number, end: number): boolean {
  const candidates = NOT_IN_TRAILERS[end - start];
  if (candidates !== undefined && isOneOf(candidates, bytes, start, end)) return false;
  return !isForwardedField(bytes, start, end) && !isSplitterField(bytes, start, end);
}

/**
 * Writes the last chunk and those trailers that may pass. None passes when Connection nominated a field: a nominated
 * trailer belongs to this hop (RFC 9110 §7.6.1), and the bytes of the head that named it may be gone by now.
 */
export function writeLastChunk(
  out: Output,
  trailers: FieldSection,
  framing: RequestFraming | ResponseFraming,
  droppedFields: readonly Uint8Array[] | null = null,
): void {
  out.text('0\r\n');
  const { bytes, at } = trailers;
  const count = framing.nominated.length > 0 ? 0 : trailers.count;
  for (let i = 0; i < count; i++) {
    const nameStart = at[i * 4]!;
    const nameEnd = at[i * 4 + 1]!;
    if (!isTrailer(bytes, nameStart, nameEnd)) continue;
    if (droppedFields !== null && isOneOf(droppedFields, bytes, nameStart, nameEnd)) continue;
    out.copy(bytes, nameStart, nameEnd);
    out.text(': ');
    out.copy(bytes, at[i * 4 + 2]!, at[i * 4 + 3]!);
    out.text('\r\n');
  }
  out.text('\r\n');
}

// Reads the head of an HTTP/1.x message: a start line and then field lines, whole or in pieces.
// What a start line looks like is in request-head.ts and response-head.ts. It knows nothing of sockets.
// Sources: RFC 9112 §2 and §5.

import { EMPTY, LF } from '../bytes.ts';
import type { FaultCode } from '../errors.ts';
import { FieldSection, INCOMPLETE } from './fields.ts';

/**
 * Reads a start line and then field lines: the frame that request heads and response heads share. It may be called again
 * and again while a head arrives; `reset` it before each message.
 */
export abstract class Head extends FieldSection {
  /** Where the head starts. */
  start = 0;
  /** HTTP minor version: 0 or 1. */
  minorVersion = 1;
  /** Where the field lines start. */
  fieldsStart = 0;
  #scanned = 0;
  #inFields = false;

  reset(): void {
    this.count = 0;
    this.fault = null;
    this.#inFields = false;
    this.#scanned = -1;
  }

  /** Lets go of the bytes: between two messages a connection keeps nothing of the last one. */
  release(): void {
    this.bytes = EMPTY;
    this.releaseRoom();
    this.reset();
  }

  /**
   * Parses the head that starts at `from`. After INCOMPLETE call it again with the same bytes and those that followed; they
   * may have moved to another buffer. Returns the position after the head, INCOMPLETE, or REFUSED with `fault` set.
   */
  parse(bytes: Buffer, from: number, to: number): number {
    this.bytes = bytes;
    if (this.#scanned === -1) {
      this.start = from;
      this.position = from;
    } else {
      if (from !== this.start) this.#moveTo(from);
      // A head that arrives byte by byte is parsed again only when a line has ended, or is too long.
      const lineEnd = bytes.indexOf(LF, from + this.#scanned);
      const isTooLong = this.#inFields
        ? to - this.fieldsStart > this.limits.fieldsBytesMax
        : to - from > this.limits.lineBytesMax;
      if ((lineEnd === -1 || lineEnd >= to) && !isTooLong) {
        this.#scanned = to - from;
        return INCOMPLETE;
      }
    }
    if (!this.#inFields) {
      const lineEnd = this.parseStartLine(bytes, this.position, to);
      if (lineEnd < 0) {
        if (lineEnd === INCOMPLETE) this.#scanned = to - from;
        return lineEnd;
      }
      this.fieldsStart = lineEnd;
      this.position = lineEnd;
      this.#inFields = true;
    }
    const end = this.parseFields(bytes, this.fieldsStart, to, this.badField, this.tooLarge);
    if (end === INCOMPLETE) this.#scanned = to - from;
    return end;
  }

  protected abstract readonly badField: FaultCode;
  protected abstract readonly tooLarge: FaultCode;
  protected abstract parseStartLine(bytes: Buffer, from: number, to: number): number;

  #moveTo(from: number): void {
    const delta = from - this.start;
    this.start = from;
    this.shiftFields(delta);
    if (this.#inFields) this.moveStartLine(delta);
  }

  protected moveStartLine(delta: number): void {
    this.fieldsStart += delta;
  }
}

const VERSION_PATTERN = Buffer.from('HTTP/0.0\r\n');

/** True when bytes[start, to) is a prefix of "HTTP/DIGIT.DIGIT" CRLF. */
export function isVersionPrefix(bytes: Buffer, start: number, to: number): boolean {
  for (let i = 0; i < VERSION_PATTERN.length && start + i < to; i++) {
    const byte = bytes[start + i]!;
    if (i === 5 || i === 7 ? byte < 48 || byte > 57 : byte !== VERSION_PATTERN[i]) return false;
  }
  return true;
}

// Reads field lines strictly, as positions into the received bytes, up to the empty line after them.
// It decides what is well formed; framing.ts decides what a field means. Sources: RFC 9110 §5, RFC 9112 §5.
//
// A line is parsed in one pass and only when it is complete; a section that arrives in pieces continues at the start of
// its last incomplete line, so every cut of the same bytes gives the same result.

import { type ByteRange, COLON, CR, EMPTY, equalsIgnoringCase, HT, LF, LOWER, SP, TOKEN } from '../bytes.ts';
import type { FaultCode } from '../errors.ts';
import { describeBreach, type Rule } from './rules.ts';

/** The limits of one head. */
export interface HeadLimits {
  /** Longest start line, its CRLF included. */
  readonly lineBytesMax: number;
  /** Largest field section, its empty line included. */
  readonly fieldsBytesMax: number;
  /** Most field lines in one section. */
  readonly fieldsMax: number;
}

/** The defaults. */
export const HEAD_LIMITS: HeadLimits = { lineBytesMax: 8192, fieldsBytesMax: 32_768, fieldsMax: 100 };

/** Field lines for which every section has room. */
const FIELDS_AT_FIRST = 100;

/** The head is not complete: keep the bytes and parse again, from the same start, when more have come. */
export const INCOMPLETE = -1;
/** The head is refused; `fault` says why. */
export const REFUSED = -2;

/** Fields that the data plane has to know by name; all others are `other`. */
export const FIELD = {
  other: 0,
  host: 1,
  connection: 2,
  keepAlive: 3,
  proxyConnection: 4,
  te: 5,
  trailer: 6,
  transferEncoding: 7,
  upgrade: 8,
  contentLength: 9,
  expect: 10,
  forwardedFor: 11,
  forwardedProto: 12,
  forwardedHost: 13,
  via: 14,
  date: 15,
  maxForwards: 16,
} as const;

/** field-vchar, SP, HTAB and obs-text: what a field value or a reason phrase may hold (RFC 9110 §5.5). */
export const VALUE_BYTE = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte === HT || (byte >= SP && byte !== 0x7f) ? 1 : 0,
);

/** Names of FIELD by their length, so that length and first byte exclude almost every other field. */
const KNOWN_BY_LENGTH: (readonly { name: Uint8Array; id: number }[])[] = [];
for (const [name, id] of [
  ['host', FIELD.host],
  ['connection', FIELD.connection],
  ['keep-alive', FIELD.keepAlive],
  ['proxy-connection', FIELD.proxyConnection],
  ['te', FIELD.te],
  ['trailer', FIELD.trailer],
  ['transfer-encoding', FIELD.transferEncoding],
  ['upgrade', FIELD.upgrade],
  ['content-length', FIELD.contentLength],
  ['expect', FIELD.expect],
  ['x-forwarded-for', FIELD.forwardedFor],
  ['x-forwarded-proto', FIELD.forwardedProto],
  ['x-forwarded-host', FIELD.forwardedHost],
  ['via', FIELD.via],
  ['date', FIELD.date],
  ['max-forwards', FIELD.maxForwards],
] as const) {
  KNOWN_BY_LENGTH[name.length] = [...(KNOWN_BY_LENGTH[name.length] ?? []), { name: Buffer.from(name), id }];
}

function identify(bytes: Uint8Array, start: number, end: number): number {
  const candidates = KNOWN_BY_LENGTH[end - start];
  if (candidates === undefined) return FIELD.other;
  const first = LOWER[bytes[start]!];
  for (let i = 0; i < candidates.length; i++) {
    const { name, id } = candidates[i]!;
    if (name[0] === first && equalsIgnoringCase(bytes, start, end, name)) return id;
  }
  return FIELD.other;
}

/**
 * Field lines as positions into the received bytes: what request heads, response heads and trailer sections share. A parser
 * owns one for its connection and reads message after message with it; the positions hold until the next one.
 */
export class FieldSection {
  /** The bytes that every position indexes into. */
  bytes: Buffer = EMPTY;
  /** Number of field lines. */
  count = 0;
  /** FIELD id of each line. */
  ids = new Uint8Array(FIELDS_AT_FIRST);
  /** Four positions a line: start and end of the name, start and end of the value without its white space. */
  at = new Int32Array(FIELDS_AT_FIRST * 4);
  /** Why the section was refused. */
  fault: FaultCode | null = null;
  /** Which rule was broken, and where, once `fault` is set. */
  rule: Rule = 'field';
  lineStart = 0;
  badAt = 0;
  readTo = 0;
  /** Change them only between two messages. */
  limits: HeadLimits = HEAD_LIMITS;

  /** Where the line that is parsed next starts. */
  protected position = 0;
  /**
   * Reads what a proxy has to repair in a response and has to refuse in a request: white space before a colon, and folded
   * lines (RFC 9112 §5.1, §5.2).
   */
  readonly #repairs: boolean;

  constructor(repairs: boolean) {
    this.#repairs = repairs;
  }

  /**
   * Parses field lines from `position` up to and including the empty line.
   * Returns the position after it, INCOMPLETE or REFUSED. Sizes are counted from `sectionStart`.
   */
  protected parseFields(
    bytes: Buffer,
    sectionStart: number,
    to: number,
    badField: FaultCode,
    tooLarge: FaultCode,
  ): number {
    let { at, ids } = this;
    const { fieldsBytesMax, fieldsMax } = this.limits;
    let position = this.position;
    for (;;) {
      const lineStart = position;
      if (position >= to) break;
      if (bytes[position] === CR) {
        if (position + 1 >= to) break;
        if (bytes[position + 1] !== LF)
          return this.#refuseField(position + 1, to, sectionStart, badField, tooLarge);
        if (position + 2 - sectionStart > fieldsBytesMax) return this.refuse(tooLarge, 'fieldBytes');
        this.position = position + 2;
        return position + 2;
      }
      while (position < to && TOKEN[bytes[position]!] === 1) position++;
      if (position === to) break;
      const nameEnd = position;
      let isFold = false;
      if (bytes[position] !== COLON || position === lineStart) {
        if (this.#repairs) {
          isFold = position === lineStart && this.count > 0;
          while (position < to && (bytes[position] === SP || bytes[position] === HT)) position++;
          if (position === to) break;
        }
        if (isFold ? position === lineStart : bytes[position] !== COLON || nameEnd === lineStart) {
          this.#refuseField(position, to, sectionStart, badField, tooLarge);
          this.badAt = nameEnd;
          return REFUSED;
        }
      }
      if (!isFold) position++;
      while (position < to && (bytes[position] === SP || bytes[position] === HT)) position++;
      const valueStart = position;
      while (position < to && VALUE_BYTE[bytes[position]!] === 1) position++;
      if (position === to) break;
      if (bytes[position] !== CR) return this.#refuseField(position, to, sectionStart, badField, tooLarge);
      if (position + 1 === to) break;
      if (bytes[position + 1] !== LF)
        return this.#refuseField(position + 1, to, sectionStart, badField, tooLarge);
      let valueEnd = position;
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HT)) valueEnd--;
      position += 2;
      if (position - sectionStart > fieldsBytesMax) return this.refuse(tooLarge, 'fieldBytes');
      if (isFold) this.#unfold(bytes, lineStart, valueStart, valueEnd);
      else {
        if (this.count === fieldsMax) return this.refuse(tooLarge, 'fieldCount');
        if (this.count === ids.length) {
          this.#makeRoom(fieldsMax);
          ({ at, ids } = this);
        }
        const i = this.count++;
        ids[i] = identify(bytes, lineStart, nameEnd);
        at[i * 4] = lineStart;
        at[i * 4 + 1] = nameEnd;
        at[i * 4 + 2] = valueStart;
        at[i * 4 + 3] = valueEnd;
      }
      this.position = position;
    }
    if (to - sectionStart > fieldsBytesMax) return this.refuse(tooLarge, 'fieldBytes');
    return INCOMPLETE;
  }

  /** Adds the line at `lineStart` to the value of the field before it; spaces replace the fold (RFC 9112 §5.2). */
  #unfold(bytes: Buffer, lineStart: number, textStart: number, textEnd: number): void {
    const last = (this.count - 1) * 4;
    // The fold is the white space at the end of the value, the line end and the white space after it.
    let foldStart = lineStart - 2;
    while (bytes[foldStart - 1] === SP || bytes[foldStart - 1] === HT) foldStart--;
    bytes.fill(SP, foldStart, textStart);
    if (textStart === textEnd) return;
    if (this.at[last + 2] === this.at[last + 3]) this.at[last + 2] = textStart;
    this.at[last + 3] = textEnd;
  }

  #makeRoom(fieldsMax: number): void {
    const room = Math.min(fieldsMax, this.ids.length * 4);
    const ids = new Uint8Array(room);
    ids.set(this.ids);
    this.ids = ids;
    const at = new Int32Array(room * 4);
    at.set(this.at);
    this.at = at;
  }

  /** Frees the room that an unusual number of fields took. */
  protected releaseRoom(): void {
    if (this.ids.length === FIELDS_AT_FIRST) return;
    this.ids = new Uint8Array(FIELDS_AT_FIRST);
    this.at = new Int32Array(FIELDS_AT_FIRST * 4);
  }

  /** A bad byte after the limit does not count: a section that arrives in pieces is refused as too large before it. */
  #refuseField(
    badAt: number,
    to: number,
    sectionStart: number,
    badField: FaultCode,
    tooLarge: FaultCode,
  ): number {
    if (badAt - sectionStart > this.limits.fieldsBytesMax) return this.refuse(tooLarge, 'fieldBytes');
    this.lineStart = this.position;
    this.readTo = to;
    return this.refuse(badField, 'field', badAt);
  }

  protected refuse(fault: FaultCode, rule: Rule, badAt = 0): number {
    this.fault = fault;
    this.rule = rule;
    this.badAt = badAt;
    return REFUSED;
  }

  /** Where the name of the last complete field line is; an empty range if there is none. */
  get lastNameStart(): number {
    return this.count === 0 ? 0 : this.at[(this.count - 1) * 4]!;
  }
  get lastNameEnd(): number {
    return this.count === 0 ? 0 : this.at[(this.count - 1) * 4 + 1]!;
  }

  /** Why the section was refused, as text. Call it while the bytes are still there. */
  describeFault(): string {
    return describeBreach(this);
  }

  /** Values of the fields with this lower-case name, in order of arrival; empty when there is none. */
  fieldValues(name: string): readonly Uint8Array[] {
    const lowerName = Buffer.from(name, 'latin1');
    const values: Uint8Array[] = [];
    for (let i = 0; i < this.count; i++) {
      if (equalsIgnoringCase(this.bytes, this.at[i * 4]!, this.at[i * 4 + 1]!, lowerName)) {
        values.push(this.bytes.subarray(this.at[i * 4 + 2], this.at[i * 4 + 3]));
      }
    }
    return values;
  }

  /** How many fields have this lower-case name; sets `into` to the value of the first one, or to no bytes. */
  locateField(name: Uint8Array, into: ByteRange): number {
    const { bytes, at } = this;
    let found = 0;
    into.set(bytes, 0, 0);
    for (let i = 0; i < this.count * 4; i += 4) {
      if (!equalsIgnoringCase(bytes, at[i]!, at[i + 1]!, name)) continue;
      if (found++ === 0) into.set(bytes, at[i + 2]!, at[i + 3]!);
    }
    return found;
  }

  /** Moves all positions by `delta`, after the bytes were copied elsewhere. */
  protected shiftFields(delta: number): void {
    this.position += delta;
    for (let i = 0; i < this.count * 4; i++) this.at[i]! += delta;
  }
}

// Reads the head of an HTTP/1.x message, strictly: the start line and the field lines, as positions into the bytes
// that were received. It decides what is well formed; what a field means for framing is framing.ts.
// It knows nothing of sockets. Sources: RFC 9112 §2-5, RFC 9110 §5.
//
// A line is parsed in one pass and only when it is there in full; a head that arrives in pieces continues at the
// start of its last incomplete line, so every cut of the same bytes gives the same result.

import {
  ASTERISK,
  byteTable,
  COLON,
  CR,
  DOT,
  EMPTY,
  equalsIgnoringCase,
  HT,
  LF,
  LOWER,
  QUESTION,
  SLASH,
  SP,
  TOKEN,
} from '../bytes.ts';
import type { FaultCode } from '../errors.ts';
import { describeBreach, type Rule } from './rules.ts';

/** What a head may be at most. */
export interface HeadLimits {
  /** Longest start line, its CRLF included. */
  readonly lineBytesMax: number;
  /** Largest field section, its empty line included. */
  readonly fieldsBytesMax: number;
  /** Most field lines in one section. */
  readonly fieldsMax: number;
}

/** The limits where no configuration says otherwise. */
export const HEAD_LIMITS: HeadLimits = { lineBytesMax: 8192, fieldsBytesMax: 32_768, fieldsMax: 100 };

/** The limits of requests by the names that a configuration has for them. */
export function requestLimits(limits: {
  readonly requestLine: number;
  readonly requestHead: number;
  readonly requestFields: number;
}): HeadLimits {
  return {
    lineBytesMax: limits.requestLine,
    fieldsBytesMax: limits.requestHead,
    fieldsMax: limits.requestFields,
  };
}

/** The limits of responses by the names that an upstream's configuration has for them. */
export function responseLimits(limits: {
  readonly responseHead: number;
  readonly responseFields: number;
}): HeadLimits {
  return { ...HEAD_LIMITS, fieldsBytesMax: limits.responseHead, fieldsMax: limits.responseFields };
}

/** Field lines that a section has room for from the start. */
const FIELDS_AT_FIRST = 100;

/** The head is not complete: keep the bytes and parse again, from the same start, when more have come. */
export const INCOMPLETE = -1;
/** The head is refused; `fault` says why. */
export const REFUSED = -2;

/** Fields that the data plane has to know by name; everything else is `other`. */
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
const TEXT = new Uint8Array(256);
/** What a request target may hold: visible ASCII but "#" and obs-text. A fragment is never sent (RFC 9112 §3.2). */
const TARGET = new Uint8Array(256);
for (let byte = 0x21; byte < 256; byte++) {
  if (byte === 0x7f) continue;
  TEXT[byte] = 1;
  if (byte !== 0x23) TARGET[byte] = 1;
}
TEXT[SP] = 1;
TEXT[HT] = 1;
/** Names of FIELD by their length, so that one length and one first byte rule almost every field out. */
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

/** Field lines as positions; what request heads, response heads and trailer sections share. */
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
  /** Change it between two messages only. */
  limits: HeadLimits = HEAD_LIMITS;

  /** Where the line that is parsed next starts. */
  protected position = 0;
  /**
   * Reads what a proxy has to mend in a response and has to refuse in a request: white space in front of a colon, and
   * folded lines (RFC 9112 §5.1, §5.2).
   */
  readonly #mends: boolean;

  constructor(mends: boolean) {
    this.#mends = mends;
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
        if (this.#mends) {
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
      while (position < to && TEXT[bytes[position]!] === 1) position++;
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

  /** Adds the line at `lineStart` to the value of the field before it; spaces take the place of the fold (RFC 9112 §5.2). */
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

  /** Gives back the room that an unusual number of fields took. */
  protected releaseRoom(): void {
    if (this.ids.length === FIELDS_AT_FIRST) return;
    this.ids = new Uint8Array(FIELDS_AT_FIRST);
    this.at = new Int32Array(FIELDS_AT_FIRST * 4);
  }

  /** A bad byte behind the limit counts for nothing: read in pieces, the section was refused as too large before. */
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

  /** Where the name of the last whole field line is; an empty range when there is none. */
  get lastNameStart(): number {
    return this.count === 0 ? 0 : this.at[(this.count - 1) * 4]!;
  }
  get lastNameEnd(): number {
    return this.count === 0 ? 0 : this.at[(this.count - 1) * 4 + 1]!;
  }

  /** Why it was refused, as text. To be called while the bytes are there. */
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

  /** Moves all positions by `delta`: the bytes were copied elsewhere. */
  protected shiftFields(delta: number): void {
    this.position += delta;
    for (let i = 0; i < this.count * 4; i++) this.at[i]! += delta;
  }
}

/** A start line is read first, then the field lines: the frame that requests and responses share. */
abstract class Head extends FieldSection {
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

  /** Lets go of the bytes: between two messages nothing of the last one is held. */
  release(): void {
    this.bytes = EMPTY;
    this.releaseRoom();
    this.reset();
  }

  /**
   * Parses the head that starts at `from`. Call again with the same `from` bytes in front (they may have moved to
   * another buffer) after INCOMPLETE. Returns the position behind the head, INCOMPLETE, or REFUSED with `fault` set.
   */
  parse(bytes: Buffer, from: number, to: number): number {
    this.bytes = bytes;
    if (this.#scanned === -1) {
      this.start = from;
      this.position = from;
    } else {
      if (from !== this.start) this.#moveTo(from);
      // A head that drips in byte by byte is not parsed again for each byte: only when a line has ended, or is too long.
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

/** How a request names its target (RFC 9112 §3.2). */
export const TARGET_FORM = { origin: 0, absolute: 1, asterisk: 2 } as const;

/** The head of a request. Reusable: `reset` before each message. */
export class RequestHead extends Head {
  methodStart = 0;
  methodEnd = 0;
  /** Path and query; of an absolute-form without its scheme and authority. "*" for the asterisk-form. */
  targetStart = 0;
  targetEnd = 0;
  targetForm: number = TARGET_FORM.origin;
  /** Authority of an absolute-form; an empty range for other forms. */
  authorityStart = 0;
  authorityEnd = 0;
  /** Where the Host field's value is; an empty range when there is none. Set by framing.ts. */
  hostStart = 0;
  hostEnd = 0;
  /** Client address as text; set by whoever reads the socket. */
  remoteAddress = '';

  protected readonly badField = 'BAD_FIELD';
  protected readonly tooLarge = 'HEAD_TOO_LARGE';

  constructor() {
    super(false);
  }

  override describeFault(): string {
    const { lineBytesMax, fieldsBytesMax, fieldsMax } = this.limits;
    switch (this.rule) {
      case 'lineBytes':
        return `the request line is longer than limits.requestLine (${lineBytesMax} bytes)`;
      case 'fieldBytes':
        return `the fields take more bytes than limits.requestHead (${fieldsBytesMax} bytes)`;
      case 'fieldCount':
        return `there are more fields than limits.requestFields (${fieldsMax})`;
      default:
        return super.describeFault();
    }
  }

  /** $host of nginx: the authority of an absolute-form, else the Host field, in lower case, without port and last dot. */
  host(): Uint8Array {
    const absolute = this.authorityEnd > this.authorityStart;
    const start = absolute ? this.authorityStart : this.hostStart;
    let end = absolute ? this.authorityEnd : this.hostEnd;
    for (let i = end - 1; i >= start; i--) {
      const byte = this.bytes[i]!;
      if (byte === COLON) {
        end = i;
        break;
      }
      if (byte < 48 || byte > 57) break;
    }
    // "h." is "h" said in full (RFC 3986 §3.2.2): neither a key nor a route may tell them apart.
    if (end - start > 1 && this.bytes[end - 1] === DOT) end--;
    const host = Buffer.from(this.bytes.subarray(start, end));
    for (let i = 0; i < host.length; i++) host[i] = LOWER[host[i]!]!;
    return host;
  }

  protected override parseStartLine(bytes: Buffer, from: number, to: number): number {
    const { lineBytesMax } = this.limits;
    let position = from;
    // RFC 9112 §2.2: one empty line in front of a request is forgiven; old clients send it after a POST.
    if (position < to && bytes[position] === CR) {
      if (position + 1 === to) return INCOMPLETE;
      if (bytes[position + 1] !== LF) return this.refuse('BAD_REQUEST_LINE', 'requestLineStart');
      position += 2;
    }
    const lineStart = position;
    while (position < to && TOKEN[bytes[position]!] === 1) position++;
    if (position === to) return this.#unfinished(position - lineStart);
    if (position - lineStart > lineBytesMax) return this.refuse('TARGET_TOO_LONG', 'lineBytes');
    if (bytes[position] !== SP || position === lineStart) {
      const isTls = position === lineStart && bytes[position] === 0x16;
      const rule = isTls ? 'tls' : bytes[position] === SP ? 'noMethod' : 'methodByte';
      return this.refuse('BAD_REQUEST_LINE', rule, position);
    }
    const methodEnd = position++;
    const targetStart = position;
    while (position < to && TARGET[bytes[position]!] === 1) position++;
    if (position === to) return this.#unfinished(position - lineStart);
    if (position - lineStart > lineBytesMax) return this.refuse('TARGET_TOO_LONG', 'lineBytes');
    if (bytes[position] !== SP) {
      if (position === targetStart) return this.refuse('BAD_REQUEST_LINE', 'noTarget');
      const lineEnds = bytes[position] === CR || bytes[position] === LF;
      if (lineEnds) return this.refuse('BAD_REQUEST_LINE', 'noVersion');
      return this.refuse('BAD_TARGET', 'targetByte', position);
    }
    if (position === targetStart) return this.refuse('BAD_REQUEST_LINE', 'noTarget');
    const targetEnd = position++;
    const versionEnd = position + 8;
    // Before anything is said of the version: a line that comes in pieces is refused as too long without its end.
    if (versionEnd + 2 - lineStart > lineBytesMax) return this.refuse('TARGET_TOO_LONG', 'lineBytes');
    if (versionEnd + 2 > to) {
      const incomplete = !isVersionPrefix(bytes, position, to);
      return incomplete ? this.#refuseVersion(bytes, position, to) : this.#unfinished(to - lineStart);
    }
    const major = bytes[position + 5]! - 48;
    const minor = bytes[position + 7]! - 48;
    if (!isVersionPrefix(bytes, position, versionEnd + 2)) return this.#refuseVersion(bytes, position, to);
    if (major !== 1 || minor > 1) return this.refuse('VERSION_UNSUPPORTED', 'version');
    this.minorVersion = minor;
    this.methodStart = lineStart;
    this.methodEnd = methodEnd;
    this.authorityStart = 0;
    this.authorityEnd = 0;
    const fault = this.#readTarget(bytes, targetStart, targetEnd);
    return fault === null ? versionEnd + 2 : this.refuse(fault, this.rule);
  }

  #refuseVersion(bytes: Buffer, start: number, to: number): number {
    const lineEnd = start + 8;
    const isVersion = to > lineEnd && isVersionPrefix(bytes, start, lineEnd);
    const rule = !isVersion ? 'versionForm' : bytes[lineEnd] === LF ? 'requestLineLf' : 'requestLineEnd';
    return this.refuse('BAD_REQUEST_LINE', rule);
  }

  #unfinished(lineBytes: number): number {
    return lineBytes > this.limits.lineBytesMax ? this.refuse('TARGET_TOO_LONG', 'lineBytes') : INCOMPLETE;
  }

  #readTarget(bytes: Buffer, start: number, end: number): FaultCode | null {
    this.targetStart = start;
    this.targetEnd = end;
    if (equalsIgnoringCase(bytes, this.methodStart, this.methodEnd, CONNECT)) {
      this.rule = 'connect';
      return 'CONNECT_REFUSED';
    }
    if (bytes[start] === SLASH) {
      this.targetForm = TARGET_FORM.origin;
      return null;
    }
    if (end - start === 1 && bytes[start] === ASTERISK) {
      this.targetForm = TARGET_FORM.asterisk;
      if (this.#isOptions(bytes)) return null;
      this.rule = 'asterisk';
      return 'BAD_TARGET';
    }
    return this.#readAbsoluteForm(bytes, start, end);
  }

  #isOptions(bytes: Buffer): boolean {
    const { methodStart, methodEnd } = this;
    return methodEnd - methodStart === 7 && bytes.compare(OPTIONS, 0, 7, methodStart, methodEnd) === 0;
  }

  #readAbsoluteForm(bytes: Buffer, start: number, end: number): FaultCode | null {
    let authorityStart = 0;
    if (equalsIgnoringCase(bytes, start, Math.min(end, start + HTTP.length), HTTP))
      authorityStart = start + HTTP.length;
    else if (equalsIgnoringCase(bytes, start, Math.min(end, start + HTTPS.length), HTTPS)) {
      authorityStart = start + HTTPS.length;
    } else {
      this.rule = 'targetForm';
      return 'BAD_TARGET';
    }
    let authorityEnd = authorityStart;
    while (authorityEnd < end && bytes[authorityEnd] !== SLASH && bytes[authorityEnd] !== QUESTION)
      authorityEnd++;
    if (!isAuthority(bytes, authorityStart, authorityEnd)) {
      this.rule = 'targetAuthority';
      return 'BAD_TARGET';
    }
    this.targetForm = TARGET_FORM.absolute;
    if (authorityEnd < end && bytes[authorityEnd] === SLASH) {
      this.targetStart = authorityEnd;
    } else {
      // "http://host?q" means "http://host/?q", and OPTIONS of a bare authority means "*" (RFC 9112 §3.2.4): the
      // authority moves one byte to the front, over the scheme's last "/", to make room.
      bytes.copyWithin(authorityStart - 1, authorityStart, authorityEnd);
      authorityStart--;
      authorityEnd--;
      const asksServer = authorityEnd + 1 === end && this.#isOptions(bytes);
      bytes[authorityEnd] = asksServer ? ASTERISK : SLASH;
      this.targetStart = authorityEnd;
    }
    this.authorityStart = authorityStart;
    this.authorityEnd = authorityEnd;
    return null;
  }

  protected override moveStartLine(delta: number): void {
    super.moveStartLine(delta);
    this.methodStart += delta;
    this.methodEnd += delta;
    this.targetStart += delta;
    this.targetEnd += delta;
    this.authorityStart += delta;
    this.authorityEnd += delta;
  }
}

const CONNECT = Buffer.from('connect');
const OPTIONS = Buffer.from('OPTIONS');
const HTTP = Buffer.from('http://');
const HTTPS = Buffer.from('https://');
const VERSION_PATTERN = Buffer.from('HTTP/0.0\r\n');

/** True when bytes[start, to) is a beginning of "HTTP/DIGIT.DIGIT" CRLF. */
function isVersionPrefix(bytes: Buffer, start: number, to: number): boolean {
  for (let i = 0; i < VERSION_PATTERN.length && start + i < to; i++) {
    const byte = bytes[start + i]!;
    if (i === 5 || i === 7 ? byte < 48 || byte > 57 : byte !== VERSION_PATTERN[i]) return false;
  }
  return true;
}

const HOST_BYTE = byteTable("-._~%!$&'()*+;=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
const IP_LITERAL_BYTE = byteTable('0123456789ABCDEFabcdef:.');

/** True for uri-host [":" port] (RFC 9110 §7.2) without user information; an empty one is none. */
export function isAuthority(bytes: Uint8Array, start: number, end: number): boolean {
  let position = start;
  if (bytes[position] === 91) {
    position++;
    while (position < end && IP_LITERAL_BYTE[bytes[position]!] === 1) position++;
    if (position >= end || bytes[position] !== 93 || position - start < 3) return false;
    position++;
  } else {
    while (position < end && HOST_BYTE[bytes[position]!] === 1) position++;
    if (position === start) return false;
  }
  if (position === end) return true;
  if (bytes[position] !== COLON || end - position > 6) return false;
  for (position++; position < end; position++) {
    if (bytes[position]! < 48 || bytes[position]! > 57) return false;
  }
  return true;
}

/** The head of a response. Reusable: `reset` before each message. */
export class ResponseHead extends Head {
  /** Status code, 100 to 999. */
  status = 0;
  /** From the status code to the end of the reason phrase. */
  statusStart = 0;
  reasonEnd = 0;

  protected readonly badField = 'UPSTREAM_BAD_RESPONSE';
  protected readonly tooLarge = 'UPSTREAM_HEAD_TOO_LARGE';

  constructor() {
    super(true);
  }

  override describeFault(): string {
    const { fieldsBytesMax, fieldsMax } = this.limits;
    switch (this.rule) {
      case 'fieldBytes':
        return `the fields take more bytes than the upstream's limits.responseHead (${fieldsBytesMax} bytes)`;
      case 'fieldCount':
        return `there are more fields than the upstream's limits.responseFields (${fieldsMax})`;
      default:
        return super.describeFault();
    }
  }

  protected override parseStartLine(bytes: Buffer, from: number, to: number): number {
    const statusStart = from + 9;
    const head = Math.min(to, statusStart - 1);
    if (!isVersionPrefix(bytes, from, head)) return this.refuse('UPSTREAM_BAD_RESPONSE', 'notHttp');
    if (statusStart + 3 >= to) {
      if (to >= statusStart && bytes[statusStart - 1] !== SP)
        return this.refuse('UPSTREAM_BAD_RESPONSE', 'statusCode');
      return INCOMPLETE;
    }
    if (bytes[from + 5] !== 49) return this.refuse('UPSTREAM_BAD_RESPONSE', 'responseVersion');
    if (bytes[statusStart - 1] !== SP) return this.refuse('UPSTREAM_BAD_RESPONSE', 'statusCode');
    let status = 0;
    for (let i = statusStart; i < statusStart + 3; i++) {
      const digit = bytes[i]! - 48;
      if (digit < 0 || digit > 9) return this.refuse('UPSTREAM_BAD_RESPONSE', 'statusCode');
      status = status * 10 + digit;
    }
    if (status < 100) return this.refuse('UPSTREAM_BAD_RESPONSE', 'statusCode');
    let position = statusStart + 3;
    // RFC 9112 §4 wants SP even before an empty reason phrase; servers that leave it out are common and unambiguous.
    if (bytes[position] !== SP && bytes[position] !== CR) return this.#refuseStatusLine(bytes, position);
    while (position < to && TEXT[bytes[position]!] === 1) position++;
    if (position - from > this.limits.lineBytesMax)
      return this.refuse('UPSTREAM_HEAD_TOO_LARGE', 'lineBytes');
    if (position + 1 >= to) {
      if (position < to && bytes[position] !== CR) return this.#refuseStatusLine(bytes, position);
      return INCOMPLETE;
    }
    if (bytes[position] !== CR || bytes[position + 1] !== LF) return this.#refuseStatusLine(bytes, position);
    // A higher minor version is read as the highest one that is known (RFC 9110 §2.5).
    this.minorVersion = bytes[from + 7] === 48 ? 0 : 1;
    this.status = status;
    this.statusStart = statusStart;
    this.reasonEnd = position;
    return position + 2;
  }

  #refuseStatusLine(bytes: Buffer, badAt: number): number {
    const byte = bytes[badAt];
    const rule = byte === LF ? 'statusLineLf' : byte === CR ? 'statusLineCr' : 'reasonByte';
    return this.refuse('UPSTREAM_BAD_RESPONSE', rule, badAt);
  }

  protected override moveStartLine(delta: number): void {
    super.moveStartLine(delta);
    this.statusStart += delta;
    this.reasonEnd += delta;
  }
}

/** The trailer section of a chunked body, as a section of its own (RFC 9112 §7.1.2). */
export class TrailerSection extends FieldSection {
  reset(): void {
    this.count = 0;
    this.fault = null;
    this.releaseRoom();
  }

  /** Parses a whole section at `from`. Returns the position behind its empty line, INCOMPLETE or REFUSED. */
  parse(bytes: Buffer, from: number, to: number): number {
    this.bytes = bytes;
    this.count = 0;
    this.fault = null;
    this.position = from;
    const end = this.parseFields(bytes, from, to, 'BAD_CHUNK', 'BAD_CHUNK');
    return end >= 0 && this.#framesAgain() ? this.refuse('BAD_CHUNK', 'trailer') : end;
  }

  /**
   * A trailer that frames, routes or switches. Leaving it out would do for whoever is behind us, but no honest sender
   * writes one (RFC 9110 §6.5.1), and readers that merge trailers, llhttp among them, let it change the connection.
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

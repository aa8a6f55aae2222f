// Reads the head of a request: method, target in any of its forms, version, fields.
// It decides what is well formed; framing.ts decides what a field means. Sources: RFC 9112 §3, RFC 9110 §7.1.

import {
  ASTERISK,
  COLON,
  CR,
  DOT,
  equalsIgnoringCase,
  HASH,
  HT,
  LF,
  LOWER,
  QUESTION,
  type RequestContext,
  SLASH,
  SP,
  type Surroundings,
  TOKEN,
} from '../bytes.ts';
import type { FaultCode } from '../errors.ts';
import { KeptValues, NO_SURROUNDINGS } from '../key/request-context.ts';
import { isAuthority } from './authority.ts';
import { type HeadLimits, INCOMPLETE, VALUE_BYTE } from './fields.ts';
import { Head, isVersionPrefix } from './head.ts';

/** The limits of request heads from the configuration's `limits`. */
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

/** What a request target may hold: visible ASCII but "#", and obs-text. A fragment is never sent (RFC 9112 §3.2). */
const TARGET_BYTE = Uint8Array.from(VALUE_BYTE, (isText, byte) =>
  byte === HT || byte === SP || byte === HASH ? 0 : isText,
);

const CONNECT = Buffer.from('connect');
const OPTIONS_METHOD = Buffer.from('OPTIONS');
const HTTP = Buffer.from('http://');
const HTTPS = Buffer.from('https://');
const EMPTY_LINE = '\r\n\r\n';

/** How a request names its target (RFC 9112 §3.2). */
export const TARGET_FORM = { origin: 0, absolute: 1, asterisk: 2 } as const;

/** The head of a request. A client connection or an exchange owns one and reuses it: `reset` it before each message. */
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
  /** Client address as text, set by the reader of the socket. */
  remoteAddress = '';
  /** When the request began, on the clock of `surroundings`; set by the exchange. */
  beganAtMs = 0;
  /** The connection and the process around the request; set by the reader of the socket. */
  surroundings: Surroundings = NO_SURROUNDINGS;
  /** What variables keep; null until one does. */
  #context: RequestContext | null = null;

  protected readonly badField = 'BAD_FIELD';
  protected readonly tooLarge = 'HEAD_TOO_LARGE';

  constructor() {
    super(false);
  }

  /** Heads are read of this client from now on, within these limits. */
  attach(client: Surroundings & { readonly remoteAddress: string }, limits: HeadLimits): void {
    this.remoteAddress = client.remoteAddress;
    this.limits = limits;
    this.surroundings = client;
    this.reset();
  }

  override reset(): void {
    super.reset();
    this.#context = null;
  }

  override release(): void {
    super.release();
    this.surroundings = NO_SURROUNDINGS;
  }

  get isEncrypted(): boolean {
    return this.surroundings.tls !== null;
  }

  context(): RequestContext {
    this.#context ??= new KeptValues(this.surroundings, this.beganAtMs);
    return this.#context;
  }

  requestLine(): Uint8Array {
    return this.bytes.subarray(this.methodStart, this.fieldsStart - 2);
  }

  get headBytes(): number {
    const { at, count } = this;
    const end = this.bytes.indexOf(EMPTY_LINE, count === 0 ? this.fieldsStart - 2 : at[count * 4 - 1]!);
    return end + EMPTY_LINE.length - this.start;
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
    // "h." is the full form of "h" (RFC 3986 §3.2.2): neither a key nor a route may tell them apart.
    if (end - start > 1 && this.bytes[end - 1] === DOT) end--;
    const host = Buffer.from(this.bytes.subarray(start, end));
    for (let i = 0; i < host.length; i++) host[i] = LOWER[host[i]!]!;
    return host;
  }

  protected override parseStartLine(bytes: Buffer, from: number, to: number): number {
    const { lineBytesMax } = this.limits;
    let position = from;
    // RFC 9112 §2.2: one empty line before a request is ignored; old clients send it after a POST.
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
    while (position < to && TARGET_BYTE[bytes[position]!] === 1) position++;
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
    // Checked before the version: a line that comes in pieces is refused as too long before its end arrives.
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
    return methodEnd - methodStart === 7 && bytes.compare(OPTIONS_METHOD, 0, 7, methodStart, methodEnd) === 0;
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

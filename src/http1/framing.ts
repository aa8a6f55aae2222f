// What the fields of a head mean for the connection: where the body ends, whether the connection persists, which
// fields belong only to this hop. Anything that two readers could frame differently is refused.
// Knows nothing of sockets or forwarding. Sources: RFC 9112 §6, §9.3; RFC 9110 §7.6.1, §7.8, §10.1.1.

import {
  ASTERISK,
  COMMA,
  EQUALS,
  equalsIgnoringCase,
  isSpace,
  LOWER,
  NINE,
  QUOTE,
  SEMICOLON,
  ZERO,
} from '../bytes.ts';
import type { FaultCode } from '../errors.ts';
import { isAuthority } from './authority.ts';
import { FIELD } from './fields.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';
import { describeRule, type Rule } from './rules.ts';

/** How a body ends: there is none, after `length` bytes, with the last chunk, or with the connection (RFC 9112 §6.3). */
export const BODY = { none: 0, length: 1, chunked: 2, close: 3 } as const;

const CLOSE = Buffer.from('close');
const KEEP_ALIVE = Buffer.from('keep-alive');
const UPGRADE = Buffer.from('upgrade');
const TRAILERS = Buffer.from('trailers');
const CHUNKED = Buffer.from('chunked');
const CONTINUE = Buffer.from('100-continue');
const HEAD = Buffer.from('HEAD');
const TIMEOUT = Buffer.from('timeout');
const MAX = Buffer.from('max');
/**
 * The most field names that Connection may nominate. Each is compared with each field of the head: with thousands of them
 * one request of 30 KiB took 40 ms.
 */
const NOMINATED_MAX = 32;

/** What both directions share. Reusable: every `read` writes all of it. */
class Framing {
  /** One of BODY. */
  body: number = BODY.none;
  /** Bytes of the body when `body` is BODY.length. */
  length = 0;
  /** Content-Length has leading zeros, which some readers take for an octal number: it is forwarded without them. */
  hasZeros = false;
  /** The sender keeps the connection open after this message. */
  keepAlive = true;
  /** Connection names `upgrade`. */
  connectionUpgrade = false;
  /** Which rule a refused head broke. */
  rule: Rule = 'hostMissing';
  /** Positions (start, end) of the field names that Connection nominates besides close, keep-alive and upgrade. */
  readonly nominated: number[] = [];

  protected resetFraming(): void {
    this.body = BODY.none;
    this.length = 0;
    this.hasZeros = false;
    this.connectionUpgrade = false;
    // Truncating an empty array is not free: the setter of `length` is a call into the engine.
    if (this.nominated.length > 0) this.nominated.length = 0;
  }

  /** True when Connection nominates the field name at [start, end). */
  isNominated(bytes: Uint8Array, start: number, end: number): boolean {
    const { nominated } = this;
    for (let i = 0; i < nominated.length; i += 2) {
      const from = nominated[i]!;
      if (nominated[i + 1]! - from !== end - start) continue;
      let same = true;
      for (let k = 0; same && k < end - start; k++)
        same = LOWER[bytes[from + k]!] === LOWER[bytes[start + k]!];
      if (same) return true;
    }
    return false;
  }

  /** Why the head was refused, as text. */
  describeFault(): string {
    return describeRule(this.rule);
  }

  protected refuse(fault: FaultCode, rule: Rule): FaultCode {
    this.rule = rule;
    return fault;
  }

  /** Connection nominates more names than any honest sender would. */
  protected get nominatesTooMuch(): boolean {
    return this.nominated.length > NOMINATED_MAX * 2;
  }

  protected readContentLength(bytes: Buffer, start: number, end: number): void {
    this.length = readLength(bytes, start, end);
    this.hasZeros = end - start > 1 && bytes[start] === ZERO;
  }

  /** Reads one Connection field (RFC 9110 §7.6.1). The framing's `keepAlive` ends false when "close" is among the options. */
  protected readConnection(bytes: Buffer, start: number, end: number, seen: ConnectionOptions): void {
    for (let position = start; position < end; position++) {
      let itemEnd = position;
      while (itemEnd < end && bytes[itemEnd] !== COMMA) itemEnd++;
      let from = position;
      let to = itemEnd;
      while (from < to && isSpace(bytes[from]!)) from++;
      while (to > from && isSpace(bytes[to - 1]!)) to--;
      if (equalsIgnoringCase(bytes, from, to, KEEP_ALIVE)) seen.keepAlive = true;
      else if (equalsIgnoringCase(bytes, from, to, CLOSE)) seen.close = true;
      else if (equalsIgnoringCase(bytes, from, to, UPGRADE)) this.connectionUpgrade = true;
      else if (to > from && !this.nominatesTooMuch) this.nominated.push(from, to);
      position = itemEnd;
    }
  }
}

interface ConnectionOptions {
  keepAlive: boolean;
  close: boolean;
}

const options: ConnectionOptions = { keepAlive: false, close: false };

/**
 * Transfer codings in one field value that are "chunked", or a number above 1 when another one is among them. Empty elements
 * of the list do not count (RFC 9110 §5.6.1.2): llhttp and nginx refuse them, and never see them, as the splitter rewrites
 * the field.
 */
function countChunked(bytes: Uint8Array, start: number, end: number): number {
  if (equalsIgnoringCase(bytes, start, end, CHUNKED)) return 1;
  let count = 0;
  for (let position = start; position < end; ) {
    const byte = bytes[position]!;
    if (byte === COMMA || isSpace(byte)) {
      position++;
      continue;
    }
    let itemEnd = position;
    while (itemEnd < end && bytes[itemEnd] !== COMMA) itemEnd++;
    const next = itemEnd;
    while (isSpace(bytes[itemEnd - 1]!)) itemEnd--;
    if (!equalsIgnoringCase(bytes, position, itemEnd, CHUNKED)) return 2;
    count++;
    position = next;
  }
  return count;
}

/** 1*DIGIT up to 2^53 - 1, else -1. */
function readLength(bytes: Uint8Array, from: number, end: number): number {
  let start = from;
  while (start < end - 1 && bytes[start] === ZERO) start++;
  if (end === start || end - start > 16) return -1;
  let length = 0;
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : -1;
}

/** What a request's fields say about framing and connection. The owner of the head owns it and reads each head with it. */
export class RequestFraming extends Framing {
  /** The request is HEAD: its response has no body. */
  isHead = false;
  /** The client waits for 100 (Continue) before it sends the body. Only in HTTP/1.1. */
  expectsContinue = false;
  /** The client takes trailers (TE: trailers). */
  takesTrailers = false;
  /** Where the value of Upgrade is, when Connection names it too; an empty range otherwise. */
  upgradeStart = 0;
  upgradeEnd = 0;

  /** Reads `head` and sets its Host range (RFC 9112 §6 and §9.3, RFC 9110 §7.2). Returns the fault that refuses it, or null. */
  read(head: RequestHead): FaultCode | null {
    this.resetFraming();
    this.takesTrailers = false;
    this.expectsContinue = false;
    this.upgradeStart = 0;
    this.upgradeEnd = 0;
    options.keepAlive = false;
    options.close = false;
    const { bytes, at, ids, count, minorVersion } = head;
    let hosts = 0;
    let lengths = 0;
    let codings = 0;
    let chunked = 0;
    head.hostStart = 0;
    head.hostEnd = 0;
    for (let i = 0; i < count; i++) {
      const id = ids[i]!;
      if (id === FIELD.other) continue;
      const start = at[i * 4 + 2]!;
      const end = at[i * 4 + 3]!;
      switch (id) {
        case FIELD.host:
          hosts++;
          head.hostStart = start;
          head.hostEnd = end;
          break;
        case FIELD.contentLength:
          lengths++;
          this.readContentLength(bytes, start, end);
          break;
        case FIELD.transferEncoding:
          codings++;
          chunked += countChunked(bytes, start, end);
          break;
        case FIELD.connection:
          this.readConnection(bytes, start, end, options);
          break;
        case FIELD.te:
          if (namesTrailers(bytes, start, end)) this.takesTrailers = true;
          break;
        case FIELD.expect:
          this.expectsContinue = minorVersion === 1 && equalsIgnoringCase(bytes, start, end, CONTINUE);
          break;
        case FIELD.upgrade:
          // A second Upgrade field would have to be joined with the first; no client sends one.
          this.upgradeStart = this.upgradeEnd === 0 ? start : end;
          this.upgradeEnd = end;
          break;
      }
    }
    if (this.nominatesTooMuch) return this.refuse('HEAD_TOO_LARGE', 'nominations');
    if (hosts > 1) return this.refuse('BAD_HOST', 'hostTwice');
    if (hosts === 0 && minorVersion === 1) return this.refuse('BAD_HOST', 'hostMissing');
    if (hosts === 1 && !isAuthority(bytes, head.hostStart, head.hostEnd))
      return this.refuse('BAD_HOST', 'hostForm');
    if (codings > 0) {
      if (lengths > 0) return this.refuse('LENGTH_AND_CHUNKED', 'lengthAndCoding');
      if (minorVersion === 0) return this.refuse('CHUNKED_IN_HTTP_1_0', 'codingInHttp10');
      if (chunked !== 1)
        return this.refuse('UNKNOWN_TRANSFER_ENCODING', codings > 1 ? 'codingTwice' : 'codingUnknown');
      this.body = BODY.chunked;
    } else if (lengths > 0) {
      if (lengths > 1) return this.refuse('BAD_CONTENT_LENGTH', 'lengthTwice');
      if (this.length < 0) return this.refuse('BAD_CONTENT_LENGTH', 'lengthForm');
      this.body = this.length > 0 ? BODY.length : BODY.none;
    }
    this.keepAlive = !options.close && (minorVersion === 1 || options.keepAlive);
    if (!this.connectionUpgrade || minorVersion === 0) this.upgradeStart = this.upgradeEnd;
    this.isHead =
      head.methodEnd - head.methodStart === 4 &&
      bytes.compare(HEAD, 0, 4, head.methodStart, head.methodEnd) === 0;
    // Of the server as a whole, also where the client has written it in absolute form.
    if (this.upgradeEnd > this.upgradeStart && bytes[head.targetStart] === ASTERISK)
      this.upgradeStart = this.upgradeEnd;
    return null;
  }
}

function namesTrailers(bytes: Buffer, start: number, end: number): boolean {
  for (let position = start; position < end; ) {
    if (bytes[position] === COMMA || isSpace(bytes[position]!)) {
      position++;
      continue;
    }
    let itemEnd = position;
    while (itemEnd < end && bytes[itemEnd] !== COMMA) itemEnd++;
    const next = itemEnd;
    while (isSpace(bytes[itemEnd - 1]!)) itemEnd--;
    if (equalsIgnoringCase(bytes, position, itemEnd, TRAILERS)) return true;
    position = next;
  }
  return false;
}

/** What a response's fields say about framing and connection. The owner of the head owns it and reads each head with it. */
export class ResponseFraming extends Framing {
  /** 100 to 199: another response follows. */
  isInterim = false;
  /** Seconds for which the upstream keeps an idle connection, as Keep-Alive says; -1 = it does not say. */
  idleSeconds = -1;
  /** Further exchanges that the upstream takes on the connection, as Keep-Alive says; -1 = it does not say. */
  exchangesLeft = -1;

  /** Reads `head` as the answer to a HEAD request or to another one (RFC 9112 §6.3). Returns the fault that refuses it, or null. */
  read(head: ResponseHead, answersHead: boolean): FaultCode | null {
    this.resetFraming();
    options.keepAlive = false;
    options.close = false;
    this.idleSeconds = -1;
    this.exchangesLeft = -1;
    const { bytes, at, ids, count, minorVersion, status } = head;
    let lengths = 0;
    let codings = 0;
    let chunked = 0;
    for (let i = 0; i < count; i++) {
      const id = ids[i]!;
      if (id === FIELD.other) continue;
      const start = at[i * 4 + 2]!;
      const end = at[i * 4 + 3]!;
      if (id === FIELD.contentLength) {
        lengths++;
        this.readContentLength(bytes, start, end);
      } else if (id === FIELD.transferEncoding) {
        codings++;
        chunked += countChunked(bytes, start, end);
      } else if (id === FIELD.connection) {
        this.readConnection(bytes, start, end, options);
      } else if (id === FIELD.keepAlive) {
        this.#readKeepAlive(bytes, start, end);
      }
    }
    if (this.nominatesTooMuch) return this.refuse('UPSTREAM_HEAD_TOO_LARGE', 'nominations');
    if (lengths > 1) return this.refuse('UPSTREAM_BAD_RESPONSE', 'lengthTwice');
    if (lengths === 1 && this.length < 0) return this.refuse('UPSTREAM_BAD_RESPONSE', 'lengthForm');
    if (codings > 0) {
      if (lengths > 0) return this.refuse('UPSTREAM_BAD_RESPONSE', 'lengthAndCoding');
      if (chunked !== 1)
        return this.refuse('UPSTREAM_BAD_RESPONSE', codings > 1 ? 'codingTwice' : 'codingUnknown');
      if (minorVersion === 0) return this.refuse('UPSTREAM_BAD_RESPONSE', 'codingInHttp10');
    }
    this.isInterim = status < 200;
    this.keepAlive = !options.close && (minorVersion === 1 || options.keepAlive);
    if (this.isInterim || status === 204 || status === 304 || answersHead) {
      this.body = BODY.none;
    } else if (codings > 0) {
      this.body = BODY.chunked;
    } else if (lengths > 0) {
      this.body = this.length > 0 ? BODY.length : BODY.none;
    } else {
      this.body = BODY.close;
      this.keepAlive = false;
    }
    return null;
  }

  /**
   * Reads `timeout=5, max=100` (RFC 2068 §19.7.1.1) as loosely as clients do: what follows the digits of a number is
   * ignored, and of two numbers the smaller counts. A hint that is read too strictly costs a request.
   */
  #readKeepAlive(bytes: Buffer, start: number, end: number): void {
    for (let position = start; position < end; position++) {
      while (position < end && isSpace(bytes[position]!)) position++;
      const nameStart = position;
      let equals = -1;
      while (position < end && bytes[position] !== COMMA && bytes[position] !== SEMICOLON) {
        if (bytes[position] === EQUALS && equals === -1) equals = position;
        position++;
      }
      if (equals === -1) continue;
      let nameEnd = equals;
      while (nameEnd > nameStart && isSpace(bytes[nameEnd - 1]!)) nameEnd--;
      const isTimeout = equalsIgnoringCase(bytes, nameStart, nameEnd, TIMEOUT);
      if (!isTimeout && !equalsIgnoringCase(bytes, nameStart, nameEnd, MAX)) continue;
      let from = equals + 1;
      while (from < position && (isSpace(bytes[from]!) || bytes[from] === QUOTE)) from++;
      let to = from;
      while (to < position && bytes[to]! >= ZERO && bytes[to]! <= NINE) to++;
      const value = readLength(bytes, from, to);
      if (value < 0) continue;
      if (isTimeout) this.idleSeconds = this.idleSeconds < 0 ? value : Math.min(value, this.idleSeconds);
      else this.exchangesLeft = this.exchangesLeft < 0 ? value : Math.min(value, this.exchangesLeft);
    }
  }
}

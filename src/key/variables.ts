// The variables of key texts: each appends its bytes of a request to the key that is being built. Works on raw bytes:
// only $uri is decoded, and nothing becomes a string. Which variables a text has is in compile.ts.
// Source: nginx, src/http/ngx_http_variables.c, ngx_http_parse.c.

import {
  AMPERSAND,
  ByteRange,
  COMMA,
  DOT,
  EMPTY,
  EQUALS,
  equalsIgnoringCase,
  HASH,
  LOWER,
  type RequestView,
  SEMICOLON,
  SLASH,
  SP,
} from '../bytes.ts';
import { endOfNormalPath, endOfPath, normalisePath, writeNormalPath } from './path.ts';

export const COMMA_SPACE = Uint8Array.of(COMMA, SP);
const SEMICOLON_SPACE = Uint8Array.of(SEMICOLON, SP);
const COOKIE = new TextEncoder().encode('cookie');

// The key that is being built. v2() of murmurhash hashes a whole array, so a view is kept for each short length:
// a copy of 10 bytes and a kept view cost 31 ns together with the hash, `subarray` or a new view 48 ns.
const VIEW_LENGTH_MAX = 128;
let scratch = new Uint8Array(1024);
let keyViews: Uint8Array[] = viewsOf(scratch);
let length = 0;

function viewsOf(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: VIEW_LENGTH_MAX + 1 }, (_, size) => bytes.subarray(0, size));
}

function append(bytes: Uint8Array, start: number, end: number): void {
  const size = end - start;
  if (length + size > scratch.length) grow(length + size);
  if (size > 64) {
    scratch.set(bytes.subarray(start, end), length);
    length += size;
    return;
  }
  for (let i = start; i < end; i++) scratch[length++] = bytes[i]!;
}

/** Appends the bytes before the next "&" or "#", or before `end`. */
function appendValue(bytes: Uint8Array, start: number, end: number): void {
  if (length + end - start > scratch.length) grow(length + end - start);
  const key = scratch;
  let to = length;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === AMPERSAND || byte === HASH) break;
    key[to++] = byte;
  }
  length = to;
}

// Bounded by the longest head that is accepted times the variables of the longest key text.
function grow(size: number): void {
  const larger = new Uint8Array(Math.max(size, scratch.length * 2));
  larger.set(scratch);
  scratch = larger;
  keyViews = viewsOf(scratch);
}

/** Starts a key without bytes. */
export function beginKey(): void {
  length = 0;
}

/** The key so far. Valid until the next `beginKey`. */
export function takeKey(): Uint8Array {
  return length <= VIEW_LENGTH_MAX ? keyViews[length]! : scratch.subarray(0, length);
}

/** How many bytes the key has so far. */
export function keyLength(): number {
  return length;
}

/** The bytes of the key from `start` on. Valid until anything is appended. */
export function keyFrom(start: number): Uint8Array {
  return scratch.subarray(start, length);
}

/** Takes back what was appended after the first `size` bytes. */
export function cutKey(size: number): void {
  length = size;
}

/** A copy of the key so far, so that another one can be built in between. */
export function suspendKey(): Uint8Array {
  return scratch.slice(0, length);
}

/** Goes on with a key that was suspended. */
export function resumeKey(suspended: Uint8Array): void {
  length = 0;
  append(suspended, 0, suspended.length);
}

/** Appends all of `bytes` to the key. */
export function appendBytes(bytes: Uint8Array): void {
  append(bytes, 0, bytes.length);
}

/** Appends a text of characters up to U+00FF, one byte each. */
export function appendLatin1(text: string): void {
  if (length + text.length > scratch.length) grow(length + text.length);
  for (let i = 0; i < text.length; i++) scratch[length++] = text.charCodeAt(i);
}

/** One piece of a key text: appends its bytes for this request to the key. */
export interface KeyPart {
  append(view: RequestView): void;
  /**
   * Sets `into` to the same bytes where they are in memory already, so that they can be compared without a copy. False where
   * they are not: then `append` makes them. `into` is valid while the request is. Parts that make their bytes have no such method.
   */
  locate?(view: RequestView, into: ByteRange): boolean;
}

/** Where a part that is being appended was found. */
const FOUND = new ByteRange();

/** Text around variables. */
export class Literal implements KeyPart {
  readonly bytes: Uint8Array;

  constructor(text: string) {
    this.bytes = new TextEncoder().encode(text);
  }

  append(): void {
    append(this.bytes, 0, this.bytes.length);
  }
}

/**
 * $arg_X: the value of the first argument whose name is X in any case and that has a "=", raw, up to the next "&".
 * Only "&" separates; an argument starts at the start of the query or after a "&".
 */
class Argument implements KeyPart {
  readonly #name: Uint8Array;

  constructor(name: string) {
    this.#name = new TextEncoder().encode(name);
  }

  append(view: RequestView): void {
    const start = this.#startOfValue(view);
    if (start >= 0) appendValue(view.bytes, start, view.targetEnd);
  }

  locate(view: RequestView, into: ByteRange): boolean {
    const start = this.#startOfValue(view);
    if (start < 0) into.set(EMPTY, 0, 0);
    else into.set(view.bytes, start, endOfArgument(view.bytes, start, view.targetEnd));
    return true;
  }

  /** -1 without such an argument. */
  #startOfValue(view: RequestView): number {
    const { bytes, targetEnd } = view;
    const name = this.#name;
    let at = endOfPath(view);
    // Each turn starts at the "?" or "&" before an argument; anything else there ends the query.
    while (at < targetEnd && bytes[at] !== HASH) {
      at++;
      let matched = 0;
      while (matched < name.length && at < targetEnd && LOWER[bytes[at]!] === name[matched]) {
        at++;
        matched++;
      }
      if (matched === name.length && at < targetEnd && bytes[at] === EQUALS) return at + 1;
      at = endOfArgument(bytes, at, targetEnd);
    }
    return -1;
  }
}

/** $http_X: the values of all fields of that name, as nginx joins them since 1.23 (1.22 took the first one alone). */
export class Field implements KeyPart {
  readonly #name: string;
  readonly #nameBytes: Uint8Array;
  readonly #separator: Uint8Array;

  constructor(name: string) {
    this.#name = name.replaceAll('_', '-');
    this.#nameBytes = new TextEncoder().encode(this.#name);
    this.#separator = name === 'cookie' ? SEMICOLON_SPACE : COMMA_SPACE;
  }

  append(view: RequestView): void {
    const values = view.fieldValues(this.#name);
    for (let i = 0; i < values.length; i++) {
      if (i > 0) append(this.#separator, 0, 2);
      append(values[i]!, 0, values[i]!.length);
    }
  }

  locate(view: RequestView, into: ByteRange): boolean {
    return view.locateField !== undefined && view.locateField(this.#nameBytes, into) < 2;
  }
}

/**
 * $cookie_X: the first cookie whose name is X in any case, over all Cookie fields; its value raw, up to the next ";".
 * As in nginx since 1.23: only ";" separates, spaces around the name and before the value do not count, and a name
 * without "=" takes the cookie after it along.
 */
export class Cookie implements KeyPart {
  readonly #name: Uint8Array;

  constructor(name: string) {
    this.#name = new TextEncoder().encode(name);
  }

  append(view: RequestView): void {
    const fields = view.fieldValues('cookie');
    for (let i = 0; i < fields.length; i++) {
      FOUND.set(fields[i]!, 0, fields[i]!.length);
      if (this.#narrow(FOUND)) return append(FOUND.bytes, FOUND.start, FOUND.end);
    }
  }

  locate(view: RequestView, into: ByteRange): boolean {
    if (view.locateField === undefined || view.locateField(COOKIE, into) > 1) return false;
    if (!this.#narrow(into)) into.set(EMPTY, 0, 0);
    return true;
  }

  /** Narrows the range of a field to the value of its cookie; false, and the range stays, without one. */
  #narrow(range: ByteRange): boolean {
    const { bytes, end } = range;
    const name = this.#name;
    let at = range.start;
    while (at < end) {
      if (at + name.length <= end && equalsIgnoringCase(bytes, at, at + name.length, name)) {
        at = afterSpaces(bytes, at + name.length, end);
        if (at === end) return false;
        // nginx reads this byte even when it is the ";" that ends the cookie.
        if (bytes[at++] === EQUALS) {
          const start = afterSpaces(bytes, at, end);
          range.set(bytes, start, endOfCookie(bytes, start, end));
          return true;
        }
      }
      at = afterSpaces(bytes, endOfCookie(bytes, at, end) + 1, end);
    }
    return false;
  }
}

/** A part whose bytes are always in memory. */
function located(locate: (view: RequestView, into: ByteRange) => void): KeyPart {
  return {
    append(view) {
      locate(view, FOUND);
      append(FOUND.bytes, FOUND.start, FOUND.end);
    },
    locate(view, into) {
      locate(view, into);
      return true;
    },
  };
}

const METHOD = located((view, into) => into.set(view.bytes, view.methodStart, view.methodEnd));

const REQUEST_URI = located((view, into) => into.set(view.bytes, view.targetStart, view.targetEnd));

/** From the first "?" to the "#" after it, without both; empty when a "#" comes first. */
const ARGS = located((view, into) => {
  const { bytes, targetEnd } = view;
  const pathEnd = endOfPath(view);
  const start = pathEnd === targetEnd || bytes[pathEnd] === HASH ? pathEnd : pathEnd + 1;
  let end = start;
  while (end < targetEnd && bytes[end] !== HASH) end++;
  into.set(bytes, start, end);
});

/** A trailing dot is not part of $host, as in nginx. */
const HOST_NAME = located((view, into) => {
  const host = view.host();
  const isDotted = host.length > 1 && host[host.length - 1] === DOT;
  into.set(host, 0, isDotted ? host.length - 1 : host.length);
});

/** $remote_addr: its bytes are kept until another client's request comes. */
export class RemoteAddress implements KeyPart {
  #text = '';
  #bytes: Uint8Array = EMPTY;

  append(view: RequestView): void {
    const bytes = this.#bytesOf(view.remoteAddress);
    append(bytes, 0, bytes.length);
  }

  locate(view: RequestView, into: ByteRange): boolean {
    const bytes = this.#bytesOf(view.remoteAddress);
    into.set(bytes, 0, bytes.length);
    return true;
  }

  #bytesOf(remoteAddress: string): Uint8Array {
    if (remoteAddress !== this.#text) {
      this.#text = remoteAddress;
      this.#bytes = new TextEncoder().encode(remoteAddress);
    }
    return this.#bytes;
  }
}

/** $uri: the path in its normal form. A path that nginx itself refuses is taken as it was sent. */
const URI: KeyPart = {
  append(view) {
    const { bytes, targetStart } = view;
    const end = endOfPath(view);
    if (length + end - targetStart > scratch.length) grow(length + end - targetStart);
    const written = writeNormalPath(bytes, targetStart, end, scratch, length);
    if (written < 0) append(bytes, targetStart, end);
    else length = written;
  },
  locate(view, into) {
    const end = endOfNormalPath(view);
    into.set(view.bytes, view.targetStart, end);
    return end >= 0;
  },
};

/** $path_1, $path_2, …: a segment of the path in its normal form, decoded; empty where there are not that many. */
class PathSegment implements KeyPart {
  readonly #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  append(view: RequestView): void {
    const path = normalisePath(view);
    if (path === null) return;
    let start = 1;
    for (let number = 1; start < path.length; number++) {
      const slash = path.indexOf(SLASH, start);
      const end = slash === -1 ? path.length : slash;
      if (number === this.#number) return append(path, start, end);
      start = end + 1;
    }
  }
}

/** The segment of the path that a variable of this canonical name is; undefined for any other one. */
export function segmentVariable(name: string): KeyPart | undefined {
  const number = /^path_([1-9]\d?)$/.exec(name)?.[1];
  return number === undefined ? undefined : new PathSegment(Number(number));
}

function endOfArgument(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== AMPERSAND && bytes[at] !== HASH) at++;
  return at;
}

/** By hand: thousands of calls of indexOf for a field of ";" alone would cost milliseconds. */
function endOfCookie(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== SEMICOLON) at++;
  return at;
}

/** nginx knows no tabs here. */
function afterSpaces(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && bytes[at] === SP) at++;
  return at;
}

/** Variables that are a name alone, of the request itself. */
export const REQUEST_VARIABLES: ReadonlyMap<string, () => KeyPart> = new Map([
  ['remote_addr', () => new RemoteAddress()],
  ['host', () => HOST_NAME],
  ['uri', () => URI],
  ['request_uri', () => REQUEST_URI],
  ['request_method', () => METHOD],
  ['args', () => ARGS],
]);

/** Variables with a name of the user's after a prefix. */
export const PREFIXED_VARIABLES: ReadonlyMap<string, (name: string) => KeyPart> = new Map([
  ['arg_', (name: string): KeyPart => new Argument(name)],
  ['http_', (name: string): KeyPart => new Field(name)],
  ['cookie_', (name: string): KeyPart => new Cookie(name)],
]);

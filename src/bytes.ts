// Bytes of HTTP: their names, ASCII case, tokens, and the view of one request that keys, routes and rewrites read.
// Every room that works on bytes uses these; nothing here knows what a message means.
// Sources: RFC 9110 §5.6 for tokens and white space, RFC 9112 §3.2 for the forms of a target.

import type { ProxyHeader } from './ip-address.ts';

export const HT = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const QUOTE = 0x22;
export const HASH = 0x23;
export const PERCENT = 0x25;
export const AMPERSAND = 0x26;
export const ASTERISK = 0x2a;
export const COMMA = 0x2c;
export const DOT = 0x2e;
export const SLASH = 0x2f;
export const ZERO = 0x30;
export const NINE = 0x39;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const QUESTION = 0x3f;
export const BACKSLASH = 0x5c;

/** No bytes. */
export const EMPTY: Buffer = Buffer.alloc(0);

/** ASCII letters folded to lower case; every other byte is itself. */
export const LOWER = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte,
);

/** A table by byte: 1 for each of these characters. */
export function byteTable(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (const byte of Buffer.from(characters)) table[byte] = 1;
  return table;
}

/** tchar of RFC 9110 §5.6.2. */
export const TOKEN = byteTable(
  "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
);

/** True for the white space of a field value: SP and HTAB. */
export function isSpace(byte: number): boolean {
  return byte === SP || byte === HT;
}

/** True when bytes[start, end) is `lowerName` (lower-case ASCII) but for case. */
export function equalsIgnoringCase(
  bytes: Uint8Array,
  start: number,
  end: number,
  lowerName: Uint8Array,
): boolean {
  if (end - start !== lowerName.length) return false;
  for (let i = 0; i < lowerName.length; i++) {
    if (LOWER[bytes[start + i]!] !== lowerName[i]) return false;
  }
  return true;
}

/** Where some bytes are: `bytes` from `start` to before `end`. Its owner sets it again and again, so that none is made per request. */
export class ByteRange {
  bytes: Uint8Array = EMPTY;
  start = 0;
  end = 0;

  set(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }
}

/** What keys, routes and rewrites read of one request. All positions index into `bytes`. */
export interface RequestView {
  readonly bytes: Uint8Array;
  readonly methodStart: number;
  readonly methodEnd: number;
  /** Origin-form "/path?query" (the authority of an absolute-form already left out), or "*". */
  readonly targetStart: number;
  readonly targetEnd: number;
  /** Values of the fields with this lower-case name, in order of arrival; empty when there is none. */
  fieldValues(name: string): readonly Uint8Array[];
  /**
   * How many fields have this lower-case name. Sets `into` to the value of the first one, or to no bytes, without a copy;
   * absent where fields are not kept as bytes.
   */
  locateField?(name: Uint8Array, into: ByteRange): number;
  /** Host as nginx's $host: authority of an absolute-form before the Host field, no port, lower case; empty when none. */
  host(): Uint8Array;
  /** Client address as text, an IPv4-mapped IPv6 address as plain IPv4; "unix:" on a Unix socket. */
  readonly remoteAddress: string;
  /** The client's own connection uses TLS; absent where none can. */
  readonly isEncrypted?: boolean;
  /** What variables keep of this request and know of what surrounds it; absent where nothing does. */
  context?(): RequestContext;
  /** The request line as it came, without its line end; absent where only its parts are known. */
  requestLine?(): Uint8Array;
  /** Bytes of the head with its empty line; absent where that is not known. */
  readonly headBytes?: number;
}

/** What variables keep of one request, so that each is made once, and what they know of its surroundings and its response. */
export interface RequestContext {
  /** Values of variables that are kept, by their slot in the scope that made them; null or undefined = not yet. */
  readonly values: (Uint8Array | null | undefined)[];
  /** For each of these which splits it was made of, one bit each. */
  readonly madeOf: number[];
  /** 32 hexadecimal digits, the same each time for one request. */
  requestId(): string;
  /** When the request began, on the clock of `Surroundings.elapsedMs`. */
  readonly beganAtMs: number;
  readonly surroundings: Surroundings;
  /** Null before there is one. Set by who writes the response, before texts for it are made. */
  response: ResponseFacts | null;
}

/** The connection that a request came by, and the process that serves it. */
export interface Surroundings {
  /** What the TLS handshake has shown; null for plain text. */
  readonly tls: TlsFacts | null;
  /** Port of the client; 0 on a Unix socket, or where a trusted proxy names none. */
  readonly remotePort: number;
  /** Who has opened the connection: the client, or a proxy that names it; "unix:" and 0 on a Unix socket. */
  readonly peerAddress: string;
  readonly peerPort: number;
  /** What the PROXY header of the connection says; null without one. */
  readonly proxyHeader: ProxyHeader | null;
  /** Address and port that the client came in by; "unix:" and 0 on a Unix socket. */
  readonly localAddress: string;
  readonly localPort: number;
  /** Serial number of the connection in this process, from 1. */
  readonly connectionNumber: number;
  /** Requests on the connection so far, the present one among them. */
  readonly requestCount: number;
  readonly hostname: string;
  readonly pid: number;
  /** Milliseconds since 1970. */
  timeMs(): number;
  /** Milliseconds on a clock that never goes back. */
  elapsedMs(): number;
}

/** Facts of one client connection over TLS. */
export interface TlsFacts {
  /** Name that the client asked for (SNI), in lower case; empty without one. */
  readonly serverName: string;
  /** "TLSv1.3". */
  readonly protocol: string;
  /** OpenSSL's name of the cipher. */
  readonly cipher: string;
  /** Of the client's certificate, as in nginx: NONE without one, SUCCESS, or FAILED and why. */
  readonly verification: string;
  /** Subject of the client's certificate by RFC 2253; empty without one. */
  readonly subject: string;
  /** An earlier session was resumed. */
  readonly isResumed: boolean;
}

/** What variables read of a response: `$status`, `$upstream_addr`, `$upstream_http_X`, `$sent_http_X`. */
export interface ResponseFacts {
  /** The status that is sent. */
  readonly status: number;
  /** The status of each attempt, divided by ", ": 502 or 504 where no response came. Empty where no server was asked. */
  readonly upstreamStatus: string;
  /** IP address and port or socket path of each server that was asked, divided by ", ". */
  readonly upstreamAddress: string;
  /** Values of the upstream's fields with this lower-case name, in order; none where no upstream answered. */
  upstreamFieldValues(name: string): readonly Uint8Array[];
  /** The same of the fields that are sent to the client, as far as they are known by then. */
  sentFieldValues(name: string): readonly Uint8Array[];
}

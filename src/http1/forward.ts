// Writes the head that goes on: the request head for the upstream, the response head for the client, each in one
// canonical form whatever the sender's spelling. Field lines that pass unchanged are copied in runs, byte for byte.
// It knows nothing of sockets. Sources: RFC 9110 §7.6, RFC 9112 §3.2.2, §7.1.2, §9.

import { equalsIgnoringCase, type RequestView, SP } from '../bytes.ts';
import { BODY, type RequestFraming, type ResponseFraming } from './framing.ts';
import { FIELD, type FieldSection, type RequestHead, type ResponseHead } from './head.ts';
import type { Output } from './output.ts';

/** How requests are rewritten for one upstream. */
export interface RequestRewrite {
  /** Value of Host; null keeps the client's. */
  readonly host: Buffer | null;
  /** What Host says when the client sent none (HTTP/1.0). */
  readonly authority: Buffer;
  /** Makes the value of Host for each request, in place of `host`; null for none. */
  readonly hostText?: HostText | null;
  /** Fields in place of the client's; null for none. */
  readonly set?: SetFields | null;
  readonly forwarded: 'append' | 'replace' | 'keep' | 'remove';
  readonly via: boolean;
}

/** What of one request is taken out or replaced, and what is put in, beside what RequestRewrite says for all of them. */
export interface RequestEdit {
  /** Names, by `fieldName`, of the fields that go no further, in the head and in trailers. */
  readonly droppedFields: readonly Uint8Array[];
  /** The target in place of the client's; null keeps that. */
  readonly target: Uint8Array | null;
  /** Value of the one Cookie field that all of them become, none when it is empty; null keeps them as they are. */
  readonly cookie: Uint8Array | null;
  /** Whole lines, each with its CRLF. */
  readonly addedLines: string;
  /** The request as SetFields reads it, without what an override left in it; null for the head itself. */
  readonly view?: RequestView | null;
}

/** A value of Host with variables. */
export interface HostText {
  textFor(head: RequestHead): string;
}

/** Fields that take the place of those that the client sent under their names. */
export interface SetFields {
  /** Names, by `fieldName`. */
  readonly names: readonly Uint8Array[];
  /** Which of the X-Forwarded fields are among them: bits of FORWARDED_FIELD. */
  readonly forwarded: number;
  /** Whole lines, each with its CRLF. */
  linesFor(request: RequestView): string;
}

/** The fields that `forwarded` is about, a bit each. */
export const FORWARDED_FIELD: ReadonlyMap<string, number> = new Map([
  ['x-forwarded-for', 1],
  ['x-forwarded-proto', 2],
  ['x-forwarded-host', 4],
]);

/**
 * The name of a field as RequestEdit and ResponseRewrite want it. It stands for every spelling that an application behind CGI,
 * WSGI or Rack cannot tell from it: they take "X_Variant" for "X-Variant", so that dropping one alone would let a client
 * say the other.
 */
export function fieldName(name: string): Uint8Array {
  return Buffer.from(name, 'latin1').map(foldByte);
}

/** Letters in lower case, digits, and "-" for every other byte. */
const FOLDED = Uint8Array.from({ length: 256 }, (_, byte) => foldByte(byte));

function foldByte(byte: number): number {
  if (byte >= 0x41 && byte <= 0x5a) return byte + 0x20;
  const isKept = (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39);
  return isKept ? byte : 0x2d;
}

/** True when `name` is one that an application cannot tell from one of `names`. */
export function isFieldOf(names: readonly Uint8Array[], name: string): boolean {
  const bytes = Buffer.from(name, 'latin1');
  return isOneOf(names, bytes, 0, bytes.length);
}

function isOneOf(names: readonly Uint8Array[], bytes: Buffer, start: number, end: number): boolean {
  for (const name of names) {
    if (end - start !== name.length) continue;
    let at = 0;
    while (at < name.length && FOLDED[bytes[start + at]!] === name[at]) at++;
    if (at === name.length) return true;
  }
  return false;
}

const X_FORWARDED = fieldName('x-forwarded');
const FORWARDED = fieldName('forwarded');
const X_SPLITTER = fieldName('x-splitter-');
const LETTER_F = 0x66;
const LETTER_X = 0x78;

function startsWith(bytes: Uint8Array, start: number, end: number, prefix: Uint8Array): boolean {
  if (end - start < prefix.length) return false;
  for (let at = 0; at < prefix.length; at++) if (FOLDED[bytes[start + at]!] !== prefix[at]) return false;
  return true;
}

/**
 * True for a field by which the hop before says whom it forwards for, in any spelling: Forwarded (RFC 7239) and every
 * name that begins with X-Forwarded.
 */
function isForwardedField(bytes: Uint8Array, start: number, end: number): boolean {
  const first = FOLDED[bytes[start]!];
  if (first === LETTER_X) return startsWith(bytes, start, end, X_FORWARDED);
  return first === LETTER_F && end - start === FORWARDED.length && startsWith(bytes, start, end, FORWARDED);
}

/** True for a name that only the splitter itself may give to a field of a response: clients can trust x-splitter-error. */
function isSplitterField(bytes: Uint8Array, start: number, end: number): boolean {
  return FOLDED[bytes[start]!] === LETTER_X && startsWith(bytes, start, end, X_SPLITTER);
}

/** `isForwardedField` of a name as text. */
export function isForwardedName(name: string): boolean {
  const bytes = Buffer.from(name, 'latin1');
  return bytes.length > 0 && isForwardedField(bytes, 0, bytes.length);
}

/** `isSplitterField` of a name as text. */
export function isSplitterName(name: string): boolean {
  const bytes = Buffer.from(name, 'latin1');
  return bytes.length > 0 && isSplitterField(bytes, 0, bytes.length);
}

/** What a connection adds to every request that comes over it. */
export interface ForwardedFacts {
  /** The client's address; empty when there is none to tell (a Unix socket). */
  readonly address: string;
  /** "X-Forwarded-For: ADDRESS" CRLF "X-Forwarded-Proto: http" CRLF, for a request that brings neither. */
  readonly lines: Buffer;
}

const HTTP_1_1_LINE = ' HTTP/1.1\r\n';
const VIA_NAME = 'request-splitter';

const REQUEST_DROPS = new Uint8Array(32);
for (const id of [
  FIELD.connection,
  FIELD.keepAlive,
  FIELD.proxyConnection,
  FIELD.te,
  FIELD.transferEncoding,
  FIELD.upgrade,
]) {
  REQUEST_DROPS[id] = 1;
}
const RESPONSE_DROPS = REQUEST_DROPS;

/**
 * Writes the request head for the upstream, its empty line included.
 * `passesUpgrade` tells whether the Upgrade that the client asked for is one that may pass.
 */
export function writeRequestHead(
  out: Output,
  head: RequestHead,
  framing: RequestFraming,
  headEnd: number,
  rewrite: RequestRewrite,
  facts: ForwardedFacts,
  passesUpgrade: boolean,
  edit: RequestEdit | null = null,
): void {
  const { bytes, at, ids, count } = head;
  const target = edit === null ? null : edit.target;
  const isAbsolute = head.authorityEnd > head.authorityStart;
  const { forwarded, hostText = null, set = null } = rewrite;
  const replacesHost = rewrite.host !== null || hostText !== null || isAbsolute;
  const distrusts = forwarded === 'replace' || forwarded === 'remove';
  let runStart = head.fieldsStart;
  if (!isAbsolute && head.minorVersion === 1 && target === null) runStart = head.methodStart;
  else {
    out.copy(bytes, head.methodStart, head.methodEnd);
    out.text(' ');
    if (target === null) out.copy(bytes, head.targetStart, head.targetEnd);
    else out.append(target);
    out.text(HTTP_1_1_LINE);
  }
  if (replacesHost || head.hostEnd === 0) {
    // Host first, as RFC 9110 §7.2 asks of whoever generates it.
    if (runStart < head.fieldsStart) {
      out.copy(bytes, runStart, head.fieldsStart);
      runStart = head.fieldsStart;
    }
    out.text('Host: ');
    if (hostText !== null) out.text(hostText.textFor(head));
    else if (rewrite.host !== null) out.copy(rewrite.host, 0, rewrite.host.length);
    else if (isAbsolute) out.copy(bytes, head.authorityStart, head.authorityEnd);
    else out.copy(rewrite.authority, 0, rewrite.authority.length);
    out.text('\r\n');
  }
  let forwardedFields = 0;
  let hasForwardedProto = false;
  let hasForwardedHost = false;
  let hasCookie = true;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    const nameStart = at[i * 4]!;
    const nameEnd = at[i * 4 + 1]!;
    const lineEnd = i + 1 < count ? at[i * 4 + 4]! : headEnd - 2;
    let drops = false;
    if (id !== FIELD.other) {
      drops = REQUEST_DROPS[id] === 1;
      if (id === FIELD.host) drops = replacesHost;
      else if (id === FIELD.expect) drops = head.minorVersion === 0;
      else if (id === FIELD.maxForwards && isHopLimited(head)) {
        runStart = passLine(out, bytes, at, i, runStart, lineEnd, true);
        writeMaxForwards(out, bytes.toString('latin1', at[i * 4 + 2]!, at[i * 4 + 3]!));
        continue;
      } else if (id === FIELD.contentLength && framing.hasZeros) {
        runStart = passLine(out, bytes, at, i, runStart, lineEnd, true);
        out.text(`Content-Length: ${framing.length}\r\n`);
        continue;
      } else if (id === FIELD.forwardedFor) {
        drops = forwarded !== 'keep';
        forwardedFields++;
      } else if (id === FIELD.forwardedProto) {
        drops = distrusts;
        hasForwardedProto = !drops;
      } else if (id === FIELD.forwardedHost) {
        drops = distrusts;
        hasForwardedHost = !drops;
      }
    } else {
      if (edit !== null) drops = isEditedOut(edit, bytes, nameStart, nameEnd);
      if (distrusts && isForwardedField(bytes, nameStart, nameEnd)) drops = true;
    }
    if (set !== null && isOneOf(set.names, bytes, nameStart, nameEnd)) drops = true;
    // Host and Content-Length belong to the message, whatever Connection says of them.
    if (framing.nominated.length > 0 && id !== FIELD.host && id !== FIELD.contentLength) {
      if (framing.isNominated(bytes, nameStart, nameEnd)) {
        drops = true;
        // What the client takes back was never said: the fields are written anew, not left out.
        if (id === FIELD.forwardedFor) forwardedFields = 0;
        else if (id === FIELD.forwardedProto) hasForwardedProto = false;
        else if (id === FIELD.forwardedHost) hasForwardedHost = false;
        else if (edit !== null && equalsIgnoringCase(bytes, nameStart, nameEnd, COOKIE)) hasCookie = false;
      }
    }
    runStart = passLine(out, bytes, at, i, runStart, lineEnd, drops);
  }
  if (runStart < headEnd - 2) out.copy(bytes, runStart, headEnd - 2);
  if (set !== null) {
    if (isOneOf(set.names, COOKIE, 0, COOKIE.length)) hasCookie = false;
    out.text(set.linesFor(edit?.view ?? head));
  }
  if (edit !== null) writeEdit(out, edit, hasCookie);
  if (forwarded === 'append' || forwarded === 'replace') {
    const own = set === null ? 0 : set.forwarded;
    writeForwarded(
      out,
      head,
      (own & 1) !== 0,
      forwarded === 'append' && forwardedFields > 0,
      hasForwardedProto || (own & 2) !== 0,
      hasForwardedHost || (own & 4) !== 0,
      facts,
    );
  }
  if (rewrite.via) out.text(`Via: 1.${head.minorVersion} ${VIA_NAME}\r\n`);
  if (framing.body === BODY.chunked) out.text('Transfer-Encoding: chunked\r\n');
  if (passesUpgrade) {
    out.text('Connection: Upgrade\r\nUpgrade: ');
    out.copy(bytes, framing.upgradeStart, framing.upgradeEnd);
    out.text('\r\n');
  } else if (framing.takesTrailers) out.text('TE: trailers\r\nConnection: TE\r\n');
  out.text('\r\n');
}

const COOKIE = Buffer.from('cookie');

function isEditedOut(edit: RequestEdit, bytes: Buffer, nameStart: number, nameEnd: number): boolean {
  if (edit.cookie !== null && equalsIgnoringCase(bytes, nameStart, nameEnd, COOKIE)) return true;
  return isOneOf(edit.droppedFields, bytes, nameStart, nameEnd);
}

// Behind the client's own fields, so that nothing that Connection names can be one of these.
function writeEdit(out: Output, { cookie, addedLines }: RequestEdit, hasCookie: boolean): void {
  if (hasCookie && cookie !== null && cookie.length > 0) {
    out.text('Cookie: ');
    out.append(cookie);
    out.text('\r\n');
  }
  if (addedLines !== '') out.text(addedLines);
}

/** True for OPTIONS and TRACE, whose Max-Forwards every proxy counts down (RFC 9110 §7.6.2). */
export function isHopLimited(head: RequestHead): boolean {
  const method = head.bytes.toString('latin1', head.methodStart, head.methodEnd);
  return method === 'OPTIONS' || method === 'TRACE';
}

function writeMaxForwards(out: Output, value: string): void {
  // A value that is no number limits nothing and goes no further.
  if (/^\d{1,9}$/.test(value)) out.text(`Max-Forwards: ${Number(value) - 1}\r\n`);
}

/** Keeps, rewrites or drops line `i`; returns where the run of unchanged lines now starts. */
function passLine(
  out: Output,
  bytes: Buffer,
  at: Int32Array,
  i: number,
  runStart: number,
  lineEnd: number,
  drops: boolean,
): number {
  const nameStart = at[i * 4]!;
  const nameEnd = at[i * 4 + 1]!;
  const valueStart = at[i * 4 + 2]!;
  const valueEnd = at[i * 4 + 3]!;
  if (!drops && valueStart === nameEnd + 2 && valueEnd === lineEnd - 2 && bytes[nameEnd + 1] === SP)
    return runStart;
  if (runStart < nameStart) out.copy(bytes, runStart, nameStart);
  if (!drops) {
    out.copy(bytes, nameStart, nameEnd);
    out.text(': ');
    out.copy(bytes, valueStart, valueEnd);
    out.text('\r\n');
  }
  return lineEnd;
}

function writeForwarded(
  out: Output,
  head: RequestHead,
  hasFor: boolean,
  extendsFor: boolean,
  hasProto: boolean,
  hasHost: boolean,
  facts: ForwardedFacts,
): void {
  const { bytes, at, ids, count } = head;
  if (!hasFor && !extendsFor && !hasProto) {
    out.copy(facts.lines, 0, facts.lines.length);
  } else {
    if (hasFor) {
      // Set by the configuration.
    } else if (extendsFor) {
      out.text('X-Forwarded-For: ');
      let separator = '';
      for (let i = 0; i < count; i++) {
        if (ids[i] !== FIELD.forwardedFor || at[i * 4 + 2] === at[i * 4 + 3]) continue;
        out.text(separator);
        out.copy(bytes, at[i * 4 + 2]!, at[i * 4 + 3]!);
        separator = ', ';
      }
      if (facts.address !== '') out.text(separator + facts.address);
      out.text('\r\n');
    } else if (facts.address !== '') out.text(`X-Forwarded-For: ${facts.address}\r\n`);
    if (!hasProto) out.text('X-Forwarded-Proto: http\r\n');
  }
  if (hasHost) return;
  const isAbsolute = head.authorityEnd > head.authorityStart;
  const start = isAbsolute ? head.authorityStart : head.hostStart;
  const end = isAbsolute ? head.authorityEnd : head.hostEnd;
  if (end === start) return;
  out.text('X-Forwarded-Host: ');
  out.copy(bytes, start, end);
  out.text('\r\n');
}

/** What the client's side of an exchange decides about the response head. */
export interface ResponseRewrite {
  /** HTTP minor version of the client. */
  minorVersion: number;
  /** How the body goes to the client: one of BODY. */
  body: number;
  /** The connection to the client lives on. */
  keepAlive: boolean;
  via: boolean;
  /** Names, by `fieldName`, of the upstream's fields that go no further, in the head and in trailers; null for none. */
  droppedFields: readonly Uint8Array[] | null;
  /** Whole lines that the splitter adds, each with its CRLF. */
  addedLines: string;
  /** "Date: …" CRLF of now, for a response that brings none (RFC 9110 §6.6.1). */
  dateLine: string;
}

/** Writes the response head for the client, its empty line included. A 101 keeps its Upgrade. */
export function writeResponseHead(
  out: Output,
  head: ResponseHead,
  framing: ResponseFraming,
  headEnd: number,
  rewrite: ResponseRewrite,
): void {
  const { bytes, at, ids, count, status } = head;
  let runStart = head.fieldsStart;
  if (bytes[head.start + 7] === 0x31 && head.reasonEnd > head.statusStart + 3) runStart = head.start;
  else {
    out.text('HTTP/1.1 ');
    out.copy(bytes, head.statusStart, head.reasonEnd);
    out.text(head.reasonEnd === head.statusStart + 3 ? ' \r\n' : '\r\n');
  }
  const isSwitch = status === 101;
  const hasNoLength = framing.isInterim || status === 204;
  let hasDate = framing.isInterim;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    const lineEnd = i + 1 < count ? at[i * 4 + 4]! : headEnd - 2;
    let drops = false;
    if (id !== FIELD.other) {
      if (id === FIELD.upgrade) drops = !isSwitch;
      else if (id === FIELD.contentLength) {
        drops = hasNoLength;
        if (framing.hasZeros && !drops) {
          runStart = passLine(out, bytes, at, i, runStart, lineEnd, true);
          out.text(`Content-Length: ${framing.length}\r\n`);
          continue;
        }
      } else if (id === FIELD.date) hasDate = true;
      else if (id === FIELD.trailer) drops = rewrite.body !== BODY.chunked;
      else drops = RESPONSE_DROPS[id] === 1;
    } else {
      drops =
        isSplitterField(bytes, at[i * 4]!, at[i * 4 + 1]!) ||
        (rewrite.droppedFields !== null && isOneOf(rewrite.droppedFields, bytes, at[i * 4]!, at[i * 4 + 1]!));
    }
    if (framing.nominated.length > 0 && id !== FIELD.contentLength && id !== FIELD.upgrade) {
      if (framing.isNominated(bytes, at[i * 4]!, at[i * 4 + 1]!)) drops = true;
    }
    runStart = passLine(out, bytes, at, i, runStart, lineEnd, drops);
  }
  if (runStart < headEnd - 2) out.copy(bytes, runStart, headEnd - 2);
  if (!hasDate) out.text(rewrite.dateLine);
  if (rewrite.via) out.text(`Via: 1.${head.minorVersion} ${VIA_NAME}\r\n`);
  if (rewrite.addedLines !== '' && (!framing.isInterim || isSwitch)) out.text(rewrite.addedLines);
  if (isSwitch) out.text('Connection: Upgrade\r\n');
  else if (!framing.isInterim) {
    if (rewrite.body === BODY.chunked) out.text('Transfer-Encoding: chunked\r\n');
    if (!rewrite.keepAlive) out.text('Connection: close\r\n');
    else if (rewrite.minorVersion === 0) out.text('Connection: keep-alive\r\n');
  }
  out.text('\r\n');
}

/**
 * Fields that must not arrive in a trailer section: framing, routing, authentication, payload (RFC 9110 §6.5.1). Beside
 * them Forwarded, X-Forwarded-* and the splitter's own, in whatever spelling an application could take for one of these.
 */
const NOT_IN_TRAILERS: Uint8Array[][] = [];
for (const name of [
  'age',
  'authorization',
  'cache-control',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'expect',
  'expires',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'keep-alive',
  'location',
  'max-forwards',
  'pragma',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'retry-after',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'vary',
  'via',
  'warning',
  'www-authenticate',
])
  NOT_IN_TRAILERS[name.length] = [...(NOT_IN_TRAILERS[name.length] ?? []), fieldName(name)];

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

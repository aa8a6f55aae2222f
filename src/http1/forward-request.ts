// Writes the request head for the upstream in one canonical form, whatever the client's spelling. Field lines that pass
// unchanged are copied in runs, byte for byte. It knows nothing of sockets.
// Sources: RFC 9110 §7.6, RFC 9112 §3.2.2.

import { equalsIgnoringCase, type RequestView } from '../bytes.ts';
import { isForwardedField, isOneOf } from './field-names.ts';
import { FIELD } from './fields.ts';
import { FORWARDED_BITS, type ForwardedFacts, writeForwarded } from './forwarded.ts';
import { BODY, type RequestFraming } from './framing.ts';
import { HOP_BY_HOP, passLine, VIA_NAME } from './hop-by-hop.ts';
import type { Output } from './output.ts';
import type { RequestHead } from './request-head.ts';

/** How requests are rewritten for one upstream. */
export interface RequestRewrite {
  /** Value of Host; null keeps the client's. */
  readonly host: Buffer | null;
  /** Value of Host when the client sent none (HTTP/1.0). */
  readonly authority: Buffer;
  /** Makes the value of Host for each request, instead of `host`; null for none. */
  readonly hostText?: HostText | null;
  /** Fields that replace those of the client; null for none. */
  readonly set?: SetFields | null;
  readonly forwarded: 'append' | 'replace' | 'keep' | 'remove';
  readonly via: boolean;
}

/** What is removed from one request, replaced and added, beside what RequestRewrite says for all of them. */
export interface RequestEdit {
  /** Names, by `foldedName`, of the fields that are dropped from the head and from trailers. */
  readonly droppedFields: readonly Uint8Array[];
  /** The new target; null keeps the client's. */
  readonly target: Uint8Array | null;
  /** The value of the one Cookie field that replaces all of them, none when it is empty; null keeps them as they are. */
  readonly cookie: Uint8Array | null;
  /** Whole lines, each with its CRLF. */
  readonly addedLines: string;
  /** The value of an X-Request-Id field that follows these lines; null adds none. */
  readonly requestId: string | null;
  /** The request as SetFields reads it, without what an override left in it; null for the head itself. */
  readonly view?: RequestView | null;
}

/** A value of Host with variables. */
export interface HostText {
  textFor(head: RequestHead): string;
}

/** Fields that replace those that the client sent under their names. */
export interface SetFields {
  /** Names, by `foldedName`. */
  readonly names: readonly Uint8Array[];
  /** Which of the X-Forwarded fields are among them: bits of FORWARDED_FIELD. */
  readonly forwarded: number;
  /** Whole lines, each with its CRLF. */
  linesFor(request: RequestView): string;
}

const HTTP_1_1_LINE = ' HTTP/1.1\r\n';
const COOKIE_NAME = Buffer.from('cookie');

/**
 * Writes the request head for the upstream, its empty line included (RFC 9110 §7.6). `headEnd` is where the client's head
 * ends. `passesUpgrade` says that the client asked for an upgrade and that it may pass.
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
  const { forwarded, set = null } = rewrite;
  const replacesHost = isHostReplaced(head, rewrite);
  const distrusts = forwarded === 'replace' || forwarded === 'remove';
  let runStart = writeStart(out, head, rewrite, replacesHost, edit === null ? null : edit.target);
  // Bits of FORWARDED_FIELD.
  let brought = 0;
  let hasCookie = true;
  for (let i = 0; i < count; i++) {
    const id = ids[i]!;
    const nameStart = at[i * 4]!;
    const nameEnd = at[i * 4 + 1]!;
    const lineEnd = i + 1 < count ? at[i * 4 + 4]! : headEnd - 2;
    let drops = false;
    if (id !== FIELD.other) {
      drops = HOP_BY_HOP[id] === 1;
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
      } else if (FORWARDED_BITS[id] !== 0) {
        drops = id === FIELD.forwardedFor ? forwarded !== 'keep' : distrusts;
        brought |= FORWARDED_BITS[id]!;
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
        // A client that takes one of these back did not send it: the splitter writes its own, and leaves out none.
        brought &= ~FORWARDED_BITS[id]!;
        if (edit !== null && equalsIgnoringCase(bytes, nameStart, nameEnd, COOKIE_NAME)) hasCookie = false;
      }
    }
    runStart = passLine(out, bytes, at, i, runStart, lineEnd, drops);
  }
  if (runStart < headEnd - 2) out.copy(bytes, runStart, headEnd - 2);
  if (set !== null) {
    if (isOneOf(set.names, COOKIE_NAME, 0, COOKIE_NAME.length)) hasCookie = false;
    out.text(set.linesFor(edit?.view ?? head));
  }
  if (edit !== null) writeEdit(out, edit, hasCookie);
  if (forwarded === 'append' || forwarded === 'replace') {
    const own = set === null ? 0 : set.forwarded;
    writeForwarded(out, head, own, forwarded === 'append' ? brought : 0, facts);
  }
  if (rewrite.via) out.text(`Via: 1.${head.minorVersion} ${VIA_NAME}\r\n`);
  writeConnection(out, bytes, framing, passesUpgrade);
}

function isHostReplaced(head: RequestHead, { host, hostText = null }: RequestRewrite): boolean {
  return host !== null || hostText !== null || head.authorityEnd > head.authorityStart;
}

/** Writes request line and Host where they change. Returns where the run of unchanged bytes starts. */
function writeStart(
  out: Output,
  head: RequestHead,
  rewrite: RequestRewrite,
  replacesHost: boolean,
  target: Uint8Array | null,
): number {
  const { bytes, fieldsStart } = head;
  const { host, hostText = null, authority } = rewrite;
  const isAbsolute = head.authorityEnd > head.authorityStart;
  let runStart = fieldsStart;
  if (!isAbsolute && head.minorVersion === 1 && target === null) runStart = head.methodStart;
  else {
    out.copy(bytes, head.methodStart, head.methodEnd);
    out.text(' ');
    if (target === null) out.copy(bytes, head.targetStart, head.targetEnd);
    else out.append(target);
    out.text(HTTP_1_1_LINE);
  }
  if (!replacesHost && head.hostEnd !== 0) return runStart;
  // Host comes first, as RFC 9110 §7.2 asks of the sender.
  if (runStart < fieldsStart) out.copy(bytes, runStart, fieldsStart);
  out.text('Host: ');
  if (hostText !== null) out.text(hostText.textFor(head));
  else if (host !== null) out.copy(host, 0, host.length);
  else if (isAbsolute) out.copy(bytes, head.authorityStart, head.authorityEnd);
  else out.copy(authority, 0, authority.length);
  out.text('\r\n');
  return fieldsStart;
}

/** What this hop says of framing and connection, and the empty line. */
function writeConnection(out: Output, bytes: Buffer, framing: RequestFraming, passesUpgrade: boolean): void {
  if (framing.body === BODY.chunked) out.text('Transfer-Encoding: chunked\r\n');
  if (passesUpgrade) {
    out.text('Connection: Upgrade\r\nUpgrade: ');
    out.copy(bytes, framing.upgradeStart, framing.upgradeEnd);
    out.text('\r\n');
  } else if (framing.takesTrailers) out.text('TE: trailers\r\nConnection: TE\r\n');
  out.text('\r\n');
}

function isEditedOut(edit: RequestEdit, bytes: Buffer, nameStart: number, nameEnd: number): boolean {
  if (edit.cookie !== null && equalsIgnoringCase(bytes, nameStart, nameEnd, COOKIE_NAME)) return true;
  return isOneOf(edit.droppedFields, bytes, nameStart, nameEnd);
}

/** Called after the client's own fields, so that nothing that Connection names can be one of these. */
function writeEdit(out: Output, { cookie, addedLines, requestId }: RequestEdit, hasCookie: boolean): void {
  if (hasCookie && cookie !== null && cookie.length > 0) {
    out.text('Cookie: ');
    out.append(cookie);
    out.text('\r\n');
  }
  if (addedLines !== '') out.text(addedLines);
  if (requestId === null) return;
  out.text('x-request-id: ');
  out.text(requestId);
  out.text('\r\n');
}

/** True for OPTIONS and TRACE, whose Max-Forwards every proxy counts down (RFC 9110 §7.6.2). */
export function isHopLimited(head: RequestHead): boolean {
  const method = head.bytes.toString('latin1', head.methodStart, head.methodEnd);
  return method === 'OPTIONS' || method === 'TRACE';
}

function writeMaxForwards(out: Output, value: string): void {
  // A value that is not a number limits nothing and goes no further.
  if (/^\d{1,9}$/.test(value)) out.text(`Max-Forwards: ${Number(value) - 1}\r\n`);
}

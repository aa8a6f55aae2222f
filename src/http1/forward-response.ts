// Writes the response head for the client in one canonical form, whatever the upstream's spelling. Field lines that pass
// unchanged are copied in runs, byte for byte. It knows nothing of sockets.
// Sources: RFC 9110 §7.6 and §15.2, RFC 9112 §9.

import { isOneOf, isSplitterField } from './field-names.ts';
import { FIELD } from './fields.ts';
import { BODY, type ResponseFraming } from './framing.ts';
import { HOP_BY_HOP, passLine, VIA_NAME } from './hop-by-hop.ts';
import type { Output } from './output.ts';
import type { ResponseHead } from './response-head.ts';

/** What the client's side of an exchange decides about the response head. */
export interface ResponseRewrite {
  /** HTTP minor version of the client. */
  minorVersion: number;
  /** How the body goes to the client: one of BODY. */
  body: number;
  /** The connection to the client persists. */
  keepAlive: boolean;
  via: boolean;
  /** Names, by `foldedName`, of the upstream's fields that are dropped from the head and from trailers; null for none. */
  droppedFields: readonly Uint8Array[] | null;
  /** Whole lines that the splitter adds, each with its CRLF. */
  addedLines: string;
  /** "Date: …" CRLF of now, for a response without one (RFC 9110 §6.6.1). */
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
      else drops = HOP_BY_HOP[id] === 1;
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

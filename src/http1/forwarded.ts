// The X-Forwarded fields of a request: which of them a client sent or the configuration sets, and what the splitter
// adds. Whether it adds any is the setting `forwarded`.

import { FIELD } from './fields.ts';
import type { Output } from './output.ts';
import type { RequestHead } from './request-head.ts';

/** The fields that `forwarded` is about, one bit for each. */
export const FORWARDED_FIELD: ReadonlyMap<string, number> = new Map([
  ['x-forwarded-for', 1],
  ['x-forwarded-proto', 2],
  ['x-forwarded-host', 4],
]);

/** The same bits by the ids of FIELD; 0 for every other field. */
export const FORWARDED_BITS = new Uint8Array(32);
FORWARDED_BITS[FIELD.forwardedFor] = 1;
FORWARDED_BITS[FIELD.forwardedProto] = 2;
FORWARDED_BITS[FIELD.forwardedHost] = 4;

/** What the splitter adds to the requests of one client connection. */
export interface ForwardedFacts {
  /** The client's address; empty on a Unix socket. */
  readonly address: string;
  /** The client's own connection uses TLS. */
  readonly isEncrypted: boolean;
  /** "X-Forwarded-For: ADDRESS" CRLF "X-Forwarded-Proto: http" CRLF, or https, for a request that brings neither. */
  readonly lines: Buffer;
}

/** What the splitter adds to the requests of a client at this address, "" on a Unix socket. */
export function forwardedFacts(address: string, isEncrypted: boolean): ForwardedFacts {
  const forwardedFor = address === '' ? '' : `X-Forwarded-For: ${address}\r\n`;
  return { address, isEncrypted, lines: Buffer.from(forwardedFor + protoLine(isEncrypted), 'latin1') };
}

const protoLine = (isEncrypted: boolean): string =>
  isEncrypted ? 'X-Forwarded-Proto: https\r\n' : 'X-Forwarded-Proto: http\r\n';

/**
 * Writes the fields that are missing. `set` are those that the configuration sets, `brought` those of the client that
 * pass or, with X-Forwarded-For, go into the new field: both bits of FORWARDED_FIELD.
 */
export function writeForwarded(
  out: Output,
  head: RequestHead,
  set: number,
  brought: number,
  facts: ForwardedFacts,
): void {
  const present = set | brought;
  if ((present & 3) === 0) out.copy(facts.lines, 0, facts.lines.length);
  else {
    if ((set & 1) === 0) writeForwardedFor(out, head, (brought & 1) !== 0, facts.address);
    if ((present & 2) === 0) out.text(protoLine(facts.isEncrypted));
  }
  if ((present & 4) !== 0) return;
  const isAbsolute = head.authorityEnd > head.authorityStart;
  const start = isAbsolute ? head.authorityStart : head.hostStart;
  const end = isAbsolute ? head.authorityEnd : head.hostEnd;
  if (end === start) return;
  out.text('X-Forwarded-Host: ');
  out.copy(head.bytes, start, end);
  out.text('\r\n');
}

function writeForwardedFor(out: Output, head: RequestHead, extendsField: boolean, address: string): void {
  if (!extendsField) {
    if (address !== '') out.text(`X-Forwarded-For: ${address}\r\n`);
    return;
  }
  const { bytes, at, ids, count } = head;
  out.text('X-Forwarded-For: ');
  let separator = '';
  for (let i = 0; i < count; i++) {
    if (ids[i] !== FIELD.forwardedFor || at[i * 4 + 2] === at[i * 4 + 3]) continue;
    out.text(separator);
    out.copy(bytes, at[i * 4 + 2]!, at[i * 4 + 3]!);
    separator = ', ';
  }
  if (address !== '') out.text(separator + address);
  out.text('\r\n');
}

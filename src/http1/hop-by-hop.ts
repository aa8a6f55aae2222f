// What forwarding a head has in common in both directions: the fields of one hop, and how a line that passes is copied.
// Source: RFC 9110 §7.6.

import { SP } from '../bytes.ts';
import { FIELD } from './fields.ts';
import type { Output } from './output.ts';

/** How the splitter names itself in Via. */
export const VIA_NAME = 'request-splitter';

/** By the ids of FIELD: 1 for a field that belongs to one connection alone and goes no further (RFC 9110 §7.6.1). */
export const HOP_BY_HOP = new Uint8Array(32);
for (const id of [
  FIELD.connection,
  FIELD.keepAlive,
  FIELD.proxyConnection,
  FIELD.te,
  FIELD.transferEncoding,
  FIELD.upgrade,
]) {
  HOP_BY_HOP[id] = 1;
}
/**
 * Keeps, rewrites or drops line `i`. Unchanged lines are copied in runs: `runStart` is where the current one starts, and the
 * result is where it starts after this line.
 */
export function passLine(
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

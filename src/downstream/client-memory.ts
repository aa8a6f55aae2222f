// What clients' bytes are read into, and how much of a read stays until its exchange has ended: of a small one all, of a
// large one the head alone, because most of it is a body that goes on from where it is. It knows no connection.
// Source: docs/performance.md.

import { ReadMemory } from '../transport/read-memory.ts';

/**
 * All clients' bytes are read into this, one read at a time. In front there is room for a head that has grown, so that it
 * leaves with the body in one write.
 */
export const clientMemory = new ReadMemory(65_536, 1024);
export const HEAD_END = '\r\n\r\n';
/** Bytes up to this many that come together are kept together. */
const KEPT_WHOLE_MAX = 16_384;

/** The position up to which bytes[from, to), which begin with a head, are kept: `to`, or where the head ends. */
export function keptEnd(bytes: Buffer, from: number, to: number): number {
  if (to - from <= KEPT_WHOLE_MAX) return to;
  const end = bytes.indexOf(HEAD_END, from, 'latin1') + HEAD_END.length;
  return end < HEAD_END.length || end > to ? to : end;
}

// Outputs that wires have written out and that the next ones gather in: new memory for each answer would cost more than the
// answer's bytes. It keeps a limited number, and none that has grown far.

import { Output } from '../http1/output.ts';

/** First size of an Output. */
const OUTPUT_BYTES = 2048;
/** Size of one for bodies: what an upstream brings in one read, with a head or the framing of a chunk. */
const LARGE_OUTPUT_BYTES = 135_168;
/** Most Outputs that are kept, as many as wires gather in a turn of a busy process; of those that have grown; of large ones. */
const SPARE_OUTPUTS_MAX = 1024;
const SPARE_GROWN_MAX = 64;
const SPARE_LARGE_MAX = 16;
/** One that grew further is not kept at all. */
const GROWN_BYTES_MAX = 65_536;

const spareOutputs: Output[] = [];
const spareLarge: Output[] = [];

/** An empty one, until it is given back. */
export function takeOutput(): Output {
  return spareOutputs.pop() ?? new Output(OUTPUT_BYTES);
}

/** `small`, or a large one with the same bytes if that is no large one itself; `small` is given back then. */
export function enlarge(small: Output): Output {
  if (small.bytes.length >= LARGE_OUTPUT_BYTES) return small;
  const large = spareLarge.pop() ?? new Output(LARGE_OUTPUT_BYTES);
  large.copy(small.bytes, 0, small.length);
  giveBack(small);
  return large;
}

/** Nothing uses its bytes any more. */
export function giveBack(out: Output): void {
  out.clear();
  const { length } = out.bytes;
  if (length === LARGE_OUTPUT_BYTES) {
    if (spareLarge.length < SPARE_LARGE_MAX) spareLarge.push(out);
    return;
  }
  const keptMax = length === OUTPUT_BYTES ? SPARE_OUTPUTS_MAX : SPARE_GROWN_MAX;
  if (spareOutputs.length < keptMax && length <= GROWN_BYTES_MAX) spareOutputs.push(out);
}

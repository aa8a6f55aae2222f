// Outputs that wires have written out and that the next ones gather in: one that is new for each answer would cost more than
// the answer's bytes. It keeps a limited number, and none that has grown far.

import { Output } from '../http1/output.ts';

/** First size of an Output. */
const OUTPUT_BYTES = 2048;
/** Most Outputs that are kept, as many as wires gather in a turn of a busy process; and of those that have grown. */
const SPARE_OUTPUTS_MAX = 1024;
const SPARE_GROWN_MAX = 64;
/** One that grew further is not kept at all. */
const GROWN_BYTES_MAX = 65_536;

const spareOutputs: Output[] = [];

/** An empty one, until it is given back. */
export function takeOutput(): Output {
  return spareOutputs.pop() ?? new Output(OUTPUT_BYTES);
}

/** Nothing uses its bytes any more. */
export function giveBack(out: Output): void {
  out.clear();
  const keptMax = out.bytes.length === OUTPUT_BYTES ? SPARE_OUTPUTS_MAX : SPARE_GROWN_MAX;
  if (spareOutputs.length < keptMax && out.bytes.length <= GROWN_BYTES_MAX) spareOutputs.push(out);
}

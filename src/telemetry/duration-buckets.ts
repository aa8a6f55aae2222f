// Finds the bucket of a duration among the bounds of the duration histogram. Hot path: one count of leading zeros and one
// comparison.

import { DURATION_BOUNDS_SECONDS } from './counts.ts';

const BOUNDS_US = Float64Array.from(DURATION_BOUNDS_SECONDS, (seconds) => Math.round(seconds * 1e6));
const LAST_BOUND_US = BOUNDS_US.at(-1)!;

// FIRST_BUCKET[bits] = bucket of the smallest duration that needs so many bits. Two neighbouring bounds are at least
// a factor of 2 apart, so a duration with that many bits is in this bucket or in the next: one comparison finds it.
const FIRST_BUCKET = Uint8Array.from({ length: 33 }, (_, bits) => {
  const smallest = bits === 0 ? 0 : 2 ** (bits - 1);
  const index = BOUNDS_US.findIndex((bound) => smallest <= bound);
  return index === -1 ? BOUNDS_US.length : index;
});

/** Bucket of a duration in whole microseconds; the last one, `DURATION_BOUNDS_SECONDS.length`, is "+Inf". */
export function findBucket(durationUs: number): number {
  if (durationUs > LAST_BOUND_US) return BOUNDS_US.length;
  const bucket = FIRST_BUCKET[32 - Math.clz32(durationUs)]!;
  return durationUs > BOUNDS_US[bucket]! ? bucket + 1 : bucket;
}

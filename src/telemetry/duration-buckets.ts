// The buckets of the duration histogram. A process sets their bounds once, before it makes its first row; the cells of a row
// have room for the most bounds that there may be. Hot path: one count of leading zeros, and one comparison for each bound
// between the power of two below the duration and the duration.

import { DURATION_BOUNDS_DEFAULT_MS, DURATION_BOUNDS_MAX } from '../config/duration-bounds.ts';

/** Cells of a row: one for each bound, and "+Inf". */
export const BUCKETS_MAX = DURATION_BOUNDS_MAX + 1;

const BOUNDS_US = new Float64Array(DURATION_BOUNDS_MAX);
/** FIRST_BUCKET[bits] = bucket of the smallest duration that needs so many bits. */
const FIRST_BUCKET = new Uint8Array(33);
let boundCount = 0;
let lastBoundUs = 0;
let boundsSeconds: readonly number[] = [];

/** Sets the bounds of this process. @param boundsMs ascending, DURATION_BOUNDS_MAX at most, an hour at most */
export function setDurationBounds(boundsMs: readonly number[]): void {
  boundCount = boundsMs.length;
  for (const [at, ms] of boundsMs.entries()) BOUNDS_US[at] = Math.round(ms * 1000);
  lastBoundUs = BOUNDS_US[boundCount - 1]!;
  boundsSeconds = Array.from(BOUNDS_US.subarray(0, boundCount), (us) => us / 1e6);
  for (let bits = 0; bits < FIRST_BUCKET.length; bits += 1) {
    const smallest = bits === 0 ? 0 : 2 ** (bits - 1);
    const index = BOUNDS_US.subarray(0, boundCount).findIndex((bound) => smallest <= bound);
    FIRST_BUCKET[bits] = index === -1 ? boundCount : index;
  }
}

setDurationBounds(DURATION_BOUNDS_DEFAULT_MS);

/** Upper bounds of this process in seconds, "+Inf" left out. */
export function durationBoundsSeconds(): readonly number[] {
  return boundsSeconds;
}

/** Bucket of a duration in whole microseconds; the one after the last bound is "+Inf". */
export function findBucket(durationUs: number): number {
  if (durationUs > lastBoundUs) return boundCount;
  let bucket = FIRST_BUCKET[32 - Math.clz32(durationUs)]!;
  while (durationUs > BOUNDS_US[bucket]!) bucket += 1;
  return bucket;
}

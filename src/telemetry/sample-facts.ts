// What the judge of a sample is given: the numbers of all variants, read at one moment, as variants that are read later would
// have more keys. What follows from them is worked out in pieces.

import type { VariantFacts } from '../trust/judge.ts';
import { STEPS_A_PIECE, type WorkInPieces } from '../turns.ts';
import type { EpochCounters } from './epoch.ts';
import type { KeySet } from './key-set.ts';

/** What is added up for each group of keys: exchanges, good answers, logarithms of their durations, clients that left. */
export const KEY_SUMS = { requests: 0, answers: 1, logDurations: 2, left: 3 } as const;
export const KEY_SUMS_COUNT = 4;
/** Logarithms are added up in whole parts of this size: sums of integers are the same in any order. */
export const LOG_PARTS = 4096;

/** What of a sample is read. */
interface CountedSample {
  readonly variants: readonly { readonly name: string; readonly share: number }[];
  readonly assigned: KeySet;
  readonly answered: KeySet;
  readonly failed: KeySet;
  readonly rows: readonly EpochCounters[];
  /** KEY_SUMS_COUNT sums for each group of each variant. */
  readonly sums: Float64Array;
}

/** The facts of each variant, of the moment of the first piece. */
export function* readFacts(sample: CountedSample): WorkInPieces<VariantFacts[]> {
  const { variants, rows } = sample;
  const [assigned, answered, failed] = [
    sample.assigned.still(),
    sample.answered.still(),
    sample.failed.still(),
  ];
  const sums = sample.sums.slice();
  const counted = rows.map(({ keyless, overrides, fallbacks, preflights, others }) => {
    return { keyless, fallbacks, outside: keyless + overrides + fallbacks + preflights + others };
  });
  yield;
  const groups = 2 ** sample.assigned.groupBits;
  const cells = variants.length * groups;
  // One array for each sum of all variants: small ones for each variant are much work for the garbage collector.
  const [keys, requests, answers, logDurations, left] = Array.from(
    { length: 1 + KEY_SUMS_COUNT },
    () => new Float64Array(cells),
  ) as [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
  const facts: VariantFacts[] = [];
  for (const [index, { name, share }] of variants.entries()) {
    const [first, end] = [index * groups, (index + 1) * groups];
    for (let cell = first, at = first * KEY_SUMS_COUNT; cell < end; cell += 1, at += KEY_SUMS_COUNT) {
      requests[cell] = sums[at + KEY_SUMS.requests]!;
      answers[cell] = sums[at + KEY_SUMS.answers]!;
      logDurations[cell] = sums[at + KEY_SUMS.logDurations]! / LOG_PARTS;
      left[cell] = sums[at + KEY_SUMS.left]!;
    }
    facts.push({
      name,
      share,
      assigned: assigned.count(index),
      answered: answered.count(index),
      failed: failed.count(index),
      groupKeys: assigned.groups(index, keys.subarray(first, end)),
      requests: requests.subarray(first, end),
      answers: answers.subarray(first, end),
      logDurations: logDurations.subarray(first, end),
      left: left.subarray(first, end),
      ...counted[index]!,
    });
    if (facts.length % STEPS_A_PIECE === 0) yield;
  }
  return facts;
}

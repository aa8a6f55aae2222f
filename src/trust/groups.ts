// Estimates ratios per key, such as requests per key, with an error that holds however unequal keys are: keys are in groups
// by their hash, and how much the groups differ says how much chance there is in their sum. Finds the groups that hold robots.
// Source: Deng, Knoblich and Lu, "Applying the Delta Method in Metric Analytics" (KDD 2018, arXiv:1803.06336). Pure.

import type { Difference } from './difference.ts';

/** A numerator and a denominator for each group. */
export interface RatioTerms {
  readonly over: Float64Array;
  readonly under: Float64Array;
  /** Keys of all groups together. */
  readonly keys: number;
}

/** A group that sends so many times what the median group sends holds a robot. */
const ROBOT_FACTOR = 10;
/** The least for which that can be said: keys a group on average, and requests of the median group. */
const ROBOT_KEYS_MIN = 5;
const ROBOT_REQUESTS_MIN = 5;
const NO_ROBOTS: readonly number[] = [];
/** Keys a group on average, below which nothing is compared. */
const COMPARED_KEYS_MIN = 2;

/** The groups of a variant that hold robots, by position. @param requests of each group */
export function findRobots(requests: Float64Array, keys: number): readonly number[] {
  if (keys / requests.length < ROBOT_KEYS_MIN) return NO_ROBOTS;
  const mean = requests.reduce((sum, count) => sum + count, 0) / requests.length;
  // Cheaper than a median, and only groups that are far above the mean can be far above the median.
  if (!requests.some((count) => count > (ROBOT_FACTOR / 4) * mean)) return NO_ROBOTS;
  const median = medianOf(requests);
  if (median < ROBOT_REQUESTS_MIN) return NO_ROBOTS;
  return [...requests.keys()].filter((group) => requests[group]! > ROBOT_FACTOR * median);
}

/** Requests of these groups beyond those of the median group: what their robots have sent. */
export function requestsOfRobots(requests: Float64Array, robots: readonly number[]): number {
  if (robots.length === 0) return 0;
  const median = medianOf(requests);
  return robots.reduce((sum, group) => sum + requests[group]! - median, 0);
}

function medianOf(values: Float64Array): number {
  return values.length === 0 ? 0 : values.toSorted()[values.length >> 1]!;
}

/** The ratio of two groupings, and the variance of it. */
function ratioOf({ over, under }: RatioTerms, isLeftOut: Uint8Array | null) {
  let [sumOver, total, groups] = [0, 0, 0];
  for (let group = 0; group < over.length; group += 1) {
    if (isLeftOut !== null && isLeftOut[group] === 1) continue;
    sumOver += over[group]!;
    total += under[group]!;
    groups += 1;
  }
  const ratio = total > 0 ? sumOver / total : 0;
  let squares = 0;
  for (let group = 0; group < over.length; group += 1) {
    if (isLeftOut !== null && isLeftOut[group] === 1) continue;
    squares += (over[group]! - ratio * under[group]!) ** 2;
  }
  return { ratio, variance: total > 0 ? (squares * groups) / (groups - 1) / total ** 2 : 0, groups };
}

/**
 * How much larger the ratio of `second` is than that of `first`; null while there are too few keys to compare.
 * @param isLeftOut 1 for groups that do not count; null = all count
 */
export function ratioDifference(
  first: RatioTerms,
  second: RatioTerms,
  isLeftOut: Uint8Array | null = null,
): Difference | null {
  return difference(first, second, isLeftOut, false);
}

/** The logarithm of how many times as large it is; null also where one of them is zero. */
export function logRatioDifference(
  first: RatioTerms,
  second: RatioTerms,
  isLeftOut: Uint8Array | null = null,
): Difference | null {
  return difference(first, second, isLeftOut, true);
}

function difference(
  first: RatioTerms,
  second: RatioTerms,
  isLeftOut: Uint8Array | null,
  isOfLogarithms: boolean,
): Difference | null {
  if (Math.min(first.keys, second.keys) < COMPARED_KEYS_MIN * first.over.length) return null;
  const [one, other] = [ratioOf(first, isLeftOut), ratioOf(second, isLeftOut)];
  const value = isOfLogarithms ? Math.log(other.ratio / one.ratio) : other.ratio - one.ratio;
  const oneVariance = isOfLogarithms ? one.variance / one.ratio ** 2 : one.variance;
  const otherVariance = isOfLogarithms ? other.variance / other.ratio ** 2 : other.variance;
  const variance = oneVariance + otherVariance;
  if (!Number.isFinite(value) || !(variance > 0)) return null;
  return {
    value,
    standardError: Math.sqrt(variance),
    keys: 1 / (1 / first.keys + 1 / second.keys),
    // Welch and Satterthwaite.
    degrees:
      variance ** 2 /
      ((oneVariance ** 2 + otherVariance ** 2) / Math.max(1, Math.min(one.groups, other.groups) - 1)),
  };
}

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
/** Keys a group on average, below which nothing is compared. */
const COMPARED_KEYS_MIN = 2;

/** The groups of a variant that hold robots, by position. @param requests of each group */
export function findRobots(requests: Float64Array, keys: number): number[] {
  const median = medianOf(requests);
  if (keys / requests.length < ROBOT_KEYS_MIN || median < ROBOT_REQUESTS_MIN) return [];
  return [...requests.keys()].filter((group) => requests[group]! > ROBOT_FACTOR * median);
}

/** Requests of these groups beyond those of the median group: what their robots have sent. */
export function requestsOfRobots(requests: Float64Array, robots: readonly number[]): number {
  const median = medianOf(requests);
  return robots.reduce((sum, group) => sum + requests[group]! - median, 0);
}

function medianOf(values: Float64Array): number {
  return values.length === 0 ? 0 : values.toSorted()[values.length >> 1]!;
}

/** The ratio of two groupings, and the variance of it. */
function ratioOf({ over, under }: RatioTerms): { readonly ratio: number; readonly variance: number } {
  const total = sumOf(under);
  const ratio = total > 0 ? sumOf(over) / total : 0;
  let squares = 0;
  for (let group = 0; group < over.length; group += 1) {
    squares += (over[group]! - ratio * under[group]!) ** 2;
  }
  const variance = total > 0 ? (squares * over.length) / (over.length - 1) / total ** 2 : 0;
  return { ratio, variance };
}

function sumOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** How much larger the ratio of `second` is than that of `first`; null while there are too few keys to compare. */
export function ratioDifference(first: RatioTerms, second: RatioTerms): Difference | null {
  return difference(first, second, ({ ratio, variance }) => ({ value: ratio, variance }));
}

/** The logarithm of how many times as large it is; null also where one of them is zero. */
export function logRatioDifference(first: RatioTerms, second: RatioTerms): Difference | null {
  return difference(first, second, ({ ratio, variance }) => ({
    value: Math.log(ratio),
    variance: variance / ratio ** 2,
  }));
}

type EstimateOf = (one: ReturnType<typeof ratioOf>) => { readonly value: number; readonly variance: number };

function difference(first: RatioTerms, second: RatioTerms, estimate: EstimateOf): Difference | null {
  if (Math.min(first.keys, second.keys) < COMPARED_KEYS_MIN * first.over.length) return null;
  const [one, other] = [estimate(ratioOf(first)), estimate(ratioOf(second))];
  const variance = one.variance + other.variance;
  if (!Number.isFinite(one.value - other.value) || !(variance > 0)) return null;
  return {
    value: other.value - one.value,
    standardError: Math.sqrt(variance),
    keys: 1 / (1 / first.keys + 1 / second.keys),
    // Welch and Satterthwaite.
    degrees:
      variance ** 2 /
      (one.variance ** 2 / (first.over.length - 1) + other.variance ** 2 / (second.over.length - 1)),
  };
}

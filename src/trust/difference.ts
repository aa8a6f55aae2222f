// Compares two variants by an estimate with its standard error: evidence that they differ, and an interval for the
// difference, both valid at every moment at once. The e-value is that of a normal mixture around "no difference" (Robbins
// 1970; Howard et al. 2021, arXiv:1810.08240); where the standard error is itself an estimate, that of Student's t (Wang and
// Ramdas, arXiv:2310.03722, the scale-invariant mixture). All e-values are natural logarithms. Pure.

import { PRIOR_KEYS } from './evidence.ts';

/** An estimated difference between two groups of keys. */
export interface Difference {
  readonly value: number;
  readonly standardError: number;
  /** 1 / (1/n + 1/m) of the two groups: keys that a single group would have for the same precision. */
  readonly keys: number;
  /** Degrees of freedom of `standardError`; Infinity where it follows from the estimate itself. */
  readonly degrees: number;
}

/** What a difference may be, at a given confidence; infinite while there are too few keys to tell. */
export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/** Two equal groups of n keys together weigh n/4: the prior is that of the shares. */
const PRIOR_PAIR_KEYS = PRIOR_KEYS / 4;

/** Evidence that the difference is not `from`; 0 when nothing can be said. */
export function differenceLogEvidence(difference: Difference, from = 0): number {
  const { value, standardError, keys, degrees } = difference;
  if (!(standardError > 0) || !(keys > 0) || degrees <= 0) return 0;
  const weight = 1 + keys / PRIOR_PAIR_KEYS;
  const square = ((value - from) / standardError) ** 2;
  const gain = Number.isFinite(degrees)
    ? ((degrees + 1) / 2) * (Math.log1p(square / degrees) - Math.log1p(square / (degrees * weight)))
    : (square / 2) * (1 - 1 / weight);
  return gain - Math.log(weight) / 2;
}

/**
 * All differences against which the evidence is below 1 / `alpha`: the true one is outside with a probability of `alpha` at
 * most, at any moment of a sample's life.
 */
export function differenceInterval(difference: Difference, alpha: number): Interval {
  const { value, standardError, keys, degrees } = difference;
  const nothing = { lower: Number.NEGATIVE_INFINITY, upper: Number.POSITIVE_INFINITY };
  if (!(standardError > 0) || !(keys > 0) || degrees <= 0) return nothing;
  const weight = 1 + keys / PRIOR_PAIR_KEYS;
  const log = Math.log(weight) / 2 - Math.log(alpha);
  let square: number;
  if (Number.isFinite(degrees)) {
    const ratio = Math.exp((2 * log) / (degrees + 1));
    if (ratio >= weight) return nothing;
    square = (degrees * (ratio - 1)) / (1 - ratio / weight);
  } else {
    square = (2 * log) / (1 - 1 / weight);
  }
  const reach = standardError * Math.sqrt(square);
  return { lower: value - reach, upper: value + reach };
}

/** Keys of a group, and how many of them had something. Standard errors are those of counting, in keys. */
export interface Proportion {
  readonly keys: number;
  readonly keysError: number;
  readonly hits: number;
  readonly hitsError: number;
}

/**
 * How much larger the proportion of `second` is than that of `first`. The variance of each is that of (hits + 1) / (keys + 2),
 * so that no hit at all is no certainty (Agresti and Caffo 2000), and that of counting.
 */
export function proportionDifference(first: Proportion, second: Proportion): Difference {
  const keys = 1 / (1 / first.keys + 1 / second.keys);
  return {
    value: partOf(second) - partOf(first),
    standardError: Math.sqrt(varianceOf(first) + varianceOf(second)),
    keys: Number.isFinite(keys) ? keys : 0,
    degrees: Number.POSITIVE_INFINITY,
  };
}

function partOf({ keys, hits }: Proportion): number {
  return keys > 0 ? Math.min(1, hits / keys) : 0;
}

function varianceOf(group: Proportion): number {
  const { keys, keysError, hits, hitsError } = group;
  if (keys <= 0) return 0;
  const smoothed = (Math.min(hits, keys) + 1) / (keys + 2);
  const counting = (hitsError / keys) ** 2 + (partOf(group) * (keysError / keys)) ** 2;
  return (smoothed * (1 - smoothed)) / keys + counting;
}

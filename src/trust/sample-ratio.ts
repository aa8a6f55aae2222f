// Tests whether the variants of a split have the keys that their shares promise: Pearson's chi-square test on unique keys,
// widened by the error with which they were counted (without that a HyperLogLog raises false alarms from 100,000 keys
// on). A mismatch means that the sample cannot be trusted, whatever it says. Sources: Fabijan et al., "Diagnosing Sample
// Ratio Mismatch in Online Controlled Experiments" (KDD 2019); Press et al., Numerical Recipes, §6.2.

import type { ShareCell } from './evidence.ts';
import { logGamma } from './gamma.ts';

/** What the test says. */
export interface SampleVerdict {
  /** Probability of a sample at least this far off if all is well; null while there are too few keys to tell. */
  readonly pValue: number | null;
  /** Largest distance of an observed from its intended share, relative to the intended one; null without keys. */
  readonly deviationRatio: number | null;
  /** True when both limits are passed: p below 0.001 and a deviation of 0.1 % or more. */
  readonly isMismatch: boolean;
}

/** Below this p-value a mismatch is called one. */
const P_VALUE_MAX = 0.001;
/** A smaller deviation is called none, however sure it is. */
const DEVIATION_RATIO_MIN = 0.001;

/** Chi-square is an approximation that needs this many expected keys in each cell (Cochran 1954). */
const EXPECTED_KEYS_MIN = 5;

/** Tests a sample. Variants without a share (parked ones) are left out: any key of theirs was forced there. */
export function testSampleRatio(cells: readonly ShareCell[]): SampleVerdict {
  const sharing = cells.filter(({ share }) => share > 0);
  const total = sharing.reduce((sum, { keys }) => sum + keys, 0);
  if (total === 0) return { pValue: null, deviationRatio: null, isMismatch: false };
  const shares = sharing.reduce((sum, { share }) => sum + share, 0);
  const deviationRatio = Math.max(
    ...sharing.map(({ share, keys }) => Math.abs(keys / total / (share / shares) - 1)),
  );
  const pooled = poolSmallCells(sharing, total / shares);
  if (pooled.length < 2) return { pValue: null, deviationRatio, isMismatch: false };
  const pValue = chiSquareTail(distance(pooled, total / shares), pooled.length - 1);
  return {
    pValue,
    deviationRatio,
    isMismatch: pValue < P_VALUE_MAX && deviationRatio >= DEVIATION_RATIO_MIN,
  };
}

/** Cells with the smallest ones added up until each has enough expected keys; one cell or none when there are too few. */
function poolSmallCells(cells: readonly ShareCell[], total: number): ShareCell[] {
  const pooled: ShareCell[] = [];
  let rest: ShareCell = { share: 0, keys: 0, standardError: 0 };
  for (const cell of [...cells].sort((a, b) => a.share - b.share)) {
    rest = {
      share: rest.share + cell.share,
      keys: rest.keys + cell.keys,
      standardError: Math.hypot(rest.standardError, cell.standardError),
    };
    if (rest.share * total < EXPECTED_KEYS_MIN) continue;
    pooled.push(rest);
    rest = { share: 0, keys: 0, standardError: 0 };
  }
  return pooled;
}

/**
 * Distance of the sample from its shares, distributed as chi-square with one degree of freedom less than there are cells.
 * Each count varies by chance (variance = expected keys) and by its counting error; the total is fitted with these weights.
 * With exact counts this is Pearson's statistic.
 */
function distance(cells: readonly ShareCell[], total: number): number {
  const variance = ({ share, standardError }: ShareCell) => share * total + standardError ** 2;
  let weighted = 0;
  let weights = 0;
  for (const cell of cells) {
    weighted += (cell.share * cell.keys) / variance(cell);
    weights += cell.share ** 2 / variance(cell);
  }
  const fitted = weighted / weights;
  return cells.reduce((sum, cell) => sum + (cell.keys - fitted * cell.share) ** 2 / variance(cell), 0);
}

/** Probability that a chi-square value with these degrees of freedom is `value` or more. */
export function chiSquareTail(value: number, degrees: number): number {
  return upperGamma(degrees / 2, value / 2);
}

const ITERATIONS_MAX = 10_000;
const EPSILON = 2 ** -52;
const TINY = 1e-300;

/** Regularised upper incomplete gamma function Q(a, x): a series below a + 1, Lentz's continued fraction above. */
function upperGamma(a: number, x: number): number {
  if (x <= 0) return 1;
  const scale = Math.exp(a * Math.log(x) - x - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < ITERATIONS_MAX && term > sum * EPSILON; n += 1) {
      term *= x / (a + n);
      sum += term;
    }
    return Math.max(0, 1 - sum * scale);
  }
  let b = x + 1 - a;
  let c = 1 / TINY;
  let d = 1 / b;
  let fraction = d;
  for (let n = 1; n < ITERATIONS_MAX; n += 1) {
    const numerator = -n * (n - a);
    b += 2;
    d = 1 / notZero(numerator * d + b);
    c = notZero(b + numerator / c);
    fraction *= d * c;
    if (Math.abs(d * c - 1) <= EPSILON) break;
  }
  return fraction * scale;
}

const notZero = (value: number) => (Math.abs(value) < TINY ? TINY : value);

// Weighs what speaks against a hypothesis so that it may be watched at every moment: an e-value, whose expectation never
// exceeds 1 while the hypothesis holds, so that it ever reaches 1/alpha with a probability of alpha at most (Ville 1939).
// For the shares of a split: M. Lindon and A. Malek, "Anytime-Valid Inference for Multinomial Count Data" (NeurIPS 2022,
// arXiv:2011.03567). All e-values here are natural logarithms. Pure.

import { HALF_LOG_TWO_PI, logGamma, stirlingRest } from './gamma.ts';

/** How far a verdict goes: nothing to see, worth a look, do not trust it or do not go on. */
export const ALARM_LEVELS = ['none', 'look', 'stop'] as const;
export type Level = (typeof ALARM_LEVELS)[number];

/** Evidence that is worth a look: chance alone ever brings it in one of 100 samples. */
const LOOK_LOG_EVIDENCE = Math.log(100);
/** Evidence that says stop: chance alone ever brings it in one of 1,000 samples. */
const STOP_LOG_EVIDENCE = Math.log(1000);

/** The level of evidence, where `isLarge` = the effect is large enough to matter; one that is not is worth a look at most. */
export function levelOf(logEvidence: number, isLarge = true): Level {
  if (logEvidence >= STOP_LOG_EVIDENCE && isLarge) return 'stop';
  return logEvidence >= LOOK_LOG_EVIDENCE ? 'look' : 'none';
}

/**
 * Keys that the prior of the alternative weighs as much as. A larger number finds small deviations earlier and large ones
 * later; with 1,000 a share of 50.5 % in place of 50 % takes some 170,000 keys, one of 52 % some 11,000.
 */
export const PRIOR_KEYS = 1000;

/** One variant of a sample. */
export interface ShareCell {
  /** Its share of all keys, from 0 to 1. Cells without a share are left out. */
  readonly share: number;
  readonly keys: number;
  /** Standard error of `keys` from the way of counting, in keys; 0 for an exact count. */
  readonly standardError: number;
}

/**
 * Evidence that keys do not fall to the cells by their shares: the logarithm of the Bayes factor of a Dirichlet
 * alternative around the shares (`priorKeys` times the shares) against the shares. Exact counts give the published formula. A
 * counting error acts like more keys that fall exactly by the shares: so many that each cell varies by chance as much as by
 * chance and error together. 0 without keys and with less than two cells.
 */
export function shareLogEvidence(cells: readonly ShareCell[], priorKeys = PRIOR_KEYS): number {
  const sharing = cells.filter(({ share }) => share > 0);
  const shares = sharing.reduce((sum, { share }) => sum + share, 0);
  const counted = sharing.reduce((sum, { keys }) => sum + keys, 0);
  if (sharing.length < 2 || counted <= 0) return 0;
  const ratios = sharing.map(({ share }) => share / shares);
  const noise = Math.max(...sharing.map(({ standardError }, at) => standardError ** 2 / ratios[at]!));
  const total = priorKeys + counted + noise;
  // Γ(k)/Γ(k + n) Π Γ(kθ + x)/Γ(kθ) θ^-x, by Stirling's series around its largest terms, which cancel: as a difference of
  // logarithms of Γ it would lose all digits at a billion keys.
  let log = 0.5 * Math.log(total) - stirlingRest(total) + logGamma(priorKeys);
  log += (ratios.length - 1) * HALF_LOG_TWO_PI;
  for (const [at, ratio] of ratios.entries()) {
    const expected = total * ratio;
    const prior = priorKeys * ratio;
    const value = prior + sharing[at]!.keys + noise * ratio;
    const off = (sharing[at]!.keys - counted * ratio) / expected;
    log += expected * ((1 + off) * Math.log1p(off) - off) - 0.5 * Math.log(value) + stirlingRest(value);
    log += prior * Math.log(ratio) - logGamma(prior);
  }
  return log;
}

// Whether a guard stops its split: two questions for each variant, asked at every look. Is it worse by as much as the
// configuration says, and is that beyond doubt? The doubt is about keys: under equal variants each key that meets a failure
// (or a slow response) belongs to one of two variants by their shares, whatever the rate of failures is, so the evidence
// of evidence.ts may be watched at every moment. Pure.

import type { GuardConfig } from '../config/options/experiment.ts';
import { type ShareCell, shareLogEvidence } from './evidence.ts';

/** What a guard knows of one variant since its window began. */
export interface GuardArm {
  readonly name: string;
  /** Part of all keys that it owns, from 0 to 1. */
  readonly share: number;
  readonly keys: number;
  /** Keys that met a failure, and its standard error from the way of counting. */
  readonly failed: number;
  readonly failedError: number;
  /** Keys that met a response slower than the limit of the window. */
  readonly slow: number;
  readonly slowError: number;
  /** The configured quantile of its durations in milliseconds; null while there are too few. */
  readonly quantileMs: number | null;
}

/** Why a split was stopped. */
export interface GuardFinding {
  readonly variant: string;
  readonly against: string;
  readonly kind: 'errors' | 'slow';
  /** Parts of the keys that met a failure, from 0 to 1; for `slow` the quantiles in milliseconds. */
  readonly value: number;
  readonly againstValue: number;
  readonly keys: number;
  readonly againstKeys: number;
}

/** A failure is rarer than a key: the alternative weighs as much as this many of them. */
const PRIOR_FAILURES = 20;

/**
 * The first variant that is worse beyond doubt; null for none. `window` counts from 1: all windows together stop a split with equal
 * variants with a probability of `alpha` at most, because the k-th has 6 / (pi k)^2 of it.
 */
export function judgeGuard(
  { errors, slow, minimumKeys, alpha }: GuardConfig,
  arms: readonly GuardArm[],
  against: GuardArm,
  window: number,
): GuardFinding | null {
  if (against.keys < minimumKeys || against.share <= 0) return null;
  const others = arms.filter(({ name, share }) => name !== against.name && share > 0);
  const questions = others.length * (Number(errors !== undefined) + Number(slow !== undefined));
  const level = ((alpha / 10_000) * 6) / (Math.PI * window) ** 2 / questions;
  for (const arm of others) {
    if (arm.keys < minimumKeys) continue;
    const facts = {
      variant: arm.name,
      against: against.name,
      keys: Math.round(arm.keys),
      againstKeys: Math.round(against.keys),
    };
    const [value, againstValue] = [arm.failed / arm.keys, against.failed / against.keys];
    if (errors !== undefined && value - againstValue >= errors.worseBy / 10_000) {
      const cells = [cellOf(arm, 'failed'), cellOf(against, 'failed')];
      if (isBeyondDoubt(cells, level)) return { ...facts, kind: 'errors', value, againstValue };
    }
    if (slow === undefined || arm.quantileMs === null || against.quantileMs === null) continue;
    if (arm.quantileMs < against.quantileMs * (1 + slow.worseBy / 100)) continue;
    if (!isBeyondDoubt([cellOf(arm, 'slow'), cellOf(against, 'slow')], level)) continue;
    return { ...facts, kind: 'slow', value: arm.quantileMs, againstValue: against.quantileMs };
  }
  return null;
}

function cellOf(arm: GuardArm, what: 'failed' | 'slow'): ShareCell {
  return { share: arm.share, keys: arm[what], standardError: arm[`${what}Error`] };
}

/** True when the first cell has more keys than its share, and that is no chance at this level. */
function isBeyondDoubt([first, second]: readonly ShareCell[], level: number): boolean {
  if (first!.keys * second!.share <= second!.keys * first!.share) return false;
  return shareLogEvidence([first!, second!], PRIOR_FAILURES) >= -Math.log(level);
}

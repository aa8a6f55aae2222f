// One look at the window of a guard: what its counts say of each variant, and whether the window has to end. The process
// that serves, the primary of workers and the fleet look alike, each at what it has counted or taken in. Pure but for the
// limit of slow responses, which it sets once.

import type { GuardConfig } from '../config/options/experiment.ts';
import { type GuardArm, type GuardFinding, judgeGuard } from '../trust/guard-verdict.ts';
import type { GuardCounts } from './guard-counts.ts';

/** A window is long enough for a slow drift to be seen, and short enough that the past does not hide what happens now. */
const WINDOW_MS = 600_000;
/** Keys, in multiples of `minimumKeys`, that each variant needs before a window ends. */
const WINDOW_KEYS = 5;

/** A variant as a guard compares it. */
export interface GuardedVariant {
  readonly name: string;
  /** Part of all keys that it owns, from 0 to 1. */
  readonly share: number;
}

/** What is looked at. */
export interface GuardWindow {
  readonly config: GuardConfig;
  readonly counts: GuardCounts;
  readonly variants: readonly GuardedVariant[];
  /** Name of the variant for what does not take part. */
  readonly control: string;
  /** Number of the window, from 1. */
  readonly windows: number;
  /** Milliseconds since it began. */
  readonly ageMs: number;
}

/**
 * The finding that stops the split; `full` when the window has to end, `limit` when it has just become known which responses
 * are slow, null when nothing has happened.
 */
export function lookAtWindow(window: GuardWindow): GuardFinding | 'full' | 'limit' | null {
  const { config, counts, control, windows, ageMs } = window;
  const arms = armsOf(window);
  const named = config.against === 'control' ? control : config.against;
  const against = arms.find(({ name }) => name === named) ?? arms.at(-1)!;
  const finding = judgeGuard(config, arms, against, windows);
  if (finding !== null) return finding;
  const isFull = arms.every(({ keys, share }) => share === 0 || keys >= config.minimumKeys * WINDOW_KEYS);
  if (isFull && ageMs >= WINDOW_MS) return 'full';
  if (config.slow === undefined || counts.slowMs !== Number.POSITIVE_INFINITY) return null;
  // From now on a response is slow that takes longer than nearly all of the control's. What was before is not counted,
  // as the limit follows from it.
  if (against.quantileMs === null) return null;
  counts.slowMs = against.quantileMs;
  return 'limit';
}

function armsOf({ config, counts, variants }: GuardWindow): GuardArm[] {
  return variants.map(({ name, share }, index) => {
    const [failed, slow] = [counts.failed.count(index), counts.slow.count(index)];
    return {
      name,
      share,
      keys: counts.keys.count(index).keys,
      failed: failed.keys,
      failedError: failed.standardError,
      slow: slow.keys,
      slowError: slow.standardError,
      quantileMs: config.slow === undefined ? null : counts.quantileMs(index, config.slow.quantile),
    };
  });
}

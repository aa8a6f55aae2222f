// Describes the splits of a configuration, and what a new one changes, for a line of the log: keys, shares, and which
// part of all keys moves where arithmetic tells. Pure; draws no sample, as a reload has no time for one.

import type { Config } from '../config/options/document.ts';
import type { SplitConfig } from '../config/options/split.ts';
import { describeKey } from './key-list.ts';
import { planChange } from './plan.ts';
import type { Splitter } from './splitter.ts';

/** What decides, as a generation has it. */
interface Deciding {
  readonly config: Pick<Config, 'splits'>;
  readonly splitters: ReadonlyMap<string, Splitter>;
}

/** Key and shares of each split, by its name. */
export function describeSplits({ config, splitters }: Deciding) {
  return {
    key: Object.fromEntries([...config.splits].map(([name, { key }]) => [name, describeKey(key)])),
    splits: Object.fromEntries(
      Array.from(splitters, ([name, { variants }]) => [
        name,
        variants.map(({ name: variant, share, upstream }) => ({
          variant,
          share: formatPercent(share),
          upstream,
        })),
      ]),
    ),
  };
}

/**
 * The splits of `after`, and under `moved` the part of all keys that gets another variant than before: "10%" for each
 * split that is on both sides, "unknown" where only a sample could tell.
 */
export function describeChange(before: Deciding, after: Deciding) {
  const moved = [...after.config.splits].flatMap(([name, next]) => {
    const old = before.config.splits.get(name);
    if (old === undefined) return [];
    const splitters = [before.splitters.get(name)!, after.splitters.get(name)!] as const;
    return [[name, movedBetween(old, next, splitters)] as const];
  });
  return { ...describeSplits(after), moved: Object.fromEntries(moved) };
}

function movedBetween(old: SplitConfig, next: SplitConfig, splitters: readonly [Splitter, Splitter]): string {
  if (
    JSON.stringify([old.key, old.method, old.variants]) ===
    JSON.stringify([next.key, next.method, next.variants])
  ) {
    return '0%';
  }
  let sampled = false;
  const plan = planChange(
    old,
    next,
    () => {
      sampled = true;
      return [];
    },
    splitters,
  );
  return sampled ? 'unknown' : formatPercent(plan.moved);
}

/** 0.3333333 -> "33.3333%": at most this many decimals, none that are zero. */
export function formatPercent(ratio: number, decimals = 4): string {
  return `${Number((ratio * 100).toFixed(decimals))}%`;
}

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
  const moved = [...after.splitters].flatMap(([name, next]) => {
    const old = before.splitters.get(name);
    return old === undefined ? [] : [[name, movedBetween(old, next)] as const];
  });
  return { ...describeSplits(after), moved: Object.fromEntries(moved) };
}

function movedBetween(before: Splitter, after: Splitter): string {
  const [old, next] = [before.config, after.config];
  if (decidersOf(old) === decidersOf(next)) return '0%';
  if (JSON.stringify(old.when) !== JSON.stringify(next.when)) return 'unknown';
  let sampled = false;
  const sample = () => {
    sampled = true;
    return [];
  };
  const plan = planChange(old, next, sample, () => [before, after]);
  return sampled ? 'unknown' : formatPercent(plan.moved);
}

/** Equal for options under which every request gets the same variant. */
function decidersOf({ key, method, variants, coverage, control, layer, slot, when }: SplitConfig): string {
  return JSON.stringify([key, method, variants, coverage, control, layer, slot, when]);
}

/** 0.3333333 -> "33.3333%": at most this many decimals, none that are zero. */
export function formatPercent(ratio: number, decimals = 4): string {
  return `${Number((ratio * 100).toFixed(decimals))}%`;
}

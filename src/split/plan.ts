// Who moves when a split changes: which part of all keys goes from which variant to which. Exact arithmetic on the hash
// ranges where both sides have the same key and ranges; otherwise a sample is decided by both. Variants are the same when
// their names are. Pure; does not know where the requests of the sample come from.

import type { RequestView } from '../bytes.ts';
import type { SplitConfig } from '../config/options/split.ts';
import { describeKey } from './key-list.ts';
import { HASH_COUNT, Ranges } from './ranges.ts';
import { Splitter } from './splitter.ts';

/** What one change of a split does to all keys. */
export interface Plan {
  /** False when it was found by a sample. */
  readonly isExact: boolean;
  /** Part of all keys that have another variant afterwards, from 0 to 1. */
  readonly moved: number;
  /** Parts of all keys by old and new variant, those that are not empty; together 1. */
  readonly flows: readonly { readonly from: string; readonly to: string; readonly ratio: number }[];
}

/**
 * The plan for a change from `before` to `after`; `sample` is read only where arithmetic cannot tell,
 * and decided by `splitters`, which are needed where a key reads variables of the configuration.
 */
export function planChange(
  before: SplitConfig,
  after: SplitConfig,
  sample: () => Iterable<RequestView>,
  splitters: readonly [Splitter, Splitter] | null = null,
): Plan {
  const isSameKey = describeKey(before.key) === describeKey(after.key);
  const isExact = isSameKey && before.method === 'ranges' && after.method === 'ranges';
  const parts = isExact
    ? overlaps(before, after)
    : observed(splitters ?? [new Splitter('before', before), new Splitter('after', after)], sample());
  const total = [...parts.values()].reduce((sum, { amount }) => sum + amount, 0);
  const flows = [...parts.values()]
    .filter(({ amount }) => amount > 0)
    .map(({ from, to, amount }) => ({ from, to, ratio: amount / total }));
  const moved = flows.reduce((sum, { from, to, ratio }) => sum + (from === to ? 0 : ratio), 0);
  return { isExact, moved, flows };
}

type Parts = Map<string, { readonly from: string; readonly to: string; amount: number }>;

function add(parts: Parts, from: string, to: string, amount: number): void {
  const id = `${from}\0${to}`;
  const part = parts.get(id);
  if (part === undefined) parts.set(id, { from, to, amount });
  else part.amount += amount;
}

/** Walks both lists of ranges at once: each hash is counted exactly once. */
function overlaps(before: SplitConfig, after: SplitConfig): Parts {
  const parts: Parts = new Map();
  const [old, next] = [new Ranges(before.variants).list, new Ranges(after.variants).list];
  let [i, j] = [0, 0];
  for (let hash = 0; hash < HASH_COUNT; ) {
    const end = Math.min(old[i]!.end, next[j]!.end);
    if (end > hash) add(parts, before.variants[i]!.name, after.variants[j]!.name, end - hash);
    hash = Math.max(hash, end);
    if (hash === HASH_COUNT) break;
    if (old[i]!.end === end) i++;
    if (next[j]!.end === end) j++;
  }
  return parts;
}

function observed([old, next]: readonly [Splitter, Splitter], sample: Iterable<RequestView>): Parts {
  const parts: Parts = new Map();
  for (const view of sample) {
    const from = old.decide(view).variant;
    const to = next.decide(view).variant;
    if (from !== null && to !== null) add(parts, from.name, to.name, 1);
  }
  return parts;
}

// Who moves when a split changes: which part of all keys goes from which variant to which. Exact arithmetic on the hash
// ranges where both sides have the same key and ranges; otherwise a sample is decided by both. Variants are the same when
// their names are. `when` is left out: the plan is of the requests that fulfil it. Pure; draws no sample itself.

import type { RequestView } from '../bytes.ts';
import type { SplitConfig } from '../config/options/split.ts';
import { Arms, withShares } from './arms.ts';
import { describeKey } from './key-list.ts';
import { HASH_COUNT, SHARE_MAX } from './ranges.ts';
import { Schedule } from './schedule.ts';
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
 * The plan for a change from `before` to `after`, both without steps; `sample` is read only where arithmetic cannot tell, and
 * decided by `splitters`, which are needed where a key reads variables of the configuration.
 */
export function planChange(
  before: SplitConfig,
  after: SplitConfig,
  sample: () => Iterable<RequestView>,
  splitters: () => readonly [Splitter, Splitter] = () => [
    new Splitter('split', withoutWhen(before)),
    new Splitter('split', withoutWhen(after)),
  ],
): Plan {
  const isSameKey = describeKey(before.key) === describeKey(after.key) && before.layer === after.layer;
  const isExact = isSameKey && before.method === 'ranges' && after.method === 'ranges';
  const parts = isExact ? enrolledOverlaps(before, after) : observed(splitters(), sample());
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

/** The options of a split as they are at one time, without steps. */
export function splitAt({ shareSteps = [], coverage, ...split }: SplitConfig, time: number): SplitConfig {
  const shares = new Schedule<Readonly<Record<string, number | null>> | null>(null, shareSteps).at(time);
  const now = shares === null ? split : { ...split, variants: withShares(split.variants, shares) };
  if (coverage === undefined) return now;
  return {
    ...now,
    coverage: typeof coverage === 'number' ? coverage : new Schedule(0, coverage.steps).at(time),
  };
}

/** The hashes of enrolment, layer and share are independent, so parts of keys multiply. */
function enrolledOverlaps(before: SplitConfig, after: SplitConfig): Parts {
  const [old, next] = [new Arms('', before), new Arms('', after)];
  const [was, will] = [enrolledPart(before), enrolledPart(after)];
  const [a, b] = [before.slot ?? WHOLE_LAYER, after.slot ?? WHOLE_LAYER];
  const common = Math.max(0, Math.min(a.to, b.to) - Math.max(a.from, b.from)) / SHARE_MAX;
  const both = common * Math.min(coverageOf(before), coverageOf(after));
  const parts: Parts = new Map();
  for (const { from, to, amount } of overlaps(old, next).values()) add(parts, from, to, amount * both);
  // As a rule all keys take part on both sides.
  if (will > both)
    for (const { name: to, share } of next.variants)
      add(parts, old.control.name, to, share * HASH_COUNT * (will - both));
  if (was > both)
    for (const { name: from, share } of old.variants)
      add(parts, from, next.control.name, share * HASH_COUNT * (was - both));
  add(parts, old.control.name, next.control.name, HASH_COUNT * Math.max(0, 1 - was - will + both));
  return parts;
}

const WHOLE_LAYER = { from: 0, to: SHARE_MAX };

function coverageOf({ coverage = SHARE_MAX }: SplitConfig): number {
  if (typeof coverage !== 'number') throw new Error('broken invariant: a plan is of one time');
  return coverage / SHARE_MAX;
}

/** Part of all keys that takes part. */
function enrolledPart(split: SplitConfig): number {
  const { from, to } = split.slot ?? WHOLE_LAYER;
  return (coverageOf(split) * (to - from)) / SHARE_MAX;
}

/** Walks both lists of ranges at once: each hash is counted exactly once. */
function overlaps(before: Arms, after: Arms): Parts {
  const parts: Parts = new Map();
  const [old, next] = [before.ranges.list, after.ranges.list];
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

/** The plan is of the requests that fulfil `when`. */
export function withoutWhen({ when: _, ...split }: SplitConfig): SplitConfig {
  return split;
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

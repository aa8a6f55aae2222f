// The sample of a split: the different keys that came to each of its variants, how exchanges ended for them, and what was
// left out. Only keys that were assigned by their share belong to it: overrides, fallbacks and requests without a key say
// nothing about the shares. A change of key, method, variants or shares begins a new sample.

import type { SplitConfig } from '../config/options/split.ts';
import { describeKey } from '../split/key-list.ts';
import { HASH_COUNT } from '../split/ranges.ts';
import { judgeSample } from '../trust/judge.ts';
import { findBucket } from './duration-buckets.ts';
import { ENDING, EPOCH_ROW, EpochCounters, type Outside } from './epoch.ts';
import { countCommon, type KeyChanges, KeySet } from './key-set.ts';
import { withoutHistograms } from './rows.ts';
import { KEY_SUMS, KEY_SUMS_COUNT, LOG_PARTS, readFacts } from './sample-facts.ts';
import { mixHash, type UniqueCount } from './uniques.ts';
import { Evidence, type SplitVerdict } from './verdict.ts';

/** The sets of keys of a sample: all, those with a whole good answer, and those that met a failure. */
export const KEY_SETS = ['assigned', 'answered', 'failed'] as const;
type KeySetName = (typeof KEY_SETS)[number];

/** What was counted lately, in as many seconds. */
export interface Recent {
  readonly seconds: number;
  /** Of the variant at this position. */
  readonly row: (index: number) => EpochCounters;
}

const EPOCH = EPOCH_ROW.at;
/** Of more variants it would take too long to find the keys that moved. */
const MOVED_VARIANTS_MAX = 8;
/** A verdict of more variants is judged at regular times, in pieces, and not for each reader. */
const JUDGED_AT_ONCE_MAX = 32;
/** How far recent() goes back, and in which steps. */
const RECENT_MS = 15 * 60_000;
const MARK_INTERVAL_MS = 60_000;
/** The shortest duration that is told from a shorter one. */
const DURATION_MIN_MS = 0.001;

/** One variant of a sample. */
export interface SampledVariant {
  readonly name: string;
  /** Part of all keys that it owns, from 0 to 1. */
  readonly share: number;
}

/** What a sample is of; plain data, so that another process can make the same one. */
export interface SampleIdentity {
  readonly split: string;
  readonly variants: readonly SampledVariant[];
  /** Equal for configurations under which a key belongs to the same variant, so that the sample goes on. */
  readonly definition: string;
  /** The key of the split: samples of different ones have no keys in common. */
  readonly key: string;
  /** Keys of a variant may have any hash; false where a variant owns a range of them. */
  readonly hasAnyHash: boolean;
}

/** What one process has counted in a sample: numbers to be added up, and keys to be united. */
export interface SampleReading {
  readonly split: string;
  readonly definition: string;
  /** Unix time in milliseconds. */
  readonly sinceMs: number;
  /** Cells of each variant's EpochCounters, and the sums of all groups. */
  readonly cells: readonly Float64Array[];
  readonly sums: Float64Array;
  /** Of each set what has changed since the last reading. */
  readonly keys: Readonly<Record<KeySetName, KeyChanges | null>>;
}

/**
 * The keys and numbers of a split under one definition. Counters owns it from the reload that begins it to the one that ends
 * it; it keeps the one before it for as long, for the keys that changed their variant.
 */
export class Sample {
  readonly identity: SampleIdentity;
  readonly assigned: KeySet;
  readonly answered: KeySet;
  readonly failed: KeySet;
  readonly rows: readonly EpochCounters[];
  /** KEY_SUMS_COUNT sums for each group of each variant. */
  readonly sums: Float64Array;
  readonly #groupShift: number;
  #since: Date;
  #before: Sample | null = null;
  readonly #evidence = new Evidence();
  #verdict: { readonly version: number; readonly verdict: SplitVerdict } | null = null;
  /** What was counted by earlier moments, oldest first. */
  readonly #marks: { readonly atMs: number; readonly cells: Float64Array }[] = [];
  #moved: { readonly additions: number; readonly count: UniqueCount | null } | null = null;

  /** @param before the sample that this one replaces; null for the first of its split */
  constructor(identity: SampleIdentity, before: Sample | null = null, since = new Date()) {
    this.identity = identity;
    this.#since = since;
    if (before !== null) this.replace(before);
    const { variants, hasAnyHash } = identity;
    // With ranges a variant's keys can only have the hashes that it owns; with rendezvous any.
    const hashCounts = variants.map(({ share }) => (hasAnyHash ? HASH_COUNT : share * HASH_COUNT));
    this.assigned = new KeySet(hashCounts);
    this.answered = new KeySet(hashCounts);
    this.failed = new KeySet(hashCounts);
    const { size } = EPOCH_ROW;
    const cells = new Float64Array(variants.length * size);
    this.rows = variants.map((_, at) => new EpochCounters(cells.subarray(at * size, (at + 1) * size)));
    this.#groupShift = 32 - this.assigned.groupBits;
    this.sums = new Float64Array((variants.length << this.assigned.groupBits) * KEY_SUMS_COUNT);
  }

  /** Takes the place of this one, which forgets the one that it replaced. */
  replace(before: Sample): void {
    [this.#before, before.#before] = [before, null];
  }

  get split(): string {
    return this.identity.split;
  }

  get variants(): readonly SampledVariant[] {
    return this.identity.variants;
  }

  /** Equal for configurations under which a key belongs to the same variant, so that the sample goes on. */
  get definition(): string {
    return this.identity.definition;
  }

  /** When it began. */
  get since(): Date {
    return this.#since;
  }

  /** The sample that this one replaced; null for the first of its split. */
  get before(): Sample | null {
    return this.#before;
  }

  /**
   * An exchange of a key that came to the variant at this position by its share, without a fallback, has ended. Hot path.
   * @param ending position in ENDINGS @param durationMs from the first byte of the request to the last one of the response
   */
  add(variant: number, hash: number, ending: number = ENDING.answered, durationMs = 0): void {
    const mixed = mixHash(hash);
    const { sums } = this;
    const { cells } = this.rows[variant]!;
    const group = ((variant << this.assigned.groupBits) + (mixed >>> this.#groupShift)) * KEY_SUMS_COUNT;
    this.assigned.addMixed(variant, mixed);
    cells[EPOCH.endings + ending]! += 1;
    sums[group]! += 1;
    if (ending === ENDING.answered) {
      this.answered.addMixed(variant, mixed);
      const durationUs = durationMs > 0 ? Math.round(durationMs * 1000) : 0;
      cells[EPOCH.durations + findBucket(durationUs)]! += 1;
      cells[EPOCH.durationSumUs]! += durationUs;
      sums[group + KEY_SUMS.answers]! += 1;
      sums[group + KEY_SUMS.logDurations]! += Math.round(
        Math.log(Math.max(durationMs, DURATION_MIN_MS)) * LOG_PARTS,
      );
    } else if (ending === ENDING.failed) {
      this.failed.addMixed(variant, mixed);
    } else if (ending === ENDING.left) {
      sums[group + KEY_SUMS.left]! += 1;
    }
  }

  /** An exchange of the variant at this position that is no part of the sample has ended. Hot path. */
  leftOut(variant: number, outside: Outside, ending: number): void {
    const { cells } = this.rows[variant]!;
    cells[EPOCH[outside]]! += 1;
    if (ending === ENDING.failed) cells[EPOCH.failedOutside]! += 1;
  }

  /** An exchange of the variant at this position was sent again so often. */
  retried(variant: number, retries: number): void {
    this.rows[variant]!.cells[EPOCH.retries]! += retries;
  }

  /** The count of different keys of each variant, in their order. */
  counts(set: KeySetName = 'assigned'): UniqueCount[] {
    return this.variants.map((_, index) => this[set].count(index));
  }

  /**
   * What the numbers say, and have said before. Judged again when exchanges have ended since; of many variants the last
   * judgement is given, which lookInPieces() makes. @param nowMs Unix time
   */
  verdict(nowMs = Date.now()): SplitVerdict {
    if (this.#verdict === null || this.variants.length <= JUDGED_AT_ONCE_MAX) return this.#judge(nowMs);
    return this.#verdict.verdict;
  }

  /** There is a verdict. */
  get isJudged(): boolean {
    return this.#verdict !== null;
  }

  #judge(nowMs: number): SplitVerdict {
    const pieces = this.#judgeInPieces(nowMs);
    while (pieces.next().done !== true);
    return this.#verdict!.verdict;
  }

  *#judgeInPieces(nowMs: number): Generator<undefined, void, undefined> {
    const version = this.#version();
    if (this.#verdict?.version === version) return;
    const facts = yield* readFacts(this);
    yield;
    const judgement = yield* judgeSample(facts);
    yield;
    const assigned = facts.map((one) => one.assigned);
    this.#verdict = { version, verdict: this.#evidence.take(judgement, assigned, nowMs) };
  }

  /**
   * As verdict(), at regular times: an alarm is raised at the moment that raises it, whether or not somebody reads it, and
   * recent() has something to compare with. @param nowMs Unix time
   */
  look(nowMs: number): void {
    this.#judge(nowMs);
    this.#mark(nowMs);
  }

  /** As look(), in pieces that hold the event loop for some milliseconds at most. One at a time. @param nowMs Unix time */
  *lookInPieces(nowMs: number): Generator<undefined, void, undefined> {
    this.#mark(nowMs);
    yield* this.#judgeInPieces(nowMs);
  }

  #mark(nowMs: number): void {
    const last = this.#marks.at(-1);
    if (last !== undefined && nowMs - last.atMs < MARK_INTERVAL_MS && nowMs >= last.atMs) return;
    // One array for all variants: a small one for each is much work for the garbage collector.
    const cells = new Float64Array(this.rows.length * EPOCH_ROW.size);
    for (const [index, row] of this.rows.entries()) cells.set(row.cells, index * EPOCH_ROW.size);
    this.#marks.push({ atMs: nowMs, cells });
    while (this.#marks.length > 1 && nowMs - this.#marks[1]!.atMs >= RECENT_MS) this.#marks.shift();
  }

  /** What was counted in the last 15 minutes, or since the sample began. @param nowMs Unix time */
  recent(nowMs = Date.now()): Recent {
    const isYoung = nowMs - this.#since.getTime() <= RECENT_MS;
    const mark = isYoung ? undefined : this.#marks.find(({ atMs }) => nowMs - atMs <= RECENT_MS);
    return {
      seconds: Math.max(0, nowMs - (mark?.atMs ?? this.#since.getTime())) / 1000,
      row: (index) => {
        const row = this.rows[index]!;
        const recent = new EpochCounters();
        const first = index * EPOCH_ROW.size;
        recent.add(row.difference(mark?.cells.subarray(first, first + EPOCH_ROW.size), row.cells));
        return recent;
      },
    };
  }

  /** Grows with every exchange and with every key that another process has brought. */
  #version(): number {
    let version = this.assigned.additions + this.answered.additions + this.failed.additions;
    for (const { cells } of this.rows) for (let at = 0; at < EPOCH.retries; at += 1) version += cells[at]!;
    return version;
  }

  /** Alarms so far, to be handed on with the sample. */
  get evidence(): Evidence {
    return this.#evidence;
  }

  /**
   * Keys of this sample that had another variant in the one before it; null where there is none, where it had other keys, and
   * where too many keys have come to tell. Counted again when keys have come since.
   */
  moved(): UniqueCount | null {
    const before = this.#before;
    if (before === null || before.identity.key !== this.identity.key) return null;
    const additions = this.assigned.additions + before.assigned.additions;
    if (this.#moved?.additions !== additions) this.#moved = { additions, count: this.#countMoved(before) };
    return this.#moved.count;
  }

  #countMoved(before: Sample): UniqueCount | null {
    let keys = 0;
    let variance = 0;
    const old = before.variants.map(({ name }, index) => ({ name, words: before.assigned.words(index) }));
    if (Math.max(this.variants.length, old.length) > MOVED_VARIANTS_MAX) return null;
    for (const [index, { name }] of this.variants.entries()) {
      const others = old.filter((one) => one.name !== name).map(({ words }) => words);
      const common = countCommon([this.assigned.words(index)], others);
      if (common === null) return null;
      keys += common.keys;
      variance += common.standardError ** 2;
    }
    return { keys, standardError: Math.sqrt(variance) };
  }

  /** Everything counted so far, and of the keys what has changed since the last call. For one reader alone. */
  read(): SampleReading {
    return {
      split: this.split,
      definition: this.definition,
      sinceMs: this.#since.getTime(),
      cells: this.rows.map((row) => row.read()),
      sums: this.sums.slice(),
      keys: {
        assigned: this.assigned.takeChanges(),
        answered: this.answered.takeChanges(),
        failed: this.failed.takeChanges(),
      },
    };
  }

  /** Adds what another process has counted in this sample since its reading `before`; null = from its begin on. */
  advance(before: SampleReading | null, now: SampleReading): void {
    for (const [index, row] of this.rows.entries()) {
      row.add(row.difference(before?.cells[index], now.cells[index]));
    }
    for (const [at, sum] of now.sums.entries()) this.sums[at]! += sum - (before?.sums[at] ?? 0);
    for (const set of KEY_SETS) {
      const changes = now.keys[set];
      if (changes !== null) this[set].apply(changes);
    }
  }

  /** Forgets the durations: those that follow are in other buckets. */
  dropDurations(): void {
    for (const { cells } of this.rows) cells.set(withoutHistograms(EPOCH_ROW, cells));
    this.#marks.length = 0;
  }

  /** It began before: it goes on from an earlier process. */
  beganAt(since: Date): void {
    if (since < this.#since) this.#since = since;
    // What was counted elsewhere is not of the last minutes here.
    this.#marks.length = 0;
  }
}

/** The sample of a split under this configuration. */
export function identifySample(
  split: string,
  variants: readonly SampledVariant[],
  config: SplitConfig,
): SampleIdentity {
  return {
    split,
    variants: variants.map(({ name, share }) => ({ name, share })),
    definition: defineSample(config),
    key: JSON.stringify(describeKey(config.key)),
    hasAnyHash: config.method !== 'ranges',
  };
}

/**
 * What of a split decides which variant a key of the sample belongs to. Upstreams, the missing-key policy and whatever
 * decides only which keys take part do not: coverage, slot, conditions.
 */
export function defineSample({ key, method, variants, layer }: SplitConfig): string {
  return JSON.stringify([
    describeKey(key),
    method,
    variants.map(({ name, share, weight }) => [name, share, weight]),
    // In a layer shares have a hash of their own.
    ...(layer === undefined ? [] : ['layer']),
  ]);
}

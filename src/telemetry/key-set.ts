// Counts the different keys of each variant of a split with a bitmap, so precisely that the error of counting hides nothing
// up to millions of keys; HyperLogLog registers count on where a bitmap is nearly full. Merging is exact: the union of two sets
// is the set that saw all their keys. Fed with 32-bit key hashes alone, so no key is kept. Source: K.-Y. Whang et al., "A
// Linear-Time Probabilistic Counting Algorithm for Database Applications" (TODS 1990).

import { HASH_BITS, keysFromHashes, mixHash, type UniqueCount, Uniques } from './uniques.ts';

const WORD_BITS = 5;
/** log2 of the bits of a variant, for up to so many variants: 512 KiB each for two, 32 KiB for 32, above that 4 KiB. */
const BITS_BY_VARIANTS: readonly (readonly [variants: number, bits: number])[] = [
  [2, 22],
  [4, 21],
  [8, 20],
  [16, 19],
  [32, 18],
];
const BITS_MIN = 15;
/** log2 of the groups into which the keys of a variant fall, by the first bits of their mixed hashes. */
const GROUP_BITS = 7;
const GROUP_BITS_MIN = 4;
const FULL_VARIANTS_MAX = 32;
/** Keys a bit above which the registers are the better count, and bits that must be free at least. */
const LOAD_MAX = 8;
const FREE_MIN = 128;
/** Changes that are kept for another process; of more the whole set is sent. */
const CHANGES_MAX = 16_384;

/** What was added to a set since it was last asked: keys by their mixed hashes, or everything. */
export type KeyChanges =
  | { readonly variants: Uint16Array; readonly mixed: Int32Array }
  | { readonly words: Uint32Array; readonly registers: Uint8Array };

/** What is known of the keys of each variant at one moment. */
export interface StillKeys {
  count(variant: number): UniqueCount;
  /** Keys of each group, in `groups`; null where the bitmap was too full to tell. */
  groups(variant: number, groups: Float64Array): Float64Array | null;
}

/**
 * Different keys of every variant of one split. A Sample owns it, from the sample's begin to its end. Keys are only ever
 * added, and adding one twice changes nothing.
 */
export class KeySet {
  /** log2 of the bits of each variant. */
  readonly bits: number;
  /** log2 of the groups of each variant. */
  readonly groupBits: number;
  readonly registers: Uniques;
  readonly #variants: number;
  readonly #hashCounts: readonly number[];
  readonly #words: Uint32Array;
  /** Bits that are set, by variant and group. */
  readonly #ones: Uint32Array;
  /** Keys that changed the set since takeChanges(); null until somebody has asked. */
  #changes: { readonly variants: Uint16Array; readonly mixed: Int32Array } | null = null;
  #changed = 0;
  #additions = 0;

  /** @param hashCounts for each variant how many of the 2^32 hashes can belong to it */
  constructor(hashCounts: readonly number[]) {
    const variants = hashCounts.length;
    this.#variants = variants;
    this.#hashCounts = hashCounts;
    this.bits = BITS_BY_VARIANTS.find(([most]) => variants <= most)?.[1] ?? BITS_MIN;
    this.groupBits = variants <= FULL_VARIANTS_MAX ? GROUP_BITS : GROUP_BITS_MIN;
    // The system gives memory to a page when its first key comes.
    this.#words = new Uint32Array(variants << (this.bits - WORD_BITS));
    this.#ones = new Uint32Array(variants << this.groupBits);
    this.registers = new Uniques(hashCounts);
  }

  /** Adds a key of the variant at this position, by its hash. */
  add(variant: number, hash: number): void {
    this.addMixed(variant, mixHash(hash));
  }

  /** As add(), with what mixHash() has made of the hash. Hot path. */
  addMixed(variant: number, mixed: number): void {
    const cell = mixed >>> (HASH_BITS - this.bits);
    const word = (variant << (this.bits - WORD_BITS)) + (cell >>> WORD_BITS);
    const bit = 1 << (cell & 31);
    const isNew = (this.#words[word]! & bit) === 0;
    if (isNew) {
      this.#words[word]! |= bit;
      this.#ones[(variant << this.groupBits) + (mixed >>> (HASH_BITS - this.groupBits))]! += 1;
    }
    if (this.registers.addMixed(variant, mixed) || isNew) this.#note(variant, mixed);
  }

  #note(variant: number, mixed: number): void {
    this.#additions += 1;
    if (this.#changes === null || this.#changed > CHANGES_MAX) return;
    if (this.#changed < CHANGES_MAX) {
      this.#changes.variants[this.#changed] = variant;
      this.#changes.mixed[this.#changed] = mixed;
    }
    this.#changed += 1;
  }

  /** How often the set has changed: equal numbers mean equal sets. */
  get additions(): number {
    return this.#additions;
  }

  /** The count of the variant at this position. */
  count(variant: number): UniqueCount {
    return this.#count(variant, this.#ones, (one) => this.registers.count(one));
  }

  /** The counts as they are now, whatever is added afterwards. */
  still(): StillKeys {
    const ones = this.#ones.slice();
    const registers = this.registers.still();
    return {
      count: (variant) => this.#count(variant, ones, registers),
      groups: (variant, groups) => this.#groups(variant, ones, groups),
    };
  }

  #count(variant: number, setBits: Uint32Array, registers: (variant: number) => UniqueCount): UniqueCount {
    const bits = 2 ** this.bits;
    let ones = 0;
    const first = variant << this.groupBits;
    for (let group = 0; group < 2 ** this.groupBits; group += 1) ones += setBits[first + group]!;
    const load = -Math.log1p(-ones / bits);
    if (load > LOAD_MAX || bits - ones < FREE_MIN) return registers(variant);
    const keys = keysFromHashes(bits * load, this.#hashCounts[variant]!);
    return { keys, standardError: Math.sqrt(bits * Math.max(0, Math.expm1(load) - load)) };
  }

  /** Keys of each group of the variant at this position, in `groups`; null where the bitmap is too full to tell. */
  groups(variant: number, groups: Float64Array = new Float64Array(2 ** this.groupBits)): Float64Array | null {
    return this.#groups(variant, this.#ones, groups);
  }

  #groups(variant: number, setBits: Uint32Array, groups: Float64Array): Float64Array | null {
    const bits = 2 ** (this.bits - this.groupBits);
    const first = variant << this.groupBits;
    for (let group = 0; group < groups.length; group += 1) {
      const free = 1 - setBits[first + group]! / bits;
      if (free * bits < 1) return null;
      groups[group] = -bits * Math.log(free);
    }
    return groups;
  }

  /** The bitmap of the variant at this position: bit 31 - n of a mixed hash's first bits is bit n of the whole. */
  words(variant: number): Uint32Array {
    const length = 2 ** (this.bits - WORD_BITS);
    return this.#words.subarray(variant * length, (variant + 1) * length);
  }

  /** The bitmaps of all variants, in their order. */
  get allWords(): Uint32Array {
    return this.#words;
  }

  /** Takes in bitmap and registers of the same variant elsewhere. Throws when they are of another size. */
  merge(variant: number, words: Uint32Array, registers: Uint8Array): void {
    const own = this.words(variant);
    if (words.length !== own.length) {
      throw new RangeError(`expected a bitmap of ${own.length} words, got ${words.length}`);
    }
    this.registers.merge(variant, registers);
    const groupWords = this.bits - WORD_BITS - this.groupBits;
    for (let at = 0; at < own.length; at += 1) {
      const added = words[at]! & ~own[at]!;
      if (added === 0) continue;
      own[at]! |= added;
      this.#ones[(variant << this.groupBits) + (at >>> groupWords)]! += countOnes(added);
    }
    this.#additions += 1;
    this.#changed = CHANGES_MAX + 1;
  }

  /** What has changed since the last call, to be given to apply() of the same set in another process; null for nothing. */
  takeChanges(): KeyChanges | null {
    const changed = this.#changes === null && this.#additions > 0 ? CHANGES_MAX + 1 : this.#changed;
    this.#changes ??= { variants: new Uint16Array(CHANGES_MAX), mixed: new Int32Array(CHANGES_MAX) };
    this.#changed = 0;
    if (changed === 0) return null;
    if (changed <= CHANGES_MAX) {
      const { variants, mixed } = this.#changes;
      return { variants: variants.slice(0, changed), mixed: mixed.slice(0, changed) };
    }
    return { words: this.#words, registers: this.registers.all };
  }

  apply(changes: KeyChanges): void {
    if ('mixed' in changes) {
      for (const [at, mixed] of changes.mixed.entries()) this.addMixed(changes.variants[at]!, mixed);
      return;
    }
    const { words, registers } = changes;
    const [wordCount, registerCount] = [words.length / this.#variants, registers.length / this.#variants];
    for (let variant = 0; variant < this.#variants; variant += 1) {
      this.merge(
        variant,
        words.subarray(variant * wordCount, (variant + 1) * wordCount),
        registers.subarray(variant * registerCount, (variant + 1) * registerCount),
      );
    }
  }
}

/** The number of keys that are both in one of these bitmaps and in one of those, and its standard error. */
export function countCommon(
  these: readonly Uint32Array[],
  those: readonly Uint32Array[],
): UniqueCount | null {
  if (these.length === 0 || those.length === 0) return { keys: 0, standardError: 0 };
  const length = Math.min(...these.map((words) => words.length), ...those.map((words) => words.length));
  const [first, second] = [unite(these, length), unite(those, length)];
  const [one, other, both] = [first, second, unite([first, second], length)].map(loadOf);
  if (both! > LOAD_MAX) return null;
  const bits = length * 32;
  const standardError = Math.sqrt(bits * Math.max(0, Math.expm1(both!) - both!));
  return { keys: Math.max(0, bits * (one! + other! - both!)), standardError };
}

/** The union of bitmaps in so many words. A larger bitmap has the same cells, each in several parts. */
function unite(bitmaps: readonly Uint32Array[], length: number): Uint32Array {
  const union = new Uint32Array(length);
  for (const words of bitmaps) {
    const folded = words.length === length ? words : fold(words, length);
    for (let at = 0; at < length; at += 1) union[at]! |= folded[at]!;
  }
  return union;
}

function fold(words: Uint32Array, length: number): Uint32Array {
  const shift = Math.log2(words.length / length);
  const folded = new Uint32Array(length);
  for (let at = 0; at < words.length; at += 1) {
    for (let rest = words[at]!; rest !== 0; rest &= rest - 1) {
      const cell = (at * 32 + (31 - Math.clz32(rest & -rest))) >>> shift;
      folded[cell >>> WORD_BITS]! |= 1 << (cell & 31);
    }
  }
  return folded;
}

/** Keys a bit of a bitmap with this many bits set. */
function loadOf(words: Uint32Array): number {
  let ones = 0;
  for (let at = 0; at < words.length; at += 1) ones += countOnes(words[at]!);
  return -Math.log1p(-ones / (words.length * 32));
}

function countOnes(word: number): number {
  let sum = word - ((word >>> 1) & 0x55555555);
  sum = (sum & 0x33333333) + ((sum >>> 2) & 0x33333333);
  return Math.imul((sum + (sum >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

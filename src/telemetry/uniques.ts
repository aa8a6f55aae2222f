// Counts the different keys of each variant of a split: HyperLogLog registers that the hot path raises with a mix, a
// clz32 and a comparison (about 8 ns). The estimate is Ertl's, unbiased from one key to billions without tables. Fed with the
// 32-bit key hash alone, so no key is kept. Source: O. Ertl, "New cardinality estimation algorithms for HyperLogLog
// sketches" (2017, arXiv:1702.01284), algorithms 1 and 6.

import { HASH_COUNT } from '../split/ranges.ts';

export const HASH_BITS = 32;
const ALPHA = 1 / (2 * Math.LN2);

/** Up to so many variants of a split get precise registers (64 KiB each), more of them small ones (4 KiB each). */
const PRECISE_VARIANTS_MAX = 32;
const PRECISE_BITS = 16;
const SMALL_BITS = 12;

/** What is known of one variant's keys. */
export interface UniqueCount {
  /** Estimated number of different keys. */
  readonly keys: number;
  /** Standard error of `keys` that the registers cause, in keys. */
  readonly standardError: number;
}

/**
 * Spreads a key hash over all 32 bits (murmurhash3's finalizer, a bijection): the hashes of a variant are an interval, so that
 * their high bits choose nothing.
 */
export function mixHash(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/**
 * HyperLogLog registers of every variant of one split, from its creation on. A KeySet owns them: they take over where its
 * bitmap is full.
 */
export class Uniques {
  /** log2 of the registers of each variant: 16 (error 0.41 %), above 32 variants 12 (1.6 %). */
  readonly precision: number;
  readonly #variants: number;
  /** How many hashes a key of each variant can have; two keys with the same hash are counted as one. */
  readonly #hashCounts: readonly number[];
  readonly #registers: Uint8Array;
  /** For each variant, how many of its registers hold 0, 1, 2, …: kept up to date, so that reading costs nothing. */
  readonly #histogram: Float64Array;
  readonly #ranks: number;

  /** @param hashCounts for each variant how many of the 2^32 hashes can belong to it */
  constructor(hashCounts: readonly number[]) {
    this.#variants = hashCounts.length;
    this.#hashCounts = hashCounts;
    this.precision = hashCounts.length <= PRECISE_VARIANTS_MAX ? PRECISE_BITS : SMALL_BITS;
    this.#ranks = HASH_BITS - this.precision + 2;
    this.#registers = new Uint8Array(this.#variants << this.precision);
    this.#histogram = new Float64Array(this.#variants * this.#ranks);
    for (let variant = 0; variant < this.#variants; variant += 1) {
      this.#histogram[variant * this.#ranks] = 2 ** this.precision;
    }
  }

  /** Counts a key of the variant at this position of the split's list, by its hash. */
  add(variant: number, hash: number): void {
    this.addMixed(variant, mixHash(hash));
  }

  /** As add(), with what mixHash() has made of the hash. Hot path. True when a register was raised. */
  addMixed(variant: number, mixed: number): boolean {
    const { precision } = this;
    const index = (variant << precision) | (mixed >>> (HASH_BITS - precision));
    const rank = Math.clz32((mixed << precision) | (1 << (precision - 1))) + 1;
    if (rank <= this.#registers[index]!) return false;
    this.#raise(variant, index, rank);
    return true;
  }

  #raise(variant: number, index: number, rank: number): void {
    const row = variant * this.#ranks;
    this.#histogram[row + this.#registers[index]!]! -= 1;
    this.#histogram[row + rank]! += 1;
    this.#registers[index] = rank;
  }

  /** The count of the variant at this position. */
  count(variant: number): UniqueCount {
    return this.#count(variant, this.#histogram);
  }

  /** count() as it is now, whatever is added afterwards. */
  still(): (variant: number) => UniqueCount {
    const histogram = this.#histogram.slice();
    return (variant) => this.#count(variant, histogram);
  }

  #count(variant: number, histogram: Float64Array): UniqueCount {
    const row = variant * this.#ranks;
    const estimated = estimate(histogram.subarray(row, row + this.#ranks), this.precision);
    const keys = keysFromHashes(estimated, this.#hashCounts[variant]!);
    return { keys, standardError: standardError(keys, this.precision) };
  }

  /**
   * Registers of the variant at this position, one byte each. Those of several replicas become one by taking the
   * larger value of each pair, as long as the split is the same.
   */
  registers(variant: number): Uint8Array {
    return this.#registers.subarray(variant << this.precision, (variant + 1) << this.precision);
  }

  /** Registers of all variants, in their order. */
  get all(): Uint8Array {
    return this.#registers;
  }

  /** Takes in the registers of the same variant elsewhere. Throws when they are of another precision. */
  merge(variant: number, registers: Uint8Array): void {
    if (registers.length !== 2 ** this.precision) {
      throw new RangeError(`expected ${2 ** this.precision} registers, got ${registers.length}`);
    }
    const first = variant << this.precision;
    for (let offset = 0; offset < registers.length; offset += 1) {
      const rank = registers[offset]!;
      if (rank > this.#registers[first + offset]!) {
        this.#raise(variant, first + offset, Math.min(rank, this.#ranks - 1));
      }
    }
  }
}

/**
 * Keys of a variant that has `hashCount` of the 2^32 hashes, by Ertl's estimate. His model draws a new hash of all 2^32 for
 * each key, so equal hashes are part of it: for a variant that has all of them the estimate is the number of keys. The keys
 * of a smaller variant meet more often. The estimate says how many different hashes were drawn, whatever drew them:
 * 2^32 (1 - e^(-estimate / 2^32)); and n keys on R hashes give R (1 - e^(-n / R)) different ones.
 * docs/decisions/0011-unique-keys-and-their-test.md; scripts/unique-keys.ts draws up to 400 million keys.
 */
export function keysFromHashes(estimated: number, hashCount: number): number {
  if (hashCount === 0) return 0;
  const differentHashes = -HASH_COUNT * Math.expm1(-estimated / HASH_COUNT);
  const taken = Math.min(differentHashes / hashCount, 1 - 1 / HASH_COUNT);
  return -hashCount * Math.log1p(-taken);
}

/** Keys in Ertl's model by how many registers hold each rank (algorithm 6). */
function estimate(histogram: Float64Array, precision: number): number {
  const registers = 2 ** precision;
  const last = histogram.length - 1;
  let sum = registers * tau(1 - histogram[last]! / registers);
  for (let rank = last - 1; rank >= 1; rank -= 1) sum = 0.5 * (sum + histogram[rank]!);
  sum += registers * sigma(histogram[0]! / registers);
  return (ALPHA * registers * registers) / sum;
}

function sigma(ratio: number): number {
  if (ratio === 1) return Number.POSITIVE_INFINITY;
  let power = ratio;
  let factor = 1;
  let sum = ratio;
  for (let before = -1; sum !== before; ) {
    power *= power;
    before = sum;
    sum += power * factor;
    factor += factor;
  }
  return sum;
}

function tau(ratio: number): number {
  if (ratio === 0 || ratio === 1) return 0;
  let root = ratio;
  let factor = 1;
  let sum = 1 - ratio;
  for (let before = -1; sum !== before; ) {
    root = Math.sqrt(root);
    before = sum;
    factor *= 0.5;
    sum -= (1 - root) ** 2 * factor;
  }
  return sum / 3;
}

/**
 * Standard error in keys: that of linear counting while most registers are empty (Whang et al. 1990), later the
 * 1.04 / sqrt(registers) of HyperLogLog (Flajolet et al. 2007). The estimator is about as good as the better of both.
 */
function standardError(keys: number, precision: number): number {
  const registers = 2 ** precision;
  const load = keys / registers;
  const linear = Math.sqrt(registers * (Math.expm1(Math.min(load, 50)) - load));
  return Math.min(linear, (1.04 * keys) / Math.sqrt(registers));
}

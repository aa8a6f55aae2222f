// Ranges: each variant owns an interval of the 32-bit hash, in the order of the list, bit for bit as nginx's
// split_clients lays them out. Knows nothing of keys or requests.
// Source: nginx, src/http/modules/ngx_http_split_clients_module.c, as of 1.31.2.

import { isByShare, type SplitConfig } from '../config/options/split.ts';

/** One more than the largest hash: the upper bound of the last range. */
export const HASH_COUNT = 2 ** 32;

const HASH_MAX = HASH_COUNT - 1;
/** All shares together, in hundredths of a percent. */
export const SHARE_MAX = 10_000;

/** A range of hashes: `from` belongs to it, `end` does not. */
export interface HashRange {
  readonly from: number;
  readonly end: number;
}

/**
 * Upper bounds, exclusive, one per variant in list order; the last variant that owns anything ends at 2^32, and a
 * variant without a share ends where the one before it ends. Shares are truncated one by one and summed, as in nginx;
 * explicit shares of 100 % give the remainder of that truncation to the variant that reaches 100 %. Weights divide
 * 2^32 exactly. Throws when the shares do not add up: the configuration was validated before.
 */
export function boundsOf(variants: SplitConfig['variants']): number[] {
  // A split that another text decides (`choose`) may have no shares at all: then no variant owns a hash.
  if (!isByShare({ variants })) return variants.map(() => 0);
  const bounds = variants[0]?.weight === undefined ? boundsOfShares(variants) : boundsOfWeights(variants);
  if (bounds.at(-1) !== HASH_COUNT) throw new Error('broken invariant: the variants do not own every hash');
  return bounds;
}

function boundsOfShares(variants: SplitConfig['variants']): number[] {
  let sum = 0;
  let last = 0;
  return variants.map(({ share }) => {
    if (share === undefined) throw new Error('broken invariant: a variant has neither share nor weight');
    sum = share === null ? SHARE_MAX : sum + share;
    if (sum > SHARE_MAX) throw new Error('broken invariant: the shares exceed 100 %');
    // Both factors are integers below 2^53 together, so the quotient is exact enough for floor.
    if (sum === SHARE_MAX) last = HASH_COUNT;
    else last += Math.floor(((share ?? 0) * HASH_MAX) / SHARE_MAX);
    return last;
  });
}

function boundsOfWeights(variants: SplitConfig['variants']): number[] {
  const total = variants.reduce((sum, { weight }) => sum + BigInt(weight ?? 0), 0n);
  if (total === 0n) throw new Error('broken invariant: no variant has a weight');
  let sum = 0n;
  return variants.map(({ weight }) => {
    sum += BigInt(weight ?? 0);
    return Number((sum << 32n) / total);
  });
}

/** Of fewer bounds all are searched: a table would gain nothing. */
const TABLED_BOUNDS_MIN = 16;
/** log2 of the slices of all hashes for each bound: then most slices have no bound inside. */
const SLICES_A_BOUND_BITS = 2;

/** The way from a hash to the variant that owns it. */
export class Ranges {
  /** Range of each variant in list order; empty (`from` equals `to`) for a variant that owns nothing. */
  readonly list: readonly HashRange[];
  // Variants that own something, in order, and the bounds between them: one fewer, so all below 2^32.
  readonly #owners: Uint16Array;
  readonly #bounds: Uint32Array;
  /** For each slice of the hashes, by their first bits, the bounds at or below its first one, and after the last slice all of them; null for few. */
  readonly #slices: Uint16Array | null;
  /** Bits of a hash inside a slice. */
  readonly #sliceShift: number;

  constructor(variants: SplitConfig['variants']) {
    const bounds = boundsOf(variants);
    this.list = bounds.map((end, index) => ({ from: bounds[index - 1] ?? 0, end }));
    const owners = this.list.flatMap(({ from, end }, index) => (end > from ? [index] : []));
    this.#owners = Uint16Array.from(owners.length === 0 ? [0] : owners);
    this.#bounds = Uint32Array.from(owners.slice(0, -1), (index) => bounds[index]!);
    this.#sliceShift = Math.clz32(this.#bounds.length) - SLICES_A_BOUND_BITS;
    this.#slices = this.#bounds.length < TABLED_BOUNDS_MIN ? null : slicesOf(this.#bounds, this.#sliceShift);
  }

  /** Index of the variant that owns `hash`: the first one with `hash < bound`. Hot path. */
  pick(hash: number): number {
    const bounds = this.#bounds;
    const slices = this.#slices;
    let low = 0;
    let high = bounds.length;
    if (slices !== null) {
      const slice = hash >>> this.#sliceShift;
      low = slices[slice]!;
      high = slices[slice + 1]!;
    }
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (hash < bounds[middle]!) high = middle;
      else low = middle + 1;
    }
    return this.#owners[low]!;
  }
}

/** For each slice of 2^`shift` hashes, and for what comes after the last one, how many bounds are not above its first hash. */
function slicesOf(bounds: Uint32Array, shift: number): Uint16Array {
  const slices = new Uint16Array(2 ** (32 - shift) + 1);
  let below = 0;
  for (let slice = 0; slice < slices.length; slice += 1) {
    const first = slice * 2 ** shift;
    while (below < bounds.length && bounds[below]! <= first) below += 1;
    slices[slice] = below;
  }
  return slices;
}

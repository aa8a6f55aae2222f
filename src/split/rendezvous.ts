// Weighted rendezvous hashing: every variant scores every key, the highest score takes it. A change of shares moves
// about as few keys as it can, and the order of the list does not matter. Knows nothing of requests.
// Source: Schindelhauer and Schomaker, "Weighted distributed hash tables" (2005): score = -share / ln(u).

import murmurhash from 'murmurhash';
import type { SplitConfig } from '../config/options/split.ts';
import { LongKeyHashes } from './long-keys.ts';
import { HASH_COUNT, SHARE_MAX } from './ranges.ts';

const NAME_LENGTH_MAX = 63;
const KEY_LENGTH_KEPT = 64;

interface Rival {
  readonly index: number;
  /** The name's bytes and a NUL. */
  readonly prefix: Uint8Array;
  readonly share: number;
}

/**
 * Rendezvous over the variants of one split.
 *
 * How u is formed: `u = (h + 0.5) / 2^32`, where h is the 32-bit MurmurHash2, seed 0, of the variant's name, one NUL
 * byte and the key. u lies strictly between 0 and 1, so a score is always a positive number. Of equal scores the
 * name that is smaller byte by byte wins, so the order of the list never matters. A share of 0 never wins.
 */
export class Rendezvous {
  /** Share of each variant in list order, as a ratio; together 1. */
  readonly shares: readonly number[];
  readonly #rivals: readonly Rival[];
  // A short key is written once, after room for the longest name; each name is then written before it. murmurhash
  // takes whole arrays, so views are kept by length of name and key: the first request of each length makes one.
  readonly #room = new Uint8Array(NAME_LENGTH_MAX + 1 + KEY_LENGTH_KEPT);
  readonly #views: (Uint8Array | undefined)[][] = [];
  /** For keys that are longer; made when the first one comes. */
  #longKeys: LongKeyHashes | null = null;
  readonly #hashes: Uint32Array;

  constructor(variants: SplitConfig['variants']) {
    const parts = partsOf(variants);
    const total = parts.reduce((sum, part) => sum + part, 0);
    if (!(total > 0)) throw new Error('broken invariant: no variant has a share');
    this.shares = parts.map((part) => part / total);
    this.#rivals = variants
      .map(({ name }, index) => ({ index, name, share: parts[index]! }))
      .filter(({ share }) => share > 0)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ index, name, share }) => ({ index, prefix: new TextEncoder().encode(`${name}\0`), share }));
    this.#hashes = new Uint32Array(this.#rivals.length);
  }

  /** Index of the variant that takes `key`. */
  pick(key: Uint8Array): number {
    const rivals = this.#rivals;
    const isShort = key.length <= KEY_LENGTH_KEPT;
    if (isShort) this.#write(key);
    else this.#hashLong(key);
    let best = rivals[0]!;
    let bestScore = 0;
    for (let i = 0; i < rivals.length; i++) {
      const rival = rivals[i]!;
      const score = scoreOf(rival, isShort ? this.#hashShort(rival, key.length) : this.#hashes[i]!);
      if (score > bestScore) {
        best = rival;
        bestScore = score;
      }
    }
    return best.index;
  }

  /** Score of each variant in list order; 0 for a variant without a share. Scores count in hundredths of a percent or weights. */
  scores(key: Uint8Array): number[] {
    const scores = this.shares.map(() => 0);
    const isShort = key.length <= KEY_LENGTH_KEPT;
    if (isShort) this.#write(key);
    else this.#hashLong(key);
    for (const [i, rival] of this.#rivals.entries())
      scores[rival.index] = scoreOf(rival, isShort ? this.#hashShort(rival, key.length) : this.#hashes[i]!);
    return scores;
  }

  #hashLong(key: Uint8Array): void {
    this.#longKeys ??= new LongKeyHashes(this.#rivals.map(({ prefix }) => prefix));
    this.#longKeys.hash(key, this.#hashes);
  }

  #write(key: Uint8Array): void {
    for (let i = 0; i < key.length; i++) this.#room[NAME_LENGTH_MAX + 1 + i] = key[i]!;
  }

  /** The hash with the key that was written last. */
  #hashShort({ prefix }: Rival, keyLength: number): number {
    const start = NAME_LENGTH_MAX + 1 - prefix.length;
    const room = this.#room;
    for (let i = 0; i < prefix.length; i++) room[start + i] = prefix[i]!;
    return murmurhash.v2(this.#view(start, prefix.length + keyLength), 0);
  }

  #view(start: number, length: number): Uint8Array {
    this.#views[start] ??= [];
    const byLength = this.#views[start];
    byLength[length] ??= this.#room.subarray(start, start + length);
    return byLength[length];
  }
}

function scoreOf({ share }: Rival, hash: number): number {
  return -share / Math.log((hash + 0.5) / HASH_COUNT);
}

/** What each variant weighs: its weight, or its share in hundredths of a percent, where "*" has what the others leave. */
function partsOf(variants: SplitConfig['variants']): number[] {
  const given = variants.reduce((sum, { share }) => sum + (share ?? 0), 0);
  return variants.map(({ share, weight }) => weight ?? share ?? SHARE_MAX - given);
}

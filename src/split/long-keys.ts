// MurmurHash2 of many names, each followed by the same long key, in one pass over the key: what rendezvous needs where a
// client sends kilobytes as its key. Gives what murmurhash's v2(name NUL key, 0) gives. Knows nothing of variants.
// Source: Austin Appleby, MurmurHash2.cpp.

import { drive, M } from './lanes.ts';

// A name shifts the key against the 4-byte blocks of the hash, in four ways at most. The blocks of each way are mixed once
// and then drive the hashes of all names that shift so, all of them together.
// `node scripts/head-cost.ts`: a decision among 1,000 names for a key of 8 KiB costs a twentieth of single hashes.

/** Keys shorter than this may not reach over the block that they share with a name. */
export const LONG_KEY_BYTES_MIN = 4;

interface Shifted {
  /** Bytes of the key in the same block as the end of the names. */
  readonly lead: number;
  /** Positions in the list of names. */
  readonly members: readonly number[];
  /** The blocks of the names, mixed, one name after the other, and where each starts. */
  readonly nameBlocks: Int32Array;
  readonly nameStarts: Int32Array;
  /** Bytes of each name after its last whole block, as the low bytes of the block that they share with the key. */
  readonly rests: Int32Array;
  readonly hashes: Int32Array;
}

/** The names of one list, as bytes. */
export class LongKeyHashes {
  readonly #names: readonly Uint8Array[];
  readonly #groups: readonly Shifted[];
  #blocks = new Int32Array(0);

  constructor(names: readonly Uint8Array[]) {
    this.#names = names;
    this.#groups = [0, 1, 2, 3].map((lead) => shiftedBy(lead, names)).filter((g) => g.members.length > 0);
  }

  /** Writes the hash of each name followed by `key`, of LONG_KEY_BYTES_MIN bytes at least, as unsigned numbers. */
  hash(key: Uint8Array, into: Uint32Array): void {
    if (this.#blocks.length < key.length >>> 2) this.#blocks = new Int32Array(key.length >>> 2);
    for (const group of this.#groups) {
      const { lead, members, hashes } = group;
      const count = (key.length - lead) >>> 2;
      const blocks = this.#blocks;
      for (let i = 0, at = lead; i < count; i++, at += 4) blocks[i] = mix(blockAt(key, at));
      for (let i = 0; i < members.length; i++)
        hashes[i] = startOf(group, i, this.#names[members[i]!]!.length + key.length, key);
      drive(hashes, blocks, count);
      const tailStart = lead + count * 4;
      for (let i = 0; i < members.length; i++) into[members[i]!] = endOf(hashes[i]!, key, tailStart);
    }
  }
}

function shiftedBy(lead: number, names: readonly Uint8Array[]): Shifted {
  const members = names.flatMap((name, index) => ((4 - (name.length % 4)) % 4 === lead ? [index] : []));
  const nameBlocks: number[] = [];
  const starts = [0];
  const rests: number[] = [];
  for (const index of members) {
    const name = names[index]!;
    const whole = name.length & ~3;
    for (let at = 0; at < whole; at += 4) nameBlocks.push(mix(blockAt(name, at)));
    starts.push(nameBlocks.length);
    rests.push(name.subarray(whole).reduce((rest, byte, i) => rest | (byte << (8 * i)), 0));
  }
  return {
    lead,
    members,
    nameBlocks: Int32Array.from(nameBlocks),
    nameStarts: Int32Array.from(starts),
    rests: Int32Array.from(rests),
    hashes: new Int32Array(members.length),
  };
}

/** The hash of a name up to the key's first block of its own. */
function startOf(
  { lead, nameBlocks, nameStarts, rests }: Shifted,
  i: number,
  length: number,
  key: Uint8Array,
): number {
  let hash = length;
  for (let block = nameStarts[i]!; block < nameStarts[i + 1]!; block++)
    hash = Math.imul(hash, M) ^ nameBlocks[block]!;
  if (lead === 0) return hash;
  let shared = rests[i]!;
  for (let at = 0; at < lead; at++) shared |= key[at]! << (8 * (4 - lead + at));
  return Math.imul(hash, M) ^ mix(shared);
}

function endOf(driven: number, key: Uint8Array, tailStart: number): number {
  let hash = driven;
  if (tailStart < key.length) {
    for (let at = tailStart; at < key.length; at++) hash ^= key[at]! << (8 * (at - tailStart));
    hash = Math.imul(hash, M);
  }
  hash = Math.imul(hash ^ (hash >>> 13), M);
  return (hash ^ (hash >>> 15)) >>> 0;
}

function blockAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function mix(block: number): number {
  const k = Math.imul(block, M);
  return Math.imul(k ^ (k >>> 24), M);
}

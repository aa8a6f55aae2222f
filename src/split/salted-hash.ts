// The hashes of an experiment: of the same key as the share, but independent of its hash and of each other, because each
// has a seed of its own. MurmurHash2 with two seeds gives related hashes for short keys, so a finalizer follows it.
// Sources: Austin Appleby, MurmurHash2.cpp and MurmurHash3.cpp (fmix32).

import murmurhash from 'murmurhash';

/** The seed for one purpose and name: MurmurHash2 of "purpose NUL name". */
export function seedOf(purpose: 'coverage' | 'layer' | 'share', name: string): number {
  return murmurhash.v2(new TextEncoder().encode(`${purpose}\0${name}`), 0);
}

/** The hash of a key under a seed: fmix32(MurmurHash2(key, seed)), from 0 to 2^32 - 1. Hot path. */
export function saltedHash(key: Uint8Array, seed: number): number {
  let hash = murmurhash.v2(key, seed);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

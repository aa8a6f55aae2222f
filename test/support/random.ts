// Numbers that look random and are the same for the same seed, so that a failure can be played again.
import { createCipheriv } from 'node:crypto';

/** A source of whole numbers from 0 to 2^32 - 1 (mulberry32). */
export function randomWords(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** A source of numbers from 0 to below 1. */
export function randomRatios(seed: number): () => number {
  const words = randomWords(seed);
  return () => words() / 2 ** 32;
}

/** So many 32-bit words without a pattern (AES in counter mode): those of randomWords() repeat too seldom to be counted by millions. */
export function randomHashes(count: number, seed: number): Uint32Array {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, `seed ${seed}`), Buffer.alloc(16));
  const { buffer, byteOffset } = cipher.update(Buffer.alloc(4 * count));
  return new Uint32Array(buffer, byteOffset, count);
}

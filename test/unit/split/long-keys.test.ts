// The hashes of many names with one long key are those of the package, whatever the lengths of names and key.
import murmurhash from 'murmurhash';
import { describe, expect, it } from 'vitest';
import { LONG_KEY_BYTES_MIN, LongKeyHashes } from '../../../src/split/long-keys.ts';

/** Bytes that look like noise and are the same in every run. */
function noise(byteCount: number, seed: number): Uint8Array {
  let state = seed >>> 0;
  return Uint8Array.from({ length: byteCount }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}

describe('the hash of a name and a long key', () => {
  it('is murmurhash 2 of both together', () => {
    // Every number of names beside the eight that go together, every shift of a name, every rest of a key.
    for (const count of [1, 7, 8, 9, 40]) {
      const names = Array.from({ length: count }, (_, i) => noise(1 + (i % 13), i));
      const hashes = new LongKeyHashes(names);
      const into = new Uint32Array(count);
      for (const keyLength of [LONG_KEY_BYTES_MIN, 5, 6, 7, 8, 65, 66, 67, 68, 1023, 4096]) {
        const key = noise(keyLength, keyLength * 31);
        hashes.hash(key, into);
        expect([...into]).toEqual(names.map((name) => murmurhash.v2(Uint8Array.from([...name, ...key]), 0)));
      }
    }
  });

  it('does not depend on a longer key that came before', () => {
    const hashes = new LongKeyHashes([noise(5, 1)]);
    const [first, again] = [new Uint32Array(1), new Uint32Array(1)];
    hashes.hash(noise(100, 2), first);
    hashes.hash(noise(9000, 3), again);
    hashes.hash(noise(100, 2), again);
    expect(again).toEqual(first);
  });
});

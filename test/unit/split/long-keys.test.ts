// The hashes of many names with one long key are those of the package, whatever the lengths of names and key.
import murmurhash from 'murmurhash';
import { describe, expect, it } from 'vitest';
import { drive, driveEach } from '../../../src/split/lanes.ts';
import { LONG_KEY_BYTES_MIN, LongKeyHashes } from '../../../src/split/long-keys.ts';
import { randomWords } from '../../support/random.ts';

/** Bytes that look like noise and are the same in every run. */
function noise(byteCount: number, seed: number): Uint8Array {
  const words = randomWords(seed);
  return Uint8Array.from({ length: byteCount }, () => words() >>> 24);
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

describe('states that are driven together', () => {
  const words = (count: number, seed: number) => new Int32Array(noise(count * 4, seed).buffer);

  it('end as those that are driven one by one, which is the way without a vector unit', () => {
    for (const states of [1, 31, 32, 33, 100]) {
      for (const blocks of [0, 1, 2, 1000]) {
        const [together, each] = [words(states, states), words(states, states)];
        drive(together, words(1000, blocks), blocks);
        driveEach(each, words(1000, blocks), blocks);
        expect(together).toEqual(each);
      }
    }
  });

  it('need no more room than there is: it grows with a key of 1 MiB', () => {
    const [together, each] = [words(40, 1), words(40, 1)];
    const blocks = words(262_144, 2);
    drive(together, blocks, blocks.length);
    driveEach(each, blocks, blocks.length);
    expect(together).toEqual(each);
  });
});

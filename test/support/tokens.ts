// Tokens for comparisons: random ones of several shapes, and ones whose hash is a given number. The latter exist
// because each step of MurmurHash2 can be inverted.
import murmurhash from 'murmurhash';

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const M = 0x5bd1e995;
const M_INVERSE = inverseOf(M);

/** `count` tokens: small and large numbers, words, hex digests, UUIDs. `random` gives ratios from 0 to below 1. */
export function randomTokens(count: number, random: () => number): string[] {
  const below = (limit: number) => Math.floor(random() * limit);
  const text = (length: number, letters: string) =>
    Array.from({ length }, () => letters[below(letters.length)]).join('');
  const hex = (length: number) => text(length, '0123456789abcdef');
  const shapes = [
    () => String(below(32_768)),
    () => String(below(2 ** 48)),
    () => text(1 + below(24), LETTERS),
    () => `user-${below(1_000_000)}`,
    () => hex(32),
    () => `${hex(8)}-${hex(4)}-4${hex(3)}-${hex(4)}-${hex(12)}`,
  ];
  return Array.from({ length: count }, () => shapes[below(shapes.length)]!());
}

/** A token of eight letters and digits whose hash is `hash`. */
export function tokenOfHash(hash: number): string {
  let final = undoShift(hash, 15);
  final = Math.imul(final, M_INVERSE);
  final = undoShift(final, 13);
  for (let attempt = 0; ; attempt++) {
    const front = Array.from({ length: 4 }, (_, i) => LETTERS[Math.floor(attempt / 62 ** i) % 62]).join('');
    const first = Math.imul(8, M) ^ mix(Buffer.from(front).readUInt32LE());
    // What the second block must have become; undone to the four bytes that it was.
    const wanted = final ^ Math.imul(first, M);
    const block = Math.imul(undoShift(Math.imul(wanted, M_INVERSE), 24), M_INVERSE);
    const back = Buffer.alloc(4);
    back.writeInt32LE(block);
    const token = front + back.toString('latin1');
    if (!/^[A-Za-z0-9]{8}$/.test(token)) continue;
    if (murmurhash.v2(Buffer.from(token), 0) !== hash) throw new Error(`the hash of ${token} is not ${hash}`);
    return token;
  }
}

function mix(block: number): number {
  const product = Math.imul(block, M);
  return Math.imul(product ^ (product >>> 24), M);
}

/** The x of which `mixed` is `x ^ (x >>> bits)`. */
function undoShift(mixed: number, bits: number): number {
  let value = mixed;
  for (let done = bits; done < 32; done += bits) value = mixed ^ (value >>> bits);
  return value;
}

/** The number that undoes a multiplication modulo 2^32, by Newton's method. */
function inverseOf(odd: number): number {
  let inverse = odd;
  for (let i = 0; i < 5; i++) inverse = Math.imul(inverse, 2 - Math.imul(odd, inverse));
  return inverse;
}

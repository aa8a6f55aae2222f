// Remembers the variant that was reported for each key, in 4 MiB: a hash table of 2^20 slots with linear probing. An entry of
// 32 bits holds what its slot does not say of a 32-bit key hash (12 bits), its distance from the slot where it belongs (9) and
// the variant (10), so only equal hashes can be confused. Single entries are never removed.

const SLOT_BITS = 20;
const SLOTS = 2 ** SLOT_BITS;
const SLOT_MASK = SLOTS - 1;
const REST_BITS = 32 - SLOT_BITS;
const DISTANCE_BITS = 9;
const DISTANCE_MAX = 2 ** DISTANCE_BITS - 1;
const VARIANT_SHIFT = REST_BITS + DISTANCE_BITS;
const KEY_MASK = 2 ** VARIANT_SHIFT - 1;
const OCCUPIED = 0x80000000;

/** Numbers of variants are taken modulo this. */
export const VARIANT_NUMBERS = 2 ** (31 - VARIANT_SHIFT);
/** Keys that the table holds at most: more of them would lie far from their slots. */
export const TABLE_KEYS_MAX = 0.75 * SLOTS;

/** The variants of up to TABLE_KEYS_MAX keys, until clear(). Assignments owns the only one of a process (assignments.ts). */
export class AssignmentTable {
  readonly #entries = new Int32Array(SLOTS);
  #keys = 0;

  /**
   * Remembers this variant of the key: `known` = it had it already, `new` = it had none or another one, `full` = there is no
   * room for it. Hot path. @param variant below VARIANT_NUMBERS
   */
  put(keyHash: number, variant: number): 'known' | 'new' | 'full' {
    const entries = this.#entries;
    // murmurhash3's finalizer, a bijection: the hashes of a variant are an interval, their low bits may be too.
    let mixed = Math.imul(keyHash ^ (keyHash >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    mixed ^= mixed >>> 16;
    const rest = mixed >>> SLOT_BITS;
    const told = OCCUPIED | (variant << VARIANT_SHIFT);
    let slot = mixed & SLOT_MASK;
    for (let distance = 0; distance <= DISTANCE_MAX; distance += 1) {
      const key = (distance << REST_BITS) | rest;
      const entry = entries[slot]!;
      if (entry === 0) {
        if (this.#keys >= TABLE_KEYS_MAX) return 'full';
        this.#keys += 1;
        entries[slot] = told | key;
        return 'new';
      }
      if ((entry & KEY_MASK) === key) {
        if (entry === (told | key)) return 'known';
        entries[slot] = told | key;
        return 'new';
      }
      slot = (slot + 1) & SLOT_MASK;
    }
    return 'full';
  }

  clear(): void {
    if (this.#keys > 0) this.#entries.fill(0);
    this.#keys = 0;
  }
}

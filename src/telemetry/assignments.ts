// Assignment events: one log line the first time that a key is seen in a window of time, for whoever joins variants with
// outcomes. The key itself is never written, only its HMAC, which the owner of the secret can compute from the key.
// Memory is bounded: a table of key hashes that is emptied with each window, or early when it is full.

import { createHmac } from 'node:crypto';

/** Key hashes that are remembered: 2^20 slots of 4 bytes, three quarters used at most. */
const TABLE_BITS = 20;
const KEYS_MAX = 0.75 * 2 ** TABLE_BITS;
const MASK = 2 ** TABLE_BITS - 1;

/** 132 bits of the HMAC: no two keys share them. */
const KEY_CHARACTERS = 22;

/** One assignment, without its key. */
export interface Assignment {
  readonly split: string;
  readonly variant: string;
  /** Number of the generation that decided. */
  readonly generation: number;
}

/** An event as it is written: `key` is the HMAC's beginning. */
export interface AssignmentEvent extends Assignment {
  readonly key: string;
}

/** Takes events: a log, or whoever carries them to the process that has one. */
export interface AssignmentSink {
  info(event: AssignmentEvent, message: string): void;
}

/** Writes the events. */
export class Assignments {
  readonly #log: AssignmentSink;
  readonly #secret: string;
  readonly #windowMs: number;
  readonly #table = new Uint32Array(2 ** TABLE_BITS);
  /** Numbers for the splits of events from other processes. */
  readonly #splits = new Map<string, number>();
  #keys = 0;
  #windowEnd = 0;
  #earlyWindows = 0;

  /** @param secret key of the HMAC-SHA-256 @param windowMs length of a window; windows begin at multiples of it */
  constructor(log: AssignmentSink, secret: string, windowMs: number) {
    this.#log = log;
    this.#secret = secret;
    this.#windowMs = windowMs;
  }

  /** Windows that began early because the table was full: keys of such a window may have come twice. */
  get earlyWindows(): number {
    return this.#earlyWindows;
  }

  /**
   * True when this key of this split has been seen in the present window; remembers it otherwise. Hot path. Two keys of a
   * split with the same 32-bit hash count as one.
   * @param split a number for the split @param nowMs Unix time
   */
  hasSeen(split: number, hash: number, nowMs: number): boolean {
    if (nowMs >= this.#windowEnd) {
      this.#windowEnd = (Math.floor(nowMs / this.#windowMs) + 1) * this.#windowMs;
      this.#forget();
    }
    const table = this.#table;
    let mixed = Math.imul(hash ^ Math.imul(split, 0x9e3779b1), 0x85ebca6b);
    mixed = (mixed ^ (mixed >>> 15)) >>> 0;
    const entry = mixed === 0 ? 1 : mixed; // 0 is an empty slot
    let slot = entry & MASK;
    while (table[slot] !== 0) {
      if (table[slot] === entry) return true;
      slot = (slot + 1) & MASK;
    }
    if (this.#keys >= KEYS_MAX) {
      this.#earlyWindows += 1;
      this.#forget();
      slot = entry & MASK;
    }
    table[slot] = entry;
    this.#keys += 1;
    return false;
  }

  /** Writes the event of a key that hasSeen() did not know. */
  write({ split, variant, generation }: Assignment, key: Uint8Array): void {
    const digest = createHmac('sha256', this.#secret).update(key).digest('base64url');
    this.#log.info({ split, variant, key: digest.slice(0, KEY_CHARACTERS), generation }, 'assignment');
  }

  /**
   * Writes the event of another process that no other one has told in this window. An Assignments that is told so has no
   * keys of its own to judge: they are known by the first 32 bits of their HMAC.
   */
  relay(event: AssignmentEvent, nowMs: number): void {
    let split = this.#splits.get(event.split);
    if (split === undefined) {
      split = this.#splits.size;
      this.#splits.set(event.split, split);
    }
    const hash = Buffer.from(event.key, 'base64url').readUInt32BE(0);
    if (!this.hasSeen(split, hash, nowMs)) this.#log.info(event, 'assignment');
  }

  #forget(): void {
    if (this.#keys > 0) this.#table.fill(0);
    this.#keys = 0;
  }
}

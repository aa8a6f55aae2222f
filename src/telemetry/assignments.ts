// Assignment events: one log line the first time that a key is seen with a variant in a window of time, for those who join
// variants with outcomes. The key itself is never written, only its HMAC, which the owner of the secret can compute from the
// key. Memory is bounded: a table of key hashes that is emptied with each window, or early when it is full.

import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import murmurhash from 'murmurhash';
import { AssignmentTable, TABLE_KEYS_MAX, VARIANT_NUMBERS } from './assignment-table.ts';
import type { Sample } from './sample.ts';

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

/** A split whose keys get events, as one generation has it. */
export interface AssignedSplit {
  /** Keeps its keys apart from those of other splits. */
  readonly salt: number;
  /** A number for each variant, by position. */
  readonly variants: readonly number[];
}

/** Takes events: an output of the log, or what carries them to the process that has one. */
export interface AssignmentSink {
  write(event: AssignmentEvent): void;
}

/** The log line of a window that began early. */
export const BEGAN_EARLY = 'assignment window began early: its table of keys is full';

/** What there is beside the events. */
export interface AssignmentOptions {
  /** The events go to another process, which hears of the same keys from several ones and judges by itself. */
  readonly isRelayed?: boolean;
  /** A window began early. */
  readonly beganEarly?: (keys: number) => void;
}

/** Writes the events. */
export class Assignments {
  readonly #sink: AssignmentSink;
  readonly #secret: KeyObject;
  readonly #windowMs: number;
  readonly #options: AssignmentOptions;
  readonly #table = new AssignmentTable();
  /** Numbers of variants by split and name. They outlive reloads, so that a variant may change its position. */
  readonly #variants = new Map<string, number>();
  /** What the splits were when they were last enrolled, and how often that has changed. */
  readonly #definitions = new Map<string, { definition: string; changes: number }>();
  #windowEnd = 0;
  #earlyWindows = 0;

  /** @param secret key of the HMAC-SHA-256 @param windowMs length of a window; windows begin at multiples of it */
  constructor(sink: AssignmentSink, secret: string, windowMs: number, options: AssignmentOptions = {}) {
    this.#sink = sink;
    this.#secret = createSecretKey(secret, 'utf8');
    this.#windowMs = windowMs;
    this.#options = options;
  }

  /** Windows that began early because the table was full: keys of such a window may have come twice. */
  get earlyWindows(): number {
    return this.#earlyWindows;
  }

  /** A split as a new generation has it, to be given to isNew(). */
  enroll({ split, definition, variants }: Pick<Sample, 'split' | 'definition' | 'variants'>): AssignedSplit {
    const known = this.#definitions.get(split);
    const isChanged = known !== undefined && known.definition !== definition;
    const changes = (known?.changes ?? 0) + (isChanged ? 1 : 0);
    this.#definitions.set(split, { definition, changes });
    // A key that was seen here before the change may have been seen elsewhere since: the other process has to hear of it again.
    const salted = this.#options.isRelayed === true ? `${split}\0${changes}` : split;
    return { salt: saltOf(salted), variants: variants.map(({ name }) => this.#variantNumber(split, name)) };
  }

  /**
   * True when this key of the split has not been seen with this variant before in the present window, or with another one
   * since; remembers it. Hot path. Two keys with the same 32-bit hash are one here.
   * @param variant position in the split @param nowMs Unix time
   */
  isNew({ salt, variants }: AssignedSplit, variant: number, hash: number, nowMs: number): boolean {
    return this.#put(hash ^ salt, variants[variant]!, nowMs);
  }

  /** Writes the event of a key that isNew() says. */
  write({ split, variant, generation }: Assignment, key: Uint8Array): void {
    const digest = createHmac('sha256', this.#secret).update(key).digest('base64url');
    this.#sink.write({ split, variant, key: digest.slice(0, KEY_CHARACTERS), generation });
  }

  /**
   * Writes the event of another process unless one has told the same in this window. An Assignments that relays has no
   * keys of its own to judge: they are known by the first 32 bits of their HMAC.
   */
  relay(event: AssignmentEvent, nowMs: number): void {
    const hash = Buffer.from(event.key, 'base64url').readInt32BE(0);
    const variant = this.#variantNumber(event.split, event.variant);
    if (this.#put(hash ^ saltOf(event.split), variant, nowMs)) this.#sink.write(event);
  }

  #put(keyHash: number, variant: number, nowMs: number): boolean {
    if (nowMs >= this.#windowEnd) {
      this.#windowEnd = (Math.floor(nowMs / this.#windowMs) + 1) * this.#windowMs;
      this.#table.clear();
    }
    const found = this.#table.put(keyHash, variant);
    if (found !== 'full') return found === 'new';
    this.#earlyWindows += 1;
    this.#options.beganEarly?.(TABLE_KEYS_MAX);
    this.#table.clear();
    this.#table.put(keyHash, variant);
    return true;
  }

  #variantNumber(split: string, variant: string): number {
    const id = `${split}\0${variant}`;
    let number = this.#variants.get(id);
    if (number === undefined) {
      number = this.#variants.size % VARIANT_NUMBERS;
      this.#variants.set(id, number);
    }
    return number;
  }
}

function saltOf(text: string): number {
  return murmurhash.v2(Buffer.from(text), 0) | 0;
}

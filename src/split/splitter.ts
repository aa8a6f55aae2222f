// The only door for the data plane: request in, decision out. Brings key, method and missing-key policy together; the
// command line, the admin page and the library ask the same `decide`. Knows nothing of sockets or upstream states.

import murmurhash from 'murmurhash';
import type { SplitConfig } from '../config/schema.ts';
import { type CompiledKey, compileKey, type RequestView } from './key.ts';
import { HASH_COUNT, type HashRange, Ranges } from './ranges.ts';
import { Rendezvous } from './rendezvous.ts';

/** A named arm of a split. */
export interface Variant {
  /** Position in the list of the configuration. */
  readonly index: number;
  readonly name: string;
  /** The upstream as the configuration names it. */
  readonly upstream: string;
  /** Part of all keys that it owns, as a ratio from 0 to 1. */
  readonly share: number;
}

/** Why a variant was chosen: by its share of the keys, by the policy for requests without a key, or by force. */
export type Reason = 'share' | 'missing_key' | 'override';

/** What was decided for one request. */
export interface Decision {
  /** Null when the request has no key and the policy is `reject`. */
  readonly variant: Variant | null;
  /** 32-bit MurmurHash2 of the key text as expanded for this request; 0 for an empty key. */
  readonly hash: number;
  readonly reason: Reason;
}

/** A decision and everything that led to it. */
export interface Explanation extends Decision {
  readonly split: string;
  readonly method: SplitConfig['method'];
  readonly missingKey: SplitConfig['missingKey'];
  /** The key text as the configuration has it. */
  readonly keySource: string;
  /** The key, readable: printable ASCII as it is, every other byte and the backslash as \xHH. */
  readonly key: string;
  /** Where the hash lies in the 32-bit space, in percent: from 0 to below 100. */
  readonly position: number;
  /** Hashes that the variant owns, `to` not among them; null for rendezvous, for a rejected request and for a variant that owns none. */
  readonly range: HashRange | null;
  /** Score of each variant in list order, the highest takes the key; null for ranges. */
  readonly scores: readonly { readonly variant: string; readonly score: number }[] | null;
}

/** Decides for one split. Immutable: a reload makes a new one. */
export class Splitter {
  readonly name: string;
  readonly variants: readonly Variant[];
  readonly #config: SplitConfig;
  readonly #key: CompiledKey;
  readonly #ranges: Ranges;
  readonly #rendezvous: Rendezvous | null;
  readonly #missingVariant: Variant;
  readonly #random: () => number;

  /** Throws only on a broken invariant: the configuration was validated before. `random` gives ratios from 0 to below 1. */
  constructor(name: string, config: SplitConfig, random: () => number = Math.random) {
    const key = compileKey(config.key);
    if ('error' in key) throw new Error(`broken invariant: the key text of ${name}: ${key.error}`);
    this.name = name;
    this.#config = config;
    this.#key = key;
    this.#random = random;
    this.#ranges = new Ranges(inOrder(config));
    this.#rendezvous = config.method === 'rendezvous' ? new Rendezvous(config.variants) : null;
    this.variants = config.variants.map(({ name: variant, upstream }, index) => ({
      index,
      name: variant,
      upstream,
      share: this.#rendezvous?.shares[index] ?? shareOf(this.#ranges.list[index]!),
    }));
    this.#missingVariant = defaultOf(config, this.variants);
  }

  /** The variant for this request. The same key has the same variant for as long as the configuration stands. */
  decide(view: RequestView): Decision {
    const key = this.#key.expand(view);
    const hash = murmurhash.v2(key, 0);
    if (this.#key.isMissing(key))
      return { variant: this.#withoutKey(key, hash), hash, reason: 'missing_key' };
    return { variant: this.#pick(key, hash), hash, reason: 'share' };
  }

  /** The key of this request, as it is hashed. */
  keyOf(view: RequestView): Uint8Array {
    return this.#key.expand(view);
  }

  /** The decision for this request and the way to it. For `missingKey: random` the variant is one more throw of the dice. */
  explain(view: RequestView): Explanation {
    const decision = this.decide(view);
    const { variant } = decision;
    const key = this.#key.expand(view);
    const range = variant === null ? undefined : this.#ranges.list[variant.index];
    const owned = range !== undefined && range.to > range.from && this.#rendezvous === null;
    return {
      ...decision,
      split: this.name,
      method: this.#config.method,
      missingKey: this.#config.missingKey,
      keySource: this.#key.text,
      key: printable(key),
      position: (decision.hash / HASH_COUNT) * 100,
      range: owned ? range : null,
      scores:
        this.#rendezvous
          ?.scores(key)
          .map((score, index) => ({ variant: this.variants[index]!.name, score })) ?? null,
    };
  }

  #pick(key: Uint8Array, hash: number): Variant {
    const index = this.#rendezvous === null ? this.#ranges.pick(hash) : this.#rendezvous.pick(key);
    return this.variants[index]!;
  }

  #withoutKey(key: Uint8Array, hash: number): Variant | null {
    const { missingKey } = this.#config;
    switch (missingKey) {
      case 'default':
        return this.#missingVariant;
      case 'first':
        return this.#pick(key, hash);
      case 'random':
        return this.variants[this.#ranges.pick(Math.floor(this.#random() * HASH_COUNT))]!;
      case 'reject':
        return null;
      default:
        return missingKey satisfies never;
    }
  }
}

/** Ranges need "*" last; rendezvous lets it stand anywhere, and its ranges serve `missingKey: random` alone. */
function inOrder(config: SplitConfig): SplitConfig['variants'] {
  const rest = config.variants.findIndex(({ share }) => share === null);
  if (config.method === 'ranges' || rest === -1) return config.variants;
  const given = config.variants.reduce((sum, { share }) => sum + (share ?? 0), 0);
  return config.variants.map((variant, index) =>
    index === rest ? { ...variant, share: 10_000 - given } : variant,
  );
}

function shareOf({ from, to }: HashRange): number {
  return (to - from) / HASH_COUNT;
}

/** The "*" variant or else the last one; of these only one that owns anything, as a parked variant takes no requests. */
function defaultOf(config: SplitConfig, variants: readonly Variant[]): Variant {
  const rest = variants[config.variants.findIndex(({ share }) => share === null)];
  if (rest !== undefined && rest.share > 0) return rest;
  return variants.findLast(({ share }) => share > 0)!;
}

function printable(key: Uint8Array): string {
  let text = '';
  for (const byte of key) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return text;
}

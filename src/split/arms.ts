// The variants of a split with their shares, and the way from a key to one of them, by ranges or rendezvous. Knows nothing
// of requests. A split in a layer has a seed for its shares: otherwise two splits of different layers with the same key
// would give their variants to the same keys.

import murmurhash from 'murmurhash';
import type { SplitConfig } from '../config/options/split.ts';
import { HASH_COUNT, type HashRange, Ranges } from './ranges.ts';
import { Rendezvous } from './rendezvous.ts';
import { saltedHash, seedOf } from './salted-hash.ts';
import type { Step } from './schedule.ts';

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

/** The variants of one split under one list of shares. Immutable; its splitter owns it. */
export class Arms {
  /** With these shares, also where they are those of a step. */
  readonly config: SplitConfig;
  readonly variants: readonly Variant[];
  readonly ranges: Ranges;
  readonly rendezvous: Rendezvous | null;
  /** What does not take part in the experiment gets this variant. */
  readonly control: Variant;
  readonly #seed: number | null;
  /** The salted hash as the key of rendezvous. */
  readonly #hashed = new Uint8Array(4);

  /** Throws only on a broken invariant: the configuration was validated before. */
  constructor(split: string, config: SplitConfig) {
    this.config = config;
    this.ranges = new Ranges(withRestLast(config));
    this.rendezvous = config.method === 'rendezvous' ? new Rendezvous(config.variants) : null;
    this.variants = config.variants.map(({ name, upstream }, index) => ({
      index,
      name,
      upstream,
      share: this.rendezvous?.shares[index] ?? shareOf(this.ranges.list[index]!),
    }));
    this.control = controlOf(config, this.variants);
    this.#seed = config.layer === undefined ? null : seedOf('share', split);
  }

  /** The hash by which shares are counted: nginx's, or in a layer that of the split. Hot path. */
  hash(key: Uint8Array): number {
    return this.#seed === null ? murmurhash.v2(key, 0) : saltedHash(key, this.#seed);
  }

  /** The variant of this key, whose hash() is `hash`. Hot path. */
  pick(key: Uint8Array, hash: number): Variant {
    if (this.rendezvous === null) return this.variants[this.ranges.pick(hash)]!;
    return this.variants[this.rendezvous.pick(this.#ownKey(key, hash))]!;
  }

  /** Score of each variant for this key; null for ranges. */
  scores(key: Uint8Array): number[] | null {
    return this.rendezvous?.scores(this.#ownKey(key, this.hash(key))) ?? null;
  }

  /** The bytes that rendezvous hashes. */
  #ownKey(key: Uint8Array, hash: number): Uint8Array {
    if (this.#seed === null) return key;
    for (let i = 0; i < 4; i++) this.#hashed[i] = hash >>> (8 * i);
    return this.#hashed;
  }
}

/** The arms of a split in the order of its share steps. */
export function armSteps(split: string, config: SplitConfig): Step<Arms>[] {
  return (config.shareSteps ?? []).map(({ at, to }) => ({
    at,
    to: new Arms(split, { ...config, variants: withShares(config.variants, to) }),
  }));
}

/** The variants with these shares by name, in hundredths of a percent; null is "*". */
export function withShares(
  variants: SplitConfig['variants'],
  shares: Readonly<Record<string, number | null>>,
): SplitConfig['variants'] {
  return variants.map(({ weight: _, ...variant }) => ({ ...variant, share: shares[variant.name] }));
}

/** Ranges need "*" last; rendezvous allows it anywhere, and its ranges serve `missingKey: random` alone. */
function withRestLast(config: SplitConfig): SplitConfig['variants'] {
  const rest = config.variants.findIndex(({ share }) => share === null);
  if (config.method === 'ranges' || rest === -1) return config.variants;
  const given = config.variants.reduce((sum, { share }) => sum + (share ?? 0), 0);
  return config.variants.map((variant, index) =>
    index === rest ? { ...variant, share: 10_000 - given } : variant,
  );
}

function shareOf({ from, end }: HashRange): number {
  return (end - from) / HASH_COUNT;
}

/** The named one, else the "*" variant or the last one; of these only one that owns anything, as a parked variant takes no requests. */
function controlOf({ control, variants: options }: SplitConfig, variants: readonly Variant[]): Variant {
  const named = variants.find(({ name }) => name === control);
  if (named !== undefined) return named;
  const rest = variants[options.findIndex(({ share }) => share === null)];
  if (rest !== undefined && rest.share > 0) return rest;
  // Without any share, where another text chooses, it is one of them all the same.
  return variants.findLast(({ share }) => share > 0) ?? variants[0]!;
}

// Keeps the sample of one split: the different keys of each variant since the split last changed, and whether their numbers
// fit the shares. Only keys that were assigned by their share belong to it: overrides, fallbacks and requests without a key
// say nothing about the shares. A change of key, method, variants or shares begins a new sample.

import type { SplitConfig } from '../config/options/split.ts';
import { describeKey } from '../split/key-list.ts';
import { HASH_COUNT } from '../split/ranges.ts';
import type { Variant } from '../split/splitter.ts';
import { type SampleVerdict, testSampleRatio } from '../trust/sample-ratio.ts';
import { type UniqueCount, Uniques } from './uniques.ts';

/** Different keys of a split, by the position of their variant. */
export class Sample {
  readonly split: string;
  readonly variants: readonly Variant[];
  readonly uniques: Uniques;
  /** Equal for configurations under which a key belongs to the same variant, so that the sample goes on. */
  readonly definition: string;

  constructor(split: string, variants: readonly Variant[], config: SplitConfig) {
    this.split = split;
    this.variants = variants;
    this.definition = defineSample(config);
    // With ranges a variant's keys can only have the hashes that it owns; with rendezvous any.
    this.uniques = new Uniques(
      variants.map(({ share }) => (config.method === 'ranges' ? share * HASH_COUNT : HASH_COUNT)),
    );
  }

  /**
   * Counts the key with this hash for the variant at this position. Hot path. Call it for decisions by share alone, when
   * the exchange has ended without a fallback.
   */
  add(variant: number, hash: number): void {
    this.uniques.add(variant, hash);
  }

  /** The count of each variant, in their order. */
  counts(): UniqueCount[] {
    return this.variants.map((_, index) => this.uniques.count(index));
  }

  /** Whether the counts fit the shares. */
  verdict(): SampleVerdict {
    return testSampleRatio(
      this.counts().map((count, index) => ({ share: this.variants[index]!.share, ...count })),
    );
  }
}

/** What of a split decides which variant a key belongs to. Upstreams and the missing-key policy do not. */
export function defineSample({ key, method, variants }: SplitConfig): string {
  return JSON.stringify([
    describeKey(key),
    method,
    variants.map(({ name, share, weight }) => [name, share, weight]),
  ]);
}

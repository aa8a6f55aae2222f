// Decides which variant a request goes to, from the key, the method and the policy for a missing key. The data plane, the
// command line, the admin page and the library all call the same `decide`. Knows nothing of sockets or upstream states.

import murmurhash from 'murmurhash';
import type { RequestView } from '../bytes.ts';
import type { MintConfig, RememberConfig, SplitConfig } from '../config/options/split.ts';
import type { CompiledKey } from '../key/compile.ts';
import { REQUEST_SCOPE, type TextScope } from '../key/own-variables.ts';
import { type FoundKey, findPageKey, pageKeys } from '../key/page-key.ts';
import {
  canBeRemembered,
  compileKeys,
  cookieFor,
  fieldsOf,
  makeRandomKey,
  mintOf,
  remembersOf,
} from './key-list.ts';
import { Override, type OverrideFound, type OverridePlace } from './override.ts';
import { isPreflight } from './preflight.ts';
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
  /** What an override, a minted or a remembered key adds to the response or removes from the request; null in every other case. */
  readonly extras: DecisionExtras | null;
}

/** What comes with a decision in addition to the variant. */
export interface DecisionExtras {
  /** A key that was made for this request, as it is hashed; null when none was. */
  readonly mintedKey: string | null;
  /** Value of the Set-Cookie field that gives a minted or remembered key to the client; null without one. */
  readonly setCookie: string | null;
  /** What was found of an override, granted or not, and has to be left out of the request; null for nothing. */
  readonly override: OverrideFound | null;
}

/** A decision and everything that led to it. */
export interface Explanation extends Omit<Decision, 'extras'> {
  readonly split: string;
  readonly method: SplitConfig['method'];
  readonly missingKey: SplitConfig['missingKey'];
  /** The key text that gave the key, as the configuration has it; of several that gave none, the first. */
  readonly keySource: string;
  /** The request had no key, so one was minted: the next request will have another one unless it brings the cookie. */
  readonly isMinted: boolean;
  /** The answer sets a cookie with the key of this request, so that one without it has the same key. */
  readonly isRemembered: boolean;
  /** Where a variant was asked for, and whether that was granted; null when no override was asked for. */
  readonly override: { readonly place: OverridePlace; readonly isGranted: boolean } | null;
  /** The key, readable: printable ASCII as it is, every other byte and the backslash as \xHH. */
  readonly key: string;
  /** Where the hash lies in the 32-bit space, in percent: from 0 to below 100. */
  readonly position: number;
  /** Hashes that the variant owns, `end` not among them; null for rendezvous, for a rejected request and for a variant that owns none. */
  readonly range: HashRange | null;
  /** Score of each variant in list order, the highest takes the key; null for ranges. */
  readonly scores: readonly { readonly variant: string; readonly score: number }[] | null;
}

/** Decides for one split. Immutable: a reload makes a new one. */
export class Splitter {
  readonly name: string;
  readonly variants: readonly Variant[];
  /** What the variable of the split is in other texts for each variant. */
  readonly values: readonly string[];
  /** Names of the request fields on which a decision depends, for Vary; "*" where it depends on the client's address. */
  readonly varyBy: readonly string[];
  /** Decisions may bring extras along. */
  readonly hasExtras: boolean;
  /** The variant of a request without a key is random. */
  readonly isChanceWithoutKey: boolean;
  /** The header field that overrides, lower case; null without one. It is not sent upstream. */
  readonly overrideHeader: string | null;
  readonly #config: SplitConfig;
  readonly #key: CompiledKey;
  /** `#key` and those that are asked in turn when it is missing. */
  readonly #keys: readonly CompiledKey[];
  /** For each of `#keys` what remembers its key. */
  readonly #remembers: readonly (RememberConfig | null)[];
  readonly #mint: MintConfig | null;
  /** Keys that are looked for in the query of the page that asked, before one is minted. */
  readonly #pageKeys: readonly CompiledKey[];
  readonly #override: Override | null;
  /** One key text and nothing else, as in nearly every split: the short path is enough. */
  readonly #isPlain: boolean;
  readonly #ranges: Ranges;
  readonly #rendezvous: Rendezvous | null;
  readonly #missingVariant: Variant;
  readonly #random: () => number;
  readonly #makeKey: () => string;

  /**
   * Throws only on a broken invariant: the configuration was validated before. `random` gives ratios from 0 to below 1,
   * `makeKey` the keys that are minted, `scope` the variables that its keys can read.
   */
  constructor(
    name: string,
    config: SplitConfig,
    random: () => number = Math.random,
    makeKey: () => string = makeRandomKey,
    scope: TextScope = REQUEST_SCOPE,
  ) {
    this.name = name;
    this.#config = config;
    this.#keys = compileKeys(name, config.key, scope);
    this.#key = this.#keys[0]!;
    this.#remembers = remembersOf(config.key);
    this.#mint = mintOf(config.key);
    this.#pageKeys = this.#mint === null ? [] : pageKeys(this.#keys);
    this.#random = random;
    this.#makeKey = makeKey;
    this.#ranges = new Ranges(withRestLast(config));
    this.#rendezvous = config.method === 'rendezvous' ? new Rendezvous(config.variants) : null;
    this.variants = config.variants.map(({ name: variant, upstream }, index) => ({
      index,
      name: variant,
      upstream,
      share: this.#rendezvous?.shares[index] ?? shareOf(this.#ranges.list[index]!),
    }));
    this.values = config.variants.map(({ name: variant, value = variant }) => value);
    this.#missingVariant = variantWithoutKey(config, this.variants);
    const names = this.variants.map((variant) => variant.name);
    this.#override = config.override === undefined ? null : new Override(config.override, names);
    this.hasExtras =
      this.#mint !== null || this.#override !== null || this.#remembers.some((one) => one !== null);
    this.#isPlain = this.#keys.length === 1 && !this.hasExtras;
    this.overrideHeader = this.#override?.header ?? null;
    this.varyBy = fieldsReadBy(config, this.#keys);
    this.isChanceWithoutKey = config.missingKey === 'random';
  }

  /** The variant for this request. The same key has the same variant until the configuration changes. */
  decide(view: RequestView): Decision {
    if (!this.#isPlain) return this.#decideInFull(view);
    const key = this.#key.expand(view);
    const hash = murmurhash.v2(key, 0);
    if (this.#key.isMissing(key))
      return { variant: this.#withoutKey(key, hash), hash, reason: 'missing_key', extras: null };
    return { variant: this.#pick(key, hash), hash, reason: 'share', extras: null };
  }

  /** The key of this request, as it is hashed. One that was minted for it is in the decision alone. */
  keyOf(view: RequestView): Uint8Array {
    return this.#find(this.#override?.find(view)?.view ?? view).key;
  }

  /**
   * The decision for this request and the way to it. Where chance has its part (`missingKey: random`, a minted key) it is
   * one more throw of the dice.
   */
  explain(view: RequestView): Explanation {
    const { extras, ...decision } = this.decide(view);
    const { variant } = decision;
    const minted = extras?.mintedKey ?? null;
    const found = this.#find(extras?.override?.view ?? view);
    const key = minted === null ? found.key : bytesOf(minted);
    const source = minted === null ? found.source : this.#keys.at(-1)!;
    const { place = null, variant: forced = -1 } = extras?.override ?? {};
    const range = variant === null ? undefined : this.#ranges.list[variant.index];
    const owned = range !== undefined && range.end > range.from && this.#rendezvous === null;
    return {
      ...decision,
      split: this.name,
      method: this.#config.method,
      missingKey: this.#config.missingKey,
      keySource: minted === null && found.isOfPage === true ? `${source.text} in Referer` : source.text,
      isMinted: minted !== null,
      isRemembered: minted === null && (extras?.setCookie ?? null) !== null,
      override: place === null ? null : { place, isGranted: forced >= 0 },
      key: printableKey(key),
      position: (decision.hash / HASH_COUNT) * 100,
      range: owned ? range : null,
      scores:
        this.#rendezvous
          ?.scores(key)
          .map((score, index) => ({ variant: this.variants[index]!.name, score })) ?? null,
    };
  }

  /** An override that is granted, else the first key that is there, else a minted one, else the policy for none. */
  #decideInFull(whole: RequestView): Decision {
    const override = this.#override?.find(whole) ?? null;
    const view = override?.view ?? whole;
    const { source, key } = this.#find(view);
    const hash = murmurhash.v2(key, 0);
    const extras = override === null ? null : { mintedKey: null, setCookie: null, override };
    if (override !== null && override.variant >= 0) {
      return { variant: this.variants[override.variant]!, hash, reason: 'override', extras };
    }
    if (!source.isMissing(key)) {
      const variant = this.#pick(key, hash);
      const setCookie = this.#rememberIn(source, key, view);
      if (setCookie === null) return { variant, hash, reason: 'share', extras };
      return { variant, hash, reason: 'share', extras: { mintedKey: null, setCookie, override } };
    }
    if (this.#mint === null)
      return { variant: this.#withoutKey(key, hash), hash, reason: 'missing_key', extras };
    // A minted key, which no browser would keep, would send a preflight to a variant by chance.
    if (isPreflight(view)) return { variant: this.#missingVariant, hash, reason: 'missing_key', extras };
    const mintedKey = this.#makeKey();
    const minted = bytesOf(mintedKey);
    const mintedHash = murmurhash.v2(minted, 0);
    return {
      variant: this.#pick(minted, mintedHash),
      hash: mintedHash,
      reason: 'share',
      extras: { mintedKey, setCookie: cookieFor(this.#mint, mintedKey, view), override },
    };
  }

  /** The cookie for a key that is to be remembered and is not yet; null for none. `key` is of no more use after the call. */
  #rememberIn(source: CompiledKey, key: Uint8Array, view: RequestView): string | null {
    const place = this.#keys.indexOf(source);
    const remember = this.#remembers[place] ?? null;
    if (remember === null) return null;
    const text = Buffer.from(key).toString('latin1');
    const kept = Buffer.from(this.#keys[place + 1]!.expand(view)).toString('latin1');
    // A browser keeps no cookie of a preflight's response.
    if (kept === text || !canBeRemembered(text) || isPreflight(view)) return null;
    return cookieFor(remember, text, view);
  }

  /** The first key that is not missing and its text, or that of the page that asked; of keys that all are, the first one. */
  #find(view: RequestView): FoundKey {
    for (const source of this.#keys) {
      const key = source.expand(view);
      if (!source.isMissing(key)) return { source, key };
    }
    return findPageKey(this.#pageKeys, view) ?? { source: this.#key, key: this.#key.expand(view) };
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

function fieldsReadBy({ key, override }: SplitConfig, keys: readonly CompiledKey[]): string[] {
  const fields = fieldsOf(key);
  if (override?.header !== undefined) fields.push(override.header);
  if (override?.cookie !== undefined) fields.push('Cookie');
  if (mintOf(key) !== null && pageKeys(keys).length > 0) fields.push('Referer');
  return fields.includes('*') ? ['*'] : [...new Set(fields)];
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

/** The "*" variant or else the last one; of these only one that owns anything, as a parked variant takes no requests. */
function variantWithoutKey(config: SplitConfig, variants: readonly Variant[]): Variant {
  const rest = variants[config.variants.findIndex(({ share }) => share === null)];
  if (rest !== undefined && rest.share > 0) return rest;
  return variants.findLast(({ share }) => share > 0)!;
}

function bytesOf(minted: string): Uint8Array {
  return Buffer.from(minted, 'latin1');
}

function printableKey(key: Uint8Array): string {
  let text = '';
  for (const byte of key) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return text;
}

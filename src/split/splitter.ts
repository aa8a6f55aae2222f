// Decides which variant a request goes to, from the key, the method and the policy for a missing key. The data plane, the
// command line, the admin page and the library all call the same `decide`. Knows nothing of sockets or upstream states.

import murmurhash from 'murmurhash';
import type { RequestView } from '../bytes.ts';
import type { MintConfig, RememberConfig, SplitConfig } from '../config/options/split.ts';
import type { FaultCode } from '../errors.ts';
import type { CompiledKey } from '../key/compile.ts';
import { type OwnVariable, REQUEST_SCOPE, type TextScope } from '../key/own-variables.ts';
import { type FoundKey, findPageKey, pageKeys } from '../key/page-key.ts';
import type { ExplainedMap } from '../key/value-map.ts';
import { Arms, armSteps, type Variant } from './arms.ts';
import { type ExplainedChoice, ValueChoice } from './choice.ts';
import { Enrolment, type EnrolmentFacts, enrolsAll, NEVER_STOPPED, type SplitStop } from './enrolment.ts';
import {
  canBeRemembered,
  compileKeys,
  cookieFor,
  fieldsReadBy,
  makeRandomKey,
  mintOf,
  printableKey,
  remembersOf,
} from './key-list.ts';
import { Override, type OverrideFound, type OverridePlace } from './override.ts';
import { isPreflight } from './preflight.ts';
import { HASH_COUNT, type HashRange } from './ranges.ts';
import { Schedule } from './schedule.ts';
import { type Condition, compileCondition } from './targeting.ts';

export type { Variant } from './arms.ts';

/** Why a variant was chosen. Only keys that were assigned by their `share` belong to the sample. */
export const REASONS = ['share', 'missing_key', 'override', 'not_enrolled', 'not_targeted'] as const;
/**
 * Why a variant was chosen: by its share of the keys, by the policy for requests without a key, by force, or as the control
 * for a key that is not enrolled or a request that is not targeted.
 */
export type Reason = (typeof REASONS)[number];

/** What a splitter reads from outside; a splitter that needs none of it is a pure function of the request. */
export interface SplitterLive {
  /** Milliseconds since 1970, needed where coverage or shares have steps; far from the next one an older time will do. */
  readonly clock?: (nextStepAt?: number) => number;
  /** What stops the split; without it nothing does. */
  readonly stop?: SplitStop;
  /** The variable of the split; needed where `choose` reads it. */
  readonly own?: OwnVariable;
  /** The key reads chance, the clock or the connection. */
  readonly isRandom?: boolean;
  /** Its texts, and those of the maps that they read: what a decision depends on. */
  readonly readTexts?: readonly string[];
  /** The maps that its texts read, and what applies in them to a request. */
  readonly explainMaps?: (view: RequestView) => readonly ExplainedMap[];
}

function noClock(): never {
  throw new Error('broken invariant: a split with steps has no clock');
}

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
  /** How the key stands in the experiment; null where every key takes part, and for a request that is not targeted. */
  readonly enrolment: EnrolmentFacts | null;
  /** The request fulfils `when`; true without one. */
  readonly isTargeted: boolean;
  /** Hashes that the variant owns, `end` not among them; null for rendezvous, for a rejected request and for a variant that owns none. */
  readonly range: HashRange | null;
  /** The text of `choose` and its value; absent without one. */
  readonly choice?: ExplainedChoice;
  /** Variables that the split reads, with the entry that applied in each; absent where it reads none. */
  readonly variables?: readonly ExplainedMap[];
  /** Score of each variant in list order, the highest takes the key; null for ranges. */
  readonly scores: readonly { readonly variant: string; readonly score: number }[] | null;
}

/** Decides for one split. Nothing changes it but the clock and its stop: a reload makes a new one. */
export class Splitter {
  readonly name: string;
  /** What the variable of the split is in other texts for each variant. */
  readonly values: readonly string[];
  /** Names of the request fields on which a decision depends, for Vary; "*" where it depends on the client's address. */
  readonly varyBy: readonly string[];
  /** Decisions may bring extras along. */
  readonly hasExtras: boolean;
  /** The key is another one for each request, so that it says nothing of users. */
  readonly isRandom: boolean;
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
  /** How many keys take part; null where all do. */
  readonly enrolment: Enrolment | null;
  readonly #condition: Condition | null;
  readonly #choice: ValueChoice | null;
  readonly #explainMaps: NonNullable<SplitterLive['explainMaps']>;
  /** The decision by share of the request that is being decided, once the text of `choose` has read it. */
  #byShare: Decision | null = null;
  /** The variants and shares; where they have steps, those of the last decision. */
  #arms: Arms;
  readonly #steps: Schedule<Arms> | null;
  readonly #clock: (nextStepAt?: number) => number;
  readonly #random: () => number;
  readonly #makeKey: () => string;

  /**
   * Throws only on a broken invariant: the configuration was validated before. `random` gives ratios from 0 to below 1,
   * `makeKey` the keys that are minted, `scope` the variables that its texts can read, the last one the time and what stops it.
   */
  constructor(
    name: string,
    config: SplitConfig,
    random: () => number = Math.random,
    makeKey: () => string = makeRandomKey,
    scope: TextScope = REQUEST_SCOPE,
    {
      clock = noClock,
      stop = NEVER_STOPPED,
      own,
      isRandom = false,
      explainMaps = () => [],
      readTexts = [],
    }: SplitterLive = {},
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
    this.#clock = clock;
    this.#arms = new Arms(name, config);
    this.#steps = config.shareSteps === undefined ? null : new Schedule(this.#arms, armSteps(name, config));
    this.enrolment = enrolsAll(config) ? null : new Enrolment(name, config, clock, stop);
    this.#condition = config.when === undefined ? null : compileCondition(config.when, scope);
    this.values = config.variants.map(({ name: variant, value = variant }) => value);
    this.isRandom = isRandom;
    this.#explainMaps = explainMaps;
    this.#choice =
      config.choose === undefined ? null : new ValueChoice(config.choose, this.values, scope, own ?? null);
    const names = config.variants.map((variant) => variant.name);
    this.#override = config.override === undefined ? null : new Override(config.override, names);
    this.hasExtras =
      this.#mint !== null || this.#override !== null || this.#remembers.some((one) => one !== null);
    const isExperiment = this.#steps !== null || this.enrolment !== null || this.#condition !== null;
    this.#isPlain = this.#keys.length === 1 && !this.hasExtras && !isExperiment && this.#choice === null;
    this.overrideHeader = this.#override?.header ?? null;
    this.varyBy = fieldsReadBy(config, this.#keys, readTexts);
    this.isChanceWithoutKey = config.missingKey === 'random';
  }

  /** In the order of the configuration, with the shares of now. */
  get variants(): readonly Variant[] {
    return this.#now().variants;
  }

  /** The variant for what does not take part. */
  get control(): Variant {
    return this.#now().control;
  }

  /** The options as they are now: shares and coverage without steps. */
  get config(): SplitConfig {
    const { config } = this.#now();
    if (config.shareSteps === undefined && typeof config.coverage !== 'object') return config;
    const { shareSteps: _, coverage, ...rest } = config;
    return coverage === undefined ? rest : { ...rest, coverage: this.enrolment?.coverage ?? coverage };
  }

  /** Share steps, and how many of them are taken by now. */
  get shareSchedule(): { readonly steps: Schedule<Arms>['steps']; readonly taken: number } {
    if (this.#steps === null) return { steps: [], taken: 0 };
    return { steps: this.#steps.steps, taken: this.#steps.taken(this.#clock()) };
  }

  /** The variant for this request. The same key has the same variant until the configuration, the clock or a stop changes it. */
  decide(view: RequestView): Decision {
    if (!this.#isPlain) return this.#decideInFull(view);
    const key = this.#key.expand(view);
    const hash = murmurhash.v2(key, 0);
    if (this.#key.isMissing(key))
      return { variant: this.#withoutKey(this.#arms, key), hash, reason: 'missing_key', extras: null };
    return { variant: this.#arms.pick(key, hash), hash, reason: 'share', extras: null };
  }

  /** The decision by key and shares, whatever `choose` says: what the split's variable is. */
  decideByShare(view: RequestView): Decision {
    if (this.#choice === null) return this.decide(view);
    this.#byShare = this.#decideByKey(view, null);
    return this.#byShare;
  }

  /** Why a request has no variant: no key, or the text of `choose` has the value of none. */
  get faultWithout(): FaultCode {
    return this.#choice === null ? 'KEY_MISSING' : 'NO_VARIANT';
  }

  /** The key of this request, as it is hashed. One that was minted for it is in the decision alone. */
  keyOf(view: RequestView): Uint8Array {
    return this.#find(this.#override?.find(view)?.view ?? view).key;
  }

  /** The decision for this request and the way to it. Chance (`missingKey: random`, a minted key) decides once more. */
  explain(view: RequestView): Explanation {
    const { extras, ...decision } = this.decide(view);
    const { variant, reason } = decision;
    const arms = this.#arms;
    const minted = extras?.mintedKey ?? null;
    const asked = extras?.override?.view ?? view;
    const isTargeted = this.#condition?.holds(asked) ?? true;
    const variables = this.#explainMaps(asked);
    const choice = this.#choice?.explain(asked);
    // The key is read last: all texts are made in one place.
    const found = this.#find(asked);
    const key = minted === null ? found.key : Buffer.from(minted, 'latin1');
    const isKeyed = reason === 'share' || reason === 'not_enrolled';
    const source = minted === null ? found.source : this.#keys.at(-1)!;
    const { place = null, variant: forced = -1 } = extras?.override ?? {};
    const range = variant === null ? undefined : arms.ranges.list[variant.index];
    const owned = range !== undefined && range.end > range.from && arms.rendezvous === null;
    return {
      ...decision,
      ...(choice === undefined ? {} : { choice }),
      ...(variables.length === 0 ? {} : { variables }),
      split: this.name,
      method: this.#config.method,
      missingKey: this.#config.missingKey,
      keySource: minted === null && found.isOfPage === true ? `${source.text} in Referer` : source.text,
      isMinted: minted !== null,
      isRemembered: minted === null && (extras?.setCookie ?? null) !== null,
      override: place === null ? null : { place, isGranted: forced >= 0 },
      key: printableKey(key),
      position: (decision.hash / HASH_COUNT) * 100,
      enrolment: isKeyed ? (this.enrolment?.explain(key) ?? null) : null,
      isTargeted,
      range: owned ? range : null,
      scores:
        arms.scores(key)?.map((score, index) => ({ variant: arms.variants[index]!.name, score })) ?? null,
    };
  }

  #now(): Arms {
    if (this.#steps !== null) this.#arms = this.#steps.at(this.#clock(this.#steps.nextAt));
    return this.#arms;
  }

  /**
   * An override that is granted, else the control for a request that is not targeted; else the first key that is there, a
   * minted one, or the policy for none. A key that is not enrolled gets the control.
   */
  #decideInFull(whole: RequestView): Decision {
    const override = this.#override?.find(whole) ?? null;
    const view = override?.view ?? whole;
    if (override !== null && override.variant >= 0) {
      const arms = this.#now();
      const hash = arms.hash(this.#find(view).key);
      const extras = { mintedKey: null, setCookie: null, override };
      return { variant: arms.variants[override.variant]!, hash, reason: 'override', extras };
    }
    if (this.#choice === null) return this.#decideByKey(view, override);
    return this.#decideByChoice(this.#choice, view, override);
  }

  /** The variant whose value the text of `choose` has. Where that is the split's own choice, its reason stays. */
  #decideByChoice(choice: ValueChoice, view: RequestView, override: OverrideFound | null): Decision {
    this.#byShare = null;
    const index = choice.pick(view);
    const { variant, hash, reason }: Decision = this.#byShare ?? this.#decideByKey(view, null);
    const extras = override === null ? null : { mintedKey: null, setCookie: null, override };
    if (index < 0) return { variant: null, hash, reason: 'override', extras };
    const isOwn = choice.hasReadSplit && variant?.index === index;
    return { variant: this.#arms.variants[index]!, hash, reason: isOwn ? reason : 'override', extras };
  }

  /** The control for a request that is not targeted; else the first key that is there, a minted one, or the policy for none. */
  #decideByKey(view: RequestView, override: OverrideFound | null): Decision {
    const arms = this.#now();
    const isTargeted = this.#condition === null || this.#condition.holds(view);
    let source = this.#key;
    let key = source.expand(view);
    if (source.isMissing(key)) ({ source, key } = this.#find(view));
    const hash = arms.hash(key);
    const extras = override === null ? null : { mintedKey: null, setCookie: null, override };
    const isMissing = source.isMissing(key);
    if (isMissing && !isTargeted) return { variant: arms.control, hash, reason: 'not_targeted', extras };
    if (!isMissing) {
      const isEnrolled = isTargeted && (this.enrolment === null || this.enrolment.enrols(key));
      const variant = isEnrolled ? arms.pick(key, hash) : arms.control;
      const reason = isEnrolled ? 'share' : isTargeted ? 'not_enrolled' : 'not_targeted';
      const setCookie = this.hasExtras ? this.#rememberIn(source, key, view) : null;
      if (setCookie === null) return { variant, hash, reason, extras };
      return { variant, hash, reason, extras: { mintedKey: null, setCookie, override } };
    }
    if (this.#mint === null)
      return { variant: this.#withoutKey(arms, key), hash, reason: 'missing_key', extras };
    // A minted key, which no browser would keep, would send a preflight to a variant by chance.
    if (isPreflight(view)) return { variant: arms.control, hash, reason: 'missing_key', extras };
    const mintedKey = this.#makeKey();
    const minted = Buffer.from(mintedKey, 'latin1');
    const mintedHash = arms.hash(minted);
    const isEnrolled = this.enrolment === null || this.enrolment.enrols(minted);
    return {
      variant: isEnrolled ? arms.pick(minted, mintedHash) : arms.control,
      hash: mintedHash,
      reason: isEnrolled ? 'share' : 'not_enrolled',
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

  #withoutKey(arms: Arms, key: Uint8Array): Variant | null {
    const { missingKey } = this.#config;
    // A stopped split gives its variants to no one by chance either.
    if (this.enrolment?.isStopped === true && missingKey !== 'reject') return arms.control;
    switch (missingKey) {
      case 'default':
        return arms.control;
      case 'first':
        return arms.pick(key, murmurhash.v2(key, 0));
      case 'random':
        return arms.variants[arms.ranges.pick(Math.floor(this.#random() * HASH_COUNT))]!;
      case 'reject':
        return null;
      default:
        return missingKey satisfies never;
    }
  }
}

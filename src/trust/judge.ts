// Judges a sample at one moment: which troubles its numbers show, how sure that is, and how far each variant is from the
// others together. What was found before is not known here: telemetry/verdict.ts keeps it. Pure.

import {
  type Difference,
  differenceInterval,
  differenceLogEvidence,
  type Proportion,
  proportionDifference,
} from './difference.ts';
import { type Level, levelOf, shareLogEvidence } from './evidence.ts';
import {
  findRobots,
  logRatioDifference,
  type RatioTerms,
  ratioDifference,
  requestsOfRobots,
} from './groups.ts';
import { sentenceOf } from './sentences.ts';

/** What can be wrong with a split, in the order in which it is told. */
export const TROUBLES = [
  'shares',
  'errors',
  'exposure',
  'left',
  'duration',
  'requests',
  'robots',
  'keyless',
  'fallbacks',
] as const;
type Trouble = (typeof TROUBLES)[number];

/** A number of keys and the standard error of counting them. */
export interface CountedKeys {
  readonly keys: number;
  readonly standardError: number;
}

/** What is known of a variant. Sums have one entry for each group of its keys. */
export interface VariantFacts {
  readonly name: string;
  readonly share: number;
  readonly assigned: CountedKeys;
  /** Keys that got a whole good answer. */
  readonly answered: CountedKeys;
  /** Keys that met a failure that was not their own. */
  readonly failed: CountedKeys;
  /** Keys of each group; null where there are too many to tell. */
  readonly groupKeys: Float64Array | null;
  readonly requests: Float64Array;
  readonly answers: Float64Array;
  /** Sum of the natural logarithms of the durations of good answers, in milliseconds. */
  readonly logDurations: Float64Array;
  readonly left: Float64Array;
  readonly keyless: number;
  readonly fallbacks: number;
  /** Exchanges outside of the sample, those two included. */
  readonly outside: number;
}

/** An estimate with what it may be: the true value is outside with a probability of 5 % at most, at any moment. */
interface Estimate {
  readonly value: number;
  readonly lower: number;
  readonly upper: number;
  readonly logEvidence: number;
}

/** A variant against all others together; null while there are too few keys to tell. */
interface Comparison {
  /** Difference of the parts of keys that met a failure. */
  readonly errors: Estimate | null;
  /** Difference of the parts of requests whose client left before the end of the answer. */
  readonly left: Estimate | null;
  /** How many times as many requests a key sends, and how many times as long a typical good answer takes. */
  readonly requests: Estimate | null;
  readonly durations: Estimate | null;
  /** Requests that robots have sent. */
  readonly robotRequests: number;
}

/** Something that is wrong. */
export interface Alarm {
  readonly trouble: Trouble;
  readonly level: Level;
  /** Null = the split as a whole. */
  readonly variant: string | null;
  /** Null for a plain fact, which needs no test. */
  readonly logEvidence: number | null;
  readonly sentence: string;
}

/** What the numbers say now. */
export interface Judgement {
  /** Evidence that the keys do not fall by the shares. */
  readonly shareLogEvidence: number;
  /** Largest distance of an observed from its intended share, relative to the intended one; null without keys. */
  readonly deviationRatio: number | null;
  readonly comparisons: readonly Comparison[];
  readonly alarms: readonly Alarm[];
}

const INTERVAL_ALPHA = 0.05;
/** Effects that matter: of a share, relative; of keys with errors; of clients that leave; of durations; of requests. */
const DEVIATION_MIN = 0.001;
const ERRORS_MIN = 0.001;
const LEFT_MIN = 0.01;
const SLOWER_LOOK = 1.05;
const SLOWER_STOP = 1.2;
const SLOWER_MS_MIN = 1;
const REQUESTS_MIN = 1.05;
/** Parts of all requests from which on a plain fact is told, and requests that it takes. */
const PART_MIN = 0.05;
const PART_REQUESTS_MIN = 1000;

/** Variants that are compared in one piece: some 0.3 ms. */
const PIECE_VARIANTS = 32;

/** Judges a sample by what is known of its variants. Of many variants this takes long, so it pauses after each small piece. */
export function* judgeSample(variants: readonly VariantFacts[]): Generator<undefined, Judgement, undefined> {
  const shares = judgeShares(variants);
  const found = [...shares.alarms, ...judgeExposure(variants, shares.alarms.length > 0)];
  yield;
  const whole = new Whole(variants);
  const comparisons: Comparison[] = [];
  for (const [index, one] of variants.entries()) {
    if (index % PIECE_VARIANTS === 0) yield;
    const comparison = whole.compare(one);
    comparisons.push(comparison);
    found.push(...whole.alarms(one, comparison));
  }
  yield;
  found.push(...judgeParts(variants, comparisons));
  return {
    shareLogEvidence: shares.logEvidence,
    deviationRatio: shares.deviationRatio,
    comparisons,
    alarms: found.sort((one, other) => TROUBLES.indexOf(one.trouble) - TROUBLES.indexOf(other.trouble)),
  };
}

/** The variants with a share, as cells of the test. */
function shareCells(variants: readonly VariantFacts[], set: 'assigned' | 'answered') {
  return variants.map((variant) => ({ share: variant.share, ...variant[set] }));
}

/** The variant that is furthest from its share, and how far, relative to it; null without keys. */
function furthest(variants: readonly VariantFacts[], set: 'assigned' | 'answered') {
  const sharing = variants.filter(({ share }) => share > 0);
  const total = sharing.reduce((sum, variant) => sum + variant[set].keys, 0);
  const shares = sharing.reduce((sum, { share }) => sum + share, 0);
  if (total === 0) return null;
  const off = sharing.map((variant) => variant[set].keys / total / (variant.share / shares) - 1);
  // Of two equal shares both are as far off: the one that lacks keys is named.
  const distance = (ratio: number) => (ratio < 0 ? -1.01 * ratio : ratio);
  const most = off.reduce((best, one, at) => (distance(one) > distance(off[best]!) ? at : best), 0);
  return { variant: sharing[most]!, ratio: off[most]! };
}

function judgeShares(variants: readonly VariantFacts[]) {
  const logEvidence = shareLogEvidence(shareCells(variants, 'assigned'));
  const off = furthest(variants, 'assigned');
  const deviationRatio = off === null ? null : Math.abs(off.ratio);
  const level = levelOf(logEvidence, (deviationRatio ?? 0) >= DEVIATION_MIN);
  const alarms: Alarm[] = [];
  if (off !== null && level !== 'none') {
    const fallbacks = variants.reduce((sum, one) => sum + one.fallbacks, 0);
    const sentence = sentenceOf.shares(off.variant.name, off.ratio, fallbacks);
    alarms.push({ trouble: 'shares', level, variant: off.variant.name, logEvidence, sentence });
  }
  return { logEvidence, deviationRatio, alarms };
}

/** Keys with a whole good answer fall by the shares too, unless a variant is dead or loses answers. */
function judgeExposure(variants: readonly VariantFacts[], isExplained: boolean): Alarm[] {
  if (isExplained) return [];
  const logEvidence = shareLogEvidence(shareCells(variants, 'answered'));
  const off = furthest(variants, 'answered');
  const level = levelOf(logEvidence, Math.abs(off?.ratio ?? 0) >= DEVIATION_MIN);
  if (off === null || level === 'none') return [];
  const least = variants
    .filter(({ share, assigned }) => share > 0 && assigned.keys > 0)
    .reduce((worst, one) => (exposedPart([one]) < exposedPart([worst]) ? one : worst));
  const others = variants.filter((one) => one !== least && one.share > 0);
  const sentence = sentenceOf.exposure(least.name, exposedPart([least]), exposedPart(others));
  return [{ trouble: 'exposure', level, variant: least.name, logEvidence, sentence }];
}

function exposedPart(variants: readonly VariantFacts[]): number {
  const assigned = variants.reduce((sum, one) => sum + one.assigned.keys, 0);
  return Math.min(1, variants.reduce((sum, one) => sum + one.answered.keys, 0) / assigned);
}

/** Parts of the requests that say nothing of the sample but everything of an experiment that is read from requests. */
function judgeParts(variants: readonly VariantFacts[], comparisons: readonly Comparison[]): Alarm[] {
  const alarms: Alarm[] = [];
  const fact = (trouble: Trouble, variant: string, sentence: string) =>
    alarms.push({ trouble, level: 'look', variant, logEvidence: null, sentence });
  const all = variants.reduce((sum, one) => sum + requestsOf(one), 0);
  if (all < PART_REQUESTS_MIN) return [];
  const keyless = variants.reduce((sum, one) => sum + one.keyless, 0);
  if (keyless / all >= PART_MIN) {
    const most = variants.reduce((best, one) => (one.keyless > best.keyless ? one : best));
    fact('keyless', most.name, sentenceOf.keyless(most.name, keyless / all));
  }
  for (const [index, one] of variants.entries()) {
    const requests = requestsOf(one);
    const robots = comparisons[index]!.robotRequests / requests;
    if (robots >= PART_MIN) fact('robots', one.name, sentenceOf.robots(one.name, robots));
    if (one.fallbacks / requests >= PART_MIN) {
      fact('fallbacks', one.name, sentenceOf.fallbacks(one.name, one.fallbacks / requests));
    }
  }
  return alarms;
}

function requestsOf({ requests, outside }: VariantFacts): number {
  return requests.reduce((sum, count) => sum + count, outside);
}

const SUMS = ['requests', 'answers', 'logDurations', 'left', 'groupKeys'] as const;
type Sums = Readonly<Record<(typeof SUMS)[number], Float64Array>>;

/** One variant, or all others together. */
interface Arm {
  readonly assigned: CountedKeys;
  readonly failed: CountedKeys;
  readonly sums: Sums;
}

/** All variants with a share together, from which each one is taken to get the others. It lives for one judgement. */
class Whole {
  readonly #all: Arm;
  /** All but the variant that is compared: filled again for each. */
  readonly #others: Sums;
  readonly #sharing: number;
  readonly #hasGroupKeys: boolean;
  /** 1 for groups with a robot in some variant; null without any. */
  readonly #hasRobot: Uint8Array | null;
  readonly #robots: ReadonlyMap<VariantFacts, readonly number[]>;
  /** Of several comparisons one is wrong more often than a single one. */
  readonly #logComparisons: number;

  constructor(variants: readonly VariantFacts[]) {
    const sharing = variants.filter(({ share }) => share > 0);
    const groups = variants[0]?.requests.length ?? 0;
    this.#sharing = sharing.length;
    this.#hasGroupKeys = sharing.every(({ groupKeys }) => groupKeys !== null);
    this.#logComparisons = sharing.length > 2 ? Math.log(sharing.length) : 0;
    this.#robots = new Map(variants.map((one) => [one, findRobots(one.requests, one.assigned.keys)]));
    const robots = [...this.#robots.values()].flat();
    this.#hasRobot = robots.length === 0 ? null : new Uint8Array(groups);
    for (const group of robots) this.#hasRobot![group] = 1;
    this.#others = emptySums(groups);
    const sums = emptySums(groups);
    for (const one of sharing) addSums(sums, one, 1);
    this.#all = { assigned: addKeys(sharing, 'assigned'), failed: addKeys(sharing, 'failed'), sums };
  }

  compare(one: VariantFacts): Comparison {
    const robotRequests = requestsOfRobots(one.requests, this.#robots.get(one)!);
    if (one.share === 0 || this.#sharing < 2) {
      return { errors: null, left: null, requests: null, durations: null, robotRequests };
    }
    const [mine, others] = [armOf(one), this.#without(one)];
    const isLeftOut = this.#hasRobot;
    const terms = ({ sums, assigned }: Arm, over: keyof Sums, under: keyof Sums): RatioTerms => ({
      over: sums[over],
      under: sums[under],
      keys: assigned.keys,
    });
    const ofLeft = (arm: Arm) => terms(arm, 'left', 'requests');
    const left = ratioDifference(ofLeft(others), ofLeft(mine), isLeftOut);
    const durations = ratioDifference(
      terms(others, 'logDurations', 'answers'),
      terms(mine, 'logDurations', 'answers'),
      isLeftOut,
    );
    const requests = this.#hasGroupKeys
      ? logRatioDifference(
          terms(others, 'requests', 'groupKeys'),
          terms(mine, 'requests', 'groupKeys'),
          isLeftOut,
        )
      : null;
    return {
      errors: this.#estimate(proportionDifference(proportionOf(others), proportionOf(mine))),
      left: this.#estimate(left),
      requests: asTimes(this.#estimate(requests)),
      durations: asTimes(this.#estimate(durations)),
      robotRequests,
    };
  }

  /** All variants with a share but this one. Good until the next call. */
  #without(one: VariantFacts): Arm {
    const sums = this.#others;
    for (const name of SUMS) sums[name].set(this.#all.sums[name]);
    addSums(sums, one, -1);
    return {
      assigned: lessKeys(this.#all.assigned, one.assigned),
      failed: lessKeys(this.#all.failed, one.failed),
      sums,
    };
  }

  alarms(one: VariantFacts, { errors, left, requests, durations }: Comparison): Alarm[] {
    const { name } = one;
    const alarms: Alarm[] = [];
    const add = (trouble: Trouble, level: Level, { logEvidence }: Estimate, sentence: string) => {
      if (level !== 'none') alarms.push({ trouble, level, variant: name, logEvidence, sentence });
    };
    if (errors !== null && errors.value > 0) {
      const level = levelOf(errors.logEvidence, errors.value >= ERRORS_MIN);
      add('errors', level, errors, sentenceOf.errors(name, errors));
    }
    if (left !== null && left.value > 0) {
      const level = levelOf(left.logEvidence, left.value >= LEFT_MIN);
      add('left', level, left, sentenceOf.left(name, left));
    }
    if (requests !== null && requests.value >= REQUESTS_MIN) {
      // More requests are what a good experiment may bring: never a reason to stop.
      add('requests', levelOf(requests.logEvidence, false), requests, sentenceOf.requests(name, requests));
    }
    if (durations !== null && durations.value >= SLOWER_LOOK) {
      const [mineMs, theirsMs] = [typicalMs(armOf(one)), typicalMs(this.#without(one))];
      if (mineMs - theirsMs >= SLOWER_MS_MIN) {
        const level = levelOf(durations.logEvidence, durations.value >= SLOWER_STOP);
        add('duration', level, durations, sentenceOf.duration(name, durations, mineMs, theirsMs));
      }
    }
    return alarms;
  }

  #estimate(difference: Difference | null): Estimate | null {
    if (difference === null || !(difference.keys > 0)) return null;
    const interval = differenceInterval(difference, INTERVAL_ALPHA);
    if (!Number.isFinite(interval.lower)) return null;
    const logEvidence = differenceLogEvidence(difference) - this.#logComparisons;
    return { value: difference.value, ...interval, logEvidence };
  }
}

function armOf(one: VariantFacts): Arm {
  const { assigned, failed, requests, answers, logDurations, left } = one;
  const groupKeys = one.groupKeys ?? requests.map(() => 0);
  return { assigned, failed, sums: { requests, answers, logDurations, left, groupKeys } };
}

function emptySums(groups: number): Sums {
  return Object.fromEntries(SUMS.map((name) => [name, new Float64Array(groups)])) as Sums;
}

/** Adds the sums of a variant, or with `sign` -1 takes them away. */
function addSums(sums: Sums, one: VariantFacts, sign: 1 | -1): void {
  for (const name of SUMS) {
    const [sum, added] = [sums[name], one[name]];
    if (added === null) continue;
    for (let group = 0; group < sum.length; group += 1) sum[group]! += sign * added[group]!;
  }
}

function addKeys(variants: readonly VariantFacts[], set: 'assigned' | 'failed'): CountedKeys {
  return {
    keys: variants.reduce((sum, one) => sum + one[set].keys, 0),
    standardError: Math.hypot(...variants.map((one) => one[set].standardError)),
  };
}

function lessKeys(all: CountedKeys, one: CountedKeys): CountedKeys {
  return {
    keys: Math.max(0, all.keys - one.keys),
    standardError: Math.sqrt(Math.max(0, all.standardError ** 2 - one.standardError ** 2)),
  };
}

function proportionOf({ assigned, failed }: Arm): Proportion {
  return {
    keys: assigned.keys,
    keysError: assigned.standardError,
    hits: failed.keys,
    hitsError: failed.standardError,
  };
}

/** From a difference of logarithms to how many times. */
function asTimes(estimate: Estimate | null): Estimate | null {
  if (estimate === null) return null;
  const { value, lower, upper, logEvidence } = estimate;
  return { value: Math.exp(value), lower: Math.exp(lower), upper: Math.exp(upper), logEvidence };
}

/** Geometric mean of the durations of good answers, in milliseconds. */
function typicalMs({ sums }: Arm): number {
  const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);
  return Math.exp(sum(sums.logDurations) / sum(sums.answers));
}

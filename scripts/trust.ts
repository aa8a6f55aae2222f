// Plays samples by the thousand, correct ones and wrong ones, through the tests and the counters of the product, and prints
// what docs/trust.md says of them: how often a correct sample raises an alarm while it is watched, how soon a wrong one does, and
// the memory that a sample takes. Fixed seeds: every run prints the same. test/long/trust.test.ts holds the figures to their bounds.
//
//   npx node scripts/trust.ts      some 40 s of one core

import { ENDING } from '../src/telemetry/epoch.ts';
import { KEY_SETS, Sample } from '../src/telemetry/sample.ts';
import { mergeSample } from '../src/telemetry/sample-state.ts';
import { differenceInterval, differenceLogEvidence, proportionDifference } from '../src/trust/difference.ts';
import { shareLogEvidence } from '../src/trust/evidence.ts';
import { logRatioDifference } from '../src/trust/groups.ts';

const STOP = Math.log(1000);
const HASH_COUNT = 2 ** 32;
/** Bits of the bitmap of one of two variants. */
const BITMAP_BITS = 2 ** 22;
/** One look with every key up to here, then one whenever the keys have grown by 1.5 %. */
const EVERY_KEY_TO = 100;
const STEP = 1.015;

/** sfc32: passes PractRand, period of at least 2^64. */
function makeWords(seed: number): () => number {
  let [a, b, c, counter] = [seed, 0x9e3779b9, 0x243f6a88, 1];
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let turn = 0; turn < 16; turn += 1) next();
  return next;
}

/** Draws from the normal distribution (Marsaglia's polar method). */
function makeNormal(words: () => number): () => number {
  let spare = Number.NaN;
  return () => {
    if (!Number.isNaN(spare)) {
      const value = spare;
      spare = Number.NaN;
      return value;
    }
    for (;;) {
      const x = words() / 2 ** 31 - 1;
      const y = words() / 2 ** 31 - 1;
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      spare = y * factor;
      return x * factor;
    }
  };
}

/** How many of `count` draws succeed: drawn one by one where they are few, else by the normal approximation. */
function drawBinomial(count: number, p: number, words: () => number, normal: () => number): number {
  if (count * Math.min(p, 1 - p) < 30) {
    let hits = 0;
    for (let draw = 0; draw < count; draw += 1) if (words() < p * HASH_COUNT) hits += 1;
    return hits;
  }
  const hits = Math.round(count * p + normal() * Math.sqrt(count * p * (1 - p)));
  return Math.min(count, Math.max(0, hits));
}

/** Variance of the count of so many keys in a bitmap. */
function countingVariance(keys: number): number {
  const load = keys / BITMAP_BITS;
  return BITMAP_BITS * (Math.expm1(load) - load);
}

/** Numbers of keys at which a sample is looked at. */
function* looksUpTo(most: number): Iterable<number> {
  for (let keys = 1; keys < most; keys = keys < EVERY_KEY_TO ? keys + 1 : Math.ceil(keys * STEP)) yield keys;
  yield most;
}

/** Keys at the first alarm of a sample with these true shares; Infinity for none. */
function watchShares(
  intended: readonly number[],
  real: readonly number[],
  most: number,
  isCounted: boolean,
  seed: number,
): number {
  const words = makeWords(seed);
  const normal = makeNormal(words);
  const keys = intended.map(() => 0);
  const noise = intended.map(() => 0);
  let drawn = 0;
  for (const look of looksUpTo(most)) {
    let [rest, part] = [look - drawn, 1];
    for (const [at, share] of real.entries()) {
      const isLast = at === real.length - 1;
      const hits = isLast ? rest : drawBinomial(rest, share / part, words, normal);
      if (isCounted) {
        // The error of a bitmap grows by independent steps.
        const grown = countingVariance(keys[at]! + hits) - countingVariance(keys[at]!);
        noise[at]! += normal() * Math.sqrt(grown);
      }
      keys[at]! += hits;
      rest -= hits;
      part -= share;
    }
    drawn = look;
    let square = 0;
    for (const [at, share] of intended.entries()) {
      square += (keys[at]! + noise[at]! - look * share) ** 2 / (look * share);
    }
    // Evidence is half of Pearson's distance at most; most looks are far from it.
    if (square / 2 < STOP - 0.5) continue;
    const cells = intended.map((share, at) => ({
      share,
      keys: Math.max(0, keys[at]! + noise[at]!),
      standardError: isCounted ? Math.sqrt(countingVariance(keys[at]!)) : 0,
    }));
    if (shareLogEvidence(cells) >= STOP) return look;
  }
  return Number.POSITIVE_INFINITY;
}

/** Shares of the runs that raise an alarm, watched from the first to the last of so many keys. */
export function falseAlarms(
  intended: readonly number[],
  runs: number,
  most: number,
  isCounted: boolean,
): number {
  let alarms = 0;
  for (let run = 0; run < runs; run += 1) {
    if (watchShares(intended, intended, most, isCounted, 1000 + run) < Number.POSITIVE_INFINITY) alarms += 1;
  }
  return alarms / runs;
}

/** Keys until the first alarm, in ascending order. */
export function keysToAlarm(real: readonly number[], runs: number, most: number): number[] {
  return Array.from({ length: runs }, (_, run) =>
    watchShares([0.5, 0.5], real, most, true, 50_000 + run),
  ).sort((a, b) => a - b);
}

/** Of correct samples with so many users with errors: part that raise an alarm, and part whose 95 % interval ever misses 0. */
export function falseHarm(
  errorRatio: number,
  runs: number,
  most: number,
): { alarms: number; misses: number } {
  let [alarms, misses] = [0, 0];
  for (let run = 0; run < runs; run += 1) {
    const words = makeWords(7000 + run);
    const normal = makeNormal(words);
    const keys = [0, 0];
    const hits = [0, 0];
    let [drawn, isAlarm, isMiss] = [0, false, false];
    for (const look of looksUpTo(most)) {
      const first = drawBinomial(look - drawn, 0.5, words, normal);
      for (const [at, more] of [first, look - drawn - first].entries()) {
        keys[at]! += more;
        hits[at]! += drawBinomial(more, errorRatio, words, normal);
      }
      drawn = look;
      const [one, other] = [0, 1].map((at) => ({
        keys: keys[at]!,
        keysError: 0,
        hits: hits[at]!,
        hitsError: 0,
      }));
      const difference = proportionDifference(one!, other!);
      if (Math.abs(difference.value) < 2 * difference.standardError) continue;
      if (differenceLogEvidence(difference) >= STOP) isAlarm = true;
      const { lower, upper } = differenceInterval(difference, 0.05);
      if (lower > 0 || upper < 0) isMiss = true;
    }
    if (isAlarm) alarms += 1;
    if (isMiss) misses += 1;
  }
  return { alarms: alarms / runs, misses: misses / runs };
}

/** Of correct samples: part in which requests per key ever differ by the level stop. Users send 1 to 5 requests, some many. */
export function falseRequests(runs: number, most: number): number {
  const groups = 128;
  let alarms = 0;
  for (let run = 0; run < runs; run += 1) {
    const words = makeWords(90_000 + run);
    const normal = makeNormal(words);
    const sides = [0, 1].map(() => ({
      over: new Float64Array(groups),
      under: new Float64Array(groups),
      keys: 0,
    }));
    for (let look = 512, drawn = 0; look <= most; drawn = look, look = Math.ceil(look * 1.15)) {
      const perGroup = (look - drawn) / 2 / groups;
      for (const side of sides) {
        for (let group = 0; group < groups; group += 1) {
          const keys = Math.max(0, Math.round(perGroup + normal() * Math.sqrt(perGroup)));
          // A mean of 3 requests with a standard deviation of 4: a few send many.
          side.over[group]! += Math.max(keys, 3 * keys + normal() * 4 * Math.sqrt(keys));
          side.under[group]! += keys;
          side.keys += keys;
        }
      }
      const difference = logRatioDifference(sides[0]!, sides[1]!);
      if (difference === null || differenceLogEvidence(difference) < STOP) continue;
      alarms += 1;
      break;
    }
  }
  return alarms / runs;
}

/** A sample of two equal variants, as ranges give it. */
function newSample(): Sample {
  const variants = ['a', 'b'].map((name) => ({ name, share: 0.5 }));
  return new Sample({ split: 's', variants, definition: '', key: '', hasAnyHash: false });
}

/** The counters themselves: samples with alarms, and with one of the shares, of samples of so many keys. */
export function playCounters(
  share: number,
  runs: number,
  most: number,
): { alarms: number; mismatches: number } {
  let [alarms, mismatches] = [0, 0];
  for (let run = 0; run < runs; run += 1) {
    const words = makeWords(333 + run);
    const sample = newSample();
    let next = EVERY_KEY_TO;
    for (let key = 1; key <= most; key += 1) {
      let hash = words();
      // A part of the keys of b never comes: with `share` of the rest belonging to a.
      while (hash >= HASH_COUNT / 2 && words() > ((1 - share) / share) * HASH_COUNT) hash = words();
      const isFailed = words() < 0.01 * HASH_COUNT;
      sample.add(
        hash < HASH_COUNT / 2 ? 0 : 1,
        hash,
        isFailed ? ENDING.failed : ENDING.answered,
        1 + (hash % 50),
      );
      if (key < next) continue;
      next = Math.ceil(key * 1.1);
      sample.verdict(key);
    }
    const verdict = sample.verdict(most);
    if (verdict.level === 'stop') alarms += 1;
    if (verdict.isMismatch) mismatches += 1;
  }
  return { alarms: alarms / runs, mismatches: mismatches / runs };
}

/** Three pods, users of b return more often: pods that call a mismatch, merged samples that do, largest error of a merged count. */
export function playReplicas(runs: number, users: number) {
  let [podAlarms, mergedAlarms, worst] = [0, 0, 0];
  for (let run = 0; run < runs; run += 1) {
    const words = makeWords(8800 + run);
    const pods = [newSample(), newSample(), newSample()];
    const truth = [0, 0];
    for (let user = 0; user < users; user += 1) {
      const hash = words();
      const variant = hash < HASH_COUNT / 2 ? 0 : 1;
      truth[variant]! += 1;
      for (let visit = variant === 0 ? 2 : 3; visit > 0; visit -= 1) {
        pods[words() % 3]!.add(variant, hash, ENDING.answered, 5);
      }
    }
    const merged = newSample();
    for (const pod of pods) {
      if (pod.verdict(0).isMismatch) podAlarms += 1;
      mergeSample(merged, pod.read());
    }
    if (merged.verdict(0).isMismatch) mergedAlarms += 1;
    for (const [variant, { keys }] of merged.counts().entries()) {
      worst = Math.max(worst, Math.abs(keys / truth[variant]! - 1));
    }
  }
  return { pods: podAlarms / runs / 3, merged: mergedAlarms / runs, worst };
}

/** Bytes of a sample with so many variants, if all three of its sets have keys. */
export function memoryOf(variants: number): { sets: number; sums: number } {
  const sample = new Sample({
    split: 's',
    variants: Array.from({ length: variants }, (_, at) => ({ name: `v${at}`, share: 1 / variants })),
    definition: '',
    key: '',
    hasAnyHash: false,
  });
  const sets = KEY_SETS.reduce(
    (sum, set) => sum + sample[set].allWords.byteLength + sample[set].registers.all.byteLength,
    0,
  );
  return { sets, sums: sample.sums.byteLength };
}

const percent = (ratio: number, digits = 2) => `${(100 * ratio).toFixed(digits)} %`;
const grouped = (count: number) => Math.round(count).toLocaleString('en-US');

/** Everything as Markdown. */
export function figures(): string {
  const lines = [
    '| correct samples, watched | runs | raised an alarm of level stop |',
    '| --- | --: | --: |',
  ];
  for (const [name, shares, isCounted, runs] of [
    ['50/50', [0.5, 0.5], false, 10_000],
    ['50/50', [0.5, 0.5], true, 10_000],
    ['90/10', [0.9, 0.1], true, 10_000],
    ['1/99', [0.01, 0.99], true, 2000],
    ['three equal', [1 / 3, 1 / 3, 1 / 3], true, 2000],
  ] as const) {
    const how = isCounted ? 'with the counting error of bitmaps' : 'counted exactly';
    const alarms = falseAlarms(shares, runs, 1e6, isCounted);
    lines.push(`| shares ${name}, ${how}, to 1,000,000 users | ${grouped(runs)} | ${percent(alarms)} |`);
  }
  for (const ratio of [0.001, 0.01]) {
    const { alarms, misses } = falseHarm(ratio, 4000, 1e5);
    lines.push(
      `| users with errors, ${percent(ratio, 1)} in both variants, to 100,000 users (95 % interval ever wrong: ${percent(misses)}) | 4,000 | ${percent(alarms)} |`,
    );
  }
  lines.push(`| requests per user, to 100,000 users | 1,000 | ${percent(falseRequests(1000, 1e5))} |`);
  const correct = playCounters(0.5, 10, 1e6);
  lines.push(
    `| everything, by the counters of the product, to 1,000,000 users | 10 | ${percent(correct.alarms)} |`,
  );
  lines.push(
    '',
    '| wrong shares | runs | found | users until then: 10 % / 50 % / 90 % of the runs |',
    '| --- | --: | --: | --: |',
  );
  for (const [share, most] of [
    [0.52, 100_000],
    [0.505, 1e6],
  ] as const) {
    const keys = keysToAlarm([share, 1 - share], 1000, most);
    const found = keys.filter(Number.isFinite).length / keys.length;
    const at = [100, 500, 900].map((rank) => grouped(keys[rank]!)).join(' / ');
    lines.push(`| ${percent(share, 1)} in place of 50 % | 1,000 | ${percent(found, 1)} | ${at} |`);
  }
  const wrong = playCounters(0.505, 5, 1e6);
  lines.push(
    `| 50.5 % by the counters of the product, to 1,000,000 | 5 | ${percent(wrong.mismatches, 1)} | |`,
  );
  const { pods, merged, worst } = playReplicas(20, 60_000);
  lines.push(
    '',
    `Three replicas, 60,000 users, those of one variant come three times and those of the other twice, 20 runs: ${percent(pods, 0)} of the pods`,
    `call a mismatch, ${percent(merged, 0)} of the merged samples do; merged counts are within ${percent(worst)}.`,
    '',
    '| variants | sets of keys, full | of each variant | sums |',
    '| --: | --: | --: | --: |',
  );
  for (const variants of [2, 4, 8, 32, 100, 1000]) {
    const { sets, sums } = memoryOf(variants);
    const kib = (bytes: number) => `${grouped(bytes / 1024)} KiB`;
    lines.push(`| ${grouped(variants)} | ${kib(sets)} | ${kib(sets / variants)} | ${kib(sums)} |`);
  }
  return lines.join('\n');
}

if (import.meta.main) console.log(figures());

// @ts-check
// Reads an answer of /status into what the page shows: a verdict and sentences of every split, numbers of every row. The only
// module that knows the members of a split; it touches no element.

import { counted, countFormat, durationText, pointsText, ratioText, sinceText } from './elements.js';

/** @typedef {import('../status.ts').StatusV1} StatusV1 */
/** @typedef {StatusV1['splits'][number]} SplitStatus */

/**
 * How a split is doing, the worst first: users are hurt, the sample is wrong, something needs a look, too little is known, or
 * nothing is wrong.
 * @typedef {'hurts' | 'untrusted' | 'look' | 'early' | 'good'} Level
 */

/** @type {readonly Level[]} */
const LEVELS = ['hurts', 'untrusted', 'look', 'early', 'good'];

/**
 * @typedef {object} RowView
 * @property {string} name
 * @property {string} upstream
 * @property {number} index position in the split, which gives the color
 * @property {readonly string[]} texts one for each of ROW_COLUMNS
 * @property {boolean} isBad
 */

/**
 * @typedef {object} SplitReading
 * @property {string} name
 * @property {Level} level
 * @property {string} verdict
 * @property {readonly string[]} sentences what is wrong, the worst first
 * @property {string} note what is said where nothing is wrong
 * @property {string} facts
 * @property {string} since
 * @property {readonly (number | null)[]} observed shares of the unique keys
 * @property {string} outside what is not in the sample
 */

/** Columns of the table of a split: what hurts first, counts last. */
export const ROW_COLUMNS = [
  'Errors',
  'Users hit',
  'Against others',
  'p50',
  'p99',
  'Requests/s',
  'Share',
  'Unique keys',
  'Requests',
];

/** @param {Level} level */
export const classOf = (level) =>
  level === 'hurts' || level === 'untrusted'
    ? 'bad'
    : level === 'look'
      ? 'warn'
      : level === 'good'
        ? 'good'
        : '';

/** What /status calls it, what the page does, and the words of the badge. @type {Record<SplitStatus['verdict']['state'], readonly [Level, string]>} */
const VERDICT_STATES = {
  hurts: ['hurts', 'hurts'],
  mismatch: ['untrusted', 'the sample cannot be trusted'],
  look: ['look', 'needs a look'],
  early: ['early', 'too early to tell'],
  good: ['good', 'nothing found'],
};

/** @param {SplitStatus} split @returns {SplitReading} */
export function readSplit(split) {
  const { sample, variants, verdict } = split;
  const keys = variants.reduce((sum, { uniqueKeys }) => sum + uniqueKeys, 0);
  const stop = split.experiment?.guard?.stop ?? null;
  /** @type {readonly [Level, string]} */
  const [level, words] = stop === null ? VERDICT_STATES[verdict.state] : ['hurts', 'stopped by its guard'];
  const alarms = verdict.alarms.map(({ sentence, present, since }) => {
    const from = since === null ? '' : `, since ${sinceText(since)}`;
    return present ? `${sentence}${from}` : `${sentence}${from}; the numbers of now no longer say so`;
  });
  const sentences = stop === null ? alarms : [stopSentence(split), ...alarms];
  return {
    name: split.name,
    level,
    verdict: words,
    sentences,
    note: sentences.length === 0 ? verdict.sentence : '',
    facts: [
      `key ${split.key} · ${split.method} · without a key: ${split.missingKey}`,
      ...experimentFacts(split),
    ].join(' · '),
    since: `since ${sinceText(sample.since)}, ${counted(keys, 'unique key')}`,
    observed: variants.map(({ uniqueKeys }) => (keys === 0 ? null : uniqueKeys / keys)),
    outside: outsideOf(split),
  };
}

/** Why and since when a guard has stopped the split. @param {SplitStatus} split */
function stopSentence({ experiment }) {
  if (experiment === null || experiment.guard === null || experiment.guard.stop === null) return '';
  const { variant, against, kind, value, againstValue, at } = experiment.guard.stop;
  const what =
    kind === 'errors'
      ? `${ratioText(value)} of the keys of ${variant} met a failure, ${ratioText(againstValue)} of those of ${against}`
      : `${variant} took ${durationText(value / 1000)}, ${against} ${durationText(againstValue / 1000)}`;
  return `The guard gives every key ${experiment.control}, since ${sinceText(at)}: ${what}`;
}

/** @param {SplitStatus} split */
function experimentFacts({ experiment }) {
  if (experiment === null) return [];
  const { coverageRatio, isStopped, layer, nextAt } = experiment;
  return [
    isStopped ? 'stopped' : `${ratioText(coverageRatio)} of the keys take part`,
    ...(layer === null ? [] : [`layer ${layer}`]),
    ...experiment.steps.map(stepText),
    ...(nextAt === null ? [] : [`next step ${sinceText(nextAt)}`]),
  ];
}

/** @param {NonNullable<SplitStatus['experiment']>['steps'][number]} step */
function stepText({ at, isReached, coverageRatio, shareRatios }) {
  const shares = Object.entries(shareRatios ?? {}).map(([name, share]) => `${name} ${ratioText(share)}`);
  const what = coverageRatio === undefined ? shares.join(', ') : ratioText(coverageRatio);
  return `${isReached ? 'reached' : 'step'} ${what} at ${at}`;
}

/** Requests since the sample began that are not in it, by why. @param {SplitStatus} split */
function outsideOf({ outside, variants, sample }) {
  const reasons = /** @type {const} */ ([
    ['keyless', 'without a key'],
    ['overrides', 'overrides'],
    ['fallbacks', 'fallbacks'],
    ['preflights', 'preflights'],
    ['others', 'for other reasons'],
  ]);
  const list = reasons
    .filter(([member]) => outside[member] > 0)
    .map(([member, words]) => `${words} ${countFormat.format(outside[member])}`);
  const retries = variants.reduce((sum, variant) => sum + variant.sample.retries, 0);
  const robots = variants.reduce((sum, variant) => sum + variant.sample.robotRequests, 0);
  const more = [
    ...(retries > 0 ? [`retries ${countFormat.format(retries)}`] : []),
    ...(robots > 0 ? [`requests of robots ${countFormat.format(robots)}`] : []),
    ...(sample.movedKeys
      ? [`keys that had another variant before ${countFormat.format(sample.movedKeys)}`]
      : []),
  ];
  const first =
    list.length === 0 ? 'no request' : [`${ratioText(outside.ratio ?? 0)} of requests`, ...list].join(' · ');
  return [`Not in the sample: ${first}`, ...more].join(' · ');
}

/**
 * The numbers of a row. @param {SplitStatus} split @param {number} index @param {number | undefined} perSecond
 * @param {boolean} isRecent the last 15 minutes alone
 * @returns {RowView}
 */
export function readRow(split, index, perSecond, isRecent) {
  const variant = split.variants[index];
  const { sample, against, last15Minutes } = variant;
  const keys = split.variants.reduce((sum, { uniqueKeys }) => sum + uniqueKeys, 0);
  const [requests, failed, p50, p99] = isRecent
    ? [last15Minutes.requests, last15Minutes.failed, last15Minutes.p50Seconds, last15Minutes.p99Seconds]
    : [sample.requests, sample.endings.failed ?? 0, sample.p50Seconds, sample.p99Seconds];
  return {
    name: variant.name,
    upstream: variant.upstream,
    index,
    isBad: failed > 0,
    texts: [
      requests === 0 ? '–' : ratioText(failed / requests),
      sample.errorRatio === null ? '–' : ratioText(sample.errorRatio),
      differenceText(against.errors),
      durationText(p50),
      durationText(p99),
      perSecond === undefined ? '–' : countFormat.format(perSecond),
      `${keys === 0 ? '–' : ((variant.uniqueKeys / keys) * 100).toFixed(2)} / ${ratioText(variant.shareRatio)}`,
      `${countFormat.format(variant.uniqueKeys)} ± ${countFormat.format(variant.uniqueKeysStandardError)}`,
      countFormat.format(requests),
    ],
  };
}

/** A difference of users hit in points, with what it may be. @param {{ value: number, lower: number, upper: number } | null} errors */
function differenceText(errors) {
  if (errors === null) return '–';
  const { value, lower, upper } = errors;
  return `${pointsText(value)} (${pointsText(lower)} to ${pointsText(upper)})`.replaceAll(
    /(?<=\(|to )\+/g,
    '',
  );
}

/**
 * The first line of the page: all splits in one sentence.
 * @param {readonly SplitReading[]} readings
 * @param {StatusV1['fleet']} fleet
 * @returns {{ level: Level, text: string }}
 */
export function headline(readings, fleet) {
  if (fleet !== null && fleet.answering === 0)
    return fleet.askedAt === null
      ? { level: 'early', text: 'The pods are being asked …' }
      : { level: 'hurts', text: 'No pod answers' };
  if (readings.length === 0) return { level: 'good', text: 'No split: requests go straight to upstreams' };
  const counts = LEVELS.map((level) => readings.filter((reading) => reading.level === level).length);
  const [hurts, untrusted, look, early, good] = counts;
  const parts = [
    hurts > 0 && `${hurts} ${hurts === 1 ? 'hurts' : 'hurt'}`,
    untrusted > 0 && `${untrusted} cannot be trusted`,
    look > 0 && `${look} ${look === 1 ? 'needs' : 'need'} a look`,
    early > 0 && `${early} cannot be trusted yet`,
    good > 0 && `${good} ${good === 1 ? 'looks' : 'look'} good`,
  ].filter((part) => part !== false);
  return {
    level: LEVELS[counts.findIndex((count) => count > 0)],
    text: `${counted(readings.length, 'split')}: ${parts.join(', ')}`,
  };
}

/** Rows that are drawn at most: a page of a thousand is neither read nor cheap. */
export const ROWS_MAX = 50;

/**
 * Which variants are drawn: those whose split, name or upstream has the filter in it, splits in trouble first.
 * @param {readonly SplitStatus[]} splits
 * @param {readonly Level[]} levels
 * @param {string} filter
 * @returns {{ shown: { split: number, variants: number[] }[], matching: number }}
 */
export function choose(splits, levels, filter) {
  const wanted = filter.trim().toLowerCase();
  const order = [...splits.keys()];
  const all = splits.reduce((sum, { variants }) => sum + variants.length, 0);
  if (all > ROWS_MAX) order.sort((a, b) => LEVELS.indexOf(levels[a]) - LEVELS.indexOf(levels[b]) || a - b);
  /** @type {{ split: number, variants: number[] }[]} */
  const shown = [];
  let matching = 0;
  let room = ROWS_MAX;
  for (const at of order) {
    const { name, variants } = splits[at];
    const hasName = name.toLowerCase().includes(wanted);
    const found = [...variants.keys()].filter(
      (index) =>
        hasName ||
        variants[index].name.toLowerCase().includes(wanted) ||
        variants[index].upstream.toLowerCase().includes(wanted),
    );
    matching += found.length;
    const drawn = found.slice(0, room);
    room -= drawn.length;
    if (drawn.length > 0) shown.push({ split: at, variants: drawn });
  }
  return { shown, matching };
}

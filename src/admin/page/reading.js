// @ts-check
// Reads an answer of /status into what the page shows: a verdict and sentences of every split, numbers of every row. The only
// module that knows the members of a split; it touches no element.

import { points, recentOf, rowKey } from './answers.js';
import { counted, countFormat, durationText, failedRequests, ratioText, sinceText } from './elements.js';

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
 * @property {string} facts
 * @property {string} since
 * @property {readonly (number | null)[]} observed shares of the unique keys
 * @property {string} outside what is not in the sample
 */

/** Columns of the table of a split: what hurts first, counts last. */
export const ROW_COLUMNS = [
  'Errors',
  'Users hit',
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

/** @param {SplitStatus} split @returns {SplitReading} */
export function readSplit(split) {
  const { sample, variants } = split;
  const keys = variants.reduce((sum, { uniqueKeys }) => sum + uniqueKeys, 0);
  const { level, verdict, sentences } = judge(split);
  return {
    name: split.name,
    level,
    verdict,
    sentences,
    facts: `key ${split.key} · ${split.method} · without a key: ${split.missingKey}`,
    since: `since ${sinceText(sample.since)}, ${counted(keys, 'unique key')}`,
    observed: variants.map(({ uniqueKeys }) => (keys === 0 ? null : uniqueKeys / keys)),
    outside: outsideOf(split),
  };
}

/** @param {SplitStatus} split @returns {{ level: Level, verdict: string, sentences: readonly string[] }} */
function judge({ sample: { pValue, deviationRatio, mismatch } }) {
  if (pValue === null)
    return { level: 'early', verdict: 'too few unique keys to judge the shares', sentences: [] };
  if (!mismatch) return { level: 'good', verdict: 'unique keys fit the shares', sentences: [] };
  const verdict = `sample ratio mismatch: off by ${ratioText(deviationRatio ?? 0)}`;
  return { level: 'untrusted', verdict, sentences: [verdict] };
}

/** Requests that are not in the sample, by why. @param {SplitStatus} split */
function outsideOf({ variants, requests }) {
  const reasons = /** @type {const} */ ([
    ['missingKeys', 'without a key'],
    ['overrides', 'overrides'],
    ['overridesRefused', 'overrides refused'],
    ['fallbacks', 'fallbacks'],
    ['preflights', 'preflights'],
  ]);
  const counts = reasons.map(([member, words]) => ({
    words,
    count: variants.reduce((sum, variant) => sum + variant[member], 0),
  }));
  const outside = counts.reduce(
    (sum, { words, count }) => sum + (words === 'overrides refused' ? 0 : count),
    0,
  );
  const retries = variants.reduce((sum, variant) => sum + variant.retries, 0);
  const ratio = requests === 0 ? '' : `${ratioText(Math.min(outside / requests, 1))} of requests`;
  const list = [...counts, { words: 'retries', count: retries }]
    .filter(({ count }) => count > 0)
    .map(({ words, count }) => `${words} ${countFormat.format(count)}`);
  if (list.length === 0) return 'Not in the sample: no request.';
  return `Not in the sample: ${[ratio, ...list].filter((text) => text !== '').join(' · ')}`;
}

/**
 * The numbers of a row. @param {SplitStatus} split @param {number} index @param {number | undefined} perSecond
 * @param {boolean} isRecent the last 15 minutes alone
 * @returns {RowView}
 */
export function readRow(split, index, perSecond, isRecent) {
  const variant = split.variants[index];
  const name = { split: split.name, variant: variant.name, upstream: variant.upstream };
  const columns = points.columns.get(rowKey(name));
  /** @param {number} column */
  const last = (column) => columns?.[column].findLast((value) => value !== null);
  const { requests, failed } = isRecent
    ? recentOf(name)
    : { requests: variant.requests, failed: failedRequests(variant) };
  const keys = split.variants.reduce((sum, { uniqueKeys }) => sum + uniqueKeys, 0);
  return {
    name: variant.name,
    upstream: variant.upstream,
    index,
    isBad: failed > 0,
    texts: [
      requests === 0 ? '–' : `${ratioText(failed / requests)}`,
      '–',
      durationText(last(2)),
      durationText(last(3)),
      perSecond === undefined ? '–' : countFormat.format(perSecond),
      `${keys === 0 ? '–' : ratioText(variant.uniqueKeys / keys)} of ${ratioText(variant.shareRatio)}`,
      `${countFormat.format(variant.uniqueKeys)} ± ${countFormat.format(variant.uniqueKeysStandardError)}`,
      countFormat.format(requests),
    ],
  };
}

/**
 * The first line of the page: all splits in one sentence.
 * @param {readonly SplitReading[]} readings
 * @returns {{ level: Level, text: string }}
 */
export function headline(readings) {
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

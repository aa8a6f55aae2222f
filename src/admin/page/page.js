// @ts-check
// The admin page: asks /status and /history every few seconds and shows them; explain.js answers questions. It knows nothing
// of the splitter but the answers of the admin port.

import { ask, askHistory, beginPoints, points, rowKey } from './answers.js';
import {
  byId,
  clockText,
  counted,
  countFormat,
  keepRoles,
  make,
  show,
  showItems,
  sinceText,
  style,
} from './elements.js';
import { answerQuestions } from './explain.js';
import { choose, classOf, headline, ROWS_MAX, readSplit } from './reading.js';
import { SplitView } from './split-view.js';
import { renderPods, renderRoutes, renderUpstreams, renderWorkers, troublesOf } from './upstream-view.js';

/** @typedef {import('../status.ts').StatusV1} StatusV1 */

const STATUS_EVERY_MS = 2000;
/** A large answer costs the splitter more: it is asked for less often. */
const LARGE_EVERY_MS = 10_000;
const LARGE_ROWS = 200;
/** Sentences of trouble above the splits. */
const TROUBLES_MAX = 6;

/** Views of the splits that are drawn, by their positions. @type {Map<number, SplitView>} */
const splitViews = new Map();
let shape = '';
/** @type {StatusV1 | null} */
let latest = null;
/**
 * Requests of the last answer by row, for the rates between two answers.
 * @type {{ atMs: number, rows: Map<string, number>, rates: Map<string, number> }}
 */
let counts = { atMs: 0, rows: new Map(), rates: new Map() };
const filter = /** @type {HTMLInputElement} */ (byId('filter'));
const recent = /** @type {HTMLInputElement} */ (byId('recent'));

/** Requests per second by row. @param {StatusV1} status */
function countRates(status) {
  const now = performance.now();
  const seconds = (now - counts.atMs) / 1000;
  const rows = new Map();
  const rates = new Map();
  for (const split of status.splits) {
    for (const variant of split.variants) {
      const key = rowKey({ ...variant, split: split.name, variant: variant.name });
      rows.set(key, variant.requests);
      const before = counts.rows.get(key);
      if (before !== undefined && variant.requests >= before)
        rates.set(key, (variant.requests - before) / seconds);
    }
  }
  counts = { atMs: now, rows, rates };
}

/** @param {StatusV1} status */
function showStatus(status) {
  noticeRestart(status);
  countRates(status);
  latest = status;
  const { state, program } = status;
  show(byId('state'), state);
  style(byId('state'), state === 'serving' ? 'badge good' : 'badge bad');
  show(byId('pod'), status.pod);
  document.title = `${status.pod} · request-splitter`;
  show(byId('generation'), generationText(status));
  show(
    byId('program'),
    `version ${program.version}, Node.js ${program.node}, started ${sinceText(program.startedAt)}`,
  );
  showRefused(status);
  renderAll();
}

/** @param {StatusV1} status */
function generationText({ generation: { number, hash, acceptedAt }, fleet }) {
  if (fleet !== null) {
    const answering = `${fleet.answering} of ${counted(fleet.pods.length, 'pod')} ${fleet.pods.length === 1 ? 'answers' : 'answer'}`;
    return fleet.hashes.length > 1
      ? `${answering} · ${fleet.hashes.length} configurations`
      : `${answering} · ${hash}`;
  }
  return `generation ${number} · ${hash} · accepted ${acceptedAt === null ? '–' : sinceText(acceptedAt)}`;
}

/** The numbers of a process begin with it. @param {StatusV1} status */
function noticeRestart({ program: { startedAt } }) {
  const startSeconds = Date.parse(startedAt) / 1000;
  const before = points.startSeconds;
  if (before === startSeconds) return;
  const isAgain = Number.isFinite(before);
  beginPoints(startSeconds);
  counts = { atMs: 0, rows: new Map(), rates: new Map() };
  show(
    byId('restarted'),
    isAgain ? `The splitter was started again at ${clockText(startedAt)}; its charts begin there.` : '',
  );
}

/** @param {StatusV1} status */
function showRefused({ lastReload, generation }) {
  byId('refused').hidden = lastReload.successful;
  if (lastReload.successful || lastReload.at === null) return;
  show(
    byId('refused-sentence'),
    `The configuration of ${clockText(lastReload.at)} was refused; generation ${generation.number} runs on.`,
  );
  showItems(byId('refused-problems'), lastReload.problems);
}

/** Everything that depends on the filter and the time span, too. */
function renderAll() {
  if (latest === null) return;
  const { splits, upstreams, routes, workers } = latest;
  const readings = splits.map(readSplit);
  const { level, text } = headline(readings, latest.fleet);
  show(byId('headline'), text);
  style(byId('headline'), `headline ${classOf(level)}`.trim());
  showTroubles([
    ...readings.flatMap(({ name, sentences }) => sentences.map((sentence) => `${name}: ${sentence}`)),
    ...troublesOf(latest),
  ]);
  const { shown, matching } = choose(
    splits,
    readings.map((reading) => reading.level),
    filter.value,
  );
  build(shown);
  const drawn = shown.reduce((sum, { variants }) => sum + variants.length, 0);
  const all = splits.reduce((sum, { variants }) => sum + variants.length, 0);
  byId('filter-row').hidden = all + upstreams.length <= ROWS_MAX / 4 && filter.value === '';
  show(
    byId('shown'),
    filter.value === ''
      ? `${countFormat.format(drawn)} of ${counted(all, 'variant')}`
      : `${countFormat.format(drawn)} of ${countFormat.format(matching)} found in ${counted(all, 'variant')}`,
  );
  for (const [at, view] of splitViews) {
    const split = splits[at];
    view.update(
      split,
      readings[at],
      (index) =>
        counts.rates.get(
          rowKey({ ...split.variants[index], split: split.name, variant: split.variants[index].name }),
        ),
      recent.checked,
    );
  }
  renderUpstreams(upstreams, filter.value);
  renderRoutes(routes);
  renderWorkers(workers);
  renderPods(latest.fleet);
  // A fleet has neither upstreams nor a configuration of its own: each pod has.
  byId('explain-section').hidden = latest.fleet !== null;
  byId('upstreams-section').hidden = latest.fleet !== null;
  byId('configuration').hidden = latest.fleet !== null;
}

/** @param {readonly string[]} troubles */
function showTroubles(troubles) {
  const rest = troubles.length - TROUBLES_MAX;
  showItems(byId('troubles'), rest > 0 ? [...troubles.slice(0, TROUBLES_MAX), `and ${rest} more`] : troubles);
}

/** Makes the sections again when what they are made of has changed. @param {readonly { split: number, variants: readonly number[] }[]} shown */
function build(shown) {
  const splits = latest?.splits ?? [];
  const newShape = JSON.stringify(
    shown.map(({ split: at, variants }) => {
      const { name, key, method, missingKey } = splits[at];
      return [
        at,
        name,
        key,
        method,
        missingKey,
        splits[at].variants.length,
        variants
          .map((index) => splits[at].variants[index])
          .map((variant) => [variant.name, variant.upstream]),
      ];
    }),
  );
  if (newShape === shape) return;
  shape = newShape;
  for (const view of splitViews.values()) view.destroy();
  splitViews.clear();
  for (const { split, variants } of shown) splitViews.set(split, new SplitView(splits[split], variants));
  byId('splits').replaceChildren(...Array.from(splitViews.values(), ({ node }) => node));
  const choice = byId('explain-split');
  const names = splits.map(({ name }) => name);
  if ([...choice.children].map((option) => option.textContent).join() !== names.join())
    choice.replaceChildren(...names.map((name) => make('option', '', name)));
  const hasChoice = splits.length > 1;
  choice.hidden = !hasChoice;
  byId('explain-split-label').hidden = !hasChoice;
}

let aliveAt = Date.now();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let isAsking = false;

async function refresh() {
  if (isAsking) return;
  isAsking = true;
  try {
    showStatus(/** @type {StatusV1} */ (await ask('/status')));
    if (await askHistory()) for (const view of splitViews.values()) view.updateCharts();
    aliveAt = Date.now();
    byId('gone').hidden = true;
    document.body.classList.remove('old');
  } catch {
    const sentence = `No answer since ${clockText(aliveAt)}. What is shown here is old.`;
    show(byId('gone'), sentence);
    byId('gone').hidden = false;
    document.body.classList.add('old');
    show(byId('state'), 'gone');
    style(byId('state'), 'badge bad');
  }
  isAsking = false;
  if (document.hidden) return;
  const rows = latest?.splits.reduce((sum, { variants }) => sum + variants.length, 0) ?? 0;
  timer = setTimeout(refresh, rows > LARGE_ROWS ? LARGE_EVERY_MS : STATUS_EVERY_MS);
}

for (const table of document.querySelectorAll('table')) keepRoles(table);
// A page that nobody looks at asks nothing.
document.addEventListener('visibilitychange', () => {
  clearTimeout(timer);
  if (!document.hidden) refresh();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const [at, view] of splitViews) if (latest !== null) view.redraw(latest.splits[at]);
});
filter.addEventListener('input', renderAll);
for (const choice of document.querySelectorAll('input[name="span"]'))
  choice.addEventListener('change', renderAll);
answerQuestions(
  () => latest?.splits ?? null,
  (index, position) => splitViews.get(index)?.intended.point(position),
);
refresh();

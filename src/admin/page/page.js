// @ts-check
// The admin page: asks /status and /history every two seconds and shows them; explain.js answers questions. It knows nothing
// of the splitter but the answers of the admin port.

import { ask, askHistory, rowKey } from './answers.js';
import { byId, clockText, countFormat, failedRequests, make, show } from './elements.js';
import { answerQuestions } from './explain.js';
import { SplitView } from './split-view.js';

/** @typedef {import('../status.ts').StatusV1} StatusV1 */

const STATUS_EVERY_MS = 2000;

/** @type {SplitView[]} */
let splitViews = [];
let shape = '';
/** @type {StatusV1 | null} */
let latest = null;
/**
 * Requests of the last answer by row, for the rates between two answers.
 * @type {{ atMs: number, rows: Map<string, number> }}
 */
let counted = { atMs: 0, rows: new Map() };

/** Requests per second by row. @param {StatusV1} status */
function ratesOf(status) {
  const now = performance.now();
  const seconds = (now - counted.atMs) / 1000;
  const rows = new Map();
  const rates = new Map();
  for (const split of status.splits) {
    for (const variant of split.variants) {
      const key = rowKey({ ...variant, split: split.name, variant: variant.name });
      rows.set(key, variant.requests);
      const before = counted.rows.get(key);
      if (before !== undefined) rates.set(key, (variant.requests - before) / seconds);
    }
  }
  counted = { atMs: now, rows };
  return rates;
}

/** @param {StatusV1} status */
function showStatus(status) {
  const rates = ratesOf(status);
  const newShape = JSON.stringify(
    status.splits.map(({ name, key, method, missingKey, variants }) => [
      name,
      key,
      method,
      missingKey,
      variants.map((variant) => [variant.name, variant.upstream]),
    ]),
  );
  latest = status;
  if (newShape !== shape) build(status, newShape);
  const { state, generation, lastReload, program } = status;
  show(byId('state'), state);
  byId('state').className = state === 'serving' ? 'badge good' : 'badge bad';
  const accepted = new Date(generation.acceptedAt).toLocaleString('en-GB');
  show(byId('generation'), `generation ${generation.number} · ${generation.hash} · accepted ${accepted}`);
  show(byId('program'), `version ${program.version}, Node.js ${program.node}`);
  byId('refused').hidden = lastReload.successful;
  if (!lastReload.successful) {
    show(
      byId('refused-sentence'),
      `The configuration of ${clockText(lastReload.at)} was refused; generation ${generation.number} runs on.`,
    );
    const list = byId('refused-problems');
    if (list.textContent !== lastReload.problems.join('')) {
      list.replaceChildren(...lastReload.problems.map((problem) => make('li', '', problem)));
    }
  }
  for (const [index, split] of status.splits.entries()) splitViews[index]?.update(split, rates);
  renderUpstreams(status.upstreams);
  renderRoutes(status.routes);
}

/** @param {StatusV1} status @param {string} newShape */
function build(status, newShape) {
  shape = newShape;
  splitViews = status.splits.map((split) => new SplitView(split));
  byId('splits').replaceChildren(...splitViews.map(({ node }) => node));
  const options = status.splits.map(({ name }) => make('option', '', name));
  byId('explain-split').replaceChildren(...options);
  const hasChoice = status.splits.length > 1;
  byId('explain-split').hidden = !hasChoice;
  byId('explain-split-label').hidden = !hasChoice;
  drawCharts();
}

function drawCharts() {
  if (latest !== null) for (const [index, split] of latest.splits.entries()) splitViews[index]?.draw(split);
}

/**
 * Rows of texts into a table body whose columns have these classes; the first one is the row's header.
 * @param {HTMLTableSectionElement} body
 * @param {readonly string[]} classes
 * @param {readonly (readonly string[])[]} rows
 */
function renderRows(body, classes, rows) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  for (const [index, texts] of rows.entries()) {
    let row = body.rows[index];
    if (row === undefined) {
      row = make('tr', '', ...classes.map((className, cell) => make(cell === 0 ? 'th' : 'td', className)));
      row.cells[0].scope = 'row';
      body.append(row);
    }
    for (const [cell, text] of texts.entries()) show(row.cells[cell], text);
  }
}

/** @param {StatusV1['upstreams']} upstreams */
function renderUpstreams(upstreams) {
  // Whether an upstream can be reached is not known before a connection to it was tried.
  /** @param {StatusV1['upstreams'][number]} upstream */
  const isTried = ({ connectionsOpened, connectFailures }) =>
    connectionsOpened > 0 || Object.keys(connectFailures).length > 0;
  const rows = upstreams.map((upstream) => {
    const { name, url, addresses, connectionsOpen, exchangesWaiting, trouble } = upstream;
    return [
      name === url ? name : `${name} ${url}`,
      addresses.map(({ address, healthy }) => (healthy ? address : `${address} (failing)`)).join(', ') || '–',
      countFormat.format(connectionsOpen),
      countFormat.format(exchangesWaiting),
      trouble ?? (isTried(upstream) ? 'reachable' : 'not tried yet'),
    ];
  });
  const body = /** @type {HTMLTableSectionElement} */ (byId('upstreams'));
  renderRows(body, ['mono', 'mono', 'number', 'number', ''], rows);
  for (const [index, upstream] of upstreams.entries()) {
    const state = isTried(upstream) ? 'good' : '';
    body.rows[index].cells[4].className = upstream.trouble === null ? state : 'bad';
  }
}

/** @param {StatusV1['routes']} routes */
function renderRoutes(routes) {
  const direct = routes.filter(({ upstream }) => upstream !== null);
  byId('direct').hidden = direct.length === 0;
  const rows = direct.map(({ listen, host, path, exact, upstream, requests = 0, requestsByClass = {} }) => [
    `${host ?? 'every host'} ${exact ? '= ' : ''}${path}${listen === null ? '' : ` on ${listen}`}`,
    upstream ?? '',
    countFormat.format(requests),
    countFormat.format(failedRequests({ requestsByClass })),
  ]);
  renderRows(
    /** @type {HTMLTableSectionElement} */ (byId('routes')),
    ['mono', 'mono', 'number', 'number'],
    rows,
  );
}

let aliveAt = Date.now();

async function refresh() {
  try {
    showStatus(/** @type {StatusV1} */ (await ask('/status')));
    if (await askHistory()) for (const view of splitViews) view.updateCharts();
    aliveAt = Date.now();
    byId('gone').hidden = true;
    document.body.classList.remove('old');
  } catch {
    show(
      byId('gone'),
      `The splitter has not answered since ${clockText(aliveAt)}. What is shown here is old.`,
    );
    byId('gone').hidden = false;
    document.body.classList.add('old');
    show(byId('state'), 'gone');
    byId('state').className = 'badge bad';
  }
  setTimeout(refresh, STATUS_EVERY_MS);
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawCharts);
let resizing = 0;
addEventListener('resize', () => {
  cancelAnimationFrame(resizing);
  resizing = requestAnimationFrame(() => {
    for (const view of splitViews) view.resize();
  });
});
answerQuestions(
  () => latest?.splits ?? null,
  (index, position) => splitViews[index]?.intended.point(position),
);
refresh();

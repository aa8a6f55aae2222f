// @ts-check
// The tables below the splits: upstreams with a row for each address, routes straight to an upstream, workers, and in the view
// of a fleet its pods.

import {
  byId,
  countFormat,
  failedRequests,
  keepRoles,
  make,
  ratioText,
  show,
  sinceText,
  style,
} from './elements.js';

/** @typedef {import('../status.ts').StatusV1} StatusV1 */
/** @typedef {StatusV1['upstreams'][number]} UpstreamStatus */
/** @typedef {{ readonly text: string, readonly className?: string }} Cell */

const TABLE_ROWS_MAX = 50;

/**
 * Cells into a table body; the first one is the row's header. The structure changes only with the number of rows.
 * @param {string} id of the body
 * @param {readonly (readonly Cell[])[]} rows
 */
function renderRows(id, rows) {
  const body = /** @type {HTMLTableSectionElement} */ (byId(id));
  const labels = Array.from(
    body.parentElement?.querySelectorAll('thead th') ?? [],
    (head) => head.textContent,
  );
  const shown = rows.slice(0, TABLE_ROWS_MAX);
  while (body.rows.length > shown.length) body.deleteRow(-1);
  for (const [index, cells] of shown.entries()) {
    let row = body.rows[index];
    if (row === undefined) {
      row = make('tr', '', ...cells.map((_, at) => make(at === 0 ? 'th' : 'td', '')));
      row.cells[0].scope = 'row';
      keepRoles(row);
      for (const [at, cell] of [...row.cells].entries()) if (at > 0) cell.dataset.label = labels[at] ?? '';
      body.append(row);
    }
    for (const [at, { text, className = '' }] of cells.entries()) {
      show(row.cells[at], text);
      style(row.cells[at], className);
    }
  }
  const more = body.closest('section')?.querySelector('.more');
  if (more === null || more === undefined) return;
  show(
    more,
    rows.length > shown.length ? `${shown.length} of ${countFormat.format(rows.length)} rows are shown.` : '',
  );
}

/** Whether an upstream can be reached is not known before a connection to it was tried. @param {UpstreamStatus} upstream */
const isTried = ({ connectionsOpened, connectFailures }) =>
  connectionsOpened > 0 || Object.keys(connectFailures).length > 0;

/** Upstreams that have trouble come first when there are too many to show. @param {UpstreamStatus} upstream */
const troubleRank = (upstream) => (upstream.trouble === null ? 1 : 0);

/** @param {StatusV1['upstreams']} upstreams @param {string} filter */
export function renderUpstreams(upstreams, filter) {
  const wanted = filter.trim().toLowerCase();
  const found = upstreams.filter(({ name, url }) => `${name} ${url}`.toLowerCase().includes(wanted));
  if (found.length > TABLE_ROWS_MAX) found.sort((a, b) => troubleRank(a) - troubleRank(b));
  /** @type {Cell[][]} */
  const rows = [];
  for (const upstream of found) {
    const { name, url, trouble, addresses, connectionsOpen, exchangesWaiting } = upstream;
    const tried = isTried(upstream);
    rows.push([
      { text: name === url ? name : `${name} ${url}`, className: 'mono' },
      trouble === null
        ? { text: tried ? 'reachable' : 'not tried yet', className: tried ? 'good' : '' }
        : { text: trouble, className: 'bad' },
      { text: `${countFormat.format(connectionsOpen)} open`, className: 'number' },
      { text: `${countFormat.format(exchangesWaiting)} waiting`, className: 'number' },
    ]);
    for (const address of addresses) rows.push(addressCells(address, tried));
  }
  renderRows('upstreams', rows);
}

/** @param {UpstreamStatus['addresses'][number]} address @param {boolean} tried @returns {Cell[]} */
function addressCells({ address, state, since, lastFailure, inFlight, idle, healthy }, tried) {
  const failure =
    lastFailure === null
      ? ''
      : `; last failure ${sinceText(lastFailure.at)} ${lastFailure.code}${lastFailure.cause === null ? '' : ` (${lastFailure.cause})`}`;
  const text =
    healthy && state === 'healthy' && !tried
      ? 'not tried yet'
      : `${state} since ${sinceText(since)}${failure}`;
  const isGood = healthy && state === 'healthy';
  return [
    { text: address, className: 'mono inner' },
    { text, className: isGood ? '' : 'bad' },
    { text: `${countFormat.format(idle)} idle`, className: 'number' },
    { text: `${countFormat.format(inFlight)} in flight`, className: 'number' },
  ];
}

/** @param {StatusV1['routes']} routes */
export function renderRoutes(routes) {
  const direct = routes.filter(({ upstream, respond }) => upstream !== null || respond !== undefined);
  byId('direct').hidden = direct.length === 0;
  renderRows(
    'routes',
    direct.map(({ listen, host, path, exact, upstream, respond, requests = 0, requestsByClass = {} }) => {
      const failed = failedRequests({ requestsByClass });
      return [
        {
          text: `${host ?? 'every host'} ${exact ? '= ' : ''}${path}${listen === null ? '' : ` on ${listen}`}`,
          className: 'mono',
        },
        {
          text: requests === 0 ? '–' : ratioText(failed / requests),
          className: failed > 0 ? 'number bad' : 'number',
        },
        { text: countFormat.format(requests), className: 'number' },
        { text: upstream ?? `answers ${respond}`, className: 'mono' },
      ];
    }),
  );
}

/** @param {StatusV1['workers']} workers */
export function renderWorkers(workers) {
  byId('workers-section').hidden = workers === undefined;
  if (workers === undefined) return;
  renderRows(
    'workers',
    workers.map(
      ({ number, state, isAnswering, pid, generation, restarts, connectionsOpen, residentBytes }) => {
        const isGood = state === 'serving' && isAnswering;
        return [
          { text: `${number}` },
          { text: isAnswering || state === 'waiting' ? state : 'silent', className: isGood ? 'good' : 'bad' },
          { text: `${generation}`, className: 'number' },
          { text: `${restarts}`, className: restarts > 0 ? 'number bad' : 'number' },
          { text: countFormat.format(connectionsOpen), className: 'number' },
          { text: `${countFormat.format(residentBytes / 1024 ** 2)} MiB`, className: 'number' },
          { text: pid === null ? '–' : `${pid}`, className: 'number' },
        ];
      },
    ),
  );
}

/** The pods of a fleet, those without an answer first. @param {StatusV1['fleet']} fleet */
export function renderPods(fleet) {
  byId('pods-section').hidden = fleet === null;
  if (fleet === null) return;
  const pods = [...fleet.pods].sort((a, b) => Number(a.problem === null) - Number(b.problem === null));
  renderRows(
    'pods',
    pods.map(({ address, pod, state, problem, generation, hash, startedAt, requests, failed }) => [
      { text: pod === null ? address : `${pod} ${address}`, className: 'mono' },
      {
        text: problem ?? `${state} since ${startedAt === null ? '–' : sinceText(startedAt)}`,
        className: problem === null && state === 'serving' ? 'good' : 'bad',
      },
      {
        text: requests === 0 ? '–' : ratioText(failed / requests),
        className: failed > 0 ? 'number bad' : 'number',
      },
      { text: countFormat.format(requests), className: 'number' },
      { text: hash === null ? '–' : `${hash}, generation ${generation}`, className: 'mono' },
    ]),
  );
}

/** Upstreams, workers and pods in trouble, as sentences for the top of the page. @param {StatusV1} status */
export function troublesOf({ upstreams, workers, fleet }) {
  const sentences = upstreams
    .filter(({ trouble }) => trouble !== null)
    .map(({ name, trouble, addresses }) => {
      const since = addresses.map((address) => address.since).sort()[0];
      return `Upstream ${name}: ${trouble}${since === undefined ? '' : `, since ${sinceText(since)}`}`;
    });
  if (fleet !== null) {
    sentences.push(...fleet.problems);
    for (const { address, pod, problem, troubles } of fleet.pods) {
      const name = pod === null ? address : `${pod} (${address})`;
      if (problem !== null) sentences.push(`Pod ${name} does not answer: ${problem}`);
      sentences.push(...troubles.map((trouble) => `Pod ${name}: ${trouble}`));
    }
  }
  for (const { number, state, isAnswering } of workers ?? []) {
    if (state !== 'serving') sentences.push(`Worker ${number}: ${state}`);
    else if (!isAnswering) sentences.push(`Worker ${number} does not answer: its numbers are old`);
  }
  return sentences;
}

// The admin page: asks /status and /history, shows them, and lets /explain answer questions. It is built once for each
// shape of the configuration and afterwards only texts, widths and chart data change, so that nothing flickers and a
// screen reader is not told everything anew. It knows nothing but these three answers.

const STATUS_EVERY_MS = 2000;
const KEPT_SECONDS = 15 * 60;
const SERIES_MAX = 8;
const HASHES = 2 ** 32;
/** Classes of requestsByClass that failed: FAILED_CLASSES of src/telemetry/counts.ts, as a test checks. */
const FAILED_CLASSES = ['none', '5xx'];

const byId = (id) => document.getElementById(id);

/** An element with a class, texts and children: `make('td', 'number', '1')`. */
function make(name, className, ...content) {
  const node = document.createElement(name);
  if (className !== '') node.className = className;
  node.append(...content);
  return node;
}

/** Changes a text only when it is another one. */
function show(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const count = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const rate = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });
const percent = (ratio, digits = 2) => `${(ratio * 100).toFixed(digits)} %`;
const clock = (date) => new Date(date).toLocaleTimeString('en-GB');

const failedOf = ({ requestsByClass }) =>
  FAILED_CLASSES.reduce((sum, name) => sum + (requestsByClass[name] ?? 0), 0);

function duration(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  return seconds < 1
    ? `${Number((seconds * 1000).toPrecision(3))} ms`
    : `${Number(seconds.toPrecision(3))} s`;
}

const colorOf = (index) => `--series-${(index % SERIES_MAX) + 1}`;

// ---------------------------------------------------------------- history

/** Points of the last 15 minutes by "split, variant, upstream"; all columns are as long as `times`. */
const history = { times: [], columns: new Map(), sinceMs: 0 };
const COLUMNS = ['requestsPerSecond', 'errorsPerSecond', 'p50Seconds', 'p99Seconds'];
const rowKey = ({ split, variant, upstream }) => JSON.stringify([split, variant, upstream]);

async function askHistory() {
  const { timesMs, variants } = await ask(`/history?since=${history.sinceMs}`);
  if (timesMs.length === 0) return false;
  // The clock of the splitter was set back: all of it is told again.
  if (timesMs[0] <= history.sinceMs) {
    history.times = [];
    history.columns.clear();
  }
  const before = history.times.length;
  history.sinceMs = timesMs.at(-1);
  history.times.push(...timesMs.map((ms) => ms / 1000));
  for (const row of variants) {
    const columns = history.columns.get(rowKey(row)) ?? COLUMNS.map(() => new Array(before).fill(null));
    for (const [index, name] of COLUMNS.entries()) columns[index].push(...row[name]);
    history.columns.set(rowKey(row), columns);
  }
  const old = history.times.findIndex((time) => time > history.times.at(-1) - KEPT_SECONDS);
  history.times.splice(0, old);
  for (const columns of history.columns.values()) for (const column of columns) column.splice(0, old);
  return true;
}

// ---------------------------------------------------------------- splits

/** One split: its bars, its table, its charts. */
class SplitView {
  constructor(split) {
    this.name = split.name;
    const titleId = `split-${split.name}`;
    const title = make('h2', '', `Split ${split.name}`);
    title.id = titleId;
    this.verdict = make('span', 'badge');
    const facts = `key ${split.key} · ${split.method} · without a key: ${split.missingKey}`;
    this.intended = new Bar(split.variants, 'intended shares');
    this.observed = new Bar(split.variants, 'observed shares of the requests');
    const bars = make('div', 'bars');
    bars.append(make('span', 'faint', 'intended'), this.intended.node);
    bars.append(make('span', 'faint', 'observed'), this.observed.node);
    this.body = make('tbody', '');
    const names = [
      'Variant',
      'Intended',
      'Observed',
      'Unique keys',
      'Requests',
      'Requests/s',
      'Errors',
      'p50',
      'p99',
    ];
    const heads = names.map((name, index) => {
      const head = make('th', index === 0 ? '' : 'number', name);
      head.scope = 'col';
      return head;
    });
    const table = make('table', '', make('thead', '', make('tr', '', ...heads)), this.body);
    const scroll = make('div', 'scroll', table);
    scroll.tabIndex = 0;
    scroll.setAttribute('role', 'group');
    scroll.setAttribute('aria-label', `table of split ${split.name}`);
    this.rows = split.variants.map((variant, index) => this.#row(variant, index));
    this.charts = make('div', 'charts');
    this.node = make(
      'section',
      '',
      make('div', 'head', title, this.verdict),
      make('p', 'faint', facts),
      bars,
      scroll,
    );
    this.node.setAttribute('aria-labelledby', titleId);
    this.node.append(this.charts);
    this.plots = [];
  }

  #row(variant, index) {
    const swatch = make('span', 'swatch');
    swatch.style.background = `var(${colorOf(index)})`;
    const head = make('th', '', swatch, variant.name, make('div', 'faint mono', variant.upstream));
    head.scope = 'row';
    const cells = Array.from({ length: 8 }, () => make('td', 'number'));
    this.body.append(make('tr', '', head, ...cells));
    return cells;
  }

  update(split, rates) {
    const { sample, variants } = split;
    this.#judge(sample);
    this.intended.update(variants.map(({ shareRatio }) => shareRatio));
    this.observed.update(variants.map(({ observedRatio }) => observedRatio ?? 0));
    variants.forEach((variant, index) => {
      const row = { ...variant, split: split.name, variant: variant.name };
      const columns = history.columns.get(rowKey(row));
      const last = (column) => columns?.[column].findLast((value) => value !== null);
      const failed = failedOf(variant);
      const texts = [
        percent(variant.shareRatio),
        variant.observedRatio === null ? '–' : percent(variant.observedRatio),
        `${count.format(variant.uniqueKeys)} ± ${count.format(variant.uniqueKeysStandardError)}`,
        count.format(variant.requests),
        rates.has(rowKey(row)) ? rate.format(rates.get(rowKey(row))) : '–',
        count.format(failed),
        duration(last(2)),
        duration(last(3)),
      ];
      for (const [cell, text] of texts.entries()) show(this.rows[index][cell], text);
      this.rows[index][5].classList.toggle('bad', failed > 0);
    });
  }

  #judge({ pValue, deviationRatio, mismatch }) {
    const [text, className] =
      pValue === null
        ? ['too few unique keys to judge the shares', 'badge']
        : mismatch
          ? [
              `sample ratio mismatch: off by ${percent(deviationRatio)}, p = ${pValue.toExponential(1)}`,
              'badge bad',
            ]
          : [`unique keys fit the shares, p = ${pValue.toFixed(3)}`, 'badge good'];
    show(this.verdict, text);
    if (this.verdict.className !== className) this.verdict.className = className;
  }

  /** Draws the charts anew: after a change of colors or of the number of variants. */
  draw(split) {
    for (const plot of this.plots) plot.destroy();
    this.charts.replaceChildren();
    const variants = split.variants.slice(0, SERIES_MAX);
    const chart = (caption, unit, columns) => {
      const place = make('div', 'chart');
      place.setAttribute('role', 'img');
      place.setAttribute(
        'aria-label',
        `${caption}, the last 15 minutes; the latest values are in the table above`,
      );
      this.charts.append(make('figure', '', make('figcaption', '', caption), place));
      return new Plot(place, unit, variants, columns, split.name);
    };
    this.plots = [
      chart('Requests per second', (value) => rate.format(value), [0]),
      chart('Errors per second (5xx or nothing sent)', (value) => rate.format(value), [1]),
      chart('Duration: p99, p50 dashed', duration, [3, 2]),
    ];
  }

  updateCharts() {
    for (const plot of this.plots) plot.update();
  }

  resize() {
    for (const plot of this.plots) plot.resize();
  }
}

/** A bar of shares, with a mark for the position of an explained key. */
class Bar {
  constructor(variants, label) {
    this.label = label;
    this.names = variants.map(({ name }) => name);
    this.parts = variants.map((_, index) => {
      const part = make('div', 'part');
      part.style.background = `var(${colorOf(index)})`;
      return part;
    });
    this.mark = make('div', 'mark');
    this.mark.hidden = true;
    this.node = make('div', 'bar', ...this.parts, this.mark);
    this.node.setAttribute('role', 'img');
  }

  update(ratios) {
    const label = `${this.label}: ${this.names.map((name, index) => `${name} ${percent(ratios[index])}`).join(', ')}`;
    if (this.node.getAttribute('aria-label') !== label) this.node.setAttribute('aria-label', label);
    this.parts.forEach((part, index) => {
      part.style.flex = `${ratios[index]} 0 0`;
      part.hidden = ratios[index] === 0;
      part.title = `${this.names[index]} ${percent(ratios[index])}`;
    });
  }

  /** Marks a position in percent; null takes the mark away. */
  point(position) {
    this.mark.hidden = position === null;
    if (position !== null) this.mark.style.left = `${position}%`;
  }
}

/** One uPlot chart: a line for each variant and column, the second column dashed. */
class Plot {
  constructor(place, unit, variants, columns, split) {
    this.place = place;
    this.lines = columns.flatMap((column) =>
      variants.map(({ name, upstream }, index) => ({
        key: rowKey({ split, variant: name, upstream }),
        column,
        index,
        isDashed: column !== columns[0],
      })),
    );
    const style = getComputedStyle(document.documentElement);
    const color = (name) => resolveColor(style.getPropertyValue(name));
    const axis = {
      stroke: color('--faint'),
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    };
    this.chart = new window.uPlot(
      {
        width: place.clientWidth,
        height: 160,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { range: () => lastMinutes() },
          y: { range: (_, _low, high) => [0, high > 0 ? high * 1.1 : 1] },
        },
        axes: [
          { ...axis, space: 60, values: (_, ticks) => ticks.map((tick) => clock(tick * 1000).slice(0, 5)) },
          { ...axis, size: 64, values: (_, ticks) => ticks.map(unit) },
        ],
        series: [
          {},
          ...this.lines.map(({ index, isDashed }) => ({
            stroke: color(colorOf(index)),
            width: 1.5,
            points: { show: false },
            ...(isDashed ? { dash: [4, 4] } : {}),
          })),
        ],
      },
      this.#data(),
      place,
    );
  }

  #data() {
    const none = new Array(history.times.length).fill(null);
    return [
      history.times,
      ...this.lines.map(({ key, column }) => history.columns.get(key)?.[column] ?? none),
    ];
  }

  update() {
    this.chart.setData(this.#data());
  }

  resize() {
    this.chart.setSize({ width: this.place.clientWidth, height: 160 });
  }

  destroy() {
    this.chart.destroy();
  }
}

/** What a chart spans: it ends with the newest point. */
function lastMinutes() {
  const end = history.times.at(-1) ?? Date.now() / 1000;
  return [end - KEPT_SECONDS, end];
}

/** A canvas does not know light-dark(): the color as it comes out for an element. */
function resolveColor(value) {
  const probe = make('span', '');
  probe.style.color = value;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

// ---------------------------------------------------------------- the whole page

let views = [];
let shape = '';
let latest = null;
/** Requests of the last answer by row, for the rates between two answers. */
let counted = { atMs: 0, rows: new Map() };

async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(5000) });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

function ratesOf(status) {
  const now = performance.now();
  const seconds = (now - counted.atMs) / 1000;
  const rows = new Map();
  const rates = new Map();
  for (const split of status.splits) {
    for (const variant of split.variants) {
      const key = rowKey({ ...variant, split: split.name, variant: variant.name });
      rows.set(key, variant.requests);
      if (counted.rows.has(key)) rates.set(key, (variant.requests - counted.rows.get(key)) / seconds);
    }
  }
  counted = { atMs: now, rows };
  return rates;
}

function render(status) {
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
      `The configuration of ${clock(lastReload.at)} was refused; generation ${generation.number} runs on.`,
    );
    const list = byId('refused-problems');
    if (list.textContent !== lastReload.problems.join('')) {
      list.replaceChildren(...lastReload.problems.map((problem) => make('li', '', problem)));
    }
  }
  for (const [index, split] of status.splits.entries()) views[index].update(split, rates);
  renderUpstreams(status.upstreams);
  renderRoutes(status.routes);
}

function build(status, newShape) {
  shape = newShape;
  views = status.splits.map((split) => new SplitView(split));
  byId('splits').replaceChildren(...views.map(({ node }) => node));
  const options = status.splits.map(({ name }) => make('option', '', name));
  byId('explain-split').replaceChildren(...options);
  const hasChoice = status.splits.length > 1;
  byId('explain-split').hidden = !hasChoice;
  byId('explain-split-label').hidden = !hasChoice;
  draw();
}

function draw() {
  if (latest !== null) for (const [index, split] of latest.splits.entries()) views[index].draw(split);
}

/** Rows of texts into a table body whose columns have these classes; the first one is the row's header. */
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

function renderUpstreams(upstreams) {
  // Nobody knows of an upstream whether it can be reached before a connection to it was tried.
  const isTried = ({ connectionsOpened, connectFailures }) =>
    connectionsOpened > 0 || Object.keys(connectFailures).length > 0;
  const rows = upstreams.map((upstream) => {
    const { name, url, addresses, connectionsOpen, exchangesWaiting, trouble } = upstream;
    return [
      name === url ? name : `${name} ${url}`,
      addresses.map(({ address, healthy }) => (healthy ? address : `${address} (failing)`)).join(', ') || '–',
      count.format(connectionsOpen),
      count.format(exchangesWaiting),
      trouble ?? (isTried(upstream) ? 'reachable' : 'not tried yet'),
    ];
  });
  const body = byId('upstreams');
  renderRows(body, ['mono', 'mono', 'number', 'number', ''], rows);
  for (const [index, upstream] of upstreams.entries()) {
    const state = isTried(upstream) ? 'good' : '';
    body.rows[index].cells[4].className = upstream.trouble === null ? state : 'bad';
  }
}

function renderRoutes(routes) {
  const direct = routes.filter(({ upstream }) => upstream !== null);
  byId('direct').hidden = direct.length === 0;
  const rows = direct.map(({ listen, host, path, exact, upstream, requests, requestsByClass }) => [
    `${host ?? 'every host'} ${exact ? '= ' : ''}${path}${listen === null ? '' : ` on ${listen}`}`,
    upstream,
    count.format(requests),
    count.format(failedOf({ requestsByClass })),
  ]);
  renderRows(byId('routes'), ['mono', 'mono', 'number', 'number'], rows);
}

let aliveAt = Date.now();

async function turn() {
  try {
    render(await ask('/status'));
    if (await askHistory()) for (const view of views) view.updateCharts();
    aliveAt = Date.now();
    byId('gone').hidden = true;
    document.body.classList.remove('old');
  } catch {
    show(byId('gone'), `The splitter has not answered since ${clock(aliveAt)}. What is shown here is old.`);
    byId('gone').hidden = false;
    document.body.classList.add('old');
    show(byId('state'), 'gone');
    byId('state').className = 'badge bad';
  }
  setTimeout(turn, STATUS_EVERY_MS);
}

// ---------------------------------------------------------------- explain

/** What a browser encodes in a URL that is typed; in a token also what would end it. A "%" stays: it may begin an encoded byte. */
const NOT_IN_URL = /[^!$&'()*+,\-./0-9:;=?@A-Z_a-z~%]/gu;
const NOT_IN_TOKEN = /[^!$'()*+,\-./0-9:;=?@A-Z_a-z~%]/gu;

/** The query of /explain for what was typed: a URL as it is, a token where the split's key text looks for it. */
function questionFor(typed, split) {
  if (/^(\/|https?:\/\/)/.test(typed)) {
    // The routes decide for a URL, unless a split was chosen among several.
    const chosen = byId('explain-split').hidden ? '' : `split=${split.name}&`;
    return `${chosen}url=${encodeURIComponent(typed.replace(NOT_IN_URL, encodeURIComponent))}`;
  }
  if (split === undefined) return null;
  const [, kind, name] = /\$\{?(arg|cookie|http)_(\w+)/.exec(split.key) ?? [];
  switch (kind) {
    case 'arg':
      return `split=${split.name}&url=${encodeURIComponent(`/?${name}=${typed.replace(NOT_IN_TOKEN, encodeURIComponent)}`)}`;
    case 'cookie':
      return `split=${split.name}&header=${encodeURIComponent(`Cookie: ${name}=${typed}`)}&url=/`;
    case 'http':
      return `split=${split.name}&header=${encodeURIComponent(`${name.replaceAll('_', '-')}: ${typed}`)}&url=/`;
    default:
      return null;
  }
}

function answerWith(...content) {
  byId('answer').replaceChildren(...content);
}

byId('explain').addEventListener('submit', async (event) => {
  event.preventDefault();
  if (latest === null) return;
  const index = Math.max(0, byId('explain-split').selectedIndex);
  const query = questionFor(byId('question').value, latest.splits[index]);
  for (const view of views) view.intended.point(null);
  if (query === null) {
    answerWith(
      make(
        'p',
        'bad',
        index in latest.splits
          ? `This split's key is ${latest.splits[index].key}: type a URL.`
          : 'There is no split: type a URL.',
      ),
    );
    return;
  }
  try {
    const explained = await ask(`/explain?${query}`);
    if (explained.range !== null && explained.range !== undefined)
      views[index].intended.point(explained.positionPercent);
    answerWith(...sentences(explained));
  } catch (cause) {
    answerWith(make('p', 'bad', cause.message));
  }
});

function sentences({ fault, key, keySource, hash, positionPercent, range, variant, upstream, reason }) {
  const nodes = [];
  if (fault !== undefined) {
    nodes.push(make('p', 'bad', `Refused with ${fault.status} ${fault.code}: ${fault.sentence}.`));
  } else {
    nodes.push(
      make(
        'p',
        '',
        make('strong', '', `→ ${variant ?? upstream}`),
        variant === null ? ' by its route' : ` at ${upstream}`,
      ),
    );
  }
  if (key === undefined) return nodes;
  const facts = [
    ['Key', key === '' ? `none (${keySource})` : `${key} (${keySource})`],
    ['Hash', `${count.format(hash)} of ${count.format(HASHES)}`],
    ['Position', `${positionPercent.toFixed(4)} %`],
  ];
  if (range !== null) {
    facts.push([
      'Range',
      `${((range.from / HASHES) * 100).toFixed(4)} % to ${((range.end / HASHES) * 100).toFixed(4)} %`,
    ]);
  }
  facts.push([
    'Reason',
    reason === 'share' ? 'the key lies in the share of this variant' : reason.replace('_', ' '),
  ]);
  nodes.push(
    make(
      'dl',
      '',
      ...facts.flatMap(([name, value]) => [make('dt', 'faint', name), make('dd', 'mono', value)]),
    ),
  );
  return nodes;
}

// ---------------------------------------------------------------- begin

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
let resizing = 0;
addEventListener('resize', () => {
  cancelAnimationFrame(resizing);
  resizing = requestAnimationFrame(() => {
    for (const view of views) view.resize();
  });
});
turn();

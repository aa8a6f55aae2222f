// @ts-check
// What the modules of the admin page share: how they make and change elements, and how numbers and times read.

export const SERIES_MAX = 8;

/** The element of index.html with this id. @param {string} id */
export function byId(id) {
  const node = document.getElementById(id);
  if (node === null) throw new Error(`the page has no #${id}`);
  return node;
}

/**
 * An element with a class, texts and children: `make('td', 'number', '1')`.
 * @template {keyof HTMLElementTagNameMap} N
 * @param {N} name
 * @param {string} className
 * @param {...(Node | string)} content
 */
export function make(name, className, ...content) {
  const node = document.createElement(name);
  if (className !== '') node.className = className;
  node.append(...content);
  return node;
}

/** Changes a text only if it differs. @param {Element} node @param {string} text */
export function show(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const countFormat = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
export const rateFormat = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });
/** @param {number} ratio */
export const ratioText = (ratio) => `${(ratio * 100).toFixed(2)} %`;
/** @param {string | number} date */
export const clockText = (date) => new Date(date).toLocaleTimeString('en-GB');

/** @param {number | null | undefined} seconds */
export function durationText(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  return seconds < 1
    ? `${Number((seconds * 1000).toPrecision(3))} ms`
    : `${Number(seconds.toPrecision(3))} s`;
}

/** Name of the CSS variable with the color of a variant. @param {number} index */
export const colorOf = (index) => `--series-${(index % SERIES_MAX) + 1}`;

/** Requests that failed. @param {{ readonly requestsByClass: Readonly<Record<string, number | undefined>> }} row */
export function failedRequests({ requestsByClass }) {
  // FAILED_CLASSES of src/telemetry/counts.ts, as a test checks.
  const FAILED_CLASSES = ['none', '5xx'];
  return FAILED_CLASSES.reduce((sum, name) => sum + (requestsByClass[name] ?? 0), 0);
}

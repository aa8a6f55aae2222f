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

/** Changes a class only if it differs. @param {Element} node @param {string} className */
export function style(node, className) {
  if (node.className !== className) node.className = className;
}

/** Makes the children of a list those texts, if they are not. @param {Element} list @param {readonly string[]} texts */
export function showItems(list, texts) {
  if (
    list.children.length === texts.length &&
    texts.every((text, at) => list.children[at].textContent === text)
  )
    return;
  list.replaceChildren(...texts.map((text) => make('li', '', text)));
}

export const countFormat = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
export const rateFormat = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });
/** @param {number} ratio */
export const ratioText = (ratio) => `${(ratio * 100).toFixed(2)} %`;
/** In percentage points, with its sign. @param {number} ratio */
export const pointsText = (ratio) => `${ratio < 0 ? '−' : '+'}${Math.abs(ratio * 100).toFixed(1)}`;
/** @param {string | number} date */
export const clockText = (date) => new Date(date).toLocaleTimeString('en-GB');

/** The time of day, with the date when that is another day. @param {string | number} date */
export function sinceText(date) {
  const time = new Date(date);
  const clock = time.toLocaleTimeString('en-GB').slice(0, 5);
  if (time.toDateString() === new Date().toDateString()) return clock;
  return `${time.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric' })}, ${clock}`;
}

/** @param {number | null | undefined} seconds */
export function durationText(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  return seconds < 1
    ? `${Number((seconds * 1000).toPrecision(3))} ms`
    : `${Number(seconds.toPrecision(3))} s`;
}

/** `1 split`, `3 splits`. @param {number} count @param {string} word */
export const counted = (count, word) => `${countFormat.format(count)} ${word}${count === 1 ? '' : 's'}`;

/** Name of the CSS variable with the color of a variant. @param {number} index */
export const colorOf = (index) => `--series-${(index % SERIES_MAX) + 1}`;

/** Requests that failed. @param {{ readonly requestsByClass: Readonly<Record<string, number | undefined>> }} row */
export function failedRequests({ requestsByClass }) {
  // FAILED_CLASSES of src/telemetry/counts.ts, as a test checks.
  const FAILED_CLASSES = ['none', '5xx'];
  return FAILED_CLASSES.reduce((sum, name) => sum + (requestsByClass[name] ?? 0), 0);
}

/**
 * Names the parts of a table: shown as cards, as on a phone, they would otherwise lose their roles. For
 * rows that come later, keepRoles(row) does the same.
 * @param {HTMLTableElement | HTMLTableRowElement} part
 */
export function keepRoles(part) {
  if (part instanceof HTMLTableElement) {
    part.setAttribute('role', 'table');
    for (const group of part.querySelectorAll('thead, tbody')) group.setAttribute('role', 'rowgroup');
  }
  for (const row of part instanceof HTMLTableElement ? part.rows : [part]) {
    row.setAttribute('role', 'row');
    for (const cell of row.cells)
      cell.setAttribute(
        'role',
        cell.tagName === 'TD' ? 'cell' : cell.scope === 'col' ? 'columnheader' : 'rowheader',
      );
  }
}

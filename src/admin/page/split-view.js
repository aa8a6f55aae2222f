// @ts-check
// The section of one split: its verdict, its bars, its table and its charts. It is built once for each shape of the
// configuration; afterwards only texts, widths and chart data change, so that nothing flickers and a screen reader reads only
// changes.

import { ERROR_COLUMN } from './answers.js';
import { Bar } from './bar.js';
import {
  colorOf,
  counted,
  durationText,
  keepRoles,
  make,
  rateFormat,
  ratioText,
  SERIES_MAX,
  show,
  showItems,
  style,
} from './elements.js';
import { Plot } from './plot.js';
import { classOf, ROW_COLUMNS, readRow } from './reading.js';

/** @typedef {import('../status.ts').StatusV1['splits'][number]} SplitStatus */

/** @type {readonly import('./plot.js').Measure[]} */
const MEASURES = [
  { caption: 'Requests per second', unit: (value) => rateFormat.format(value), columns: [0] },
  { caption: 'Errors: 5xx or nothing sent', unit: ratioText, columns: [ERROR_COLUMN] },
  { caption: 'Duration: p99 / p50 dashed', unit: durationText, columns: [3, 2], isLog: true },
];

/** One split: its bars, its table, its charts. The page owns it until the shape of the configuration or the filter changes. */
export class SplitView {
  /** @param {SplitStatus} split @param {readonly number[]} shown positions of the variants that have a row */
  constructor(split, shown) {
    this.name = split.name;
    this.shown = shown;
    const titleId = `split-${split.name}`;
    const title = make('h2', '', `Split ${split.name}`);
    title.id = titleId;
    this.verdict = make('span', 'badge');
    this.since = make('span', 'faint');
    this.facts = make('p', 'faint facts');
    this.sentences = make('ul', 'sentences');
    this.note = make('p', 'note');
    this.intended = new Bar(split.variants, 'intended shares');
    this.observed = new Bar(split.variants, 'observed shares of the unique keys');
    const bars = make('div', 'bars');
    bars.append(make('span', 'faint', 'intended'), this.intended.node);
    bars.append(make('span', 'faint', 'observed'), this.observed.node);
    this.body = make('tbody', '');
    this.rows = shown.map((index) => this.#row(split.variants[index], index));
    this.outside = make('p', 'faint outside');
    this.charts = make('div', 'charts');
    this.node = make(
      'section',
      'split',
      make('div', 'head', title, this.verdict, this.since),
      this.sentences,
      this.note,
      this.#table(),
    );
    if (shown.length < split.variants.length) {
      this.node.append(make('p', 'faint', `${shown.length} of ${counted(split.variants.length, 'variant')}`));
    }
    this.node.append(this.outside, bars, this.facts, this.charts);
    this.node.setAttribute('aria-labelledby', titleId);
    /** @type {Plot[]} */
    this.plots = [];
    this.#drawWhenSeen(split);
  }

  #table() {
    const heads = ['Variant', ...ROW_COLUMNS].map((name, index) => {
      const head = make('th', index === 0 ? '' : 'number', name);
      head.scope = 'col';
      return head;
    });
    const headRow = make('tr', '', ...heads);
    const table = make('table', 'cards', make('thead', '', headRow), this.body);
    keepRoles(table);
    const scroll = make('div', 'scroll', table);
    scroll.tabIndex = 0;
    scroll.setAttribute('role', 'group');
    scroll.setAttribute('aria-label', `table of split ${this.name}`);
    return scroll;
  }

  /** @param {{ readonly name: string, readonly upstream: string }} variant @param {number} index */
  #row(variant, index) {
    const swatch = make('span', `swatch pattern-${index % 4}`);
    swatch.style.backgroundColor = `var(${colorOf(index)})`;
    const head = make('th', '', swatch, variant.name, make('div', 'faint mono', variant.upstream));
    head.scope = 'row';
    const cells = ROW_COLUMNS.map((name) => {
      const cell = make('td', 'number');
      cell.dataset.label = name;
      return cell;
    });
    const row = make('tr', '', head, ...cells);
    this.body.append(row);
    return cells;
  }

  /**
   * @param {SplitStatus} split
   * @param {import('./reading.js').SplitReading} reading
   * @param {(index: number) => number | undefined} rateOf requests per second of a variant
   * @param {boolean} isRecent
   */
  update(split, reading, rateOf, isRecent) {
    show(this.verdict, reading.verdict);
    style(this.verdict, `badge ${classOf(reading.level)}`.trim());
    show(this.since, reading.since);
    show(this.facts, reading.facts);
    show(this.outside, reading.outside);
    showItems(this.sentences, reading.sentences);
    show(this.note, reading.note);
    this.intended.update(split.variants.map(({ shareRatio }) => shareRatio));
    this.observed.update(reading.observed);
    for (const [at, index] of this.shown.entries()) {
      const { texts, isBad } = readRow(split, index, rateOf(index), isRecent);
      const cells = this.rows[at];
      for (const [cell, text] of texts.entries()) show(cells[cell], text);
      cells[0].classList.toggle('bad', isBad);
    }
  }

  /** Charts are made when the reader gets near them. @param {SplitStatus} split */
  #drawWhenSeen(split) {
    this.seen = new IntersectionObserver(
      (entries) => {
        if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
        this.seen?.disconnect();
        this.draw(split);
      },
      { rootMargin: '600px' },
    );
    this.seen.observe(this.charts);
  }

  /** Draws all charts again: they were not drawn yet, or the colors have changed. @param {SplitStatus} split */
  draw(split) {
    for (const plot of this.plots) plot.destroy();
    const lines = this.shown
      .slice(0, SERIES_MAX)
      .map((index) => ({ ...split.variants[index], color: index }));
    this.plots = MEASURES.map((measure) => new Plot(measure, lines, split.name));
    this.charts.replaceChildren(...this.plots.map(({ node }) => node));
    if (this.shown.length > SERIES_MAX) {
      this.charts.append(
        make('p', 'faint', `The charts show the first ${SERIES_MAX} variants of the table.`),
      );
    }
  }

  /** The colors have changed. @param {SplitStatus} split */
  redraw(split) {
    if (this.plots.length > 0) this.draw(split);
  }

  updateCharts() {
    for (const plot of this.plots) plot.update();
  }

  destroy() {
    this.seen?.disconnect();
    for (const plot of this.plots) plot.destroy();
  }
}

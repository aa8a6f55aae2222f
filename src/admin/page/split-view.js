// @ts-check
// The section of one split: its bars, its table and its charts. It is built once for each shape of the configuration;
// afterwards only texts, widths and chart data change, so that nothing flickers and a screen reader reads only changes.

import { points, rowKey } from './answers.js';
import {
  colorOf,
  countFormat,
  durationText,
  failedRequests,
  make,
  rateFormat,
  ratioText,
  SERIES_MAX,
  show,
} from './elements.js';
import { Plot } from './plot.js';

/** @typedef {import('../status.ts').StatusV1['splits'][number]} SplitStatus */

/** One split: its bars, its table, its charts. The page owns it until the shape of the configuration changes. */
export class SplitView {
  /** @param {SplitStatus} split */
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
    /** @type {Plot[]} */
    this.plots = [];
  }

  /** @param {{ readonly name: string, readonly upstream: string }} variant @param {number} index */
  #row(variant, index) {
    const swatch = make('span', 'swatch');
    swatch.style.background = `var(${colorOf(index)})`;
    const head = make('th', '', swatch, variant.name, make('div', 'faint mono', variant.upstream));
    head.scope = 'row';
    const cells = Array.from({ length: 8 }, () => make('td', 'number'));
    this.body.append(make('tr', '', head, ...cells));
    return cells;
  }

  /** @param {SplitStatus} split @param {ReadonlyMap<string, number>} rates requests per second by row */
  update(split, rates) {
    const { sample, variants } = split;
    this.#judge(sample);
    this.intended.update(variants.map(({ shareRatio }) => shareRatio));
    this.observed.update(variants.map(({ observedRatio }) => observedRatio ?? 0));
    variants.forEach((variant, index) => {
      const row = { ...variant, split: split.name, variant: variant.name };
      const cells = this.rows[index];
      const columns = points.columns.get(rowKey(row));
      const perSecond = rates.get(rowKey(row));
      /** @param {number} column */
      const last = (column) => columns?.[column].findLast((value) => value !== null);
      const failed = failedRequests(variant);
      const texts = [
        ratioText(variant.shareRatio),
        variant.observedRatio === null ? '–' : ratioText(variant.observedRatio),
        `${countFormat.format(variant.uniqueKeys)} ± ${countFormat.format(variant.uniqueKeysStandardError)}`,
        countFormat.format(variant.requests),
        perSecond === undefined ? '–' : rateFormat.format(perSecond),
        countFormat.format(failed),
        durationText(last(2)),
        durationText(last(3)),
      ];
      for (const [cell, text] of texts.entries()) show(cells[cell], text);
      cells[5].classList.toggle('bad', failed > 0);
    });
  }

  /** @param {SplitStatus['sample']} sample */
  #judge({ pValue, deviationRatio, mismatch }) {
    const [text, className] =
      pValue === null
        ? ['too few unique keys to judge the shares', 'badge']
        : mismatch
          ? [
              `sample ratio mismatch: off by ${ratioText(deviationRatio ?? 0)}, p = ${pValue.toExponential(1)}`,
              'badge bad',
            ]
          : [`unique keys fit the shares, p = ${pValue.toFixed(3)}`, 'badge good'];
    show(this.verdict, text);
    if (this.verdict.className !== className) this.verdict.className = className;
  }

  /** Draws all charts again: the colors or the number of variants have changed. @param {SplitStatus} split */
  draw(split) {
    for (const plot of this.plots) plot.destroy();
    this.charts.replaceChildren();
    const variants = split.variants.slice(0, SERIES_MAX);
    /** @param {string} caption @param {(value: number) => string} unit @param {number[]} columns */
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
      chart('Requests per second', (value) => rateFormat.format(value), [0]),
      chart('Errors per second (5xx or nothing sent)', (value) => rateFormat.format(value), [1]),
      chart('Duration: p99, p50 dashed', durationText, [3, 2]),
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
  /** @param {readonly { readonly name: string }[]} variants @param {string} label */
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

  /** @param {readonly number[]} ratios */
  update(ratios) {
    const label = `${this.label}: ${this.names.map((name, index) => `${name} ${ratioText(ratios[index])}`).join(', ')}`;
    if (this.node.getAttribute('aria-label') !== label) this.node.setAttribute('aria-label', label);
    this.parts.forEach((part, index) => {
      part.style.flex = `${ratios[index]} 0 0`;
      part.hidden = ratios[index] === 0;
      part.title = `${this.names[index]} ${ratioText(ratios[index])}`;
    });
  }

  /** Marks a position in percent; null takes the mark away. @param {number | null} position */
  point(position) {
    this.mark.hidden = position === null;
    if (position !== null) this.mark.style.left = `${position}%`;
  }
}

// @ts-check
// One chart of the last 15 minutes with the values under the pointer as its legend. Knows uPlot, which a script before this
// one has loaded, and the points.

import { KEPT_SECONDS, points, rowKey } from './answers.js';
import { clockText, colorOf, make, show } from './elements.js';

const HEIGHT = 160;
/** A chart of a process that has just started spans this many seconds. */
const SPAN_MIN_SECONDS = 60;

/**
 * What a chart shows.
 * @typedef {object} Measure
 * @property {string} caption
 * @property {(value: number) => string} unit
 * @property {readonly number[]} columns numbers of columns of a row of `points`
 * @property {boolean} [isLog] the scale is logarithmic
 */

/** One uPlot chart: a line for each variant and column, the second column dashed. The SplitView that made it destroys it. */
export class Plot {
  /**
   * @param {Measure} measure
   * @param {readonly { readonly name: string, readonly upstream: string, readonly color: number }[]} variants
   * @param {string} split
   */
  constructor(measure, variants, split) {
    const { caption, columns } = measure;
    this.measure = measure;
    this.lines = columns.flatMap((column) =>
      variants.map(({ name, upstream, color }) => ({
        name,
        key: rowKey({ split, variant: name, upstream }),
        column,
        color,
        isDashed: column !== columns[0],
      })),
    );
    this.split = split;
    this.place = make('div', 'chart');
    this.place.setAttribute('role', 'img');
    this.place.setAttribute('aria-label', `${caption}, the last 15 minutes; the latest values follow`);
    this.time = make('span', '', 'latest');
    this.values = variants.map(() => make('span', ''));
    const keys = variants.map(({ name, color }, index) => {
      const swatch = make('span', 'swatch');
      swatch.style.background = `var(${colorOf(color)})`;
      return make('li', '', swatch, `${name} `, this.values[index]);
    });
    const title = make('figcaption', '', make('span', '', caption), this.time);
    this.node = make('figure', '', title, this.place, make('ul', 'legend', ...keys));
    /** @type {import('uplot') | null} */
    this.chart = null;
    // The width is known once the figure is laid out, and changes with its neighbours as much as with the window.
    this.observer = new ResizeObserver(() => this.#fit());
    this.observer.observe(this.place);
  }

  #fit() {
    const width = this.place.clientWidth;
    if (width === 0) return;
    if (this.chart === null) this.#draw(width);
    else if (this.chart.width !== width) this.chart.setSize({ width, height: HEIGHT });
  }

  /** @param {number} width */
  #draw(width) {
    const { unit, isLog = false } = this.measure;
    const style = getComputedStyle(document.documentElement);
    /** @param {string} name */
    const color = (name) => resolveColor(style.getPropertyValue(name));
    const axis = {
      stroke: color('--faint'),
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    };
    const { uPlot } = /** @type {{ uPlot: typeof import('uplot') }} */ (/** @type {unknown} */ (window));
    /** @type {import('uplot').Scale} */
    const y = isLog
      ? { distr: 3, range: (_, low, high) => decades(low, high) }
      : { range: (_, _low, high) => [0, high > 0 ? high * 1.1 : 1] };
    this.chart = new uPlot(
      {
        width,
        height: HEIGHT,
        legend: { show: false },
        cursor: {
          drag: { setScale: false, x: false, y: false },
          sync: { key: this.split },
          points: { size: 6 },
        },
        scales: { x: { range: () => lastMinutes() }, y },
        axes: [
          {
            ...axis,
            size: 28,
            space: 70,
            values: (/** @type {unknown} */ _, /** @type {number[]} */ ticks) => timeTexts(ticks),
          },
          {
            ...axis,
            size: 64,
            ...(isLog ? { splits: powers } : {}),
            values: (/** @type {unknown} */ _, /** @type {(number | null)[]} */ ticks) =>
              ticks.map((tick) => (tick === null ? '' : unit(tick))),
          },
        ],
        series: [
          {},
          ...this.lines.map((line) => ({
            stroke: color(colorOf(line.color)),
            width: 1.5,
            points: { show: false },
            ...(line.isDashed ? { dash: [4, 4] } : {}),
          })),
        ],
        hooks: { setCursor: [() => this.#showValues()], setData: [() => this.#showValues()] },
      },
      this.#data(),
      this.place,
    );
    this.#showValues();
  }

  /** @returns {import('uplot').AlignedData} */
  #data() {
    const none = new Array(points.times.length).fill(null);
    return [points.times, ...this.lines.map(({ key, column }) => points.columns.get(key)?.[column] ?? none)];
  }

  /** The values under the pointer, without one the latest. */
  #showValues() {
    const at = this.chart?.cursor.idx ?? null;
    const time = at === null ? undefined : points.times[at];
    show(this.time, time === undefined ? 'latest' : clockText(time * 1000));
    for (const [index, node] of this.values.entries()) {
      const { key } = this.lines[index];
      const texts = this.measure.columns.map((column) => {
        const values = points.columns.get(key)?.[column];
        const value = at === null ? values?.at(-1) : values?.[at];
        return value === null || value === undefined ? '–' : this.measure.unit(value);
      });
      show(node, texts.join(' / '));
    }
  }

  update() {
    this.chart?.setData(this.#data());
  }

  destroy() {
    this.observer.disconnect();
    this.chart?.destroy();
  }
}

/** What a chart spans: it ends with the newest point and begins at the start of the process. @returns {[number, number]} */
function lastMinutes() {
  const end = points.times.at(-1) ?? Date.now() / 1000;
  const first = Math.min(points.startSeconds, points.times[0] ?? end, end - SPAN_MIN_SECONDS);
  return [Math.max(end - KEPT_SECONDS, first), end];
}

/** Whole powers of ten around the values. @param {number | null} low @param {number | null} high @returns {[number, number]} */
function decades(low, high) {
  const from = 10 ** Math.floor(Math.log10(low !== null && low > 0 ? low : 0.001));
  const to = 10 ** Math.ceil(Math.log10(high !== null && high > 0 ? high : 0.1));
  return [from, to > from ? to : from * 10];
}

/** The powers of ten of a logarithmic axis. @param {import('uplot')} _ @param {number} _axis @param {number} low @param {number} high */
function powers(_, _axis, low, high) {
  const ticks = [];
  for (let power = Math.round(Math.log10(low)); power <= Math.round(Math.log10(high)); power += 1)
    ticks.push(10 ** power);
  return ticks;
}

/** With seconds where the axis is so short that minutes would repeat. @param {readonly number[]} ticks */
function timeTexts(ticks) {
  const isShort = ticks.some((tick) => tick % 60 !== 0);
  return ticks.map((tick) => clockText(tick * 1000).slice(0, isShort ? 8 : 5));
}

/** A canvas does not know light-dark(): the color as an element gets it. @param {string} value */
function resolveColor(value) {
  const probe = make('span', '');
  probe.style.color = value;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

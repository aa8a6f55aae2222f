// @ts-check
// One chart of the last 15 minutes. Knows uPlot, which a script before this one has loaded, and the points.

import { KEPT_SECONDS, points, rowKey } from './answers.js';
import { clockText, colorOf, make } from './elements.js';

/** One uPlot chart: a line for each variant and column, the second column dashed. The SplitView that made it destroys it. */
export class Plot {
  /**
   * @param {HTMLElement} place
   * @param {(value: number) => string} unit
   * @param {readonly { readonly name: string, readonly upstream: string }[]} variants
   * @param {readonly number[]} columns numbers of columns of a row of /history
   * @param {string} split
   */
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
    /** @param {string} name */
    const color = (name) => resolveColor(style.getPropertyValue(name));
    const axis = {
      stroke: color('--faint'),
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    };
    const { uPlot } = /** @type {{ uPlot: typeof import('uplot') }} */ (/** @type {unknown} */ (window));
    this.chart = new uPlot(
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
          {
            ...axis,
            space: 60,
            values: (/** @type {unknown} */ _, /** @type {number[]} */ ticks) =>
              ticks.map((tick) => clockText(tick * 1000).slice(0, 5)),
          },
          {
            ...axis,
            size: 64,
            values: (/** @type {unknown} */ _, /** @type {number[]} */ ticks) => ticks.map(unit),
          },
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

  /** @returns {import('uplot').AlignedData} */
  #data() {
    const none = new Array(points.times.length).fill(null);
    return [points.times, ...this.lines.map(({ key, column }) => points.columns.get(key)?.[column] ?? none)];
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

/** What a chart spans: it ends with the newest point. @returns {[number, number]} */
function lastMinutes() {
  const end = points.times.at(-1) ?? Date.now() / 1000;
  return [end - KEPT_SECONDS, end];
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

// Draws SVG text: bars of CPU per request, bars of latencies, a line of memory. Pure and without a library: those on
// npm that draw without a DOM (echarts, vega) weigh tens of megabytes, and the small ones (chartist, uplot, Observable
// Plot) need a browser's document. The charts need only rectangles and one polyline.
import {
  cpuPerRequest,
  DIRECT,
  isComparable,
  medianOf,
  type ScenarioResult,
  type SoakResult,
} from './results.ts';

const WIDTH = 720;
const LABEL = 250;
const BAR = 22;
const GAP = 8;
const TOP = 40;
const OWN_COLOUR = '#0b7285';

const escapeText = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
const colourOf = (rival: string) => (rival.startsWith('request-splitter') ? OWN_COLOUR : '#adb5bd');

const frame = (height: number, title: string, drawn: readonly string[]) =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="12" y="24" font-size="15">${escapeText(title)}</text>`,
    ...drawn,
    '</svg>',
    '',
  ].join('\n');

const label = (y: number, text: string) =>
  `<text x="${LABEL - 8}" y="${y}" text-anchor="end">${escapeText(text)}</text>`;

/** Bars with their spread as a line, the least first; the splitter's own are coloured, those that failed are pale. */
export function barChart(result: ScenarioResult): string {
  const bars = result.rows
    .map((row) => ({ row, ...cpuPerRequest(row) }))
    .filter(({ row, median }) => row.rival !== DIRECT && Number.isFinite(median))
    .sort((one, other) => one.median - other.median);
  const widest = Math.max(...bars.map(({ median, spread }) => median * (1 + spread)));
  const scale = (WIDTH - LABEL - 90) / widest;
  const drawn = bars.map(({ row, median, spread }, at) => {
    const y = TOP + at * (BAR + GAP);
    const middle = y + BAR / 2;
    const [low, high] = [LABEL + median * (1 - spread) * scale, LABEL + median * (1 + spread) * scale];
    const isFine = isComparable(row);
    return [
      label(middle + 4, row.title),
      `<rect x="${LABEL}" y="${y}" width="${(median * scale).toFixed(1)}" height="${BAR}" fill="${colourOf(row.rival)}"${isFine ? '' : ' fill-opacity="0.3"'}/>`,
      `<line x1="${low.toFixed(1)}" x2="${high.toFixed(1)}" y1="${middle}" y2="${middle}" stroke="#212529"/>`,
      `<text x="${(high + 6).toFixed(1)}" y="${middle + 4}">${median.toFixed(1)} µs${isFine ? '' : ' (failed)'}</text>`,
    ].join('\n');
  });
  return frame(TOP + bars.length * (BAR + GAP) + GAP, `${result.title}: CPU per request`, drawn);
}

/** Three bars for each contender: p50, p99 and p99.9, in the order of the report and as far as the longest p99.9. */
export function latencyChart(result: ScenarioResult): string {
  const rows = result.rows.filter(({ turns }) => turns.length > 0);
  const figures = rows.map((row) => [
    medianOf(row, ({ latencyMs }) => latencyMs.p50),
    medianOf(row, ({ latencyMs }) => latencyMs.p99),
    medianOf(row, ({ latencyMs }) => latencyMs.p999),
  ]);
  const scale = (WIDTH - LABEL - 90) / Math.max(...figures.flat());
  const thin = 12;
  const group = 3 * thin + 2 * GAP;
  const drawn = rows.map((row, at) => {
    const top = TOP + at * group;
    const bars = (figures[at] ?? []).map((ms, one) => {
      const y = top + one * thin;
      const width = ms * scale;
      return (
        `<rect x="${LABEL}" y="${y}" width="${width.toFixed(1)}" height="${thin - 1}" fill="${colourOf(row.rival)}" fill-opacity="${1 - one * 0.3}"/>\n` +
        `<text x="${(LABEL + width + 6).toFixed(1)}" y="${y + thin - 2}" font-size="10">${['p50', 'p99', 'p99.9'][one]} ${ms.toFixed(2)} ms</text>`
      );
    });
    return [label(top + 1.5 * thin + 4, row.title), ...bars].join('\n');
  });
  return frame(TOP + rows.length * group + GAP, `${result.title}: latency`, drawn);
}

/** Memory over time, from zero on, with a rule for every cycle of loads. */
export function memoryChart(soak: SoakResult): string {
  const [left, right, top, bottom, height] = [60, WIDTH - 20, TOP + 10, 250, 290];
  const seconds = Math.max(1, ...soak.samples.map((sample) => sample.seconds));
  const step = 25;
  const most = Math.ceil(Math.max(1, ...soak.samples.map(({ memoryMiB }) => memoryMiB)) / step) * step;
  const x = (at: number) => (left + (at / seconds) * (right - left)).toFixed(1);
  const y = (mib: number) => (bottom - (mib / most) * (bottom - top)).toFixed(1);
  const levels = Array.from({ length: most / step + 1 }, (_, at) => at * step);
  const cycles = Array.from({ length: soak.cycles.length }, (_, at) => (at * seconds) / soak.cycles.length);
  return frame(height, `${soak.title}: memory over a soak`, [
    ...levels.map(
      (mib) =>
        `<line x1="${left}" x2="${right}" y1="${y(mib)}" y2="${y(mib)}" stroke="#dee2e6"/>\n` +
        `<text x="${left - 8}" y="${Number(y(mib)) + 4}" text-anchor="end">${mib}</text>`,
    ),
    ...cycles.map(
      (at, cycle) =>
        `<line x1="${x(at)}" x2="${x(at)}" y1="${top}" y2="${bottom}" stroke="#dee2e6" stroke-dasharray="3 3"/>\n` +
        `<text x="${Number(x(at)) + 4}" y="${bottom + 16}" font-size="11">cycle ${cycle + 1}, from ${at.toFixed(0)} s</text>`,
    ),
    `<text x="${left - 8}" y="${top - 8}" text-anchor="end" font-size="11">MiB</text>`,
    `<polyline fill="none" stroke="${OWN_COLOUR}" stroke-width="2" points="${soak.samples
      .map((sample) => `${x(sample.seconds)},${y(sample.memoryMiB)}`)
      .join(' ')}"/>`,
  ]);
}

// Draws the bars of one scenario as SVG text: CPU per request by rival, the least first. Pure, and without a library:
// a chart is some rectangles.
import { cpuPerRequest, type ScenarioResult } from './report.ts';

const WIDTH = 720;
const LABEL = 200;
const BAR = 22;
const GAP = 8;
const TOP = 40;

const escapeText = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');

/** Bars with their spread as a line; the splitter's own is coloured. Rivals without a figure are left out. */
export function barChart(result: ScenarioResult): string {
  const bars = result.rows
    .map((row) => ({ row, ...cpuPerRequest(row) }))
    .filter(({ row, median }) => row.rival !== 'direct' && Number.isFinite(median))
    .sort((one, other) => one.median - other.median);
  const widest = Math.max(...bars.map(({ median }) => median));
  const scale = (WIDTH - LABEL - 110) / widest;
  const height = TOP + bars.length * (BAR + GAP) + GAP;
  const drawn = bars.map(({ row, median, spread }, at) => {
    const y = TOP + at * (BAR + GAP);
    const middle = y + BAR / 2;
    const end = LABEL + median * scale;
    const colour = row.rival.startsWith('request-splitter') ? '#0b7285' : '#adb5bd';
    return [
      `<text x="${LABEL - 8}" y="${middle + 4}" text-anchor="end">${escapeText(row.title)}</text>`,
      `<rect x="${LABEL}" y="${y}" width="${(median * scale).toFixed(1)}" height="${BAR}" fill="${colour}"/>`,
      `<line x1="${(end - median * spread * scale).toFixed(1)}" x2="${(end + median * spread * scale).toFixed(1)}" y1="${middle}" y2="${middle}" stroke="#212529"/>`,
      `<text x="${(end + median * spread * scale + 6).toFixed(1)}" y="${middle + 4}">${median.toFixed(1)} µs</text>`,
    ].join('\n');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="12" y="24" font-size="15">${escapeText(result.title)}: CPU per request</text>`,
    ...drawn,
    '</svg>',
    '',
  ].join('\n');
}

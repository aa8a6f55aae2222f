// @ts-check
// Asks the splitter, and keeps the points of the last 15 minutes that /history has told so far.

export const KEPT_SECONDS = 15 * 60;
const COLUMNS = /** @type {const} */ (['requestsPerSecond', 'errorsPerSecond', 'p50Seconds', 'p99Seconds']);

/** @typedef {{ readonly split: string, readonly variant: string, readonly upstream: string }} RowName */

/**
 * Points of the last 15 minutes by "split, variant, upstream"; all columns are as long as `times`.
 * @type {{ times: number[], readonly columns: Map<string, (number | null)[][]>, sinceMs: number }}
 */
export const points = { times: [], columns: new Map(), sinceMs: 0 };

/** @param {RowName} row */
export const rowKey = ({ split, variant, upstream }) => JSON.stringify([split, variant, upstream]);

/** The answer of a path; rejects with what the splitter says instead. @param {string} path @returns {Promise<unknown>} */
export async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(5000) });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

/** Adds the points since the last call. False = there are none. */
export async function askHistory() {
  const answer = await ask(`/history?since=${points.sinceMs}`);
  const { timesMs, variants } = /** @type {import('../history.ts').HistoryV1} */ (answer);
  const [first] = timesMs;
  if (first === undefined) return false;
  // The clock of the splitter was set back: its answer has every point again.
  if (first <= points.sinceMs) {
    points.times = [];
    points.columns.clear();
  }
  const before = points.times.length;
  points.sinceMs = timesMs.at(-1) ?? first;
  points.times.push(...timesMs.map((ms) => ms / 1000));
  for (const row of variants) {
    const columns = points.columns.get(rowKey(row)) ?? COLUMNS.map(() => new Array(before).fill(null));
    for (const [index, name] of COLUMNS.entries()) columns[index]?.push(...row[name]);
    points.columns.set(rowKey(row), columns);
  }
  const oldest = points.sinceMs / 1000 - KEPT_SECONDS;
  const old = points.times.findIndex((time) => time > oldest);
  points.times.splice(0, old);
  for (const columns of points.columns.values()) for (const column of columns) column.splice(0, old);
  return true;
}

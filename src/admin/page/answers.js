// @ts-check
// Asks the splitter, and keeps the points of the last 15 minutes that /history has told so far.

export const KEPT_SECONDS = 15 * 60;
const COLUMNS = /** @type {const} */ (['requestsPerSecond', 'errorsPerSecond', 'p50Seconds', 'p99Seconds']);
/** The column of `points` that is made of the first two: the part of the requests that failed. */
export const ERROR_COLUMN = COLUMNS.length;

/** @typedef {{ readonly split: string, readonly variant: string, readonly upstream: string }} RowName */

/**
 * Points of the last 15 minutes by "split, variant, upstream"; all columns are as long as `times`. `startSeconds` is the
 * Unix time at which the process started.
 * @type {{ times: number[], readonly columns: Map<string, (number | null)[][]>, sinceMs: number, startSeconds: number }}
 */
export const points = { times: [], columns: new Map(), sinceMs: 0, startSeconds: Number.POSITIVE_INFINITY };

/** @param {RowName} row */
export const rowKey = ({ split, variant, upstream }) => JSON.stringify([split, variant, upstream]);

/** The answer of a path; rejects with what the splitter says instead. @param {string} path @returns {Promise<unknown>} */
export async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(5000) });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}

/** Forgets the points of a process that has ended. @param {number} startSeconds of the one that answers now */
export function beginPoints(startSeconds) {
  points.times = [];
  points.columns.clear();
  points.sinceMs = 0;
  points.startSeconds = startSeconds;
}

/** Adds the points since the last call. False = there are none. */
export async function askHistory() {
  const answer = await ask(`/history?since=${points.sinceMs}`);
  const { timesMs, variants, intervalSeconds } = /** @type {import('../history.ts').HistoryV1} */ (answer);
  const [first] = timesMs;
  if (first === undefined) return false;
  // The clock of the splitter was set back: its answer has every point again.
  if (first <= points.sinceMs) {
    points.times = [];
    points.columns.clear();
  }
  // Nothing is known of the time between: no line joins the points on both sides.
  const last = points.times.at(-1);
  if (last !== undefined && first / 1000 - last > 3 * intervalSeconds) {
    points.times.push(last + intervalSeconds);
    for (const columns of points.columns.values()) for (const column of columns) column.push(null);
  }
  const before = points.times.length;
  points.sinceMs = timesMs.at(-1) ?? first;
  points.times.push(...timesMs.map((ms) => ms / 1000));
  for (const row of variants) {
    const key = rowKey(row);
    let columns = points.columns.get(key);
    if (columns === undefined) {
      columns = Array.from({ length: COLUMNS.length + 1 }, () => new Array(before).fill(null));
      points.columns.set(key, columns);
    }
    for (const [index, name] of COLUMNS.entries()) columns[index].push(...row[name]);
    columns[ERROR_COLUMN].push(
      ...row.requestsPerSecond.map((requests, at) =>
        requests ? (row.errorsPerSecond[at] ?? 0) / requests : null,
      ),
    );
  }
  // A row that the answer no longer has.
  for (const columns of points.columns.values()) {
    for (const column of columns) while (column.length < points.times.length) column.push(null);
  }
  const oldest = points.sinceMs / 1000 - KEPT_SECONDS;
  const old = points.times.findIndex((time) => time > oldest);
  points.times.splice(0, old);
  for (const columns of points.columns.values()) for (const column of columns) column.splice(0, old);
  return true;
}

// Scrapes like Prometheus, but more often: requests /metrics of an admin port once a second until it is ended. Usage:
// node bench/load/scrape.ts PORT; prints "ready" after the first answer, and one line of JSON at the end.

/** What it prints in the end. */
export interface Scraped {
  readonly scrapes: number;
  /** Log lines that were dropped between the first answer and the last. */
  readonly linesDropped: number;
}

const url = `http://127.0.0.1:${process.argv[2]}/metrics`;
let scrapes = 0;
let linesDropped = 0;
let droppedBefore = 0;

async function scrape(): Promise<void> {
  const answer = await fetch(url);
  if (answer.status !== 200) throw new Error(`${url}: expected 200, got ${answer.status}`);
  const text = await answer.text();
  linesDropped = Number(/^splitter_log_lines_dropped_total(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1] ?? 0);
  scrapes += 1;
  if (scrapes > 1) return;
  droppedBefore = linesDropped;
  console.log('ready');
}

process.once('SIGINT', async () => {
  await scrape();
  console.log(JSON.stringify({ scrapes, linesDropped: linesDropped - droppedBefore } satisfies Scraped));
  process.exit(0);
});
await scrape();
setInterval(() => void scrape(), 1000);

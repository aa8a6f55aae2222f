// The number of runs of property tests: each states its usual number, and PROPERTY_RUNS scales all of them
// (`PROPERTY_RUNS=20` for a night, `PROPERTY_RUNS=0.1` for a first look).
const scale = Number(process.env.PROPERTY_RUNS ?? 1);
if (!(scale > 0))
  throw new Error(`PROPERTY_RUNS: expected a factor above 0, got ${process.env.PROPERTY_RUNS}`);

/** Options of fast-check for `count` runs at the usual scale. */
export const runs = (count: number): { readonly numRuns: number } => ({ numRuns: scaled(count) });

/** This many at the usual scale, of what a test makes up itself: keys, requests, rounds. */
export const scaled = (count: number): number => Math.max(1, Math.round(count * scale));

/** Time limit of a test with property runs, in milliseconds: some ten times what a quiet machine needs. */
export const RUNS_LIMIT_MS: number = 120_000 * Math.max(1, scale);

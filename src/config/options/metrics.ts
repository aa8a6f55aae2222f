// The options of the metrics: the bounds of the buckets of durations, from which percentiles are estimated everywhere.
// It knows nothing of how a duration finds its bucket.

import * as z from 'zod/mini';
import { DURATION_BOUNDS_DEFAULT_MS, DURATION_BOUNDS_MAX } from '../duration-bounds.ts';
import { documented, filledList, fineDuration, mapOption } from './values.ts';

const BOUND_EXPECTED = 'a duration from 0.01ms to 1h like 2.5ms, 250ms or 1s';
const BOUNDS_EXPECTED = `a list of 1 to ${DURATION_BOUNDS_MAX} durations like [10ms, 100ms, 1s]`;

// Entries that are no durations are reported beside those that do not grow.
const grows = z.check<unknown[]>(
  ({ value, issues }) => {
    for (let at = 1; at < value.length; at += 1) {
      const [before, bound] = [value[at - 1], value[at]];
      if (typeof before !== 'number' || typeof bound !== 'number' || bound > before) continue;
      const message = `a duration longer than the one before it, ${before}ms`;
      issues.push({ code: 'custom', message, input: `${bound}ms`, path: [at] });
    }
  },
  { when: ({ value }) => Array.isArray(value) },
);

const bounds = filledList(
  fineDuration({ minMs: 0.01, maxMs: 3_600_000 }, BOUND_EXPECTED),
  BOUNDS_EXPECTED,
  DURATION_BOUNDS_MAX,
).check(grows);

/** The options under `metrics`. */
export const metricsSchema = mapOption(
  {
    durationBuckets: documented(
      z.prefault(
        bounds,
        DURATION_BOUNDS_DEFAULT_MS.map((ms) => (ms < 1000 ? `${ms}ms` : `${ms / 1000}s`)),
      ),
      `Upper bounds of the buckets of \`splitter_request_duration_seconds\`, from the shortest to the longest, ${DURATION_BOUNDS_MAX} at most. The page, /status and \`fleet\` estimate their percentiles from the same buckets. A promise like "99 % within 300 ms" needs a bound of its own. A change needs a restart.`,
      'durations',
    ),
  },
  'The form of the metrics.',
);

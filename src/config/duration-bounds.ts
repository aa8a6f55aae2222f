// The bounds of the duration histogram where a configuration names none, and how many there may be. Without any library, as
// every process reads it.

/**
 * In milliseconds, "+Inf" left out. The 1-2.5-5 steps of Prometheus' own default, so that a promise like "99 % within 250 ms"
 * has its bound, continued downwards to 0.5 ms (an upstream beside the splitter answers in less than the usual smallest bound
 * of 5 ms) and upwards to 60 s, the default `responseTimeout`.
 */
export const DURATION_BOUNDS_DEFAULT_MS: readonly number[] = [
  0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000,
];

/** Rows have room for so many. */
export const DURATION_BOUNDS_MAX = 40;

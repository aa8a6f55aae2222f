// The time by which schedules run. It never goes back within one process: a clock that is set back must not undo a step
// that requests have already seen. Far from the next step a decision does not read the system's clock.

/** Time between two readings for those that are far from their next step. */
const TICK_MS = 250;
/** So far away a step cannot be reached between two ticks, unless the clock is set or the process hangs for seconds. */
const FAR_MS = 2000;

let reached = 0;
let ticker: NodeJS.Timeout | undefined;

/**
 * Milliseconds since 1970, and never fewer than an earlier call has given. `until` is the time of the next step: while it is
 * more than two seconds away, the result may be a quarter of a second old.
 */
export function wallClock(until = 0): number {
  if (until - reached > FAR_MS) {
    if (ticker !== undefined || until === Number.POSITIVE_INFINITY) return reached;
    ticker = setInterval(wallClock, TICK_MS, 0);
    ticker.unref();
  }
  const now = Date.now();
  if (now > reached) reached = now;
  return reached;
}

// The time by which schedules run. It never goes back within one process: a clock that is set back must not undo a step
// that requests have already seen.

let reached = 0;

/** Milliseconds since 1970, and never fewer than an earlier call has given. */
export function wallClock(): number {
  const now = Date.now();
  if (now > reached) reached = now;
  return reached;
}

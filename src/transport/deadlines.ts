// Time limits of every connection and exchange: one timer for all of them instead of one per socket. Setting a
// limit is an assignment and a comparison; one sweep finds those that have passed. A limit is met within 50 ms.
// It knows nothing of what the limits are for.

/** Something with one time limit at a time. */
export interface Timed {
  /** Time of `performance.now()` at which `onDeadline` is due; Infinity = no limit. */
  deadline: number;
  onDeadline(now: number): void;
}

const SWEEP_INTERVAL_MS = 50;

/** All time limits of one process. */
export class Deadlines {
  readonly #members = new Set<Timed>();
  #timer: NodeJS.Timeout | undefined;
  #nextSweepAt = Number.POSITIVE_INFINITY;

  /** Number of members; a test for leaks asks. */
  get size(): number {
    return this.#members.size;
  }

  add(member: Timed): void {
    this.#members.add(member);
  }

  remove(member: Timed): void {
    this.#members.delete(member);
  }

  /** Sets the time limit of a member to `at`, a time of `performance.now()`. */
  set(member: Timed, at: number): void {
    member.deadline = at;
    if (at < this.#nextSweepAt) this.#schedule(at);
  }

  /** Ends the timer; members keep their limits but nothing fires any more. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#members.clear();
    this.#nextSweepAt = Number.POSITIVE_INFINITY;
  }

  #schedule(at: number): void {
    clearTimeout(this.#timer);
    this.#nextSweepAt = at;
    if (at === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(this.#sweep, Math.max(1, Math.ceil(at - performance.now())));
    this.#timer.unref();
  }

  readonly #sweep = (): void => {
    const now = performance.now();
    this.#nextSweepAt = Number.POSITIVE_INFINITY;
    for (const member of this.#members) {
      if (member.deadline > now) continue;
      member.deadline = Number.POSITIVE_INFINITY;
      member.onDeadline(now);
    }
    let earliest = this.#nextSweepAt;
    for (const member of this.#members) {
      if (member.deadline < earliest) earliest = member.deadline;
    }
    this.#schedule(Math.max(earliest, now + SWEEP_INTERVAL_MS));
  };
}

// What an option is at a time, where the configuration lists steps: a pure function of the time, so that all replicas
// agree without a controller. Within one process time never goes back here. Reads no clock: times are passed in.

/** One change: from `at` (milliseconds since 1970) on the value is `to`. */
export interface Step<T> {
  readonly at: number;
  readonly to: T;
}

/**
 * The values of one option over time. A clock that goes back changes nothing: what was reached stays reached, whether it
 * was a step up or down. Owned by one Splitter.
 */
export class Schedule<T> {
  readonly steps: readonly Step<T>[];
  readonly #first: T;
  #taken = 0;
  #current: T;
  /** Time of the next step; Infinity after the last one. */
  nextAt: number;

  /** @param first value before the first step @param steps in the order of their times */
  constructor(first: T, steps: readonly Step<T>[]) {
    this.steps = steps;
    this.#first = first;
    this.#current = first;
    this.nextAt = steps[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** The value now. Hot path. */
  at(now: number): T {
    if (now >= this.nextAt) this.#advance(now);
    return this.#current;
  }

  /** Steps that are taken by now. */
  taken(now: number): number {
    this.at(now);
    return this.#taken;
  }

  #advance(now: number): void {
    const { steps } = this;
    while (this.#taken < steps.length && now >= steps[this.#taken]!.at) this.#taken++;
    this.#current = this.#taken === 0 ? this.#first : steps[this.#taken - 1]!.to;
    this.nextAt = steps[this.#taken]?.at ?? Number.POSITIVE_INFINITY;
  }
}

// Limits the log lines about something that can happen at any rate: a few at once, then so many a minute. It decides and
// counts; the caller writes the lines and says how many were left out.

/** A budget of lines, refilled with time. */
export class LineBudget {
  readonly #linesMax: number;
  readonly #refillMs: number;
  #lines: number;
  #filledAt = 0;

  /** @param linesMax lines that may come at once @param refillMs time after which there is one more */
  constructor(linesMax: number, refillMs: number) {
    this.#linesMax = linesMax;
    this.#refillMs = refillMs;
    this.#lines = linesMax;
  }

  /** True when a line may be written now, which then is spent. @param now a time of `performance.now()` */
  take(now: number): boolean {
    const refilled = Math.floor((now - this.#filledAt) / this.#refillMs);
    if (refilled > 0) {
      this.#lines = Math.min(this.#linesMax, this.#lines + refilled);
      this.#filledAt += refilled * this.#refillMs;
    }
    if (this.#lines === 0) return false;
    this.#lines--;
    return true;
  }
}

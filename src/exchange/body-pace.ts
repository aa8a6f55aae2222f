// How long the splitter waits for the body of a slow client: a pause is limited, and a client that sends too few bytes a
// second uses up the same time little by little. Only time in which the client alone is waited for counts.
// Source: docs/decisions/0022.

/** The pace of one request body; `reset` before each. Times are those of `performance.now()`. waits.ts owns it. */
export class BodyPace {
  #leftMs = 0;
  #bytes = 0;
  /** Since when the client is waited for; 0 = it is not. */
  #since = 0;

  /** @param pauseMs longest pause @param bytes what has come of the request before its body */
  reset(pauseMs: number, bytes: number): void {
    this.#leftMs = pauseMs;
    this.#bytes = bytes;
    this.#since = 0;
  }

  /**
   * The client is waited for from now on. Returns until when: each byte that has come since has earned time.
   * @param pauseMs longest pause @param rate fewest bytes a second; 0 = any byte earns the whole pause
   * @param bytes all that has come of the request
   */
  wait(now: number, pauseMs: number, rate: number, bytes: number): number {
    this.rest(now);
    const earnedMs = rate === 0 ? pauseMs : ((bytes - this.#bytes) * 1000) / rate;
    this.#leftMs = Math.min(pauseMs, this.#leftMs + earnedMs);
    this.#bytes = bytes;
    this.#since = now;
    return now + this.#leftMs;
  }

  /** The client is no longer waited for. */
  rest(now: number): void {
    if (this.#since > 0) this.#leftMs -= now - this.#since;
    this.#since = 0;
  }
}

// When an address is left out and when it is tried again: a fold over what was observed and the time. Pure: times are
// passed in, nothing is measured here. Source: consecutive failures with growing ejection times, as in Envoy's outlier
// detection and nginx's max_fails.

/** When and for how long an address is ejected. */
export interface EjectSettings {
  /** Failures in a row that eject it; 0 = never. */
  readonly failures: number;
  /** First ejection, in milliseconds; each further one in a row doubles it. */
  readonly time: number;
  /** Longest ejection, in milliseconds. */
  readonly timeMax: number;
}

/** What is known of one address. Times are those of `performance.now()`. */
export class AddressHealth {
  #failures = 0;
  #ejections = 0;
  #ejectedUntil = 0;
  #isProbedDown = false;

  /** When the present ejection ends; 0 or a past time = it is not ejected. */
  get ejectedUntil(): number {
    return this.#ejectedUntil;
  }

  /** Something failed and nothing has succeeded since. */
  get isFailing(): boolean {
    return this.#failures > 0 || this.#ejections > 0;
  }

  /** The last probes failed: it takes no exchange until one succeeds. */
  get isProbedDown(): boolean {
    return this.#isProbedDown;
  }

  /**
   * A connect or an exchange failed at this address. It is ejected when that was one failure too many, unless it is
   * the last healthy one of its upstream. Returns true when this ejected it.
   */
  observeFailure(now: number, settings: EjectSettings, isLastHealthy: boolean): boolean {
    this.#failures++;
    // After an ejection one failure is enough: nothing has succeeded since.
    const limit = this.#ejections > 0 ? 1 : settings.failures;
    if (settings.failures === 0 || this.#failures < limit || isLastHealthy || !this.isHealthy(now))
      return false;
    this.#ejectedUntil = now + Math.min(settings.timeMax, settings.time * 2 ** this.#ejections);
    this.#ejections++;
    this.#failures = 0;
    return true;
  }

  /** An exchange or a connect succeeded: it is reinstated. Returns true when it had been ejected. */
  observeSuccess(): boolean {
    if (this.#failures === 0 && this.#ejections === 0) return false;
    const wasEjected = this.#ejections > 0;
    this.#failures = 0;
    this.#ejections = 0;
    this.#ejectedUntil = 0;
    return wasEjected;
  }

  /** What the probes found last. */
  observeProbe(isUp: boolean): void {
    this.#isProbedDown = !isUp;
    if (isUp) this.observeSuccess();
  }

  isHealthy(now: number): boolean {
    return this.#ejectedUntil <= now && !this.#isProbedDown;
  }
}

// Decides when an address is ejected and when it is tried again. A fold over observations and times that are passed in;
// it measures nothing. Sources: consecutive failures with growing ejection times, as in Envoy's outlier detection and
// nginx's max_fails; one trial at a time, as in a circuit breaker that is half open.

/** When and for how long an address is ejected. */
export interface EjectSettings {
  /** Failures in a row that eject it; 0 = never. */
  readonly failures: number;
  /** First ejection, in milliseconds; each further one in a row doubles it. */
  readonly time: number;
  /** Longest ejection, in milliseconds. */
  readonly timeMax: number;
}

const EJECTION = { in: 0, ejected: 1, trial: 2 } as const;

/** What is known of one address. Times are those of `performance.now()`. */
export class AddressHealth {
  #ejection: number = EJECTION.in;
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

  /** So many failures in a row, or enough of them for an ejection, and no success since. */
  hasFailed(times: number): boolean {
    return this.#failures >= times || this.#ejections > 0;
  }

  /** The last probes failed: it takes no exchange until one succeeds. */
  get isProbedDown(): boolean {
    return this.#isProbedDown;
  }

  /** Its ejection is over, but nothing has been sent to it since: the next exchange is its trial. */
  get needsTrial(): boolean {
    return this.#ejection === EJECTION.ejected;
  }

  /** One exchange tries it; for all others it stays ejected until `observeAnswer`, a success, a failure or `endTrial`. */
  beginTrial(): void {
    this.#ejection = EJECTION.trial;
  }

  /** The trial ended without a verdict: another exchange may try. */
  endTrial(): void {
    if (this.#ejection === EJECTION.trial) this.#ejection = EJECTION.ejected;
  }

  /** The trial was answered: it takes exchanges again, though the next failure still ejects it for the grown time. */
  observeAnswer(): void {
    this.#ejection = EJECTION.in;
    this.#ejectedUntil = 0;
  }

  /**
   * A connect or an exchange failed at this address. It is ejected when that was one failure too many, unless it is
   * the last healthy one of its upstream. Returns true when this ejected it.
   */
  observeFailure(now: number, settings: EjectSettings, isLastHealthy: boolean): boolean {
    this.#failures++;
    // After an ejection one failure is enough: nothing has succeeded since.
    const limit = this.#ejections > 0 ? 1 : settings.failures;
    if (settings.failures === 0 || this.#failures < limit) return false;
    const isTaken = this.#ejection === EJECTION.trial || this.isHealthy(now);
    if (!isTaken) return false;
    if (isLastHealthy) {
      this.observeAnswer();
      return false;
    }
    this.#ejection = EJECTION.ejected;
    this.#ejectedUntil = now + Math.min(settings.timeMax, settings.time * 2 ** this.#ejections);
    this.#ejections++;
    this.#failures = 0;
    return true;
  }

  /** An exchange succeeded: it is reinstated. Returns true when it had been ejected. */
  observeSuccess(): boolean {
    if (this.#failures === 0 && this.#ejections === 0) return false;
    const wasEjected = this.#ejections > 0;
    this.#failures = 0;
    this.#ejections = 0;
    this.observeAnswer();
    return wasEjected;
  }

  /** What the probes found last. */
  observeProbe(isUp: boolean): void {
    this.#isProbedDown = !isUp;
    if (isUp) this.observeSuccess();
  }

  /** It takes exchanges, or would take one as its trial. */
  isHealthy(now: number): boolean {
    return this.#ejection !== EJECTION.trial && this.#ejectedUntil <= now && !this.#isProbedDown;
  }
}

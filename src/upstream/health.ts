// Decides when an address is ejected, when it is tried again, and for how long it is on probation. A fold over observations
// and times that are passed in; it measures nothing. Sources: consecutive failures with growing ejection times, as in
// Envoy's outlier detection; nginx's max_fails and fail_timeout; one trial at a time, as in a half-open circuit breaker.

/** Failures in a row that eject an address, by default: one is enough only while all others are healthy. */
const FAILURES_OF_FIRST = 1;
const FAILURES_OF_OTHERS = 3;
/** How long an address that has failed is on probation; if it was ejected, from the end of that. As nginx's fail_timeout. */
const PROBATION_MS = 10_000;

/** When and for how long an address is ejected. */
export interface EjectSettings {
  /** Failures in a row that eject it; 0 = never; undefined = one while all other addresses are healthy, otherwise three. */
  readonly failures?: number | undefined;
  /** First ejection, in milliseconds; each further one in a row doubles it. */
  readonly time: number;
  /** Longest ejection, in milliseconds. */
  readonly timeMax: number;
}

/** What is known of the other addresses of the upstream. */
export const OTHERS = { noneHealthy: 0, someHealthy: 1, allHealthy: 2 } as const;

const EJECTION = { in: 0, ejected: 1, trial: 2 } as const;

/** What is known of one address, which owns it. Times are those of `performance.now()`. */
export class AddressHealth {
  #ejection: number = EJECTION.in;
  /** In a row. */
  #failures = 0;
  /** Since it was last off probation. */
  #ejections = 0;
  #ejectedUntil = 0;
  /** It was ejected, and nothing has succeeded since. */
  #awaitsSuccess = false;
  #probationUntil = 0;
  #isProbedDown = false;

  /** When the present ejection ends; 0 or a past time = it is not ejected. */
  get ejectedUntil(): number {
    return this.#ejectedUntil;
  }

  /** Something failed and nothing has succeeded since. */
  get isFailing(): boolean {
    return this.#failures > 0 || this.#awaitsSuccess;
  }

  /** So many failures in a row, or enough of them for an ejection, and no success since. */
  hasFailed(times: number): boolean {
    return this.#failures >= times || this.#awaitsSuccess;
  }

  /** The last probes failed: it takes no exchange until one succeeds. */
  get isProbedDown(): boolean {
    return this.#isProbedDown;
  }

  /** It failed a short time ago: better not risk a request that cannot be sent again. */
  isOnProbation(now: number): boolean {
    return now < this.#probationUntil;
  }

  /** It was ejected and nothing has been sent to it since: the next exchange is its trial. */
  get needsTrial(): boolean {
    return this.#ejection === EJECTION.ejected;
  }

  /** One exchange tries it; for all others it stays ejected until `observeAnswer`, a failure or `endTrial`. */
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
   * the last healthy one of its upstream. `others` is one of `OTHERS`. Returns true when this ejected it.
   */
  observeFailure(now: number, settings: EjectSettings, others: number): boolean {
    if (now >= this.#probationUntil) this.#ejections = 0;
    this.#failures++;
    this.#probationUntil = Math.max(this.#probationUntil, now + PROBATION_MS);
    const isFirst = others === OTHERS.allHealthy;
    const limit = settings.failures ?? (isFirst ? FAILURES_OF_FIRST : FAILURES_OF_OTHERS);
    // After an ejection one failure is enough: nothing has succeeded since.
    if (limit === 0 || (this.#failures < limit && !this.#awaitsSuccess)) return false;
    // A trial ahead of its time is the last resort of an exchange. Its failure says nothing new.
    if (now < this.#ejectedUntil) this.endTrial();
    const isTaken = this.#ejection === EJECTION.trial || this.isHealthy(now);
    if (!isTaken) return false;
    if (others === OTHERS.noneHealthy) {
      this.observeAnswer();
      return false;
    }
    this.#ejection = EJECTION.ejected;
    this.#ejectedUntil = now + Math.min(settings.timeMax, settings.time * 2 ** this.#ejections);
    this.#probationUntil = this.#ejectedUntil + PROBATION_MS;
    this.#ejections++;
    this.#failures = 0;
    this.#awaitsSuccess = true;
    return true;
  }

  /**
   * A connection that had carried exchanges before was lost without an answer: perhaps the server closed it for being
   * idle. The first one only begins a probation. Returns true when this is another one and counts as a failure.
   */
  observeLoss(now: number): boolean {
    if (this.isOnProbation(now)) return true;
    this.#ejections = 0;
    this.#probationUntil = now + PROBATION_MS;
    return false;
  }

  /** An exchange succeeded. Of an ejected address only its trial counts. Returns true when this reinstated it. */
  observeSuccess(): boolean {
    if (!this.isFailing || this.#ejection !== EJECTION.in) return false;
    const wasEjected = this.#awaitsSuccess;
    this.#failures = 0;
    this.#awaitsSuccess = false;
    return wasEjected;
  }

  /** What the probes found last. */
  observeProbe(isUp: boolean): void {
    this.#isProbedDown = !isUp;
    if (!isUp) return;
    this.observeAnswer();
    this.observeSuccess();
  }

  /** It takes exchanges, or would take one as its trial. */
  isHealthy(now: number): boolean {
    return this.#ejection !== EJECTION.trial && this.#ejectedUntil <= now && !this.#isProbedDown;
  }
}

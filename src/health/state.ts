// When an address is left out and when it is tried again: a fold over what was observed and the time. Pure: the time
// is passed in, nothing is measured here. Source: consecutive failures with exponential back-off, as in Envoy's
// outlier detection and HAProxy's observe.

/** First time for which an address is left out. */
const EJECTION_MS = 1000;
/** Longest time for which an address is left out. */
const EJECTION_MS_MAX = 60_000;

/** What is known of one address. */
export class AddressHealth {
  /** Failures since the last success. */
  failures = 0;
  /** Until when the address is left out; 0 = it is healthy. Times are those of `performance.now()`. */
  ejectedUntil = 0;

  /** A connect failed or timed out. Returns true when this ejected the address. */
  observeFailure(now: number): boolean {
    this.failures++;
    const ejectedMs = Math.min(EJECTION_MS_MAX, EJECTION_MS * 2 ** (this.failures - 1));
    const isNew = !this.isEjected(now);
    this.ejectedUntil = now + ejectedMs;
    return isNew;
  }

  /** The address answered: it is reinstated. */
  observeSuccess(): void {
    this.failures = 0;
    this.ejectedUntil = 0;
  }

  isEjected(now: number): boolean {
    return this.ejectedUntil > now;
  }
}

// Asks each address of an upstream for one path, again and again, and reports when the answer changes. It decides
// nothing about exchanges: health/state.ts folds what is found here. The client is undici, not the data plane, so that
// a probe never shares a connection with an exchange.

import { Client } from 'undici';

/** What is asked and when an address counts as up or down. Times in milliseconds. */
export interface ProbeSettings {
  readonly path: string;
  readonly interval: number;
  readonly timeout: number;
  /** Failed probes in a row that take an address down. */
  readonly failures: number;
  /** Good probes in a row that bring it back. */
  readonly successes: number;
}

/** Where a probe goes. */
export interface ProbeAddress {
  readonly origin: string;
  readonly host: string;
  readonly socketPath: string | null;
  /** Options of `tls.connect` for an https address. */
  readonly tls: object;
}

/** Probes one address until `stop`. */
export class Probe {
  readonly #target: ProbeAddress;
  readonly #settings: ProbeSettings;
  readonly #onChange: (isUp: boolean) => void;
  readonly #client: Client;
  #timer: NodeJS.Timeout | undefined;
  #isUp = true;
  #streak = 0;
  #isStopped = false;

  /** `onChange` is called when the address goes down or comes back; it counts as up until then. */
  constructor(target: ProbeAddress, settings: ProbeSettings, onChange: (isUp: boolean) => void) {
    this.#target = target;
    this.#settings = settings;
    this.#onChange = onChange;
    this.#client = new Client(target.origin, {
      connect: { ...target.tls, ...(target.socketPath === null ? {} : { socketPath: target.socketPath }) },
      pipelining: 0,
    });
    this.#schedule(0);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#client.destroy().catch(() => {
      // A probe that was under way is refused by the destroyed client; nobody waits for it any more.
    });
  }

  #schedule(delayMs: number): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(this.#ask, delayMs);
    this.#timer.unref();
  }

  readonly #ask = async (): Promise<void> => {
    const { path, timeout, interval } = this.#settings;
    let isGood = false;
    try {
      const { statusCode, body } = await this.#client.request({
        method: 'GET',
        path,
        headers: { host: this.#target.host, 'user-agent': 'request-splitter-probe' },
        signal: AbortSignal.timeout(timeout),
      });
      await body.dump();
      isGood = statusCode >= 200 && statusCode < 400;
    } catch {
      // Refused, reset, silent or garbled: all of them are the same answer to "is it up?".
      isGood = false;
    }
    this.#observe(isGood);
    this.#schedule(interval * (0.9 + Math.random() * 0.2));
  };

  #observe(isGood: boolean): void {
    if (this.#isStopped) return;
    this.#streak = isGood === this.#isUp ? 0 : this.#streak + 1;
    const needed = this.#isUp ? this.#settings.failures : this.#settings.successes;
    if (this.#streak < needed) return;
    this.#isUp = isGood;
    this.#streak = 0;
    this.#onChange(isGood);
  }
}

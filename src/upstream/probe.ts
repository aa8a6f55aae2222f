// Asks each address of an upstream for one path, again and again, and reports when the answer changes. It decides
// nothing about exchanges: upstream/health.ts folds what is found here. The client is undici, not the data plane, so that
// a probe never shares a connection with an exchange.

import type { Client } from 'undici';
import { type Cause, causeOf, limitOf } from '../errors.ts';
import { describeConnectError } from './connect-failure.ts';

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
  readonly #address: ProbeAddress;
  readonly #settings: ProbeSettings;
  readonly #onChange: (isUp: boolean, cause: Cause | null) => void;
  #client: Client | null = null;
  #timer: NodeJS.Timeout | undefined;
  #isUp = true;
  #streak = 0;
  #isStopped = false;

  /** `onChange` is called when the address goes down, with the cause, or comes back; it counts as up until then. */
  constructor(
    address: ProbeAddress,
    settings: ProbeSettings,
    onChange: (isUp: boolean, cause: Cause | null) => void,
  ) {
    this.#address = address;
    this.#settings = settings;
    this.#onChange = onChange;
    this.#schedule(0);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#client?.destroy().catch(() => {
      // A probe that was under way is refused by the destroyed client; nobody waits for it any more.
    });
  }

  #schedule(delayMs: number): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(this.#ask, delayMs);
    this.#timer.unref();
  }

  readonly #ask = async (): Promise<void> => {
    const { path, timeout: timeoutMs, interval: intervalMs } = this.#settings;
    let cause: Cause | null;
    try {
      this.#client ??= await this.#open();
      const { statusCode, body } = await this.#client.request({
        method: 'GET',
        path,
        headers: { host: this.#address.host, 'user-agent': 'request-splitter-probe' },
        signal: AbortSignal.timeout(timeoutMs),
      });
      await body.dump();
      cause = statusCode >= 200 && statusCode < 400 ? null : causeOf(`the probe got status ${statusCode}`);
    } catch (error) {
      // Refused, reset, silent or garbled: all of them are the same answer to "is it up?".
      const isLate = (error as Error).name === 'TimeoutError';
      cause = isLate
        ? limitOf('probe.timeout', timeoutMs, 'ms')
        : describeConnectError(error as Error, false);
    }
    this.#observe(cause);
    this.#schedule(intervalMs * (0.9 + Math.random() * 0.2));
  };

  /** undici is loaded by the first probe: a splitter without probes does without its memory. */
  async #open(): Promise<Client> {
    const { Client } = await import('undici');
    const { origin, socketPath, tls } = this.#address;
    const connect = { ...tls, ...(socketPath === null ? {} : { socketPath }) };
    return new Client(origin, { connect, pipelining: 0 });
  }

  #observe(cause: Cause | null): void {
    if (this.#isStopped) return;
    const isGood = cause === null;
    this.#streak = isGood === this.#isUp ? 0 : this.#streak + 1;
    const needed = this.#isUp ? this.#settings.failures : this.#settings.successes;
    if (this.#streak < needed) return;
    this.#isUp = isGood;
    this.#streak = 0;
    this.#onChange(isGood, cause);
  }
}

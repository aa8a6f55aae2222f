// Turns an upstream's host name into addresses, by getaddrinfo, so that a pod's search list and /etc/hosts count.
// Answers live for a few seconds; when a lookup fails the old answer stays. It knows nothing of connections.

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

/** How long an answer is taken as true; getaddrinfo tells no TTL. */
const ANSWER_TTL_MS = 5000;
/** How long a failed lookup keeps the next one waiting. */
const FAILURE_TTL_MS = 1000;

/** Looks a host name up. Rejects as getaddrinfo does. */
export type Lookup = (host: string) => Promise<readonly string[]>;

const systemLookup: Lookup = async (host) => {
  const answers = await lookup(host, { all: true, order: 'verbatim' });
  return answers.map((answer) => answer.address);
};

/** The addresses of one name. */
export class Resolver {
  /** The last good answer; empty before the first one. */
  addresses: readonly string[] = [];
  /** Why the last lookup failed; null when it did not. */
  failure: Error | null = null;
  readonly #host: string;
  readonly #lookup: Lookup;
  readonly #onChange: () => void;
  #freshUntil = Number.NEGATIVE_INFINITY;
  #pending = false;

  /** `onChange` is called after every lookup, whether it succeeded or not. */
  constructor(host: string, onChange: () => void, lookupHost: Lookup = systemLookup) {
    this.#host = host;
    this.#onChange = onChange;
    this.#lookup = lookupHost;
    if (isIP(host) !== 0) {
      this.addresses = [host];
      this.#freshUntil = Number.POSITIVE_INFINITY;
    }
  }

  /** Starts a lookup in the background when the answer is old and none is under way. */
  refresh(now: number): void {
    if (now >= this.#freshUntil && !this.#pending) void this.#ask();
  }

  /** The answer has proven wrong: the next `refresh` asks again, but not more often than once a second. */
  distrust(now: number): void {
    this.#freshUntil = Math.min(
      this.#freshUntil,
      isIP(this.#host) !== 0 ? this.#freshUntil : now + FAILURE_TTL_MS,
    );
  }

  async #ask(): Promise<void> {
    this.#pending = true;
    try {
      const addresses = [...new Set(await this.#lookup(this.#host))];
      if (addresses.length > 0) this.addresses = addresses;
      this.failure = addresses.length > 0 ? null : new Error(`${this.#host} has no address`);
    } catch (error) {
      this.failure = error instanceof Error ? error : new Error(String(error));
    }
    this.#freshUntil = performance.now() + (this.failure === null ? ANSWER_TTL_MS : FAILURE_TTL_MS);
    this.#pending = false;
    this.#onChange();
  }
}

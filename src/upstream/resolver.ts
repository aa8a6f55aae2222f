// Turns an upstream's host name into addresses, by getaddrinfo, so that a pod's search list and /etc/hosts count.
// Answers live for a few seconds; when a lookup fails the old answer stays. It knows nothing of connections.

import { isIP, isIPv6, SocketAddress } from 'node:net';
import { type Lookup, systemLookups } from './lookups.ts';

/** How long an answer is taken as true; getaddrinfo tells no TTL. */
const ANSWER_TTL_MS = 5000;
/** How long a failed lookup keeps the next one waiting. */
const FAILURE_TTL_MS = 1000;

/** An IP address as every replica writes it: an IPv4-mapped one as IPv4, IPv6 in its shortest form (RFC 5952). */
function canonicalAddress(text: string): string {
  if (!isIPv6(text) || text.includes('%')) return text;
  const { address } = new SocketAddress({ address: text, family: 'ipv6' });
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1] ?? address;
}

/** The addresses of one name. */
export class Resolver {
  /** The last good answer; empty before the first one. */
  addresses: readonly string[] = [];
  /** Why the last lookup failed; null when it did not. */
  failure: Error | null = null;
  readonly #host: string;
  readonly #lookup: Lookup;
  readonly #want: ((host: string) => void) | null;
  readonly #onChange: () => void;
  #freshUntil = Number.NEGATIVE_INFINITY;
  #pending = false;
  #isWanted = false;

  /** `onChange` is called after every lookup, whether it succeeded or not. */
  constructor(host: string, onChange: () => void, lookupHost?: Lookup) {
    this.#host = host;
    this.#onChange = onChange;
    this.#lookup = lookupHost ?? systemLookups.lookup;
    this.#want = lookupHost === undefined ? systemLookups.want : null;
    if (isIP(host) !== 0) {
      this.addresses = [canonicalAddress(host)];
      this.#freshUntil = Number.POSITIVE_INFINITY;
    }
  }

  /**
   * Starts a lookup in the background when the answer is old and none is under way. `isWanted`: an exchange waits for it,
   * so it goes before those that nobody waits for.
   */
  refresh(now: number, isWanted = true): void {
    if (now < this.#freshUntil) return;
    const isFirst = isWanted && !this.#isWanted;
    this.#isWanted ||= isWanted;
    if (!this.#pending) void this.#ask();
    else if (isFirst) this.#want?.(this.#host);
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
    const startedAt = performance.now();
    const isWanted = this.#isWanted || this.addresses.length > 0;
    try {
      const addresses = [...new Set((await this.#lookup(this.#host, isWanted)).map(canonicalAddress))];
      if (addresses.length > 0) this.addresses = addresses;
      this.failure = addresses.length > 0 ? null : new Error(`${this.#host} has no address`);
    } catch (error) {
      this.failure = error instanceof Error ? error : new Error(String(error));
    }
    const now = performance.now();
    // A lookup that hung for seconds is not under way all the time.
    const ttlMs = this.failure === null ? ANSWER_TTL_MS : Math.max(FAILURE_TTL_MS, now - startedAt);
    this.#freshUntil = now + ttlMs;
    this.#pending = false;
    this.#isWanted = false;
    this.#onChange();
  }
}

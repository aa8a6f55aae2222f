// The addresses that one exchange was sent to, in order, and the status of each attempt. The variables $upstream_addr and
// $upstream_status are made of it. Source: nginx's ngx_http_upstream.c.

import type { AddressFacts } from '../transport/contracts.ts';

/** The status of an attempt that got no response, as nginx counts it, unless it was too slow. */
export const LOST_STATUS = 502;

/** The attempts of one exchange, whose outcome owns it. Allocates only when a second attempt begins. */
export class AskedAddresses {
  #last: AddressFacts | null = null;
  #isConnecting = false;
  #lastStatus = LOST_STATUS;
  #earlierAddresses = '';
  #earlierStatuses = '';

  reset(): void {
    this.#last = null;
    this.#isConnecting = false;
    this.#lastStatus = LOST_STATUS;
    this.#earlierAddresses = '';
    this.#earlierStatuses = '';
  }

  /** A connection to this address is being opened. When that is tried again at once, it is still the same attempt. */
  connects(address: AddressFacts): void {
    if (!this.#isConnecting || this.#last?.endpoint !== address.endpoint) this.#next(address);
    this.#isConnecting = true;
  }

  /** The request is sent to this address, over the connection that was opened or over another one. */
  sends(address: AddressFacts): void {
    if (this.#isConnecting) this.#last = address;
    else this.#next(address);
    this.#isConnecting = false;
  }

  /** The last attempt ended with this status and another one follows. */
  failed(status: number): void {
    this.#lastStatus = status;
  }

  /** Address and port, or "unix:" and the path of a socket, of each attempt, divided by ", "; empty without any. */
  get addresses(): string {
    return this.#last === null ? '' : this.#earlierAddresses + this.#last.endpoint;
  }

  /** The status of each attempt, divided by ", "; `last` is that of the last one. Empty without any. */
  statuses(last: number): string {
    return this.#last === null ? '' : `${this.#earlierStatuses}${last}`;
  }

  #next(address: AddressFacts): void {
    if (this.#last !== null) {
      this.#earlierAddresses += `${this.#last.endpoint}, `;
      this.#earlierStatuses += `${this.#lastStatus}, `;
      this.#lastStatus = LOST_STATUS;
    }
    this.#last = address;
  }
}

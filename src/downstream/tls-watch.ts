// Disconnects TLS clients that flood the splitter with messages that OpenSSL answers by itself, KeyUpdate above all (RFC 8446
// §4.6.3), and do not read the answers: Node keeps these in memory without telling anybody. Once a second it checks all
// TLS connections.

import type { Deadlines, Timed } from '../transport/deadlines.ts';

const LOOK_AGAIN_MS = 1000;
/** Far more than what the encryption of our own bytes adds, and what a client asks for that only renews its keys. */
const STRAY_BYTES_MAX = 1_048_576;

/** A TLS connection, as far as it is watched. */
export interface TlsConnection {
  readonly wire: { readonly strayBytes: number };
  /** Ends it at once. */
  destroy(): void;
}

/** All TLS connections of a listener, which owns it. */
export class TlsWatch implements Timed {
  deadline = Number.POSITIVE_INFINITY;
  readonly #deadlines: Deadlines;
  readonly #watched = new Set<TlsConnection>();

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines;
  }

  /** Watches it until `remove`. */
  add(connection: TlsConnection): void {
    this.#watched.add(connection);
    if (this.#watched.size > 1) return;
    this.#deadlines.add(this);
    this.#deadlines.set(this, performance.now() + LOOK_AGAIN_MS);
  }

  remove(connection: TlsConnection): void {
    if (this.#watched.delete(connection) && this.#watched.size === 0) this.#deadlines.remove(this);
  }

  onDeadline(now: number): void {
    for (const connection of this.#watched)
      if (connection.wire.strayBytes > STRAY_BYTES_MAX) connection.destroy();
    if (this.#watched.size > 0) this.#deadlines.set(this, now + LOOK_AGAIN_MS);
  }
}

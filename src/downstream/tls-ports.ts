// TLS of all listening addresses: opened together, so that a start with bad files opens nothing, and renewed together.
// Makes the keys by which the processes of one service resume each other's sessions.

import { randomBytes } from 'node:crypto';
import { addressName } from '../config/listen-address.ts';
import type { ListenOption } from '../config/options/listen.ts';
import type { CertificateView } from '../telemetry/running.ts';
import type { Renewal } from './certificates.ts';
import { TlsPort } from './tls-port.ts';

const TICKET_KEY_BYTES = 48;

/** Random bytes by which processes resume each other's sessions. */
export function makeTicketKeys(): Uint8Array {
  return randomBytes(TICKET_KEY_BYTES);
}

/** The TLS of every listening address that has any. An ambassador owns it, and the primary of workers for what it reports. */
export class TlsPorts {
  readonly #ports = new Map<ListenOption, TlsPort>();

  /** Reads all files. Throws UnusableCertificate. */
  constructor(listen: readonly ListenOption[], ticketKeys: Uint8Array = makeTicketKeys()) {
    for (const address of listen) {
      if (address.tls === undefined) continue;
      const port = new TlsPort(addressName(address), address.tls, Buffer.from(ticketKeys));
      this.#ports.set(address, port);
    }
  }

  /** Null for an address without TLS. */
  of(address: ListenOption): TlsPort | null {
    return this.#ports.get(address) ?? null;
  }

  describe(): CertificateView[] {
    return [...this.#ports.values()].flatMap((port) => port.describe());
  }

  /** Reads all files again; what has changed, and what is wrong with it. */
  async renew(): Promise<readonly Renewal[]> {
    const renewals = await Promise.all([...this.#ports.values()].map((port) => port.renew()));
    return renewals.flat();
  }
}

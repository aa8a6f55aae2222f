// Who sent a request that a proxy passed on: the address that a trusted proxy names in a field or in its PROXY header.
// Knows nothing of sockets. Source: nginx's ngx_http_realip_module.c, ngx_http_get_forwarded_addr.

import type { RequestView } from '../bytes.ts';
import { FROM_PROXY_PROTOCOL, type TrustedProxiesConfig } from '../config/options/trusted-proxies.ts';
import { AddressSet, type ProxyHeader, spelledAddress } from '../ip-address.ts';

/** A client as a proxy names it; the port is 0 where none is named. */
export interface NamedClient {
  readonly address: string;
  readonly port: number;
}

/** The trusted proxies of a configuration: immutable, owned by its generation. */
export class TrustedProxies {
  readonly #from: AddressSet;
  /** Lower case; null = the PROXY header. */
  readonly #field: string | null;
  readonly #isRecursive: boolean;

  constructor({ from, header, recursive }: TrustedProxiesConfig) {
    this.#from = new AddressSet(from);
    this.#field = header === FROM_PROXY_PROTOCOL ? null : header.toLowerCase();
    this.#isRecursive = recursive;
  }

  /** True for the address of a proxy that may name clients; "unix:" for a Unix socket. */
  trusts(address: string): boolean {
    return this.#from.has(address);
  }

  /** The client of a request that came from `peer`; null where that is the client itself, or names nobody. */
  clientOf(view: RequestView, peer: string, header: ProxyHeader | null): NamedClient | null {
    if (!this.#from.has(peer)) return null;
    if (this.#field === null) return header;
    const values = view.fieldValues(this.#field);
    if (values.length === 0) return null;
    // nginx reads all fields of this name, and the first one of every other.
    const isChain = this.#field === 'x-forwarded-for';
    return this.#walk(isChain ? values : values.slice(0, 1));
  }

  /** From the right, as each proxy appends the address that it has seen. */
  #walk(values: readonly Uint8Array[]): NamedClient | null {
    let client: NamedClient | null = null;
    for (let index = values.length - 1; index >= 0; index--) {
      const entries = Buffer.from(values[index]!)
        .toString('latin1')
        .split(/[ ,]+/)
        .filter((one) => one !== '');
      for (let at = entries.length - 1; at >= 0; at--) {
        const named = readEntry(entries[at]!);
        if (named === undefined) return client;
        client = named;
        if (!this.#isRecursive || !this.#from.has(client.address)) return client;
      }
    }
    return client;
  }
}

/** "10.0.0.1", "10.0.0.1:80", "fd00::1", "[fd00::1]", "[fd00::1]:80"; undefined for anything else. */
function readEntry(text: string): NamedClient | undefined {
  const [, bracketed, plain, portText] =
    /^(?:\[([0-9A-Fa-f:.]+)\]|(\d+\.\d+\.\d+\.\d+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = spelledAddress(bracketed ?? plain ?? text);
  if (address === undefined || (bracketed !== undefined && !bracketed.includes(':'))) return undefined;
  const port = portText === undefined ? 0 : Number(portText);
  if (portText !== undefined && (port < 1 || port > 65_535)) return undefined;
  return { address, port };
}

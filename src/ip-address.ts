// IP addresses as text: one spelling for each address, and sets of networks. An IPv4-mapped IPv6 address is the IPv4 address.
// Sources: RFC 4291 §2.2, RFC 5952; nginx's ngx_cidr_match.

import { BlockList, isIP, SocketAddress } from 'node:net';

/** What a client or a proxy on a Unix socket is called, as in nginx. */
export const UNIX_ADDRESS = 'unix:';

const MAPPED = /^::ffff:(?=\d+\.)/;

/** The one spelling of an IP address (RFC 5952); undefined for what is none. A zone is not part of an address. */
export function spelledAddress(text: string): string | undefined {
  const family = isIP(text);
  if (family === 4) return text;
  if (family === 0 || text.includes('%')) return undefined;
  return new SocketAddress({ address: text, family: 'ipv6' }).address.replace(MAPPED, '');
}

/** A network: `bits` of the address are fixed. */
export interface Network {
  readonly address: string;
  readonly family: 'ipv4' | 'ipv6';
  readonly bits: number;
}

/** "10.0.0.0/8", "10.1.2.3", "fd00::/8" -> network; "unix:" -> null; undefined for anything else. */
export function parseNetwork(text: string): Network | null | undefined {
  if (text === UNIX_ADDRESS) return null;
  const [, written = '', suffix] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = spelledAddress(written);
  if (address === undefined) return undefined;
  const isMapped = written.includes(':') && !address.includes(':');
  const bits = Number(suffix ?? (written.includes(':') ? 128 : 32)) - (isMapped ? 96 : 0);
  const isFour = !address.includes(':');
  if (bits < 0 || bits > (isFour ? 32 : 128)) return undefined;
  return { address, family: isFour ? 'ipv4' : 'ipv6', bits };
}

/** The text of a network, as `parseNetwork` reads it. */
export function formatNetwork(network: Network | null): string {
  if (network === null) return UNIX_ADDRESS;
  const { address, family, bits } = network;
  return bits === (family === 'ipv4' ? 32 : 128) ? address : `${address}/${bits}`;
}

/** A set of networks, immutable; its owner is the configuration that names them. */
export class AddressSet {
  readonly #networks = new BlockList();
  readonly #hasUnix: boolean;

  /** `networks`: null stands for every Unix socket. */
  constructor(networks: readonly (Network | null)[]) {
    this.#hasUnix = networks.includes(null);
    for (const network of networks) {
      if (network !== null) this.#networks.addSubnet(network.address, network.bits, network.family);
    }
  }

  /** True for an address in one of the networks. `address` is in its one spelling, or "unix:". */
  has(address: string): boolean {
    if (address === UNIX_ADDRESS) return this.#hasUnix;
    return this.#networks.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
  }
}

/** What a PROXY header says: both ends of the connection that its sender has taken. Addresses have one spelling each. */
export interface ProxyHeader {
  readonly address: string;
  readonly port: number;
  readonly serverAddress: string;
  readonly serverPort: number;
}

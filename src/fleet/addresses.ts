// Which addresses a fleet has: every one that a name stands for, as the name of a headless Service stands for each of its
// pods. Names are looked up again each time, by getaddrinfo, so that the search list of the pod counts.

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

/** The admin port of a splitter, where none is given. */
const PORT_DEFAULT = 9901;
/** Addresses of one fleet; more are not asked. */
const FLEET_ADDRESSES_MAX = 1000;

/** A name or address and a port, as the user gave it. */
export interface FleetName {
  readonly host: string;
  readonly port: number;
}

/** "frontend-admin", "frontend-admin:9901", "10.0.0.7:9901", "[::1]:9901" -> host and port; undefined for anything else. */
export function parseFleetName(text: string): FleetName | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/i.exec(text);
  if (match === null) return undefined;
  const [, ipv6, name, digits] = match;
  const port = digits === undefined ? PORT_DEFAULT : Number(digits);
  if (port < 1 || port > 65535 || (ipv6 !== undefined && isIP(ipv6) !== 6)) return undefined;
  return { host: ipv6 ?? name!, port };
}

/** One address to ask. */
export interface FleetAddress {
  /** "http://10.0.0.7:9901". */
  readonly origin: string;
  /** "10.0.0.7:9901". */
  readonly name: string;
}

/** All addresses, and of each name that has none why. */
export interface FoundAddresses {
  readonly addresses: readonly FleetAddress[];
  readonly problems: readonly string[];
}

/** Looks all names up at the same time. */
export async function findAddresses(targets: readonly FleetName[]): Promise<FoundAddresses> {
  const addresses = new Map<string, FleetAddress>();
  const problems: string[] = [];
  const found = await Promise.all(
    targets.map(async ({ host, port }) => {
      if (isIP(host) !== 0) return { port, ips: [host] };
      try {
        return { port, ips: (await lookup(host, { all: true })).map(({ address }) => address) };
      } catch (cause) {
        problems.push(
          `${host}: no address (${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message})`,
        );
        return { port, ips: [] };
      }
    }),
  );
  for (const { port, ips } of found) {
    for (const ip of ips) {
      const name = `${isIP(ip) === 6 ? `[${ip}]` : ip}:${port}`;
      addresses.set(name, { name, origin: `http://${name}` });
    }
  }
  const all = [...addresses.values()].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  if (all.length > FLEET_ADDRESSES_MAX)
    problems.push(`${all.length} addresses: only the first ${FLEET_ADDRESSES_MAX} are asked`);
  return { addresses: all.slice(0, FLEET_ADDRESSES_MAX), problems };
}

// Where to listen, as text: the grammar of `listen` and `admin`, and their defaults. Imports nothing, so that the health
// check, which starts every few seconds, can read an address without the rest of the configuration.

/** Where to listen: host null = every address, IPv4 and IPv6; a Unix socket has a path instead. */
export type ListenAddress =
  | { readonly host: string | null; readonly port: number; readonly path: null }
  | { readonly host: null; readonly port: 0; readonly path: string };

/** The same text for the same address, whatever else is said of it. */
export function addressId({ host, port, path }: ListenAddress): string {
  return JSON.stringify([host, port, path]);
}

/** The address for people: ":8443", "/run/splitter.sock". */
export function addressName({ host, port, path }: ListenAddress): string {
  return path ?? `${host ?? ''}:${port}`;
}

/** Where requests are taken when nothing says otherwise. */
export const LISTEN_DEFAULT = ':8000';
/** Where the admin port is when nothing says otherwise. */
export const ADMIN_DEFAULT = ':9901';

/** ":8000", "127.0.0.1:8000", "[::1]:8000", "unix:/run/splitter.sock" -> address; undefined for anything else. */
export function parseListen(text: string): ListenAddress | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice(5);
    return path.startsWith('/') ? { host: null, port: 0, path } : undefined;
  }
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]\s/]*)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port > 65535) return undefined;
  const host = match[1] ?? match[2] ?? '';
  return { host: host === '' || host === '*' ? null : host, port, path: null };
}

/** True for a host that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** True for every address, of IPv4 alone or of both families. */
export function isWide(host: string | null): boolean {
  return host === null || host === '0.0.0.0' || host === '::';
}

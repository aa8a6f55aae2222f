// Addresses as options: where to listen, where an upstream is, and how an upstream is named.
// A URL is taken apart here once; the rest of the program reads its parts.

import { type ListenAddress, parseListen } from '../listen-address.ts';
import { filled, textRead } from './values.ts';

/** What an address to listen on looks like. */
export const LISTEN_EXPECTED =
  'an address like ":8000", "127.0.0.1:8000", "[::1]:8000" or "unix:/run/splitter.sock"';

/** An address to listen on. */
export const listenAddress = textRead<ListenAddress>(LISTEN_EXPECTED, parseListen);

/** An upstream's URL, taken apart. `path` is a Unix socket's; `authority` is what a Host field would say. */
export interface UpstreamUrl {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  readonly path: string | null;
  readonly authority: string;
}

/** "http://host[:port]", "https://host[:port]" or "unix:/path" -> parts; undefined for anything else, also with a path or a query. */
export function parseUpstreamUrl(text: string): UpstreamUrl | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice(5);
    if (!path.startsWith('/')) return undefined;
    return { tls: false, host: 'localhost', port: 0, path, authority: 'localhost' };
  }
  const match = /^(https?):\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?\/?$/.exec(text);
  if (match === null) return undefined;
  const tls = match[1] === 'https';
  const bracketed = match[2]!;
  const host = bracketed.startsWith('[') ? bracketed.slice(1, -1) : bracketed;
  const port = match[3] === undefined ? (tls ? 443 : 80) : Number(match[3]);
  if (port < 1 || port > 65535) return undefined;
  const authority = match[3] === undefined ? bracketed : `${bracketed}:${match[3]}`;
  return { tls, host, port, path: null, authority };
}

/** What an upstream's URL looks like. */
export const URL_EXPECTED =
  'a URL like http://backend:8080, https://backend or unix:/run/app.sock, without a path';

/** The URL of an upstream. */
export const upstreamUrl = textRead(URL_EXPECTED, parseUpstreamUrl);

/** The name of an upstream, or its URL. Which of them it is, checks/upstreams finds out. */
export const UPSTREAM_EXPECTED = 'the name of an upstream or a URL like http://backend:8080';
export const upstreamName = filled(UPSTREAM_EXPECTED);

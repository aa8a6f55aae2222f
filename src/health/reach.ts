// Tries once, now, whether an upstream can be reached: its name is looked up and every address gets one TCP connect. For
// a person who checks a configuration; the running splitter observes its own connections instead. Sends no byte.

import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import type { UpstreamUrl } from '../config/schema.ts';

const ADDRESSES_MAX = 16;

/** One address and what came of the connect: null when it was accepted. */
export interface Reached {
  /** "10.0.0.7:80", "[::1]:80", the path of a Unix socket, or the name when it has no address. */
  readonly address: string;
  readonly failure: string | null;
}

/** The addresses of an upstream, 16 at most, each with what came of one connect of at most `timeoutMs`. Never rejects. */
export async function reach(url: UpstreamUrl, timeoutMs: number): Promise<readonly Reached[]> {
  if (url.path !== null) {
    return [{ address: url.path, failure: await connectFailure({ path: url.path }, timeoutMs) }];
  }
  let addresses: readonly string[];
  try {
    addresses = (await lookup(url.host, { all: true })).map(({ address }) => address);
  } catch (cause) {
    return [
      { address: url.host, failure: `its name is not found (${(cause as NodeJS.ErrnoException).code})` },
    ];
  }
  return Promise.all(
    [...new Set(addresses)].slice(0, ADDRESSES_MAX).map(async (host) => ({
      address: `${host.includes(':') ? `[${host}]` : host}:${url.port}`,
      failure: await connectFailure({ host, port: url.port }, timeoutMs),
    })),
  );
}

function connectFailure(
  where: { path: string } | { host: string; port: number },
  timeoutMs: number,
): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect(where);
    const end = (failure: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(failure);
    };
    const timer = setTimeout(() => end(`no answer within ${timeoutMs} ms`), timeoutMs);
    socket.once('connect', () => end(null));
    socket.once('error', (cause: NodeJS.ErrnoException) =>
      end(`connect failed (${cause.code ?? cause.message})`),
    );
  });
}

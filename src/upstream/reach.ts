// Tries once, now, whether an upstream can be reached: its name is looked up and every address gets one connect, with
// its TLS handshake where the URL is https. For a person who checks a configuration; the running splitter observes its
// own connections instead. Sends no request: a plain server gets three empty lines, which HTTP servers ignore (RFC 9112
// §2.2) and TLS servers refuse at once; only one that does is asked whether it speaks TLS.

import { lookup } from 'node:dns/promises';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { connect as connectTls, type PeerCertificate, type TLSSocket } from 'node:tls';
import type { UpstreamUrl } from '../config/options/addresses.ts';
import type { TlsConfig } from '../config/options/upstream.ts';
import { formatCause } from '../errors.ts';
import { describeConnectError, describeLookupError } from './connect-failure.ts';
import { TlsSettings } from './tls.ts';

const ADDRESSES_MAX = 16;
/** How long a server may take to object to what it was sent. */
const OBJECTION_MS = 1000;
const EMPTY_LINES = '\r\n\r\n\r\n';

/** One address and what came of the connect: null when it was accepted. */
export interface ReachedAddress {
  /** "10.0.0.7:80", "[::1]:80", the path of a Unix socket, or the name when it has no address. */
  readonly address: string;
  /** The handshake succeeded, and the certificate is one that the running splitter will accept. */
  readonly tls: boolean;
  readonly failure: string | null;
}

/** What to change where TLS fails, by the beginning of the code. */
const TLS_REMEDIES: readonly (readonly [code: RegExp, remedy: string])[] = [
  [/^(DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED|UNABLE_TO)/, 'name the file of its authority in tls.caFile'],
  [/^ERR_TLS_CERT_ALTNAME_INVALID/, 'set tls.serverName to a name that the certificate has'],
  [/^CERT_/, 'renew the certificate, or check the clock'],
  [/^ERR_SSL_(WRONG_VERSION|PACKET_LENGTH|HTTP_REQUEST)/, 'write http://, or the port that speaks TLS'],
  [/^ERR_SSL_.*(CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE)/, 'set tls.certFile and tls.keyFile'],
];

/**
 * The addresses of an upstream, 16 at most, each with what came of one connect of at most `timeoutMs`. Never rejects.
 * @param tls how TLS is spoken; its files are read
 */
export async function reach(
  url: UpstreamUrl,
  tls: TlsConfig | undefined,
  timeoutMs: number,
): Promise<readonly ReachedAddress[]> {
  if (url.path !== null) {
    const failure = await tryPlain({ path: url.path }, timeoutMs);
    return [{ address: url.path, tls: false, failure }];
  }
  let addresses: readonly string[];
  try {
    addresses = (await lookup(url.host, { all: true })).map(({ address }) => address);
  } catch (error) {
    const { text } = describeLookupError(error as Error);
    return [{ address: url.host, tls: false, failure: `its name is not found (${text})` }];
  }
  return Promise.all(
    [...new Set(addresses)].slice(0, ADDRESSES_MAX).map(async (host) => {
      const failure = await (url.tls
        ? tryTls(url, tls, host, timeoutMs)
        : tryPlain({ host, port: url.port }, timeoutMs));
      const address = `${host.includes(':') ? `[${host}]` : host}:${url.port}`;
      return { address, tls: url.tls && failure === null, failure };
    }),
  );
}

/** Why this is no plain HTTP server; null when it may be one. */
async function tryPlain(where: NetConnectOpts, timeoutMs: number): Promise<string | null> {
  let objects = false;
  const failure = await tryOnce(connect(where), timeoutMs, (socket, end) => {
    const object = (): void => {
      objects = true;
      end(null);
    };
    socket.once('connect', () => {
      socket.write(EMPTY_LINES);
      setTimeout(end, OBJECTION_MS, null);
    });
    socket.once('data', object);
    socket.once('end', object);
    socket.on('error', (error) => {
      // What was accepted can be reached, whatever it makes of empty lines.
      if (socket.bytesWritten > 0) object();
      else end(`connect failed (${describeConnectError(error, false).text})`);
    });
  });
  if (failure !== null || !objects) return failure;
  const insecure = { ...where, rejectUnauthorized: false };
  return tryOnce(
    connectTls(insecure),
    OBJECTION_MS,
    (socket, end) => {
      socket.once('secureConnect', () =>
        end('speaks TLS: write https://, or the port that speaks plain HTTP'),
      );
      socket.on('error', () => end(null));
      socket.once('end', () => end(null));
    },
    null,
  );
}

/** Why the running splitter will refuse this server's TLS; null when it will not. */
function tryTls(
  url: UpstreamUrl,
  config: TlsConfig | undefined,
  host: string,
  timeoutMs: number,
): Promise<string | null> {
  let socket: TLSSocket;
  let wanted: Error | undefined;
  try {
    const options = new TlsSettings(config, url, 0).optionsFor(host, 0);
    socket = connectTls({
      ...options,
      // Refused here rather than by node, so that the certificate can be looked at.
      rejectUnauthorized: false,
      checkServerIdentity: (name, certificate) => {
        wanted = options.checkServerIdentity?.(name, certificate);
        return wanted;
      },
    });
  } catch (error) {
    return Promise.resolve(`its TLS files cannot be used (${(error as Error).message})`);
  }
  return tryOnce(socket, timeoutMs, (_, end) => {
    let isInHandshake = false;
    socket.once('connect', () => {
      isInHandshake = true;
    });
    socket.once('secureConnect', () => {
      if (!socket.authorized) return end(describeRefusal(socket, wanted));
      // A server that wants a certificate of ours says so only now (RFC 8446 §4.4.2.4).
      setTimeout(end, OBJECTION_MS, null);
    });
    socket.on('error', (error) => {
      const cause = formatCause(describeConnectError(error, isInHandshake));
      end(isInHandshake ? withRemedy(`TLS failed (${cause})`, cause) : `connect failed (${cause})`);
    });
  });
}

function describeRefusal(socket: TLSSocket, wanted: Error | undefined): string {
  const code = String(socket.authorizationError);
  const error = wanted ?? Object.assign(new Error(code), { code });
  const { valid_from: from, valid_to: to } = socket.getPeerCertificate() as Partial<PeerCertificate>;
  const cause = formatCause(describeConnectError(error, false));
  const dates = code.startsWith('CERT_') && to !== undefined ? `; valid from ${from} to ${to}` : '';
  return withRemedy(`its certificate will be refused (${cause}${dates})`, cause);
}

function withRemedy(failure: string, code: string): string {
  const remedy = TLS_REMEDIES.find(([pattern]) => pattern.test(code))?.[1];
  return remedy === undefined ? failure : `${failure}: ${remedy}`;
}

/** Resolves with what `begin` ends with, or with `late` when that takes too long; the socket is closed then. */
function tryOnce<S extends Socket>(
  socket: S,
  timeoutMs: number,
  begin: (socket: S, end: (failure: string | null) => void) => void,
  late: string | null = `no answer within ${timeoutMs} ms`,
): Promise<string | null> {
  return new Promise((resolve) => {
    const end = (failure: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(failure);
    };
    const timer = setTimeout(() => end(late), timeoutMs);
    begin(socket, end);
  });
}

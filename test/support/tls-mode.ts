// Has the data planes of a file of tests listen with TLS and its raw clients speak it, or its scripted upstreams listen with
// TLS, so that tests of plain text run over TLS as they are. For files that run in a process of their own.
import { readFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect, createServer, getCACertificates, type Server, setDefaultCACertificates } from 'node:tls';
import { afterAll } from 'vitest';
import { type CertificateFiles, TestAuthority } from './certificates.ts';

/** What listens and connects with TLS; null for plain text. */
let mode: { readonly authority: TestAuthority; readonly files: CertificateFiles } | null = null;
const ports = new Set<number>();

/** With whose certificate scripted upstreams listen; null for plain text. */
let upstreamFiles: CertificateFiles | null = null;

/** From now on TLS of scripted upstreams. Before the tests are imported. */
export function speakTlsToUpstreams(): void {
  const authority = new TestAuthority();
  upstreamFiles = authority.issue({ names: ['127.0.0.1'] });
  const authorities = getCACertificates('default');
  setDefaultCACertificates([...authorities, authority.caBytes]);
  afterAll(() => {
    setDefaultCACertificates(authorities);
    authority.close();
  });
}

/** What takes the connections of a scripted upstream and hands on those of TLS; null for plain text. */
export function upstreamTls(): Server | null {
  if (upstreamFiles === null) return null;
  const { certificate, key } = upstreamFiles;
  return createServer({ cert: readFileSync(certificate), key: readFileSync(key) });
}

/** From now on TLS. Before the tests are imported. */
export function speakTls(): void {
  const authority = new TestAuthority();
  mode = { authority, files: authority.issue({ names: ['localhost'] }) };
  afterAll(() => authority.close());
}

export function isTls(): boolean {
  return mode !== null;
}

/** For clients that are not raw: whom to trust, and which name to ask for. */
export function tlsOptions(): { readonly ca?: Buffer; readonly servername?: string } {
  return mode === null ? {} : { ca: mode.authority.caBytes, servername: 'localhost' };
}

/** What a document listens on unless it says so itself. */
export function listenOf(address: string): unknown {
  return mode === null ? address : { address, tls: mode.files };
}

/** A port of the splitter, known from then on. */
export function listensOn(url: string): number {
  const port = Number(/:(\d+)$/.exec(url)![1]);
  if (url.startsWith('https:')) ports.add(port);
  return port;
}

/** A connected socket, and the TCP socket below it; one socket twice for plain text. */
export async function connectClient(to: number | string): Promise<{ socket: Socket; carrier: Socket }> {
  const address = typeof to === 'number' ? { port: to, host: '127.0.0.1' } : { path: to };
  const carrier = connectPlain({ ...address, allowHalfOpen: true });
  await eventOf(carrier, 'connect');
  if (mode === null || typeof to !== 'number' || !ports.has(to)) return { socket: carrier, carrier };
  const socket = connect({ socket: carrier, ...tlsOptions() });
  // The ticket comes when the handshake is over at the other end as well.
  await Promise.all([eventOf(socket, 'secureConnect'), eventOf(socket, 'session')]);
  return { socket, carrier };
}

function eventOf(socket: Socket, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(name, () => {
      socket.off('error', reject);
      resolve();
    });
    socket.once('error', reject);
  });
}

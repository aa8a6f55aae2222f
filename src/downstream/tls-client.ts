// What is known of one client after its TLS handshake: the name that it asked for, its protocol, and its certificate with
// the result of its verification. Source: nginx's ngx_http_ssl_module.c for the texts.

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { TlsFacts } from '../bytes.ts';
import { readSniName } from './client-hello.ts';

/** The TLS side of one client connection, which owns it. Texts are made when they are asked for. */
export class TlsClient implements TlsFacts {
  /** The TCP socket that carries the bytes. */
  readonly carrier: Socket;
  readonly #socket: TLSSocket;
  /** What the client asked for in a handshake whose name Node.js does not have. */
  readonly #resumedName: string;
  #verification: string | null = null;
  #subject: string | null = null;

  /** `hello`: the first bytes of the client. */
  constructor(socket: TLSSocket, carrier: Socket, hello: Buffer) {
    this.#socket = socket;
    const isNameless = socket.isSessionReused() && typeof nameOf(socket) !== 'string';
    this.#resumedName = isNameless ? readSniName(hello).toLowerCase() : '';
    this.carrier = carrier;
  }

  get serverName(): string {
    const name = nameOf(this.#socket);
    return typeof name === 'string' ? name.toLowerCase() : this.#resumedName;
  }

  get protocol(): string {
    return this.#socket.getProtocol() ?? '';
  }

  get cipher(): string {
    return this.#socket.getCipher()?.name ?? '';
  }

  get isResumed(): boolean {
    return this.#socket.isSessionReused();
  }

  get verification(): string {
    this.#verification ??= verificationOf(this.#socket);
    return this.#verification;
  }

  get subject(): string {
    this.#subject ??= subjectOf(this.#socket);
    return this.#subject;
  }
}

function nameOf(socket: TLSSocket): unknown {
  return (socket as { readonly servername?: unknown }).servername;
}

/** What OpenSSL, and so nginx, says for Node's codes. */
const OPENSSL_TEXTS: ReadonlyMap<string, string> = new Map([
  ['CERT_HAS_EXPIRED', 'certificate has expired'],
  ['CERT_NOT_YET_VALID', 'certificate is not yet valid'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'],
  ['INVALID_PURPOSE', 'unsuitable certificate purpose'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'unable to get local issuer certificate'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to verify the first certificate'],
]);

/**
 * Node calls a resumed session of TLS 1.3 authorized even if its client never had a certificate: only one that is there
 * counts.
 */
function verificationOf(socket: TLSSocket): string {
  if (socket.getPeerX509Certificate() === undefined) return 'NONE';
  if (socket.authorized) return 'SUCCESS';
  const code = String(socket.authorizationError);
  return `FAILED:${OPENSSL_TEXTS.get(code) ?? code}`;
}

/** "CN=app,OU=shop,O=example": the attributes in the reverse order of the certificate, with RFC 2253's escapes. */
function subjectOf(socket: TLSSocket): string {
  const lines = (socket.getPeerX509Certificate()?.subject ?? '').split('\n').filter((line) => line !== '');
  return lines.reverse().join(',');
}

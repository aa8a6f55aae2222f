// Says why a connect, a TLS handshake or a lookup failed: the system's or OpenSSL's code, in words where the code alone
// does not say it, and what was found where that helps. What comes from the network (a certificate's names) is bounded
// and printable. Knows nothing of exchanges.

import { type Cause, causeOf, type FaultCode } from '../errors.ts';

/** Longest text from outside that is shown. */
const SHOWN_MAX = 200;

/** What the codes of TLS mean, by their beginnings. */
const TLS_CODES: readonly (readonly [code: RegExp, meaning: string])[] = [
  [/^CERT_HAS_EXPIRED$/, 'the certificate has expired'],
  [/^CERT_NOT_YET_VALID$/, 'the certificate is not valid yet'],
  [/^CERT_REVOKED$/, 'the certificate has been revoked'],
  [/^DEPTH_ZERO_SELF_SIGNED_CERT$/, 'the certificate is self-signed'],
  [/^SELF_SIGNED_CERT_IN_CHAIN$/, 'the authority of the certificate is not trusted'],
  [/^UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)/, 'the authority of the certificate is not trusted'],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, 'the certificate is for another name'],
  [/^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST)$/, 'the server does not speak TLS'],
  [/^ERR_SSL_.*CERTIFICATE_REQUIRED$/, 'the server wants a client certificate'],
  [/^ERR_SSL_.*(PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL)$/, 'the server speaks another version of TLS'],
  [/^ERR_SSL_.*UNRECOGNIZED_NAME$/, 'the server does not know the name that it was asked for'],
];

/** Codes of certificates and of OpenSSL; others are the operating system's. */
const TLS_CODE =
  /^(?:ERR_TLS|ERR_SSL|CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|INVALID_(?:CA|PURPOSE)|PATH_LENGTH|HOSTNAME_MISMATCH|ERROR_IN_CERT)/;

/** What node puts on the errors of sockets, handshakes and lookups. */
interface SystemError extends Error {
  readonly code?: string;
  readonly hostname?: string;
  readonly host?: string;
  readonly cert?: { readonly subjectaltname?: string };
}

/** Errors of connect(2) that say nothing about the upstream. */
const OUT_OF_RESOURCES = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EAGAIN']);

/** The failure that an error of the socket stands for. */
export function codeOfConnectError(error: Error, isInHandshake: boolean): FaultCode {
  const { code = '' } = error as SystemError;
  if (OUT_OF_RESOURCES.has(code)) return 'RESOURCES_EXHAUSTED';
  return isInHandshake || TLS_CODE.test(code) ? 'UPSTREAM_TLS_FAILED' : 'UPSTREAM_RESET';
}

/** Why the connect or the handshake failed. @param isInHandshake the TCP connection was there */
export function describeConnectError(error: Error, isInHandshake: boolean): Cause {
  const { code, host, cert } = error as SystemError;
  if (code === undefined) return causeOf('the connect failed', shownText(error.message));
  if (!TLS_CODE.test(code)) return causeOf(isInHandshake ? `${code} in the TLS handshake` : shownText(code));
  const meaning = TLS_CODES.find(([pattern]) => pattern.test(code))?.[1];
  const text = meaning === undefined ? shownText(code) : `${shownText(code)}: ${meaning}`;
  if (code !== 'ERR_TLS_CERT_ALTNAME_INVALID') return causeOf(text);
  const found = cert?.subjectaltname ?? 'no name';
  return causeOf(text, shownText(`wanted ${host ?? ''}, found ${found}`));
}

/** Why a name has no address. */
export function describeLookupError(error: Error): Cause {
  const { code, hostname } = error as SystemError;
  if (code === undefined) return causeOf('the lookup failed', shownText(error.message));
  return causeOf(shownText(code), hostname === undefined ? '' : shownText(hostname));
}

/** Printable ASCII of bounded length. */
function shownText(text: string): string {
  const shown = text.replace(/[^ -~]/g, '?');
  return shown.length > SHOWN_MAX ? `${shown.slice(0, SHOWN_MAX)}...` : shown;
}

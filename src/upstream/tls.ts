// TLS towards an upstream: which authorities are trusted and which certificate is shown. Verification is always on;
// there is no option to turn it off. Source: RFC 9110 §4.3.4.

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type SecureContext,
} from 'node:tls';
import type { UpstreamUrl } from '../config/options/addresses.ts';
import type { TlsConfig } from '../config/options/upstream.ts';
import { PEM_BYTES_MAX, readRegularFile, readRegularFileSync } from '../regular-file.ts';

/** How long files are taken as unchanged: a mounted Secret is renewed without a word. */
const FILES_TTL_MS = 60_000;

/** The TLS settings of one server, which owns them. Their promise: a certificate is always verified, and changed files are seen. */
export class TlsSettings {
  readonly #config: TlsConfig;
  readonly #url: UpstreamUrl;
  #files: PemFiles;
  #context: SecureContext;
  #freshUntil: number;

  /** Throws when a file cannot be read or is no PEM. */
  constructor(config: TlsConfig | undefined, url: UpstreamUrl, now: number) {
    this.#config = config ?? {};
    this.#url = url;
    this.#files = this.#paths.map((path) => path && readRegularFileSync(path, PEM_BYTES_MAX));
    this.#context = contextOf(this.#files);
    this.#freshUntil = now + FILES_TTL_MS;
  }

  get #paths(): readonly (string | undefined)[] {
    const { caFile, certFile, keyFile } = this.#config;
    return [caFile, certFile, keyFile];
  }

  /** Options for `tls.connect` to one address. */
  optionsFor(host: string, now: number): ConnectionOptions {
    if (now >= this.#freshUntil) {
      this.#freshUntil = now + FILES_TTL_MS;
      // No request waits for a disk: this connection still shows what was read before.
      void this.#refresh();
    }
    const wanted = this.#config.serverName ?? this.#url.host;
    return {
      host,
      port: this.#url.port,
      // An IP address is no server name (RFC 6066 §3), and Node throws when it is given as one.
      servername: isIP(wanted) === 0 ? wanted : '',
      // Without a server name Node would check the address that is connected to in place of the wanted one.
      checkServerIdentity: (_, certificate) => checkServerIdentity(wanted, certificate),
      secureContext: this.#context,
      rejectUnauthorized: true,
    };
  }

  async #refresh(): Promise<void> {
    try {
      const files = await Promise.all(
        this.#paths.map((path) => path && readRegularFile(path, PEM_BYTES_MAX)),
      );
      if (files.every((bytes, index) => isSamePem(bytes, this.#files[index]))) return;
      this.#context = contextOf(files);
      this.#files = files;
    } catch {
      // Files in the middle of being replaced: the old ones serve until they can be read again.
    }
  }
}

/** Authorities, certificate and key, each where the configuration names a file. */
type PemFiles = readonly (Buffer | '' | undefined)[];

/** OpenSSL takes a file without any certificate as no authority at all, and every handshake would fail. */
function contextOf([ca, cert, key]: PemFiles): SecureContext {
  if (ca) refuseWithoutCertificate(ca);
  return createSecureContext({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
}

/** Throws for what is meant to be authorities and holds no certificate. */
export function refuseWithoutCertificate(ca: Buffer): void {
  try {
    new X509Certificate(ca);
  } catch (cause) {
    throw new Error('caFile holds no PEM certificate', { cause });
  }
}

function isSamePem(a: PemFiles[number], b: PemFiles[number]): boolean {
  return a === b || (a !== undefined && b !== undefined && Buffer.from(a).equals(Buffer.from(b)));
}

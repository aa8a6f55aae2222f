// TLS towards an upstream: which authorities are trusted and which certificate is shown. Verification is always on;
// there is no option to turn it off. Source: RFC 9110 §4.3.4.

import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type SecureContext,
} from 'node:tls';
import type { TlsConfig, UpstreamUrl } from '../config/schema.ts';

/** How long files are taken as unchanged: a mounted Secret is renewed without a word. */
const FILES_TTL_MS = 60_000;

export class TlsSettings {
  readonly #config: TlsConfig;
  readonly #url: UpstreamUrl;
  #context: SecureContext;
  #freshUntil: number;

  /** Throws when a file cannot be read or is no PEM. */
  constructor(config: TlsConfig | undefined, url: UpstreamUrl, now: number) {
    this.#config = config ?? {};
    this.#url = url;
    this.#context = this.#read();
    this.#freshUntil = now + FILES_TTL_MS;
  }

  /** Options for `tls.connect` to one address. */
  optionsFor(host: string, now: number): ConnectionOptions {
    if (now >= this.#freshUntil) this.#refresh(now);
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

  #refresh(now: number): void {
    this.#freshUntil = now + FILES_TTL_MS;
    try {
      this.#context = this.#read();
    } catch {
      // Files in the middle of being replaced: the old ones serve until they can be read again.
    }
  }

  #read(): SecureContext {
    const { caFile, certFile, keyFile } = this.#config;
    return createSecureContext({
      ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
      ...(certFile === undefined ? {} : { cert: readFileSync(certFile) }),
      ...(keyFile === undefined ? {} : { key: readFileSync(keyFile) }),
    });
  }
}

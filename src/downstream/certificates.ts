// The certificates of one listening address: reads them with their keys, finds the one for a server name, and takes
// changed files into use, but only a pair that fits. It opens no socket. Sources: RFC 6066 §3, RFC 6125 §6.4.3; kubelet
// renews a mounted Secret by one swap of a link.

import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { CertificatePair, ListenTls } from '../config/options/listen.ts';
import { PEM_BYTES_MAX, readRegularFile, readRegularFileSync } from '../regular-file.ts';
import type { CertificateView } from '../telemetry/running.ts';

/** Files of a listening address that cannot be used; `message` says which, and what was found. */
export class UnusableCertificate extends Error {
  override readonly name = 'UnusableCertificate';
}

/** What became of one certificate that was read again. */
export interface Renewal {
  readonly certificate: string;
  /** Null when the new pair is in use. */
  readonly problem: string | null;
  readonly names: readonly string[];
  readonly notAfter: Date;
}

/** Content of the files of a pair, with the authorities of clients. */
interface PairFiles {
  readonly certificate: Buffer;
  readonly key: Buffer;
  readonly clientCa: Buffer | undefined;
}

/** A pair that is in use. */
interface LoadedPair {
  readonly pair: CertificatePair;
  readonly files: PairFiles;
  readonly options: SecureContextOptions;
  readonly context: SecureContext;
  /** Lower case. */
  readonly names: readonly string[];
  readonly notAfter: Date;
  readonly loadedAt: Date;
  /** Why the files that are there now are not in use; null when they are. */
  readonly problem: string | null;
}

/**
 * The certificates of one listening address, which owns them. Their promise: at every moment each name has a certificate
 * whose key fits it, whatever happens to the files.
 */
export class Certificates {
  readonly #tls: ListenTls;
  /** 48 random bytes that all processes share, so that each resumes the sessions of the others. */
  readonly #ticketKeys: Buffer;
  #loaded: readonly LoadedPair[];
  #byName: ReadonlyMap<string, SecureContext>;

  /** Reads all files. Throws UnusableCertificate. */
  constructor(tls: ListenTls, ticketKeys: Buffer) {
    this.#tls = tls;
    this.#ticketKeys = ticketKeys;
    this.#loaded = tls.certificates.map((pair) => this.#load(pair, readPairSync(pair, tls.clientCa)));
    this.#byName = contextsByName(this.#loaded);
  }

  /** Every file that it was made of. */
  get files(): readonly string[] {
    const { certificates, clientCa } = this.#tls;
    const all = certificates.flatMap(({ certificate, key }) => [certificate, key]);
    return [...new Set(clientCa === undefined ? all : [...all, clientCa])];
  }

  /** What the first certificate is made of: for clients that ask for no name, or for an unknown one. */
  get defaultOptions(): SecureContextOptions {
    return this.#loaded[0]!.options;
  }

  /** There is a choice by name. */
  get hasNames(): boolean {
    return this.#loaded.length > 1;
  }

  /** The context for a name that a client asks for: an exact name before a wildcard, else the first certificate. */
  contextFor(serverName: string): SecureContext {
    const name = serverName.toLowerCase();
    const dot = name.indexOf('.');
    return (
      this.#byName.get(name) ??
      (dot === -1 ? undefined : this.#byName.get(`*${name.slice(dot)}`)) ??
      this.#loaded[0]!.context
    );
  }

  /** Reads the files again and takes every changed pair that fits into use. What is not in the result has not changed. */
  async renew(): Promise<readonly Renewal[]> {
    const renewals: Renewal[] = [];
    const loaded: LoadedPair[] = [];
    for (const old of this.#loaded) {
      const next = await this.#renewed(old);
      loaded.push(next);
      if (next === old) continue;
      const { pair, names, notAfter, problem } = next;
      renewals.push({ certificate: pair.certificate, problem, names, notAfter });
    }
    this.#loaded = loaded;
    this.#byName = contextsByName(loaded);
    return renewals;
  }

  /** For /status and the metrics. */
  describe(address: string): CertificateView[] {
    return this.#loaded.map(({ pair, names, notAfter, loadedAt, problem }) => ({
      address,
      certificate: pair.certificate,
      names,
      notAfter: notAfter.toISOString(),
      loadedAt: loadedAt.toISOString(),
      problem,
    }));
  }

  /** The pair as its files are now; the old one, with the problem, where they cannot be used, and itself where nothing is new. */
  async #renewed(old: LoadedPair): Promise<LoadedPair> {
    try {
      const files = await readPair(old.pair, this.#tls.clientCa);
      if (isSame(files, old.files)) return old.problem === null ? old : { ...old, problem: null };
      return this.#load(old.pair, files);
    } catch (cause) {
      const problem = (cause as Error).message;
      return problem === old.problem ? old : { ...old, problem };
    }
  }

  #load(pair: CertificatePair, files: PairFiles): LoadedPair {
    const { certificate, key, clientCa } = files;
    const leaf = saying(pair.certificate, 'a PEM certificate', () => new X509Certificate(certificate));
    const privateKey = saying(pair.key, 'a PEM private key without a passphrase', () =>
      createPrivateKey(key),
    );
    if (!leaf.checkPrivateKey(privateKey))
      throw new UnusableCertificate(`${pair.key}: expected the key of ${pair.certificate}, got another key`);
    if (clientCa !== undefined)
      saying(this.#tls.clientCa!, 'PEM certificates', () => new X509Certificate(clientCa));
    const options: SecureContextOptions & { ticketKeys: Buffer } = {
      cert: certificate,
      key,
      minVersion: this.#tls.minVersion,
      ticketKeys: this.#ticketKeys,
      // A session of a client that other authorities have vouched for is not resumed.
      sessionIdContext: createHash('sha256')
        .update(clientCa ?? '')
        .digest('hex')
        .slice(0, 32),
      ...(clientCa === undefined ? {} : { ca: clientCa }),
    };
    return {
      pair,
      files,
      options,
      context: saying(pair.certificate, 'a certificate that TLS can use', () => createSecureContext(options)),
      names: (pair.names ?? namesIn(leaf)).map((name) => name.toLowerCase()),
      notAfter: new Date(leaf.validTo),
      loadedAt: new Date(),
      problem: null,
    };
  }
}

function readPairSync({ certificate, key }: CertificatePair, clientCa: string | undefined): PairFiles {
  const read = (file: string) => saying(file, null, () => readRegularFileSync(file, PEM_BYTES_MAX));
  return {
    certificate: read(certificate),
    key: read(key),
    clientCa: clientCa === undefined ? undefined : read(clientCa),
  };
}

async function readPair(pair: CertificatePair, clientCa: string | undefined): Promise<PairFiles> {
  const read = (file: string) =>
    readRegularFile(file, PEM_BYTES_MAX).catch((cause: Error) => {
      throw new UnusableCertificate(`${file}: ${cause.message}`);
    });
  const [certificate, key, authorities] = await Promise.all([
    read(pair.certificate),
    read(pair.key),
    clientCa === undefined ? undefined : read(clientCa),
  ]);
  return { certificate, key, clientCa: authorities };
}

/** The result of `make`, or an error that names the file. */
function saying<T>(file: string, expected: string | null, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    const { message } = cause as Error;
    throw new UnusableCertificate(
      expected === null ? `${file}: ${message}` : `${file}: expected ${expected}, got: ${message}`,
    );
  }
}

function isSame(a: PairFiles, b: PairFiles): boolean {
  const isCaSame =
    a.clientCa === undefined || b.clientCa === undefined
      ? a.clientCa === b.clientCa
      : a.clientCa.equals(b.clientCa);
  return a.certificate.equals(b.certificate) && a.key.equals(b.key) && isCaSame;
}

/** DNS names of a certificate; its common name where it has none. */
function namesIn({ subjectAltName, subject }: X509Certificate): string[] {
  const names = [...(subjectAltName ?? '').matchAll(/(?:^|, )DNS:("(?:[^"\\]|\\.)*"|[^,]*)/g)].map(
    ([, name]) => name!,
  );
  if (names.length > 0) return names;
  const common = /^CN=(.*)$/m.exec(subject ?? '')?.[1];
  return common === undefined ? [] : [common];
}

/** The first certificate for a name wins. */
function contextsByName(loaded: readonly LoadedPair[]): Map<string, SecureContext> {
  const contexts = new Map<string, SecureContext>();
  for (const { names, context } of loaded)
    for (const name of names) if (!contexts.has(name)) contexts.set(name, context);
  return contexts;
}

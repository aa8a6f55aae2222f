// Certificates for the tests of TLS towards clients: an authority, and what it signs, made by openssl in a folder that
// goes with the test. Each is made once for a file of tests.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Files of one certificate. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
}

/** What a certificate says. */
export interface CertificateWish {
  /** DNS names; none for a client. */
  readonly names?: readonly string[];
  readonly subject?: string;
  readonly days?: number;
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** An authority with its folder, for a file of tests; `close` removes it. */
export class TestAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), 'splitter-tls-'));
  readonly ca: string;
  readonly #key: string;
  #count = 0;

  constructor(name = 'authority') {
    this.ca = join(this.folder, 'ca.pem');
    this.#key = join(this.folder, 'ca.key');
    openssl([
      'req',
      '-x509',
      ...EC,
      '-keyout',
      this.#key,
      '-out',
      this.ca,
      '-days',
      '30',
      '-subj',
      `/CN=${name}`,
    ]);
  }

  get caBytes(): Buffer {
    return readFileSync(this.ca);
  }

  /** A certificate that it signs; `days` below 0 = it has expired. */
  issue({ names = [], subject = '/CN=test', days = 10 }: CertificateWish = {}): CertificateFiles {
    const base = join(this.folder, `c${this.#count++}`);
    const files = { certificate: `${base}.crt`, key: `${base}.key` };
    const request = `${base}.csr`;
    openssl(['req', '-new', ...EC, '-keyout', files.key, '-out', request, '-subj', subject]);
    const extensions = join(this.folder, 'extensions');
    const san = names.map((name) => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`).join(',');
    writeFileSync(extensions, names.length === 0 ? 'keyUsage=digitalSignature\n' : `subjectAltName=${san}\n`);
    const signing = ['-CA', this.ca, '-CAkey', this.#key, '-extfile', extensions, '-days', String(days)];
    openssl(['x509', '-req', '-in', request, '-out', files.certificate, ...signing]);
    return files;
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}

// `check --dns` and TLS: it makes the handshake that the running splitter will make, and says why that fails and what
// to change. Certificates are made by openssl for this run.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../support/command.ts';
import { NamedServer } from '../support/named-server.ts';

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const isMissing = !hasOpenssl();
if (isMissing) console.warn('skipped: openssl is not installed');

describe.skipIf(isMissing)('check --dns', () => {
  let folder: string;
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'check-tls-'));
    const key = ['-newkey', 'rsa:2048', '-nodes'];
    openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '2', '-subj', '/CN=ca');
    const san = 'subjectAltName=DNS:localhost,DNS:other.example';
    writeFileSync(at('san'), san);
    openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=server');
    const sign = [
      'x509',
      '-req',
      '-in',
      'server.csr',
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
    ];
    openssl(...sign, '-extfile', 'san', '-days', '2', '-out', 'good.crt');
    openssl(...sign, '-extfile', 'san', '-days', '-1', '-out', 'expired.crt');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const server = (certificate: string, more = {}) =>
    NamedServer.listen('tls', '127.0.0.1', 0, {
      key: readFileSync(at('server.key')),
      cert: readFileSync(at(certificate)),
      ...more,
    });

  /** What `check --dns` says of one upstream. */
  async function checked(url: string, tls: object | null = { caFile: at('ca.crt') }) {
    const path = at('splitter.json.yaml');
    const upstream = { url, ...(tls === null ? {} : { tls }) };
    writeFileSync(path, JSON.stringify({ upstreams: { u: upstream }, routes: [{ upstream: 'u' }] }));
    const { code, out } = await runCommand(['check', path, '--dns'], {});
    const row = out.split('\n').find((line) => /^ {2}upstream u {2}/.test(line))!;
    return { code, says: row.replace(/^ {2}upstream u {2}\S+ +/, '') };
  }

  it('is content with a certificate that is good', async () => {
    const { port } = await server('good.crt');
    expect(await checked(`https://localhost:${port}`)).toEqual({
      code: 0,
      says: 'accepts connections, and its certificate is valid',
    });
  });

  it('says that the authority is not trusted', async () => {
    const { port } = await server('good.crt');
    const { code, says } = await checked(`https://localhost:${port}`, null);
    expect(code).toBe(1);
    expect(says).toMatch(
      /^its certificate will be refused \(UNABLE_TO_VERIFY_LEAF_SIGNATURE: .*\): name the file of its authority in tls\.caFile$/,
    );
  });

  it('says that the certificate has expired, and when', async () => {
    const { port } = await server('expired.crt');
    const { code, says } = await checked(`https://localhost:${port}`);
    expect(code).toBe(1);
    expect(says).toMatch(/CERT_HAS_EXPIRED: the certificate has expired; valid from .* GMT to .* GMT\)/);
  });

  it('says which name was wanted and which were found', async () => {
    const { port } = await server('good.crt');
    const { code, says } = await checked(`https://127.0.0.1:${port}`);
    expect(code).toBe(1);
    expect(says).toContain('wanted 127.0.0.1, found DNS:localhost, DNS:other.example');
    expect(says).toContain('set tls.serverName');
    const tls = { caFile: at('ca.crt'), serverName: 'other.example' };
    expect((await checked(`https://127.0.0.1:${port}`, tls)).code).toBe(0);
  });

  it('says that the server wants a client certificate', async () => {
    const { port } = await server('good.crt', { requestCert: true, rejectUnauthorized: true });
    const { code, says } = await checked(`https://localhost:${port}`);
    expect(code).toBe(1);
    expect(says).toContain('set tls.certFile and tls.keyFile');
  });

  it('says that a server speaks plain HTTP where TLS is wanted, and the reverse', async () => {
    const plain = await NamedServer.listen('plain');
    expect(await checked(`https://localhost:${plain.port}`)).toEqual({
      code: 1,
      says: 'TLS failed (ERR_SSL_WRONG_VERSION_NUMBER: the server does not speak TLS): write http://, or the port that speaks TLS',
    });
    expect(await checked(`http://localhost:${plain.port}`, null)).toEqual({
      code: 0,
      says: 'accepts connections',
    });
    expect(plain.asked).toEqual([]);
    const { port } = await server('good.crt');
    expect(await checked(`http://localhost:${port}`, null)).toEqual({
      code: 1,
      says: 'speaks TLS: write https://, or the port that speaks plain HTTP',
    });
  });
});

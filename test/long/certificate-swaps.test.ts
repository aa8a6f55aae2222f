// Certificates are swapped as kubelet swaps a Secret, again and again, while clients make 500 new connections a second:
// no handshake fails, and every client sees a certificate that was there. The program runs as users run it, with workers.
import { copyFileSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect, it, onTestFinished } from 'vitest';
import { TestAuthority } from '../support/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { ProgramRun } from '../support/program.ts';

const PER_SECOND = 500;
const SECONDS = 6;
const OPEN_MAX = 300;
const GET = 'GET / HTTP/1.1\r\nHost: swap.example\r\nConnection: close\r\n\r\n';

it('no handshake fails while certificates are swapped under 500 new connections a second', async () => {
  const authority = new TestAuthority();
  onTestFinished(() => authority.close());
  const secret = join(authority.folder, 'secret');
  mkdirSync(secret);
  let version = 0;
  /** A new folder with the pair, and one swap of the link. */
  const swap = (): void => {
    const name = `..v${version++}`;
    mkdirSync(join(secret, name));
    const { certificate, key } = authority.issue({ names: ['swap.example'], subject: `/CN=v${version}` });
    copyFileSync(certificate, join(secret, name, 'tls.crt'));
    copyFileSync(key, join(secret, name, 'tls.key'));
    symlinkSync(name, join(secret, '..tmp'));
    renameSync(join(secret, '..tmp'), join(secret, '..data'));
  };
  swap();
  for (const file of ['tls.crt', 'tls.key']) symlinkSync(`..data/${file}`, join(secret, file));
  const upstream = createServer((_, response) => response.end('hello'));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void upstream.close());
  const { port: upstreamPort } = upstream.address() as { port: number };
  const [port, admin] = [await freePort(), await freePort()];
  const tls = { certificate: join(secret, 'tls.crt'), key: join(secret, 'tls.key') };
  const document = {
    listen: { address: `127.0.0.1:${port}`, tls },
    admin: `127.0.0.1:${admin}`,
    workers: 2,
    upstreams: {
      u: { url: `http://127.0.0.1:${upstreamPort}`, connectTimeout: '1m', pool: { queueTimeout: '5m' } },
    },
    routes: [{ upstream: 'u' }],
    // A machine that runs other tests as well may be late with all of them.
    timeouts: { tlsHandshake: '5m', requestHead: '5m' },
    limits: { tlsHandshakes: 10_000 },
  };
  const file = join(authority.folder, 'splitter.json');
  writeFileSync(file, JSON.stringify(document));
  const run = new ProgramRun(['serve', '--config', file], {});
  onTestFinished(() => run.kill());
  await run.event('serving');

  const failures: string[] = [];
  const shown = new Set<string>();
  let whole = 0;
  let open = 0;
  const once = () =>
    new Promise<void>((resolve) => {
      let text = '';
      open++;
      const trust = { ca: authority.caBytes, servername: 'swap.example' };
      const socket = connect({ port, host: '127.0.0.1', ...trust }, () => {
        shown.add(socket.getPeerX509Certificate()!.subject);
        socket.write(GET);
      });
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      socket.on('error', (error: NodeJS.ErrnoException) => failures.push(error.code ?? error.message));
      socket.on('close', () => {
        open--;
        if (text.endsWith('hello')) whole++;
        resolve();
      });
    });
  const all: Promise<void>[] = [];
  const begunAt = performance.now();
  const due = (): number =>
    Math.min(PER_SECOND * SECONDS, ((performance.now() - begunAt) / 1000) * PER_SECOND);
  while (all.length < PER_SECOND * SECONDS) {
    while (all.length < due() && open < OPEN_MAX) all.push(once());
    if (all.length > version * PER_SECOND) swap();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await Promise.all(all);
  expect(failures).toEqual([]);
  expect(whole).toBe(PER_SECOND * SECONDS);
  expect(shown.size).toBeGreaterThan(2);
  const metrics = await fetch(`http://127.0.0.1:${admin}/metrics`).then((answer) => answer.text());
  expect(metrics).toMatch(/^splitter_certificate_current\{[^}]*\} 1$/m);
  expect(metrics).not.toMatch(/^splitter_tls_handshake_failures_total\{/m);
});

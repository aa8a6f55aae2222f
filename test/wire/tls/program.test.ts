// The built program with TLS: it follows a Secret as kubelet swaps it, says what it makes of new files, and refuses to start
// with a pair that does not fit.
import { copyFileSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { expect, it, onTestFinished } from 'vitest';
import { TestAuthority } from '../../support/certificates.ts';
import { ProgramRun } from '../../support/program.ts';

it('takes a renewed Secret, keeps the old pair while the new one does not fit, and does not start with such a pair', async () => {
  const authority = new TestAuthority();
  onTestFinished(() => authority.close());
  const [first, second] = ['one.example', 'two.example'].map((name) => authority.issue({ names: [name] }));
  const secret = join(authority.folder, 'secret');
  mkdirSync(secret);
  const swap = (name: string, certificate: string, key: string): void => {
    mkdirSync(join(secret, name));
    copyFileSync(certificate, join(secret, name, 'tls.crt'));
    copyFileSync(key, join(secret, name, 'tls.key'));
    symlinkSync(name, join(secret, '..tmp'));
    renameSync(join(secret, '..tmp'), join(secret, '..data'));
  };
  swap('..1', first!.certificate, first!.key);
  for (const file of ['tls.crt', 'tls.key']) symlinkSync(`..data/${file}`, join(secret, file));
  const tls = { certificate: join(secret, 'tls.crt'), key: join(secret, 'tls.key') };
  const config = join(authority.folder, 'splitter.json');
  writeFileSync(
    config,
    JSON.stringify({
      listen: { address: '127.0.0.1:0', tls },
      admin: 'off',
      upstreams: { u: { url: 'http://127.0.0.1:9' } },
      routes: [{ upstream: 'u' }],
    }),
  );
  const run = new ProgramRun(['serve', '--config', config], {});
  onTestFinished(() => run.kill());
  const { listening } = await run.event<{ listening: [string] }>('serving');
  const port = Number(/^https:.*:(\d+)$/.exec(listening[0])![1]);
  const shown = () =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(
        { port, host: '127.0.0.1', ca: authority.caBytes, checkServerIdentity: () => undefined },
        () => {
          resolve(socket.getPeerX509Certificate()!.subjectAltName!);
          socket.destroy();
        },
      );
      socket.on('error', reject);
    });
  expect(await shown()).toBe('DNS:one.example');
  swap('..2', second!.certificate, second!.key);
  expect(await run.event('certificate renewed')).toMatchObject({ names: ['two.example'] });
  expect(await shown()).toBe('DNS:two.example');
  swap('..3', first!.certificate, second!.key);
  expect(await run.event('certificate refused, the old one stays in use')).toMatchObject({
    certificate: tls.certificate,
    problem: `${tls.key}: expected the key of ${tls.certificate}, got another key`,
  });
  expect(await shown()).toBe('DNS:two.example');

  const refused = new ProgramRun(['serve', '--config', config], {});
  expect(await refused.exitCode).toBe(1);
  expect(refused.stderr).toContain(
    `listen.tls: expected PEM files that can be used, got ${tls.key}: expected the key of`,
  );
});

// A configuration that is well written and cannot be used all the same, because a file that it names is not there:
// nothing starts with it, and what runs goes on.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { UnusableUpstream } from '../../../src/ambassador.ts';
import { TestAuthority } from '../../support/certificates.ts';
import { NamedServer } from '../../support/named-server.ts';
import { ProgramRun } from '../../support/program.ts';
import { configOf, startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

function file(): { path: string; missing: string } {
  const folder = mkdtempSync(join(tmpdir(), 'splitter-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return { path: join(folder, 'splitter.yaml'), missing: join(folder, 'ca.pem') };
}

const document = (url: string, caFile?: string) => `listen: 127.0.0.1:0
admin: "off"
upstreams:
  used: { url: "${url}" }
  ${caFile === undefined ? '' : `secure: { url: "https://127.0.0.1:1", tls: { caFile: "${caFile}" } }`}
routes: [{ upstream: used }]
`;

describe('a certificate file that is not there', () => {
  it('refuses a reload: the process goes on with what it had', async () => {
    const upstream = await startUpstream();
    const { path, missing } = file();
    writeFileSync(path, document(upstream.url));
    const run = new ProgramRun(['--config', path], {});
    onTestFinished(() => run.kill());
    const { listening } = await run.event<{ listening: string[] }>('serving');
    writeFileSync(path, document(upstream.url, missing));
    expect(await run.event('configuration refused')).toMatchObject({
      problems: [expect.stringMatching(/upstreams\.secure\.tls: expected PEM files .* got ENOENT/)],
    });
    expect((await fetch(listening[0]!)).status).toBe(200);
    run.signal('SIGINT');
    expect(await run.exitCode).toBe(0);
  });

  it('is one sentence at the start, and ends with 1', async () => {
    const { path, missing } = file();
    writeFileSync(path, document('http://127.0.0.1:1', missing));
    const run = new ProgramRun(['--config', path], {});
    onTestFinished(() => run.kill());
    expect(await run.exitCode).toBe(1);
    expect(run.stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/upstreams\.secure\.tls: expected PEM files .* got ENOENT/),
    ]);
  });

  it('is refused at the start where it holds no certificate, or where a key does not fit', async () => {
    const authority = new TestAuthority();
    onTestFinished(() => authority.close());
    const [one, other] = [authority.issue(), authority.issue()];
    const text = join(authority.folder, 'text.pem');
    writeFileSync(text, 'no certificate\n');
    const empty = join(authority.folder, 'empty.pem');
    writeFileSync(empty, '');
    for (const [tls, message] of [
      [{ caFile: text }, /caFile holds no PEM certificate/],
      [{ caFile: empty }, /caFile holds no PEM certificate/],
      [{ caFile: one.key }, /caFile holds no PEM certificate/],
      [{ certFile: one.certificate, keyFile: other.key }, /key values mismatch/],
    ] as const) {
      const upstreams = { secure: { url: 'https://127.0.0.1:1', tls } };
      await expect(startSplitter({ upstreams, routes: [{ upstream: 'secure' }] })).rejects.toThrow(message);
    }
  });

  it('leaves no probe of the upstreams that were opened before it', async () => {
    const server = await NamedServer.listen('a');
    const url = `http://127.0.0.1:${server.port}`;
    const { missing } = file();
    const probe = (path: string) => ({ path, interval: '10ms' });
    const splitter = await startSplitter({
      upstreams: { used: { url, probe: probe('/used') } },
      routes: [{ upstream: 'used' }],
    });
    const next = configOf({
      upstreams: {
        used: { url, probe: probe('/used') },
        fresh: { url, probe: probe('/fresh') },
        secure: { url: 'https://127.0.0.1:1', tls: { caFile: missing } },
      },
      routes: [{ upstream: 'used' }],
    });
    expect(() => splitter.ambassador.reload(next)).toThrow(UnusableUpstream);
    expect(splitter.ambassador.generation.number).toBe(1);
    expect((await (await splitter.client()).ask(GET)).body).toBe('a');
    const before = server.asked.length;
    await server.until(() => server.asked.length > before + 4);
    expect(server.asked).not.toContain('/fresh');
  });
});

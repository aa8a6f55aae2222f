// What a TLS upstream must not do differently from a plain one: half-closed tunnels, and names that are addresses.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { statusOf, valuesOf } from '../../support/message.ts';
import { NamedServer } from '../../support/named-server.ts';
import { startSplitter } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const ASK = 'GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';

let folder = '';
let isMissing = false;
try {
  execFileSync('openssl', ['version'], { stdio: 'ignore' });
} catch {
  isMissing = true;
  console.warn('skipped: openssl is not installed');
}

describe.skipIf(isMissing)('an https upstream', () => {
  const at = (name: string) => join(folder, name);
  const pair = () => ({ key: readFileSync(at('key')), cert: readFileSync(at('crt')) });

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'splitter-tls-'));
    const names = 'subjectAltName=DNS:backend.test,IP:127.0.0.1';
    const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', at('key')];
    const made = ['req', '-x509', ...key, '-out', at('crt'), '-subj', '/CN=backend', '-addext', names];
    execFileSync('openssl', made, { stdio: 'pipe' });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each([
    ['127.0.0.1', 200],
    ['127.0.0.9', 502],
  ])('whose certificate must carry the address %s: %i', async (serverName, status) => {
    const server = await NamedServer.listen('secure', '127.0.0.1', 0, pair());
    const url = `https://other.test:${server.port}`;
    const splitter = await startSplitter(
      { upstreams: { u: { url, tls: { caFile: at('crt'), serverName } } }, routes: [{ upstream: 'u' }] },
      { lookup: async () => ['127.0.0.1'] },
    );
    const answer = await (await splitter.client()).ask(GET);
    expect(statusOf(answer)).toBe(status);
    expect(valuesOf(answer, 'x-splitter-error')).toEqual(status === 200 ? [] : ['UPSTREAM_TLS_FAILED']);
  });

  it('that ends its side of a tunnel still hears what the client says', async () => {
    const heard = Promise.withResolvers<string>();
    const server: Server = createServer({ ...pair(), allowHalfOpen: true }, (socket) => {
      let text = '';
      socket.setEncoding('latin1');
      socket.on('data', (part: string) => {
        if (text === '') {
          socket.write(SWITCH);
          socket.end('that is all');
        }
        text += part;
      });
      socket.on('end', () => heard.resolve(text));
      socket.on('error', heard.reject);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    const splitter = await startSplitter({
      upstreams: { u: { url: `https://127.0.0.1:${port}`, tls: { caFile: at('crt') } } },
      routes: [{ upstream: 'u' }],
    });
    const client = await splitter.client();
    await client.send(ASK);
    expect(await client.ended).toBe('end');
    expect(client.pending).toMatch(/that is all$/);
    await client.send('but not for me, ', 'nor for you');
    client.end();
    expect((await heard.promise).split('\r\n\r\n')[1]).toBe('but not for me, nor for you');
  });
});

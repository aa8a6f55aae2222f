// A listening Unix socket is like a port but for one thing: it knows no reset. What is cut where only a reset could
// tell that the end is no end must not harm anybody else.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { RawClient } from '../../support/raw-client.ts';
import { startSplitter, startUpstream } from '../../support/splitter.ts';

it('a response to HTTP/1.0 that breaks off ends its Unix socket, and the next client is served', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'splitter-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const upstream = await startUpstream(async (peer, index) => {
    await peer.request();
    if (index > 0) return peer.ok('whole');
    await peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    peer.reset();
  });
  const path = join(folder, 'in.sock');
  await startSplitter({
    listen: `unix:${path}`,
    upstreams: { u: { url: upstream.url } },
    routes: [{ upstream: 'u' }],
  });
  const client = await RawClient.connect(path);
  onTestFinished(() => client.close());
  await client.send('GET / HTTP/1.0\r\n\r\n');
  await client.ended;
  expect(client.pending).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  const next = await RawClient.connect(path);
  onTestFinished(() => next.close());
  expect((await next.ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).body).toBe('whole');
});

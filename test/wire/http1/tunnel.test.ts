// The end of a tunnel: what was sent before it arrives, on both sides, whoever ends first.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startSplitter, startUpstream } from '../../support/splitter.ts';

const ASK = 'GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';

it('what a client sends last arrives, although the upstream has nothing more to say and reads late', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'splitter-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'up.sock');
  const upstream = await startUpstream(async (peer) => {
    await peer.untilText('\r\n\r\n');
    peer.countOnly();
    peer.keepsTranscript = false;
    peer.socket.pause();
    await peer.send(SWITCH);
    peer.end();
    await peer.ended;
  }, path);
  const splitter = await startSplitter({
    upstreams: { u: { url: `unix:${path}` } },
    routes: [{ upstream: 'u' }],
  });
  // A Unix socket takes some 200 KiB that nobody reads; one of these leaves a little that the splitter has to keep.
  for (let size = 128; size <= 384; size += 16) {
    const client = await splitter.client();
    await client.send(ASK);
    expect(await client.ended).toBe('end');
    const peer = upstream.peers.at(-1)!;
    const before = peer.bytesReceived;
    client.socket.end(Buffer.alloc(size * 1024));
    for (let turn = 0; turn < 60; turn++) await new Promise((resolve) => setImmediate(resolve));
    peer.socket.resume();
    expect(await peer.ended).toBe('end');
    expect((peer.bytesReceived - before) / 1024).toBe(size);
  }
});

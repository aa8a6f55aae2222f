// Request and response under way at once: neither direction waits for the other one, and each has its own time limit.
import { describe, expect, it } from 'vitest';
import { Clock } from '../../support/clock.ts';
import { statusOf, valuesOf } from '../../support/message.ts';
import type { RawSocket } from '../../support/raw-socket.ts';
import { startLine } from '../../support/splitter.ts';

const LARGE = 24 * 1024 * 1024;

/** Waits until this end has not got rid of a byte for a while: everything between the ends is full. */
async function untilFull({ socket }: RawSocket): Promise<void> {
  let sent = -1;
  for (let still = 0; still < 200; still++) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = socket.bytesWritten - socket.writableLength;
    if (now !== sent) still = 0;
    sent = now;
  }
  expect(socket.writableLength).toBeGreaterThan(0);
}

describe('an upload whose response has begun', () => {
  it('goes on while the client does not read: it may write everything first', async () => {
    const isStuck = Promise.withResolvers<void>();
    const { client, upstream } = await startLine(async (peer) => {
      peer.countOnly();
      peer.keepsTranscript = false;
      peer.socket.pause();
      await isStuck.promise;
      peer.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 25165824\r\n\r\n');
      peer.socket.write(Buffer.alloc(LARGE));
      await untilFull(peer);
      peer.socket.resume();
    });
    client.countOnly();
    client.socket.pause();
    client.socket.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${LARGE}\r\n\r\n`);
    client.socket.write(Buffer.alloc(LARGE));
    const peer = await upstream.peer();
    await untilFull(client);
    isStuck.resolve();
    await peer.until(() => peer.bytesReceived > LARGE, 'the whole upload');
    client.socket.resume();
    await client.until(() => client.bytesReceived > LARGE, 'the whole response');
  });

  it.each(['Content-Length: 1000000', 'Transfer-Encoding: chunked'])(
    'is not cut as long as it goes on (%s)',
    async (framing) => {
      const limit = 500;
      const clock = Clock.stop();
      const { client, upstream } = await startLine(
        async (peer) => {
          await peer.untilText('\r\n\r\n');
          await peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n');
          await peer.ended;
        },
        { timeouts: { requestBody: `${limit}ms` }, limits: { minimumRate: '10B' } },
        { responseTimeout: `${limit}ms` },
      );
      await client.send(`POST / HTTP/1.1\r\nHost: h\r\n${framing}\r\n\r\n`);
      await client.untilText('x');
      const peer = await upstream.peer();
      // Neither the silence of the upstream nor the length of the upload is too long here: each byte is progress.
      for (let i = 0; i < 10 && client.ending === null; i++) {
        await clock.advance(0.8 * limit);
        const before = peer.bytesReceived;
        await client.send('1\r\ny\r\n');
        if (client.ending === null) await peer.until(() => peer.bytesReceived > before, 'more of the body');
      }
      expect(client.ending).toBe(null);
      // Once both sides are silent it ends.
      await clock.passUntil(client.ended);
    },
  );
});

describe('a client that asks for 100-continue', () => {
  it('and begins with its body all the same is the one that is waited for: 408', async () => {
    const clock = Clock.stop();
    const { client } = await startLine(
      (peer) => peer.closed,
      { timeouts: { requestBody: '8s' } },
      { responseTimeout: '40s' },
    );
    const head = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n';
    const answered = client.ask(`${head}a`);
    await clock.passUntil(answered);
    const response = await answered;
    expect(statusOf(response)).toBe(408);
    expect(valuesOf(response, 'x-splitter-error')).toEqual(['BODY_TIMEOUT']);
  });
});

// A response that fits into the response buffer is read whole while its client does not read, and its upstream connection
// is free for others. What is read ahead is bounded for each client and for all together.
import { describe, expect, it } from 'vitest';
import { type Document, type RunningSplitter, startLine } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
/** More than the kernel takes for two sockets that nobody reads. */
const BODY_BYTES = 24 * 1024 * 1024;
const BLOCK = Buffer.alloc(65_536, 'x');
const BLOCKS = BODY_BYTES / BLOCK.length;

/** Answers the first request of each connection that asks for /big with BODY_BYTES, in this framing, others at once. */
const start = (framing: 'length' | 'chunked', limits: Document, more: Document = {}) =>
  startLine(
    async (peer) => {
      for (;;) {
        const { line } = await peer.request();
        if (!line.includes('/big')) {
          await peer.ok('quick');
          continue;
        }
        const isChunked = framing === 'chunked';
        const field = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${BODY_BYTES}`;
        await peer.send(`HTTP/1.1 200 OK\r\n${field}\r\n\r\n`);
        for (let i = 0; i < BLOCKS; i++) {
          if (isChunked) await peer.send(`${BLOCK.length.toString(16)}\r\n`, BLOCK, '\r\n');
          else await peer.send(BLOCK);
        }
        if (isChunked) await peer.send('0\r\n\r\n');
      }
    },
    { limits, ...more },
    { pool: { maxConnections: 1, queueTimeout: '20s' } },
  );

const buffered = ({ ambassador }: RunningSplitter) => ambassador.counters.downstream.responseBytesBuffered;

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}

describe.each(['length', 'chunked'] as const)(
  'a response with framing "%s" that its client does not read',
  (framing) => {
    it('frees its upstream connection when it fits into the buffer, and arrives whole when the client reads', async () => {
      const { client, splitter } = await start(framing, {
        responseBuffer: '64MiB',
        responseBuffers: '64MiB',
      });
      client.countOnly();
      client.socket.pause();
      await client.send('GET /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
      expect((await (await splitter.client()).ask(GET)).body).toBe('quick');
      expect(buffered(splitter)).toBeGreaterThan(1_000_000);
      client.socket.resume();
      expect(await client.ended).toBe('end');
      expect(client.bytesReceived).toBeGreaterThan(BODY_BYTES);
      await until(() => buffered(splitter) === 0);
    });

    it('leaves no byte in the account when the client goes away', async () => {
      const { client, splitter } = await start(framing, {
        responseBuffer: '64MiB',
        responseBuffers: '64MiB',
      });
      client.socket.pause();
      await client.send('GET /big HTTP/1.1\r\nHost: h\r\n\r\n');
      await until(() => buffered(splitter) > 0);
      client.reset();
      await until(() => buffered(splitter) === 0 && splitter.ambassador.connectionCount === 0);
    });

    it.each([
      ['for each client', { responseBuffer: '1MiB', responseBuffers: '64MiB' }],
      ['for all together', { responseBuffer: '64MiB', responseBuffers: '1MiB' }],
      ['to nothing', { responseBuffer: '0B' }],
    ])('is bounded %s', async (_, limits) => {
      const { client, splitter, upstream } = await start(framing, limits);
      client.countOnly();
      client.socket.pause();
      await client.send('GET /big HTTP/1.1\r\nHost: h\r\n\r\n');
      const peer = await upstream.peer();
      // The upstream's own socket takes no more: the splitter has stopped reading.
      let before = -1;
      await until(() => {
        const isStill = peer.socket.writableLength > 0 && peer.socket.bytesWritten === before;
        before = peer.socket.bytesWritten;
        return isStill;
      });
      expect(buffered(splitter)).toBeLessThanOrEqual(1024 * 1024 + 131_072 + 1024);
      client.socket.resume();
      await until(() => client.bytesReceived > BODY_BYTES);
      await until(() => buffered(splitter) === 0);
    });
  },
);

// Bodies of all sizes in both directions arrive byte for byte, and back-pressure holds: however large a body and
// however slow its reader, the splitter holds a bounded part of it.
import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { RawSocket } from '../../support/raw-socket.ts';
import { startLine } from '../../support/splitter.ts';

const MIB = 1024 * 1024;
const BODY_BYTES = 100 * MIB;
/** What may be under way between writer and reader: four kernel buffers of some MiB, and what the splitter holds. */
const UNDER_WAY_BYTES_MAX = 40 * MIB;
/** Growth of the live buffers of this process: those of the splitter and of both ends of the test. */
const BUFFER_GROWTH_BYTES_MAX = 8 * MIB;
/** After so many bytes the garbage is collected and what lives is measured. */
const SAMPLE_BYTES = 16 * MIB;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function liveBufferBytes(): number {
  // The second run waits for the memory that the first one found to be given back.
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** Reads with a rest after each piece, and notes the most that was under way and held. */
class SlowReader {
  /** CRC-32 of what was read. */
  checksum = 0;
  bytesRead = 0;
  bytesWritten = 0;
  underWayMax = 0;
  bufferGrowthMax = 0;
  readonly #buffersBefore = liveBufferBytes();
  #nextSample = SAMPLE_BYTES;

  /** Takes the body out of what `end` receives, behind what has been read so far. */
  attach(end: RawSocket, decode: (data: Buffer) => Buffer = (data) => data): void {
    end.countOnly();
    end.socket.on('data', (data: Buffer) => {
      const part = decode(data);
      this.bytesRead += part.length;
      this.checksum = crc32(part, this.checksum);
      this.underWayMax = Math.max(this.underWayMax, this.bytesWritten - this.bytesRead);
      if (this.bytesRead >= this.#nextSample) {
        this.#nextSample += SAMPLE_BYTES;
        this.bufferGrowthMax = Math.max(this.bufferGrowthMax, liveBufferBytes() - this.#buffersBefore);
      }
      end.socket.pause();
      // Some turns of the event loop, in which writer and splitter go on as far as they can.
      void turns(4).then(() => end.socket.resume());
    });
  }

  /** Writes the whole body to `end` as fast as it is taken, and returns its CRC-32. */
  async write(end: RawSocket, encode: (data: Buffer) => Buffer = (data) => data): Promise<number> {
    let checksum = 0;
    const part = randomBytes(256 * 1024);
    for (let written = 0; written < BODY_BYTES; written += part.length) {
      part.writeUInt32LE(written);
      checksum = crc32(part, checksum);
      const bytes = encode(Buffer.from(part));
      await new Promise<void>((resolve) => end.socket.write(bytes, () => resolve()));
      this.bytesWritten += part.length;
    }
    return checksum;
  }
}

const asChunk = (data: Buffer) =>
  Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')]);

/** Takes chunks apart, in whatever pieces they come; independent of src/http1. */
function dechunker(): (data: Buffer) => Buffer {
  let left = 0;
  let line = '';
  let skip = 0;
  return (data) => {
    const parts: Buffer[] = [];
    let position = 0;
    while (position < data.length) {
      if (skip > 0) {
        skip--;
        position++;
      } else if (left > 0) {
        const end = Math.min(data.length, position + left);
        parts.push(data.subarray(position, end));
        left -= end - position;
        position = end;
        if (left === 0) skip = 2;
      } else {
        const byte = String.fromCharCode(data[position++]!);
        line += byte;
        if (byte !== '\n') continue;
        left = Number.parseInt(line, 16) || 0;
        line = '';
      }
    }
    return Buffer.concat(parts);
  };
}

describe('a body of 100 MiB with a slow reader', () => {
  it.each(['with a length', 'chunked'])(
    'goes up %s, and memory stays bounded',
    async (how) => {
      const isChunked = how === 'chunked';
      const reader = new SlowReader();
      const isDone = Promise.withResolvers<void>();
      const { client, upstream } = await startLine(async (peer) => {
        peer.keepsTranscript = false;
        await peer.untilText('\r\n\r\n');
        reader.attach(peer, isChunked ? dechunker() : undefined);
        await peer.until(() => reader.bytesRead === BODY_BYTES, 'the whole body');
        await peer.ok('done');
        isDone.resolve();
      });
      const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${BODY_BYTES}`;
      await client.send(`POST / HTTP/1.1\r\nHost: h\r\n${framing}\r\n\r\n`);
      await (await upstream.peer()).untilText('POST');
      const sent = await reader.write(client, isChunked ? asChunk : undefined);
      if (isChunked) await client.send('0\r\n\r\n');
      await isDone.promise;
      expect((await client.response()).body).toBe('done');
      expect(reader.checksum).toBe(sent);
      expect(reader.underWayMax).toBeLessThan(UNDER_WAY_BYTES_MAX);
      expect(reader.bufferGrowthMax).toBeLessThan(BUFFER_GROWTH_BYTES_MAX);
    },
    120_000,
  );

  it.each(['with a length', 'chunked', 'up to the end of the connection'])(
    'comes down %s, and memory stays bounded',
    async (how) => {
      const isChunked = how !== 'with a length';
      const reader = new SlowReader();
      let sent = 0;
      const { client } = await startLine(async (peer) => {
        await peer.request();
        const framing = {
          'with a length': `Content-Length: ${BODY_BYTES}\r\n`,
          chunked: 'Transfer-Encoding: chunked\r\n',
        };
        const fields = framing[how as keyof typeof framing] ?? '';
        await peer.send(`HTTP/1.1 200 OK\r\n${fields}\r\n`);
        sent = await reader.write(peer, how === 'chunked' ? asChunk : undefined);
        if (how === 'chunked') await peer.send('0\r\n\r\n');
        else peer.end();
      });
      client.socket.pause();
      const asked = client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      const decode = isChunked ? dechunker() : (data: Buffer) => data;
      let head = '';
      reader.attach(client, (data) => {
        if (head.endsWith('\r\n\r\n')) return decode(data);
        const text = head + data.toString('latin1');
        const headEnd = text.indexOf('\r\n\r\n') + 4;
        head = text.slice(0, headEnd);
        return decode(Buffer.from(text.slice(headEnd), 'latin1'));
      });
      client.socket.resume();
      await asked;
      await client.until(() => reader.bytesRead === BODY_BYTES, 'the whole body');
      expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      expect(reader.checksum).toBe(sent);
      expect(reader.underWayMax).toBeLessThan(UNDER_WAY_BYTES_MAX);
      expect(reader.bufferGrowthMax).toBeLessThan(BUFFER_GROWTH_BYTES_MAX);
    },
    120_000,
  );
});

describe('a body of any size', () => {
  // Around the sizes of read buffers, copies and chunks.
  const SIZES = [
    0,
    1,
    2,
    1023,
    16_383,
    16_384,
    16_385,
    32_768,
    65_535,
    65_536,
    65_537,
    131_072,
    131_073,
    MIB + 1,
  ];
  const bodyOf = (size: number) => randomBytes(size).toString('latin1');
  const echoBody = (isChunked: boolean) =>
    startLine(async (peer) => {
      for (;;) {
        const { body } = await peer.request();
        const half = body.length >> 1;
        const chunk = (text: string) => (text === '' ? '' : `${text.length.toString(16)}\r\n${text}\r\n`);
        if (!isChunked) await peer.ok(body);
        else {
          const chunks = `${chunk(body.slice(0, half))}${chunk(body.slice(half))}0\r\n\r\n`;
          await peer.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`);
        }
      }
    });

  it.each([false, true])(
    'goes up and comes down byte for byte (chunked: %s), one behind the other',
    async (isChunked) => {
      const { client, upstream } = await echoBody(isChunked);
      for (const size of SIZES) {
        const body = bodyOf(size);
        const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${size}`;
        const head = `POST /${size} HTTP/1.1\r\nHost: h\r\n${framing}\r\n\r\n`;
        const content = isChunked
          ? `${size === 0 ? '' : `${size.toString(16)}\r\n${body}\r\n`}0\r\n\r\n`
          : body;
        const cut = Math.floor(content.length / 3);
        const response = await client.ask(head + content.slice(0, cut), content.slice(cut));
        expect(response.body === body, `${size} bytes`).toBe(true);
      }
      expect(upstream.peers).toHaveLength(1);
    },
  );

  it('flows in both directions at once when the upstream answers while it reads', async () => {
    const { client } = await startLine(async (peer) => {
      await peer.untilText('\r\n\r\n');
      await peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      for (const word of ['one', 'two', 'three']) {
        await peer.untilText(word);
        await peer.send(`${word.length.toString(16)}\r\n${word}\r\n`);
      }
      await peer.request();
      await peer.send('0\r\n\r\n');
    });
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (const word of ['one', 'two', 'three']) {
      await client.send(`${word.length.toString(16)}\r\n${word}\r\n`);
      await client.untilText(word);
    }
    await client.send('0\r\n\r\n');
    expect((await client.response()).body).toBe('onetwothree');
  });
});

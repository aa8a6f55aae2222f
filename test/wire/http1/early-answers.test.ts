// An upstream that answers before the upload has ended, and closes: the client reads the answer whole, although what it
// still sends can no longer be written. The kernel resets such a connection, as bytes lie unread in it.
import { describe, expect, it } from 'vitest';
import { statusOf, valuesOf } from '../../support/message.ts';
import type { Peer } from '../../support/scripted-upstream.ts';
import { startLine } from '../../support/splitter.ts';

const BODY = 'x'.repeat(4 * 1024 * 1024);
const WITH_LENGTH = [`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${BODY.length}\r\n\r\n`, BODY];
const CHUNK = `10000\r\n${'y'.repeat(65_536)}\r\n`;
const CHUNKED = [
  'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n',
  `${CHUNK.repeat(64)}0\r\n\r\n`,
];

/** Answers as soon as the head is there, reads no body, and closes. */
const refusing = (answer: string) => async (peer: Peer) => {
  await peer.untilText('\r\n\r\n');
  peer.socket.pause();
  await peer.send(answer);
  peer.close();
};

describe('an answer that comes before the upload ends', () => {
  it.each([
    ['with a length', 'Content-Length: 3\r\n\r\nbig', WITH_LENGTH],
    ['with a length, to a chunked upload', 'Content-Length: 3\r\n\r\nbig', CHUNKED],
    ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n3\r\nbig\r\n0\r\n\r\n', WITH_LENGTH],
  ])('reaches the client %s, though the upstream has closed', async (_, rest, request) => {
    for (let i = 0; i < 12; i++) {
      const { client } = await startLine(
        refusing(`HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n${rest}`),
      );
      const answer = await client.ask(...request);
      expect([statusOf(answer), answer.body, valuesOf(answer, 'connection')]).toEqual([
        413,
        'big',
        ['close'],
      ]);
      expect(await client.ended).toBe('end');
    }
  });

  it('reaches the client when it fills a packet or more', async () => {
    const body = 'b'.repeat(40_000);
    const { client } = await startLine(
      refusing(`HTTP/1.1 400 Bad Request\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
    );
    const answer = await client.ask(...WITH_LENGTH);
    expect([statusOf(answer), answer.body.length]).toEqual([400, body.length]);
  });

  it('is cut where only the end of the connection ends its body, as that end was a reset', async () => {
    const { client } = await startLine(refusing('HTTP/1.1 413 Content Too Large\r\n\r\nbig'));
    await client.send(...WITH_LENGTH);
    await client.ended;
    expect(client.pending).not.toContain('0\r\n\r\n');
  });

  it('is 502 where there was none', async () => {
    const { client } = await startLine(refusing(''));
    const answer = await client.ask(...WITH_LENGTH);
    expect(valuesOf(answer, 'x-splitter-error')).toEqual(['UPSTREAM_RESET']);
  });
});

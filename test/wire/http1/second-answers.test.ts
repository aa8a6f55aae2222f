// An upstream that answers one request twice: whoever is next on the connection must not get the second answer. The
// attack is an answer that lies in the socket when the connection is given to another exchange.
import { describe, expect, it } from 'vitest';
import type { Peer } from '../../support/scripted-upstream.ts';
import { startLine } from '../../support/splitter.ts';

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;
const SECOND = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged';

/** So many turns of the event loop. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Answers each request with its line; what "/twice" got is answered again that many turns later. */
const answersTwice = (turnsLater: number) => async (peer: Peer) => {
  for (;;) {
    const { line } = await peer.request();
    const sent = peer.ok(line);
    if (line.includes('/twice')) {
      await turns(turnsLater);
      void peer.send(SECOND);
    }
    await sent;
  }
};

describe('a second answer', () => {
  it.each([0, 1, 2])(
    'that comes %i turns after the first never reaches one who waited for the connection',
    async (later) => {
      for (let round = 0; round < 10; round++) {
        const { splitter, client, ambassador } = await startLine(
          answersTwice(later),
          {},
          { pool: { maxConnections: 1 } },
        );
        const others = await Promise.all([splitter.client(), splitter.client()]);
        await client.send(get('/twice'));
        for (const [i, other] of others.entries()) await other.send(get(`/${i}`));
        expect((await client.response()).body).toBe('GET /twice HTTP/1.1');
        const bodies = await Promise.all(others.map((other) => other.response().then(({ body }) => body)));
        expect(bodies).toEqual(['GET /0 HTTP/1.1', 'GET /1 HTTP/1.1']);
        await ambassador.stop();
      }
    },
  );

  it('that was seen ends reuse: each exchange has a connection of its own for a while', async () => {
    const { client, upstream } = await startLine(answersTwice(10));
    await client.ask(get('/twice'));
    await upstream.peers[0]!.ended;
    for (let i = 0; i < 3; i++) expect((await client.ask(get(`/${i}`))).body).toBe(`GET /${i} HTTP/1.1`);
    expect(upstream.peers.map(({ requests }) => requests.length)).toEqual([1, 1, 1, 1]);
  });

  it('is none where a server says with 408 why it closes an idle connection', async () => {
    const { client, upstream } = await startLine(async (peer, index) => {
      for (;;) {
        const { line } = await peer.request();
        await peer.ok(line);
        if (index > 0) continue;
        await turns(10);
        await peer.send('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
        peer.end();
      }
    });
    await client.ask(get('/0'));
    await upstream.peers[0]!.ended;
    for (let i = 1; i < 4; i++) expect((await client.ask(get(`/${i}`))).body).toBe(`GET /${i} HTTP/1.1`);
    expect(upstream.peers.map(({ requests }) => requests.length)).toEqual([1, 3]);
  });
});

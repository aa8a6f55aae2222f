// A head and its body that come in one read: the head is kept, a large body goes on from where it was read. Whatever else
// came with it, each byte reaches the request that it belongs to, and what may be sent again is whole.
import { describe, expect, it } from 'vitest';
import type { Peer } from '../../support/scripted-upstream.ts';
import { startLine } from '../../support/splitter.ts';

/** Text in which no piece is like another one. */
const bodyOf = (size: number) => {
  let text = '';
  while (text.length < size) text += `${text.length},`;
  return text.slice(0, size);
};
const echo = async (peer: Peer) => {
  for (;;) {
    const { line, body } = await peer.request();
    await peer.ok(`${line}\n${body}`);
  }
};
const ofLength = (path: string, body: string, method = 'POST') =>
  `${method} ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const inChunks = (path: string, body: string, trailers = '') => {
  const half = body.length >> 1;
  const chunks = [body.slice(0, half), body.slice(half)].map(
    (part) => `${part.length.toString(16)}\r\n${part}\r\n`,
  );
  return `POST ${path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n${trailers}\r\n`;
};

/** Around what is kept whole, and what one read brings. */
const SIZES = [100, 16_200, 16_384, 20_000, 50_000, 65_000, 70_000];

describe('requests that come in one piece', () => {
  it.each([
    ['with a length', ofLength],
    ['chunked', inChunks],
    ['chunked, with a trailer', (path: string, body: string) => inChunks(path, body, 'X-Sum: 1\r\n')],
  ])('(%s) are each answered with their own body', async (_, requestOf) => {
    const { client } = await startLine(echo);
    for (const size of SIZES) {
      const bodies = [bodyOf(size), bodyOf(size + 1)];
      const get = 'GET /between HTTP/1.1\r\nHost: h\r\n\r\n';
      await client.send(requestOf('/first', bodies[0]!) + get + requestOf('/last', bodies[1]!) + get);
      const answers: string[] = [];
      for (let i = 0; i < 4; i++) answers.push((await client.response()).body);
      const between = 'GET /between HTTP/1.1\n';
      const [first, last] = [`POST /first HTTP/1.1\n${bodies[0]}`, `POST /last HTTP/1.1\n${bodies[1]}`];
      expect(answers.map((answer) => answer.length)).toEqual(
        [first, between, last, between].map((text) => text.length),
      );
      expect(answers.join('') === [first, between, last, between].join('')).toBe(true);
    }
  });

  it('after an empty line are read, and refused after two, which look like the end of a head', async () => {
    const { client, upstream } = await startLine(echo);
    const body = bodyOf(40_000);
    const answer = await client.ask(`\r\n${ofLength('/', body)}`);
    expect(answer.body === `POST / HTTP/1.1\n${body}`).toBe(true);
    expect((await client.ask(`\r\n\r\n${ofLength('/refused', body)}`)).line).toContain(' 400 ');
    await client.ended;
    expect(upstream.peers.map(({ transcript }) => transcript.includes('/refused'))).toEqual([false]);
  });

  it('are refused where the body is larger than its limit, and the rest of it is no request', async () => {
    const { client, upstream } = await startLine(echo, { limits: { requestBody: '30KiB' } });
    const smuggled = 'GET /forged HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(1200);
    await client.send(ofLength('/', smuggled));
    expect((await client.response()).line).toContain(' 413 ');
    await client.ended;
    expect(upstream.peers.flatMap(({ transcript }) => transcript).join('')).not.toContain('/forged');
  });
});

describe('a connection that is lost before its answer', () => {
  it.each([100, 16_200, 20_000, 60_000])(
    'is replaced by another one for a PUT whose %i bytes came with its head: they are sent again',
    async (size) => {
      const seen: string[] = [];
      const { client } = await startLine(async (peer, index) => {
        if (index === 0) await peer.ok((await peer.request()).line);
        const { line, body } = await peer.request();
        seen.push(body);
        if (index === 0) peer.reset();
        else await peer.ok(line);
      });
      await client.ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      const body = bodyOf(size);
      const answer = await client.ask(ofLength('/put', body, 'PUT'));
      expect(answer.line).toContain(' 200 ');
      expect(seen.map((text) => text === body)).toEqual([true, true]);
    },
  );
});

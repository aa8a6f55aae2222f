// A client that has ended its side says nothing more: what it left unfinished is never finished.
import { expect, it } from 'vitest';
import { startLine } from '../../support/splitter.ts';

it('a half-closed client gets its answer where halfClose is answer, and the beginning of a further request is not waited for', async () => {
  const gate = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  const { client } = await startLine(
    async (peer) => {
      const { line } = await peer.request();
      arrived.resolve();
      await gate.promise;
      await peer.ok(line);
    },
    { halfClose: 'answer' },
  );
  await client.send('GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHo');
  client.end();
  await arrived.promise;
  gate.resolve();
  expect((await client.response()).body).toBe('GET /1 HTTP/1.1');
  expect(await client.ended).toBe('end');
  expect(client.pending).toBe('');
});

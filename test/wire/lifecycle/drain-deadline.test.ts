// What the drain deadline cuts: who has no byte of an answer yet is told why, and nobody else is blamed for it.
import { expect, it } from 'vitest';
import { FAULT_CODES } from '../../../src/errors.ts';
import { statusOf, valuesOf } from '../../support/message.ts';
import { startLine } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

it('an exchange that has no answer at the drain deadline gets 503, one in the middle of it is cut', async () => {
  const { ambassador, client, splitter, upstream } = await startLine(
    async (peer, index) => {
      await peer.request();
      if (index > 0) await peer.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
      await peer.ended;
    },
    { drain: { grace: '0ms', deadline: '100ms' } },
  );
  await client.send(GET);
  await upstream.peer(0);
  const second = await splitter.client();
  await second.send(GET);
  await second.untilText('hello');
  expect(await ambassador.drain()).toBe('deadline');
  const answer = await client.response();
  expect(statusOf(answer)).toBe(503);
  expect(valuesOf(answer, 'x-splitter-error')).toEqual(['DRAIN_DEADLINE']);
  await second.ended;
  expect(second.pending).toMatch(/\r\n\r\nhello$/);
  await Promise.all(upstream.peers.map((peer) => peer.ended));
  const { faults, inFlight } = ambassador.counters.variant('', '', 'u');
  expect(faults[FAULT_CODES.indexOf('DRAIN_DEADLINE')]).toBe(2);
  expect(inFlight).toBe(0);
});

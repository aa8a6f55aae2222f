// accept(2) fails for reasons that are nobody's here: no memory, no buffers, a firewall's refusal, a network that is
// down. Node tells the listening socket, and an error that nobody hears ends the process.
import { Server } from 'node:net';
import { expect, it } from 'vitest';
import { FAULT_CODES } from '../../../src/errors.ts';
import { startSplitter, startUpstream } from '../../support/splitter.ts';

/** The listening socket of this port; what the kernel says cannot be had on demand. */
function serverOn(port: number): Server {
  const getHandles: () => unknown[] = Reflect.get(process, '_getActiveHandles');
  const handles = getHandles.call(process);
  for (const handle of handles) {
    if (!(handle instanceof Server)) continue;
    const address = handle.address();
    if (typeof address === 'object' && address?.port === port) return handle;
  }
  throw new Error(`nobody listens on ${port}`);
}

it('a connection that cannot be accepted is counted, and those that can are served', async () => {
  const upstream = await startUpstream();
  const splitter = await startSplitter({
    upstreams: { u: { url: upstream.url } },
    routes: [{ upstream: 'u' }],
  });
  serverOn(splitter.port).emit('error', Object.assign(new Error('accept ENOBUFS'), { code: 'ENOBUFS' }));
  const { refusals } = splitter.ambassador.counters.downstream;
  expect(refusals[FAULT_CODES.indexOf('RESOURCES_EXHAUSTED')]).toBe(1);
  const client = await splitter.client();
  expect((await client.ask('GET /1 HTTP/1.1\r\nHost: h\r\n\r\n')).body).toBe('GET /1 HTTP/1.1');
});

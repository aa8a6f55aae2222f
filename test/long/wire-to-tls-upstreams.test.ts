// The tests of the wire for plain text with upstreams that speak TLS, as they are: bodies, early answers, back-pressure, cut
// and lost connections, time limits, pipelining, tunnels, slow and departed clients.
import { expect, it } from 'vitest';
import { startLine } from '../support/splitter.ts';
import { speakTlsToUpstreams } from '../support/tls-mode.ts';

speakTlsToUpstreams();

it('means TLS', async () => {
  const { upstream, client } = await startLine(async (peer) => {
    await peer.request();
    await peer.ok('');
  });
  expect(upstream.url).toMatch(/^https:/);
  expect((await client.ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).raw).toContain(' 200 ');
  const [peer] = upstream.peers;
  expect(peer!.socket).not.toBe(peer!.carrier);
});

await import('../wire/http1/wire.test.ts');
await import('../wire/http1/bodies.test.ts');
await import('../wire/http1/duplex.test.ts');
await import('../wire/http1/early-answers.test.ts');
await import('../wire/http1/half-closed.test.ts');
await import('../wire/http1/upgrade.test.ts');
await import('../wire/http1/tunnel.test.ts');
await import('../wire/http1/second-answers.test.ts');
await import('../wire/upstream/departed-clients.test.ts');
await import('../wire/upstream/failures.test.ts');
await import('../wire/upstream/recovery.test.ts');
await import('../wire/upstream/pipelining.test.ts');
await import('../wire/upstream/pipelining-trouble.test.ts');
await import('../wire/upstream/response-buffer.test.ts');
await import('../wire/upstream/slow-clients.test.ts');
await import('../wire/upstream/streams-leave-the-pool.test.ts');
await import('../wire/upstream/time-limits.test.ts');

// The tests of the wire for plain text, over TLS as they are: smuggling, limits, time limits, keep-alive, back-pressure,
// half-closed clients, cut connections, upgrades, drain, pipelining, slow and departed clients.
import { expect, it } from 'vitest';
import { RawClient } from '../support/raw-client.ts';
import { startLine } from '../support/splitter.ts';
import { speakTls } from '../support/tls-mode.ts';

speakTls();

it('means TLS', async () => {
  const { splitter, client } = await startLine(async (peer) => {
    await peer.request();
    await peer.ok('');
  });
  expect(splitter.ambassador.listening[0]).toMatch(/^https:/);
  expect(client).toBeInstanceOf(RawClient);
  expect(client.socket).not.toBe(client.carrier);
  expect((await client.ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n')).raw).toContain(' 200 ');
});

await import('../wire/http1/wire.test.ts');
await import('../wire/http1/smuggling.test.ts');
await import('../wire/http1/limits.test.ts');
await import('../wire/http1/keep-alive.test.ts');
await import('../wire/http1/bodies.test.ts');
await import('../wire/http1/duplex.test.ts');
await import('../wire/http1/early-answers.test.ts');
await import('../wire/http1/half-closed.test.ts');
await import('../wire/http1/isolation.test.ts');
await import('../wire/http1/upgrade.test.ts');
await import('../wire/http1/tunnel.test.ts');
await import('../wire/http1/second-answers.test.ts');
await import('../wire/lifecycle/drain.test.ts');
await import('../wire/lifecycle/drain-deadline.test.ts');
await import('../wire/upstream/departed-clients.test.ts');
await import('../wire/upstream/failures.test.ts');
await import('../wire/upstream/response-buffer.test.ts');
await import('../wire/upstream/slow-clients.test.ts');
await import('../wire/upstream/time-limits.test.ts');

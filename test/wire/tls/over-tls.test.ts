// Some tests of the wire for plain text, over TLS as they are; test/long/wire-over-tls.test.ts runs nearly all of them.
import { expect, it } from 'vitest';
import { RawClient } from '../../support/raw-client.ts';
import { startLine } from '../../support/splitter.ts';
import { speakTls } from '../../support/tls-mode.ts';

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

await import('../http1/half-closed.test.ts');
await import('../http1/duplex.test.ts');
await import('../http1/early-answers.test.ts');
await import('../http1/isolation.test.ts');
await import('../upstream/departed-clients.test.ts');

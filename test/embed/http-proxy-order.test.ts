// The handler on a connection with pipelined requests: answers leave in the order of their requests also when an upgrade
// comes among them or one of them breaks off. RFC 9112 §9.3.2: whoever pipelines for several users would hand one of
// them the bytes of another.
import { describe, expect, it } from 'vitest';
import { documentOf, HandlerServer } from '../support/handler-server.ts';
import type { Peer } from '../support/scripted-upstream.ts';
import { startUpstream } from '../support/splitter.ts';

const get = (path: string) => `GET ${path}?token=abc HTTP/1.1\r\nHost: h\r\n\r\n`;
const upgrade = (path: string) =>
  `GET ${path}?token=abc HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

/** An upstream whose answer to /slow is finished by hand; a server with the handler and a client. */
async function start() {
  const slow = Promise.withResolvers<Peer>();
  const upstream = await startUpstream(async (peer) => {
    for (;;) {
      const { line } = await peer.request();
      if (line.startsWith('GET /slow')) {
        await peer.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nSLOW-');
        slow.resolve(peer);
      } else if (line.startsWith('GET /ws')) {
        await peer.send(`${SWITCH}TUNNEL`);
        peer.socket.pipe(peer.socket);
        return;
      } else if (line.startsWith('GET /cut')) {
        await peer.send('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf');
        peer.close();
      } else await peer.ok('plain');
    }
  });
  const server = await HandlerServer.start(documentOf(upstream.url));
  return { upstream, server, client: await server.client(), slow: slow.promise };
}

describe('an upgrade after a request that is still being answered', () => {
  it('begins after that answer, not inside it', async () => {
    const { client, slow } = await start();
    await client.send(get('/slow') + upgrade('/ws'));
    await client.untilText('SLOW-');
    await (await slow).send('BODY-');
    expect((await client.response()).body).toBe('SLOW-BODY-');
    await client.untilText('TUNNEL');
    expect(client.pending).toMatch(/^HTTP\/1\.1 101 /);
    await client.send('echo');
    await client.untilText('TUNNELecho');
  });

  it('that the upstream refuses, or that is none, is answered after that answer', async () => {
    for (const request of [upgrade('/other'), upgrade('/other').replace('websocket', 'foo')]) {
      const { client, slow } = await start();
      await client.send(get('/slow') + request);
      await client.untilText('SLOW-');
      await (await slow).send('BODY-');
      expect((await client.response()).body).toBe('SLOW-BODY-');
      expect((await client.response()).body).toBe('plain');
      expect(await client.ended).toBe('end');
    }
  });

  it('waits for a client that reads the first answer slowly, which arrives whole', async () => {
    const size = 8_000_000;
    const upstream = await startUpstream(async (peer) => {
      for (;;) {
        const { line } = await peer.request();
        if (line.startsWith('GET /ws')) {
          await peer.send(`${SWITCH}TUNNEL`);
          peer.socket.pipe(peer.socket);
          return;
        }
        await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`, 'x'.repeat(size));
      }
    });
    // Reading 8 MB can keep this process from seeing that the tunnel's connection is there.
    const server = await HandlerServer.start(documentOf(upstream.url, { connectTimeout: '60s' }));
    const client = await server.client();
    client.socket.pause();
    await client.send(get('/big') + upgrade('/ws'));
    await upstream.peer();
    client.socket.resume();
    await client.untilText('TUNNEL');
    expect(client.pending.indexOf('HTTP/1.1 101 ')).toBe(client.pending.indexOf('\r\n\r\n') + 4 + size);
    expect(server.faults).toEqual([]);
  });

  it('is given up when the client goes away before its turn', async () => {
    const { client, server, slow, upstream } = await start();
    await client.send(get('/slow') + upgrade('/ws'));
    await slow;
    client.close();
    expect(await server.fault()).toBe('DOWNSTREAM_GONE');
    expect(upstream.lines.some((line) => line.startsWith('GET /ws'))).toBe(false);
  });
});

describe('an answer that breaks off before its turn', () => {
  it('ends the connection after the answers before it', async () => {
    const { client, server, slow } = await start();
    await client.send(get('/slow') + get('/cut') + get('/never'));
    expect(await server.fault()).toBe('UPSTREAM_BODY_CUT');
    await (await slow).send('BODY-');
    expect((await client.response()).body).toBe('SLOW-BODY-');
    await client.ended;
    expect(client.pending).not.toContain('plain');
  });
});

it('an upload that waits for its turn is given up with its upstream request when the client leaves', async () => {
  const uploading = Promise.withResolvers<Peer>();
  const upstream = await startUpstream(async (peer) => {
    await peer.untilText('\r\n\r\n');
    if (peer.pending.startsWith('POST')) uploading.resolve(peer);
  });
  const server = await HandlerServer.start(documentOf(upstream.url));
  const client = await server.client();
  await client.send(`${get('/never')}POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello`);
  const peer = await uploading.promise;
  client.reset();
  await peer.ended;
  await expect.poll(() => server.faults, { timeout: 4000 }).toEqual(['DOWNSTREAM_GONE', 'DOWNSTREAM_GONE']);
});

describe('an upgrade that is answered without a tunnel', () => {
  it.each([
    ['by the upstream', upgrade('/other')],
    ['by the handler', upgrade('/ws').replace('GET', 'POST')],
    ['for a body', upgrade('/ws').replace('\r\n\r\n', '\r\nContent-Length: 1\r\n\r\nx')],
  ])('%s leaves no connection behind when its client closes', async (_, request) => {
    const { client, server } = await start();
    await client.send(request);
    await client.response();
    client.close();
    await expect.poll(() => server.connections(), { timeout: 4000 }).toBe(0);
  });

  it('is closed when its client keeps the connection open', async () => {
    const { client, server } = await start();
    await client.send(upgrade('/other'));
    await client.response();
    await expect.poll(() => server.connections(), { timeout: 10_000 }).toBe(0);
  }, 12_000);
});

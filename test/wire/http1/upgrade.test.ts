// Upgrades: which pass, which do not, and the tunnel that 101 makes of two connections. WebSocket is proven with the
// `ws` package on both ends. Source: RFC 9110 §7.8, RFC 6455.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { Clock } from '../../support/clock.ts';
import { statusOf, valuesOf } from '../../support/message.ts';
import type { Script } from '../../support/scripted-upstream.ts';
import { startLine, startSplitter } from '../../support/splitter.ts';
import { isTls, tlsOptions } from '../../support/tls-mode.ts';

const ASK =
  'GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n';
const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-X: y\r\n\r\n';
const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

const switching =
  (then: Script): Script =>
  async (peer, index) => {
    await peer.untilText('\r\n\r\n');
    peer.pending = peer.pending.slice(peer.pending.indexOf('\r\n\r\n') + 4);
    await then(peer, index);
  };

describe('a WebSocket', () => {
  async function startEcho() {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload: 64 * 1024 * 1024 });
    onTestFinished(() => {
      for (const one of server.clients) one.terminate();
      server.close();
    });
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const splitter = await startSplitter({
      upstreams: { u: { url: `http://127.0.0.1:${port}` } },
      routes: [{ upstream: 'u' }],
    });
    server.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    const open = async () => {
      const accepted = once(server, 'connection') as Promise<[WebSocket]>;
      const socket = new WebSocket(`${isTls() ? 'wss' : 'ws'}://127.0.0.1:${splitter.port}/ws?token=1`, {
        maxPayload: 64 * 1024 * 1024,
        ...tlsOptions(),
      });
      onTestFinished(() => socket.terminate());
      await once(socket, 'open');
      return { socket, far: (await accepted)[0] };
    };
    return { splitter, open };
  }

  it('carries text in both directions', async () => {
    const { socket } = await (await startEcho()).open();
    for (const text of ['hello', '', 'ü'.repeat(1000)]) {
      socket.send(text);
      const [data] = (await once(socket, 'message')) as [Buffer];
      expect(String(data)).toBe(text);
    }
  });

  it('carries 16 MiB of binary data in both directions', async () => {
    const { socket } = await (await startEcho()).open();
    const data = randomBytes(16 * 1024 * 1024);
    socket.send(data);
    const [echoed, isBinary] = (await once(socket, 'message')) as [Buffer, boolean];
    expect(isBinary).toBe(true);
    expect(data.equals(echoed)).toBe(true);
  });

  it('carries pings of both ends', async () => {
    const { socket, far } = await (await startEcho()).open();
    socket.ping('near');
    expect(String(((await once(socket, 'pong')) as [Buffer])[0])).toBe('near');
    far.ping('far');
    expect(String(((await once(far, 'pong')) as [Buffer])[0])).toBe('far');
  });

  it('carries close codes of both ends', async () => {
    const { open } = await startEcho();
    const first = await open();
    first.socket.close(4001, 'mine');
    const [code, reason] = (await once(first.far, 'close')) as [number, Buffer];
    expect([code, String(reason)]).toEqual([4001, 'mine']);
    const second = await open();
    second.far.close(4002, 'yours');
    const [farCode, farReason] = (await once(second.socket, 'close')) as [number, Buffer];
    expect([farCode, String(farReason)]).toEqual([4002, 'yours']);
  });

  it('that one end breaks off is broken off at the other', async () => {
    const { open, splitter } = await startEcho();
    const first = await open();
    first.socket.terminate();
    expect(((await once(first.far, 'close')) as [number])[0]).toBe(1006);
    const second = await open();
    second.far.terminate();
    expect(((await once(second.socket, 'close')) as [number])[0]).toBe(1006);
    expect(splitter.ambassador.counters.downstream).toBeDefined();
  });
});

describe('an upgrade', () => {
  it('is asked for upstream in canonical form, and answered so', async () => {
    const { client, upstream } = await startLine(
      switching(async (peer) => peer.send(SWITCH)),
      { forwarded: 'keep' },
    );
    await client.send(ASK);
    expect((await client.response()).raw).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-X: y\r\nConnection: Upgrade\r\n\r\n',
    );
    expect(upstream.transcript).toBe(
      'GET /ws HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Key: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
  });

  it('makes a tunnel: bytes that look like HTTP pass untouched, also those sent with the heads', async () => {
    const { client, upstream } = await startLine(
      switching(async (peer) => {
        await peer.send(`${SWITCH}early from upstream`);
        await peer.untilText('GET /not-a-request HTTP/9.9\n\n');
        await peer.send('HTTP/1.1 not a response\n');
      }),
    );
    await client.send(`${ASK}early from client`);
    await client.response();
    await client.untilText('early from upstream');
    await client.send('GET /not-a-request HTTP/9.9\n\n');
    await client.untilText('HTTP/1.1 not a response\n');
    expect(upstream.peers[0]!.pending).toBe('early from clientGET /not-a-request HTTP/9.9\n\n');
  });

  it('that its client has half-closed ends when the upstream stays silent', async () => {
    const clock = Clock.stop();
    const { client, upstream } = await startLine(async (peer) => {
      await peer.request();
      await peer.send(SWITCH);
      await peer.closed;
    });
    await client.ask(ASK);
    client.end();
    await clock.passUntil(client.ended);
    expect(await client.ended).toBe('end');
    expect(await upstream.peers[0]!.ended).toBe('end');
  });

  it('passes a half-close on, and the other direction stays open', async () => {
    const { client } = await startLine(
      switching(async (peer) => {
        await peer.send(SWITCH);
        await peer.ended;
        await peer.send('last words');
        peer.end();
      }),
    );
    await client.send(ASK);
    await client.response();
    client.end();
    await client.untilText('last words');
    expect(await client.ended).toBe('end');
  });

  it('that the upstream does not take is an exchange like any other', async () => {
    const { client, upstream } = await startLine(async (peer) => {
      for (;;) {
        await peer.request();
        await peer.ok('no tunnel');
      }
    });
    expect((await client.ask(ASK)).body).toBe('no tunnel');
    expect((await client.ask(GET)).body).toBe('no tunnel');
    expect(upstream.peers).toHaveLength(1);
  });

  it('with requests sent behind it that the upstream does not take: they are requests', async () => {
    const { client, upstream } = await startLine();
    await client.send(ASK + GET);
    expect((await client.response()).body).toBe('GET /ws HTTP/1.1');
    expect((await client.response()).body).toBe('GET / HTTP/1.1');
    expect(upstream.lines).toEqual(['GET /ws HTTP/1.1', 'GET / HTTP/1.1']);
  });

  it.each(['h2c', 'TLS/1.0', 'websocket, h2c', 'xwebsocket'])('to %s does not pass', async (protocol) => {
    const { client, upstream } = await startLine();
    await client.ask(`GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
    expect(upstream.transcript).not.toMatch(/upgrade/i);
  });

  it('to a protocol that the configuration lists passes', async () => {
    const { client, upstream } = await startLine(undefined, { upgrades: ['x-own'] });
    await client.ask('GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: X-Own\r\n\r\n');
    expect(upstream.transcript).toMatch(/\r\nConnection: Upgrade\r\nUpgrade: X-Own\r\n/);
  });

  it.each(['Content-Length: 5\r\n\r\nhello', 'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n'])(
    'with a body (%j) is refused: nobody knows where the tunnel would begin',
    async (rest) => {
      const { client, upstream } = await startLine();
      const response = await client.ask(
        `POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${rest}`,
      );
      expect(statusOf(response)).toBe(400);
      expect(valuesOf(response, 'x-splitter-error')).toEqual(['BAD_UPGRADE']);
      expect(upstream.transcript).toBe('');
    },
  );

  it('of HTTP/1.0 does not pass', async () => {
    const { client, upstream } = await startLine();
    await client.ask('GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    expect(upstream.transcript).not.toMatch(/upgrade/i);
  });

  it.each([
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n'],
    ['no protocol', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ])('answered with a switch to %s than was asked for: 502', async (_, answer) => {
    const { client, upstream } = await startLine(switching(async (peer) => peer.send(answer)));
    const response = await client.ask(ASK);
    expect(statusOf(response)).toBe(502);
    expect(valuesOf(response, 'x-splitter-error')).toEqual(['UPSTREAM_BAD_RESPONSE']);
    await upstream.peers[0]!.ended;
  });
});

describe('a tunnel', () => {
  it('ends at both sides after tunnelIdle without a byte', async () => {
    const clock = Clock.stop();
    const { client, upstream } = await startLine(switching(async (peer) => peer.send(SWITCH)));
    await client.send(ASK);
    await client.response();
    // An hour is the limit.
    await clock.advance(59 * 60_000);
    expect(client.ending).toBeNull();
    await clock.passUntil(client.ended);
    expect(await client.ended).toBe('end');
    await upstream.peers[0]!.ended;
  });

  it('holds a bounded part of what one side sends and the other does not read', async () => {
    const { client, upstream } = await startLine(
      switching(async (peer) => {
        peer.keepsTranscript = false;
        await peer.send(SWITCH);
        peer.countOnly();
        await peer.until(() => peer.bytesReceived >= 64 * 1024 * 1024, 'all bytes');
        await peer.send('done');
      }),
    );
    await client.send(ASK);
    await client.response();
    const part = Buffer.alloc(65_536, 'x');
    let written = 0;
    let underWay = 0;
    const peer = upstream.peers[0]!;
    while (written < 64 * 1024 * 1024) {
      await client.send(part);
      written += part.length;
      underWay = Math.max(underWay, written - peer.bytesReceived);
    }
    await client.untilText('done');
    expect(underWay).toBeLessThan(40 * 1024 * 1024);
  });

  it('is ended in order by a drain that has waited long enough', async () => {
    const { client, upstream, ambassador } = await startLine(
      switching(async (peer) => peer.send(SWITCH)),
      { drain: { grace: '0ms', deadline: '4s' } },
    );
    await client.send(ASK);
    await client.response();
    const drained = ambassador.drain();
    expect(await client.ended).toBe('end');
    await upstream.peers[0]!.ended;
    client.close();
    expect(await drained).toBe('drained');
  });
});

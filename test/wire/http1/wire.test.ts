// All sockets of a side read into the same memory, what a turn writes is gathered, writes go to the descriptor itself, and
// exchanges are handed from client to client. None of it may be seen: what was read before others were is still intact, and
// no byte goes to a descriptor that is somebody else's by now.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { statusOf, valuesOf } from '../../support/message.ts';
import { RawClient } from '../../support/raw-client.ts';
import type { Script } from '../../support/scripted-upstream.ts';
import { get, request, turns, untilTrue } from '../../support/shared-connection.ts';
import { startLine, startSplitter, startUpstream } from '../../support/splitter.ts';

const wordsOf = (nonce: string, size: number) =>
  `<${nonce}>`.repeat(Math.ceil(size / (nonce.length + 2))).slice(0, size);

/** Answers with the target and the body of the request. */
const mirror: Script = async (peer) => {
  peer.keepsTranscript = false;
  for (;;) {
    const { line, body, trailers } = await peer.request();
    await peer.ok(`${line.split(' ')[1]} ${body}`, `X-Trailers: ${JSON.stringify(trailers)}`);
  }
};

/** Requests of other clients, read and answered in between: each goes over the memory that all share. */
async function disturb(splitter: { client(): Promise<RawClient> }, count = 3): Promise<void> {
  for (let i = 0; i < count; i++) {
    const other = await splitter.client();
    const body = wordsOf(`disturbance ${i}`, 5000);
    const answer = await other.ask(
      `${request('PUT', `/disturb/${'z'.repeat(900)}`, `Content-Length: ${body.length}`)}${body}`,
    );
    expect(answer.body.endsWith(body)).toBe(true);
    other.close();
  }
}

describe('what was read before others were', () => {
  it.each([
    [
      'a head in two pieces',
      [get('/own?token=1').slice(0, 9), get('/own?token=1').slice(9)],
      '/own?token=1 ',
      [],
    ],
    [
      'a body behind its head',
      [request('PUT', '/own', 'Content-Length: 8'), 'own', ' body'],
      '/own own body',
      [],
    ],
    [
      'a chunk and its size in pieces',
      [
        request('PUT', '/own', 'Transfer-Encoding: chunked'),
        '0',
        '5;ex',
        't\r\nown b',
        '\r\n3\r\nod',
        'y\r\n0\r\n\r\n',
      ],
      '/own own body',
      [],
    ],
    [
      'trailers in pieces',
      [
        request('PUT', '/own', 'Transfer-Encoding: chunked', 'Trailer: T, U'),
        '3\r\nown\r\n0\r\nT: a',
        'b\r\nU: ',
        'c\r\n\r',
        '\n',
      ],
      '/own own',
      [
        ['T', 'ab'],
        ['U', 'c'],
      ],
    ],
  ])('%s is what the client sent', async (_, pieces, body, trailers) => {
    const { splitter } = await startLine(mirror);
    const client = await splitter.client();
    for (const piece of pieces) {
      await client.send(piece);
      await disturb(splitter);
    }
    const answer = await client.response();
    expect(answer.body).toBe(body);
    expect(valuesOf(answer, 'x-trailers')).toEqual([JSON.stringify(trailers)]);
  });

  it('requests that a client sent ahead are what it sent, while its first one is not answered', async () => {
    const mayAnswer = Promise.withResolvers<void>();
    const { splitter } = await startLine(async (peer, index) => {
      const { line } = await peer.request();
      if (line.includes('/0')) await mayAnswer.promise;
      await peer.ok(`${line.split(' ')[1]} `);
      await mirror(peer, index);
    });
    const client = await splitter.client();
    const bodies = Array.from({ length: 9 }, (_, i) => wordsOf(`ahead ${i}`, i * 700));
    await client.send(get('/0'));
    for (const [i, body] of bodies.entries()) {
      const text = `${request('PUT', `/${i + 1}`, `Content-Length: ${body.length}`)}${body}`;
      await client.send(text.slice(0, 70), text.slice(70));
      await disturbLate(splitter, i);
    }
    mayAnswer.resolve();
    expect((await client.response()).body).toBe('/0 ');
    for (const [i, body] of bodies.entries())
      expect((await client.response()).body).toBe(`/${i + 1} ${body}`);
  });

  const disturbLate = async (splitter: { client(): Promise<RawClient> }, i: number) => {
    // The first of them may meet a connection whose upstream still answers with the target alone.
    const other = await splitter.client();
    expect((await other.ask(get(`/late${i}/${'y'.repeat(3000)}`))).body).toMatch(
      new RegExp(`^/late${i}/y+ $`),
    );
  };

  it.each([10, 3000, 15_000])(
    'a request with a body of %i bytes that came with its head is sent again as it was, when its connection is lost',
    async (size) => {
      const arrived = Promise.withResolvers<void>();
      const mayBreak = Promise.withResolvers<void>();
      const { client, splitter, upstream } = await startLine(async (peer, index) => {
        if (index > 0) return mirror(peer, index);
        await peer.request();
        await peer.ok('warm');
        await peer.request();
        arrived.resolve();
        await mayBreak.promise;
        peer.reset();
      });
      await client.ask(get('/warm'));
      const body = wordsOf('mine', size);
      await client.send(`${request('PUT', '/mine', `Content-Length: ${size}`)}${body}`);
      await arrived.promise;
      await disturb(splitter);
      mayBreak.resolve();
      expect((await client.response()).body).toBe(`/mine ${body}`);
      expect(upstream.peers[0]!.requests[1]!.body).toBe(body);
    },
  );

  it('a response whose head and trailers come in pieces is what the upstream sent', async () => {
    const pieces = [
      'HTTP/1.1 200 OK\r\nX-A: o',
      'wn\r\nTransfer-Encoding: chu',
      'nked\r\n\r\n3',
      '\r\now',
      'n\r\n0\r\nT: t',
      'railer\r\n\r\n',
    ];
    const { splitter } = await startLine(async (peer, index) => {
      const { line } = await peer.request();
      if (!line.includes('/pieces')) {
        await peer.ok('');
        return mirror(peer, index);
      }
      for (const piece of pieces) {
        await peer.send(piece);
        const other = await splitter.client();
        await other.ask(get(`/${'x'.repeat(2000)}`));
        await disturb(splitter, 1);
      }
    });
    const answer = await (await splitter.client()).ask(get('/pieces'));
    expect([valuesOf(answer, 'x-a'), answer.body, answer.trailers]).toEqual([
      ['own'],
      'own',
      [['T', 'trailer']],
    ]);
  });

  it('the path in the access log is that of the request, in however many pieces it came', async () => {
    const records: { method: string; path: string }[] = [];
    const accessLog = { wants: () => true, write: (record: (typeof records)[0]) => records.push(record) };
    const upstream = await startUpstream(mirror);
    const splitter = await startSplitter(
      { upstreams: { u: { url: upstream.url } }, routes: [{ upstream: 'u' }] },
      { accessLog: accessLog as never },
    );
    const client = await splitter.client();
    const text = get('/a/path/of/its/own?token=secret');
    for (const piece of [text.slice(0, 10), text.slice(10, 25), text.slice(25)]) {
      await client.send(piece);
      const other = await splitter.client();
      await other.ask(get(`/other/${'x'.repeat(100)}`));
    }
    await client.response();
    expect(records.map(({ path }) => path).filter((path) => !path.startsWith('/other'))).toEqual([
      '/a/path/of/its/own',
    ]);
    expect(records).toHaveLength(4);
  });
});

describe('a write that the kernel refuses', () => {
  it('sent nothing: the request goes elsewhere, whatever its method', async () => {
    // The upstream resets its idle connection in the very turn in which a request was read: it is gathered already, and the
    // reset is seen no sooner than by the write.
    const { client, splitter, upstream } = await startLine(async (peer, index) => {
      await peer.request();
      await peer.ok('warm');
      if (index > 0) await mirror(peer, index);
    });
    await client.ask(get('/warm'));
    const trigger = await splitter.client();
    const far = await startUpstream(
      async (peer) => {
        await peer.untilText('now');
      },
      await freePort(),
    );
    const near = await RawClient.connect(far.port);
    onTestFinished(() => near.close());
    const { socket } = await far.peer();
    await turns(5);
    socket.once('data', () => upstream.peers[0]!.reset());
    trigger.socket.write(`${request('POST', '/once', 'Content-Length: 2')}ab`);
    near.socket.write('now');
    expect(statusOf(await trigger.response())).toBe(200);
    expect(upstream.peers[0]!.transcript).not.toContain('POST');
    expect(upstream.peers[1]!.requests.map(({ line, body }) => [line, body])).toEqual([
      ['POST /once HTTP/1.1', 'ab'],
    ]);
  });
});

describe('a descriptor', () => {
  it('that was closed under a blocked response is never written to again, whoever has its number now', async () => {
    // A large response waits for a client that does not read. The client goes; the next one gets the same number from the
    // kernel. What was still to be written would be the beginning of its response.
    const { splitter, ambassador } = await startLine(async (peer) => {
      peer.keepsTranscript = false;
      for (;;) {
        const [, nonce, size] = (await peer.request()).line.split(' ')[1]!.split('/');
        await peer.ok(wordsOf(nonce!, Number(size)));
      }
    });
    for (let round = 0; round < 12; round++) {
      const blocked = await Promise.all(
        Array.from({ length: 4 }, async (_, i) => {
          const client = await splitter.client();
          client.countOnly();
          client.socket.pause();
          client.socket.write(get(`/blocked-${round}-${i}/12000000`));
          return client;
        }),
      );
      await turns(round * 3);
      await Promise.all(
        Array.from({ length: 25 }, async (_, i) => {
          if (i % 5 === 1) blocked.pop()?.[i % 2 === 0 ? 'close' : 'reset']();
          const client = await splitter.client();
          const nonce = `short-${round}-${i}`;
          const answer = await client.ask(get(`/${nonce}/${i * 400}`));
          expect(answer.body === wordsOf(nonce, i * 400)).toBe(true);
          expect(client.pending).toBe('');
          client[i % 2 === 0 ? 'close' : 'reset']();
        }),
      );
      for (const client of blocked) client.close();
    }
    await untilTrue(() => [...ambassador.counters.variants()].every(({ inFlight }) => inFlight === 0));
  });

  it('that was closed under a blocked request is never written to again either', async () => {
    const { splitter, upstream } = await startLine(
      async (peer, index) => {
        if (index % 3 === 0) {
          // It reads nothing, and is gone in the middle of the body.
          peer.socket.pause();
          await turns(30 + index);
          return peer.reset();
        }
        await mirror(peer, index);
      },
      {},
      { connectTimeout: '60s' },
    );
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const client = await splitter.client();
        const body = wordsOf(`up-${i}`, 3_000_000);
        const sent = client.send(`${request('PUT', `/${i}`, `Content-Length: ${body.length}`)}`, body);
        const answer = await client.response();
        if (statusOf(answer) === 200) expect(answer.body === `/${i} ${body}`).toBe(true);
        else expect(statusOf(answer)).toBe(502);
        client.close();
        await sent.catch(() => undefined);
      }),
    );
    for (const { line, body } of upstream.requests)
      expect(body === wordsOf(`up-${line.split(' ')[1]!.slice(1)}`, 3_000_000)).toBe(true);
    expect(upstream.requests.length).toBeGreaterThan(10);
  });
});

describe('sockets that do not read', () => {
  it('get all of it, in order, once they do: small and large writes behind each other, through Unix sockets on both sides', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'splitter-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const [listen, up] = [join(folder, 'in.sock'), join(folder, 'up.sock')];
    // Sizes around those up to which bytes are copied and gathered.
    const sizes = [1, 16_383, 16_384, 16_385, 65_535, 65_537, 131_072, 900_000, 3, 200_000, 7];
    const expected = sizes.map((size, i) => wordsOf(`part ${i}`, size)).join('');
    await startUpstream(async (peer) => {
      peer.keepsTranscript = false;
      peer.socket.pause();
      await turns(60);
      peer.socket.resume();
      const { body } = await peer.request();
      expect(body === expected).toBe(true);
      await peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      for (const [i, size] of sizes.entries())
        await peer.send(`${size.toString(16)}\r\n${wordsOf(`part ${i}`, size)}\r\n`);
      await peer.send('0\r\n\r\n');
    }, up);
    await startSplitter({
      listen: `unix:${listen}`,
      upstreams: { u: { url: `unix:${up}` } },
      routes: [{ upstream: 'u' }],
    });
    const client = await RawClient.connect(listen);
    onTestFinished(() => client.close());
    const chunks = sizes.map((size, i) => `${size.toString(16)}\r\n${wordsOf(`part ${i}`, size)}\r\n`);
    await client.send(request('PUT', '/', 'Transfer-Encoding: chunked'), ...chunks, '0\r\n\r\n');
    client.socket.pause();
    await turns(200);
    client.socket.resume();
    expect((await client.response()).body === expected).toBe(true);
  });

  it('hold up both directions of a tunnel, and get everything in order', async () => {
    const size = 12_000_000;
    const { client, upstream } = await startLine(async (peer) => {
      peer.keepsTranscript = false;
      await peer.untilText('\r\n\r\n');
      peer.pending = '';
      await peer.send(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      );
      peer.socket.pause();
      peer.socket.write(wordsOf('down', size));
    });
    await client.send(request('GET', '/', 'Connection: Upgrade', 'Upgrade: websocket'));
    expect(statusOf(await client.response())).toBe(101);
    client.socket.pause();
    client.socket.write(wordsOf('up', size));
    await turns(300);
    const peer = upstream.peers[0]!;
    expect(Math.max(peer.pending.length, client.pending.length)).toBeLessThan(size);
    client.socket.resume();
    peer.socket.resume();
    await Promise.all([
      client.until(() => client.pending.length >= size, 'all'),
      peer.until(() => peer.pending.length >= size, 'all'),
    ]);
    expect(client.pending === wordsOf('down', size)).toBe(true);
    expect(peer.pending === wordsOf('up', size)).toBe(true);
  });
});

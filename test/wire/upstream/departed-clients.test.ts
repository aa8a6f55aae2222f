// A client that ends its connection (FIN or RST) has gone: its exchange ends at once, with DOWNSTREAM_GONE, and the upstream
// connection is free for others. The same as nginx does; `halfClose: answer` is tested in keep-alive.test.ts.
import { describe, expect, it } from 'vitest';
import { FAULT_CODES } from '../../../src/errors.ts';
import type { RawClient } from '../../support/raw-client.ts';
import { type RunningSplitter, startLine, startSplitter, startUpstream } from '../../support/splitter.ts';

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;
const GONE = FAULT_CODES.indexOf('DOWNSTREAM_GONE');

/** What an exchange leaves: exchanges in flight and waiting, those whose client went, those with another fault. */
function account({ ambassador }: RunningSplitter) {
  const [variant] = [...ambassador.counters.variants()];
  const [upstream] = [...ambassador.counters.upstreams()];
  const faults = variant!.faults.reduce((sum, count) => sum + count, 0);
  return {
    inFlight: variant!.inFlight,
    waiting: upstream!.exchangesWaiting,
    gone: variant!.faults[GONE]!,
    others: faults - variant!.faults[GONE]!,
    ejections: upstream!.ejections,
  };
}

const LEAVE: [string, (client: RawClient) => void][] = [
  ['FIN', (client) => client.end()],
  ['close', (client) => client.close()],
  ['RST', (client) => client.reset()],
];

describe.each(LEAVE)('a client that leaves (%s)', (_, leave) => {
  it('while the upstream works releases the upstream connection, and the address is not to blame', async () => {
    const { client, upstream, splitter } = await startLine(
      async (peer, index) => {
        await peer.request();
        if (index > 0) await peer.ok('quick');
        else await peer.ended;
      },
      {},
      { pool: { maxConnections: 1 }, eject: { failures: 1 } },
    );
    await client.send(get('/slow'));
    await upstream.peer();
    leave(client);
    await upstream.peers[0]!.ended;
    expect((await (await splitter.client()).ask(get('/quick'))).body).toBe('quick');
    expect(account(splitter)).toEqual({ inFlight: 0, waiting: 0, gone: 1, others: 0, ejections: 0 });
  });

  it('in the middle of a response releases the upstream connection', async () => {
    const { client, upstream, splitter } = await startLine(async (peer) => {
      await peer.request();
      await peer.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
      await peer.ended;
    });
    await client.send(get('/'));
    await client.untilText('hello');
    leave(client);
    await (await upstream.peer()).ended;
    expect(account(splitter)).toMatchObject({ inFlight: 0, gone: 1, others: 0 });
  });

  it('in the middle of its upload releases the upstream connection', async () => {
    const { client, upstream, splitter } = await startLine();
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe');
    const peer = await upstream.peer();
    await peer.untilText('he');
    leave(client);
    await peer.ended;
    expect(account(splitter)).toMatchObject({ inFlight: 0, gone: 1, others: 0 });
  });

  it('while it waits for a connection leaves the queue, and what it asked for is never sent', async () => {
    const gate = Promise.withResolvers<void>();
    const { client, upstream, splitter } = await startLine(
      async (peer) => {
        const { line } = await peer.request();
        await gate.promise;
        await peer.ok(line);
        await peer.ok((await peer.request()).line);
      },
      {},
      { pool: { maxConnections: 1 } },
    );
    const first = client.ask(get('/first'));
    await upstream.peer();
    const waiting = await splitter.client();
    await waiting.send(get('/left'));
    expect(account(splitter).waiting).toBe(1);
    leave(waiting);
    await waiting.closed;
    const last = await splitter.client();
    const third = last.ask(get('/third'));
    gate.resolve();
    expect((await first).body).toBe('GET /first HTTP/1.1');
    expect((await third).body).toBe('GET /third HTTP/1.1');
    expect(upstream.lines).toEqual(['GET /first HTTP/1.1', 'GET /third HTTP/1.1']);
    expect(account(splitter)).toEqual({ inFlight: 0, waiting: 0, gone: 1, others: 0, ejections: 0 });
  });

  it('while its connection is being opened is forgotten at once', async () => {
    // One that never answers to the beginning of TLS.
    const upstream = await startUpstream(async (peer) => peer.closed);
    const splitter = await startSplitter({
      upstreams: { u: { url: upstream.url.replace('http:', 'https:') } },
      routes: [{ upstream: 'u' }],
    });
    const client = await splitter.client();
    await client.send(get('/'));
    await upstream.peer();
    expect(account(splitter).inFlight).toBe(1);
    leave(client);
    await client.closed;
    // The splitter may hear of it a turn later than the client's own socket.
    while (account(splitter).inFlight > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(account(splitter)).toEqual({ inFlight: 0, waiting: 0, gone: 1, others: 0, ejections: 0 });
  });
});

describe('a FIN', () => {
  it('in the same segment as the request: the client has gone', async () => {
    const gate = Promise.withResolvers<void>();
    const { client, splitter } = await startLine(async (peer) => {
      await peer.request();
      await gate.promise;
      await peer.ok('late');
    });
    client.socket.end(get('/'));
    expect(await client.ended).toBe('end');
    gate.resolve();
    expect(client.bytesReceived).toBe(0);
    expect(account(splitter)).toMatchObject({ inFlight: 0, gone: 1 });
  });

  it('behind pipelined requests ends all of them', async () => {
    const { client, upstream, splitter } = await startLine(async (peer) => {
      await peer.request();
      await peer.ended;
    });
    await client.send(get('/1') + get('/2'));
    await upstream.peer();
    client.end();
    await client.ended;
    expect(client.bytesReceived).toBe(0);
    expect(account(splitter)).toMatchObject({ inFlight: 0, gone: 1 });
  });

  it('behind an answered request loses no byte of the answer', async () => {
    const body = 'x'.repeat(1_000_000);
    const { client } = await startLine(async (peer) => {
      await peer.request();
      await peer.ok(body);
    });
    const response = client.ask(get('/'));
    await client.untilText('xxx');
    const { length } = (await response).body;
    client.end();
    expect(await client.ended).toBe('end');
    expect(length).toBe(body.length);
  });
});

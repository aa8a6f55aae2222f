// Tunnels and event streams stay for as long as their clients do, so they do not count in pool.maxConnections: they have a
// limit of their own, pool.maxTunnels.
import { describe, expect, it } from 'vitest';
import { statusOf, valuesOf } from '../../support/message.ts';
import type { Peer } from '../../support/scripted-upstream.ts';
import { type RunningSplitter, startLine } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const UPGRADE = 'GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const EVENTS = 'GET /events HTTP/1.1\r\nHost: h\r\n\r\n';
const HI = '5\r\n:hi\n\n\r\n';

const eventsHead = (type: string) =>
  `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n${HI}`;

/** Switches protocols, begins an event stream, which ends when the peer is told to, or answers. */
const script =
  (type = 'text/event-stream') =>
  async (peer: Peer): Promise<void> => {
    for (;;) {
      const { line } = await peer.request();
      if (line.includes('/ws')) {
        await peer.send(SWITCHED);
        await peer.ended;
        peer.end();
        return;
      }
      if (!line.includes('/events')) await peer.ok(line);
      else {
        await peer.send(eventsHead(type));
        await ended;
        await peer.send('0\r\n\r\n');
      }
    }
  };

let endStreams: () => void = () => undefined;
let ended = Promise.resolve();

const start = (pool: object, type?: string) => {
  ended = new Promise((resolve) => {
    endStreams = resolve;
  });
  return startLine(script(type), {}, { pool: { queueTimeout: '100ms', ...pool } });
};

const streams = ({ ambassador }: RunningSplitter) => [...ambassador.counters.upstreams()][0]!.streamsOpen;

async function open(splitter: RunningSplitter, request: string, sign: string) {
  const client = await splitter.client();
  await client.send(request);
  await client.untilText(sign);
  return client;
}

describe.each([
  ['tunnels', UPGRADE, ' 101 '],
  ['event streams', EVENTS, ':hi'],
])('%s', (_, request, sign) => {
  it('leave the pool: more of them than maxConnections are open, and a request is answered', async () => {
    const { client, splitter } = await start({ maxConnections: 1 });
    for (let i = 0; i < 3; i++) await open(splitter, request, sign);
    expect(streams(splitter)).toBe(3);
    expect((await client.ask(GET)).body).toBe('GET / HTTP/1.1');
  });

  it('make room for those that wait', async () => {
    const { client, splitter } = await start({ maxConnections: 1 });
    const first = await splitter.client();
    const [answer] = await Promise.all([first.send(request).then(() => client.ask(GET))]);
    expect(answer!.body).toBe('GET / HTTP/1.1');
  });

  it('are counted out when their clients have gone', async () => {
    const { upstream, splitter } = await start({ maxConnections: 1 });
    const client = await open(splitter, request, sign);
    client.close();
    await (await upstream.peer()).ended;
    while (streams(splitter) > 0) await new Promise((resolve) => setImmediate(resolve));
    const [row] = [...splitter.ambassador.counters.upstreams()];
    while (row!.connectionsOpen > 0) await new Promise((resolve) => setImmediate(resolve));
    expect((await (await splitter.client()).ask(GET)).body).toBe('GET / HTTP/1.1');
  });
});

describe('the limit of tunnels', () => {
  it('answers one more with 503, and plain requests pass', async () => {
    const { client, splitter, upstream } = await start({ maxTunnels: 1 });
    const tunnel = await open(splitter, UPGRADE, ' 101 ');
    const refused = await client.ask(UPGRADE);
    expect(statusOf(refused)).toBe(503);
    expect(valuesOf(refused, 'x-splitter-error')).toEqual(['TUNNELS_EXHAUSTED']);
    expect((await client.ask(GET)).body).toBe('GET / HTTP/1.1');
    expect(upstream.lines).toEqual(['GET /ws HTTP/1.1', 'GET / HTTP/1.1']);
    tunnel.close();
    await upstream.peers[0]!.ended;
    while (streams(splitter) > 0) await new Promise((resolve) => setImmediate(resolve));
    await open(splitter, UPGRADE, ' 101 ');
  });

  it('holds when several are opened at once', async () => {
    const gate = Promise.withResolvers<void>();
    const { splitter, upstream } = await startLine(
      async (peer) => {
        await peer.request();
        await gate.promise;
        await peer.send(SWITCHED);
      },
      {},
      { pool: { maxTunnels: 1 } },
    );
    const clients = await Promise.all([splitter.client(), splitter.client()]);
    const answers = clients.map((client) => client.ask(UPGRADE));
    await upstream.peer(1);
    gate.resolve();
    expect((await Promise.all(answers)).map(statusOf).sort()).toEqual([101, 503]);
    expect(streams(splitter)).toBe(1);
  });

  it('0 refuses every tunnel', async () => {
    const { client } = await start({ maxTunnels: 0 });
    expect(statusOf(await client.ask(UPGRADE))).toBe(503);
  });

  it('leaves one more event stream in the pool', async () => {
    const { client, splitter } = await start({ maxConnections: 1, maxTunnels: 1 });
    await open(splitter, EVENTS, ':hi');
    await open(splitter, EVENTS, ':hi');
    expect(streams(splitter)).toBe(1);
    expect(statusOf(await client.ask(GET))).toBe(503);
  });
});

describe('an event stream', () => {
  it('that has ended gives its connection back to the pool', async () => {
    const { client, splitter, upstream } = await start({ maxConnections: 1 });
    const reader = await splitter.client();
    const events = reader.ask(EVENTS);
    await reader.untilText(':hi');
    endStreams();
    expect((await events).body).toBe(':hi\n\n');
    expect(streams(splitter)).toBe(0);
    expect((await client.ask(GET)).body).toBe('GET / HTTP/1.1');
    expect(upstream.peers).toHaveLength(1);
  });

  it('that has ended while the pool is full closes its connection', async () => {
    const { client, splitter, upstream } = await start({ maxConnections: 1 });
    const reader = await splitter.client();
    const events = reader.ask(EVENTS);
    await reader.untilText(':hi');
    expect((await client.ask(GET)).body).toBe('GET / HTTP/1.1');
    endStreams();
    await events;
    await upstream.peers[0]!.ended;
    expect((await client.ask(GET)).body).toBe('GET / HTTP/1.1');
    expect(upstream.peers).toHaveLength(2);
  });

  it.each(['text/event-stream; charset=utf-8', 'Text/Event-Stream'])(
    'is one by any spelling: %s',
    async (type) => {
      const { splitter } = await start({}, type);
      await open(splitter, EVENTS, ':hi');
      expect(streams(splitter)).toBe(1);
    },
  );

  it.each(['text/plain', 'text/event-streams', 'text/event'])('is nothing else: %s', async (type) => {
    const { splitter } = await start({}, type);
    await open(splitter, EVENTS, ':hi');
    expect(streams(splitter)).toBe(0);
  });
});

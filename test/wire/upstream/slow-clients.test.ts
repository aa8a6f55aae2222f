// A full pool does not wait for slow clients: while others wait for a connection, connections that wait for their client
// alone do not count in pool.maxConnections, up to pool.maxHeld. Beyond that clients without progress are cut off.
import { describe, expect, it } from 'vitest';
import type { UpstreamEvent } from '../../../src/upstream/report.ts';
import { type Message, statusOf, valuesOf } from '../../support/message.ts';
import type { Peer } from '../../support/scripted-upstream.ts';
import { type RunningSplitter, startLine, startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const BIG = 'GET /big HTTP/1.1\r\nHost: h\r\n\r\n';
const UPLOAD = 'POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nx';
const REST = Buffer.alloc(999_999, 'x');
/** More than the kernel and the response buffer take for two sockets that nobody reads. */
const BLOCKS = 400;
const BLOCK = Buffer.alloc(65_536, 'x');

async function serve(peer: Peer): Promise<void> {
  for (;;) {
    const { line } = await peer.request();
    if (!line.includes('/big')) {
      await peer.ok(line);
      continue;
    }
    await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${BLOCKS * BLOCK.length}\r\n\r\n`);
    for (let i = 0; i < BLOCKS && peer.ending === null; i++) await peer.send(BLOCK);
  }
}

const start = (pool: object) => startLine(serve, {}, { pool: { queueTimeout: '20s', ...pool } });

const upstreamOf = ({ ambassador }: RunningSplitter) => [...ambassador.counters.upstreams()][0]!;

async function begin(splitter: RunningSplitter, request: string) {
  const client = await splitter.client();
  client.countOnly();
  if (request === BIG) client.socket.pause();
  await client.send(request);
  return client;
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}

/** Nothing is in flight, nothing waits, nothing is held or buffered. */
async function isQuiet({ ambassador }: RunningSplitter): Promise<void> {
  const [variant] = [...ambassador.counters.variants()];
  const [row] = [...ambassador.counters.upstreams()];
  const { downstream } = ambassador.counters;
  await until(
    () => variant!.inFlight === 0 && row!.connectionsOpen === 0 && downstream.connectionsOpen === 0,
  );
  expect(row).toMatchObject({ exchangesWaiting: 0, streamsOpen: 0, connectionsHeld: 0 });
  expect(downstream).toMatchObject({ tunnelsOpen: 0, responseBytesBuffered: 0 });
}

describe.each([
  ['uploads that do not come', UPLOAD],
  ['responses that are not read', BIG],
])('%s', (_, request) => {
  it('do not hold a full pool while others wait, and end well when their clients go on', async () => {
    const { client, splitter, upstream } = await start({ maxConnections: 2, idleTimeout: '50ms' });
    const slow = [await begin(splitter, request), await begin(splitter, request)];
    await upstream.peer(1);
    expect((await client.ask(GET)).body).toBe('GET / HTTP/1.1');
    expect(upstreamOf(splitter).connectionsHeld).toBeGreaterThan(0);
    for (const one of slow) {
      one.socket.resume();
      if (request === UPLOAD) await one.send(REST);
    }
    const wanted = request === BIG ? BLOCKS * BLOCK.length : 1;
    for (const one of slow) await until(() => one.bytesReceived > wanted);
    for (const one of [client, ...slow]) one.close();
    await isQuiet(splitter);
    expect([...splitter.ambassador.counters.variants()][0]!.faults.some((count) => count > 0)).toBe(false);
  });

  it('are cut off, the slowest first, when maxHeld is used up too', async () => {
    const { client, splitter, upstream } = await start({
      maxConnections: 1,
      maxHeld: 1,
      idleTimeout: '50ms',
    });
    const slow = [await begin(splitter, request)];
    await upstream.peer(0);
    slow.push(await begin(splitter, request));
    await upstream.peer(1);
    expect((await client.ask(GET)).body).toBe('GET / HTTP/1.1');
    const faults = [...splitter.ambassador.counters.variants()][0]!.faults;
    expect(faults.reduce((sum, count) => sum + count, 0)).toBe(1);
    client.close();
    for (const one of slow) one.reset();
    await isQuiet(splitter);
  });

  it('count as all others where maxHeld is 0', async () => {
    const { client, splitter, upstream } = await start({
      maxConnections: 1,
      maxHeld: 0,
      queueTimeout: '1500ms',
      idleTimeout: '50ms',
    });
    const slow = await begin(splitter, request);
    await upstream.peer(0);
    const answer = await client.ask(GET);
    expect(valuesOf(answer, 'x-splitter-error')).toEqual(['QUEUE_TIMEOUT']);
    expect(upstream.peers[0]!.ending).toBeNull();
    slow.reset();
    client.close();
    await isQuiet(splitter);
  });
});

it('a client that is cut off for others reads 408 and CLIENT_TOO_SLOW; one that is slow but moves is not cut off', async () => {
  const { client, splitter, upstream } = await start({ maxConnections: 1, maxHeld: 1 });
  const silent = await splitter.client();
  await silent.send(UPLOAD);
  await upstream.peer(0);
  const moving = await splitter.client();
  const sent = moving.send(UPLOAD);
  let isOver = false;
  const answer = silent.response().then((response: Message) => {
    isOver = true;
    return response;
  });
  await sent;
  const asked = client.ask(GET);
  // Some 2 KB a second: far below what frees the pool, far above nothing.
  while (!isOver) {
    await moving.send(Buffer.alloc(100, 'x'));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(statusOf(await answer)).toBe(408);
  expect(valuesOf(await answer, 'x-splitter-error')).toEqual(['CLIENT_TOO_SLOW']);
  expect((await asked).body).toBe('GET / HTTP/1.1');
  expect(moving.ending).toBeNull();
});

it('a queue of length 0 is no reason to leave the pool to slow clients', async () => {
  const { client, splitter, upstream } = await start({ maxConnections: 1, maxQueued: 0 });
  await begin(splitter, UPLOAD);
  await upstream.peer(0);
  let answer = await client.ask(GET);
  expect(valuesOf(answer, 'x-splitter-error')).toEqual(['QUEUE_FULL']);
  while (statusOf(answer) !== 200) answer = await client.ask(GET);
  expect(upstreamOf(splitter).connectionsHeld).toBe(1);
});

it('a pool that is exhausted is logged once, with what fills it and what to do, and counted', async () => {
  const events: UpstreamEvent[] = [];
  const logged = Promise.withResolvers<void>();
  const upstream = await startUpstream(async (peer) => {
    await peer.request();
    await peer.closed;
  });
  const splitter = await startSplitter(
    {
      upstreams: { u: { url: upstream.url, pool: { maxConnections: 2, queueTimeout: '20s' } } },
      routes: [{ upstream: 'u' }],
    },
    {
      onUpstreamEvent: (event) => {
        events.push(event);
        logged.resolve();
      },
    },
  );
  for (let i = 0; i < 4; i++) await begin(splitter, GET);
  await logged.promise;
  expect(events).toEqual([
    {
      msg: 'pool exhausted',
      upstream: 'u',
      connections: 2,
      longRunning: 0,
      slowClients: 0,
      held: 0,
      waiting: 2,
      remedy:
        'the upstream is slower than its requests arrive: raise pool.maxConnections if it can handle more at once',
    },
  ]);
  expect(upstreamOf(splitter).exhaustions).toBe(1);
});

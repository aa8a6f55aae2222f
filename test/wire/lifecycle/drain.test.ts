// Going away in order: what was accepted is answered, idle connections close, nothing new is taken after the grace
// time, and what never ends is cut at the deadline. Source: RFC 9112 §9.6.

import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { statusOf, valuesOf } from '../../support/message.ts';
import { startLine } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const drain = (grace: string, deadline: string) => ({ drain: { grace, deadline } });

describe('a drain', () => {
  it('with nothing under way ends at once', async () => {
    const { ambassador, client } = await startLine(undefined, drain('0ms', '10s'));
    expect(await ambassador.drain()).toBe('drained');
    expect(await client.ended).toBe('end');
    expect(ambassador.state).toBe('stopped');
  });

  it('closes idle connections, the one that has served and the one that never did', async () => {
    const { ambassador, client, splitter } = await startLine(undefined, drain('0ms', '10s'));
    await client.ask(GET);
    const silent = await splitter.client();
    // Answered behind the silent one's accept: now both are known.
    await client.ask(GET);
    const drained = ambassador.drain();
    expect(await client.ended).toBe('end');
    expect(await silent.ended).toBe('end');
    client.close();
    silent.close();
    expect(await drained).toBe('drained');
  });

  it('serves during the grace time, on old and new connections, and says that they close', async () => {
    const { ambassador, client, splitter } = await startLine(undefined, drain('1s', '20s'));
    await client.ask(GET);
    const drained = ambassador.drain();
    expect(ambassador.state).toBe('draining');
    const fresh = await splitter.client();
    for (const one of [client, fresh]) {
      const response = await one.ask(GET);
      expect(statusOf(response)).toBe(200);
      expect(valuesOf(response, 'connection')).toEqual(['close']);
      expect(await one.ended).toBe('end');
      one.close();
    }
    expect(await drained).toBe('drained');
  });

  it.each(['0ms', '1s'])(
    'answers requests that were sent ahead, the last one with close, grace %s',
    async (grace) => {
      const gate = Promise.withResolvers<void>();
      const arrived = Promise.withResolvers<void>();
      const { ambassador, client } = await startLine(
        async (peer) => {
          for (let answered = 0; answered < 3; answered++) {
            await peer.request();
            arrived.resolve();
            await gate.promise;
            await peer.ok(`answer ${answered}`);
          }
        },
        drain(grace, '20s'),
      );
      await client.send(GET.repeat(3));
      await arrived.promise;
      const drained = ambassador.drain();
      gate.resolve();
      for (const [number, connection] of [[], [], ['close']].entries()) {
        const response = await client.response();
        expect(response.body).toBe(`answer ${number}`);
        expect(valuesOf(response, 'connection')).toEqual(connection);
      }
      expect(await client.ended).toBe('end');
      client.close();
      expect(await drained).toBe('drained');
    },
  );

  it('waits for an exchange that is under way, and its answer arrives whole', async () => {
    const gate = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const { ambassador, client, splitter } = await startLine(
      async (peer) => {
        await peer.request();
        arrived.resolve();
        await peer.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello');
        await gate.promise;
        await peer.send('world');
      },
      drain('0ms', '20s'),
    );
    await client.send(GET);
    await arrived.promise;
    await client.untilText('hello');
    const { port } = splitter;
    const drained = ambassador.drain();
    const idle = connect(port, '127.0.0.1');
    // Either refused, or accepted and ended: after the grace time nobody is served any more.
    idle.on('error', () => idle.destroy()).resume();
    await new Promise<void>((resolve) => idle.on('close', () => resolve()));
    gate.resolve();
    expect((await client.response()).body).toBe('helloworld');
    await client.ended;
    client.close();
    expect(await drained).toBe('drained');
  });

  it('lets an upload end that has begun', async () => {
    const { ambassador, client, upstream } = await startLine(undefined, drain('0ms', '20s'));
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello');
    await (await upstream.peer()).untilText('hello');
    const drained = ambassador.drain();
    const response = await client.ask('world');
    expect(statusOf(response)).toBe(200);
    expect(upstream.requests[0]!.body).toBe('helloworld');
    await client.ended;
    client.close();
    expect(await drained).toBe('drained');
  });

  it('cuts at the deadline what never ends, and says so', async () => {
    const { ambassador, client, upstream } = await startLine(
      async (peer) => {
        await peer.request();
        await peer.ended;
      },
      drain('0ms', '100ms'),
    );
    await client.send(GET);
    await upstream.peer();
    expect(await ambassador.drain()).toBe('deadline');
    await client.ended;
    await upstream.peers[0]!.ended;
  });

  it('loses none of many requests that arrive while it begins', async () => {
    const { ambassador, splitter, upstream } = await startLine(undefined, drain('20s', '60s'));
    const asking = Array.from({ length: 40 }, async (_, i) => {
      const client = await splitter.client();
      let count = 0;
      for (;;) {
        const response = await client.ask(`GET /${i}/${count} HTTP/1.1\r\nHost: h\r\n\r\n`);
        expect(response.body).toBe(`GET /${i}/${count} HTTP/1.1`);
        count++;
        if (valuesOf(response, 'connection').includes('close')) {
          await client.ended;
          client.close();
          return count;
        }
        if (i === 0 && count === 3) void ambassador.drain();
      }
    });
    const counts = await Promise.all(asking);
    expect(upstream.requests).toHaveLength(counts.reduce((sum, count) => sum + count, 0));
  });
});

describe('a stop', () => {
  it('ends everything at once', async () => {
    const { ambassador, client, upstream } = await startLine(async (peer) => {
      await peer.request();
      await peer.ended;
    });
    await client.send(GET);
    const peer = await upstream.peer();
    await ambassador.stop();
    await client.ended;
    await peer.ended;
    expect(ambassador.state).toBe('stopped');
  });
});

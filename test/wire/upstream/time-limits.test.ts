// Every wait has a limit: a slow or silent client and a slow or silent upstream each end with their own code. Time is
// the test's own clock, so the limits are the ones that a user has.
import { describe, expect, it } from 'vitest';
import { FAULTS, type FaultCode } from '../../../src/errors.ts';
import { Clock } from '../../support/clock.ts';
import { type Message, statusOf, valuesOf } from '../../support/message.ts';
import { startLine } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

/** A line whose time the test moves. */
async function start(...args: Parameters<typeof startLine>) {
  const clock = Clock.stop();
  return { clock, ...(await startLine(...args)) };
}

/** A limit of so many seconds was met: not before it, and within the interval at which limits are looked at. */
function isAfter(seconds: number, elapsedMs: number): void {
  expect(elapsedMs).toBeGreaterThanOrEqual(seconds * 1000);
  expect(elapsedMs).toBeLessThan(seconds * 1000 + 250);
}

function isFault(response: Message, code: FaultCode): void {
  expect(statusOf(response)).toBe(FAULTS[code].status);
  expect(valuesOf(response, 'x-splitter-error')).toEqual([code]);
}

describe('a client that is slow', () => {
  it.each(['G', 'GET / HTTP/1.1\r\n', 'GET / HTTP/1.1\r\nHost: h\r\n', '\r\n'])(
    'with its head (%j): 408, and the connection closes',
    async (part) => {
      const { clock, client, upstream } = await start();
      await client.send(part);
      const answered = client.response();
      isAfter(10, await clock.passUntil(answered));
      const response = await answered;
      isFault(response, 'HEAD_TIMEOUT');
      expect(valuesOf(response, 'connection')).toEqual(['close']);
      await client.ended;
      expect(upstream.peers).toHaveLength(0);
    },
  );

  it('with a head that drips in: every byte is progress, and the whole is too late all the same', async () => {
    const { clock, client } = await start();
    const response = client.response();
    await client.send('GET / HTTP/1.1\r\nHost: h\r\nA: ');
    const from = clock.now;
    while (client.bytesReceived === 0) {
      await client.send('a');
      await clock.advance(100);
    }
    isAfter(10, clock.now - from);
    isFault(await response, 'HEAD_TIMEOUT');
  });

  it('with the head of its second request: 408', async () => {
    const { clock, client } = await start();
    await client.ask(GET);
    await client.send('GET /2');
    const answered = client.response();
    isAfter(10, await clock.passUntil(answered));
    isFault(await answered, 'HEAD_TIMEOUT');
  });

  it('with nothing to say: its connection closes without a word', async () => {
    const { clock, client } = await start();
    isAfter(75, await clock.passUntil(client.ended));
    expect(await client.ended).toBe('end');
    expect(client.bytesReceived).toBe(0);
  });

  it('with nothing more to say: the same', async () => {
    const { clock, client } = await start();
    await clock.advance(60_000);
    await client.ask(GET);
    isAfter(75, await clock.passUntil(client.ended));
    expect(await client.ended).toBe('end');
    expect(client.pending).toBe('');
  });

  it.each([
    ['a length', 'Content-Length: 10\r\n\r\nhello'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
    ['chunks, in the middle of one', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhel'],
    ['no byte of it', 'Content-Length: 10\r\n\r\n'],
  ])('with its body (%s): 408, and the upstream is let go', async (_, rest) => {
    const { clock, client, upstream } = await start();
    await client.send(`POST / HTTP/1.1\r\nHost: h\r\n${rest}`);
    await upstream.peer();
    const answered = client.response();
    isAfter(60, await clock.passUntil(answered));
    const response = await answered;
    isFault(response, 'BODY_TIMEOUT');
    expect(valuesOf(response, 'connection')).toEqual(['close']);
    await client.ended;
    await (await upstream.peer()).ended;
    expect(upstream.requests).toEqual([]);
  });

  it('with a body that drips in below the least rate: 408, though every byte is in time', async () => {
    const { client, upstream } = await startLine(undefined, {
      timeouts: { requestBody: '200ms' },
      limits: { minimumRate: '1GiB' },
    });
    let isOver = false;
    const response = client.response().finally(() => {
      isOver = true;
    });
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n');
    for (let i = 0; !isOver && i < 99_999; i++) await client.send('x');
    isFault(await response, 'BODY_TIMEOUT');
    await (await upstream.peer()).ended;
    expect(upstream.requests).toEqual([]);
  });

  it('to read, but reads on above the least rate: all of the response arrives, later than timeouts.write', async () => {
    const body = 24 * 1024 * 1024;
    const { client } = await startLine(
      async (peer) => {
        await peer.request();
        await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body}\r\n\r\n`, Buffer.alloc(body));
      },
      { timeouts: { write: '1s' }, limits: { responseBuffer: '64MiB', responseBuffers: '64MiB' } },
    );
    client.countOnly();
    const { socket } = client;
    // Time passes with what is read: 8 ms for each piece, and none while a busy machine keeps both waiting.
    const clock = Clock.stop();
    socket.on('data', () => {
      socket.pause();
      void clock.advance(8).then(() => socket.resume());
    });
    const begunAt = clock.now;
    await client.send('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    expect(await client.ended).toBe('end');
    expect(client.bytesReceived).toBeGreaterThan(body);
    expect(clock.now - begunAt).toBeGreaterThan(1500);
  });

  it('to read: its connection is cut, and the upstream is let go', async () => {
    const { clock, client, upstream } = await start(
      async (peer) => {
        await peer.request();
        await peer.send('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n');
        // More than all kernel buffers take; ends with the connection.
        for (let i = 0; i < 1500 && peer.ending === null; i++) await peer.send(Buffer.alloc(65_536));
      },
      // No client is asked for a pace here: the silence alone is what counts.
      {},
    );
    client.socket.pause();
    await client.send(GET);
    const peer = await upstream.peer();
    await clock.passUntil(peer.ended);
    client.socket.resume();
    await client.ended;
    expect(client.bytesReceived).toBeLessThan(100_000_000);
  });
});

describe('an upstream that is silent', () => {
  it('before its response: 504, and its connection is not used again', async () => {
    const { clock, client, upstream } = await start(async (peer, index) => {
      await peer.request();
      if (index > 0) await peer.ok('second');
      else await peer.ended;
    });
    const answered = client.ask(GET);
    isAfter(60, await clock.passUntil(answered));
    isFault(await answered, 'UPSTREAM_RESPONSE_TIMEOUT');
    expect(await upstream.peers[0]!.ended).toBeDefined();
    expect((await client.ask(GET)).body).toBe('second');
  });

  it.each(['HTTP/1.1 200 OK\r\nA: ', 'HTTP/1.1 103 Early Hints\r\n\r\n'])('behind %j: 504', async (part) => {
    const { clock, client } = await start(async (peer) => {
      await peer.request();
      await peer.send(part);
      await peer.ended;
    });
    await client.send(GET);
    if (part.includes('103')) expect(statusOf(await client.response())).toBe(103);
    const answered = client.response();
    isAfter(60, await clock.passUntil(answered));
    isFault(await answered, 'UPSTREAM_RESPONSE_TIMEOUT');
  });

  it('behind the whole body of a client: 504, not 408', async () => {
    const { clock, client } = await start(
      async (peer) => {
        await peer.request();
        await peer.ended;
      },
      { timeouts: { requestBody: '5s' } },
      { responseTimeout: '12s' },
    );
    const answered = client.ask('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab');
    isAfter(12, await clock.passUntil(answered));
    isFault(await answered, 'UPSTREAM_RESPONSE_TIMEOUT');
  });

  const EXPECT = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n';

  it.each([
    ['', ''],
    [' although Connection names Expect', 'Connection: expect\r\n'],
    [' although the upstream has asked for it', ''],
  ])(
    'for a client that never sends the body it announced%s: 408, no failure of the address',
    async (what, fields) => {
      const asks = what.includes('asked');
      const { clock, client, ambassador } = await start(
        async (peer) => {
          await peer.untilText('\r\n\r\n');
          if (asks) await peer.send('HTTP/1.1 100 Continue\r\n\r\n');
          await peer.ended;
        },
        { timeouts: { requestBody: '20s' } },
        { responseTimeout: '5s', eject: { failures: 1 } },
      );
      await client.send(`${EXPECT}${fields}\r\n`);
      if (asks) expect(statusOf(await client.response())).toBe(100);
      const answered = client.response();
      isAfter(20, await clock.passUntil(answered));
      isFault(await answered, 'BODY_TIMEOUT');
      expect(ambassador.generation.upstreams.get('u')!.trouble).toBeNull();
    },
  );

  it('after the body that was held back for 100-continue: 504', async () => {
    const { clock, client } = await start(async (peer) => peer.ended.then(() => undefined), {
      timeouts: { requestBody: '1h' },
    });
    await client.send(`${EXPECT}\r\n`, 'hi');
    const answered = client.response();
    isAfter(60, await clock.passUntil(answered));
    isFault(await answered, 'UPSTREAM_RESPONSE_TIMEOUT');
  });

  it.each([
    ['a length', 'Content-Length: 10\r\n\r\nhello', /\r\n\r\nhello$/],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', /\r\n\r\n5\r\nhello\r\n$/],
    ['nothing but the end of its connection', '\r\nhello', /\r\n\r\n5\r\nhello\r\n$/],
  ])('in the middle of a body with %s: the client is cut as well', async (_, answer, seen) => {
    const { clock, client, upstream } = await start(async (peer) => {
      await peer.request();
      await peer.send(`HTTP/1.1 200 OK\r\n${answer}`);
      await peer.ended;
    });
    await client.send(GET);
    await client.untilText('hello');
    isAfter(60, await clock.passUntil(client.ended));
    expect(client.pending).toMatch(seen);
    await upstream.peers[0]!.ended;
  });

  it('while it does not read the body: 504', async () => {
    const { clock, client } = await start(async (peer) => {
      peer.socket.pause();
      await peer.closed;
    });
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n');
    const response = client.response();
    const part = Buffer.alloc(65_536);
    for (let i = 0; i < 1500 && client.ending === null && client.bytesReceived === 0; i++) {
      await Promise.race([client.send(part), response, clock.advance(100)]);
    }
    await clock.passUntil(response);
    isFault(await response, 'UPSTREAM_RESPONSE_TIMEOUT');
  });
});

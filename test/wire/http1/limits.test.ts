// What a request may be at most, how many clients and exchanges there may be at once: reaching a limit is an answer
// with its own code, never a hang.
import { describe, expect, it } from 'vitest';
import { FAULTS, type FaultCode } from '../../../src/errors.ts';
import { type Message, statusOf, valuesOf } from '../../support/message.ts';
import type { Script } from '../../support/scripted-upstream.ts';
import { startLine } from '../../support/splitter.ts';
import { isTls } from '../../support/tls-mode.ts';

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;

function isFault(response: Message, code: FaultCode): void {
  expect(statusOf(response)).toBe(FAULTS[code].status);
  expect(valuesOf(response, 'x-splitter-error')).toEqual([code]);
}

describe('a head that is too large', () => {
  it.each([
    ['a request line over 8 KiB', `GET /${'a'.repeat(8192)} HTTP/1.1\r\nHost: h\r\n\r\n`, 'TARGET_TOO_LONG'],
    ['a request line that never ends', `GET /${'a'.repeat(9000)}`, 'TARGET_TOO_LONG'],
    [
      'over 32 KiB of fields',
      `GET / HTTP/1.1\r\nHost: h\r\nA: ${'a'.repeat(33_000)}\r\n\r\n`,
      'HEAD_TOO_LARGE',
    ],
    ['a field that never ends', `GET / HTTP/1.1\r\nHost: h\r\nA: ${'a'.repeat(40_000)}`, 'HEAD_TOO_LARGE'],
    ['over 100 fields', `GET / HTTP/1.1\r\nHost: h\r\n${'A: b\r\n'.repeat(100)}\r\n`, 'HEAD_TOO_LARGE'],
  ] as const)('%s is refused, and the connection closes', async (_, request, code) => {
    const { client, upstream } = await startLine();
    isFault(await client.ask(request), code);
    await client.ended;
    expect(upstream.peers).toHaveLength(0);
  });

  it('just below is served', async () => {
    const { client, upstream } = await startLine(undefined, { forwarded: 'keep' });
    const fields = `${'A: b\r\n'.repeat(90)}B: ${'b'.repeat(30_000)}\r\n`;
    const response = await client.ask(`GET /${'a'.repeat(8192 - 16)} HTTP/1.1\r\nHost: h\r\n${fields}\r\n`);
    expect(statusOf(response)).toBe(200);
    expect(upstream.requests[0]!.fields).toHaveLength(92);
  });
});

describe('limits of heads that were raised', () => {
  const LIMITS = { requestLine: '64KiB', requestHead: '1MiB', requestFields: 10_000 };
  const raised = (script?: Script) =>
    startLine(
      script,
      { forwarded: 'remove', limits: LIMITS },
      { limits: { responseHead: '1MiB', responseFields: 10_000 } },
    );
  /** A head of nearly 1 MiB in 5,000 fields. */
  const FIELDS = Array.from({ length: 5000 }, (_, i) => `X-${i}: ${'v'.repeat(190)}\r\n`).join('');

  it('take a URL of 60 KiB, a cookie of 500 KiB, 5,000 fields, and send them on unchanged', async () => {
    for (const request of [
      get(`/?q=${'x'.repeat(60_000)}`),
      `GET / HTTP/1.1\r\nHost: h\r\nCookie: s=${'y'.repeat(500_000)}\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: h\r\n${FIELDS}\r\n`,
    ]) {
      const { client, upstream } = await raised();
      expect(statusOf(await client.ask(request))).toBe(200);
      expect(upstream.transcript).toBe(request);
      // The connection goes on, and what is behind such a head is the next request.
      await client.ask(request + get('/next'));
      await client.response();
      expect(upstream.lines.at(-1)).toBe('GET /next HTTP/1.1');
    }
  });

  it('take a head that comes in small pieces, with a body and the next request behind it', async () => {
    const { client, upstream } = await raised();
    const head = `POST / HTTP/1.1\r\nHost: h\r\n${FIELDS}Content-Length: 5\r\n\r\n`;
    const stream = `${head}hello${get('/next')}`;
    const pieces = Array.from({ length: Math.ceil(stream.length / 10_007) }, (_, i) =>
      stream.slice(i * 10_007, (i + 1) * 10_007),
    );
    await client.ask(...pieces);
    await client.response();
    expect(upstream.transcript).toBe(`${head}hello${get('/next')}`);
  });

  it('take a response head of that size, in one piece and in many', async () => {
    const answer = `HTTP/1.1 200 OK\r\n${FIELDS}Content-Length: 5\r\n\r\nhello`;
    const pieces = Array.from({ length: Math.ceil(answer.length / 10_007) }, (_, i) =>
      answer.slice(i * 10_007, (i + 1) * 10_007),
    );
    for (const sent of [[answer], pieces]) {
      const { client } = await raised(async (peer) => {
        await peer.request();
        await peer.send(...sent);
      });
      const { fields, body } = await client.ask(get('/'));
      expect(fields.filter(([name]) => name.startsWith('X-'))).toHaveLength(5000);
      expect(body).toBe('hello');
    }
  });

  it('refuse what is above them, and say which limit it was', async () => {
    const over: [string, FaultCode, string][] = [
      [get(`/${'x'.repeat(70_000)}`), 'TARGET_TOO_LONG', 'limits.requestLine (65536 bytes)'],
      [
        `GET / HTTP/1.1\r\nA: ${'b'.repeat(1_100_000)}`,
        'HEAD_TOO_LARGE',
        'limits.requestHead (1048576 bytes)',
      ],
      [`GET / HTTP/1.1\r\n${'A: b\r\n'.repeat(10_001)}`, 'HEAD_TOO_LARGE', 'limits.requestFields (10000)'],
    ];
    for (const [request, code, limit] of over) {
      const { client } = await raised();
      const response = await client.ask(request);
      isFault(response, code);
      expect(response.body).toContain(limit);
    }
  });
});

describe('limits of heads that were lowered', () => {
  it('refuse what the default takes', async () => {
    const limits = { requestLine: '1KiB', requestHead: '2KiB', requestFields: 10 };
    for (const [request, code] of [
      [get(`/${'x'.repeat(1100)}`), 'TARGET_TOO_LONG'],
      [`GET / HTTP/1.1\r\nHost: h\r\nA: ${'b'.repeat(2100)}\r\n\r\n`, 'HEAD_TOO_LARGE'],
      [`GET / HTTP/1.1\r\nHost: h\r\n${'A: b\r\n'.repeat(10)}\r\n`, 'HEAD_TOO_LARGE'],
    ] as const) {
      const { client } = await startLine(undefined, { limits });
      isFault(await client.ask(request), code);
    }
  });

  it('of a response: 502, and the address is to blame', async () => {
    for (const fields of ['A: b\r\n'.repeat(11), `A: ${'b'.repeat(1100)}\r\n`]) {
      const { client } = await startLine(
        async (peer) => {
          await peer.request();
          await peer.send(`HTTP/1.1 200 OK\r\n${fields}\r\n`);
        },
        {},
        { limits: { responseHead: '1KiB', responseFields: 10 } },
      );
      isFault(await client.ask(get('/')), 'UPSTREAM_HEAD_TOO_LARGE');
    }
  });
});

describe('limits.requestBody', () => {
  const limited = (script?: Script) => startLine(script, { limits: { requestBody: '8B' } });

  it('refuses a larger Content-Length before a byte goes upstream', async () => {
    const { client, upstream } = await limited();
    const response = await client.ask('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n');
    isFault(response, 'BODY_TOO_LARGE');
    expect(valuesOf(response, 'connection')).toEqual(['close']);
    await client.ended;
    expect(upstream.peers).toHaveLength(0);
  });

  it('cuts a chunked body that grows beyond it, and the upstream sees no end of it', async () => {
    const { client, upstream } = await limited();
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    const peer = await upstream.peer();
    await peer.untilText('hello');
    isFault(await client.ask('5\r\nworld\r\n0\r\n\r\n'), 'BODY_TOO_LARGE');
    await client.ended;
    await peer.ended;
    expect(peer.transcript).not.toContain('0\r\n\r\n');
  });

  it('lets a body of exactly that size through, with a length and chunked', async () => {
    const { client, upstream } = await limited();
    await client.ask('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n12345678');
    await client.ask(
      'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n',
    );
    expect(upstream.requests.map(({ body }) => body)).toEqual(['12345678', '12345678']);
  });
});

describe('limits.connections', () => {
  it('turns the next client away with 503, and takes one again when one has left', async () => {
    const { splitter, client } = await startLine(undefined, { limits: { connections: 2 } });
    await client.ask(get('/1'));
    const second = await splitter.client();
    await second.ask(get('/2'));
    // Over TLS nothing can be said before a handshake, which would cost more than the client that it is about.
    if (isTls()) await expect(splitter.client()).rejects.toThrow();
    else {
      const third = await splitter.client();
      isFault(await third.response(), 'CONNECTIONS_EXHAUSTED');
      await third.ended;
    }
    second.close();
    // Until the splitter has seen that, the next one may be turned away as well.
    let status = 503;
    while (status === 503) {
      status = await splitter
        .client()
        .then((next) => next.ask(get('/next')))
        .then(statusOf, () => 503);
    }
    expect(status).toBe(200);
  });
});

describe("an upstream's pool", () => {
  /** An upstream that answers when it is told to. */
  function gated(pool: Record<string, unknown>) {
    const gate = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    const script: Script = async (peer) => {
      for (;;) {
        const { line } = await peer.request();
        arrived.resolve();
        await gate.promise;
        await peer.ok(line);
      }
    };
    return { script, settings: { pool }, open: gate.resolve, arrived: arrived.promise };
  }

  it('with one connection serves all clients over it, one after the other, in order of arrival', async () => {
    const { script, settings, open, arrived } = gated({ maxConnections: 1 });
    const { splitter, upstream } = await startLine(script, {}, settings);
    const clients = [];
    for (let i = 0; i < 5; i++) {
      const client = await splitter.client();
      await client.send(get(`/${i}`));
      clients.push(client);
      if (i === 0) await arrived;
    }
    open();
    for (const [i, client] of clients.entries()) {
      expect((await client.response()).body).toBe(`GET /${i} HTTP/1.1`);
    }
    expect(upstream.peers).toHaveLength(1);
    expect(upstream.lines).toEqual(clients.map((_, i) => `GET /${i} HTTP/1.1`));
  });

  it('whose queue is full answers 503 at once', async () => {
    const { script, settings, open, arrived } = gated({ maxConnections: 1, maxQueued: 1 });
    const { splitter, client } = await startLine(script, {}, settings);
    await client.send(get('/served'));
    await arrived;
    const second = await splitter.client();
    await second.send(get('/waits'));
    const third = await splitter.client();
    // A connection of the second client's own tells that its request, sent before, is in the queue.
    isFault(await third.ask(get('/refused')), 'QUEUE_FULL');
    open();
    expect((await client.response()).body).toBe('GET /served HTTP/1.1');
    expect((await second.response()).body).toBe('GET /waits HTTP/1.1');
    // A refusal is an answer like others: the connection lives on.
    expect((await third.ask(get('/again'))).body).toBe('GET /again HTTP/1.1');
  });

  it('whose queue is too slow answers 503 after queueTimeout, and the request is never sent', async () => {
    const { script, settings, open, arrived } = gated({ maxConnections: 1, queueTimeout: '60ms' });
    const { splitter, client, upstream } = await startLine(script, {}, settings);
    await client.send(get('/served'));
    await arrived;
    const second = await splitter.client();
    isFault(await second.ask(get('/waits')), 'QUEUE_TIMEOUT');
    open();
    await client.response();
    expect((await second.ask(get('/again'))).body).toBe('GET /again HTTP/1.1');
    expect(upstream.lines).toEqual(['GET /served HTTP/1.1', 'GET /again HTTP/1.1']);
  });

  it('forgets a client that goes away while it waits', async () => {
    const { script, settings, open, arrived } = gated({ maxConnections: 1 });
    const { splitter, client, upstream, ambassador } = await startLine(script, {}, settings);
    await client.send(get('/served'));
    await arrived;
    const leaving = await splitter.client();
    await leaving.send(get('/gone'));
    const staying = await splitter.client();
    await staying.send(get('/stays'));
    leaving.reset();
    await leaving.closed;
    open();
    await client.response();
    expect((await staying.response()).body).toBe('GET /stays HTTP/1.1');
    expect(upstream.lines).toEqual(['GET /served HTTP/1.1', 'GET /stays HTTP/1.1']);
    expect(ambassador.connectionCount).toBe(2);
  });

  it('closes a connection that was idle for idleTimeout', async () => {
    const { client, upstream } = await startLine(undefined, {}, { pool: { idleTimeout: '20ms' } });
    await client.ask(get('/1'));
    expect(await upstream.peers[0]!.ended).toBe('end');
    await client.ask(get('/2'));
    expect(upstream.peers).toHaveLength(2);
  });

  it('closes one before the upstream does, which says when in Keep-Alive', async () => {
    const { client, upstream } = await startLine(
      async (peer) => {
        await peer.request();
        await peer.ok('', 'Keep-Alive: timeout=1');
        await peer.ended;
      },
      {},
      { pool: { idleTimeout: '1h' } },
    );
    await client.ask(get('/1'));
    expect(await upstream.peers[0]!.ended).toBe('end');
  });

  it('keeps none longer than idleTimeout, whatever Keep-Alive says', async () => {
    const { client, upstream } = await startLine(
      async (peer) => {
        await peer.request();
        await peer.ok('', 'Keep-Alive: timeout=3600');
        await peer.ended;
      },
      {},
      { pool: { idleTimeout: '20ms' } },
    );
    await client.ask(get('/1'));
    expect(await upstream.peers[0]!.ended).toBe('end');
  });

  it.each([
    ['timeout=0', [1, 1, 1, 1]],
    ['max=0', [1, 1, 1, 1]],
    ['timeout=5, max=1', [2, 2]],
    ['timeout=5, max=50', [4]],
  ])('sends as many exchanges on a connection as Keep-Alive allows: %s', async (hint, expected) => {
    const { client, upstream } = await startLine(async (peer) => {
      for (let left = hint; ; left = left.replace('max=1', 'max=0')) {
        await peer.request();
        await peer.ok('', `Keep-Alive: ${left}`);
      }
    });
    for (let i = 0; i < 4; i++) await client.ask(get('/'));
    expect(upstream.peers.map(({ requests }) => requests.length)).toEqual(expected);
  });
});

// How long connections live on both sides: reuse, pipelining, HTTP/1.0, half-closed clients, and upstream connections
// that die while they are idle. Sources: RFC 9112 §9.3, RFC 9110 §9.2.2.
import { describe, expect, it } from 'vitest';
import { statusOf, valuesOf } from '../../support/message.ts';
import type { Peer } from '../../support/scripted-upstream.ts';
import { startLine, startSplitter, startUpstream } from '../../support/splitter.ts';

const get = (path: string, ...fields: string[]) =>
  `${[`GET ${path} HTTP/1.1`, 'Host: h', ...fields].join('\r\n')}\r\n\r\n`;

describe('a connection is used again', () => {
  it('by one client, on both sides', async () => {
    const { client, upstream, ambassador } = await startLine();
    for (const path of ['/1', '/2', '/3']) expect((await client.ask(get(path))).body).toContain(path);
    expect(upstream.peers).toHaveLength(1);
    expect(ambassador.connectionCount).toBe(1);
  });

  it('by another client, on the upstream side', async () => {
    const { splitter, upstream } = await startLine();
    for (const path of ['/1', '/2', '/3']) {
      const client = await splitter.client();
      expect((await client.ask(get(path))).body).toContain(path);
    }
    expect(upstream.peers).toHaveLength(1);
  });

  it('after a body with a length, a chunked one, and none', async () => {
    const { client, upstream } = await startLine();
    await client.ask('POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab');
    await client.ask('POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n');
    await client.ask(get('/3'));
    expect(upstream.peers).toHaveLength(1);
    expect(upstream.lines).toEqual(['POST /1 HTTP/1.1', 'POST /2 HTTP/1.1', 'GET /3 HTTP/1.1']);
  });

  it('not when the client says close', async () => {
    const { client } = await startLine();
    const response = await client.ask(get('/', 'Connection: close'));
    expect(valuesOf(response, 'connection')).toEqual(['close']);
    expect(await client.ended).toBe('end');
  });

  it('not on the upstream side when the upstream says close, which the client does not notice', async () => {
    const { client, upstream } = await startLine(async (peer) => {
      await peer.request();
      await peer.ok('', 'Connection: close');
    });
    for (const path of ['/1', '/2']) {
      const response = await client.ask(get(path));
      expect(valuesOf(response, 'connection')).toEqual([]);
    }
    expect(upstream.peers).toHaveLength(2);
    expect(await upstream.peers[0]!.ended).toBe('end');
  });

  it('not on the upstream side when the upstream speaks HTTP/1.0 without keep-alive', async () => {
    const { client, upstream } = await startLine(async (peer) => {
      await peer.request();
      await peer.send('HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
    await client.ask(get('/1'));
    await client.ask(get('/2'));
    expect(upstream.peers).toHaveLength(2);
  });
});

describe('HTTP/1.0', () => {
  it('ends its connection behind the response', async () => {
    const { client } = await startLine();
    const response = await client.ask('GET / HTTP/1.0\r\n\r\n');
    expect(valuesOf(response, 'connection')).toEqual(['close']);
    expect(await client.ended).toBe('end');
  });

  it('keeps its connection when it asks for it, and is told so', async () => {
    const { client, upstream } = await startLine();
    for (const path of ['/1', '/2']) {
      const response = await client.ask(`GET ${path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`);
      expect(valuesOf(response, 'connection')).toEqual(['keep-alive']);
    }
    expect(upstream.peers).toHaveLength(1);
  });
});

describe('pipelined requests', () => {
  it('are answered in order, though the second upstream is faster', async () => {
    const slow = await startUpstream(async (peer) => {
      await peer.request();
      // The fast one could have answered long ago: its connection exists only when both were dealt with at once.
      await peer.ok('slow');
    });
    const fast = await startUpstream(async (peer) => {
      await peer.request();
      await peer.ok('fast');
    });
    const splitter = await startSplitter({
      upstreams: { slow: { url: slow.url }, fast: { url: fast.url } },
      routes: [
        { path: '/slow', upstream: 'slow' },
        { path: '/fast', upstream: 'fast' },
      ],
    });
    const client = await splitter.client();
    await client.send(get('/slow') + get('/fast') + get('/nowhere') + get('/fast'));
    const bodies = [];
    for (let i = 0; i < 3; i++) bodies.push((await client.response()).body);
    expect(bodies[0]).toBe('slow');
    expect(bodies[1]).toBe('fast');
    expect(bodies[2]).toContain('NO_ROUTE');
  });

  it('of all kinds stand right behind each other, in one piece, in single bytes, in odd pieces', async () => {
    const requests = [
      get('/1'),
      'POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello',
      'POST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\nT: x\r\n\r\n',
      '\r\nGET http://h/4 HTTP/1.1\r\nHost: h\r\n\r\n',
      'HEAD /5 HTTP/1.1\r\nHost: h\r\n\r\n',
      get('/6'),
    ];
    const stream = requests.join('');
    const ways = [[stream], [...stream], stream.match(/.{1,7}/gs)!, stream.match(/.{1,31}/gs)!];
    for (const pieces of ways) {
      const { client, upstream } = await startLine();
      await client.send(...pieces);
      const bodies = [];
      for (let i = 1; i <= 6; i++) bodies.push((await client.response(i === 5 ? 'HEAD' : 'GET')).body);
      expect(bodies).toEqual([
        'GET /1 HTTP/1.1',
        'POST /2 HTTP/1.1',
        'POST /3 HTTP/1.1',
        'GET /4 HTTP/1.1',
        '',
        'GET /6 HTTP/1.1',
      ]);
      expect(upstream.requests.map(({ body }) => body)).toEqual(['', 'hello', 'hello', '', '', '']);
    }
  });

  it('behind one that says close are not read', async () => {
    const { client, upstream } = await startLine();
    await client.send(get('/1', 'Connection: close') + get('/2'));
    expect((await client.response()).body).toBe('GET /1 HTTP/1.1');
    expect(await client.ended).toBe('end');
    expect(client.pending).toBe('');
    expect(upstream.lines).toEqual(['GET /1 HTTP/1.1']);
  });

  it('in great number are held back while the first is not answered, and all are answered in the end', async () => {
    const count = 5000;
    const mayAnswer = Promise.withResolvers<void>();
    const hasArrived = Promise.withResolvers<void>();
    const { client, upstream } = await startLine(async (peer) => {
      for (;;) {
        const { line } = await peer.request();
        hasArrived.resolve();
        await mayAnswer.promise;
        await peer.ok(line);
      }
    });
    const sent = client.send(Array.from({ length: count }, (_, i) => get(`/${i}`)).join(''));
    await hasArrived.promise;
    expect(client.bytesReceived).toBe(0);
    expect(upstream.requests).toHaveLength(1);
    mayAnswer.resolve();
    for (let i = 0; i < count; i++) expect((await client.response()).body).toBe(`GET /${i} HTTP/1.1`);
    await sent;
  });
});

describe('a client that ends its side, where halfClose is answer,', () => {
  const document = { halfClose: 'answer' };

  it('gets its answer', async () => {
    const { client } = await startLine(async (peer) => {
      await peer.request();
      await peer.ok('answer');
    }, document);
    await client.send(get('/'));
    client.end();
    expect((await client.response()).body).toBe('answer');
    expect(await client.ended).toBe('end');
  });

  it('gets the answers to all its pipelined requests', async () => {
    const { client } = await startLine(undefined, document);
    await client.send(get('/1') + get('/2') + get('/3'));
    client.end();
    for (const path of ['/1', '/2', '/3']) expect((await client.response()).body).toContain(path);
    expect(await client.ended).toBe('end');
  });

  it('in the middle of its request gets none, and the upstream is let go', async () => {
    for (const part of ['GET / HT', 'GET / HTTP/1.1\r\nHost: h\r\n']) {
      const { client, upstream } = await startLine(undefined, document);
      await client.send(part);
      client.end();
      await client.ended;
      expect(client.bytesReceived).toBe(0);
      expect(upstream.peers).toHaveLength(0);
    }
    const { client, upstream } = await startLine(undefined, document);
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe');
    const peer = await upstream.peer();
    await peer.untilText('he');
    client.end();
    await peer.ended;
    await client.ended;
    expect(upstream.requests).toEqual([]);
  });
});

describe('an upstream connection that died while it was idle', () => {
  /** Upstream whose first connection answers once and then ends as told; a later one answers everything. */
  const dying = (how: 'end' | 'reset' | 'on request') =>
    startLine(async (peer, index) => {
      await peer.request();
      await peer.ok('first');
      if (index > 0) {
        for (;;) {
          await peer.request();
          await peer.ok('again');
        }
      }
      if (how === 'end') peer.end();
      else if (how === 'reset') peer.reset();
      else {
        // The close crosses the next request: it was written before the splitter could know.
        await peer.untilText('\r\n\r\n');
        peer.reset();
      }
    });

  it.each(['end', 'reset'] as const)(
    'in an orderly or disorderly way (%s) is noticed before the next request',
    async (how) => {
      const { client, upstream } = await dying(how);
      expect((await client.ask(get('/1'))).body).toBe('first');
      await upstream.peers[0]!.closed;
      expect((await client.ask('POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx')).body).toBe(
        'first',
      );
      expect(upstream.peers).toHaveLength(2);
    },
  );

  it.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])(
    'under %s is not the problem of the client: the request is sent again',
    async (method) => {
      const { client, upstream } = await dying('on request');
      await client.ask(get('/1'));
      await client.send(`${method} /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n`);
      const response = await client.response(method);
      expect(statusOf(response)).toBe(200);
      expect(upstream.peers).toHaveLength(2);
      expect(upstream.peers[1]!.requests[0]!.line).toBe(`${method} /2 HTTP/1.1`);
    },
  );

  it('under PUT with a body that came with the head sends the body again as well', async () => {
    const { client, upstream } = await dying('on request');
    await client.ask(get('/1'));
    const response = await client.ask('PUT /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello');
    expect(statusOf(response)).toBe(200);
    expect(upstream.peers[1]!.requests[0]!.body).toBe('hello');
  });

  it.each(['POST', 'PATCH', 'x-own'])(
    'under %s is answered with 502: the request may have been seen and is never sent twice',
    async (method) => {
      const { client, upstream } = await dying('on request');
      await client.ask(get('/1'));
      const response = await client.ask(`${method} /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx`);
      expect(statusOf(response)).toBe(502);
      expect(valuesOf(response, 'x-splitter-error')).toEqual(['UPSTREAM_RESET']);
      expect(upstream.peers).toHaveLength(1);
    },
  );

  it('is not tried again when retry.attempts is 0', async () => {
    const { client, upstream } = await startLine(
      async (peer) => {
        await peer.request();
        await peer.ok('first');
        await peer.untilText('\r\n\r\n');
        peer.reset();
      },
      {},
      { retry: { attempts: 0 } },
    );
    await client.ask(get('/1'));
    expect(statusOf(await client.ask(get('/2')))).toBe(502);
    expect(upstream.peers).toHaveLength(1);
  });

  it('is not tried again when one byte of a response has come', async () => {
    const { client, upstream } = await startLine(async (peer, index) => {
      await peer.request();
      await peer.ok(`${index}`);
      await peer.request();
      await peer.send('H');
      peer.reset();
    });
    await client.ask(get('/1'));
    const response = await client.ask(get('/2'));
    expect(statusOf(response)).toBe(502);
    expect(upstream.peers).toHaveLength(1);
  });
});

describe('an upstream connection that dies before its first answer', () => {
  /** Ends or resets each connection after its first request. */
  const closing = (how: 'end' | 'reset') => async (peer: Peer) => {
    await peer.request();
    if (how === 'end') peer.end();
    else peer.reset();
  };

  it.each(['end', 'reset'] as const)('costs a GET one more try, and no third (%s)', async (how) => {
    const { client, upstream, ambassador } = await startLine(closing(how));
    expect(statusOf(await client.ask(get('/')))).toBe(502);
    expect(upstream.lines).toEqual(['GET / HTTP/1.1', 'GET / HTTP/1.1']);
    expect([...ambassador.counters.variants()].map(({ retries }) => retries)).toEqual([1]);
  });

  it('is answered by the next connection', async () => {
    const { client, upstream } = await startLine(async (peer, index) => {
      await peer.request();
      if (index === 0) peer.reset();
      else await peer.ok('second');
    });
    expect((await client.ask(get('/'))).body).toBe('second');
    expect(upstream.peers).toHaveLength(2);
  });

  it.each([
    ['a POST', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi', {}],
    ['a GET with retry.attempts: 0', get('/'), { retry: { attempts: 0 } }],
  ])('is not tried again for %s', async (_, request, settings) => {
    const { client, upstream } = await startLine(closing('reset'), {}, settings);
    expect(statusOf(await client.ask(request))).toBe(502);
    expect(upstream.peers).toHaveLength(1);
  });

  it('sends a GET to another address, and counts against the first', async () => {
    const broken = await startUpstream(closing('reset'));
    const well = await startUpstream();
    const splitter = await startSplitter({
      upstreams: {
        u: { servers: [{ url: broken.url }, { url: well.url }], eject: { failures: 1, time: '1m' } },
      },
      routes: [{ upstream: 'u' }],
    });
    const client = await splitter.client();
    for (let i = 0; i < 40; i++) expect(statusOf(await client.ask(get('/')))).toBe(200);
    expect(broken.peers).toHaveLength(1);
    expect(splitter.ambassador.counters.upstream('u').ejections).toBe(1);
  });
});

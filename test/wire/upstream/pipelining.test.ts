// `pool.pipelining`: requests that begin in the same turn leave on one connection, and each client gets its own answer. Who
// shares and who does not, what the answers may look like, and what clients may do meanwhile. What goes wrong on the
// upstream's side is in pipelining-trouble.test.ts. Source: RFC 9112 §9.3.2.
import { describe, expect, it, vi } from 'vitest';
import { statusOf, valuesOf } from '../../support/message.ts';
import { echoLine } from '../../support/scripted-upstream.ts';
import { get, readAll, request, startShared, turns, untilTrue } from '../../support/shared-connection.ts';
import { configOf } from '../../support/splitter.ts';

describe('requests that begin in one turn', () => {
  it('leave on one connection before any of them is answered, and their answers come back in order', async () => {
    let read: string[] = [];
    const { upstream, together, isOver } = await startShared(async (peer) => {
      read = await readAll(peer, 4);
      await peer.send(read.map((path) => `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n${path}`).join(''));
    });
    const clients = await together(get('/1'), get('/2'), get('/3'), get('/4'));
    for (const [index, one] of clients.entries()) expect((await one.response()).body).toBe(`/${index + 1}`);
    expect(read).toEqual(['/1', '/2', '/3', '/4']);
    expect(upstream.peers).toHaveLength(1);
    await isOver(0);
  });

  const large = '0123456789abcdef'.repeat(20_000);
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
  const answers = [
    `HTTP/1.1 200 OK\r\nContent-Length: ${large.length}\r\n\r\n${large}`,
    'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('chunks')}${chunk(large)}0\r\nT: 1\r\n\r\n`,
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n',
    'HTTP/1.1 103 Early Hints\r\nX: 5\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nseven',
    'HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\neight',
    // Nobody stands behind a HEAD.
    'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n',
  ];
  const wire = answers.join('');
  const headEnd = wire.indexOf('0123');
  const around = answers.map((_, index) => answers.slice(0, index + 1).join('').length);

  it.each([
    ['in one piece', [wire]],
    ['cut behind each head and answer', cut([headEnd, ...around])],
    ['cut one byte before and behind each answer', cut(around.flatMap((end) => [end - 1, end + 1]))],
    [
      'with small answers in single bytes',
      [answers[0]!, ...answers[1]!, ...cut([large.length], answers[2]!), ...answers.slice(3).join('')],
    ],
  ])('are answered with every framing there is, %s', async (_, pieces) => {
    const { together, isOver, upstream } = await startShared(
      async (peer) => {
        await readAll(peer, 8);
        await peer.send(...pieces);
      },
      { pool: { pipelining: 8 } },
    );
    const methods = ['GET', 'GET', 'GET', 'OPTIONS', 'GET', 'GET', 'TRACE', 'HEAD'];
    const clients = await together(...methods.map((method, index) => request(method, `/${index}`)));
    const responses = [];
    for (const [index, one] of clients.entries()) {
      let response = await one.response(methods[index]);
      while (statusOf(response) < 200) {
        expect(index).toBe(5);
        response = await one.response();
      }
      responses.push(response);
    }
    expect(responses.map(statusOf)).toEqual([200, 200, 200, 204, 304, 200, 404, 200]);
    expect(responses.map(({ body }) => body === large || body)).toEqual([
      true,
      '',
      `chunks${large}`,
      '',
      '',
      'seven',
      'eight',
      '',
    ]);
    expect(responses[2]!.trailers).toEqual([['T', '1']]);
    for (const one of clients) expect([one.pending, one.ending]).toEqual(['', null]);
    expect(upstream.peers).toHaveLength(1);
    await isOver(0);
  });

  function cut(stops: readonly number[], text = wire): string[] {
    return [0, ...stops].map((from, index) => text.slice(from, stops[index])).filter((piece) => piece !== '');
  }

  it('are shared by no more than pool.pipelining says: the next one goes elsewhere', async () => {
    const { upstream, together, isOver } = await startShared(echoLine0, { pool: { pipelining: 3 } });
    const clients = await together(...['/1', '/2', '/3', '/4', '/5'].map(get));
    for (const [index, one] of clients.entries())
      expect((await one.response()).body).toBe(`GET /${index + 1} HTTP/1.1`);
    expect(upstream.peers[0]!.requests.map(({ line }) => line.split(' ')[1])).toEqual([
      '/warm',
      '/1',
      '/2',
      '/3',
    ]);
    // A connection that is fresh takes one: whether its upstream answers at all is not known yet.
    expect(upstream.peers.slice(1).map(({ requests }) => requests.length)).toEqual([1, 1]);
    await isOver(0);
  });

  it('go each their own way where pool.pipelining is 1', async () => {
    const { upstream, together, isOver } = await startShared(echoLine0, { pool: { pipelining: 1 } });
    for (const one of await together(get('/1'), get('/2'))) expect(statusOf(await one.response())).toBe(200);
    expect(upstream.peers.map(({ requests }) => requests.length)).toEqual([2, 1]);
    await isOver(0);
  });

  it('of one client are no such requests: its second begins when its first is answered', async () => {
    const { together, isOver } = await startShared(async (peer) => {
      await peer.request();
      await turns(10);
      expect(peer.pending).toBe('');
      await peer.ok('first');
      await peer.request();
      await peer.ok('second');
    });
    const [one] = await together(get('/1') + get('/2'));
    expect([(await one!.response()).body, (await one!.response()).body]).toEqual(['first', 'second']);
    await isOver(0);
  });

  it('in later turns do not join those that have left', async () => {
    const { splitter, upstream, together, isOver } = await startShared(async (peer) => {
      await readAll(peer, 2);
      await late.send(get('/late'));
      expect((await late.response()).body).toBe('GET /late HTTP/1.1');
      await peer.ok('1');
      await peer.ok('2');
    });
    const late = await splitter.client();
    const clients = await together(get('/1'), get('/2'));
    for (const [index, one] of clients.entries()) expect((await one.response()).body).toBe(`${index + 1}`);
    expect(upstream.peers.map(({ requests }) => requests.length)).toEqual([3, 1]);
    await isOver(0);
  });
});

const echoLine0 = (peer: Parameters<typeof echoLine>[0]) => echoLine(peer, 0);

describe('a connection is not shared', () => {
  it.each([
    ['POST without a body', request('POST', '/own', 'Content-Length: 0')],
    // Done twice it is answered otherwise the second time (404): what stands behind a slow answer may be sent again.
    ['DELETE', request('DELETE', '/own')],
    ['PUT without a body', request('PUT', '/own', 'Content-Length: 0')],
    ['a method that nobody knows', request('X-OWN', '/own')],
    ['PUT with a body', `${request('PUT', '/own', 'Content-Length: 2')}ab`],
    ['GET with a chunked body', `${request('GET', '/own', 'Transfer-Encoding: chunked')}0\r\n\r\n`],
    ['an upgrade', request('GET', '/own', 'Connection: Upgrade', 'Upgrade: websocket')],
    ['Expect: 100-continue', request('GET', '/own', 'Expect: 100-continue')],
  ])('by %s, whether it comes first, between others or last', async (_, own) => {
    for (const place of [0, 1, 2]) {
      const { upstream, together, isOver } = await startShared(echoLine0);
      const requests = [get('/1'), get('/2')].toSpliced(place, 0, own);
      for (const one of await together(...requests)) expect(statusOf(await one.response())).toBe(200);
      const carried = upstream.peers.map(({ requests }) => requests.map(({ line }) => line.split(' ')[1]));
      const carrier = carried.find((paths) => paths.includes('/own'))!;
      expect(carrier.filter((path) => path !== '/warm')).toEqual(['/own']);
      // The honest ones still share: where the first place was taken, nobody else had a connection to join.
      if (place > 0) expect(carried[0]).toEqual(['/warm', '/1', '/2']);
      await isOver(0);
    }
  });

  it('by anybody behind a HEAD: a server that answers it with a body would write that where the next answer is read', async () => {
    const { upstream, together, isOver } = await startShared(echoLine0);
    const clients = await together(get('/1'), request('HEAD', '/2'), get('/3'));
    for (const [index, one] of clients.entries())
      expect(statusOf(await one.response(index === 1 ? 'HEAD' : 'GET'))).toBe(200);
    expect(upstream.peers.map(({ requests }) => requests.map(({ line }) => line))).toEqual([
      ['GET /warm HTTP/1.1', 'GET /1 HTTP/1.1', 'HEAD /2 HTTP/1.1'],
      ['GET /3 HTTP/1.1'],
    ]);
    await isOver(0);
  });

  it('while it has not answered yet: requests that begin together on fresh connections have one each', async () => {
    const { upstream, together, isOver } = await startShared(async (peer) => peer.end());
    await upstream.peers[0]!.closed;
    for (const one of await together(get('/1'), get('/2'))) expect(statusOf(await one.response())).toBe(200);
    expect(upstream.peers.map(({ requests }) => requests.length)).toEqual([1, 1, 1]);
    await isOver(0);
  });

  // Nothing is known of a connection that has carried no exchange but that it is there: its upstream may read one request
  // and throw away what comes behind it, and all that were sent along would be lost together.
  it.each([
    ['by those that wait for it', { maxConnections: 1 }],
    ['by the next ones', {}],
  ])(
    'while it has not answered yet and the client that it was opened for has gone: not %s',
    async (_, pool) => {
      const sentAhead: string[] = [];
      const { splitter, upstream, together, isOver } = await startShared(async (peer) => peer.end(), {
        pool,
        others: async (peer) => {
          for (;;) {
            const { line } = await peer.request();
            await turns(5);
            sentAhead.push(peer.pending);
            await peer.ok(line);
          }
        },
      });
      await upstream.peers[0]!.closed;
      const gone = await splitter.client();
      gone.socket.write(get('/gone'));
      gone.reset();
      const first = 'maxConnections' in pool ? together(get('/1'), get('/2')) : null;
      await upstream.peer(1);
      await turns(5);
      const clients = await (first ?? together(get('/1'), get('/2')));
      for (const one of clients) expect(statusOf(await one.response())).toBe(200);
      expect(sentAhead.filter((text) => text !== '')).toEqual([]);
      expect(upstream.peers[1]!.requests.length).toBeGreaterThan(0);
      await isOver(0);
    },
  );
});

describe('clients of one connection', () => {
  const bytes = 30_000_000;
  /** Answers the first request with a large body that its client does not read, the second one only behind it. */
  const flood = async (peer: Parameters<typeof echoLine>[0]) => {
    await readAll(peer, 2);
    await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`);
    for (let sent = 0; sent < bytes && peer.ending === null; sent += 60_000)
      await peer.send(Buffer.alloc(60_000, 'x'));
    if (peer.ending === null) await peer.ok('late');
  };

  it('do not wait for one in front that does not read: they are sent again, and it still gets all of its own', async () => {
    const { upstream, together, isOver, pipelinesNow } = await startShared(flood);
    const [slow, other] = await together(get('/slow'), get('/other'));
    slow!.socket.pause();
    slow!.countOnly();
    await untilTrue(() => upstream.peers[0]!.requests.length === 3);
    await turns(200);
    vi.advanceTimersByTime(101);
    expect((await other!.response()).body).toBe('GET /other HTTP/1.1');
    expect(slow!.bytesReceived).toBeLessThan(bytes);
    slow!.socket.resume();
    await slow!.until(() => slow!.bytesReceived > bytes, 'all of it');
    // The answer that nobody waits for any more ends the connection and reaches nobody.
    await upstream.peers[0]!.ended;
    await isOver(1);
    expect([slow!.ending, other!.ending, other!.pending]).toEqual([null, null, '']);
    // It was the client that was slow: the address is not to blame.
    expect(await pipelinesNow()).toBe(true);
  });

  it('do not suffer when the one in front leaves: the others are sent again', async () => {
    const { upstream, together, isOver } = await startShared(async (peer) => {
      await readAll(peer, 3);
      clients[0]!.reset();
      await peer.ended;
    });
    const clients = await together(get('/gone'), get('/1'), get('/2'));
    expect((await clients[1]!.response()).body).toBe('GET /1 HTTP/1.1');
    expect((await clients[2]!.response()).body).toBe('GET /2 HTTP/1.1');
    expect(upstream.lines.filter((line) => line.includes('gone'))).toHaveLength(1);
    await isOver(2);
  });

  it.each([
    ['in the middle', 1, 2],
    ['at the end', 3, 0],
  ])(
    'do not suffer when one %s leaves: nobody gets its answer, and those behind it are sent again',
    async (_, place, retries) => {
      const { together, isOver } = await startShared(async (peer) => {
        await readAll(peer, 4);
        clients[place]!.reset();
        await turns(10);
        for (let i = 0; i < 4; i++) await peer.ok(`answer ${i}`);
      });
      const clients = await together(get('/0'), get('/1'), get('/2'), get('/3'));
      for (const [index, one] of clients.entries()) {
        if (index === place) continue;
        const body = index < place ? `answer ${index}` : `GET /${index} HTTP/1.1`;
        expect((await one.response()).body).toBe(body);
      }
      await isOver(retries);
    },
  );

  it('that all leave leave nothing behind', async () => {
    const { together, isOver, upstream } = await startShared(async (peer) => {
      await readAll(peer, 4);
      for (const one of clients.slice(1)) one.reset();
      await turns(10);
      clients[0]!.reset();
      await peer.ended;
    });
    const clients = await together(get('/0'), get('/1'), get('/2'), get('/3'));
    await upstream.peers[0]!.ended;
    await isOver(0);
    expect(upstream.lines).toHaveLength(5);
  });

  it('that leave before their requests have left take nobody with them', async () => {
    const { together, isOver } = await startShared(async (peer) => {
      for (;;) await peer.ok((await peer.request()).line);
    });
    // An end and a reset that are read in the same turn as the requests of the others.
    const clients = await together(get('/0'), get('/1'), get('/2'));
    clients[0]!.reset();
    expect((await clients[1]!.response()).body).toBe('GET /1 HTTP/1.1');
    expect((await clients[2]!.response()).body).toBe('GET /2 HTTP/1.1');
    await isOver(2);
  });

  it('that wait for the only connection are taken along together', async () => {
    let read: string[] = [];
    const { upstream, together, isOver } = await startShared(
      async (peer) => {
        await peer.request();
        await peer.ok('first');
        read = await readAll(peer, 3);
        for (const path of read) await peer.ok(path);
        await peer.request();
        await peer.ok('posted');
      },
      { pool: { maxConnections: 1 } },
    );
    const clients = await together(
      request('POST', '/first'),
      get('/1'),
      request('POST', '/2'),
      get('/3'),
      get('/4'),
    );
    const bodies = [];
    for (const one of clients) bodies.push((await one.response()).body);
    expect(bodies.toSorted()).toEqual(['/1', '/3', '/4', 'first', 'posted']);
    expect(read).toEqual(['/1', '/3', '/4']);
    expect(upstream.peers).toHaveLength(1);
    await isOver(0);
  });
});

describe('exchanges on one connection', () => {
  it('end well in a reload that takes their upstream away', async () => {
    const { ambassador, upstream, together, isOver } = await startShared(async (peer) => {
      await readAll(peer, 3);
      ambassador.reload(
        configOf({
          listen: '127.0.0.1:0',
          admin: 'off',
          upstreams: { u: { url: upstream.url } },
          routes: [{ upstream: 'u' }],
        }),
      );
      for (let i = 0; i < 3; i++) await peer.ok(`old ${i}`);
    });
    const clients = await together(get('/0'), get('/1'), get('/2'));
    for (const [index, one] of clients.entries()) expect((await one.response()).body).toBe(`old ${index}`);
    await upstream.peers[0]!.ended;
    expect((await clients[0]!.ask(get('/new'))).body).toBe('GET /new HTTP/1.1');
    await isOver(0);
  });

  it('end well in a drain, each with Connection: close', async () => {
    const { ambassador, client, together } = await startShared(
      async (peer) => {
        await readAll(peer, 3);
        drained = ambassador.drain();
        for (let i = 0; i < 3; i++) await peer.ok(`last ${i}`);
      },
      { more: { drain: { grace: '0ms', deadline: '10s' } } },
    );
    let drained = Promise.resolve('');
    client.close();
    const clients = await together(get('/0'), get('/1'), get('/2'));
    for (const [index, one] of clients.entries()) {
      const response = await one.response();
      expect([response.body, ...valuesOf(response, 'connection')]).toEqual([`last ${index}`, 'close']);
      one.close();
    }
    expect(await drained).toBe('drained');
  });
});

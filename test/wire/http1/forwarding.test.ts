// What a request and a response look like on the other side of the splitter: RFC 9110 §7.6 on real sockets, with every
// kind of body, interim responses and trailers.
import { describe, expect, it } from 'vitest';
import { statusOf, valuesOf } from '../../support/message.ts';
import { startLine, startSplitter, startUpstream } from '../../support/splitter.ts';

const OWN = 'X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n';

describe('a request arrives', () => {
  it('as it was sent, with X-Forwarded-* at its end and Host kept', async () => {
    const { client, upstream } = await startLine();
    await client.ask('GET /x?token=42 HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nCookie: a=b\r\n\r\n');
    expect(upstream.transcript).toBe(
      `GET /x?token=42 HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nCookie: a=b\r\n${OWN}\r\n`,
    );
  });

  it('without its hop-by-hop fields, named or nominated', async () => {
    const { client, upstream } = await startLine(undefined, { forwarded: 'keep' });
    await client.ask(
      'GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\n' +
        'Proxy-Connection: x\r\nTE: gzip\r\nX-Hop: secret\r\nUpgrade: h2c\r\nX-End: 1\r\n\r\n',
    );
    expect(upstream.transcript).toBe('GET / HTTP/1.1\r\nHost: h\r\nX-End: 1\r\n\r\n');
  });

  it('with the authority of an absolute-form in place of its Host', async () => {
    const { client, upstream } = await startLine(undefined, { forwarded: 'keep' });
    await client.ask('GET http://other.example:81/p?q HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n');
    expect(upstream.transcript).toBe('GET /p?q HTTP/1.1\r\nHost: other.example:81\r\nA: b\r\n\r\n');
  });

  it('with the Host that the upstream is configured with', async () => {
    const { client, upstream } = await startLine(undefined, { forwarded: 'keep' }, { host: 'own.example' });
    await client.ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    expect(upstream.transcript).toBe('GET / HTTP/1.1\r\nHost: own.example\r\n\r\n');
  });

  it('with the address of its upstream for $proxy_host, and for an HTTP/1.0 client without Host', async () => {
    const { client, upstream, splitter } = await startLine(
      undefined,
      { forwarded: 'keep' },
      { host: '$proxy_host' },
    );
    await client.ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    const old = await splitter.client();
    await old.ask('GET / HTTP/1.0\r\n\r\n');
    const sent = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${upstream.port}\r\n\r\n`;
    expect(upstream.transcript).toBe(sent + sent);
  });

  it('as OPTIONS *, unchanged', async () => {
    const { client, upstream } = await startLine(undefined, { forwarded: 'remove' });
    await client.ask('OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n');
    expect(upstream.transcript).toBe('OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n');
  });

  it('with Via when it is asked for, on both sides', async () => {
    const { client, upstream } = await startLine(undefined, { via: true, forwarded: 'keep' });
    const response = await client.ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    expect(valuesOf(upstream.requests[0]!, 'via')).toEqual(['1.1 request-splitter']);
    expect(valuesOf(response, 'via')).toEqual(['1.1 request-splitter']);
  });

  it.each([true, false])(
    'with via: %s, which holds for interim responses as well, whatever came before them on the connection',
    async (via) => {
      const { client } = await startLine(
        async (peer) => {
          for (let i = 0; i < 2; i++) {
            await peer.request();
            await peer.send('HTTP/1.1 103 Early Hints\r\n\r\n');
            await peer.ok();
          }
        },
        { via },
      );
      const expected = via ? ['1.1 request-splitter'] : [];
      for (let i = 0; i < 2; i++) {
        await client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
        for (const status of [103, 200]) {
          const response = await client.response();
          expect(statusOf(response)).toBe(status);
          expect(valuesOf(response, 'via')).toEqual(expected);
        }
      }
    },
  );

  it.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'x-own'])(
    'with its method %s',
    async (method) => {
      const { client, upstream } = await startLine();
      await client.send(`${method} / HTTP/1.1\r\nHost: h\r\n\r\n`);
      await client.response(method);
      expect(upstream.lines).toEqual([`${method} / HTTP/1.1`]);
    },
  );

  it('with raw bytes above 0x7f in its target, as nginx takes them', async () => {
    const { client, upstream } = await startLine();
    await client.ask('GET /?token=\xff\xfe HTTP/1.1\r\nHost: h\r\n\r\n');
    expect(upstream.lines).toEqual(['GET /?token=\xff\xfe HTTP/1.1']);
  });

  it('whole when it comes in single bytes', async () => {
    const { client, upstream } = await startLine(undefined, { forwarded: 'keep' });
    const request = 'POST http://o?q HTTP/1.1\r\nHost: h\r\nA:b\r\nContent-Length: 3\r\n\r\nabc';
    const response = await client.ask(...request);
    expect(response.line).toBe('HTTP/1.1 200 OK');
    expect(upstream.transcript).toBe('POST /?q HTTP/1.1\r\nHost: o\r\nA: b\r\nContent-Length: 3\r\n\r\nabc');
  });

  it('at the upstream that its token belongs to, and always at the same one', async () => {
    const a = await startUpstream();
    const b = await startUpstream();
    const splitter = await startSplitter({
      splits: {
        s: {
          variants: [
            { name: 'a', share: '50%', upstream: a.url },
            { name: 'b', share: '*', upstream: b.url },
          ],
        },
      },
    });
    const client = await splitter.client();
    // MurmurHash2: alice 479601241 is below 2147483647, user-42 3766944517 is not.
    for (const token of ['alice', 'user-42', 'alice', 'user-42']) {
      await client.ask(`GET /?token=${token} HTTP/1.1\r\nHost: h\r\n\r\n`);
    }
    expect(a.lines).toEqual(Array(2).fill('GET /?token=alice HTTP/1.1'));
    expect(b.lines).toEqual(Array(2).fill('GET /?token=user-42 HTTP/1.1'));
  });
});

describe('Max-Forwards', () => {
  it('of zero ends OPTIONS and TRACE here, without a word to the upstream', async () => {
    const { client, upstream } = await startLine();
    const options = await client.ask('OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n');
    expect(options.line).toBe('HTTP/1.1 200 OK');
    expect(valuesOf(options, 'allow')).toHaveLength(1);
    const trace = await client.ask('TRACE / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n');
    expect(trace.line).toMatch(/^HTTP\/1\.1 405 /);
    await client.ask('GET /next HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n');
    expect(upstream.lines).toEqual(['GET /next HTTP/1.1']);
  });

  it('above zero is counted down', async () => {
    const { client, upstream } = await startLine();
    await client.ask('OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 5\r\n\r\n');
    expect(valuesOf(upstream.requests[0]!, 'max-forwards')).toEqual(['4']);
  });
});

describe('a request body arrives', () => {
  it('with its length', async () => {
    const { client, upstream } = await startLine();
    await client.ask('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n', 'he', 'llo');
    expect(upstream.requests[0]!.body).toBe('hello');
    expect(valuesOf(upstream.requests[0]!, 'content-length')).toEqual(['5']);
  });

  it('chunked, with the chunk extensions gone and the trailers kept', async () => {
    const { client, upstream } = await startLine();
    await client.ask(
      'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n' +
        '2;a=b\r\nhe\r\n003;c="d"\r\nllo\r\n0;e\r\nX-Sum:7\r\nAuthorization: x\r\n\r\n',
    );
    const [request] = upstream.requests;
    expect(request!.body).toBe('hello');
    expect(request!.chunks).not.toBeNull();
    expect(request!.trailers).toEqual([['X-Sum', '7']]);
    expect(upstream.transcript).not.toMatch(/;|a=b/);
  });

  it('without the trailers that Connection nominates (RFC 9110 §7.6.1)', async () => {
    const { client, upstream } = await startLine();
    await client.ask(
      'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: X-Hop\r\n\r\n' +
        '2\r\nhe\r\n0\r\nX-Hop: secret\r\n\r\n',
    );
    expect(upstream.transcript).not.toContain('secret');
    expect(upstream.requests[0]!.body).toBe('he');
  });

  it('chunked when it comes in single bytes', async () => {
    const { client, upstream } = await startLine();
    const head = 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n';
    await client.ask(head, ...'5\r\nhello\r\n6;x\r\n world\r\n0\r\nA: b\r\n\r\n');
    expect(upstream.requests[0]!.body).toBe('hello world');
    expect(upstream.requests[0]!.trailers).toEqual([['A', 'b']]);
  });

  it('of HTTP/1.0, and leaves Expect behind', async () => {
    const { client, upstream } = await startLine();
    await client.ask('POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab');
    expect(upstream.requests[0]!.body).toBe('ab');
    expect(valuesOf(upstream.requests[0]!, 'expect')).toEqual([]);
  });

  it('of GET and DELETE as well', async () => {
    const { client, upstream } = await startLine();
    await client.ask('GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab');
    await client.ask(
      'DELETE / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ncd\r\n0\r\n\r\n',
    );
    expect(upstream.requests.map(({ body }) => body)).toEqual(['ab', 'cd']);
  });
});

describe('a response arrives', () => {
  const answering = (...pieces: string[]) =>
    startLine(async (peer) => {
      await peer.request();
      await peer.send(...pieces);
    });
  const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

  it('as it was sent, without its hop-by-hop fields', async () => {
    const { client } = await answering(
      'HTTP/1.1 201 Made\r\nDate: x\r\nConnection: X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: s\r\nSet-Cookie: a\r\n' +
        'Set-Cookie: b\r\nContent-Length: 2\r\n\r\nab',
    );
    const { raw } = await client.ask(GET);
    expect(raw).toBe(
      'HTTP/1.1 201 Made\r\nDate: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nab',
    );
  });

  it('with a Date when it brought none', async () => {
    const { client } = await answering('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    const [date] = valuesOf(await client.ask(GET), 'date');
    expect(new Date(date!).toUTCString()).toBe(date);
  });

  it('whole when it comes in single bytes', async () => {
    const { client } = await answering(...'HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 5\r\n\r\nhello');
    expect((await client.ask(GET)).raw).toBe('HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 5\r\n\r\nhello');
  });

  it('chunked, re-encoded without extensions, with its trailers', async () => {
    const { client } = await answering(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n',
      '3;a=b\r\nhel\r\n',
      '2\r\nlo\r\n0\r\nX-Sum: 7\r\nSet-Cookie: x\r\n\r\n',
    );
    const response = await client.ask(GET);
    expect(response.body).toBe('hello');
    expect(response.trailers).toEqual([['X-Sum', '7']]);
    expect(response.raw).not.toContain('a=b');
  });

  it('chunked in single bytes', async () => {
    const { client } = await answering(
      ...'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nA: b\r\n\r\n',
    );
    const response = await client.ask(GET);
    expect(response.body).toBe('hello');
    expect(response.trailers).toEqual([['A', 'b']]);
  });

  it('chunked for HTTP/1.1 when its end is the end of the connection', async () => {
    const { client, upstream } = await startLine(async (peer) => {
      await peer.request();
      await peer.send('HTTP/1.1 200 OK\r\n\r\n', 'hel', 'lo');
      peer.end();
    });
    const response = await client.ask(GET);
    expect(response.body).toBe('hello');
    expect(response.chunks).not.toBeNull();
    // The client's connection lives on; the upstream's cannot.
    const [other] = await Promise.all([upstream.peer(1), client.send(GET)]);
    expect(other).toBeDefined();
  });

  it('with the connection as its end for HTTP/1.0, whether it was chunked or not', async () => {
    for (const answer of [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n',
      'HTTP/1.0 200 OK\r\n\r\nhello',
    ]) {
      const { client } = await startLine(async (peer) => {
        await peer.request();
        await peer.send(answer);
        peer.end();
      });
      await client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
      expect(await client.ended).toBe('end');
      const response = await client.response();
      expect(response.body).toBe('hello');
      expect(valuesOf(response, 'transfer-encoding')).toEqual([]);
      expect(valuesOf(response, 'connection')).toEqual(['close']);
    }
  });

  it.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', ['5']],
    ['HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', []],
    ['HEAD', 'HTTP/1.1 200 OK\r\n\r\n', []],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', []],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: "x"\r\n\r\n', ['5']],
  ])(
    'without a body: %s answered with %j, and the next one right behind it',
    async (method, answer, lengths) => {
      const { client, upstream } = await startLine(async (peer) => {
        await peer.request();
        await peer.send(answer);
        await peer.request();
        await peer.ok('next');
      });
      await client.send(`${method} / HTTP/1.1\r\nHost: h\r\n\r\n`);
      const response = await client.response(method);
      expect(valuesOf(response, 'content-length')).toEqual(lengths);
      expect(valuesOf(response, 'connection')).toEqual([]);
      const next = await client.ask(GET);
      expect(next.body).toBe('next');
      expect(upstream.peers).toHaveLength(1);
    },
  );
});

describe('interim responses', () => {
  it('pass in order, in front of the final one', async () => {
    const { client } = await startLine(async (peer) => {
      await peer.request();
      await peer.send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', 'HTTP/1.1 102 Processing\r\n\r\n');
      await peer.ok('final');
    });
    await client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    expect((await client.response()).raw).toBe('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
    expect((await client.response()).raw).toBe('HTTP/1.1 102 Processing\r\n\r\n');
    expect((await client.response()).body).toBe('final');
  });

  it('do not pass to HTTP/1.0', async () => {
    const { client } = await startLine(async (peer) => {
      await peer.request();
      await peer.send('HTTP/1.1 103 Early Hints\r\n\r\n');
      await peer.ok('final');
    });
    const response = await client.ask('GET / HTTP/1.0\r\n\r\n');
    expect(response.body).toBe('final');
  });

  it('that never end are 502', async () => {
    const { client } = await startLine(async (peer) => {
      await peer.request();
      await peer.send('HTTP/1.1 102 Processing\r\n\r\n'.repeat(1000));
    });
    await client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    let response = await client.response();
    while (response.line.startsWith('HTTP/1.1 102')) response = await client.response();
    expect(response.line).toMatch(/^HTTP\/1\.1 502 /);
    expect(valuesOf(response, 'x-splitter-error')).toEqual(['UPSTREAM_BAD_RESPONSE']);
  });
});

describe('Expect: 100-continue', () => {
  const HEAD = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n';

  it('is passed on, 100 comes back, and the body follows', async () => {
    const { client, upstream } = await startLine(async (peer) => {
      await peer.untilText('\r\n\r\n');
      await peer.send('HTTP/1.1 100 Continue\r\n\r\n');
      const { body } = await peer.request();
      await peer.ok(body);
    });
    await client.send(HEAD);
    expect((await client.response()).raw).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    expect(upstream.peers[0]!.transcript).toMatch(/Expect: 100-continue\r\n/);
    expect(upstream.peers[0]!.transcript).toMatch(/\r\n\r\n$/);
    expect((await client.ask('hello')).body).toBe('hello');
    // The connection is whole: it may be used again.
    await client.send(HEAD);
    expect(upstream.peers).toHaveLength(1);
  });

  it('answered with a final response ends the connection, since nobody knows whether the body still comes', async () => {
    const { client, upstream } = await startLine(async (peer) => {
      await peer.untilText('\r\n\r\n');
      await peer.send('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno');
    });
    const response = await client.ask(HEAD);
    expect(response.line).toBe('HTTP/1.1 417 Expectation Failed');
    expect(response.body).toBe('no');
    expect(valuesOf(response, 'connection')).toEqual(['close']);
    expect(await client.ended).toBe('end');
    await upstream.peers[0]!.ended;
  });

  it('does not hold back a client that sends its body at once', async () => {
    const { client } = await startLine(async (peer) => {
      const { body } = await peer.request();
      await peer.ok(body);
    });
    expect((await client.ask(HEAD, 'hello')).body).toBe('hello');
  });
});

describe('an early final response', () => {
  it('reaches a client that still uploads, and the connection ends behind it', async () => {
    const { client, upstream } = await startLine(async (peer) => {
      await peer.untilText('\r\n\r\nsome');
      await peer.send('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig');
    });
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n', 'some');
    const response = await client.response();
    expect(response.line).toBe('HTTP/1.1 413 Too Large');
    expect(response.body).toBe('big');
    expect(valuesOf(response, 'connection')).toEqual(['close']);
    expect(await client.ended).toBe('end');
    await upstream.peers[0]!.ended;
  });
});

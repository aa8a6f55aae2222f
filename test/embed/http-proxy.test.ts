// The door for servers that already exist, over real sockets: what upstreams and clients get to see, and what happens
// when an upstream refuses, resets, hangs, or breaks off in the middle.
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { createHandler, type FaultCode, type HandlerConfig } from '../../src/http-proxy.ts';
import { freePort } from '../support/free-port.ts';
import { documentOf, HandlerServer as Server } from '../support/handler-server.ts';
import { statusOf, valuesOf } from '../support/message.ts';
import type { RawClient } from '../support/raw-client.ts';
import type { Script } from '../support/scripted-upstream.ts';
import { startUpstream } from '../support/splitter.ts';

const GET = 'GET /?token=abc HTTP/1.1\r\nHost: h\r\n\r\n';

/** One scripted upstream, a server with a handler in front of it, and a client. */
async function startLine(script?: Script, settings: object = {}, more: object = {}) {
  const upstream = await startUpstream(script);
  const server = await Server.start(documentOf(upstream.url, settings, more));
  return { upstream, server, client: await server.client() };
}

describe('a request', () => {
  it('goes to the upstream of its variant', async () => {
    const [a, b] = [await startUpstream(), await startUpstream()];
    const server = await Server.start({
      variants: [
        { name: 'version_1a', share: '50%', upstream: a.url },
        { name: 'version_1b', share: '*', upstream: b.url },
      ],
    });
    const client = await server.client();
    for (const token of ['abc', 'a', 'xbaaErt4', 'kgaa79Mn']) {
      await client.ask(`GET /?token=${token} HTTP/1.1\r\nHost: h\r\n\r\n`);
    }
    expect(a.lines).toEqual(['GET /?token=abc HTTP/1.1', 'GET /?token=xbaaErt4 HTTP/1.1']);
    expect(b.lines).toEqual(['GET /?token=a HTTP/1.1', 'GET /?token=kgaa79Mn HTTP/1.1']);
  });

  it('without a key is rejected where the split says so, and the connection goes on', async () => {
    const upstream = await startUpstream();
    const variants = [{ name: 'a', share: '100%', upstream: upstream.url }];
    const server = await Server.start({ missingKey: 'reject', variants });
    const client = await server.client();
    const rejected = await client.ask('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello');
    expect([statusOf(rejected), valuesOf(rejected, 'x-splitter-error')]).toEqual([400, ['KEY_MISSING']]);
    expect(statusOf(await client.ask(GET))).toBe(200);
    expect(server.faults).toEqual(['KEY_MISSING']);
  });

  it('follows the one before it on the same upstream connection', async () => {
    const { upstream, client } = await startLine();
    for (let i = 0; i < 3; i++) await client.ask(GET);
    expect(upstream.peers).toHaveLength(1);
    expect(upstream.requests).toHaveLength(3);
  });

  it('arrives with its path, its repeated fields and their raw bytes as they were sent', async () => {
    const { upstream, client } = await startLine();
    const target = '//a//b/../c?x=1&y=http://z//&token=%61';
    const fields = 'X-One: 1\r\nx-two: \xe9\xff\r\nX-One: 3\r\nCookie: a=1\r\nCookie: b=2\r\n';
    await client.ask(`GET ${target} HTTP/1.1\r\nHost: Shop.Example:80\r\n${fields}\r\n`);
    const [request] = upstream.requests;
    expect(request!.line).toBe(`GET ${target} HTTP/1.1`);
    expect(request!.fields).toEqual([
      ['Host', 'Shop.Example:80'],
      ['X-One', '1'],
      ['x-two', '\xe9\xff'],
      ['X-One', '3'],
      ['Cookie', 'a=1'],
      ['Cookie', 'b=2'],
      ['X-Forwarded-For', '127.0.0.1'],
      ['X-Forwarded-Proto', 'http'],
      ['X-Forwarded-Host', 'Shop.Example:80'],
      ['Connection', 'keep-alive'],
    ]);
  });

  it('leaves the fields of its connection behind, and those that Connection names', async () => {
    const { upstream, client } = await startLine();
    const fields =
      'Connection: close, X-Secret, X-Forwarded-For\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n' +
      'Proxy-Connection: x\r\nX-Forwarded-For: 6.6.6.6\r\nX-Kept: 1\r\n';
    await client.ask(`GET / HTTP/1.1\r\nHost: h\r\n${fields}\r\n`);
    const names = upstream.requests[0]!.fields.map(([name]) => name.toLowerCase());
    expect(names.filter((name) => !name.startsWith('x-forwarded'))).toEqual(['host', 'x-kept', 'connection']);
    expect(valuesOf(upstream.requests[0]!, 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(valuesOf(upstream.requests[0]!, 'connection')).toEqual(['keep-alive']);
  });

  it.each([
    ['append', ['6.6.6.6, 7.7.7.7, 127.0.0.1'], ['https'], ['outer']],
    ['replace', ['127.0.0.1'], ['http'], ['h']],
    ['keep', ['6.6.6.6', '7.7.7.7'], ['https'], ['outer']],
    ['remove', [], [], []],
  ])('forwarded: %s', async (forwarded, addresses, protos, hosts) => {
    const { upstream, client } = await startLine(undefined, {}, { forwarded });
    const fields =
      'X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outer\r\n';
    await client.ask(`GET / HTTP/1.1\r\nHost: h\r\n${fields}\r\n`);
    const [request] = upstream.requests;
    expect(valuesOf(request!, 'x-forwarded-for')).toEqual(addresses);
    expect(valuesOf(request!, 'x-forwarded-proto')).toEqual(protos);
    expect(valuesOf(request!, 'x-forwarded-host')).toEqual(hosts);
  });

  it.each(['replace', 'remove'])('forwarded: %s lets no other spelling pass', async (forwarded) => {
    const { upstream, client } = await startLine(undefined, {}, { forwarded });
    const sent = [
      'X_Forwarded_For: 6.6.6.6',
      'X-Forwarded_Proto: https',
      'X-Forwarded-Port: 1',
      'Forwarded: for=6.6.6.6',
    ];
    await client.ask(`GET /?token=abc HTTP/1.1\r\nHost: h\r\n${sent.join('\r\n')}\r\n\r\n`);
    const names = upstream.requests[0]!.fields.map(([name]) => name.toLowerCase());
    expect(names.filter((name) => name.includes('_') || /port|^forwarded/.test(name))).toEqual([]);
  });

  it('drops what an upstream says in the name of the splitter', async () => {
    const { client } = await startLine(async (peer) => {
      await peer.request();
      await peer.ok('', 'x-splitter-error: FAKE\r\nX_Splitter_Fallback: FAKE');
    });
    expect((await client.ask(GET)).raw).not.toContain('FAKE');
  });

  it.each([
    ["the client's", {}, GET, 'h'],
    [
      'the authority of an absolute-form',
      {},
      'GET http://shop.example/x HTTP/1.1\r\nHost: h\r\n\r\n',
      'shop.example',
    ],
    ["the upstream's own, where that is set", { host: 'inner.example' }, GET, 'inner.example'],
    ["the URL's for $proxy_host", { host: '$proxy_host' }, GET, /^127\.0\.0\.1:\d+$/],
    ["the URL's when the client sent none", {}, 'GET / HTTP/1.0\r\n\r\n', /^127\.0\.0\.1:\d+$/],
  ])('Host is %s', async (_, settings, bytes, host) => {
    const { upstream, client } = await startLine(undefined, settings);
    await client.send(bytes);
    await client.untilText('HTTP/1.1 ');
    expect(valuesOf(upstream.requests[0]!, 'host')).toEqual([expect.stringMatching(host)]);
  });

  it('names the way it came in Via, both ways, where that is wanted', async () => {
    const { upstream, client } = await startLine(undefined, {}, { via: true });
    const response = await client.ask(GET);
    expect(valuesOf(upstream.requests[0]!, 'via')).toEqual(['1.1 request-splitter']);
    expect(valuesOf(response, 'via')).toEqual(['1.1 request-splitter']);
  });

  it.each([
    ['POST', 'Content-Length: 5\r\n\r\nhello', 'hello', ['5'], []],
    ['POST', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', 'hello', [], ['chunked']],
    ['POST', '\r\n', '', ['0'], []],
    ['GET', 'Content-Length: 5\r\n\r\nhello', 'hello', ['5'], []],
    ['DELETE', '\r\n', '', [], []],
    ['OPTIONS', '\r\n', '', [], []],
  ])('%s with %j arrives with its body', async (method, rest, body, lengths, codings) => {
    const { upstream, client } = await startLine();
    await client.ask(`${method} / HTTP/1.1\r\nHost: h\r\n${rest}`);
    const [request] = upstream.requests;
    expect(request!.body).toBe(body);
    expect(valuesOf(request!, 'content-length')).toEqual(lengths);
    expect(valuesOf(request!, 'transfer-encoding')).toEqual(codings);
  });

  it('hidden in the chunked body of a DELETE stays in that body', async () => {
    // http-proxy gives a DELETE without Content-Length one of 0 and pipes the body behind it: on a kept-alive upstream
    // connection those bytes would be the next request, with fields of the attacker's choice.
    const { upstream, client } = await startLine();
    const forged = 'GET /admin HTTP/1.1\r\nHost: inner\r\n\r\n';
    const size = forged.length.toString(16);
    for (const method of ['DELETE', 'OPTIONS']) {
      const head = `${method} /?token=abc HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n`;
      await client.ask(`${head}${size}\r\n${forged}\r\n0\r\n\r\n`);
      await client.ask(GET);
    }
    expect(upstream.lines).toEqual([
      'DELETE /?token=abc HTTP/1.1',
      'GET /?token=abc HTTP/1.1',
      'OPTIONS /?token=abc HTTP/1.1',
      'GET /?token=abc HTTP/1.1',
    ]);
    expect(upstream.requests[0]!.body).toBe(forged);
  });

  it('with a transfer coding other than chunked is refused, as its body could not be framed again', async () => {
    const { upstream, client } = await startLine();
    const head = 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n';
    const response = await client.ask(head);
    expect([statusOf(response), valuesOf(response, 'x-splitter-error')]).toEqual([
      501,
      ['UNKNOWN_TRANSFER_ENCODING'],
    ]);
    expect(upstream.requests).toEqual([]);
  });

  it('that expects 100-continue is told to go on by the server, and Expect goes no further', async () => {
    const { upstream, client } = await startLine();
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
    expect(statusOf(await client.response())).toBe(100);
    await client.send('hi');
    expect(statusOf(await client.response())).toBe(200);
    expect(valuesOf(upstream.requests[0]!, 'expect')).toEqual([]);
    expect(upstream.requests[0]!.body).toBe('hi');
  });
});

describe('a response', () => {
  const answering =
    (bytes: string, ends = false): Script =>
    async (peer) => {
      await peer.request();
      await peer.send(bytes);
      if (ends) peer.end();
    };

  it('keeps status, reason, repeated fields and raw bytes; the fields of its connection stay behind', async () => {
    const fields =
      'Set-Cookie: a=1\r\nX-Raw: \xe9\r\nSet-Cookie: b=2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\n' +
      'Proxy-Connection: x\r\nDate: today\r\n';
    const { client } = await startLine(
      answering(`HTTP/1.1 299 Fine then\r\n${fields}Content-Length: 2\r\n\r\nhi`),
    );
    const response = await client.ask(GET);
    expect(response.line).toBe('HTTP/1.1 299 Fine then');
    expect(response.body).toBe('hi');
    expect(response.fields.filter(([name]) => !/^(connection|keep-alive)$/i.test(name))).toEqual([
      ['Set-Cookie', 'a=1'],
      ['X-Raw', '\xe9'],
      ['Set-Cookie', 'b=2'],
      ['Date', 'today'],
      ['Content-Length', '2'],
    ]);
    expect(valuesOf(response, 'connection')).toEqual(['keep-alive']);
  });

  it.each([
    ['chunked', 'Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n', false],
    ['ended by its connection', '\r\nhi', true],
  ])('that is %s goes to the client in chunks', async (_, rest, ends) => {
    const { client } = await startLine(answering(`HTTP/1.1 200 OK\r\n${rest}`, ends));
    const response = await client.ask(GET);
    expect([response.body, valuesOf(response, 'transfer-encoding')]).toEqual(['hi', ['chunked']]);
  });

  it.each(['204 No Content', '304 Not Modified'])('%s has no body and ends at its head', async (status) => {
    const { client } = await startLine(async (peer) => {
      for (;;) {
        await peer.request();
        await peer.send(`HTTP/1.1 ${status}\r\n\r\n`);
      }
    });
    for (let i = 0; i < 2; i++) expect((await client.ask(GET)).line).toBe(`HTTP/1.1 ${status}`);
  });

  it('to HEAD keeps its length and has no body', async () => {
    const { client } = await startLine(answering('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'));
    await client.send('HEAD / HTTP/1.1\r\nHost: h\r\n\r\n');
    expect(valuesOf(await client.response('HEAD'), 'content-length')).toEqual(['5']);
    expect(client.pending).toBe('');
  });

  it('that comes before its request has ended ends the exchange, and the connection goes on', async () => {
    const { upstream, client } = await startLine(async (peer, index) => {
      if (index === 0) await peer.untilText('\r\n\r\n');
      else await peer.request();
      await peer.send('HTTP/1.1 413 Too much\r\nContent-Length: 0\r\n\r\n');
    });
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello');
    expect(statusOf(await client.response())).toBe(413);
    await (await upstream.peer(0)).ended;
    await client.send('world');
    expect(statusOf(await client.ask(GET))).toBe(413);
    expect(upstream.peers).toHaveLength(2);
  });
});

describe('an upstream that', () => {
  async function expectFault(
    server: Server,
    client: RawClient,
    code: FaultCode,
    status: number,
  ): Promise<void> {
    const response = await client.ask(GET);
    expect([statusOf(response), valuesOf(response, 'x-splitter-error')]).toEqual([status, [code]]);
    expect(response.body).toMatch(new RegExp(`^${code}: .+\n$`));
    expect(server.faults).toEqual([code]);
  }

  it('refuses: 502, and the connection of the client goes on', async () => {
    const server = await Server.start(documentOf(`http://127.0.0.1:${await freePort()}`));
    const client = await server.client();
    await expectFault(server, client, 'UPSTREAM_CONNECT_FAILED', 502);
    expect(statusOf(await client.ask(GET))).toBe(502);
  });

  it('has a name without an address: 502', async () => {
    // No label may have 64 characters, so that this name is refused without asking anybody.
    const server = await Server.start(documentOf(`http://${'x'.repeat(64)}.test`));
    await expectFault(server, await server.client(), 'UPSTREAM_UNRESOLVED', 502);
  });

  it.each([
    ['resets', 'reset'],
    ['ends the connection', 'end'],
  ] as const)('%s before it answers: 502', async (_, way) => {
    const { server, client } = await startLine(async (peer) => {
      await peer.request();
      peer[way]();
    });
    await expectFault(server, client, 'UPSTREAM_RESET', 502);
  });

  it('resets in the middle of its head: 502', async () => {
    const { server, client } = await startLine(async (peer) => {
      await peer.request();
      await peer.send('HTTP/1.1 200 OK\r\nContent-');
      peer.reset();
    });
    await expectFault(server, client, 'UPSTREAM_RESET', 502);
  });

  it.each([
    ['no HTTP', 'SSH-2.0-OpenSSH_9\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
    ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a status that is none', 'HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n'],
  ])('answers %s: 502', async (_, bytes) => {
    const { server, client } = await startLine(async (peer) => {
      await peer.request();
      await peer.send(bytes);
    });
    await expectFault(server, client, 'UPSTREAM_BAD_RESPONSE', 502);
  });

  it('sends a head without an end: 502', async () => {
    const { server, client } = await startLine(async (peer) => {
      await peer.request();
      await peer.send(`HTTP/1.1 200 OK\r\n${'X: 0123456789\r\n'.repeat(2000)}`);
    });
    await expectFault(server, client, 'UPSTREAM_HEAD_TOO_LARGE', 502);
  });

  it('hangs: 504 after its responseTimeout, and its connection is given up', async () => {
    const { upstream, server, client } = await startLine(async (peer) => void (await peer.request()), {
      responseTimeout: '50ms',
    });
    await expectFault(server, client, 'UPSTREAM_RESPONSE_TIMEOUT', 504);
    await (await upstream.peer()).ended;
  });

  it('never finishes the TLS handshake: 504 after connectTimeout', async () => {
    const upstream = await startUpstream(async () => {});
    const server = await Server.start(
      documentOf(upstream.url.replace('http', 'https'), { connectTimeout: '50ms' }),
    );
    await expectFault(server, await server.client(), 'UPSTREAM_CONNECT_TIMEOUT', 504);
  });

  it('does not speak TLS: 502', async () => {
    const upstream = await startUpstream(async (peer) => peer.send('HTTP/1.1 400 no\r\n\r\n'));
    const server = await Server.start(documentOf(upstream.url.replace('http', 'https')));
    await expectFault(server, await server.client(), 'UPSTREAM_TLS_FAILED', 502);
  });

  it.each([
    ['a length', 'Content-Length: 10\r\n\r\nhello', 'reset'],
    ['a length', 'Content-Length: 10\r\n\r\nhello', 'end'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'reset'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'end'],
  ] as const)('breaks off a body with %s: the client is cut as well', async (_, rest, way) => {
    const relayed = Promise.withResolvers<void>();
    const { server, client } = await startLine(async (peer) => {
      await peer.request();
      await peer.send(`HTTP/1.1 200 OK\r\n${rest}`);
      await relayed.promise;
      peer[way]();
    });
    await client.send(GET);
    await client.untilText('hello');
    relayed.resolve();
    expect(await restOf(client)).not.toMatch(/\r\n0\r\n/);
    expect(server.faults).toEqual(['UPSTREAM_BODY_CUT']);
  });

  it('falls silent in the middle of a body: the client is cut as well', async () => {
    const { server, client } = await startLine(
      async (peer) => {
        await peer.request();
        await peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
      },
      { responseTimeout: '1s' },
    );
    await client.send(GET);
    expect(await restOf(client)).not.toMatch(/\r\n0\r\n/);
    expect(server.faults).toEqual(['UPSTREAM_BODY_TIMEOUT']);
  });

  it('breaks off towards an HTTP/1.0 client, to whom the end of the connection is the end of the body: a reset', async () => {
    const { server, client } = await startLine(
      async (peer) => {
        await peer.request();
        await peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
      },
      { responseTimeout: '1s' },
    );
    await client.send('GET / HTTP/1.0\r\n\r\n');
    expect(await client.ended).toBe('reset');
    expect(server.faults).toEqual(['UPSTREAM_BODY_TIMEOUT']);
  });

  /** Answers one request on each connection, and lets go of the first connection at its second request. */
  const letsGo: Script = async (peer, index) => {
    await peer.request();
    await peer.ok(`connection ${index}`);
    await peer.request();
    peer.reset();
  };

  it('lets go of a pooled connection: a request that may be repeated is sent once more, on a new one', async () => {
    const { upstream, server, client } = await startLine(letsGo);
    expect((await client.ask(GET)).body).toBe('connection 0');
    expect((await client.ask(GET)).body).toBe('connection 1');
    expect(upstream.lines).toHaveLength(3);
    expect(server.faults).toEqual([]);
  });

  it.each([
    ['POST is not sent again', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n', {}],
    ['a body is not sent again', 'PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx', {}],
    ['nothing is sent again where that is off', GET, { retry: { attempts: 0 } }],
  ])('lets go of a pooled connection: %s', async (_, bytes, settings) => {
    const { upstream, server, client } = await startLine(letsGo, settings);
    await client.ask(GET);
    expect(valuesOf(await client.ask(bytes), 'x-splitter-error')).toEqual(['UPSTREAM_RESET']);
    expect(upstream.peers).toHaveLength(1);
    expect(server.faults).toEqual(['UPSTREAM_RESET']);
  });

  it('has all its connections busy and nobody may wait: 503 at once', async () => {
    const { upstream, server, client } = await startLine(async (peer) => void (await peer.request()), {
      pool: { maxConnections: 1, maxQueued: 0 },
    });
    await (await server.client()).send(GET);
    await upstream.peer();
    await expectFault(server, client, 'QUEUE_FULL', 503);
  });

  it('has all its connections busy for longer than queueTimeout: 503', async () => {
    const { upstream, server, client } = await startLine(async (peer) => void (await peer.request()), {
      pool: { maxConnections: 1, queueTimeout: '50ms' },
    });
    await (await server.client()).send(GET);
    await upstream.peer();
    await expectFault(server, client, 'QUEUE_TIMEOUT', 503);
  });
});

describe('a client that is slow', () => {
  /** Answers in full what it is asked, but hangs at /hang. */
  const script: Script = async (peer) => {
    for (;;) {
      const { line } = await peer.request();
      if (line.includes('/hang')) return;
      await peer.ok(line.includes('/large') ? 'x'.repeat(LARGE) : 'all of it');
    }
  };
  const LARGE = 20_000_000;

  /** Lets the upstream's responseTimeout pass twice, as another client sees it. */
  async function passTime(server: Server): Promise<void> {
    for (let i = 0; i < 2; i++) {
      const other = await server.client();
      expect(statusOf(await other.ask('GET /hang HTTP/1.1\r\nHost: h\r\n\r\n'))).toBe(504);
    }
  }

  it('in sending its body is not taken for an upstream that is silent', async () => {
    const { server, client } = await startLine(script, { responseTimeout: '1s' });
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello');
    await passTime(server);
    await client.send('world');
    expect((await client.response()).body).toBe('all of it');
  });

  it('in reading its response is not taken for an upstream that is silent', async () => {
    const { server, client } = await startLine(script, { responseTimeout: '1s' });
    client.countOnly();
    client.socket.pause();
    await client.send('GET /large HTTP/1.1\r\nHost: h\r\n\r\n');
    await passTime(server);
    client.socket.resume();
    await client.until(() => client.bytesReceived > LARGE, 'the whole body');
    expect(server.faults).toEqual(['UPSTREAM_RESPONSE_TIMEOUT', 'UPSTREAM_RESPONSE_TIMEOUT']);
  });
});

describe('a client that goes away', () => {
  it.each([
    ['before the answer', GET, null],
    ['in the middle of its body', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello', null],
    ['in the middle of the answer', GET, 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello'],
  ])('%s takes the upstream request with it', async (_, bytes, answer) => {
    const { upstream, server, client } = await startLine(async (peer) => {
      await peer.untilText('\r\n\r\n');
      if (answer !== null) await peer.send(answer);
    });
    await client.send(bytes);
    const peer = await upstream.peer();
    await peer.untilText('\r\n\r\n');
    if (answer !== null) await client.untilText('hello');
    client.reset();
    await peer.ended;
    expect(await server.fault()).toBe('DOWNSTREAM_GONE');
    expect(server.faults).toHaveLength(1);
  });
});

describe('an upgrade', () => {
  const UPGRADE =
    'GET /chat?token=abc HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
    'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
  const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

  /** Switches, and then sends back what comes. */
  const echoing: Script = async (peer) => {
    await peer.request();
    await peer.send(SWITCH);
    peer.socket.pipe(peer.socket);
  };

  it('makes a WebSocket of it: messages both ways, and the close code', async () => {
    const sockets = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(sockets, 'listening');
    onTestFinished(() => sockets.close());
    const requests: IncomingMessage[] = [];
    sockets.on('connection', (socket, request) => {
      requests.push(request);
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
      socket.on('close', (code) => codes.push(code));
    });
    const codes: number[] = [];
    const { port } = sockets.address() as AddressInfo;
    const server = await Server.start(documentOf(`http://127.0.0.1:${port}`));
    const client = new WebSocket(`ws://127.0.0.1:${server.port}/chat?token=abc`, 'chat');
    await once(client, 'open');
    for (const message of ['hello', 'x'.repeat(100_000)]) {
      client.send(message);
      expect(String((await once(client, 'message'))[0])).toBe(message);
    }
    client.close(4001);
    expect((await once(client, 'close'))[0]).toBe(4001);
    expect(codes).toEqual([4001]);
    expect(requests[0]!.url).toBe('/chat?token=abc');
    expect(requests[0]!.headers).toMatchObject({
      host: `127.0.0.1:${server.port}`,
      'sec-websocket-protocol': 'chat',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
    });
    expect(server.faults).toEqual([]);
  });

  it('passes bytes that come together with the heads', async () => {
    const { client } = await startLine(async (peer) => {
      await peer.request();
      await peer.send(`${SWITCH}early`);
      peer.socket.pipe(peer.socket);
    });
    await client.send(`${UPGRADE}hello`);
    await client.untilText('101 Switching Protocols');
    await client.untilText('earlyhello');
  });

  it('goes to the upstream of its variant', async () => {
    const [a, b] = [await startUpstream(echoing), await startUpstream(echoing)];
    const variants = [
      { name: 'a', share: '50%', upstream: a.url },
      { name: 'b', share: '*', upstream: b.url },
    ];
    const server = await Server.start({ variants });
    for (const token of ['abc', 'a']) {
      const client = await server.client();
      await client.send(UPGRADE.replace('abc', token));
      await client.untilText('101');
    }
    expect([a.lines, b.lines]).toEqual([['GET /chat?token=abc HTTP/1.1'], ['GET /chat?token=a HTTP/1.1']]);
  });

  it('that the upstream refuses gets its refusal, framed, as the last thing on its connection', async () => {
    // http-proxy would name chunked framing in the head and then send the body without it.
    const { server, client } = await startLine(async (peer) => {
      await peer.request();
      await peer.send(
        'HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\nX-Why: because\r\n\r\n2\r\nno\r\n0\r\n\r\n',
      );
    });
    await client.send(UPGRADE);
    expect(await client.ended).toBe('end');
    const response = await client.response();
    expect([response.line, response.body]).toEqual(['HTTP/1.1 403 No', 'no']);
    expect(valuesOf(response, 'x-why')).toEqual(['because']);
    expect(server.faults).toEqual([]);
  });

  async function expectRefusal(
    server: Server,
    client: RawClient,
    code: FaultCode,
    status: number,
  ): Promise<void> {
    await client.send(UPGRADE);
    await client.ended;
    const response = await client.response();
    expect([statusOf(response), valuesOf(response, 'x-splitter-error')]).toEqual([status, [code]]);
    expect(server.faults).toEqual([code]);
  }

  it('to an upstream that refuses the connection: 502 and an end', async () => {
    const server = await Server.start(documentOf(`http://127.0.0.1:${await freePort()}`));
    await expectRefusal(server, await server.client(), 'UPSTREAM_CONNECT_FAILED', 502);
  });

  it('to an upstream that resets: 502 and an end', async () => {
    const { server, client } = await startLine(async (peer) => {
      await peer.request();
      peer.reset();
    });
    await expectRefusal(server, client, 'UPSTREAM_RESET', 502);
  });

  it('to an upstream that hangs: 504 and an end', async () => {
    const { server, client } = await startLine(async (peer) => void (await peer.request()), {
      responseTimeout: '50ms',
    });
    await expectRefusal(server, client, 'UPSTREAM_RESPONSE_TIMEOUT', 504);
  });

  it('to an upstream that switches to something else: 502 and an end', async () => {
    const { server, client } = await startLine(async (peer) => {
      await peer.request();
      await peer.send(SWITCH.replace('websocket', 'h2c'));
    });
    await expectRefusal(server, client, 'UPSTREAM_BAD_RESPONSE', 502);
  });

  it('without a key is rejected where the split says so', async () => {
    const variants = [{ name: 'a', share: '100%', upstream: 'http://127.0.0.1:1' }];
    const server = await Server.start({ key: '$cookie_uid', missingKey: 'reject', variants });
    await expectRefusal(server, await server.client(), 'KEY_MISSING', 400);
  });

  it('with a body is refused, as nobody could tell where it ends', async () => {
    const { upstream, server, client } = await startLine(echoing);
    await client.send(UPGRADE.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\nhello'));
    await client.ended;
    expect(valuesOf(await client.response(), 'x-splitter-error')).toEqual(['BAD_UPGRADE']);
    expect([server.faults, upstream.peers]).toEqual([['BAD_UPGRADE'], []]);
  });

  it.each([
    ['to another protocol', UPGRADE.replace('websocket', 'h2c')],
    ['with another method', UPGRADE.replace('GET', 'OPTIONS')],
  ])('%s is ignored: the request is answered like any other', async (_, bytes) => {
    const { upstream, server, client } = await startLine();
    await client.send(bytes);
    expect(await client.ended).toBe('end');
    expect(statusOf(await client.response())).toBe(200);
    expect(valuesOf(upstream.requests[0]!, 'upgrade')).toEqual([]);
    expect(valuesOf(upstream.requests[0]!, 'connection')).toEqual(['keep-alive']);
    expect(server.faults).toEqual([]);
  });

  it('is ignored where upgrades are off', async () => {
    const { upstream, client } = await startLine(undefined, {}, { upgrades: [] });
    await client.send(UPGRADE);
    await client.ended;
    expect(statusOf(await client.response())).toBe(200);
    expect(valuesOf(upstream.requests[0]!, 'upgrade')).toEqual([]);
  });

  it.each(['end', 'reset'] as const)('whose upstream goes away (%s) ends for the client too', async (way) => {
    const { upstream, client } = await startLine(echoing);
    await client.send(UPGRADE);
    await client.untilText('101');
    const peer = await upstream.peer();
    peer[way]();
    await client.ended;
  });

  it.each(['end', 'reset'] as const)('whose client goes away (%s) ends for the upstream too', async (way) => {
    const { upstream, client } = await startLine(echoing);
    await client.send(UPGRADE);
    await client.untilText('101');
    client[way]();
    await (await upstream.peer()).ended;
  });

  it('whose client goes away before the answer takes the upstream request with it', async () => {
    const { upstream, server, client } = await startLine(async (peer) => void (await peer.request()));
    await client.send(UPGRADE);
    const peer = await upstream.peer();
    client.reset();
    await peer.ended;
    expect(await server.fault()).toBe('DOWNSTREAM_GONE');
  });

  it('through which nothing passes for timeouts.tunnelIdle ends', async () => {
    const { server, client } = await startLine(echoing, {}, { timeouts: { tunnelIdle: '50ms' } });
    await client.send(UPGRADE);
    await client.ended;
    expect(server.faults).toEqual(['TUNNEL_IDLE']);
  });
});

describe('overrides, minted keys and fields of our own', () => {
  const SECRET = 'correct-horse-battery';
  const more = {
    variantHeader: { name: 'X-Variant', to: ['upstream', 'client'] },
    vary: true,
    requestId: true,
    forwarded: 'remove',
    splits: {
      s: {
        key: ['$arg_token', { mint: 'uid', cookie: 'uid' }],
        override: { header: 'x-v', cookie: 'v', query: 'v', variants: ['parked'], secret: SECRET },
        variants: [
          { name: 'parked', share: '0%', upstream: 'u' },
          { name: 'all', share: '*', upstream: 'u' },
        ],
      },
    },
  };
  const request = (target: string, ...fields: string[]) =>
    `${[`GET ${target} HTTP/1.1`, 'Host: h', ...fields].join('\r\n')}\r\n\r\n`;

  it('an override reaches its variant, and the upstream sees nothing of it', async () => {
    const { client, upstream } = await startLine(undefined, {}, more);
    const response = await client.ask(
      request(`/p?v=parked~${SECRET}&token=%31`, 'Cookie: a=1; v=x', 'X_V: x', 'X-Request-ID: mine'),
    );
    const [arrived] = upstream.requests;
    expect(arrived!.line).toBe('GET /p?token=%31 HTTP/1.1');
    expect([valuesOf(arrived!, 'x-variant'), valuesOf(arrived!, 'cookie')]).toEqual([['parked'], ['a=1']]);
    expect([valuesOf(arrived!, 'x_v'), valuesOf(arrived!, 'x-request-id')]).toEqual([[], ['mine']]);
    expect([valuesOf(response, 'x-variant'), valuesOf(response, 'vary')]).toEqual([
      ['parked'],
      ['Cookie, x-v, Referer'],
    ]);
  });

  it('without the secret it is removed all the same, as is a variant that a client or an upstream names', async () => {
    const { client, upstream } = await startLine(
      async (peer) => {
        await peer.request();
        await peer.ok('', 'x-variant: forged');
      },
      {},
      more,
    );
    const response = await client.ask(
      request('/?token=1', 'X-V: parked', 'X_Variant: parked', 'x-variant: parked'),
    );
    const [arrived] = upstream.requests;
    const seen = ['x-v', 'x_variant', 'x-variant'].map((name) => valuesOf(arrived!, name));
    expect([...seen, valuesOf(response, 'x-variant')]).toEqual([[], [], ['all'], ['all']]);
  });

  it('a client without a key gets one, with a failure and with an upgrade too', async () => {
    const cookie = expect.stringMatching(/^uid=[\w-]{22}; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
    const { client, upstream, server } = await startLine(
      async (peer) => {
        await peer.request();
        await peer.send(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
        );
      },
      {},
      more,
    );
    const upgrade = request('/', 'Connection: Upgrade', 'Upgrade: websocket');
    expect(valuesOf(await client.ask(upgrade), 'set-cookie')).toEqual([cookie]);
    await upstream.close();
    const other = await server.client();
    const failed = await other.ask(request('/'));
    expect([statusOf(failed), valuesOf(failed, 'set-cookie')]).toEqual([502, [cookie]]);
  });
});

describe('a configuration that cannot be used', () => {
  const variants = [{ name: 'a', share: '100%', upstream: 'http://127.0.0.1:1' }];
  const twoSplits = { splits: { one: { variants }, two: { variants } } };

  it.each([
    [
      'a share that does not add up',
      { variants: [{ ...variants[0]!, share: '99%' }] },
      'variants: expected shares',
    ],
    [
      'an upstream without a URL',
      { variants: [{ ...variants[0]!, upstream: 'b' }] },
      'variants[0].upstream: expected',
    ],
    ['a key text', { key: '$arg', variants }, 'key: expected'],
    ['two splits', twoSplits, 'expected routes'],
    ['routes', { splits: { one: { variants } }, routes: [{ split: 'one' }] }, 'routes: expected nothing'],
    [
      'a probe',
      documentOf('http://127.0.0.1:1', { probe: { path: '/' } }),
      'upstreams.u.probe: expected nothing',
    ],
    ['no split', {}, 'splits: expected'],
    ['something else', 7, 'expected'],
  ])('%s is one TypeError', (_, config, message) => {
    expect(() => createHandler(config as HandlerConfig)).toThrow(TypeError);
    expect(() => createHandler(config as HandlerConfig)).toThrow(message);
  });

  it('lists everything that is wrong at once', () => {
    const config = { key: '$arg', method: 'x', variants: [{ name: 'a', share: '99%', upstream: 'b' }] };
    expect(() => createHandler(config as HandlerConfig)).toThrow(/method: .*\n.*variants.*\n.*key: /);
  });
});

/** Everything that the client got, once its connection has ended. */
async function restOf(client: RawClient): Promise<string> {
  await client.ended;
  return client.pending;
}

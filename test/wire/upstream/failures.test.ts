// Upstreams that refuse, reset, hang, lie or come later, and clients that go away: what each side sees, and with which
// code. Never a well-formed lie: what was cut upstream is cut downstream.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FAULTS, type FaultCode } from '../../../src/errors.ts';
import { freePort } from '../../support/free-port.ts';
import { type Message, statusOf, valuesOf } from '../../support/message.ts';
import type { RawClient } from '../../support/raw-client.ts';
import { ScriptedUpstream } from '../../support/scripted-upstream.ts';
import { startLine, startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const POST_HEAD = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n';

function isFault(response: Message, code: FaultCode): void {
  expect(statusOf(response)).toBe(FAULTS[code].status);
  expect(valuesOf(response, 'x-splitter-error')).toEqual([code]);
  // What is known beyond the code follows in brackets.
  expect(response.body.replace(/ \([^()]+\)\n$/, '\n')).toBe(`${code}: ${FAULTS[code].sentence}\n`);
  expect(valuesOf(response, 'content-length')).toEqual([String(response.body.length)]);
  expect(valuesOf(response, 'content-type')).toEqual(['text/plain; charset=utf-8']);
  expect(valuesOf(response, 'date')).toHaveLength(1);
}

const to = (url: string, settings: Record<string, unknown> = {}) => ({
  upstreams: { u: { url, ...settings } },
  routes: [{ upstream: 'u' }],
});

describe('an upstream that cannot be reached', () => {
  it('because nobody listens: 502 with its code, and the client’s connection lives on', async () => {
    const splitter = await startSplitter(to(`http://127.0.0.1:${await freePort()}`));
    const client = await splitter.client();
    isFault(await client.ask(GET), 'UPSTREAM_CONNECT_FAILED');
    const second = await client.ask(GET);
    isFault(second, 'UPSTREAM_CONNECT_FAILED');
    expect(valuesOf(second, 'connection')).toEqual([]);
  });

  it('answers HEAD without a body', async () => {
    const splitter = await startSplitter(to(`http://127.0.0.1:${await freePort()}`));
    const client = await splitter.client();
    await client.send('HEAD / HTTP/1.1\r\nHost: h\r\n\r\n');
    const response = await client.response('HEAD');
    expect(statusOf(response)).toBe(502);
    isFault(await client.ask(GET), 'UPSTREAM_CONNECT_FAILED');
  });

  it('with a request body under way ends the connection behind the answer', async () => {
    const splitter = await startSplitter(to(`http://127.0.0.1:${await freePort()}`));
    const client = await splitter.client();
    const response = await client.ask(POST_HEAD, 'some');
    isFault(response, 'UPSTREAM_CONNECT_FAILED');
    expect(valuesOf(response, 'connection')).toEqual(['close']);
    expect(await client.ended).toBe('end');
  });

  it('serves as soon as it listens: it may start later than the splitter', async () => {
    const port = await freePort();
    const splitter = await startSplitter(to(`http://127.0.0.1:${port}`));
    const client = await splitter.client();
    isFault(await client.ask(GET), 'UPSTREAM_CONNECT_FAILED');
    await startUpstream(undefined, port);
    expect((await client.ask(GET)).body).toBe('GET / HTTP/1.1');
  });

  it('because its name has no address: 502, and another upstream is served all the same', async () => {
    const works = await startUpstream();
    const splitter = await startSplitter(
      {
        upstreams: { missing: { url: 'http://missing.test' }, works: { url: works.url } },
        routes: [
          { path: '/missing', upstream: 'missing' },
          { path: '/', upstream: 'works' },
        ],
      },
      { lookup: (host) => Promise.reject(new Error(`getaddrinfo ENOTFOUND ${host}`)) },
    );
    const client = await splitter.client();
    isFault(await client.ask('GET /missing HTTP/1.1\r\nHost: h\r\n\r\n'), 'UPSTREAM_UNRESOLVED');
    expect((await client.ask(GET)).body).toBe('GET / HTTP/1.1');
  });

  it('at its first address is reached at the next one', async () => {
    const upstream = await startUpstream(undefined, await freePort());
    // 127.0.0.2 is loopback as well, and nobody listens there.
    const splitter = await startSplitter(to(`http://two.test:${upstream.port}`), {
      lookup: () => Promise.resolve(['127.0.0.2', '127.0.0.1']),
    });
    for (let i = 0; i < 8; i++) {
      const client = await splitter.client();
      expect((await client.ask('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')).body).toBe(
        'GET / HTTP/1.1',
      );
    }
    expect(upstream.lines).toHaveLength(8);
  });

  it('because it does not accept in time: 504', async () => {
    // A stopped process whose backlog is full: the kernel answers no further SYN.
    const program =
      "const s=require('net').createServer().listen({port:0,host:'127.0.0.1',backlog:1},()=>{console.log(s.address().port)})";
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => {
      child.kill('SIGKILL');
    });
    const port = Number(String((await once(child.stdout, 'data'))[0]));
    child.kill('SIGSTOP');
    const fillers = Array.from({ length: 6 }, () => connect(port, '127.0.0.1'));
    let connected = 0;
    const isFull = Promise.withResolvers<void>();
    for (const filler of fillers) {
      filler.on('error', () => undefined); // reset when the process is killed
      filler.on('connect', () => {
        if (++connected === 2) isFull.resolve();
      });
    }
    onTestFinished(() => {
      for (const filler of fillers) filler.destroy();
    });
    await isFull.promise;
    const splitter = await startSplitter(to(`http://127.0.0.1:${port}`, { connectTimeout: '60ms' }));
    const client = await splitter.client();
    isFault(await client.ask(GET), 'UPSTREAM_CONNECT_TIMEOUT');
  });
});

describe('an upstream that goes away', () => {
  it.each(['end', 'reset'] as const)('before it answers (%s): 502', async (how) => {
    const { client } = await startLine(async (peer) => {
      await peer.request();
      if (how === 'end') peer.end();
      else peer.reset();
    });
    isFault(await client.ask(GET), 'UPSTREAM_RESET');
  });

  it.each(['HTTP/1.1 200 OK\r\nContent-Le', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n', 'H'])(
    'in the middle of its head (%j): 502',
    async (part) => {
      const { client } = await startLine(async (peer) => {
        await peer.request();
        await peer.send(part);
        peer.end();
      });
      isFault(await client.ask(GET), 'UPSTREAM_RESET');
    },
  );

  it('behind an interim response: 502 behind the interim response', async () => {
    const { client } = await startLine(async (peer) => {
      await peer.request();
      await peer.send('HTTP/1.1 103 Early Hints\r\n\r\n');
      peer.end();
    });
    expect(statusOf(await client.ask(GET))).toBe(103);
    isFault(await client.response(), 'UPSTREAM_RESET');
  });

  const cut = (head: string, body: string, how: 'end' | 'reset') =>
    startLine(async (peer) => {
      await peer.request();
      await peer.send(`HTTP/1.1 200 OK\r\n${head}\r\n${body}`);
      if (how === 'end') peer.end();
      else peer.reset();
    });

  it.each(['end', 'reset'] as const)(
    'in a body with a length (%s): the client gets less than the length, and the end',
    async (how) => {
      const { client } = await cut('Content-Length: 10\r\n', 'hello', how);
      await client.send(GET);
      await client.ended;
      expect(client.pending).toMatch(/Content-Length: 10\r\n.*\r\n\r\nhello$/s);
    },
  );

  it.each(['end', 'reset'] as const)('in a chunked body (%s): the client gets no last chunk', async (how) => {
    const { client } = await cut('Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n', how);
    await client.send(GET);
    await client.ended;
    expect(client.pending).toMatch(/\r\n\r\n5\r\nhello\r\n$/);
  });

  it('with a reset in a body that ends with its connection: no last chunk either', async () => {
    const { client } = await cut('', 'hello', 'reset');
    await client.send(GET);
    await client.ended;
    expect(client.pending).toMatch(/\r\n\r\n5\r\nhello\r\n$/);
  });

  it('in a body whose end HTTP/1.0 can only tell from the end of the connection: that one is a reset', async () => {
    for (const head of ['Transfer-Encoding: chunked\r\n', '']) {
      const { client } = await cut(head, head === '' ? 'hello' : '5\r\nhello\r\n', 'reset');
      await client.send('GET / HTTP/1.0\r\n\r\n');
      expect(await client.ended).toBe('reset');
    }
  });

  it('while the client uploads: 502 and the end of the connection', async () => {
    const { client } = await startLine(async (peer) => {
      await peer.untilText('some');
      peer.reset();
    });
    const response = await client.ask(POST_HEAD, 'some');
    isFault(response, 'UPSTREAM_RESET');
    expect(valuesOf(response, 'connection')).toEqual(['close']);
    await client.ended;
  });
});

describe('a client that goes away', () => {
  it('while the upstream thinks cancels the request there', async () => {
    const hasArrived = Promise.withResolvers<void>();
    const { client, upstream } = await startLine(async (peer) => {
      await peer.request();
      hasArrived.resolve();
      await peer.ended;
    });
    await client.send(GET);
    await hasArrived.promise;
    client.reset();
    await upstream.peers[0]!.ended;
  });

  it('while it uploads cancels the request there, and the body has no end', async () => {
    const { client, upstream } = await startLine();
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n', '5\r\nhello\r\n');
    const peer = await upstream.peer();
    await peer.untilText('hello');
    client.reset();
    await peer.ended;
    expect(peer.transcript).not.toContain('0\r\n\r\n');
    expect(upstream.requests).toEqual([]);
  });

  it('while it downloads stops the upstream', async () => {
    const { client, upstream } = await startLine(async (peer) => {
      await peer.request();
      await peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
      await peer.ended;
    });
    await client.send(GET);
    await client.untilText('hello');
    client.reset();
    await upstream.peers[0]!.ended;
  });

  it('with requests waiting behind: they are never sent', async () => {
    const { client, upstream } = await startLine(async (peer) => {
      await peer.request();
      await peer.ended;
    });
    await client.send('GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n');
    const peer = await upstream.peer();
    client.reset();
    await peer.ended;
    expect(upstream.transcript).not.toContain('/2');
  });

  it('leaves no connection behind, and the next client is served', async () => {
    const { client, splitter, ambassador } = await startLine();
    await client.send('GET / HTTP/1.1\r\nHost: h\r\n');
    client.reset();
    const other = await splitter.client();
    expect((await other.ask(GET)).body).toBe('GET / HTTP/1.1');
    expect(ambassador.connectionCount).toBe(1);
  });
});

describe('an answer of the splitter itself', () => {
  it('for a request that no route takes', async () => {
    const upstream = await startUpstream();
    const splitter = await startSplitter({
      upstreams: { u: { url: upstream.url } },
      routes: [{ path: '/api/', upstream: 'u' }],
    });
    const client = await splitter.client();
    isFault(await client.ask(GET), 'NO_ROUTE');
    expect((await client.ask('GET /api/x HTTP/1.1\r\nHost: h\r\n\r\n')).body).toBe('GET /api/x HTTP/1.1');
  });

  it('for a request without its key where the split rejects it', async () => {
    const upstream = await startUpstream();
    const splitter = await startSplitter({
      splits: { s: { missingKey: 'reject', variants: [{ name: 'a', share: '*', upstream: upstream.url }] } },
    });
    const client = await splitter.client();
    isFault(await client.ask(GET), 'KEY_MISSING');
    expect(statusOf(await client.ask('GET /?token=1 HTTP/1.1\r\nHost: h\r\n\r\n'))).toBe(200);
  });
});

describe('an answer that comes while the client still uploads', () => {
  const UPLOAD_BYTES = 20 * 1024 * 1024;
  const head = `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${UPLOAD_BYTES}\r\n\r\n`;

  /** Uploads without looking at what comes, as simple clients do, until all is sent or the connection is gone. */
  async function upload(client: RawClient): Promise<void> {
    await client.send(head);
    const part = Buffer.alloc(256 * 1024);
    for (let sent = 0; sent < UPLOAD_BYTES && client.ending === null; sent += part.length) {
      await Promise.race([client.send(part), client.ended]);
    }
  }

  it('is a refusal of the splitter that a reset must not destroy before the client has read it', async () => {
    const { client } = await startLine(undefined, { limits: { requestBody: '1MiB' } });
    await upload(client);
    isFault(await client.response(), 'BODY_TOO_LARGE');
  });

  it('is whole, though the upstream reads nothing of the body', async () => {
    const body = 'x'.repeat(1024 * 1024);
    const { client } = await startLine(async (peer) => {
      await peer.untilText('\r\n\r\n');
      peer.socket.pause();
      await peer.ok(body);
      await peer.closed;
    });
    const uploading = upload(client);
    const response = await client.response();
    expect(statusOf(response)).toBe(200);
    expect(response.body === body).toBe(true);
    await client.ended;
    await uploading;
  });
});

describe('a Unix socket', () => {
  it('is an upstream like any other', async () => {
    const path = `/tmp/request-splitter-test-${process.pid}-upstream.sock`;
    const upstream = await ScriptedUpstream.listen(undefined, path);
    onTestFinished(() => upstream.close());
    const splitter = await startSplitter(to(`unix:${path}`));
    const client = await splitter.client();
    expect((await client.ask(GET)).body).toBe('GET / HTTP/1.1');
  });
});

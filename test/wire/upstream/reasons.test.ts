// What a failure says beyond its code: which rule a message broke, or which error the system gave. It is in the answer,
// where anybody may read it, and in the line of the access log.
import { describe, expect, it } from 'vitest';
import { FAULT_CODES } from '../../../src/errors.ts';
import { AccessLog } from '../../../src/telemetry/access-log.ts';
import { freePort } from '../../support/free-port.ts';
import { logLines } from '../../support/log-lines.ts';
import { NamedServer } from '../../support/named-server.ts';
import { type Document, startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

/** A splitter before an upstream at `url`, and the lines of its access log. */
async function startLogged(url: string, settings: Document = {}) {
  const { lines, ...output } = logLines();
  const splitter = await startSplitter(
    { upstreams: { u: { url, ...settings } }, routes: [{ upstream: 'u' }] },
    { accessLog: new AccessLog(output, 'errors') },
  );
  return { splitter, lines };
}

describe('a response that is not valid HTTP', () => {
  it.each([
    ['HTTP/1.1 200 OK\r\nMy Header: 1\r\n\r\n', 'white space follows "My" before the colon of its field'],
    ['HTTP/1.1 200 OK\nContent-Length: 2\n\nhi', 'the status line ends with a bare LF'],
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi',
      'Content-Length appears more than once',
    ],
    [
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
      '101 switches to a protocol that was not requested',
    ],
  ])('%j: the answer and the log say why', async (bytes, reason) => {
    const upstream = await startUpstream(async (peer) => {
      await peer.request();
      await peer.send(bytes);
    });
    const { splitter, lines } = await startLogged(upstream.url);
    const client = await splitter.client();
    const response = await client.ask(GET);
    expect(response.body).toBe(
      `UPSTREAM_BAD_RESPONSE: the upstream sent something that is not valid HTTP/1.x (${reason})\n`,
    );
    expect(lines).toMatchObject([{ code: 'UPSTREAM_BAD_RESPONSE', cause: reason }]);
  });
});

describe('a request that is refused', () => {
  it('says why, and its line has no empty method and path', async () => {
    const { splitter, lines } = await startLogged('http://127.0.0.1:1');
    const client = await splitter.client();
    const response = await client.ask('GET / HTTP/1.1\r\nHost: h\r\nX Foo: 1\r\n\r\n');
    const cause = 'white space follows "X" before the colon of its field';
    expect(response.body).toMatch(new RegExp(`^BAD_FIELD: .* \\(${cause}\\)\n$`));
    expect(lines).toMatchObject([{ code: 'BAD_FIELD', cause }]);
    expect(lines[0]).not.toHaveProperty('method');
    expect(lines[0]).not.toHaveProperty('path');
  });

  it('in the middle of its chunked body says why', async () => {
    const upstream = await startUpstream(() => Promise.resolve());
    const { splitter, lines } = await startLogged(upstream.url);
    const client = await splitter.client();
    const head = 'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n';
    const response = await client.ask(`${head}2\r\nabc`);
    expect(response.body).toContain('(the data of a chunk is not followed by CRLF)');
    expect(lines).toMatchObject([{ code: 'BAD_CHUNK', path: '/' }]);
  });
});

describe('a connect that fails', () => {
  it('says which error the system gave', async () => {
    const { splitter, lines } = await startLogged(`http://127.0.0.1:${await freePort()}`);
    const client = await splitter.client();
    expect((await client.ask(GET)).body).toContain('(ECONNREFUSED)');
    expect(lines).toMatchObject([{ code: 'UPSTREAM_CONNECT_FAILED', cause: 'ECONNREFUSED' }]);
  });
});

describe('a change of an upstream’s state', () => {
  it('is one warning, with address, code and cause, and one when it is over', async () => {
    const { log, lines } = logLines();
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const splitter = await startSplitter({ upstreams: { u: { url } }, routes: [{ upstream: 'u' }] }, { log });
    const client = await splitter.client();
    for (let i = 0; i < 5; i++) await client.ask(GET);
    const unreachable = {
      level: 'warn',
      upstream: 'u',
      address: '127.0.0.1',
      code: 'UPSTREAM_CONNECT_FAILED',
      cause: 'ECONNREFUSED',
      msg: 'upstream unreachable',
    };
    expect(lines).toEqual([unreachable]);
    expect(splitter.ambassador.generation.upstreams.get('u')!.describe()).toMatchObject([
      {
        state: 'failing',
        lastFailure: { code: 'UPSTREAM_CONNECT_FAILED', cause: 'ECONNREFUSED', at: expect.any(String) },
      },
    ]);
    expect(splitter.ambassador.generation.upstreams.get('u')!.trouble).toContain(
      '127.0.0.1: UPSTREAM_CONNECT_FAILED (ECONNREFUSED)',
    );
    await startUpstream(undefined, port);
    await client.ask(GET);
    expect(lines).toEqual([
      unreachable,
      {
        level: 'warn',
        upstream: 'u',
        address: '127.0.0.1',
        lastedMs: expect.any(Number),
        msg: 'upstream reachable again',
      },
    ]);
    expect(splitter.ambassador.generation.upstreams.get('u')!.describe()).toMatchObject([
      { state: 'healthy' },
    ]);
  });

  it('says that a name does not resolve, and why', async () => {
    const { log, lines } = logLines();
    const cause = Object.assign(new Error('getaddrinfo ENOTFOUND missing.test'), {
      code: 'ENOTFOUND',
      hostname: 'missing.test',
    });
    const splitter = await startSplitter(
      { upstreams: { u: { url: 'http://missing.test' } }, routes: [{ upstream: 'u' }] },
      { log, lookup: () => Promise.reject(cause) },
    );
    const client = await splitter.client();
    // The name is for the log alone.
    expect((await client.ask(GET)).body).toMatch(/^UPSTREAM_UNRESOLVED: .* \(ENOTFOUND\)\n$/);
    expect(lines).toMatchObject([
      { level: 'warn', msg: 'name does not resolve', name: 'missing.test', cause: 'ENOTFOUND; missing.test' },
      { level: 'warn', msg: 'upstream unreachable', code: 'UPSTREAM_UNRESOLVED' },
    ]);
  });
});

describe('an answer of the splitter’s own', () => {
  it('is counted in the bytes that were sent, in the log and in the metric', async () => {
    const { splitter, lines } = await startLogged(`http://127.0.0.1:${await freePort()}`);
    const client = await splitter.client();
    let byteCount = 0;
    for (let i = 0; i < 3; i++) byteCount += (await client.ask(GET)).raw.length;
    expect(lines.map(({ sentBytes }) => sentBytes)).toEqual(Array.from({ length: 3 }, () => byteCount / 3));
    const [row] = splitter.ambassador.counters.variants();
    expect(row!.bytesSent).toBe(byteCount);
  });

  it('to HEAD is counted without the body that it does not have', async () => {
    const { splitter, lines } = await startLogged(`http://127.0.0.1:${await freePort()}`);
    const client = await splitter.client();
    await client.send('HEAD / HTTP/1.1\r\nHost: h\r\n\r\n');
    const { raw } = await client.response('HEAD');
    expect(lines).toMatchObject([{ sentBytes: raw.length }]);
  });
});

describe('an upstream that its probes find down', () => {
  it('is reported with what they got, and so is the request that it costs', async () => {
    const server = await NamedServer.listen('ill');
    server.answer = (_, response) => void response.writeHead(500).end();
    const { log, lines } = logLines();
    const splitter = await startSplitter(
      {
        upstreams: {
          u: {
            url: `http://127.0.0.1:${server.port}`,
            probe: { path: '/', interval: '100ms', timeout: '10s', failures: 1 },
          },
        },
        routes: [{ upstream: 'u' }],
      },
      { log },
    );
    await expect.poll(() => lines.length, { timeout: 10_000 }).toBeGreaterThan(0);
    expect(lines[0]).toMatchObject({ msg: 'upstream unreachable', code: 'UPSTREAM_DOWN' });
    const client = await splitter.client();
    expect((await client.ask(GET)).body).toMatch(
      /^UPSTREAM_DOWN: .* \(the last probe of every address failed: the probe got status 500\)\n$/,
    );
  });
});

describe('what ends without an answer is counted all the same', () => {
  it('a client that goes away in the middle of a head', async () => {
    const { splitter, lines } = await startLogged('http://127.0.0.1:1');
    const client = await splitter.client();
    await client.send('GET / HTTP/1.1\r\nHo');
    client.end();
    await client.ended;
    const { refusals } = splitter.ambassador.counters.downstream;
    expect(refusals[FAULT_CODES.indexOf('DOWNSTREAM_GONE')]).toBe(1);
    expect(lines).toMatchObject([
      { code: 'DOWNSTREAM_GONE', cause: 'the client closed the connection in the middle of a head' },
    ]);
  });

  it('a tunnel in which nothing moves', async () => {
    const upstream = await startUpstream(async (peer) => {
      await peer.request();
      await peer.send(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
      );
    });
    const splitter = await startSplitter({
      upstreams: { u: { url: upstream.url } },
      routes: [{ upstream: 'u' }],
      timeouts: { tunnelIdle: '100ms' },
    });
    const client = await splitter.client();
    await client.send('GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
    await client.ended;
    const [row] = splitter.ambassador.counters.variants();
    expect(row!.faults[FAULT_CODES.indexOf('TUNNEL_IDLE')]).toBe(1);
  });
});

// Upstreams as they live in a cluster: several addresses, names that change, probes, ejection, and what happens when
// nothing is up. Addresses are those of the loopback; the lookup is the test's own.
import { describe, expect, it } from 'vitest';
import type { Lookup } from '../../../src/upstream/lookups.ts';
import { freePort } from '../../support/free-port.ts';
import { statusOf, valuesOf } from '../../support/message.ts';
import { NamedServer } from '../../support/named-server.ts';
import type { RawClient } from '../../support/raw-client.ts';
import { type Document, startSplitter } from '../../support/splitter.ts';

const GET = 'GET /?token=1 HTTP/1.1\r\nHost: h\r\n\r\n';

/** Two servers on one port of two addresses. */
async function twoAddresses(): Promise<{ a: NamedServer; b: NamedServer; port: number }> {
  for (;;) {
    const a = await NamedServer.listen('a', '127.0.0.1');
    const b = await NamedServer.listen('b', '127.0.0.2', a.port).catch(() => null);
    if (b !== null) return { a, b, port: a.port };
  }
}

function upstreamAt(port: number, settings: Document = {}, more: Document = {}): Document {
  return {
    upstreams: { u: { url: `http://backend:${port}`, ...settings }, ...(more.upstreams as object) },
    routes: [{ upstream: 'u' }],
  };
}

const both: Lookup = async () => ['127.0.0.1', '127.0.0.2'];

async function bodies(client: RawClient, count: number): Promise<string[]> {
  const answers: string[] = [];
  for (let i = 0; i < count; i++) answers.push((await client.ask(GET)).body);
  return answers;
}

describe('an upstream with two addresses', () => {
  it('uses both', async () => {
    const { port } = await twoAddresses();
    const settings = { pool: { maxExchanges: 1 } };
    const splitter = await startSplitter(upstreamAt(port, settings), { lookup: both });
    const names = await bodies(await splitter.client(), 60);
    expect(new Set(names)).toEqual(new Set(['a', 'b']));
  });

  it('reaches the one that lives when the other one is down, and no client notices', async () => {
    const { a, port } = await twoAddresses();
    await a.close();
    const settings = { pool: { maxExchanges: 1 }, eject: { time: '1m' } };
    const splitter = await startSplitter(upstreamAt(port, settings), { lookup: both });
    expect(new Set(await bodies(await splitter.client(), 40))).toEqual(new Set(['b']));
    // One refused connect ejects it while the other one is healthy: no further exchange had to try it.
    const failures = splitter.ambassador.counters.upstream('u').connectFailures;
    expect(failures.reduce((sum, count) => sum + count, 0)).toBe(1);
    expect(splitter.ambassador.counters.upstream('u').ejections).toBe(1);
    const addresses = splitter.ambassador.generation.upstreams.get('u')!.describe();
    expect(addresses.map(({ address, healthy }) => [address, healthy])).toEqual([
      ['127.0.0.1', false],
      ['127.0.0.2', true],
    ]);
  });

  it('ejects one that answers garbage, never the last one', async () => {
    const { a, b, port } = await twoAddresses();
    for (const server of [a, b]) {
      server.answer = (_, response) => void response.socket!.end('no HTTP at all\r\n\r\n');
    }
    const settings = { pool: { maxExchanges: 1 }, eject: { failures: 1, time: '1m' } };
    const splitter = await startSplitter(upstreamAt(port, settings), { lookup: both });
    const client = await splitter.client();
    for (let i = 0; i < 20; i++) expect(statusOf(await client.ask(GET))).toBe(502);
    expect(splitter.ambassador.counters.upstream('u').ejections).toBe(1);
    const last = splitter.ambassador.generation.upstreams
      .get('u')!
      .describe()
      .find(({ healthy }) => healthy);
    const server = last?.address === '127.0.0.1' ? a : b;
    server.answer = (_, response) => void response.end('well again');
    expect((await client.ask(GET)).body).toBe('well again');
  });

  it('ejects one that breaks off in the middle of its chunks, whether it ends or writes what is no chunk', async () => {
    for (const rest of ['', '5\r\nhelloo\r\n']) {
      const { a, port } = await twoAddresses();
      a.answer = (_, response) => {
        response.socket!.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n${rest}`);
      };
      const settings = { pool: { maxExchanges: 1 }, eject: { failures: 1, time: '1m' } };
      const splitter = await startSplitter(upstreamAt(port, settings), { lookup: both });
      let cut = 0;
      while (cut === 0) {
        const client = await splitter.client();
        await client.ask(GET).catch(() => cut++);
      }
      expect(splitter.ambassador.counters.upstream('u').ejections).toBe(1);
      expect(new Set(await bodies(await splitter.client(), 20))).toEqual(new Set(['b']));
    }
  });

  it('leaves an address that the name no longer has, and closes what was idle to it', async () => {
    const { a, b, port } = await twoAddresses();
    let hosts = ['127.0.0.1'];
    const asked: (() => void)[] = [];
    const lookup: Lookup = async () => {
      for (const wake of asked.splice(0)) wake();
      return hosts;
    };
    const splitter = await startSplitter(upstreamAt(port), { lookup });
    const client = await splitter.client();
    expect(await bodies(client, 3)).toEqual(['a', 'a', 'a']);
    hosts = ['127.0.0.2'];
    await a.close();
    // The connect to the old address fails, the name is looked up again, and the new address is used from then on.
    const statuses: number[] = [];
    while (b.asked.length === 0) statuses.push(statusOf(await client.ask(GET)));
    expect(new Set(statuses.slice(0, -1))).toEqual(new Set(statuses.length > 1 ? [502] : []));
    expect((await client.ask(GET)).body).toBe('b');
    const addresses = splitter.ambassador.generation.upstreams.get('u')!.describe();
    expect(addresses.map(({ address }) => address)).toEqual(['127.0.0.2']);
  });
});

describe('a connection', () => {
  it('that has served its number of exchanges is not used again', async () => {
    const server = await NamedServer.listen('a');
    const sockets = new Set<unknown>();
    server.answer = (request, response) => {
      sockets.add(request.socket);
      response.end('a');
    };
    const splitter = await startSplitter({
      upstreams: { u: { url: `http://127.0.0.1:${server.port}`, pool: { maxExchanges: 10 } } },
      routes: [{ upstream: 'u' }],
    });
    await bodies(await splitter.client(), 40);
    // 9 or 10 exchanges each: 10 % jitter.
    expect(sockets.size).toBeGreaterThanOrEqual(4);
    expect(sockets.size).toBeLessThanOrEqual(5);
  });
});

describe('probes', () => {
  const probe = { path: '/up', interval: '10ms', timeout: '1s', failures: 2, successes: 1 };

  it('take an upstream down: 503 with its code without a try, and back again', async () => {
    const server = await NamedServer.listen('a');
    let isUp = false;
    server.answer = (request, response) => {
      response.statusCode = request.url === '/up' && !isUp ? 500 : 200;
      response.end('a');
    };
    const splitter = await startSplitter({
      upstreams: { u: { url: `http://127.0.0.1:${server.port}`, probe } },
      routes: [{ upstream: 'u' }],
    });
    const client = await splitter.client();
    const upstream = splitter.ambassador.generation.upstreams.get('u')!;
    await server.until(() => upstream.describe()[0]?.healthy === false || server.asked.length > 4);
    const answer = await client.ask(GET);
    expect(statusOf(answer)).toBe(503);
    expect(valuesOf(answer, 'x-splitter-error')).toEqual(['UPSTREAM_DOWN']);
    expect(server.asked).not.toContain('/?token=1');
    isUp = true;
    const before = server.asked.length;
    await server.until(() => server.asked.length > before + 2);
    expect((await client.ask(GET)).body).toBe('a');
  });

  it('ask with a Host of the upstream and no connection of an exchange', async () => {
    const server = await NamedServer.listen('a');
    const hosts: (string | undefined)[] = [];
    server.answer = (request, response) => {
      hosts.push(request.headers.host);
      response.end('a');
    };
    await startSplitter({
      upstreams: { u: { url: `http://127.0.0.1:${server.port}`, probe } },
      routes: [{ upstream: 'u' }],
    });
    await server.until(() => hosts.length > 0);
    expect(hosts[0]).toBe(`127.0.0.1:${server.port}`);
  });
});

describe('onDown', () => {
  it('fallback sends what cannot be connected to another upstream, and marks it', async () => {
    const other = await NamedServer.listen('other');
    const splitter = await startSplitter({
      upstreams: {
        gone: { url: `http://127.0.0.1:${await freePort()}`, onDown: { fallback: 'other' } },
        other: { url: `http://127.0.0.1:${other.port}` },
      },
      splits: { s: { variants: [{ name: 'v', share: '*', upstream: 'gone' }] } },
    });
    const client = await splitter.client();
    const answer = await client.ask('POST /?token=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody');
    expect(answer.body).toBe('other');
    expect(valuesOf(answer, 'x-splitter-fallback')).toEqual(['other']);
    const counters = splitter.ambassador.counters.variant('s', 'v', 'gone');
    expect(counters.fallbacks).toBe(1);
    // It says nothing about the variant: the sample stays clean.
    const samples = [...splitter.ambassador.counters.samples()];
    expect(samples.flatMap((sample) => sample.counts().map(({ keys }) => keys))).toEqual([0]);
  });

  it('fallback is never taken for a request that the upstream may have seen', async () => {
    const broken = await NamedServer.listen('broken');
    broken.answer = (request) => void request.socket.destroy();
    const other = await NamedServer.listen('other');
    const splitter = await startSplitter({
      upstreams: {
        broken: { url: `http://127.0.0.1:${broken.port}`, onDown: { fallback: 'other' } },
        other: { url: `http://127.0.0.1:${other.port}` },
      },
      routes: [{ upstream: 'broken' }],
    });
    const client = await splitter.client();
    expect(statusOf(await client.ask(GET))).toBe(502);
    expect(other.asked).toEqual([]);
  });

  it('fallback is not taken after a retry either: the request was lost on a connection that had been used', async () => {
    const fading = await NamedServer.listen('fading');
    const other = await NamedServer.listen('other');
    const splitter = await startSplitter({
      upstreams: {
        fading: { url: `http://127.0.0.1:${fading.port}`, onDown: { fallback: 'other' } },
        other: { url: `http://127.0.0.1:${other.port}` },
      },
      routes: [{ upstream: 'fading' }],
    });
    const client = await splitter.client();
    expect((await client.ask(GET)).body).toBe('fading');
    // The second request is read, nothing is answered, and from then on nobody listens.
    fading.answer = () => void fading.close();
    const answer = await client.ask(GET);
    expect(statusOf(answer)).toBe(502);
    expect(valuesOf(answer, 'x-splitter-error')).toEqual(['UPSTREAM_CONNECT_FAILED']);
    expect(fading.asked).toHaveLength(2);
    expect(other.asked).toEqual([]);
  });

  it('fail answers with the code of what was tried, and nothing goes elsewhere', async () => {
    const other = await NamedServer.listen('other');
    const splitter = await startSplitter({
      upstreams: {
        gone: { url: `http://127.0.0.1:${await freePort()}`, onDown: 'fail' },
        other: { url: `http://127.0.0.1:${other.port}` },
      },
      routes: [{ upstream: 'gone' }, { host: 'elsewhere', upstream: 'other' }],
    });
    const answer = await (await splitter.client()).ask(GET);
    expect(statusOf(answer)).toBe(502);
    expect(valuesOf(answer, 'x-splitter-error')).toEqual(['UPSTREAM_CONNECT_FAILED']);
    expect(other.asked).toEqual([]);
  });

  it('a fallback that is down as well ends the exchange', async () => {
    const splitter = await startSplitter({
      upstreams: {
        gone: { url: `http://127.0.0.1:${await freePort()}`, onDown: { fallback: 'too' } },
        too: { url: `http://127.0.0.1:${await freePort()}`, onDown: { fallback: 'gone' } },
      },
      routes: [{ upstream: 'gone' }],
    });
    expect(statusOf(await (await splitter.client()).ask(GET))).toBe(502);
  });
});

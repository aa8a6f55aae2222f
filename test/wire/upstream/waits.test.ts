// What an exchange waits for (a name, its turn, a connect) has a limit each, and each limit ends with its own wait:
// none is stretched by something else, and none goes on to run in the next wait.
import { performance } from 'node:perf_hooks';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FAULTS, type FaultCode } from '../../../src/errors.ts';
import { Counters } from '../../../src/telemetry/counters.ts';
import { Deadlines } from '../../../src/transport/deadlines.ts';
import { Upstream } from '../../../src/upstream/upstream.ts';
import { Clock } from '../../support/clock.ts';
import { FakeExchange } from '../../support/fake-exchange.ts';
import { type Message, statusOf, valuesOf } from '../../support/message.ts';
import { NamedServer } from '../../support/named-server.ts';
import { configOf, startSplitter, startUpstream } from '../../support/splitter.ts';

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;

function isFault(response: Message, code: FaultCode): void {
  expect(statusOf(response)).toBe(FAULTS[code].status);
  expect(valuesOf(response, 'x-splitter-error')).toEqual([code]);
}

describe('an exchange that has waited', () => {
  it('for a name has the whole time for its connect: 504, and nobody blames the client', async () => {
    // Accepts, and never begins with TLS: the connect is never done.
    const upstream = await startUpstream((peer) => peer.closed);
    const asked = Promise.withResolvers<void>();
    const found = Promise.withResolvers<readonly string[]>();
    const splitter = await startSplitter(
      {
        upstreams: { u: { url: `https://name.test:${upstream.port}`, connectTimeout: '100ms' } },
        routes: [{ upstream: 'u' }],
      },
      {
        lookup: () => {
          asked.resolve();
          return found.promise;
        },
      },
    );
    await asked.promise;
    const client = await splitter.client();
    await client.send(get('/'));
    found.resolve(['127.0.0.1']);
    isFault(await client.response(), 'UPSTREAM_CONNECT_TIMEOUT');
  });

  it('for its turn has the whole time for its connect', async () => {
    const clock = Clock.stop();
    const upstream = await startUpstream((peer) => peer.closed);
    const splitter = await startSplitter({
      upstreams: {
        u: {
          url: `https://127.0.0.1:${upstream.port}`,
          connectTimeout: '3s',
          pool: { maxConnections: 1, queueTimeout: '5s' },
        },
      },
      routes: [{ upstream: 'u' }],
    });
    const first = await splitter.client();
    const second = await splitter.client();
    await first.send(get('/1'));
    await upstream.peer(0);
    await second.send(get('/2'));
    const answers = [first.response(), second.response()] as const;
    await clock.passUntil(answers[0]);
    isFault(await answers[0], 'UPSTREAM_CONNECT_TIMEOUT');
    const elapsedMs = await clock.passUntil(answers[1]);
    isFault(await answers[1], 'UPSTREAM_CONNECT_TIMEOUT');
    expect(elapsedMs).toBeGreaterThanOrEqual(2900);
  });
});

describe('a queue', () => {
  it('is not waited in for longer because the name was looked up again meanwhile', async () => {
    const target = await startUpstream((peer) => peer.closed);
    const config = configOf({
      upstreams: { u: { url: `http://name.test:${target.port}`, pool: { maxConnections: 1 } } },
      routes: [{ upstream: 'u' }],
    });
    const lookups: ((hosts: readonly string[]) => void)[] = [];
    const deadlines = new Deadlines();
    const upstream = new Upstream(
      'u',
      config.upstreams.get('u')!,
      deadlines,
      new Counters().upstream('u'),
      () => new Promise((resolve) => lookups.push(resolve)),
    );
    onTestFinished(() => {
      upstream.stop();
      deadlines.stop();
    });
    lookups[0]!(['127.0.0.1']);
    while (!upstream.hasAddress) await new Promise((resolve) => setImmediate(resolve));
    const exchanges = [new FakeExchange(), new FakeExchange(), new FakeExchange()] as const;
    const waits = () => exchanges.flatMap((exchange) => exchange.waits);
    const now = Math.ceil(performance.now());
    upstream.checkOut(exchanges[0], now, false);
    upstream.checkOut(exchanges[1], now, false);
    expect(waits()).toHaveLength(1);
    // Later than the answer is believed: the name is looked up again.
    upstream.checkOut(exchanges[2], now + 60_000, false);
    expect(lookups).toHaveLength(2);
    lookups[1]!(['127.0.0.1']);
    await new Promise((resolve) => setImmediate(resolve));
    expect(waits()).toEqual([now + 5000, now + 65_000]);
  });

  it('is left by all at once when the probes say that nothing is up', async () => {
    const server = await NamedServer.listen('a');
    const free = Promise.withResolvers<void>();
    let isUp = true;
    server.answer = async (request, response) => {
      if (request.url === '/up') response.statusCode = isUp ? 200 : 500;
      else {
        response.setHeader('connection', 'close');
        await free.promise;
      }
      response.end('a');
    };
    const splitter = await startSplitter({
      upstreams: {
        u: {
          url: `http://127.0.0.1:${server.port}`,
          probe: { path: '/up', interval: '10ms', failures: 1 },
          pool: { maxConnections: 1, queueTimeout: '20s' },
        },
      },
      routes: [{ upstream: 'u' }],
    });
    const clients = [await splitter.client(), await splitter.client(), await splitter.client()];
    for (const [i, client] of clients.entries()) {
      await client.send(get(`/${i}`));
      if (i === 0) await server.until(() => server.asked.includes('/0'));
    }
    isUp = false;
    const upstream = splitter.ambassador.generation.upstreams.get('u')!;
    await server.until(() => upstream.describe()[0]?.healthy === false);
    free.resolve();
    expect((await clients[0]!.response()).body).toBe('a');
    isFault(await clients[1]!.response(), 'UPSTREAM_DOWN');
    isFault(await clients[2]!.response(), 'UPSTREAM_DOWN');
  });
});

describe('an upstream that no configuration names any more', () => {
  it('is not probed, even when its name is found only now', async () => {
    const server = await NamedServer.listen('a');
    const found = Promise.withResolvers<readonly string[]>();
    const document = (gone: object) => ({
      listen: '127.0.0.1:0',
      upstreams: {
        stays: { url: `http://stays.test:${server.port}`, probe: { path: '/stays', interval: '10ms' } },
        ...gone,
      },
      routes: [{ upstream: 'stays' }],
    });
    const url = `http://gone.test:${server.port}`;
    const splitter = await startSplitter(
      document({ gone: { url, probe: { path: '/gone', interval: '10ms' } } }),
      { lookup: (host) => (host === 'gone.test' ? found.promise : Promise.resolve(['127.0.0.1'])) },
    );
    splitter.ambassador.reload(configOf(document({})));
    found.resolve(['127.0.0.1']);
    await server.until(() => server.asked.length >= 5);
    expect(new Set(server.asked)).toEqual(new Set(['/stays']));
  });
});

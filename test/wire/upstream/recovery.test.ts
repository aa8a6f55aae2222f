// How an address that failed comes back: one exchange tries it, and all others stay away until that one was answered.
import { describe, expect, it } from 'vitest';
import { statusOf } from '../../support/message.ts';
import type { Peer } from '../../support/scripted-upstream.ts';
import { startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi';

const answering = (name: string) => async (peer: Peer) => {
  for (;;) {
    await peer.request();
    await peer.ok(name);
  }
};

describe('an ejected address', () => {
  /** Two servers; "a" broke off a POST and is ejected for 10 ms. From then on its requests wait in `held`. */
  async function startEjected() {
    const held: Peer[] = [];
    const a = await startUpstream(async (peer, index) => {
      await peer.request();
      if (index === 0) return peer.reset();
      held.push(peer);
    });
    const b = await startUpstream(answering('b'));
    const splitter = await startSplitter({
      upstreams: {
        u: {
          servers: [{ url: a.url }, { url: b.url }],
          eject: { failures: 1, time: '10ms', timeMax: '10ms' },
        },
      },
      routes: [{ upstream: 'u' }],
    });
    const ejections = () => splitter.ambassador.counters.upstream('u').ejections;
    while (ejections() === 0) await (await splitter.client()).ask(POST);
    /** Sends requests until one is held by "a"; returns its client. */
    const trial = async () => {
      const before = held.length;
      for (;;) {
        const client = await splitter.client();
        await client.send(GET);
        const answered = client.response().then(
          () => true,
          () => true,
        );
        const isHeld = a.peer(a.peers.length).then(() => false);
        if (await Promise.race([answered, isHeld])) continue;
        while (held.length === before) await new Promise((resolve) => setImmediate(resolve));
        return client;
      }
    };
    return { a, b, splitter, held, trial, ejections };
  }

  it('is tried by one exchange; the others go elsewhere until that one is answered', async () => {
    const { splitter, held, trial } = await startEjected();
    const tried = await trial();
    const client = await splitter.client();
    for (let i = 0; i < 30; i++) expect((await client.ask(GET)).body).toBe('b');
    expect(held).toHaveLength(1);
    const isHealthy = () => splitter.ambassador.generation.upstreams.get('u')!.describe()[0]!.healthy;
    expect(isHealthy()).toBe(false);
    // Its head is answer enough: the body is still to come.
    await held[0]!.send('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n');
    await tried.untilText('Content-Length: 1\r\n');
    expect(isHealthy()).toBe(true);
  });

  it('is ejected again when the trial fails, and the exchange goes elsewhere', async () => {
    const { held, trial, ejections } = await startEjected();
    const tried = await trial();
    held[0]!.reset();
    expect(statusOf(await tried.response())).toBe(200);
    expect(ejections()).toBe(2);
    await trial();
    expect(held).toHaveLength(2);
  });

  it('whose trial lost its client is tried by the next exchange', async () => {
    const { held, trial, ejections } = await startEjected();
    const tried = await trial();
    tried.reset();
    await held[0]!.ended;
    await trial();
    expect(held).toHaveLength(2);
    expect(ejections()).toBe(1);
  });
});

describe('of two servers, by default', () => {
  /** "a" resets every `nth` request, counted over its connections, at most `times`; "b" answers all. */
  async function startFlaky(nth: number, times: number) {
    const seen = { a: 0, resets: 0 };
    const a = await startUpstream(async (peer) => {
      for (;;) {
        await peer.request();
        seen.a++;
        if (seen.a % nth === 0 && seen.resets < times) {
          seen.resets++;
          return peer.reset();
        }
        await peer.ok('a');
      }
    });
    const b = await startUpstream(answering('b'));
    const servers = [{ url: a.url }, { url: b.url }];
    const splitter = await startSplitter({ upstreams: { u: { servers } }, routes: [{ upstream: 'u' }] });
    const ejections = () => splitter.ambassador.counters.upstream('u').ejections;
    return { splitter, seen, ejections };
  }

  it('one that resets every third request costs at most one request: the other one takes what cannot be sent again', async () => {
    const { splitter, seen } = await startFlaky(3, Number.POSITIVE_INFINITY);
    const client = await splitter.client();
    const lost: string[] = [];
    for (let i = 0; i < 300; i++) {
      const answer = await client.ask(i % 4 === 0 ? POST : GET);
      if (statusOf(answer) !== 200) lost.push(i % 4 === 0 ? 'POST' : 'GET');
    }
    expect(['', 'POST']).toContain(lost.join());
    expect(seen.resets).toBeGreaterThan(0);
  });

  it('one that resets a single kept connection is not ejected, and goes on to get what can be sent again', async () => {
    const { splitter, seen, ejections } = await startFlaky(3, 1);
    const client = await splitter.client();
    while (seen.resets === 0) expect((await client.ask(GET)).body).toMatch(/^[ab]$/);
    const before = seen.a;
    while (seen.a < before + 5) await client.ask(GET);
    for (let i = 0; i < 20; i++) expect((await client.ask(POST)).body).toBe('b');
    expect(ejections()).toBe(0);
  });
});

describe('a GET that was lost on a reused connection', () => {
  it('goes to another address, where there is a healthy one', async () => {
    // "a" answers the first request of each connection and resets the second one.
    let resets = 0;
    const a = await startUpstream(async (peer) => {
      await peer.request();
      await peer.ok('a');
      await peer.request();
      resets++;
      peer.reset();
    });
    const b = await startUpstream(answering('b'));
    const splitter = await startSplitter({
      upstreams: { u: { servers: [{ url: a.url }, { url: b.url }], eject: { failures: 0 } } },
      routes: [{ upstream: 'u' }],
    });
    const client = await splitter.client();
    while (resets < 12) {
      const before = resets;
      const { body } = await client.ask(GET);
      if (resets > before) expect(body).toBe('b');
    }
  });
});

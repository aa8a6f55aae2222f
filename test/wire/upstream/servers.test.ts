// An upstream of several servers: shares by weight, backups in need only, none that is down, and the next one when a
// connect fails.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { statusOf, valuesOf } from '../../support/message.ts';
import { type Script, ScriptedUpstream } from '../../support/scripted-upstream.ts';
import { startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

const naming =
  (name: string): Script =>
  async (peer) => {
    for (;;) {
      await peer.request();
      await peer.ok(name);
    }
  };

/** A splitter with one upstream of these servers, and what answers to so many requests, one after the other. */
async function startServers(servers: object[], settings: object = {}) {
  const splitter = await startSplitter({
    upstreams: { u: { servers, ...settings } },
    routes: [{ upstream: 'u' }],
  });
  const client = await splitter.client();
  const ask = async (times: number): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (let i = 0; i < times; i++) {
      const response = await client.ask(GET);
      const name = statusOf(response) === 200 ? response.body : valuesOf(response, 'x-splitter-error')[0]!;
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  };
  return { splitter, client, ask };
}

describe('several servers in one upstream', () => {
  it('share the exchanges by weight, one that is down gets none, and a backup none while others are healthy', async () => {
    const [a, b, c, d] = await Promise.all(['a', 'b', 'c', 'd'].map((name) => startUpstream(naming(name))));
    const { ask } = await startServers([
      { url: a!.url, weight: 3 },
      { url: b!.url },
      { url: c!.url, backup: true },
      { url: d!.url, down: true, weight: 100 },
    ]);
    const counts = await ask(400);
    expect(Object.keys(counts).sort()).toEqual(['a', 'b']);
    // 300 expected; seven standard deviations are 61.
    expect(Math.abs(counts.a! - 300)).toBeLessThan(61);
  });

  it('are tried one after the other when connects fail, each once, the backup last', async () => {
    const alive = await startUpstream(naming('alive'));
    const dead = async () => `http://127.0.0.1:${await freePort()}`;
    const backup = await startServers([
      { url: await dead() },
      { url: await dead() },
      { url: alive.url, backup: true },
    ]);
    expect(await backup.ask(20)).toEqual({ alive: 20 });
    const third = await startServers([{ url: await dead() }, { url: await dead() }, { url: alive.url }]);
    expect(await third.ask(20)).toEqual({ alive: 20 });
    const none = await startServers([{ url: await dead() }, { url: await dead(), backup: true }]);
    expect(await none.ask(3)).toEqual({ UPSTREAM_CONNECT_FAILED: 3 });
  });

  it('a backup steps back as soon as a server is reinstated', async () => {
    const port = await freePort();
    const backup = await startUpstream(naming('backup'));
    const { ask } = await startServers([
      { url: `http://127.0.0.1:${port}`, eject: { failures: 1, time: '10ms', timeMax: '10ms' } },
      { url: backup.url, backup: true },
    ]);
    expect(await ask(1)).toEqual({ backup: 1 });
    const primary = await ScriptedUpstream.listen(naming('primary'), port);
    onTestFinished(() => primary.close());
    while ((await ask(1)).primary === undefined);
    expect(await ask(10)).toEqual({ primary: 10 });
  });

  it('each has its own name, port and socket, and $proxy_host is that of the chosen one', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'splitter-servers-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'a.sock');
    const [tcp, socket] = [await startUpstream(), await startUpstream(undefined, path)];
    const { splitter, ask } = await startServers([{ url: tcp.url }, { url: `unix:${path}` }], {
      host: '$proxy_host',
    });
    while (tcp.requests.length === 0 || socket.requests.length === 0) await ask(1);
    const hosts = [tcp, socket].map(
      ({ requests }) => new Set(requests.flatMap((one) => valuesOf(one, 'host'))),
    );
    expect(hosts).toEqual([new Set([`127.0.0.1:${tcp.port}`]), new Set(['localhost'])]);
    const upstream = splitter.ambassador.generation.upstreams.get('u')!;
    expect(upstream.describe().map(({ address }) => address)).toEqual([`127.0.0.1:${tcp.port}`, path]);
  });

  it('one name that has no address leaves the others at work', async () => {
    const alive = await startUpstream(naming('alive'));
    const lookup = (host: string) => Promise.reject(new Error(`no address for ${host}`));
    const splitter = await startSplitter(
      {
        upstreams: { u: { servers: [{ url: 'http://gone.test' }, { url: alive.url }] } },
        routes: [{ upstream: 'u' }],
      },
      { lookup },
    );
    const client = await splitter.client();
    expect((await client.ask(GET)).body).toBe('alive');
    expect(splitter.ambassador.generation.upstreams.get('u')!.trouble).toBeNull();
  });
});

// An upstream that refuses every connect, as one that restarts does: requests wait for a moment instead of failing, they
// share the tries, and what they wait for has an end.
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { statusOf, valuesOf } from '../../support/message.ts';
import { ScriptedUpstream } from '../../support/scripted-upstream.ts';
import { type RunningSplitter, startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi';

const codeOf = (answer: Parameters<typeof statusOf>[0]) =>
  valuesOf(answer, 'x-splitter-error')[0] ?? String(statusOf(answer));

const countersOf = (splitter: RunningSplitter, name = 'u') => splitter.ambassador.counters.upstream(name);

const failuresOf = (splitter: RunningSplitter) =>
  countersOf(splitter).connectFailures.reduce((sum, count) => sum + count, 0);

/** Waits until `isTrue`. */
const until = (isTrue: () => boolean) => vi.waitUntil(isTrue, { timeout: 20_000, interval: 1 });

/** A splitter whose upstream has so many servers, none of which listens. */
async function startRefused(settings: object = {}, servers = 1, more: object = {}) {
  const ports = await Promise.all(Array.from({ length: servers }, freePort));
  const splitter = await startSplitter({
    upstreams: {
      u: { servers: ports.map((port) => ({ url: `http://127.0.0.1:${port}` })), ...settings },
      ...more,
    },
    routes: [{ upstream: 'u' }],
  });
  /** Sends a request and does not wait for its answer. */
  const ask = async (request: string) => {
    const client = await splitter.client();
    await client.send(request);
    return { client, answer: client.response() };
  };
  return { splitter, ports, ask };
}

describe('an upstream that refuses every connect', () => {
  it.each([1, 2])(
    'and accepts a moment later has lost no request, whatever the method (%i servers)',
    async (servers) => {
      const { splitter, ports, ask } = await startRefused({}, servers);
      const first = await ask(POST);
      await until(() => failuresOf(splitter) === servers);
      const others = await Promise.all([ask(GET), ask(POST), ask(GET)]);
      await until(() => countersOf(splitter).exchangesWaiting === 4);
      await startUpstream(undefined, ports[servers - 1]);
      const answers = await Promise.all([first, ...others].map(({ answer }) => answer));
      expect(answers.map(codeOf)).toEqual(['200', '200', '200', '200']);
      expect(countersOf(splitter).exchangesWaiting).toBe(0);
    },
  );

  it('is tried once more after a pause, then its requests fail', async () => {
    const { splitter, ask } = await startRefused({ connectTimeout: '150ms' });
    const asked = await ask(GET);
    expect(codeOf(await asked.answer)).toBe('UPSTREAM_CONNECT_FAILED');
    expect(failuresOf(splitter)).toBe(2);
    // The outage goes on: one more try for the next one as well.
    expect(codeOf(await asked.client.ask(POST))).toBe('UPSTREAM_CONNECT_FAILED');
    expect(failuresOf(splitter)).toBe(4);
  });

  it('is not connected to by each of those who wait', async () => {
    const { splitter, ask } = await startRefused();
    const first = await ask(GET);
    await until(() => countersOf(splitter).exchangesWaiting === 1);
    const others = await Promise.all(Array.from({ length: 60 }, () => ask(GET)));
    const answers = await Promise.all([first, ...others].map(({ answer }) => answer));
    expect(new Set(answers.map(codeOf))).toEqual(new Set(['UPSTREAM_CONNECT_FAILED']));
    // Two seconds with a try each 200 to 300 ms; those who were last may have needed one of their own.
    expect(failuresOf(splitter)).toBeLessThan(16);
    expect(countersOf(splitter).exchangesWaiting).toBe(0);
  });

  it('is final with retry.attempts: 0', async () => {
    const { splitter, ask } = await startRefused({ retry: { attempts: 0 } });
    expect(codeOf(await (await ask(GET)).answer)).toBe('UPSTREAM_CONNECT_FAILED');
    expect(failuresOf(splitter)).toBe(1);
  });

  it('holds no more requests than pool.maxQueued, and none longer than pool.queueTimeout', async () => {
    const { splitter, ask } = await startRefused({ pool: { maxQueued: 1, queueTimeout: '100ms' } });
    const first = await ask(GET);
    await until(() => countersOf(splitter).exchangesWaiting === 1);
    const second = await ask(GET);
    expect(codeOf(await second.answer)).toBe('UPSTREAM_CONNECT_FAILED');
    expect(codeOf(await first.answer)).toBe('UPSTREAM_CONNECT_FAILED');
    expect(failuresOf(splitter)).toBeLessThan(4);
  });

  it('leaves them to a fallback at once', async () => {
    const other = await startUpstream();
    const { splitter, ask } = await startRefused({ onDown: { fallback: 'other' } }, 1, {
      other: { url: other.url },
    });
    const answer = await (await ask(GET)).answer;
    expect([codeOf(answer), valuesOf(answer, 'x-splitter-fallback')]).toEqual(['200', ['other']]);
    expect(failuresOf(splitter)).toBe(1);
  });

  it('forgets a client that leaves, and goes on for the others', async () => {
    const { splitter, ports, ask } = await startRefused();
    const leaving = await ask(GET);
    await until(() => countersOf(splitter).exchangesWaiting === 1);
    const staying = await ask(GET);
    await until(() => countersOf(splitter).exchangesWaiting === 2);
    const left = expect(leaving.answer).rejects.toThrow();
    leaving.client.reset();
    await left;
    await until(() => countersOf(splitter).exchangesWaiting <= 1);
    await startUpstream(undefined, ports[0]);
    expect(codeOf(await staying.answer)).toBe('200');
    expect(countersOf(splitter).exchangesWaiting).toBe(0);
  });

  it('in the middle of its work costs a GET nothing when it comes back', async () => {
    const port = await freePort();
    const old = await ScriptedUpstream.listen(async (peer) => {
      await peer.request();
      await peer.ended;
    }, port);
    onTestFinished(() => old.close());
    const splitter = await startSplitter({
      upstreams: { u: { url: `http://127.0.0.1:${port}` } },
      routes: [{ upstream: 'u' }],
    });
    const client = await splitter.client();
    await client.send(GET);
    const answer = client.response();
    await until(() => old.requests.length === 1);
    await old.close();
    await until(() => countersOf(splitter).exchangesWaiting === 1);
    await startUpstream(undefined, port);
    expect(codeOf(await answer)).toBe('200');
  });
});

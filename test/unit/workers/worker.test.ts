// A worker as its primary sees it, in the test's own process: each order that the channel brings, and what the worker says.
// The channel is the test's; the ports, the requests and the numbers are real.
import cluster from 'node:cluster';
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { Config } from '../../../src/config/options/document.ts';
import { makeTicketKeys } from '../../../src/downstream/tls-ports.ts';
import type { FromWorker, Orders, ToWorker } from '../../../src/workers/messages.ts';
import { runWorker } from '../../../src/workers/worker.ts';
import { configOf, type Document, startUpstream } from '../../support/splitter.ts';

type Said<Type> = Extract<FromWorker, { type: Type }>;

/** The channel to a primary that is the test. */
class Primary extends EventEmitter {
  readonly heard: FromWorker[] = [];

  send(message: FromWorker, done: () => void): void {
    this.heard.push(message);
    queueMicrotask(done);
    this.emit('heard');
  }

  order(message: ToWorker): void {
    this.emit('message', message);
  }

  /** The first message of this type after `skip` others. */
  async said<Type extends FromWorker['type']>(type: Type, skip = 0): Promise<Said<Type>> {
    for (;;) {
      const found = this.heard.filter((message) => message.type === type)[skip];
      if (found !== undefined) return found as Said<Type>;
      await once(this, 'heard');
    }
  }
}

/** Begins a worker; it is stopped when the test ends. */
async function begin() {
  const primary = new Primary();
  const before = cluster.worker;
  Object.defineProperty(cluster, 'worker', { value: primary, configurable: true });
  onTestFinished(() => {
    Object.defineProperty(cluster, 'worker', { value: before, configurable: true });
  });
  const ended = runWorker();
  await primary.said('hello');
  onTestFinished(async () => {
    primary.order({ type: 'stop' });
    await ended;
  });
  const run = (config: Config, more: Partial<Orders> = {}) =>
    primary.order({
      ...{ type: 'run', config, generation: 7, ticketKeys: makeTicketKeys(), guards: [], secret: null },
      ...more,
    });
  return { primary, ended, run };
}

const documentOf = (url: string, more: Document = {}): Config =>
  configOf({
    listen: '127.0.0.1:0',
    admin: 'off',
    drain: { grace: '0s', deadline: '5s' },
    splits: {
      s: {
        key: '$arg_token',
        variants: [
          { name: 'a', share: '50%', upstream: url },
          { name: 'b', share: '*', upstream: url },
        ],
      },
    },
    ...more,
  });

test('a worker serves its part, reads its numbers to the primary, and says what it did when it has drained', async () => {
  const upstream = await startUpstream();
  const { primary, ended, run } = await begin();
  // Orders before the first one that counts are of no use, and do no harm.
  primary.order({ type: 'read' });
  primary.order({ type: 'renewCertificates' });
  primary.order({ type: 'guards', orders: [] });
  run(documentOf(upstream.url), { secret: 'of the test' });
  const { listening } = await primary.said('listening');
  expect(await (await fetch(`${listening[0]}/?token=1`)).text()).toBe('GET /?token=1 HTTP/1.1');
  const { events } = await primary.said('assignments');
  expect(events).toEqual([expect.objectContaining({ split: 's' })]);
  primary.order({ type: 'read' });
  const { reading } = await primary.said('reading');
  expect(primary.heard.filter(({ type }) => type === 'reading')).toHaveLength(1);
  expect(reading.generation).toBe(7);
  expect([...reading.upstreams.keys()]).toEqual([expect.stringContaining(new URL(upstream.url).host)]);
  expect(reading.samples).toHaveLength(1);
  primary.order({
    type: 'reload',
    config: documentOf(upstream.url, { variantHeader: { name: 'x-v', to: ['client'] } }),
  });
  const isReloaded = () => {
    primary.order({ type: 'read' });
    return primary.heard.filter((message) => message.type === 'reading').at(-1)!.reading.generation;
  };
  await expect.poll(isReloaded, { timeout: 30_000 }).toBe(8);
  expect((await fetch(`${listening[0]}/?token=1`)).headers.get('x-v')).toMatch(/^[ab]$/);
  primary.order({ type: 'drain' });
  expect((await primary.said('drained')).result).toBe('drained');
  expect(await ended).toBe(0);
  expect(primary.heard.at(-1)!.type).toBe('drained');
});

test('a worker whose address is taken says which and why, and leaves with 1', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as { port: number };
  const { primary, ended, run } = await begin();
  run(documentOf('http://127.0.0.1:9', { listen: `127.0.0.1:${port}` }));
  expect(await primary.said('notListening')).toMatchObject({
    address: expect.stringContaining(`${port}`),
    code: 'EADDRINUSE',
  });
  expect(await ended).toBe(1);
});

test('a worker that cannot use a certificate any more leaves with 1', async () => {
  const { ended, run } = await begin();
  const tls = { certFile: import.meta.filename, keyFile: import.meta.filename };
  run(
    documentOf('http://127.0.0.1:9', {
      upstreams: { u: { url: 'https://127.0.0.1:9', tls } },
      splits: {},
      routes: [{ upstream: 'u' }],
    }),
  );
  expect(await ended).toBe(1);
});

test.each(['drain', 'stop'] as const)('an order to %s before it ran ends it with 0', async (type) => {
  const { primary, ended } = await begin();
  primary.order({ type });
  expect(await ended).toBe(0);
});

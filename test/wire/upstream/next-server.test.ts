// After what an exchange goes on to another server of its upstream: `retry.on`, in nginx's words. Never to another variant.
import { createServer, type Server } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Document, startSplitter } from '../../support/splitter.ts';

/** A server that answers each request with this text, or stays silent for an empty one. It counts what it saw. */
async function startServer(answer: string): Promise<{ url: string; seen: () => number }> {
  let seen = 0;
  const sockets = new Set<{ destroy(): void }>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', () => {
      seen++;
      if (answer === 'close') socket.destroy();
      else if (answer !== '') socket.write(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return { url: `http://127.0.0.1:${(address as { port: number }).port}`, seen: () => seen };
}

const GOOD = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood';
const status = (code: number) => `HTTP/1.1 ${code} X\r\nContent-Length: 3\r\n\r\nbad`;
const get = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const post = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab';

/** Asks eight times, so that each server is chosen first; gives the different statuses. */
async function statuses(bad: string, retry: Document, request = get) {
  const [first, other] = [await startServer(bad), await startServer(GOOD)];
  const splitter = await startSplitter({
    upstreams: {
      u: {
        servers: [{ url: first.url }, { url: other.url }],
        responseTimeout: '1s',
        eject: { failures: 0 },
        retry,
      },
    },
    routes: [{ upstream: 'u' }],
  });
  const answers = await Promise.all(
    Array.from({ length: 16 }, async () => {
      const client = await splitter.client();
      return (await client.ask(request)).line.split(' ')[1]!;
    }),
  );
  expect(first.seen()).toBeGreaterThan(0);
  return [...new Set(answers)].sort();
}

describe('an exchange goes on to another server', () => {
  it.each<[string, string, Document, string?]>([
    ['after silence, with timeout', '', { on: ['timeout'] }],
    ['after a close', 'close', { on: ['error'] }],
    ['after what is no HTTP, with invalid_header', 'nonsense\r\n\r\n', { on: ['invalid_header'] }],
    ['after 503, with http_503', status(503), { on: ['http_503'] }],
    ['after 404, with http_404', status(404), { on: ['http_404'] }],
    ['after 429, with http_429', status(429), { on: ['http_429'] }],
    ['a POST too, with non_idempotent', status(500), { on: ['http_500', 'non_idempotent'] }, post],
    ['within the time', status(500), { on: ['http_500'], timeout: '1h' }],
  ])('%s', async (_what, bad, retry, request) => {
    expect(await statuses(bad, retry, request)).toEqual(['200']);
  });
});

describe('an exchange does not go on', () => {
  it.each<[string, string, Document, string, string?]>([
    ['after silence by default', '', {}, '504'],
    ['after a status by default', status(503), {}, '503'],
    ['after another status', status(503), { on: ['http_502'] }, '503'],
    ['as a POST that was sent', status(500), { on: ['http_500'] }, '500', post],
    ['with attempts: 0', status(500), { attempts: 0, on: ['http_500'] }, '500'],
    ['after a close without error', 'close', { on: ['timeout'] }, '502'],
  ])('%s', async (_what, bad, retry, answer, request) => {
    expect(await statuses(bad, retry, request)).toContain(answer);
  });

  it('where no other server is left: the last answer passes', async () => {
    const [first, other] = [await startServer(status(503)), await startServer(status(503))];
    const splitter = await startSplitter({
      upstreams: { u: { servers: [{ url: first.url }, { url: other.url }], retry: { on: ['http_503'] } } },
      routes: [{ upstream: 'u' }],
    });
    const client = await splitter.client();
    const answer = await client.ask(get);
    expect([answer.line.split(' ')[1], answer.body, first.seen(), other.seen()]).toEqual([
      '503',
      'bad',
      1,
      1,
    ]);
  });
});

it('$upstream_addr and $upstream_status name every server that was asked, also when none answers', async () => {
  const servers = [await startServer('close'), await startServer(status(503)), await startServer('close')];
  const splitter = await startSplitter({
    upstreams: {
      u: {
        servers: servers.map(({ url }) => ({ url })),
        eject: { failures: 0 },
        retry: { on: ['error', 'http_503'], attempts: 2 },
      },
    },
    routes: [
      {
        upstream: 'u',
        setResponseHeaders: {
          'X-Asked': { value: '$upstream_addr', on: 'all' },
          'X-Statuses': { value: '$upstream_status', on: 'all' },
        },
      },
    ],
  });
  const client = await splitter.client();
  const answer = await client.ask(get);
  const field = (wanted: string) => answer.fields.find(([name]) => name === wanted)?.[1].split(', ');
  const ports = new Map(
    servers.map(({ url }, index) => [url.replace('http://', ''), index === 1 ? '503' : '502']),
  );
  expect(field('X-Asked')?.toSorted()).toEqual([...ports.keys()].toSorted());
  expect(field('X-Statuses')).toEqual(field('X-Asked')!.map((address) => ports.get(address)));
});

// Where Node lacks the private API of docs/decisions/0018, the public one serves: the same bytes, and the start says so.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createMetrics } from '../../../src/telemetry/prometheus.ts';
import { ReloadStatus } from '../../../src/telemetry/running.ts';
import { logLines } from '../../support/log-lines.ts';
import { startSplitter, startUpstream } from '../../support/splitter.ts';

async function listen(options: object, onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer(options, onConnection);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Takes the private method away from every handle of a stream until the test ends. */
async function hidePrivateApi(): Promise<void> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  let owner: object = Reflect.get(server, '_handle');
  server.close();
  while (!Object.hasOwn(owner, 'useUserBuffer')) owner = Object.getPrototypeOf(owner);
  const method: unknown = Reflect.get(owner, 'useUserBuffer');
  Reflect.set(owner, 'useUserBuffer', undefined);
  onTestFinished(() => void Reflect.set(owner, 'useUserBuffer', method));
}

/** What a request gets, what the start logs, and the line of splitter_build_info. */
async function run() {
  const { log, lines } = logLines();
  const upstream = await startUpstream();
  const document = { upstreams: { u: { url: upstream.url } }, routes: [{ upstream: 'u' }] };
  const splitter = await startSplitter(document, { log });
  const client = await splitter.client();
  const { body } = await client.ask('GET /1 HTTP/1.1\r\nHost: h\r\n\r\n');
  const metrics = await createMetrics(splitter.ambassador, new ReloadStatus()).render();
  return {
    body,
    warnings: lines.map(({ msg }) => msg),
    info: /^splitter_build_info\{.*/m.exec(metrics)?.[0],
  };
}

describe('sockets are read', () => {
  it('past net.Socket by the Node that is shipped, which the metrics say', async () => {
    const { body, warnings, info } = await run();
    expect(body).toBe('GET /1 HTTP/1.1');
    expect(warnings).toEqual([]);
    expect(info).toContain('socket_io="direct"');
  });

  it('by the public way where the private one is missing, which the metrics and one line at the start say', async () => {
    await hidePrivateApi();
    const { body, warnings, info } = await run();
    expect(body).toBe('GET /1 HTTP/1.1');
    expect(warnings).toEqual(['this Node.js lacks a private API: requests cost more']);
    expect(info).toContain('socket_io="public"');
  });

  // When this fails, Node offers in public what wire.ts takes in private: follow "Exit" of docs/decisions/0018.
  it('in private as long as createServer does not offer `onread` for accepted sockets', async () => {
    let reads = 0;
    const onread = { buffer: Buffer.alloc(64), callback: () => ++reads > 0 };
    const received = Promise.withResolvers<void>();
    const port = await listen({ onread }, (socket) => {
      socket.on('error', () => {});
      socket.on('data', () => received.resolve());
    });
    const client = connect(port, '127.0.0.1').on('error', () => {});
    onTestFinished(() => void client.destroy());
    client.write('x');
    await received.promise;
    expect(reads).toBe(0);
  });
});

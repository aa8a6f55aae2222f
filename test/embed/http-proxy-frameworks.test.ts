// The handler inside a server with middleware: what a body parser or a router did before it must not hang a request or
// change its variant.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { request } from 'undici';
import { expect, it, onTestFinished } from 'vitest';
import { createHandler, type FaultCode, type HandlerConfig } from '../../src/http-proxy.ts';
import { startUpstream } from '../support/splitter.ts';

type Middleware = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** A server that runs `before` and then the handler; its URL and the faults. */
async function serve(config: HandlerConfig, before: Middleware) {
  const faults: FaultCode[] = [];
  const handler = createHandler(config, { onFault: (code) => faults.push(code) });
  const server = createServer(async (incoming, response) => {
    await before(incoming, response);
    handler.request(incoming, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
    handler.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, faults };
}

it('a body that a parser has read is answered at once with the reason, not waited for', async () => {
  const upstream = await startUpstream();
  const config = { variants: [{ name: 'all', share: '100%', upstream: upstream.url }] };
  const { url, faults } = await serve(config, async (incoming) => void (await text(incoming)));
  const answer = await request(`${url}/?token=a`, { method: 'POST', body: '{"a":1}' });
  expect([answer.statusCode, answer.headers['x-splitter-error']]).toEqual([500, 'BODY_ALREADY_READ']);
  expect(await answer.body.text()).toContain('before body parsers');
  expect(faults).toEqual(['BODY_ALREADY_READ']);
  const bare = await request(`${url}/?token=a`);
  expect([bare.statusCode, await bare.body.text()]).toEqual([200, 'GET /?token=a HTTP/1.1']);
});

it('a router that cut its mount path off changes what is forwarded, not the variant; an override goes no further', async () => {
  const [a, b] = [await startUpstream(), await startUpstream()];
  const config: HandlerConfig = {
    key: '$uri',
    override: { query: 'v', variants: ['a'], secret: 'correct-horse-battery' },
    variants: [
      { name: 'a', share: '50%', upstream: a.url },
      { name: 'b', share: '*', upstream: b.url },
    ],
  };
  const { url } = await serve(config, (incoming) => {
    Object.assign(incoming, { originalUrl: incoming.url });
    incoming.url = incoming.url!.replace('/sub', '');
  });
  // "/sub/1" hashes into the second half and "/1" into the first: only the whole path gives b.
  await (await request(`${url}/sub/1?q=1`)).body.dump();
  await (await request(`${url}/sub/1?q=1&v=a~correct-horse-battery`)).body.dump();
  expect([a.lines, b.lines]).toEqual([['GET /1?q=1 HTTP/1.1'], ['GET /1?q=1 HTTP/1.1']]);
});

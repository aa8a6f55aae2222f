// A careful proxy made of Node's own parts: node:http for clients, undici's Pool for upstreams, responses streamed,
// hop-by-hop fields removed.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import { choose, listenPort, upstreamA, upstreamB } from './choose.ts';

const options = { connections: 256, pipelining: 1 };
const poolA = new Pool(upstreamA, options);
const poolB = new Pool(upstreamB, options);
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'upgrade',
  'transfer-encoding',
]);

function endToEnd(rawHeaders: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (!HOP_BY_HOP.has(name.toLowerCase())) kept.push(name, rawHeaders[at + 1] as string);
  }
  return kept;
}

function handle(request: IncomingMessage, response: ServerResponse): void {
  const url = request.url ?? '/';
  const hasBody =
    request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  choose(url, poolA, poolB)
    .stream(
      {
        path: url,
        method: (request.method ?? 'GET') as Dispatcher.HttpMethod,
        headers: endToEnd(request.rawHeaders),
        body: hasBody ? request : null,
      },
      ({ statusCode, headers }) => {
        for (const name of Object.keys(headers)) if (HOP_BY_HOP.has(name)) delete headers[name];
        return response.writeHead(statusCode, headers);
      },
    )
    .catch(() => {
      if (!response.headersSent) response.writeHead(502);
      response.end();
    });
}

createServer(handle).listen(listenPort, '127.0.0.1', 4096);

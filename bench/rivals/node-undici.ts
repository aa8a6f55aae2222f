// What a careful hand writes from Node's own parts: node:http in front, undici's Pool behind, dispatched without
// streams in between, hop-by-hop fields left out, back-pressure kept.
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

class Relay implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  onRequestStart(): void {}

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: object): void {
    const kept: string[] = [];
    for (const [name, value] of Object.entries(headers)) {
      if (!HOP_BY_HOP.has(name)) for (const one of [value].flat()) kept.push(name, String(one));
    }
    this.#response.writeHead(status, kept);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#response.write(chunk)) return;
    controller.pause();
    this.#response.once('drain', () => controller.resume());
  }

  onResponseEnd(): void {
    this.#response.end();
  }

  onResponseError(): void {
    if (!this.#response.headersSent) this.#response.writeHead(502);
    this.#response.end();
  }
}

function handle(request: IncomingMessage, response: ServerResponse): void {
  const url = request.url ?? '/';
  const hasBody =
    request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
  choose(url, poolA, poolB).dispatch(
    {
      path: url,
      method: (request.method ?? 'GET') as Dispatcher.HttpMethod,
      headers: endToEnd(request.rawHeaders),
      body: hasBody ? request : null,
    },
    new Relay(response),
  );
}

createServer(handle).listen(listenPort, '127.0.0.1', 4096);

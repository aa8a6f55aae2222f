// httpxy, unjs's port of http-proxy, with kept upstream connections.
import { Agent, createServer } from 'node:http';
import { createProxyServer } from 'httpxy';
import { choose, listenPort, upstreamA, upstreamB } from './choose.ts';

const proxy = createProxyServer({ agent: new Agent({ keepAlive: true, maxSockets: 256 }) });
createServer((request, response) => {
  proxy
    .web(request, response, { target: choose(request.url ?? '/', upstreamA, upstreamB) })
    .catch(() => response.writeHead(502).end());
}).listen(listenPort, '127.0.0.1', 4096);

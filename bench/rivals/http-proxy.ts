// A splitter in 20 lines: http-proxy with kept upstream connections.
import { Agent, createServer, ServerResponse } from 'node:http';
import httpProxy from 'http-proxy';
import { choose, listenPort, upstreamA, upstreamB } from './choose.ts';

const proxy = httpProxy.createProxyServer({ agent: new Agent({ keepAlive: true, maxSockets: 256 }) });
proxy.on('error', (_error, _request, response) => {
  if (response instanceof ServerResponse && !response.headersSent) response.writeHead(502);
  response.end();
});
createServer((request, response) => {
  proxy.web(request, response, { target: choose(request.url ?? '/', upstreamA, upstreamB) });
}).listen(listenPort, '127.0.0.1', 4096);

// An existing Node server that forwards requests under /shop to one of two upstreams, by token, including
// WebSockets. The configuration has the form of the program's, here with one upstream setting.
// Run it:  PORT=3000 BACKEND=http://127.0.0.1:8081 EXPERIMENT=http://127.0.0.1:8082 npx node examples/http-proxy.ts
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHandler } from '../src/http-proxy.ts'; // installed: 'request-splitter/http-proxy'

const handler = createHandler(
  {
    upstreamDefaults: { responseTimeout: '10s' },
    splits: {
      shop: {
        key: '$cookie_uid',
        variants: [
          { name: 'current', share: '50%', upstream: process.env.BACKEND ?? 'http://127.0.0.1:8081' },
          { name: 'experiment', share: '*', upstream: process.env.EXPERIMENT ?? 'http://127.0.0.1:8082' },
        ],
      },
    },
  },
  { onFault: (code, request) => console.error(`${code}: ${request.method} ${request.url?.split('?')[0]}`) },
);

const server = createServer((request, response) => {
  if (request.url?.startsWith('/shop')) handler.request(request, response);
  else response.end('hello from the server that was here before\n');
});
server.on('upgrade', handler.upgrade);
server.on('close', handler.close);

server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once('SIGTERM', () => {
  server.close();
  server.closeIdleConnections();
});

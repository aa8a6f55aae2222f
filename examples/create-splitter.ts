// The decision in-process: a node:http server that runs two versions of its own code, by token. The same tokens get
// the same version as with nginx's split_clients.
// Run it:  PORT=3000 npx node examples/create-splitter.ts   and then   curl 'http://127.0.0.1:3000/?token=42'
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createSplitter } from '../src/index.ts'; // installed: 'request-splitter'

const splitter = createSplitter({
  key: '$arg_token',
  missingKey: 'reject',
  variants: [
    { name: 'old-prices', share: '90%' },
    { name: 'new-prices', share: '*' },
  ],
});

const server = createServer((request, response) => {
  const { variant } = splitter.decide(request);
  if (variant === null) {
    response.writeHead(400).end('a token, please\n');
    return;
  }
  response.end(variant.name === 'new-prices' ? 'bread 2.10\n' : 'bread 1.90\n');
});

server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

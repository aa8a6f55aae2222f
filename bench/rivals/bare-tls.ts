// A server that answers every request itself, with node:tls and with node:net: what sockets of Node.js cost before anything
// is proxied. Usage: node bench/rivals/bare-tls.ts PORT PLAIN_PORT CERTIFICATE KEY
import { readFileSync } from 'node:fs';
import { createServer as createPlainServer, type Socket } from 'node:net';
import { createServer } from 'node:tls';

const [port, plainPort, certificate, key] = process.argv.slice(2) as [string, string, string, string];
const answer = (more: string) =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n${more}\r\nhello backend\n`,
  );
const [kept, last] = [answer(''), answer('Connection: close\r\n')];

function serve(socket: Socket): void {
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => {
    if (bytes.includes('Connection: close')) socket.end(last);
    else socket.write(kept);
  });
}

createServer(
  { cert: readFileSync(certificate), key: readFileSync(key), ALPNProtocols: ['http/1.1'] },
  serve,
).listen(Number(port), '127.0.0.1');
createPlainServer({ noDelay: true }, serve).listen(Number(plainPort), '127.0.0.1');

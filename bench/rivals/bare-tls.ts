// A server on node:tls that answers every request itself: what TLS of Node.js costs before anything is proxied.
// Usage: node bench/rivals/bare-tls.ts PORT CERTIFICATE KEY
import { readFileSync } from 'node:fs';
import { createServer } from 'node:tls';

const [port, certificate, key] = process.argv.slice(2) as [string, string, string];
const answer = (more: string) =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n${more}\r\nhello backend\n`,
  );
const [kept, last] = [answer(''), answer('Connection: close\r\n')];

createServer(
  { cert: readFileSync(certificate), key: readFileSync(key), ALPNProtocols: ['http/1.1'] },
  (socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes: Buffer) => {
      if (bytes.includes('Connection: close')) socket.end(last);
      else socket.write(kept);
    });
  },
).listen(Number(port), '127.0.0.1');

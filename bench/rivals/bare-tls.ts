// What sockets of Node.js cost before anything is done with them, with node:tls and with node:net: a server that answers
// every request itself, or, with the port of an upstream, a proxy that passes all bytes on to one connection for each client
// and reads no HTTP. Usage: node bench/rivals/bare-tls.ts PORT PLAIN_PORT CERTIFICATE KEY [UPSTREAM_PORT]
import { readFileSync } from 'node:fs';
import { connect, createServer as createPlainServer, type Socket } from 'node:net';
import { createServer } from 'node:tls';

const [port, plainPort, certificate, key, upstreamPort] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string | undefined,
];
const answer = (more: string) =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n${more}\r\nhello backend\n`,
  );
const [kept, last] = [answer(''), answer('Connection: close\r\n')];

function answerAll(socket: Socket): void {
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => {
    if (bytes.includes('Connection: close')) socket.end(last);
    else socket.write(kept);
  });
}

function passOn(socket: Socket): void {
  const upstream = connect({ host: '127.0.0.1', port: Number(upstreamPort), noDelay: true });
  for (const [from, to] of [
    [socket, upstream],
    [upstream, socket],
  ] as const) {
    from.on('data', (bytes: Buffer) => to.write(bytes));
    from.on('error', () => to.destroy());
    from.on('end', () => to.end());
  }
}

const serve = upstreamPort === undefined ? answerAll : passOn;
createServer(
  { cert: readFileSync(certificate), key: readFileSync(key), ALPNProtocols: ['http/1.1'] },
  serve,
).listen(Number(port), '127.0.0.1');
createPlainServer({ noDelay: true }, serve).listen(Number(plainPort), '127.0.0.1');

// The upstream of every bench run: two ports, fixed answers by path, written on raw sockets so that it costs less
// than anything that is measured. It frames requests just well enough for the proxies of bench/rivals and knows
// no other HTTP. Usage: node bench/upstream.ts PORT PORT; prints "ready" when both listen.
import { createServer, type Socket } from 'node:net';
import { SLOW_MS } from './scenarios.ts';

const HEAD_END = Buffer.from('\r\n\r\n');
const CHUNKED_END = '0\r\n\r\n';
const CHUNK = Buffer.alloc(4096, 'c');
const CHUNKS = 8;
const CHUNK_FRAMED = Buffer.concat([Buffer.from('1000\r\n'), CHUNK, Buffer.from('\r\n')]);
const CHUNKED_HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n';

/** The same answer twice: for a connection that is kept, and for one that ends with it, which says so (RFC 9112 §9.6). */
const fixed = (body: Buffer, type: string) => {
  const head = `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n`;
  return {
    kept: Buffer.concat([Buffer.from(`${head}\r\n`), body]),
    last: Buffer.concat([Buffer.from(`${head}Connection: close\r\n\r\n`), body]),
  };
};

const ANSWERS = new Map([
  ['/small', fixed(Buffer.from('hello backend\n'), 'text/plain')],
  ['/slow', fixed(Buffer.from('hello backend\n'), 'text/plain')],
  ['/64k', fixed(Buffer.alloc(64 * 1024, 'k'), 'application/octet-stream')],
  ['/1m', fixed(Buffer.alloc(1024 * 1024, 'm'), 'application/octet-stream')],
]);
const NOT_FOUND = 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n';

/** One chunk a turn of the event loop, as an application that streams would send them. */
function stream(socket: Socket, http10: boolean, close: boolean, left: number): void {
  if (left === 0) {
    finish(socket, http10 ? '' : CHUNKED_END, close);
    return;
  }
  socket.write(http10 ? CHUNK : CHUNK_FRAMED);
  setImmediate(stream, socket, http10, close, left - 1);
}

function finish(socket: Socket, bytes: Buffer | string, close: boolean): void {
  if (close) socket.end(bytes);
  else socket.write(bytes);
}

function answer(socket: Socket, head: string): void {
  const pathStart = head.indexOf(' ') + 1;
  let pathEnd = pathStart;
  // The first segment says what is wanted; more of them only give routes something to choose by.
  do pathEnd += 1;
  while (pathEnd < head.length && head[pathEnd] !== '/' && head[pathEnd] !== '?' && head[pathEnd] !== ' ');
  const path = head.slice(pathStart, pathEnd);
  const http10 = head.includes(' HTTP/1.0\r\n');
  const close = http10 || /\r\nconnection: close\r\n/i.test(head);
  if (path === '/chunked') {
    const framing = http10 ? '' : 'Transfer-Encoding: chunked\r\n';
    socket.write(`${CHUNKED_HEAD}${framing}${close ? 'Connection: close\r\n' : ''}\r\n`);
    stream(socket, http10, close, CHUNKS);
    return;
  }
  const bytes = ANSWERS.get(path)?.[close ? 'last' : 'kept'] ?? NOT_FOUND;
  if (path === '/slow') setTimeout(finish, SLOW_MS, socket, bytes, close);
  else finish(socket, bytes, close);
}

function serve(socket: Socket): void {
  let pending: Buffer | null = null;
  /** The head whose body is on its way, and the bytes of that body that are still to come. */
  let waiting = '';
  let left = 0;
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy()); // a proxy that is stopped resets its connections; nothing to tell
  socket.on('data', (chunk: Buffer) => {
    let bytes = pending === null ? chunk : Buffer.concat([pending, chunk]);
    pending = null;
    while (bytes.length > 0) {
      if (left > 0) {
        const taken = Math.min(left, bytes.length);
        left -= taken;
        bytes = bytes.subarray(taken);
        if (left === 0) answer(socket, waiting);
        continue;
      }
      const headEnd = bytes.indexOf(HEAD_END);
      let end = headEnd + 4;
      if (headEnd !== -1) {
        const head = bytes.toString('latin1', 0, end);
        if (!head.startsWith('GET ')) {
          const length = /\r\ncontent-length: *(\d+)/i.exec(head);
          if (length !== null && Number(length[1]) > 0) {
            left = Number(length[1]);
            waiting = head;
            bytes = bytes.subarray(end);
            continue;
          }
          if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
            const bodyEnd = bytes.indexOf(CHUNKED_END, end);
            end = bodyEnd === -1 ? Number.POSITIVE_INFINITY : bodyEnd + CHUNKED_END.length;
          }
        }
        if (end <= bytes.length) {
          bytes = bytes.subarray(end);
          answer(socket, head);
          continue;
        }
      }
      pending = bytes;
      return;
    }
  });
}

let listening = 0;
const ports = process.argv.slice(2).map(Number);
for (const port of ports) {
  createServer(serve).listen(port, '127.0.0.1', 4096, () => {
    listening += 1;
    if (listening === ports.length) console.log('ready');
  });
}

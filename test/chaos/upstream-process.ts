// An upstream as a process of its own, so that it can be killed and frozen: answers each request with its method, its
// target and the size of its body. `node upstream-process.ts PORT MODE`; prints "up" when it listens.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';

/** What the process does beside answering. */
export const MODES = ['good', 'hole', 'resets', 'twice', 'chunks'] as const;
export type Mode = (typeof MODES)[number];

const ANSWER_DELAY_MS = 10;
/** Every so many requests are reset, or answered twice. */
const RESET_EVERY = 10;
const TWICE_EVERY = 20;
const CHUNKS = 4_000_000;

if (import.meta.main) serve(Number(process.argv[2]), process.argv[3] as Mode);

function serve(port: number, mode: Mode): void {
  const up = () => console.log('up');
  if (mode === 'hole') {
    // Accepts nothing: once the queue of connections is full the kernel drops every further SYN.
    createTcpServer().listen({ port, host: '127.0.0.1', backlog: 1 }, () => {
      process.stdout.write('up\n', () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
    });
    return;
  }
  let count = 0;
  const server = createServer((request, response) => {
    let size = 0;
    request.on('data', (data: Buffer) => {
      size += data.length;
    });
    request.on('end', () => {
      count++;
      if (mode === 'resets' && count % RESET_EVERY === 0) return request.socket.resetAndDestroy();
      if (request.url!.startsWith('/hang')) return;
      if (request.url!.startsWith('/chunks')) return sendChunks(response);
      if (request.url!.startsWith('/big')) return sendBig(response);
      setTimeout(() => {
        const text = `${request.method} ${request.url} ${size}`;
        if (mode === 'twice' && count % TWICE_EVERY === 0) answerTwice(request, text);
        else response.end(text);
      }, ANSWER_DELAY_MS);
    });
    request.on('error', () => request.socket.destroy());
  });
  server.on('upgrade', (_request: IncomingMessage, socket: Socket) => {
    socket.on('error', () => socket.destroy());
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    socket.pipe(socket);
  });
  server.keepAliveTimeout = 60_000;
  server.listen({ port, host: '127.0.0.1', backlog: 4096 }, up);
  process.on('SIGTERM', () => {
    server.close(() => process.exit(0));
    // A connection that is busy now is closed when it becomes idle.
    setInterval(() => server.closeIdleConnections(), 20);
  });
}

/** The second answer belongs to no request: it must reach no one. */
function answerTwice({ socket }: IncomingMessage, text: string): void {
  const answer = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  socket.write(answer(text));
  setImmediate(() => socket.write(answer('unasked')));
}

let big: Buffer | undefined;

function sendBig(response: ServerResponse): void {
  big ??= Buffer.alloc(30_000_000, 'x');
  response.writeHead(200, { 'Content-Length': big.length });
  response.end(big);
}

/** One byte a chunk, as fast as they are taken. */
function sendChunks({ socket }: ServerResponse): void {
  if (socket === null) return;
  const piece = Buffer.from('1\r\nx\r\n'.repeat(10_000));
  // Written past the response, which Node would go on to wait for: no further request may come on this connection.
  socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n');
  let left = CHUNKS / 10_000;
  const more = () => {
    while (left-- > 0) if (!socket.write(piece)) return void socket.once('drain', more);
    socket.end('0\r\n\r\n');
  };
  more();
}

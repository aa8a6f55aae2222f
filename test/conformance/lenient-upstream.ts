// The upstream of each proxy under comparison. It accepts every message that has an end, to show what a proxy lets pass.
import { createServer, type Server, type Socket } from 'node:net';
import type { ResponseCase, SeenRequest } from './case.ts';

/** The upstream of one proxy: takes every request that has an end, also ones that nobody should have sent. */
export class LenientUpstream {
  requests: SeenRequest[] = [];
  /** Answer to what is neither /warm nor /marker nor /next; null answers like those. */
  answer: ResponseCase | null = null;
  /** Connection over which the last /a came, and the last /next. */
  readonly lastPeer = { a: -1, next: -1 };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #peers = 0;

  constructor() {
    this.#server = createServer((socket) => this.#serve(socket, this.#peers++));
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket, peer: number): void {
    let held = '';
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (data: Buffer) => {
      held += data.toString('latin1');
      for (;;) {
        const read = readLeniently(held);
        if (read === null) return;
        held = held.slice(read.length);
        this.#respond(socket, peer, read.request);
      }
    });
  }

  #respond(socket: Socket, peer: number, request: SeenRequest): void {
    const path = request.line.split(' ')[1] ?? '';
    if (path === '/next') this.lastPeer.next = peer;
    if (this.answer !== null && path === '/a') {
      this.lastPeer.a = peer;
      socket.write(Buffer.from(this.answer.answer, 'latin1'));
      if (this.answer.ends === true) socket.end();
      return;
    }
    if (!['/warm', '/marker', '/next'].includes(path)) this.requests.push(request);
    const body = `saw ${path}`;
    const isHead = request.line.startsWith('HEAD');
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${isHead ? '' : body}`, 'latin1');
  }
}

function readLeniently(text: string): { request: SeenRequest; length: number } | null {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const head = text.slice(0, headEnd);
  const line = head.split('\r\n')[0]!;
  const start = headEnd + 4;
  if (/^transfer-encoding: *chunked/im.test(head)) {
    let body = '';
    let position = start;
    for (;;) {
      const lineEnd = text.indexOf('\r\n', position);
      if (lineEnd === -1) return null;
      const size = Number.parseInt(text.slice(position, lineEnd), 16) || 0;
      if (size === 0) {
        const end = text.indexOf('\r\n\r\n', lineEnd);
        if (end === -1) return null;
        const trailers = text.slice(lineEnd, end);
        return { request: { line, head: head + trailers, body }, length: end + 4 };
      }
      if (text.length < lineEnd + 4 + size) return null;
      body += text.slice(lineEnd + 2, lineEnd + 2 + size);
      position = lineEnd + 4 + size;
    }
  }
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  if (text.length < start + length) return null;
  return { request: { line, head, body: text.slice(start, start + length) }, length: start + length };
}

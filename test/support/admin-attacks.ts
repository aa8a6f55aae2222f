// Clients that want the admin port to hold memory: silent, dripping, pipelining, not reading, or coming back all the time.
import { connect, type Socket } from 'node:net';

const requestOf = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

/** Keeps one hostile connection open; what it does once connected, and whether it reads. */
interface Attack {
  readonly isReading: boolean;
  /** Closes by itself after so long. */
  readonly reconnectMs?: number;
  readonly run: (socket: Socket, index: number) => void;
}

/** One byte of an endless head every so often. */
const drip = (everyMs: number) => (socket: Socket) => {
  const text = `GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-A: ${'a'.repeat(4000)}`;
  let at = 0;
  const timer = setInterval(() => socket.write(text[at++ % text.length]!), everyMs);
  socket.on('close', () => clearInterval(timer));
};
/** A scrape again and again, as fast as answers come. */
const scrape = (socket: Socket) => {
  const next = () => socket.write(requestOf('/metrics'));
  let tail = '';
  socket.on('data', (bytes) => {
    tail = (tail + bytes.toString('latin1')).slice(-64);
    if (tail.endsWith('\n') && bytes.length > 0) {
      tail = '';
      setTimeout(next, 1000);
    }
  });
  next();
};

export const ATTACKS: Readonly<Record<string, Attack>> = {
  silent: { isReading: true, run: () => {} },
  unread: { isReading: false, run: (socket) => socket.write(requestOf('/metrics').repeat(20)) },
  drip: { isReading: true, run: drip(100) },
  'drip-reconnect': { isReading: true, reconnectMs: 50, run: drip(10) },
  'pipelined-registers': {
    isReading: false,
    run: (socket) => socket.write(requestOf('/status?registers').repeat(1000)),
  },
  'pipelined-registers-read': {
    isReading: true,
    run: (socket) => socket.write(requestOf('/status?registers').repeat(1000)),
  },
  'pipelined-metrics': { isReading: true, run: (socket) => socket.write(requestOf('/metrics').repeat(1000)) },
  'connect-flood': { isReading: true, reconnectMs: 0, run: () => {} },
  'probe-flood': { isReading: true, reconnectMs: 20, run: (socket) => socket.write(requestOf('/healthz')) },
  'half-heads': {
    isReading: true,
    run: (socket) => socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ${'a'.repeat(7000)}`),
  },
  mixed: {
    isReading: true,
    run: (socket, index) => {
      if (index % 5 === 0) scrape(socket);
      else if (index % 5 === 1) socket.pause().write(requestOf('/status?registers').repeat(1000));
      else if (index % 5 === 2) drip(50)(socket);
      else if (index % 5 === 3) socket.write(requestOf('/history').repeat(100));
    },
  },
};

/** Keeps so many hostile connections open, each of them again when it was closed, until the returned function is called. */
export function attack(name: string, port: number, connectionCount: number): () => void {
  const { isReading, reconnectMs, run } = ATTACKS[name]!;
  const sockets = new Set<Socket>();
  let isOver = false;
  const open = (index: number): void => {
    if (isOver) return;
    const socket = connect(port, '127.0.0.1');
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      setTimeout(open, reconnectMs === undefined ? 50 : 1, index);
    });
    socket.on('connect', () => {
      if (isReading) socket.resume();
      else socket.pause();
      run(socket, index);
      if (reconnectMs !== undefined) setTimeout(() => socket.destroy(), reconnectMs);
    });
  };
  for (let index = 0; index < connectionCount; index += 1) open(index);
  // Paused sockets alone do not keep a process running.
  const timer = setInterval(() => {}, 1000);
  return () => {
    isOver = true;
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
  };
}

// The clients of the TLS bench: new handshakes, resumed ones, and requests on kept connections. They offer one version,
// one cipher and one group, so that all contenders do the same work; what was negotiated is checked.
import { connect as connectPlain, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { findProgram, Running } from '../processes.ts';

/** Connections at a time. */
export const CLIENTS = 16;
/** The only version and the only cipher that are offered. */
export const PROTOCOL = 'TLSv1.3';
export const CIPHER = 'TLS_AES_256_GCM_SHA384';
/** The group that servers on OpenSSL 3.0 have as well, and the one that clients on OpenSSL 3.5 prefer. */
export const GROUP = 'X25519';
export const HYBRID_GROUP = 'X25519MLKEM768';

/** Where clients connect, and with what. */
export interface TlsTarget {
  readonly port: number;
  /** The same without TLS, to compare with. */
  readonly plainPort: number;
  /** PEM: the only authority that is trusted. */
  readonly ca: Buffer;
  readonly group: string;
}

const HOST = 'bench.example';
const SMALL_PATH = '/small?token=42';
export const LARGE_PATH = '/64k?token=42';
const requestOf = (path: string) => `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n`;
const LAST_REQUEST = `${requestOf(SMALL_PATH)}Connection: close\r\n\r\n`;

/** Opens a connection; `session` is resumed. */
function open(
  { port, ca, group }: TlsTarget,
  session: Buffer | undefined,
  onReady: (socket: TLSSocket) => void,
): TLSSocket {
  const socket = connect(
    {
      port,
      host: '127.0.0.1',
      ca,
      servername: HOST,
      minVersion: PROTOCOL,
      ciphers: CIPHER,
      ecdhCurve: group,
      ...(session && { session }),
    },
    () => onReady(socket),
  );
  socket.on('error', (error) => {
    throw error;
  });
  return socket;
}

/** A session of the server, which clients resume. Throws when anything but what was offered was negotiated. */
export function sessionOf(target: TlsTarget): Promise<Buffer> {
  return new Promise((done) => {
    let last: Buffer;
    const socket = open(target, undefined, () => {
      const group = socket.getEphemeralKeyInfo() as { name?: string };
      const negotiated = [socket.getProtocol(), socket.getCipher().name, group.name].join(' ');
      const offered = [PROTOCOL, CIPHER, target.group].join(' ');
      if (negotiated !== offered) throw new Error(`expected ${offered}, got ${negotiated}`);
      socket.write(LAST_REQUEST);
    });
    socket.on('session', (session) => {
      last = session;
    });
    socket.resume().on('close', () => done(last));
  });
}

/** One connection for each request, until `until`; how many there were. With a session each one must resume it. */
export async function handshakes(target: TlsTarget, until: number, session?: Buffer): Promise<number> {
  let count = 0;
  while (performance.now() < until) {
    await new Promise<void>((done) => {
      const socket = open(target, session, () => {
        if (session !== undefined && !socket.isSessionReused())
          throw new Error('expected a resumed session, got a new one');
        socket.write(LAST_REQUEST);
      });
      socket.resume().on('close', done);
    });
    count++;
  }
  return count;
}

/** What is asked for on kept connections, and how. */
interface KeptLoad {
  readonly path?: string;
  /** Without TLS. */
  readonly isPlain?: boolean;
}

/** Requests on one connection, one after the other, until `until`; how many there were. */
function requests(
  target: TlsTarget,
  until: number,
  { path = SMALL_PATH, isPlain = false }: KeptLoad,
): Promise<number> {
  return new Promise((done) => {
    let count = 0;
    const ask = (socket: Socket): void => void socket.write(`${requestOf(path)}\r\n`);
    const socket: Socket = isPlain
      ? connectPlain(target.plainPort, '127.0.0.1', () => ask(socket))
      : open(target, undefined, ask);
    let left = -1;
    socket.on('data', (bytes: Buffer) => {
      // Answers have a Content-Length, and their head comes in one piece.
      if (left < 0) {
        const headEnd = bytes.indexOf('\r\n\r\n') + 4;
        left = headEnd + Number(/Content-Length: (\d+)/.exec(bytes.toString('latin1', 0, headEnd))![1]);
      }
      left -= bytes.length;
      if (left > 0) return;
      left = -1;
      count++;
      if (performance.now() < until) ask(socket);
      else socket.destroy();
    });
    socket.on('close', () => done(count));
  });
}

/**
 * Requests on kept connections: by wrk, which costs so little that the measured core stays busy, or by clients of
 * Node.js where it is missing. wrk offers what its own OpenSSL does, the same to everybody.
 */
export async function keptRequests(target: TlsTarget, seconds: number, load: KeptLoad = {}): Promise<number> {
  // wrk counts in whole seconds.
  const wrk = seconds < 1 ? undefined : findProgram('wrk');
  if (wrk === undefined) {
    const until = performance.now() + seconds * 1000;
    const counts = await Promise.all(Array.from({ length: CLIENTS }, () => requests(target, until, load)));
    return counts.reduce((sum, count) => sum + count, 0);
  }
  const { path = SMALL_PATH, isPlain = false } = load;
  const length = `-d${Math.round(seconds)}s`;
  const origin = isPlain ? `http://127.0.0.1:${target.plainPort}` : `https://127.0.0.1:${target.port}`;
  const output = await new Running('wrk', 'load', wrk, [
    '-t1',
    `-c${CLIENTS}`,
    length,
    `${origin}${path}`,
  ]).result();
  const [, count] = /(\d+) requests in/.exec(output) ?? [];
  if (count === undefined || /Non-2xx|Socket errors/.test(output))
    throw new Error(`expected answers only, got ${output}`);
  return Number(count);
}

// An upstream that does what the test says, byte by byte: it accepts, records every byte, and answers, hangs, ends or
// resets as scripted. Without a script it answers each request with 200 and the request line as its body.
import { createServer, type Server, type Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import type { Message } from './message.ts';
import { RawSocket } from './raw-socket.ts';
import { upstreamTls } from './tls-mode.ts';

/** One connection to the upstream. */
export class Peer extends RawSocket {
  /** Requests that were read whole on this connection. */
  readonly requests: Message[] = [];
  /** Every byte that came, while `keepsTranscript`; one byte a character. */
  transcript = '';
  keepsTranscript = true;

  constructor(socket: Socket, carrier = socket) {
    super(socket, carrier);
    socket.on('data', (data: Buffer) => {
      if (this.keepsTranscript) this.transcript += data.toString('latin1');
    });
  }

  /** Reads the next request. */
  async request(): Promise<Message> {
    const message = await this.message();
    this.requests.push(message);
    return message;
  }

  /** Answers with 200 and this body. */
  ok(body = '', ...fields: string[]): Promise<void> {
    const lines = ['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...fields];
    return this.send(`${lines.join('\r\n')}\r\n\r\n${body}`);
  }
}

/** What happens on one connection. It may return at any time; it rejects when the splitter ends the connection. */
export type Script = (peer: Peer, index: number) => Promise<void>;

/** Answers every request with its own request line. */
export const echoLine: Script = async (peer) => {
  for (;;) {
    const { line } = await peer.request();
    await peer.ok(line);
  }
};

export class ScriptedUpstream {
  /** What connections from now on do. */
  script: Script;
  readonly peers: Peer[] = [];
  readonly #server: Server;
  readonly #tls: TlsServer | null;
  /** TCP sockets below TLS, also those whose handshake has not ended. */
  readonly #carriers = new Set<Socket>();
  #waiters: (() => void)[] = [];

  private constructor(server: Server, script: Script, tls: TlsServer | null) {
    this.#server = server;
    this.script = script;
    this.#tls = tls;
    if (this.#tls === null) server.on('connection', (socket) => this.#accept(new Peer(socket)));
    else
      server.on('connection', (socket) => {
        this.#carriers.add(socket);
        socket.on('close', () => this.#carriers.delete(socket));
        this.#tls!.emit('connection', socket);
      });
    this.#tls?.on('secureConnection', (socket) => {
      this.#accept(new Peer(socket, (socket as unknown as { _parent: Socket })._parent));
    });
  }

  #accept(peer: Peer): void {
    const index = this.peers.push(peer) - 1;
    // A script that waits for more than the splitter sends ends with the connection; that is no failure.
    void this.script(peer, index).catch(() => undefined);
    for (const wake of this.#waiters.splice(0)) wake();
  }

  /** Listens on a free port of the loopback, or on `port`, or on a Unix socket. */
  static async listen(script: Script = echoLine, at: number | string = 0): Promise<ScriptedUpstream> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(typeof at === 'string' ? { path: at } : { port: at, host: '127.0.0.1' }, resolve);
    });
    // Where the test chooses the port it writes the URL as well, and a Unix socket has no TLS.
    return new ScriptedUpstream(server, script, at === 0 ? upstreamTls() : null);
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not on a port');
    return address.port;
  }

  get url(): string {
    return `${this.#tls === null ? 'http' : 'https'}://127.0.0.1:${this.port}`;
  }

  /** All requests that were read whole, connection by connection. */
  get requests(): Message[] {
    return this.peers.flatMap((peer) => peer.requests);
  }

  /** Their request lines. */
  get lines(): string[] {
    return this.requests.map((request) => request.line);
  }

  /** Every byte that came, connection by connection. */
  get transcript(): string {
    return this.peers.map((peer) => peer.transcript).join('');
  }

  /** The connection with this number, counted from 0, as soon as it is there. */
  async peer(index = 0): Promise<Peer> {
    while (this.peers.length <= index) await new Promise<void>((resolve) => this.#waiters.push(resolve));
    return this.peers[index]!;
  }

  /** Ends everything. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const peer of this.peers) peer.close();
    for (const carrier of this.#carriers) carrier.destroy();
    await closed;
  }
}

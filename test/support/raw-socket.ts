// One end of a TCP connection for wire tests: sends bytes in given pieces, collects or counts what arrives, and
// says how the connection ended. The raw client and the scripted upstream know what the bytes mean.
import type { Socket } from 'node:net';
import { type Context, type Message, readMessage } from './message.ts';

/** How the other end let go: an orderly end (FIN), or a reset. */
export type Ending = 'end' | 'reset';

export class RawSocket {
  readonly socket: Socket;
  /** The TCP socket below that of TLS; otherwise the same. */
  readonly carrier: Socket;
  /** Resolves when the other end has ended or reset the connection. */
  readonly ended: Promise<Ending>;
  /** Resolves when the socket is closed in both directions. */
  readonly closed: Promise<void>;
  /** Bytes that came, read messages included. */
  bytesReceived = 0;
  /** What came and was not read as a message yet; one byte a character. */
  pending = '';
  #ending: Ending | null = null;
  #counts = false;
  #waiters: (() => void)[] = [];

  constructor(socket: Socket, carrier = socket) {
    this.socket = socket;
    this.carrier = carrier;
    socket.setNoDelay(true);
    socket.on('data', (data: Buffer) => {
      this.bytesReceived += data.length;
      if (!this.#counts) this.pending += data.toString('latin1');
      this.#wake();
    });
    let finish: (ending: Ending) => void = () => undefined;
    this.ended = new Promise((resolve) => {
      finish = (ending) => {
        this.#ending ??= ending;
        resolve(this.#ending);
        this.#wake();
      };
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        finish('reset');
        resolve();
      });
    });
    socket.on('end', () => finish('end'));
    socket.on('error', () => finish('reset'));
  }

  /** How the other end let go; null while it has not. */
  get ending(): Ending | null {
    return this.#ending;
  }

  /** Counts what comes from now on and keeps none of it. */
  countOnly(): void {
    this.#counts = true;
    this.pending = '';
  }

  /** Writes each piece in a turn of its own, so that it arrives as a read of its own. */
  async send(...pieces: (string | Buffer)[]): Promise<void> {
    for (const piece of pieces) {
      await new Promise<void>((resolve) => {
        this.socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece, () => resolve());
      });
      // The other end reads in the poll phase between these two.
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Ends the writing side; the other direction stays open. */
  end(): void {
    this.socket.end();
  }

  /** Breaks the connection with a RST. */
  reset(): void {
    this.carrier.resetAndDestroy();
  }

  /** Ends the connection, both directions. */
  close(): void {
    this.socket.destroy();
  }

  /** Waits until `isTrue`, asked after each event of the socket; rejects when the connection ends before. */
  async until(isTrue: () => boolean, wanted: string): Promise<void> {
    while (!isTrue()) {
      if (this.#ending !== null) {
        const tail = JSON.stringify(this.pending.slice(0, 400));
        throw new Error(`the connection ended (${this.#ending}) before ${wanted}; unread: ${tail}`);
      }
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** Waits for `text` among the bytes that are not read yet. */
  untilText(text: string): Promise<void> {
    let searched = 0;
    const isThere = () => {
      // What was searched before is not searched again, unless something was taken out of it.
      const from = searched > this.pending.length ? 0 : Math.max(0, searched - text.length);
      searched = this.pending.length;
      return this.pending.includes(text, from);
    };
    return this.until(isThere, JSON.stringify(text));
  }

  /** Reads the next message. */
  async message(context: Context = {}): Promise<Message> {
    let message: Message | null = null;
    let wanted = 0;
    const wants = (length: number) => {
      wanted = length;
    };
    const isRead = () => {
      if (this.pending.length < wanted) return false;
      message = readMessage(this.pending, { ...context, wants, hasEnded: this.#ending === 'end' });
      return message !== null;
    };
    await this.until(isRead, 'a whole message');
    this.pending = this.pending.slice(message!.raw.length);
    return message!;
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

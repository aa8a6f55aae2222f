// Connections whose first bytes are a PROXY header: reads it from the raw socket and hands the connection on, with what it
// says and with the bytes after it. What is no header, comes too slowly or from a proxy that is not trusted ends the connection.
// Source: haproxy.org/download/3.0/doc/proxy-protocol.txt §2.

import type { Socket } from 'node:net';
import { type Cause, causeOf } from '../errors.ts';
import type { ProxyHeader } from '../ip-address.ts';
import type { Deadlines, Timed } from '../transport/deadlines.ts';
import { readProxyHeader } from '../transport/proxy-header.ts';

/** What happens to a connection after its header. `rest`: bytes that came after it. */
export interface ArrivalHost {
  readonly deadlines: Deadlines;
  arrived(header: ProxyHeader | null, rest: Buffer): void;
  /** The connection has been closed; with a cause where it was refused. */
  ended(cause: Cause | null): void;
}

/** The connections of one listener that have not sent their header yet; the listener owns it. */
export class ProxyArrivals {
  readonly #waiting = new Set<ProxyArrival>();

  get count(): number {
    return this.#waiting.size;
  }

  /** Reads the header of a connection, `limitMs` at most. */
  accept(socket: Socket, limitMs: number, host: ArrivalHost): void {
    this.#waiting.add(new ProxyArrival(socket, performance.now() + limitMs, host, this.#waiting));
  }

  /** Ends all of them. */
  stop(): void {
    for (const one of [...this.#waiting]) one.end(null);
  }
}

/** One connection until its header is read. Its promise: one call of its host, or none where `end` was called. */
class ProxyArrival implements Timed {
  deadline = Number.POSITIVE_INFINITY;
  readonly #socket: Socket;
  readonly #host: ArrivalHost;
  readonly #all: Set<ProxyArrival>;
  #held: Buffer | null = null;

  constructor(socket: Socket, deadline: number, host: ArrivalHost, all: Set<ProxyArrival>) {
    this.#socket = socket;
    this.#host = host;
    this.#all = all;
    host.deadlines.add(this);
    host.deadlines.set(this, deadline);
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onEnd);
    socket.on('close', this.#onEnd);
  }

  onDeadline(): void {
    this.#refuse('no whole PROXY header came within timeouts.requestHead');
  }

  end(cause: Cause | null): void {
    this.#leave();
    this.#socket.on('error', () => undefined);
    this.#socket.destroy();
    this.#host.ended(cause);
  }

  readonly #onData = (chunk: Buffer): void => {
    const bytes = this.#held === null ? chunk : Buffer.concat([this.#held, chunk]);
    const read = readProxyHeader(bytes);
    if (read.kind === 'incomplete') this.#held = bytes;
    else if (read.kind === 'refused') this.#refuse(read.why);
    else {
      this.#leave();
      this.#host.arrived(read.header, bytes.subarray(read.end));
    }
  };

  /** One that sends nothing at all asks whether the port is open, as load balancers do. */
  readonly #onEnd = (): void => {
    if (this.#held === null) this.end(null);
    else this.#refuse('the connection ended before a whole PROXY header');
  };

  #refuse(why: string): void {
    this.end(causeOf(why));
  }

  #leave(): void {
    this.#all.delete(this);
    this.#host.deadlines.remove(this);
    this.#held = null;
    const socket = this.#socket;
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    socket.off('error', this.#onEnd);
    socket.off('close', this.#onEnd);
  }
}

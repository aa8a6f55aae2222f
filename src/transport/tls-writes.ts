// The writes of one TLS socket, past its stream: one at a time, as Node.js ends the process when a second one begins before the
// first is called back (TLSWrap::DoWrite). It knows no reads. Source: docs/decisions/0018.

import type { Socket } from 'node:net';
import type { Output } from '../http1/output.ts';
import { carriedQueueSize, handleOf } from './socket-handle.ts';
import { giveBack } from './spare-outputs.ts';

/**
 * The writing side of a TLS socket, owned by its wire, which hands over nothing while a write is under way. Its promise: what
 * was handed over leaves in order, and `onFree` says that the next write may begin, or that the peer takes no more.
 */
export class TlsWrites {
  readonly #socket: Socket;
  readonly #carrier: Socket | null;
  readonly #onFree: (cause: Error | null) => void;
  /** The bytes of the write that is under way. */
  #lent: Output | null = null;
  /** The last bytes before the end of the stream, which wait until that write is finished. */
  #last: Output | null = null;
  #isEndDue = false;
  #isDestroyDue = false;

  /** `carrier`: the socket that carries the encrypted bytes; null where it is a handle without one, as tls.connect makes it. */
  constructor(socket: Socket, carrier: Socket | null, onFree: (cause: Error | null) => void) {
    this.#socket = socket;
    this.#carrier = carrier;
    this.#onFree = onFree;
  }

  /** A write is under way. TLS calls none finished in the turn of its beginning. */
  get isBusy(): boolean {
    return this.#lent !== null;
  }

  /**
   * The socket below has given everything to the kernel: a peer that keeps up is not treated as a slow one
   * (npm run bench -- --tls).
   */
  get isCarried(): boolean {
    return carriedQueueSize(this.#socket) === 0;
  }

  /** Bytes that were handed over and that the kernel has not taken. */
  get unsentBytes(): number {
    const last = this.#last?.length ?? 0;
    // TLS counts a write as queued until the last of its bytes has left; the socket below knows how many have not.
    return (carriedQueueSize(this.#socket) || (handleOf(this.#socket)?.writeQueueSize ?? 0)) + last;
  }

  /** Encrypted bytes that wait beyond those that were handed over: what OpenSSL answers by itself. */
  get strayBytes(): number {
    return (handleOf(this.#socket)?.writeQueueSize ?? 0) - (this.#lent?.length ?? 0);
  }

  /** Hands over what is gathered in `out`, which is given back when TLS has taken it. */
  hand(out: Output): void {
    // A closed socket has no handle.
    if (handleOf(this.#socket) === null) return giveBack(out);
    this.#lent = out;
    this.#socket._write(out.bytes.subarray(0, out.length), 'buffer' as BufferEncoding, this.#onTaken);
  }

  /** Ends the writing side behind the write that is under way, and behind `last`. */
  endLater(last: Output | null): void {
    this.#last = last;
    this.#isEndDue = true;
  }

  /** Ends the connection behind the write that is under way. */
  destroyLater(): void {
    this.#isEndDue = true;
    this.#isDestroyDue = true;
  }

  /** Ends the connection so that the peer sees an error, whatever it has been sent. */
  reset(): void {
    if (this.#carrier === null) this.#socket.destroy();
    else this.#carrier.resetAndDestroy();
  }

  readonly #onTaken = (cause?: Error | null): void => {
    const lent = this.#lent;
    this.#lent = null;
    if (lent !== null) giveBack(lent);
    const last = this.#last;
    this.#last = null;
    if (last !== null && !cause) {
      this.hand(last);
      if (this.#lent !== null) return;
    }
    if (this.#isEndDue) {
      this.#isEndDue = false;
      if (this.#isDestroyDue) this.#socket.destroySoon();
      else this.#socket.end();
    }
    this.#onFree(cause ?? null);
  };
}

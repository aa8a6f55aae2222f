// A socket that was accepted, without the two streams and the events of net.Socket: what Wire and the clients' side use of
// one, on the handle itself. Most of the cost of a short connection was in what this leaves out (docs/performance.md).
// It knows nothing of HTTP. Private Node API, with net.Socket as the public way (docs/decisions/0018).

import type { Server, Socket } from 'node:net';
import {
  type AcceptSlots,
  acceptSlots,
  BareSocket,
  type Handle,
  handleOf,
  setHandle,
} from './socket-handle.ts';

/** Node asks a stream whether its end has been announced; here it is announced at once, and once. */
const READABLE_STATE = { endEmitted: false };

/**
 * One accepted connection, owned by the Wire and the connection that use it. Its promise: the calls and the events `end`, `error`
 * and `close` are those of a net.Socket with `allowHalfOpen`, one listener each. It is read into the memory of a Wire
 * and written to by `_write`; `data`, `write` and timeouts are not there.
 */
export class AcceptedSocket extends BareSocket {
  override readonly connecting = false;
  override destroyed = false;
  override writableEnded = false;
  /** Read by Node. */
  readonly _readableState = READABLE_STATE;
  /** Filled by Node when an address is asked for. */
  _peername: object | null = null;
  _sockname: object | null = null;
  #onEnd: (() => void) | null = null;
  #onError: ((error: Error) => void) | null = null;
  #onClose: (() => void) | null = null;
  /** The peer has ended its side. */
  #hasEnded = false;
  /** The peer has been told of our end, after everything that was written. */
  #isFinished = false;
  #closesWhenFinished = false;

  constructor(handle: Handle, slots: AcceptSlots) {
    super();
    setHandle(this, handle, slots);
  }

  override on(event: string, listener: (...args: never[]) => void): this {
    if (event === 'end') this.#onEnd = listener as () => void;
    else if (event === 'error') this.#onError = listener as (error: Error) => void;
    else if (event === 'close') this.#onClose = listener as () => void;
    else throw new Error(`an accepted socket has no event "${event}"`);
    return this;
  }

  override pause(): this {
    const handle = handleOf(this);
    if (handle?.reading === true) {
      handle.reading = false;
      handle.readStop!();
    }
    return this;
  }

  override resume(): this {
    const handle = handleOf(this);
    if (handle === null || handle.reading === true || this.#hasEnded) return this;
    handle.reading = true;
    if (handle.readStart!() !== 0) this.destroy(new Error('the socket cannot be read'));
    return this;
  }

  /** Node calls it with null when the peer has ended its side. */
  override push(): boolean {
    if (this.#hasEnded) return false;
    this.#hasEnded = true;
    this.#onEnd?.();
    if (this.#isFinished) this.destroy();
    return false;
  }

  /** Node calls it after `push`. */
  override read(): null {
    return null;
  }

  /** Ends the writing side after everything that was written. */
  override end(): this {
    if (this.writableEnded || this.destroyed) return this;
    this.writableEnded = true;
    this._final((error) => {
      if (this.destroyed) return;
      if (error) this.destroy(error);
      else {
        this.#isFinished = true;
        if (this.#closesWhenFinished || this.#hasEnded) this.destroy();
      }
    });
    return this;
  }

  override destroySoon(): void {
    this.end();
    if (this.#isFinished) this.destroy();
    else this.#closesWhenFinished = true;
  }

  override destroy(error?: Error): this {
    const handle = this.#leave(error);
    if (handle !== null) handle.close!(this.#closed);
    return this;
  }

  override resetAndDestroy(): this {
    const handle = this.#leave();
    // One that has ended already is not reset.
    if (handle !== null && handle.reset?.(this.#closed) !== 0) handle.close!(this.#closed);
    return this;
  }

  #leave(error?: Error): Handle | null {
    if (this.destroyed) return null;
    this.destroyed = true;
    const handle = handleOf(this);
    setHandle(this, null, null);
    if (error !== undefined) process.nextTick(() => this.#onError?.(error));
    return handle;
  }

  readonly #closed = (): void => this.#onClose?.();
}

/**
 * Gives `take` the connections of a server that listens, from now on, as long as it says true; those that it refuses go the
 * server's public way, an event `connection`. False = this Node lacks what that needs, and all go the public way.
 */
export function acceptHandles(
  server: Server,
  mayTake: (descriptor: number) => boolean,
  take: (socket: Socket) => void,
): boolean {
  const slots = acceptSlots(server);
  if (slots === undefined) return false;
  const { listening } = slots;
  const { onconnection } = listening;
  // Linux gives the option to each socket that this one accepts.
  const inherits = process.platform === 'linux' && listening.setNoDelay?.(true) === 0;
  listening.onconnection = function accepted(
    this: unknown,
    status: number,
    handle: Handle | undefined,
  ): void {
    if (status !== 0 || handle === undefined || !mayTake(handle.fd ?? -1)) {
      onconnection.call(this, status, handle);
      return;
    }
    if (!inherits) handle.setNoDelay?.(true);
    take(new AcceptedSocket(handle, slots));
  };
  return true;
}

// One socket's bytes, in and out. All sockets of a side read into the same memory; what is written in one turn of the event
// loop is gathered and leaves in one write at its end. Bytes belong to the receiver only during the call, and what a socket
// does not take at once is copied. It knows nothing of HTTP. Uses two private ways of Node: reads into shared memory, which have a
// public fallback, and writes past the stream. Source: docs/decisions/0018, docs/performance.md.

import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Output } from '../http1/output.ts';
import { AFTER_BYTES_MAX, type ReadMemory } from './read-memory.ts';
import { handleOf, ONREAD } from './socket-handle.ts';
import { enlarge, giveBack, takeOutput } from './spare-outputs.ts';
import { TlsWrites } from './tls-writes.ts';
import { atEndOfTurn, type Gathering, inNextTurn, type Resting } from './turn-ends.ts';

/** Gathered bytes above which a write does not wait for the end of the turn. */
const GATHERED_BYTES_MAX = 65_536;
/** Bytes up to this many are copied behind what is gathered; more leave at once, from where they are. */
const COPY_BYTES_MAX = 16_384;
/**
 * Bytes read from one socket in a turn of the event loop before the others have theirs: libuv goes on reading a socket
 * that fills its buffer, 32 times in a row. Less costs throughput (bench get-1m), more makes others wait.
 */
const TURN_BYTES_MAX = 131_072;
/** Bytes that wait for TLS above which the peer is slow, whatever the socket below says: more than a turn brings. */
const TLS_WAITING_BYTES_MAX = 262_144;

/** Whose socket it is. */
export interface WireOwner {
  /** bytes[from, to) have come. They are valid during the call, which may change them and those in front of `from`. */
  received(bytes: Buffer, from: number, to: number): void;
  /** What was gathered has been handed to the socket, which did not refuse it. */
  flushed(): void;
  /** The peer does not keep up: what is written from now on waits for `drained`. */
  blocked(): void;
  /** Everything that was written has left. */
  drained(): void;
  /**
   * The peer takes no more bytes. True = what it has sent before is still read, and what is written from now on is
   * dropped; false = the socket is destroyed.
   */
  writeFailed(): boolean;
}

/** What a text that follows bytes covers while both are written. */
const covered = new Uint8Array(AFTER_BYTES_MAX);

/**
 * The bytes of one socket, owned by the connection whose socket it is. Its promise: what was written leaves in order or the owner
 * is told that it does not, and no memory that it was given is used after the call.
 */
export class Wire implements Gathering, Resting {
  readonly socket: Socket;
  readonly #owner: WireOwner;
  #memory: ReadMemory | null = null;
  #out: Output | null = null;
  #isListed = false;
  #isHeldBack = false;
  #isBlocked = false;
  #isPaused = false;
  /** It has read its part of this turn and goes on in the next one. */
  #isResting = false;
  /** Bytes that were read without a pause in between. */
  #turnBytes = 0;
  #hasEnded = false;
  /** Writes that were handed over and have not been taken: two at most, the second at the end of the stream. */
  #handed = 0;
  /** How the writes of a TLS socket leave; null for plain ones, whose large writes go straight to the descriptor. */
  readonly #tls: TlsWrites | null;

  /**
   * `isPlain`: the socket's bytes are those of the descriptor, not of TLS. `carrier` is the socket under the one of TLS, where
   * there is one.
   */
  constructor(socket: Socket, owner: WireOwner, isPlain: boolean, carrier: Socket | null = null) {
    this.socket = socket;
    this.#owner = owner;
    this.#tls = isPlain ? null : new TlsWrites(socket, carrier, this.#onTlsFree);
  }

  /** Reads from now on. A socket that connects is connected. */
  startReading(memory: ReadMemory): void {
    const { socket } = this;
    const handle = handleOf(socket);
    if (ONREAD === undefined || typeof handle?.useUserBuffer !== 'function') {
      socket.on('data', this.#onData);
      return;
    }
    const isTls = this.#tls !== null;
    // What came with the end of the handshake is in the stream, and what is decrypted during a pause joins it there.
    if (isTls) socket.on('data', this.#onData);
    this.#memory = memory;
    const slots = socket as unknown as Record<symbol, unknown>;
    slots[ONREAD.buffer] = memory.room;
    slots[ONREAD.callback] = isTls ? (byteCount: number) => this.#onDecrypted(byteCount) : this.#onRead;
    handle.useUserBuffer(memory.room);
    socket.resume();
  }

  /** Something was written that the socket has not taken yet; nothing more is to be read for this peer. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** Something was written that has not left. */
  get hasUnsent(): boolean {
    return this.#isBlocked || this.#out !== null || this.#tls?.isBusy === true;
  }

  /** Bytes that were written and that the kernel has not taken. */
  get unsentBytes(): number {
    const handed = this.#tls?.unsentBytes ?? handleOf(this.socket)?.writeQueueSize ?? 0;
    return handed + (this.#out?.length ?? 0);
  }

  /** Bytes that wait to be sent although no write has brought them: what OpenSSL answers by itself. 0 without TLS. */
  get strayBytes(): number {
    return this.#tls?.strayBytes ?? 0;
  }

  /** Ends the connection so that the peer sees an error, whatever it has been sent. */
  reset(): void {
    if (this.#tls === null) this.socket.resetAndDestroy();
    else this.#tls.reset();
  }

  /** Stops reading until `resume`. */
  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    if (!this.#isResting || this.#tls !== null) this.socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (!this.#isResting) this.socket.resume();
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** What is gathered next leaves a turn later: before it does, what the peer has sent until then is read. */
  holdBack(): void {
    this.#isHeldBack = true;
  }

  /** Where to write what is to leave at the end of this turn. */
  gather(): Output {
    if (this.#out !== null) return this.#out;
    this.#out = takeOutput();
    this.#list();
    return this.#out;
  }

  #list(): void {
    if (this.#isListed) return;
    this.#isListed = true;
    atEndOfTurn(this);
  }

  /**
   * Writes bytes[from, to) and the text `after` of at most 8 ASCII characters; the bytes may be changed after the call.
   * `isFrontFree`: those in front of `from` may be written over by it.
   */
  write(bytes: Buffer, from: number, to: number, isFrontFree = false, after = ''): void {
    const isLarge = to - from > COPY_BYTES_MAX;
    if (!isLarge || this.#isBlocked || this.#isHeldBack || this.#tls !== null) {
      // TLS may use the bytes until it has taken them.
      if (isLarge && this.#tls !== null) this.#out = enlarge(this.gather());
      const out = this.gather();
      out.copy(bytes, from, to);
      if (after !== '') out.text(after);
      if (out.length > GATHERED_BYTES_MAX) this.flush();
      return;
    }
    if (after === '') return this.#writeLarge(bytes, from, to, isFrontFree);
    const end = to + after.length;
    if (end > bytes.length) {
      this.#writeLarge(bytes, from, to, isFrontFree);
      this.gather().text(after);
      return;
    }
    // One write for both, and the bytes that the text has covered come back: the kernel has its own copy by then.
    for (let i = to; i < end; i++) {
      covered[i - to] = bytes[i]!;
      bytes[i] = after.charCodeAt(i - to);
    }
    this.#writeLarge(bytes, from, end, isFrontFree);
    for (let i = to; i < end; i++) bytes[i] = covered[i - to]!;
  }

  /** Writes bytes[from, to) from where they are, together with what was gathered where that is possible. */
  #writeLarge(bytes: Buffer, from: number, to: number, isFrontFree: boolean): void {
    const out = this.#out;
    let start = from;
    // A head goes over the bytes in front, which have been read: one write, and no copy of the body.
    if (isFrontFree && out !== null && out.length <= from) {
      start -= out.length;
      out.bytes.copy(bytes, start, 0, out.length);
      this.#out = null;
      giveBack(out);
      this.#send(bytes, start, to);
      if (!this.socket.destroyed) this.#owner.flushed();
      return;
    }
    this.flush();
    if (this.#isBlocked) this.gather().copy(bytes, start, to);
    else this.#send(bytes, start, to);
  }

  /** Hands over what was gathered, now. */
  flush(): void {
    const out = this.#out;
    if (out === null || this.#isBlocked) return;
    if (this.#tls?.isBusy === true && !this.#hasEnded) {
      if (out.length > TLS_WAITING_BYTES_MAX) this.#block();
      return;
    }
    this.#out = null;
    if (this.#tls === null) this.#hand(out.bytes.subarray(0, out.length), out);
    else this.#handToTls(out, this.#tls);
    // What the kernel refused was not sent.
    if (!this.socket.destroyed) this.#owner.flushed();
  }

  /** Ends the writing side behind everything that was written. */
  end(): void {
    this.flush();
    const out = this.#out;
    if (this.#tls?.isBusy === true) {
      if (!this.#hasEnded) this.#tls.endLater(out);
      this.#out = null;
      this.#hasEnded = true;
      // The peer still has to take it, and has the time of one that is slow.
      if (out !== null) this.#block();
      return;
    }
    if (out !== null && this.#tls === null) {
      // It waits behind a write that is under way: so does the end.
      this.#out = null;
      const rest = Buffer.from(out.bytes.subarray(0, out.length));
      giveBack(out);
      this.#hand(rest, null);
    }
    this.#hasEnded = true;
    this.socket.end();
  }

  /** Ends the writing side as `end` does, and then the connection. */
  destroySoon(): void {
    this.end();
    if (this.#tls?.isBusy === true) this.#tls.destroyLater();
    else this.socket.destroySoon();
  }

  /** Nothing has ended the writing side. */
  get isWritable(): boolean {
    return !this.#hasEnded && !this.socket.destroyed && !this.socket.writableEnded;
  }

  /** The turn in which it gathered something ends. */
  endTurn(): void {
    if (this.#isHeldBack) {
      this.#isHeldBack = false;
      atEndOfTurn(this);
      return;
    }
    this.#isListed = false;
    this.flush();
  }

  /** The turn in which it read its part has ended. */
  endRest(): void {
    this.#isResting = false;
    this.#turnBytes = 0;
    if (!this.#isPaused && !this.socket.destroyed) this.socket.resume();
  }

  #rest(): void {
    this.#isResting = true;
    inNextTurn(this);
  }

  /** Writes as many bytes as the socket takes from where they are; the others are copied. */
  #send(bytes: Buffer, from: number, to: number): void {
    const { socket } = this;
    let start = from;
    // Asked for each time: a closed handle says -1, where a number kept from before may be another client's by now.
    const fd = this.#hasEnded ? -1 : (handleOf(socket)?.fd ?? -1);
    if (fd >= 0) {
      try {
        start += writeSync(fd, bytes, start, to - start);
      } catch {
        // Nothing was taken: there is no room now, or the socket's own write says what is wrong.
      }
      if (start === to) return;
    }
    this.#hand(Buffer.from(bytes.subarray(start, to)), null);
  }

  /**
   * Gives bytes to the handle without the stream's own bookkeeping, which costs more than the rest of a small write.
   * They belong to the socket until it has taken them; `out`, where they are, is given back when that was at once.
   */
  #hand(bytes: Buffer, out: Output | null): void {
    const { socket } = this;
    // A closed socket has no handle; the stream's own getters cost as much as what they guard.
    if (this.#hasEnded || handleOf(socket) === null) {
      if (out !== null) giveBack(out);
      return;
    }
    this.#handed++;
    socket._write(bytes, 'buffer' as BufferEncoding, this.#onTaken);
    if (this.#handed === 0) {
      if (out !== null) giveBack(out);
      return;
    }
    this.#block();
  }

  readonly #onTaken = (cause?: Error | null): void => {
    this.#handed--;
    if (cause) this.#fail(cause);
    else if (this.#isBlocked && this.#handed === 0) this.#unblock();
  };

  #fail(cause: Error): void {
    // Blocked for good: `drained` never comes, and nothing more is handed over.
    this.#isBlocked = true;
    if (!this.#owner.writeFailed()) this.socket.destroy(cause);
  }

  #handToTls(out: Output, tls: TlsWrites): void {
    if (this.#hasEnded || out.length === 0) return giveBack(out);
    tls.hand(out);
    if (tls.isBusy && !tls.isCarried) this.#block();
  }

  readonly #onTlsFree = (cause: Error | null): void => {
    if (cause !== null) this.#fail(cause);
    else if (this.#isBlocked) this.#unblock();
    else if (!this.#isHeldBack) this.flush();
    else if (this.#out !== null) this.#list();
  };

  #block(): void {
    if (this.#isBlocked) return;
    this.#isBlocked = true;
    this.#owner.blocked();
  }

  #unblock(): void {
    this.#isBlocked = false;
    if (this.socket.destroyed) return;
    this.flush();
    if (!this.#isBlocked) this.#owner.drained();
  }

  readonly #onRead = (byteCount: number): boolean => {
    const { bytes, from, room } = this.#memory!;
    this.#owner.received(bytes, from, from + byteCount);
    // After a read that did not fill the memory libuv turns to the next socket by itself.
    this.#turnBytes = byteCount < room.length ? 0 : this.#turnBytes + byteCount;
    if (this.#turnBytes >= TURN_BYTES_MAX && !this.#isResting) this.#rest();
    return !this.#isPaused && !this.#isResting;
  };

  /** Decrypting goes on with what has come when reading stops: during a pause it waits in the stream, in order. */
  #onDecrypted(byteCount: number): boolean {
    const { bytes, from } = this.#memory!;
    if (this.#isPaused || this.socket.readableLength > 0)
      this.socket.push(Buffer.from(bytes.subarray(from, from + byteCount)));
    else this.#receive(bytes, from, from + byteCount);
    return !this.#isPaused && !this.#isResting;
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#receive(chunk, 0, chunk.length)) this.socket.pause();
  };

  /** Where nothing tells how full a read was, all bytes count. True when they end its part of the turn. */
  #receive(bytes: Buffer, from: number, to: number): boolean {
    this.#turnBytes += to - from;
    this.#owner.received(bytes, from, to);
    if (this.#turnBytes < TURN_BYTES_MAX || this.#isResting) return false;
    this.#rest();
    return true;
  }
}

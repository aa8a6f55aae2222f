// One socket's bytes, in and out. All sockets of a side read into the same memory; what is written in one turn of the event
// loop is gathered and leaves in one write at its end. Bytes belong to the receiver only during the call, and what a socket
// does not take at once is copied. It knows nothing of HTTP. Uses two private Node APIs, each with a public fallback
// (docs/decisions/0018): reads of an accepted socket into shared memory, and a write that says how much was taken.
// Source: docs/performance.md.

import { writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { Output } from '../http1/output.ts';
import { AFTER_BYTES_MAX, type ReadMemory } from './read-memory.ts';
import { handleOf, ONREAD } from './socket-handle.ts';

/** Gathered bytes above which a write does not wait for the end of the turn. */
const GATHERED_BYTES_MAX = 65_536;
/** Bytes up to this many are copied behind what is gathered; more leave at once, from where they are. */
const COPY_BYTES_MAX = 16_384;
/**
 * Bytes read from one socket in a turn of the event loop before the others have theirs: libuv goes on reading a socket
 * that fills its buffer, 32 times in a row. Less costs throughput (bench get-1m), more makes others wait.
 */
const TURN_BYTES_MAX = 131_072;
/** Bytes that wait in TLS above which the peer is slow, whatever the socket below says: more than a turn brings. */
const CARRIED_BYTES_MAX = 262_144;
/** First size of an Output. */
const OUTPUT_BYTES = 2048;
/** Most Outputs that are kept, as many as wires gather in a turn of a busy process; and of those that have grown. */
const SPARE_OUTPUTS_MAX = 1024;
const SPARE_GROWN_MAX = 64;
/** One that grew further is not kept at all. */
const GROWN_BYTES_MAX = 65_536;

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

const spareOutputs: Output[] = [];
/** Wires that have gathered something in this turn. */
let gathering: Wire[] = [];
let flushing: Wire[] = [];

/** Number of the present turn of the event loop, as far as something was gathered in each. */
let turnNumber = 0;

export function currentTurn(): number {
  return turnNumber;
}

function flushAll(): void {
  turnNumber++;
  const wires = gathering;
  gathering = flushing;
  flushing = wires;
  for (let i = 0; i < wires.length; i++) wires[i]!.endTurn();
  wires.length = 0;
}

/** Wires that have read their part of this turn. */
let resting: Wire[] = [];
let waking: Wire[] = [];

function wakeAll(): void {
  const wires = resting;
  resting = waking;
  waking = wires;
  for (let i = 0; i < wires.length; i++) wires[i]!.endRest();
  wires.length = 0;
}

function giveBack(out: Output): void {
  out.clear();
  const keptMax = out.bytes.length === OUTPUT_BYTES ? SPARE_OUTPUTS_MAX : SPARE_GROWN_MAX;
  if (spareOutputs.length < keptMax && out.bytes.length <= GROWN_BYTES_MAX) spareOutputs.push(out);
}

/**
 * The bytes of one socket, owned by the connection whose socket it is. Its promise: what was written leaves in order or the owner
 * is told that it does not, and no memory that it was given is used after the call.
 */
export class Wire {
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
  /** Writes go straight to the socket's descriptor as long as it takes them. */
  readonly #isDirect: boolean;
  /** The socket that carries the bytes of TLS, where it is known. */
  readonly #carrier: Socket | null;

  /**
   * `isPlain`: the socket's bytes are those of the descriptor, not of TLS. `carrier` is the socket under the one of TLS.
   */
  constructor(socket: Socket, owner: WireOwner, isPlain: boolean, carrier: Socket | null = null) {
    this.#carrier = carrier;
    this.socket = socket;
    this.#owner = owner;
    this.#isDirect = isPlain;
  }

  /** Reads from now on. A socket that connects is connected. */
  startReading(memory: ReadMemory): void {
    const { socket } = this;
    const handle = handleOf(socket);
    if (ONREAD === undefined || !this.#isDirect || typeof handle?.useUserBuffer !== 'function') {
      socket.on('data', this.#onData);
      return;
    }
    this.#memory = memory;
    const slots = socket as unknown as Record<symbol, unknown>;
    slots[ONREAD.buffer] = memory.room;
    slots[ONREAD.callback] = this.#onRead;
    handle.useUserBuffer(memory.room);
    socket.resume();
  }

  /** Something was written that the socket has not taken yet; nothing more is to be read for this peer. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** Something was written that has not left. */
  get hasUnsent(): boolean {
    return this.#isBlocked || this.#out !== null;
  }

  /** Bytes that were written and that the kernel has not taken. */
  get unsentBytes(): number {
    const gathered = this.#out?.length ?? 0;
    const queued = handleOf(this.socket)?.writeQueueSize ?? 0;
    if (this.#carrier === null) return queued + gathered;
    // TLS counts a write as queued until the last of its bytes has left; the socket below knows how many have not.
    return (handleOf(this.#carrier)?.writeQueueSize || queued) + gathered;
  }

  /** Ends the connection so that the peer sees an error, whatever it has been sent. */
  reset(): void {
    (this.#carrier ?? this.socket).resetAndDestroy();
  }

  /** Stops reading until `resume`. */
  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    if (!this.#isResting) this.socket.pause();
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
    this.#out = spareOutputs.pop() ?? new Output(OUTPUT_BYTES);
    if (!this.#isListed) {
      this.#isListed = true;
      // One immediate for the first of a turn: it runs when every socket that is ready has been read.
      if (gathering.push(this) === 1) setImmediate(flushAll);
    }
    return this.#out;
  }

  /**
   * Writes bytes[from, to) and the text `after` of at most 8 ASCII characters; the bytes may be changed after the call.
   * `isFrontFree`: those in front of `from` may be written over by it.
   */
  write(bytes: Buffer, from: number, to: number, isFrontFree = false, after = ''): void {
    if (to - from <= COPY_BYTES_MAX || this.#isBlocked || this.#isHeldBack) {
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
    this.#out = null;
    if (this.#isDirect) this.#hand(out.bytes.subarray(0, out.length), out);
    else {
      this.#write(Buffer.from(out.bytes.subarray(0, out.length)));
      giveBack(out);
    }
    // What the kernel refused was not sent.
    if (!this.socket.destroyed) this.#owner.flushed();
  }

  /** Ends the writing side behind everything that was written. */
  end(): void {
    this.flush();
    const out = this.#out;
    if (out !== null) {
      // It waits behind a write that is under way: so does the end.
      this.#out = null;
      const rest = Buffer.from(out.bytes.subarray(0, out.length));
      giveBack(out);
      if (this.#isDirect) this.#hand(rest, null);
      else this.#write(rest);
    }
    this.#hasEnded = true;
    this.socket.end();
  }

  /** The turn in which it gathered something ends. */
  endTurn(): void {
    if (this.#isHeldBack) {
      this.#isHeldBack = false;
      if (gathering.push(this) === 1) setImmediate(flushAll);
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
    if (resting.push(this) === 1) setImmediate(wakeAll);
  }

  /** Writes as many bytes as the socket takes from where they are; the others are copied. */
  #send(bytes: Buffer, from: number, to: number): void {
    const { socket } = this;
    let start = from;
    // Asked for each time: a closed handle says -1, where a number kept from before may be another client's by now.
    const fd = this.#isDirect && !this.#hasEnded ? (handleOf(socket)?.fd ?? -1) : -1;
    if (fd >= 0) {
      try {
        start += writeSync(fd, bytes, start, to - start);
      } catch {
        // Nothing was taken: there is no room now, or the socket's own write says what is wrong.
      }
      if (start === to) return;
    }
    const rest = Buffer.from(bytes.subarray(start, to));
    if (this.#isDirect) this.#hand(rest, null);
    else this.#write(rest);
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
    if (cause) {
      // Blocked for good: `drained` never comes, and nothing more is handed over.
      this.#isBlocked = true;
      if (!this.#owner.writeFailed()) this.socket.destroy(cause);
    } else if (this.#isBlocked && this.#handed === 0) this.#unblock();
  };

  #write(bytes: Buffer): void {
    const { socket } = this;
    if (socket.destroyed || socket.writableEnded) return;
    socket.write(bytes, this.#onWritten);
    const queued = socket.writableLength;
    if (queued > 0 && (queued > CARRIED_BYTES_MAX || !this.#isCarried)) this.#block();
  }

  /**
   * TLS calls no write finished in the turn of its beginning. What the socket below has given to the kernel is on its way
   * all the same, and a client that keeps up is not treated as a slow one (npm run bench -- --tls).
   */
  get #isCarried(): boolean {
    return this.#carrier !== null && handleOf(this.#carrier)?.writeQueueSize === 0;
  }

  readonly #onWritten = (): void => {
    if (this.#isBlocked && this.socket.writableLength === 0) this.#unblock();
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

  /** Where nothing tells how full a read was, all bytes count. */
  readonly #onData = (chunk: Buffer): void => {
    this.#turnBytes += chunk.length;
    this.#owner.received(chunk, 0, chunk.length);
    if (this.#turnBytes < TURN_BYTES_MAX || this.#isResting) return;
    this.#rest();
    this.socket.pause();
  };
}

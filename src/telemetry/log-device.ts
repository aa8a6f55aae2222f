// Writes lines to a file descriptor without ever blocking, retrying in a loop, or throwing: one write at a time, a bounded
// queue before it, and a device that fails (disk full, terminal gone, reader gone) is tried again once a second. Lines that
// cannot be written are dropped and counted by reason. Knows nothing of what is in a line.

import { close, constants, fstatSync, open, openSync, type Stats, stat, write, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { EMPTY } from '../bytes.ts';
import { type LineChunk, LineChunks } from './line-chunks.ts';
import { namedCells } from './rows.ts';

/** Why lines are dropped: the reader is slow, or the error of the operating system, `other` for one that is not named here. */
export const DROP_REASONS = [
  'slow_reader',
  'ENOSPC',
  'EDQUOT',
  'EFBIG',
  'EIO',
  'EPIPE',
  'EBADF',
  'ENXIO',
  'other',
] as const;
export type LineDropReason = (typeof DROP_REASONS)[number];

/** Bytes that wait for a slow reader at most; lines beyond are dropped. Some 4,000 lines. */
const WAITING_BYTES_MAX = 1024 * 1024;
/** Bytes of one write(2), unless one line is longer: what a pipe holds by default. */
const WRITE_BYTES = 64 * 1024;
/** Pauses before a full pipe is tried again: the first, which doubles each time, and the longest. */
const FULL_PAUSE_MIN_MS = 1;
const FULL_PAUSE_MAX_MS = 100;
/** Pause before a device that failed is tried again. */
const FAILED_PAUSE_MS = 1000;
/** Time between two looks whether a file has been moved or removed. */
const LOOK_INTERVAL_MS = 1000;
/** How long close() waits for a reader. */
const CLOSE_LIMIT_MS = 1000;

// O_NONBLOCK: a write to a pipe or terminal without a reader must not hold a thread of the pool; such a thread also keeps
// the process from exiting. O_NOCTTY: a terminal that is opened must not become the controlling one.
const APPEND_FLAGS =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY;

/** What a device tells its owner. */
export interface LogDeviceOwner {
  /** The line that says, on a device that works again, how many lines it has dropped. */
  describeDrops(dropped: Readonly<Record<string, number>>): string;
  /** Writing fails from now on; called once until it works again. */
  failed?(cause: NodeJS.ErrnoException): void;
  /** Writing works again. */
  recovered?(dropped: Readonly<Record<string, number>>): void;
  /** The path cannot be opened again; what was open stays in use. Called once until it can be. */
  notReopened?(cause: NodeJS.ErrnoException): void;
}

/**
 * One file or stdout, from its opening to close(). write() never throws or blocks: a line is written in order, or dropped and
 * counted. LogOutput owns it (log.ts).
 */
export class LogDevice {
  /** Lines dropped since the start, by position of the reason in DROP_REASONS. */
  readonly dropped = new Float64Array(DROP_REASONS.length);
  readonly #owner: LogDeviceOwner;
  readonly #path: string | null;
  /** Makes the descriptor non-blocking again, which other processes may have undone; null where it is of our own. */
  readonly #unblock: (() => void) | null;
  /** Drops that no line has reported yet. */
  readonly #unreported = new Float64Array(DROP_REASONS.length);
  /**
   * The lines of a turn of the loop go out in one write(2), by this thread: for a pipe that only this process has made
   * non-blocking. Handing it to a thread costs more than the write. Anything else can block, and goes to a thread.
   */
  readonly #isDirect: boolean;
  /** -1 = not open. */
  #fd: number;
  #inode: { readonly dev: number; readonly ino: number } | null = null;
  readonly #lines: LineChunks;
  /** Bytes of lines that wait or are being written. */
  #waitingBytes = 0;
  /** What is being written, and how far. */
  #chunk: LineChunk | null = null;
  #chunkAt = 0;
  #fullPauseMs = FULL_PAUSE_MIN_MS;
  /** A write, a look or an opening is under way, or a pause before one. */
  #isBusy = false;
  /** Set while the device fails; lines are then dropped for this reason, except while it is tried again. */
  #failure: LineDropReason | null = null;
  #isTrying = false;
  /** The last byte that was written is not a line's end. */
  #isTorn = false;
  #wantsReopen = false;
  #couldReopen = true;
  #lookedAt = 0;
  #isClosing = false;
  #closed: (() => void) | null = null;

  /**
   * Throws when a path cannot be opened, except for a pipe that has no reader yet.
   * @param destination 1 for stdout, or a path, which is appended to
   * @param writeBytes bytes of one write(2) at most, unless one line is longer
   */
  constructor(destination: 1 | string, owner: LogDeviceOwner, writeBytes = WRITE_BYTES) {
    this.#owner = owner;
    this.#lines = new LineChunks(writeBytes);
    this.#path = destination === 1 ? null : destination;
    if (destination === 1) {
      this.#fd = openStdout();
      this.#unblock = this.#fd === 1 ? unblockStdout() : null;
      this.#isDirect = this.#fd !== 1 && fstatSync(this.#fd).isFIFO();
      return;
    }
    this.#isDirect = false;
    this.#unblock = null;
    try {
      this.#fd = openSync(destination, APPEND_FLAGS);
      this.#remember();
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENXIO') throw cause;
      this.#fd = -1;
      this.#fail(cause as NodeJS.ErrnoException);
    }
  }

  /** Takes a line, its end included. */
  write(line: string): void {
    const byteCount = Buffer.byteLength(line);
    if (!this.#takes(byteCount)) return;
    this.#lines.addText(line, byteCount);
    this.#begin();
  }

  /** Takes bytes[0, length), a line with its end, which may be changed after the call. */
  writeBytes(bytes: Buffer, length: number): void {
    if (!this.#takes(length)) return;
    this.#lines.addBytes(bytes, length);
    this.#begin();
  }

  /** Whether there is room for a line, which is dropped otherwise. */
  #takes(byteCount: number): boolean {
    if (this.#isClosing) return false;
    const isFull = this.#waitingBytes + byteCount > WAITING_BYTES_MAX;
    const reason = this.#failure !== null && !this.#isTrying ? this.#failure : isFull ? 'slow_reader' : null;
    if (reason === null) this.#waitingBytes += byteCount;
    else this.#drop(reason, 1);
    return reason === null;
  }

  #begin(): void {
    if (this.#isBusy) return;
    if (!this.#isDirect) return this.#next();
    this.#isBusy = true;
    setImmediate(this.#onTurnEnd);
  }

  readonly #onTurnEnd = (): void => this.#next();

  /** Opens the path again, as after a rotation. When that fails, what was open stays in use. Stdout stays as it is. */
  reopen(): void {
    if (this.#path === null || this.#isClosing) return;
    this.#wantsReopen = true;
    if (!this.#isBusy && this.#failure === null) this.#next();
  }

  /** Resolves when what waits has been written, after a second at the latest, at once while the device fails. */
  close(): Promise<void> {
    this.#isClosing = true;
    this.#wantsReopen = false;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, CLOSE_LIMIT_MS);
      this.#closed = () => {
        clearTimeout(timer);
        if (this.#fd > 2) close(this.#fd, () => resolve());
        else resolve();
        this.#fd = -1;
      };
      if (this.#failure !== null && !this.#isTrying) this.#closed();
      else if (!this.#isBusy) this.#next();
    });
  }

  /** The next step, when none is under way. */
  #next(): void {
    this.#isBusy = false;
    if (this.#path !== null && !this.#isClosing) {
      if (this.#wantsReopen) return this.#reopenNow(this.#path);
      if (
        this.#inode !== null &&
        !this.#lines.isEmpty &&
        performance.now() - this.#lookedAt >= LOOK_INTERVAL_MS
      ) {
        return this.#look(this.#path);
      }
    }
    if (this.#lines.isEmpty) return this.#isClosing ? this.#closed?.() : undefined;
    this.#chunk = this.#lines.take();
    this.#chunkAt = 0;
    this.#writeChunk(this.#chunk);
  }

  #writeChunk(chunk: LineChunk): void {
    this.#isBusy = true;
    if (this.#isDirect) return this.#writeNow(chunk);
    this.#unblock?.();
    const { bytes, length } = chunk;
    write(this.#fd, bytes, this.#chunkAt, length - this.#chunkAt, null, (cause, byteCount) => {
      if (cause !== null) return this.#writeFailed(cause, chunk);
      if (this.#written(byteCount, chunk)) this.#next();
      else this.#writeChunk(chunk);
    });
  }

  #writeNow(chunk: LineChunk): void {
    const { bytes, length } = chunk;
    try {
      while (!this.#written(writeSync(this.#fd, bytes, this.#chunkAt, length - this.#chunkAt), chunk));
    } catch (cause) {
      return this.#writeFailed(cause as NodeJS.ErrnoException, chunk);
    }
    this.#next();
  }

  /** So many bytes more of the chunk; true when that was the rest of it. */
  #written(byteCount: number, chunk: LineChunk): boolean {
    this.#fullPauseMs = FULL_PAUSE_MIN_MS;
    this.#chunkAt += byteCount;
    if (this.#chunkAt < chunk.length) return false;
    this.#waitingBytes -= chunk.length;
    this.#isTorn = false;
    this.#chunk = null;
    this.#lines.giveBack(chunk);
    if (this.#waitingBytes < WAITING_BYTES_MAX / 2) this.#tellDrops();
    return true;
  }

  #writeFailed(cause: NodeJS.ErrnoException, chunk: LineChunk): void {
    if (cause.code === 'EAGAIN' || cause.code === 'EBUSY') {
      setTimeout(() => this.#writeChunk(chunk), this.#fullPauseMs);
      this.#fullPauseMs = Math.min(FULL_PAUSE_MAX_MS, this.#fullPauseMs * 2);
      return;
    }
    this.#fail(cause);
  }

  /** Drops what waits, and tries again after a pause. */
  #fail(cause: NodeJS.ErrnoException): void {
    const isFirst = this.#failure === null;
    const reason = dropReasonOf(cause);
    this.#failure = reason;
    this.#isTrying = false;
    this.#isBusy = false;
    const written = this.#chunk?.bytes.subarray(0, this.#chunkAt) ?? EMPTY;
    const whole = written.reduce((count, byte) => (byte === LINE_END ? count + 1 : count), 0);
    if (written.length > 0) this.#isTorn = written.at(-1) !== LINE_END;
    this.#drop(reason, Math.max(0, (this.#chunk?.lines ?? 0) - whole) + this.#lines.lines);
    this.#lines.clear();
    this.#waitingBytes = 0;
    this.#chunk = null;
    this.#chunkAt = 0;
    if (isFirst) this.#owner.failed?.(cause);
    if (this.#isClosing) return this.#closed?.();
    setTimeout(() => this.#tryAgain(), FAILED_PAUSE_MS).unref();
  }

  /** Sees whether the device works again, with the line that tells of the drops. Lines that come meanwhile wait for it. */
  #tryAgain(): void {
    if (this.#isClosing) return;
    this.#isTrying = true;
    this.#isBusy = true;
    if (this.#path === null) return this.#tryWriting();
    open(this.#path, APPEND_FLAGS, (cause, fd) => {
      if (cause !== null) return this.#fail(cause);
      this.#replace(fd);
      this.#tryWriting();
    });
  }

  #tryWriting(): void {
    const reported = this.#unreported.slice();
    const drops = namedCells(DROP_REASONS, reported);
    const line = Buffer.from((this.#isTorn ? '\n' : '') + this.#owner.describeDrops(drops));
    this.#unblock?.();
    write(this.#fd, line, 0, line.length, null, (cause, bytes) => {
      if (cause === null && bytes < line.length) this.#isTorn = true;
      if (cause !== null || bytes < line.length) return this.#fail(cause ?? new Error('written in part'));
      this.#failure = null;
      this.#isTrying = false;
      this.#isTorn = false;
      for (const [index, count] of reported.entries()) this.#unreported[index]! -= count;
      this.#owner.recovered?.(drops);
      this.#next();
    });
  }

  /** Queues the line that tells of drops, when there were any. */
  #tellDrops(): void {
    if (this.#isClosing || this.#unreported.every((count) => count === 0)) return;
    const line = this.#owner.describeDrops(namedCells(DROP_REASONS, this.#unreported));
    this.#unreported.fill(0);
    const byteCount = Buffer.byteLength(line);
    this.#lines.addText(line, byteCount);
    this.#waitingBytes += byteCount;
  }

  #drop(reason: LineDropReason, lines: number): void {
    const index = DROP_REASONS.indexOf(reason);
    this.dropped[index]! += lines;
    this.#unreported[index]! += lines;
  }

  /** Whether the path still names the file that is open: a rotation that sends no signal moves it away. */
  #look(path: string): void {
    this.#isBusy = true;
    this.#lookedAt = performance.now();
    stat(path, (cause, found?: Stats) => {
      const inode = this.#inode;
      const isSame = cause === null && found?.ino === inode?.ino && found?.dev === inode?.dev;
      if (!isSame) this.#wantsReopen = true;
      this.#next();
    });
  }

  #reopenNow(path: string): void {
    this.#isBusy = true;
    this.#wantsReopen = false;
    open(path, APPEND_FLAGS, (cause, fd) => {
      if (cause === null) this.#replace(fd);
      else if (this.#couldReopen) this.#owner.notReopened?.(cause);
      this.#couldReopen = cause === null;
      this.#next();
    });
  }

  #replace(fd: number): void {
    // The old file is closed by itself; an error in doing so (a full disk behind NFS) concerns lines that are gone anyway.
    if (this.#fd > 2) close(this.#fd, () => undefined);
    this.#fd = fd;
    this.#isTorn = false;
    this.#remember();
  }

  #remember(): void {
    const found = fstatSync(this.#fd);
    this.#inode = found.isFile() ? { dev: found.dev, ino: found.ino } : null;
    this.#lookedAt = performance.now();
  }
}

const LINE_END = 10;

function dropReasonOf({ code }: NodeJS.ErrnoException): LineDropReason {
  if (code === 'EAGAIN') return 'slow_reader';
  return DROP_REASONS.find((reason) => reason === code) ?? 'other';
}

/**
 * A descriptor for stdout whose writes never block. A pipe or terminal is opened once more where that is allowed: O_NONBLOCK
 * belongs to what was opened, which other processes share, and node resets it for all of them when one of them exits.
 */
function openStdout(): number {
  try {
    if (fstatSync(1).isFIFO() || isatty(1)) {
      return openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    }
  } catch {
    // Not Linux, or the pipe belongs to another user: then the one that is open.
  }
  return 1;
}

/**
 * Makes a pipe or socket on stdout non-blocking, now and whenever the result is called; null for anything else. A socket (that
 * of journald, or of a parent that runs on Node) cannot be opened once more, so all processes share its flags: Node
 * makes it blocking when it starts a process, and when one exits.
 */
function unblockStdout(): (() => void) | null {
  const { _handle: handle } = process.stdout as unknown as { readonly _handle?: StreamHandle | null };
  if (typeof handle?.setBlocking !== 'function') return null;
  handle.setBlocking(false);
  return () => void handle.setBlocking(false);
}

interface StreamHandle {
  setBlocking(isBlocking: boolean): number;
}

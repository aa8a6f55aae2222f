// Renders large answers once for everybody who asks at the same time, in short turns so that requests in the data plane
// never wait for a scrape, into memory that is used again. Decides when a rendering may be shared and when a new one is
// due; knows neither HTTP nor what is rendered.

import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';

/** Longest time that one turn of a rendering holds the event loop. */
const RENDER_TURN_MS = 2;
/** Renderings are shared once they have used this up; a rendering costs its milliseconds of processor time plus one unit per 8 KiB. */
const CREDIT_MAX = 150;
/** Credit regained per millisecond: renderings take at most 5 % of a core for longer than a moment. */
const CREDIT_PER_MS = 0.05;
const BYTES_PER_CREDIT = 8192;
/** A shared rendering is at most this old, or this many times the time that it took, whichever is longer. */
const SHARED_MS = 1000;
const SHARED_COST_FACTOR = 10;
/** Memory of renderings that are over is kept for the next ones. */
const SPARES_MAX = 3;
const SPARE_BYTES_MAX = 8 * 1024 * 1024;
const FIRST_BYTES = 16_384;

const compress = promisify(gzip);

/** What a rendering consists of, in the order in which it is sent. A piece takes less than a millisecond to make. */
export type Pieces = Iterable<string> | AsyncIterable<string>;

const spares: Buffer[] = [];

function takeMemory(byteCount: number): Buffer {
  const index = spares.findIndex((buffer) => buffer.length >= byteCount);
  return index === -1 ? Buffer.allocUnsafeSlow(byteCount) : spares.splice(index, 1)[0]!;
}

function keepMemory(memory: Buffer): void {
  if (memory.length > SPARE_BYTES_MAX) return;
  spares.push(memory);
  if (spares.length > SPARES_MAX) spares.shift();
}

/** The next turn of the event loop, once the sockets that are ready have been read. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Bytes of an answer that any number of connections send at the same time. */
export class Rendering {
  readonly bytes: Buffer;
  /** `performance.now()` when the first piece was made. */
  readonly startedAt: number;
  /** Time for which it may be shared. */
  readonly sharedMs: number;
  readonly #memory: Buffer | null;
  #holders = 0;
  #gzipped: Promise<Rendering> | null = null;

  constructor(bytes: Buffer, memory: Buffer | null = null, startedAt = 0, costMs = 0) {
    this.bytes = bytes;
    this.#memory = memory;
    this.startedAt = startedAt;
    this.sharedMs = Math.max(SHARED_MS, costMs * SHARED_COST_FACTOR);
  }

  static of(text: string): Rendering {
    return new Rendering(Buffer.from(text));
  }

  /** The memory is not used again until every holder has released it. */
  hold(): this {
    this.#holders += 1;
    return this;
  }

  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0 && this.#memory !== null) keepMemory(this.#memory);
  }

  /** The same, compressed off the event loop and once for all. The caller holds this rendering meanwhile. */
  gzipped(): Promise<Rendering> {
    this.#gzipped ??= this.#compress();
    return this.#gzipped;
  }

  async #compress(): Promise<Rendering> {
    this.hold();
    try {
      return new Rendering(
        await compress(this.bytes, { level: constants.Z_BEST_SPEED }),
        null,
        this.startedAt,
      );
    } finally {
      this.release();
    }
  }
}

/** What renderings have cost lately. One for all answers of an admin port. */
export class RenderCredit {
  #credit = CREDIT_MAX;
  #at: number;

  constructor(nowMs: number) {
    this.#at = nowMs;
  }

  isLeft(nowMs: number): boolean {
    this.#credit = Math.min(CREDIT_MAX, this.#credit + (nowMs - this.#at) * CREDIT_PER_MS);
    this.#at = nowMs;
    return this.#credit > 0;
  }

  spend(costMs: number, byteCount: number): void {
    this.#credit = Math.max(-CREDIT_MAX, this.#credit - costMs - byteCount / BYTES_PER_CREDIT);
  }
}

/**
 * One answer that is expensive to make. Everybody gets a rendering that began after the question as long as renderings are
 * cheap or rare; when they are not, everybody within a second gets the same one.
 */
export class SharedRendering {
  readonly #credit: RenderCredit;
  readonly #begin: () => Pieces | Promise<Pieces>;
  /** Waits for its first turn: whoever asks now gets it. */
  #next: Promise<Rendering> | null = null;
  /** Is being made. */
  #current: Promise<Rendering> | null = null;
  #last: Rendering | null = null;

  constructor(credit: RenderCredit, begin: () => Pieces | Promise<Pieces>) {
    this.#credit = credit;
    this.#begin = begin;
  }

  /** The rendering is held for the caller, who releases it. */
  async get(): Promise<Rendering> {
    return (await this.#choose(performance.now())).hold();
  }

  /** Lets go of the last rendering. */
  clear(): void {
    this.#replace(null);
  }

  #choose(now: number): Promise<Rendering> | Rendering {
    if (this.#next !== null) return this.#next;
    if (!this.#credit.isLeft(now)) {
      if (this.#current !== null) return this.#current;
      if (this.#last !== null && now - this.#last.startedAt < this.#last.sharedMs) return this.#last;
    }
    this.#next = this.#make(this.#current);
    return this.#next;
  }

  async #make(before: Promise<Rendering> | null): Promise<Rendering> {
    if (before !== null) await before.catch(() => undefined);
    await nextTurn();
    this.#current = this.#next;
    this.#next = null;
    try {
      const pieces = await this.#begin();
      const rendering = await render(pieces, this.#credit);
      this.#replace(rendering);
      return rendering;
    } finally {
      this.#current = null;
    }
  }

  #replace(rendering: Rendering | null): void {
    rendering?.hold();
    this.#last?.release();
    this.#last = rendering;
  }
}

/** What this thread has used of the processor. On a busy machine a rendering takes long and costs no more. */
function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Puts the pieces together, a few milliseconds in a turn of the event loop. Not held by anybody yet. */
export async function render(pieces: Pieces, credit: RenderCredit): Promise<Rendering> {
  const startedAt = performance.now();
  let memory = takeMemory(FIRST_BYTES);
  let length = 0;
  let costMs = 0;
  let turnAt = startedAt;
  let usedMs = processorMs();
  for await (const piece of pieces) {
    const byteCount = Buffer.byteLength(piece);
    if (length + byteCount > memory.length) {
      const larger = takeMemory(Math.max(memory.length * 2, length + byteCount));
      memory.copy(larger, 0, 0, length);
      keepMemory(memory);
      memory = larger;
    }
    length += memory.write(piece, length);
    const now = performance.now();
    if (now - turnAt < RENDER_TURN_MS) continue;
    costMs += processorMs() - usedMs;
    await nextTurn();
    turnAt = performance.now();
    usedMs = processorMs();
  }
  costMs += processorMs() - usedMs;
  credit.spend(costMs, length);
  return new Rendering(memory.subarray(0, length), memory, startedAt, costMs);
}

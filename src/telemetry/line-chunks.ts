// Lines that wait for a device, in the pieces in which they are written: whole lines, as many as one write may hold. A line
// is copied once, when it comes, and its memory is used again.

/** What one write takes: `bytes.subarray(0, length)`, so many whole lines. */
export interface LineChunk {
  readonly bytes: Buffer;
  length: number;
  lines: number;
}

const NOTHING: LineChunk = { bytes: Buffer.alloc(0), length: 0, lines: 0 };

/** The queue of one device, which owns it. Its promise: lines leave in the order in which they came. */
export class LineChunks {
  readonly #chunkBytes: number;
  /** Those behind which others wait. */
  readonly #full: LineChunk[] = [];
  #last = NOTHING;
  #spare: LineChunk | null = null;

  /** @param chunkBytes bytes of a chunk at most, unless one line is longer */
  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  get isEmpty(): boolean {
    return this.#last.lines === 0;
  }

  /** Lines that wait. */
  get lines(): number {
    return this.#full.reduce((sum, { lines }) => sum + lines, this.#last.lines);
  }

  /** Adds a line, its end included. @param byteCount its length in UTF-8 */
  addText(line: string, byteCount: number): void {
    const chunk = this.#roomFor(byteCount);
    chunk.length += chunk.bytes.write(line, chunk.length);
    chunk.lines += 1;
  }

  /** The same for bytes[0, length). */
  addBytes(bytes: Buffer, length: number): void {
    const chunk = this.#roomFor(length);
    bytes.copy(chunk.bytes, chunk.length, 0, length);
    chunk.length += length;
    chunk.lines += 1;
  }

  /** Takes the lines that came first. There have to be some. */
  take(): LineChunk {
    const first = this.#full.shift();
    if (first !== undefined) return first;
    const last = this.#last;
    this.#last = NOTHING;
    return last;
  }

  /** The chunk is not used any more. */
  giveBack(chunk: LineChunk): void {
    if (chunk.bytes.length !== this.#chunkBytes) return;
    chunk.length = 0;
    chunk.lines = 0;
    this.#spare = chunk;
  }

  clear(): void {
    this.#full.length = 0;
    this.#last = NOTHING;
  }

  #roomFor(byteCount: number): LineChunk {
    const last = this.#last;
    const end = last.length + byteCount;
    if (last !== NOTHING && end <= Math.min(last.bytes.length, this.#chunkBytes)) return last;
    if (last.lines > 0) this.#full.push(last);
    if (byteCount > this.#chunkBytes) {
      this.#last = { bytes: Buffer.allocUnsafeSlow(byteCount), length: 0, lines: 0 };
    } else {
      this.#last = this.#spare ?? { bytes: Buffer.allocUnsafeSlow(this.#chunkBytes), length: 0, lines: 0 };
      this.#spare = null;
    }
    return this.#last;
  }
}

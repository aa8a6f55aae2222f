// Lines that wait to be written, as bytes: what is gathered now, and the piece of whole lines that is being written. Knows
// nothing of what is in a line, nor of where it goes.

import { Output } from '../http1/output.ts';

const LINE_END = 10;
/** First size of a buffer, and the size up to which one is kept. */
const FIRST_ROOM = 4096;
const KEPT_ROOM_MAX = 128 * 1024;

/** The waiting lines of one LogDevice, which owns it. Lines leave in the order in which they came. */
export class LineQueue {
  /** Lines are appended here. A line that has begun is not yet counted in `byteCount`. */
  gathered = new Output(FIRST_ROOM);
  /** What is taken from now on; whole lines. */
  #taken = new Output(FIRST_ROOM);
  #at = 0;
  #pieceEnd = 0;
  #lineStart = 0;

  /** Bytes of whole lines that have not been written. */
  get byteCount(): number {
    return this.#taken.length - this.#at + this.#lineStart;
  }

  /** Bytes of the line that has begun. */
  get lineBytes(): number {
    return this.gathered.length - this.#lineStart;
  }

  /** The line that has begun, as text. */
  get lineText(): string {
    return this.gathered.bytes.toString('utf8', this.#lineStart, this.gathered.length);
  }

  /** The line that has begun is whole. */
  endLine(): void {
    this.#lineStart = this.gathered.length;
  }

  /** Takes the line that has begun back. */
  dropLine(): void {
    this.gathered.length = this.#lineStart;
  }

  /** Begins the next piece: as many whole lines as so many bytes hold, at least one. */
  beginPiece(bytesMax: number): void {
    if (this.#at === this.#taken.length) {
      const written = this.#taken;
      this.#taken = this.gathered;
      written.clear();
      this.gathered = written.bytes.length > KEPT_ROOM_MAX ? new Output(FIRST_ROOM) : written;
      this.#at = 0;
      this.#lineStart = 0;
    }
    const { bytes, length } = this.#taken;
    const limit = this.#at + bytesMax;
    if (limit >= length) this.#pieceEnd = length;
    else {
      const last = bytes.lastIndexOf(LINE_END, limit - 1);
      this.#pieceEnd = (last >= this.#at ? last : bytes.indexOf(LINE_END, limit)) + 1;
    }
  }

  /** What of the piece has not been written: `bytes` from `from`, `rest` of them. */
  get bytes(): Buffer {
    return this.#taken.bytes;
  }
  get from(): number {
    return this.#at;
  }
  get rest(): number {
    return this.#pieceEnd - this.#at;
  }

  written(byteCount: number): void {
    this.#at += byteCount;
  }

  /** The last byte that was written is in the middle of a line. */
  get isTorn(): boolean {
    return this.#at > 0 && this.#taken.bytes[this.#at - 1] !== LINE_END;
  }

  /** Something of the present piece, or of those before it in the same memory, was written. */
  get hasWritten(): boolean {
    return this.#at > 0;
  }

  /** Throws everything away, and says how many lines had not been written whole. */
  clear(): number {
    const taken = this.#taken.bytes.subarray(this.#at, this.#taken.length);
    const lines = countLineEnds(taken) + countLineEnds(this.gathered.bytes.subarray(0, this.#lineStart));
    this.gathered.clear();
    this.#taken.clear();
    this.#at = 0;
    this.#pieceEnd = 0;
    this.#lineStart = 0;
    return lines;
  }
}

function countLineEnds(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(LINE_END); at !== -1; at = bytes.indexOf(LINE_END, at + 1)) lines++;
  return lines;
}

// Decodes a chunked body strictly and encodes one canonically. The decoder returns runs of body bytes as positions into
// the received bytes; it copies only an unfinished trailer section. It knows nothing of sockets.
// Source: RFC 9112 §7.1. Chunk extensions are checked and dropped, as §7.1.1 allows.

import { BACKSLASH, CR, EQUALS, isSpace, LF, QUOTE, SEMICOLON, TOKEN } from '../bytes.ts';
import { describeRule, type Rule } from './rules.ts';
import { TrailerSection } from './trailers.ts';

/** Longest chunk-size line, with its extensions and CRLF: no honest sender needs more, and a flood of extensions is an attack. */
const SIZE_LINE_BYTES_MAX = 1024;
/** Up to this many bytes are moved one by one. */
const MOVED_SINGLY_MAX = 32;

const CHUNK_STATE = {
  size: 0,
  extensionName: 1,
  extensionValue: 2,
  quoted: 3,
  quotedPair: 4,
  extensionEnd: 5,
  sizeLf: 6,
  data: 7,
  dataCr: 8,
  dataLf: 9,
  trailer: 10,
  done: 11,
  refused: 12,
  extensionNameEnd: 13,
} as const;

/** Value of a hex digit; 255 for other bytes. */
const HEX = new Uint8Array(256).fill(255);
for (let value = 0; value < 16; value++) {
  HEX[value.toString(16).charCodeAt(0)] = value;
  HEX[value.toString(16).toUpperCase().charCodeAt(0)] = value;
}

/**
 * A decoder for one body at a time (RFC 9112 §7.1). The reader of a connection owns one and reuses it: `reset` it before each
 * body.
 */
export class ChunkedDecoder {
  /** The run of body bytes that the last `next` found; empty when dataStart equals dataEnd. */
  dataStart = 0;
  dataEnd = 0;
  /** The trailer section; complete once `isDone`. Its positions index into `trailers.bytes`. */
  readonly trailers: TrailerSection;
  #state: number = CHUNK_STATE.size;
  #size = 0;
  #digits = 0;
  #lineBytes = 0;
  /** No byte of the extension's name or value has come yet, and it must not be empty. */
  #isEmpty = false;
  #trailerBytes: Buffer | null = null;
  #rule: Rule = 'chunkLine';
  #badByte = 0;

  /** `isResponse` is true for the trailers of a response, where a proxy repairs more than in a request. */
  constructor(isResponse: boolean) {
    this.trailers = new TrailerSection(isResponse);
  }

  reset(): void {
    this.#state = CHUNK_STATE.size;
    this.#size = 0;
    this.#digits = 0;
    this.#lineBytes = 0;
    this.#isEmpty = false;
    this.#trailerBytes = null;
    this.trailers.reset();
    this.#rule = 'chunkLine';
    this.dataStart = 0;
    this.dataEnd = 0;
  }

  /** The last chunk and the trailer section are read; the bytes after them belong to the next message. */
  get isDone(): boolean {
    return this.#state === CHUNK_STATE.done;
  }

  /** The body breaks the grammar. */
  get isRefused(): boolean {
    return this.#state === CHUNK_STATE.refused;
  }

  /** Which rule the refused body broke, as text. Call it while the bytes are still there. */
  describeFault(): string {
    if (this.trailers.fault !== null) return this.trailers.describeFault();
    return describeRule(this.#rule, this.#badByte);
  }

  /**
   * Reads on in bytes[position, to) until the end of one run of body bytes, of the body or of the bytes.
   * Returns the position up to which it has read.
   */
  next(bytes: Buffer, from: number, to: number): number {
    let position = from;
    this.dataStart = from;
    this.dataEnd = from;
    while (position < to) {
      switch (this.#state) {
        case CHUNK_STATE.data: {
          const end = Math.min(to, position + this.#size);
          this.dataStart = position;
          this.dataEnd = end;
          this.#size -= end - position;
          if (this.#size === 0) this.#state = CHUNK_STATE.dataCr;
          return end;
        }
        case CHUNK_STATE.dataCr:
          if (bytes[position++] !== CR) return this.#refuse(position, 'chunkEnd');
          this.#state = CHUNK_STATE.dataLf;
          break;
        case CHUNK_STATE.dataLf:
          if (bytes[position++] !== LF) return this.#refuse(position, 'chunkEnd');
          this.#state = CHUNK_STATE.size;
          this.#digits = 0;
          this.#lineBytes = 0;
          break;
        case CHUNK_STATE.trailer:
          return this.#readTrailers(bytes, position, to);
        case CHUNK_STATE.done:
        case CHUNK_STATE.refused:
          return position;
        default:
          if (!this.#readSizeByte(bytes[position++]!)) {
            this.#badByte = bytes[position - 1]!;
            return this.#refuse(position, this.#rule);
          }
      }
    }
    return position;
  }

  /**
   * As `next`, but reads on over further chunks and moves their data up to the first run, in place: many small chunks
   * are one run. It may change bytes[from, position) and nothing after its result. When a later chunk is refused the run
   * holds the data before it.
   */
  nextJoined(bytes: Buffer, from: number, to: number): number {
    let position = this.next(bytes, from, to);
    const start = this.dataStart;
    while (position < to && !this.isDone && !this.isRefused) {
      const end = this.dataEnd;
      if (this.#state === CHUNK_STATE.dataCr && position + 2 < to) {
        const next = this.#joinWhole(bytes, position, to);
        if (next > position) {
          position = next;
          continue;
        }
      }
      position = this.next(bytes, position, to);
      this.dataEnd = moveUp(bytes, end, this.dataStart, this.dataEnd);
    }
    this.dataStart = start;
    return position;
  }

  /**
   * Reads on after the data of a chunk: its line end, and further chunks without extensions that are complete in
   * bytes[from, to). Moves their data up to `dataEnd`. Returns where the data of the last one ends, or `from` when there is
   * none; `next` reads or refuses what follows. One step for each byte takes about three times as long (bench/micro.ts,
   * "64 chunks").
   */
  #joinWhole(bytes: Buffer, from: number, to: number): number {
    let position = from;
    for (;;) {
      if (bytes[position] !== CR || bytes[position + 1] !== LF) return position;
      let at = position + 2;
      let size = 0;
      // Eight digits at most: `next` reads longer sizes. Beyond the end of the bytes nothing is a digit, a CR or an LF.
      for (let digit = HEX[bytes[at]!]!; digit < 16 && at < position + 10; digit = HEX[bytes[++at]!]!)
        size = size * 16 + digit;
      const start = at + 2;
      const end = start + size;
      if (size === 0 || end > to || bytes[at] !== CR || bytes[at + 1] !== LF) return position;
      this.dataEnd = moveUp(bytes, this.dataEnd, start, end);
      position = end;
    }
  }

  #refuse(position: number, rule: Rule): number {
    this.#rule = rule;
    this.#state = CHUNK_STATE.refused;
    return position;
  }

  #readSizeByte(byte: number): boolean {
    if (++this.#lineBytes > SIZE_LINE_BYTES_MAX) return this.#breaks('chunkLineLong');
    switch (this.#state) {
      case CHUNK_STATE.size: {
        const digit = HEX[byte]!;
        if (digit !== 255) {
          if (this.#digits === 0) this.#size = 0;
          // Leading zeros do not count. Thirteen digits reach 2^52: no sum can pass 2^53 - 1.
          this.#digits = this.#size === 0 ? 1 : this.#digits + 1;
          if (this.#digits > 13) return this.#breaks('chunkSizeLong');
          this.#size = this.#size * 16 + digit;
          return true;
        }
        if (this.#digits === 0) return this.#breaks('chunkSize');
        return this.#endExtension(byte);
      }
      case CHUNK_STATE.extensionName:
        if (TOKEN[byte] === 1) {
          this.#isEmpty = false;
          return true;
        }
        if (this.#isEmpty) return isSpace(byte);
        return this.#endExtensionName(byte);
      case CHUNK_STATE.extensionNameEnd:
        return this.#endExtensionName(byte);
      case CHUNK_STATE.extensionValue:
        if (TOKEN[byte] === 1) {
          this.#isEmpty = false;
          return true;
        }
        if (!this.#isEmpty) return this.#endExtension(byte);
        if (isSpace(byte)) return true;
        this.#state = CHUNK_STATE.quoted;
        return byte === QUOTE;
      case CHUNK_STATE.quoted:
        if (byte === QUOTE) this.#state = CHUNK_STATE.extensionEnd;
        else if (byte === BACKSLASH) this.#state = CHUNK_STATE.quotedPair;
        else return isQuotable(byte);
        return true;
      case CHUNK_STATE.quotedPair:
        this.#state = CHUNK_STATE.quoted;
        return isQuotable(byte);
      case CHUNK_STATE.extensionEnd:
        return this.#endExtension(byte);
      default:
        if (byte !== LF) return false;
        this.#state = this.#size === 0 ? CHUNK_STATE.trailer : CHUNK_STATE.data;
        return true;
    }
  }

  #breaks(rule: Rule): false {
    this.#rule = rule;
    return false;
  }

  /** What may follow the size or a whole extension: white space, the next extension or the line end (BWS, RFC 9112 §7.1.1). */
  #endExtension(byte: number): boolean {
    if (isSpace(byte)) {
      this.#state = CHUNK_STATE.extensionEnd;
      return true;
    }
    this.#state = byte === CR ? CHUNK_STATE.sizeLf : CHUNK_STATE.extensionName;
    this.#isEmpty = true;
    return byte === CR || byte === SEMICOLON;
  }

  #endExtensionName(byte: number): boolean {
    if (isSpace(byte)) {
      this.#state = CHUNK_STATE.extensionNameEnd;
      return true;
    }
    if (byte !== EQUALS) return this.#endExtension(byte);
    this.#state = CHUNK_STATE.extensionValue;
    this.#isEmpty = true;
    return true;
  }

  #readTrailers(bytes: Buffer, from: number, to: number): number {
    const held = this.#trailerBytes;
    if (held === null) {
      if (bytes[from] === CR && from + 1 < to && bytes[from + 1] === LF) {
        this.#state = CHUNK_STATE.done;
        return from + 2;
      }
      const end = this.trailers.parse(bytes, from, to);
      if (end >= 0) {
        // The section must outlive the received bytes.
        this.trailers.parse(Buffer.from(bytes.subarray(from, end)), 0, end - from);
        this.#state = CHUNK_STATE.done;
        return end;
      }
      if (this.trailers.fault !== null) return this.#refuse(to, 'trailer');
      this.#trailerBytes = Buffer.from(bytes.subarray(from, to));
      return to;
    }
    const joined = Buffer.concat([held, bytes.subarray(from, to)], held.length + to - from);
    // The result is the same until another line has ended.
    if (joined.indexOf(LF, held.length) === -1 && joined.length <= this.trailers.limits.fieldsBytesMax) {
      this.#trailerBytes = joined;
      return to;
    }
    const end = this.trailers.parse(joined, 0, joined.length);
    if (end < 0) {
      this.#trailerBytes = joined;
      return this.trailers.fault === null ? to : this.#refuse(to, 'trailer');
    }
    this.#state = CHUNK_STATE.done;
    return from + end - held.length;
  }
}

/** qdtext, and what may follow a backslash: white space, visible ASCII and obs-text (RFC 9110 §5.6.4). */
function isQuotable(byte: number): boolean {
  return byte === 9 || (byte >= 32 && byte !== 127);
}

/** Moves bytes[from, to) to `target`, which is not after `from`. Returns their new end. */
function moveUp(bytes: Buffer, target: number, from: number, to: number): number {
  // A call into the engine costs more than moving a few bytes.
  if (to - from > MOVED_SINGLY_MAX) bytes.copyWithin(target, from, to);
  else for (let i = from; i < to; i++) bytes[target + i - from] = bytes[i]!;
  return target + to - from;
}

/** The size line of a chunk of `byteCount` bytes, without extensions (RFC 9112 §7.1). */
export function chunkHead(byteCount: number): string {
  return byteCount.toString(16) + '\r\n';
}

/** Ends a chunked body that has no trailers. */
export const LAST_CHUNK = '0\r\n\r\n';
/** What follows the data of a chunk, and of the last one with data in a body without trailers. */
export const CHUNK_END = '\r\n';
export const LAST_CHUNK_END = CHUNK_END + LAST_CHUNK;

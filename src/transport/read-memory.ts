// Memory that all sockets of a side read into, one read at a time: it stays in the cache of the processor, where a buffer for
// each socket would not. Knows no socket. Source: docs/performance.md.

/** The longest text that `Wire.write` takes to follow bytes. */
export const AFTER_BYTES_MAX = 8;

/** Memory that sockets read into, owned by the module that makes it for one side. */
export class ReadMemory {
  readonly bytes: Buffer;
  /** Where a read begins: there is room for a head in front of what was read. */
  readonly from: number;
  /** The part that a read may fill; a text that follows the bytes has room after it. */
  readonly room: Buffer;

  constructor(byteCount: number, headroom: number) {
    this.bytes = Buffer.allocUnsafeSlow(headroom + byteCount + AFTER_BYTES_MAX);
    this.from = headroom;
    this.room = this.bytes.subarray(headroom, headroom + byteCount);
  }
}

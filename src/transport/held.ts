// Bytes of one connection that wait until more have come. They stay in one piece, and a piece that is added is copied
// once: a head of 1 MiB that drips in costs no more than one that comes whole. Knows nothing of what the bytes mean.

const ROOM_BYTES_MIN = 1024;
const NO_BYTES = Buffer.alloc(0);

/** Memory with room to spare after the bytes that are held. */
export class HeldRoom {
  #room: Buffer = NO_BYTES;
  #end = 0;

  /**
   * `held` and bytes[from, to) in one piece. `held` is what the last call returned or the end of it, to which nothing is
   * copied as long as there is room; bytes of elsewhere are copied. Nothing that was returned is ever written over.
   */
  join(held: Buffer, bytes: Buffer, from: number, to: number): Buffer {
    const start = held.byteOffset;
    const byteCount = held.length + to - from;
    const isLast = held.buffer === this.#room.buffer && start + held.length === this.#end;
    if (isLast && start + byteCount <= this.#room.length) {
      bytes.copy(this.#room, this.#end, from, to);
      this.#end += to - from;
      return this.#room.subarray(start, this.#end);
    }
    const room = Buffer.allocUnsafeSlow(Math.max(ROOM_BYTES_MIN, Math.ceil(byteCount * 1.5)));
    held.copy(room);
    bytes.copy(room, held.length, from, to);
    this.#room = room;
    this.#end = byteCount;
    return room.subarray(0, byteCount);
  }
}

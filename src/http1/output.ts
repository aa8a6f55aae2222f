// A buffer that grows, for the heads and small bodies that a connection sends. It takes bytes, short texts and numbers.
// Knows nothing of what they mean.

import { ZERO } from '../bytes.ts';

/** Characters up to this many are written one by one: a call into the buffer costs more. */
const SHORT_TEXT = 24;
/** Digits of 2^31 - 1. */
const DIGITS_MAX = 10;

/**
 * A buffer that grows: `bytes.subarray(0, length)` is what was written. A connection owns one and clears it after it was
 * sent.
 */
export class Output {
  bytes: Buffer;
  length = 0;

  constructor(initialBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(initialBytes);
  }

  /** Empties the buffer and keeps its memory. */
  clear(): void {
    this.length = 0;
  }

  /** Makes room for so many bytes more. */
  reserve(byteCount: number): void {
    if (this.length + byteCount > this.bytes.length) this.#grow(byteCount);
  }

  /** Appends source[start, end). */
  copy(source: Buffer, start: number, end: number): void {
    if (this.length + end - start > this.bytes.length) this.#grow(end - start);
    source.copy(this.bytes, this.length, start, end);
    this.length += end - start;
  }

  /** Appends all of `bytes`. */
  append(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.bytes.length) this.#grow(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** Appends text whose characters are all below U+0100, one byte each. */
  text(text: string): void {
    const count = text.length;
    if (this.length + count > this.bytes.length) this.#grow(count);
    if (count > SHORT_TEXT) {
      this.length += this.bytes.write(text, this.length, 'latin1');
      return;
    }
    const { bytes, length } = this;
    for (let i = 0; i < count; i++) bytes[length + i] = text.charCodeAt(i);
    this.length = length + count;
  }

  /** Appends a whole number from 0 to 2^31 - 1 in decimal digits. */
  decimal(value: number): void {
    if (this.length + DIGITS_MAX > this.bytes.length) this.#grow(DIGITS_MAX);
    const { bytes } = this;
    let end = this.length + 1;
    for (let rest = value; rest > 9; rest = (rest / 10) | 0) end++;
    this.length = end;
    let rest = value;
    do {
      bytes[--end] = ZERO + (rest % 10);
      rest = (rest / 10) | 0;
    } while (rest > 0);
  }

  #grow(byteCount: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + byteCount));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }
}

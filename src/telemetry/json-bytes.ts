// Appends values to an Output as JSON text, byte for byte as JSON.stringify writes them, without making a string of them.
// Knows nothing of what the values mean.

import { QUOTE } from '../bytes.ts';
import type { Output } from '../http1/output.ts';

/** 1 for the bytes that JSON text holds as they are: visible ASCII and space, without quotation mark and backslash. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c ? 1 : 0,
);
const POINT = 0x2e;
const DIGIT_0 = 0x30;
const HEX_DIGITS = Buffer.from('0123456789abcdef');
/** Digits of the largest safe integer. */
const DIGITS_MAX = 16;

/** Appends the text in quotation marks. */
export function writeString(out: Output, text: string): void {
  const count = text.length;
  out.room(count + 2);
  const { bytes, length } = out;
  bytes[length] = QUOTE;
  for (let i = 0; i < count; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7e || PLAIN[unit] === 0) return out.utf8(JSON.stringify(text));
    bytes[length + 1 + i] = unit;
  }
  bytes[length + 1 + count] = QUOTE;
  out.length = length + count + 2;
}

/** Appends source[start, end), one character for each byte (latin1), in quotation marks. */
export function writeLatin1(out: Output, source: Buffer, start: number, end: number): void {
  const count = end - start;
  out.room(count + 2);
  const { bytes, length } = out;
  bytes[length] = QUOTE;
  for (let i = 0; i < count; i++) {
    const byte = source[start + i]!;
    if (PLAIN[byte] === 0) return out.utf8(JSON.stringify(source.toString('latin1', start, end)));
    bytes[length + 1 + i] = byte;
  }
  bytes[length + 1 + count] = QUOTE;
  out.length = length + count + 2;
}

/** Appends an integer from 0 to 2^53 - 1. */
export function writeInteger(out: Output, value: number): void {
  out.room(DIGITS_MAX);
  const { bytes, length } = out;
  let digits = 1;
  for (let power = 10; power <= value; power *= 10) digits++;
  let rest = value;
  for (let at = length + digits - 1; at >= length; at--) {
    const tenth = Math.floor(rest / 10);
    bytes[at] = DIGIT_0 + (rest - tenth * 10);
    rest = tenth;
  }
  out.length = length + digits;
}

/** Appends milliseconds from 0 to 2^53 / 1000, rounded to the microsecond, without zeros at the end. */
export function writeMilliseconds(out: Output, ms: number): void {
  const microseconds = Math.round(ms * 1000);
  const whole = Math.floor(microseconds / 1000);
  writeInteger(out, whole);
  const part = microseconds - whole * 1000;
  if (part === 0) return;
  out.room(4);
  const { bytes, length } = out;
  bytes[length] = POINT;
  writeThreeDigits(bytes, length + 1, part);
  out.length = length + (part % 10 > 0 ? 4 : part % 100 > 0 ? 3 : 2);
}

/** Writes an integer from 0 to 999 with its zeros in front. */
export function writeThreeDigits(bytes: Buffer, at: number, value: number): void {
  const tenth = Math.floor(value / 10);
  const hundredth = Math.floor(value / 100);
  bytes[at] = DIGIT_0 + hundredth;
  bytes[at + 1] = DIGIT_0 + tenth - hundredth * 10;
  bytes[at + 2] = DIGIT_0 + value - tenth * 10;
}

/** Appends the 8 hexadecimal digits of a number of 32 bits, in quotation marks. */
export function writeHash(out: Output, hash: number): void {
  out.room(10);
  const { bytes, length } = out;
  bytes[length] = QUOTE;
  for (let i = 0; i < 8; i++) bytes[length + 1 + i] = HEX_DIGITS[(hash >>> (28 - i * 4)) & 15]!;
  bytes[length + 9] = QUOTE;
  out.length = length + 10;
}

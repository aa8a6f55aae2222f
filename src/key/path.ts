// The path of a request target: where it ends, and its normal form, with percent-encoding decoded, "." and ".."
// resolved and slashes merged, as $uri and routes read it.
// Source: nginx, ngx_http_parse_complex_uri in src/http/ngx_http_parse.c, with merge_slashes on.

import { DOT, HASH, PERCENT, QUESTION, type RequestView, SLASH } from '../bytes.ts';

/** Position after the path, where the "?" or the end of the target is. */
export function endOfPath(view: RequestView): number {
  const { bytes, targetEnd } = view;
  let at = view.targetStart;
  while (at < targetEnd && bytes[at] !== QUESTION && bytes[at] !== HASH) at++;
  return at;
}

// Grows to the longest path so far; its length is bounded by the longest request line that is accepted.
let normal = new Uint8Array(1024);

/** The path as $uri has it; null for one that nginx refuses. Valid until the next call. */
export function normalisePath(view: RequestView): Uint8Array | null {
  const end = endOfPath(view);
  const size = end - view.targetStart;
  if (size > normal.length) normal = new Uint8Array(Math.max(size, normal.length * 2));
  const length = writeNormalPath(view.bytes, view.targetStart, end, normal, 0);
  return length < 0 ? null : normal.subarray(0, length);
}

/** Position after a path that is its own normal form, as nearly all are; -1 for one that may have another. */
export function endOfNormalPath(view: RequestView): number {
  const { bytes, targetEnd } = view;
  let at = view.targetStart;
  if (at === targetEnd || bytes[at] !== SLASH) return -1;
  let isSegmentStart = false;
  for (; at < targetEnd; at++) {
    const byte = bytes[at]!;
    if (byte === QUESTION || byte === HASH) break;
    if (byte === PERCENT || (isSegmentStart && (byte === SLASH || byte === DOT))) return -1;
    isSegmentStart = byte === SLASH;
  }
  return at;
}

/**
 * Writes the normal form of bytes[start, end) to `out` at `root`, where it takes no more room than the path itself.
 * Returns where it ends there; -1 for a path that nginx refuses: bad encoding, %00, ".." above the root.
 */
export function writeNormalPath(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  root: number,
): number {
  if (bytes[start] !== SLASH) return -1;
  let length = root;
  let segment = root + 1;
  out[length++] = SLASH;
  for (let i = start + 1; i <= end; i++) {
    let byte = i === end ? SLASH : bytes[i]!;
    if (byte === PERCENT) {
      if (i + 2 >= end) return -1;
      byte = hexValue(bytes[i + 1]!) * 16 + hexValue(bytes[i + 2]!);
      if (!(byte > 0)) return -1;
      i += 2;
    }
    if (byte !== SLASH) {
      out[length++] = byte;
      continue;
    }
    const size = length - segment;
    if (size === 1 && out[segment] === DOT) length = segment;
    else if (size === 2 && out[segment] === DOT && out[segment + 1] === DOT) {
      if (segment === root + 1) return -1;
      segment = out.lastIndexOf(SLASH, segment - 2) + 1;
      length = segment;
    } else if (size > 0 && i < end) {
      out[length++] = SLASH;
      segment = length;
    }
  }
  return length;
}

/** NaN for a byte that is not a hexadecimal digit. */
function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : Number.NaN;
}

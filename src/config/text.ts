// Rejects input that no configuration parser should see: too large, binary, or not UTF-8. Kept apart from the parsers, so
// that reading a file does not load one that the start does not need.

import type { Problem } from './problem.ts';

/** Largest configuration text, in bytes: a ConfigMap holds no more either. */
export const TEXT_BYTES_MAX = 1024 * 1024;

/** The one problem of a text that is too large to be a configuration. `bytes` is its size. */
export function tooLarge(file: string, bytes: number): Problem {
  const got = `${(bytes / TEXT_BYTES_MAX).toFixed(1)} MiB`;
  return { at: file, path: '', order: 0, expected: 'a configuration of at most 1 MiB', got };
}

/** The one problem of what is no text of `kind`: too large, binary, or not UTF-8. Undefined when it may be parsed. */
export function refuseText(text: string, file: string, kind: string): Problem | undefined {
  if (text.length > TEXT_BYTES_MAX) return tooLarge(file, Buffer.byteLength(text));
  const odd = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]/.exec(text);
  if (odd === null) return undefined;
  const code =
    odd[0] === '\ufffd' ? 'no UTF-8' : `the byte 0x${odd[0].charCodeAt(0).toString(16).padStart(2, '0')}`;
  const before = text.slice(0, odd.index).split('\n');
  return {
    at: `${file}:${before.length}:${before.at(-1)!.length + 1}`,
    path: '',
    order: odd.index,
    expected: `${kind} in UTF-8`,
    got: `binary data (${code})`,
  };
}

const NGINX_BLOCK = /^[ \t]*(?:http|events|server|split_clients|upstream)\b[^:\n]*\{/m;

/** Where in a text the first block of an nginx.conf begins; -1 for what is no nginx.conf. */
export function nginxBlockAt(text: string): number {
  return NGINX_BLOCK.exec(text)?.index ?? -1;
}

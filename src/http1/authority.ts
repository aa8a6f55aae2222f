// What a Host field or the authority of an absolute-form may look like. Pure.
// Sources: RFC 9110 §7.2, RFC 3986 §3.2; nginx's ngx_http_validate_host for the dots.

import { byteTable, COLON, DOT } from '../bytes.ts';

const HOST_BYTE = byteTable("-._~%!$&'()*+;=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
const IP_LITERAL_BYTE = byteTable('0123456789ABCDEFabcdef:.');

/**
 * True for uri-host [":" port] (RFC 9110 §7.2) without user information. An empty host is not valid, and neither is one
 * with an empty label before its end: no name in use has one, and servers read them differently.
 */
export function isAuthority(bytes: Uint8Array, start: number, end: number): boolean {
  let position = start;
  if (bytes[position] === 91) {
    position++;
    while (position < end && IP_LITERAL_BYTE[bytes[position]!] === 1) {
      if (bytes[position] === DOT && bytes[position - 1] === DOT) return false;
      position++;
    }
    if (position >= end || bytes[position] !== 93 || position - start < 3) return false;
    position++;
  } else {
    while (position < end && HOST_BYTE[bytes[position]!] === 1) {
      if (bytes[position] === DOT && position > start && bytes[position - 1] === DOT) return false;
      position++;
    }
    if (position === start || (position === start + 1 && bytes[start] === DOT)) return false;
  }
  if (position === end) return true;
  if (bytes[position] !== COLON || end - position > 6) return false;
  for (position++; position < end; position++) {
    if (bytes[position]! < 48 || bytes[position]! > 57) return false;
  }
  return true;
}

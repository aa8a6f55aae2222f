// Field names as applications read them: which spellings mean the same field, and which names belong to proxies or to the
// splitter itself. Pure. Sources: RFC 3875 §4.1.18 (CGI), RFC 7239.

/**
 * A field name in the form that this file compares. It covers every spelling that an application after CGI, WSGI or Rack
 * cannot tell from it: they take "X_Variant" for "X-Variant", so dropping only one would let a client send the other.
 */
export function foldedName(name: string): Uint8Array {
  return Buffer.from(name, 'latin1').map(foldByte);
}

/** Letters in lower case, digits, and "-" for every other byte. */
const FOLDED = Uint8Array.from({ length: 256 }, (_, byte) => foldByte(byte));

function foldByte(byte: number): number {
  if (byte >= 0x41 && byte <= 0x5a) return byte + 0x20;
  const isKept = (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39);
  return isKept ? byte : 0x2d;
}

/** True when `name` is one that an application cannot tell from one of `names`. */
export function isFieldOf(names: readonly Uint8Array[], name: string): boolean {
  const bytes = Buffer.from(name, 'latin1');
  return isOneOf(names, bytes, 0, bytes.length);
}

/** As `isFieldOf`, for the name at bytes[start, end). */
export function isOneOf(names: readonly Uint8Array[], bytes: Buffer, start: number, end: number): boolean {
  for (const name of names) {
    if (end - start !== name.length) continue;
    let at = 0;
    while (at < name.length && FOLDED[bytes[start + at]!] === name[at]) at++;
    if (at === name.length) return true;
  }
  return false;
}

const X_FORWARDED = foldedName('x-forwarded');
const FORWARDED_NAME = foldedName('forwarded');
const X_SPLITTER = foldedName('x-splitter-');
const LETTER_F = 0x66;
const LETTER_X = 0x78;

/** True when the name at bytes[start, end) begins with `prefix`, in any spelling. */
function hasPrefix(bytes: Uint8Array, start: number, end: number, prefix: Uint8Array): boolean {
  if (end - start < prefix.length) return false;
  for (let at = 0; at < prefix.length; at++) if (FOLDED[bytes[start + at]!] !== prefix[at]) return false;
  return true;
}

/**
 * True for a field by which a proxy says for whom it forwards, in any spelling: Forwarded (RFC 7239) and every name that
 * begins with X-Forwarded.
 */
export function isForwardedField(bytes: Uint8Array, start: number, end: number): boolean {
  const first = FOLDED[bytes[start]!];
  if (first === LETTER_X) return hasPrefix(bytes, start, end, X_FORWARDED);
  return (
    first === LETTER_F &&
    end - start === FORWARDED_NAME.length &&
    hasPrefix(bytes, start, end, FORWARDED_NAME)
  );
}

/** True for a name that only the splitter may use in a response, so that clients can trust x-splitter-error. */
export function isSplitterField(bytes: Uint8Array, start: number, end: number): boolean {
  return FOLDED[bytes[start]!] === LETTER_X && hasPrefix(bytes, start, end, X_SPLITTER);
}

/** `isForwardedField` of a name as text. */
export function isForwardedName(name: string): boolean {
  const bytes = Buffer.from(name, 'latin1');
  return bytes.length > 0 && isForwardedField(bytes, 0, bytes.length);
}

/** `isSplitterField` of a name as text. */
export function isSplitterName(name: string): boolean {
  const bytes = Buffer.from(name, 'latin1');
  return bytes.length > 0 && isSplitterField(bytes, 0, bytes.length);
}

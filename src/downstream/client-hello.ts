// Reads the server name out of a ClientHello whose handshake has succeeded, so that OpenSSL has checked it. Node.js has the
// name after every handshake but a resumed one of TLS 1.2, where nginx has it as well.
// Sources: RFC 8446 §4.1.2, RFC 6066 §3.

const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;
/** First byte of a TLS record with a handshake (RFC 8446 §5.1). */
export const HANDSHAKE_RECORD = 0x16;
const CLIENT_HELLO = 1;
const VERSION_AND_RANDOM_BYTES = 34;
const SERVER_NAME_EXTENSION = 0;
/** Before the name: the length of the list, the type of its first name, and the length of that. */
const NAME_HEADER_BYTES = 5;

/** As the client sent it; empty where it sent none, or where `bytes` are not a whole ClientHello in one record. */
export function readSniName(bytes: Buffer): string {
  const start = RECORD_HEADER_BYTES + MESSAGE_HEADER_BYTES;
  if (bytes.length < start || bytes[0] !== HANDSHAKE_RECORD || bytes[RECORD_HEADER_BYTES] !== CLIENT_HELLO)
    return '';
  const end = start + bytes.readUIntBE(RECORD_HEADER_BYTES + 1, 3);
  if (end > bytes.length || end > RECORD_HEADER_BYTES + bytes.readUInt16BE(3)) return '';
  const hello = bytes.subarray(0, end);
  const sessionId = start + VERSION_AND_RANDOM_BYTES;
  const ciphers = vectorEnd(hello, sessionId, 1);
  const compressions = vectorEnd(hello, ciphers, 2);
  let at = vectorEnd(hello, compressions, 1) + 2;
  while (at + 4 <= end) {
    const type = hello.readUInt16BE(at);
    const next = vectorEnd(hello, at + 2, 2);
    if (type === SERVER_NAME_EXTENSION) return nameIn(hello.subarray(at + 4, next));
    at = next;
  }
  return '';
}

/** Where the vector ends whose length is in `size` bytes at `at`; the end of the message where it is cut. */
function vectorEnd(hello: Buffer, at: number, size: number): number {
  return at + size > hello.length ? hello.length : at + size + hello.readUIntBE(at, size);
}

function nameIn(list: Buffer): string {
  if (list.length < NAME_HEADER_BYTES) return '';
  return list.toString('latin1', NAME_HEADER_BYTES, NAME_HEADER_BYTES + list.readUInt16BE(3));
}

// What a refusal says: which rule was broken and in which field, for the person who has to mend the sender. Never a
// value, and never a byte that was not part of the message.
import { describe, expect, it, test } from 'vitest';
import { ChunkedDecoder } from '../../../src/http1/chunked.ts';
import { REFUSED } from '../../../src/http1/fields.ts';
import { RequestFraming, ResponseFraming } from '../../../src/http1/framing.ts';
import { RequestHead } from '../../../src/http1/request-head.ts';
import { ResponseHead } from '../../../src/http1/response-head.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** What lies in memory after the message: another client's bytes. */
const BEYOND = 'FOREIGN: secret\r\n\r\n';

function reasonOfRequest(text: string): string {
  const head = new RequestHead();
  head.reset();
  const end = head.parse(latin1(text + BEYOND), 0, text.length);
  if (end === REFUSED) return head.describeFault();
  const framing = new RequestFraming();
  return framing.read(head) === null ? 'accepted' : framing.describeFault();
}

function reasonOfResponse(text: string): string {
  const head = new ResponseHead();
  head.reset();
  const end = head.parse(latin1(text + BEYOND), 0, text.length);
  if (end === REFUSED) return head.describeFault();
  const framing = new ResponseFraming();
  return framing.read(head, false) === null ? 'accepted' : framing.describeFault();
}

function reasonOfChunks(text: string, decoder = new ChunkedDecoder(false)): string {
  decoder.reset();
  const bytes = latin1(text);
  for (let at = 0; at < bytes.length && !decoder.isDone; ) {
    at = decoder.next(bytes, at, bytes.length);
    if (decoder.isRefused) return decoder.describeFault();
  }
  return 'accepted';
}

const LINE = 'GET / HTTP/1.1\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n';

describe('a refused request says which rule it broke', () => {
  test.each([
    ['\x16\x03\x01\x02\x00\x01', 'the client speaks TLS where plain HTTP is expected'],
    ['GE(T / HTTP/1.1\r\n\r\n', 'byte 0x28 in the method'],
    [' / HTTP/1.1\r\n\r\n', 'the request line has no method'],
    ['GET  HTTP/1.1\r\n\r\n', 'the request line has no target'],
    ['GET /\x01 HTTP/1.1\r\n\r\n', 'byte 0x01 in the target'],
    ['GET /\r\n\r\n', 'the request line ends after the target, without a version'],
    ['GET / HTTPS/1.1\r\n\r\n', 'the request line does not end with "HTTP/1.1" and CRLF'],
    ['GET / HTTP/1.1\nHost: h\n\n', 'the request line ends with a bare LF'],
    ['GET / HTTP/1.1 \r\nHost: h\r\n\r\n', 'the request line does not end with CRLF'],
    ['GET / HTTP/2.0\r\n\r\n', 'the version is neither 1.0 nor 1.1'],
    ['CONNECT h:443 HTTP/1.1\r\n\r\n', 'the method is CONNECT'],
    ['GET * HTTP/1.1\r\n\r\n', 'the target "*" is used with a method other than OPTIONS'],
    ['GET ftp://h/ HTTP/1.1\r\n\r\n', 'the target begins with neither "/" nor "http://"'],
    ['GET http://@/ HTTP/1.1\r\n\r\n', 'the target has no valid authority'],
    [
      `GET /${'x'.repeat(9000)} HTTP/1.1\r\n\r\n`,
      'the request line is longer than limits.requestLine (8192 bytes)',
    ],
    [`${LINE}\r\n`, 'Host is missing'],
    [`${LINE}Host: a\r\nHost: b\r\n\r\n`, 'Host appears more than once'],
    [`${LINE}Host: a b\r\n\r\n`, 'Host is not a host name with an optional port'],
    [
      `${LINE}Host: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n`,
      'Content-Length appears more than once',
    ],
    [`${LINE}Host: h\r\nContent-Length: +1\r\n\r\n`, 'Content-Length is not a plain number up to 2^53 - 1'],
    [
      `${LINE}Host: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
      'Content-Length and Transfer-Encoding appear together',
    ],
    [`${LINE}Host: h\r\nTransfer-Encoding: gzip\r\n\r\n`, 'Transfer-Encoding is not "chunked"'],
    [
      `${LINE}Host: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
      'Transfer-Encoding appears more than once',
    ],
    [
      'GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n',
      'Transfer-Encoding appears in an HTTP/1.0 message',
    ],
    [`${LINE}Host: h\r\nX Foo: 1\r\n\r\n`, 'white space follows "X" before the colon of its field'],
    [`${LINE}Host : h\r\n\r\n`, 'white space follows "Host" before the colon of its field'],
    [`${LINE}Host: h\r\nX(Y: 1\r\n\r\n`, 'byte 0x28 follows "X" in a field name'],
    [`${LINE}(Y: 1\r\n\r\n`, 'a field name begins with byte 0x28'],
    [`${LINE}: 1\r\n\r\n`, 'a field has no name'],
    [`${LINE}Host: h\r\n folded\r\n\r\n`, 'field "Host" is folded'],
    [`${LINE} Host: h\r\n\r\n`, 'the first field line begins with white space'],
    [`${LINE}Host: h\r\nX: a\x01b\r\n\r\n`, 'byte 0x01 in the value of field "X"'],
    [`${LINE}Host: h\nX: 1\r\n\r\n`, 'field "Host" ends with a bare LF'],
    [`${LINE}Host: h\rX: 1\r\n\r\n`, 'field "Host" holds a CR without LF'],
    [`${LINE}Host: h\r\n\n`, 'a bare LF is at the end of the fields'],
    [`${LINE}Host: h\r\n\rX`, 'a CR without LF is at the end of the fields'],
    [`${LINE}Host: h\r\nno colon\r\n\r\n`, 'the line after field "Host" has no colon'],
    [`${LINE}no colon\r\n\r\n`, 'the first field line has no colon'],
    [
      `${LINE}Host: h\r\n${'A: b\r\n'.repeat(200)}\r\n`,
      'there are more fields than limits.requestFields (100)',
    ],
    [
      `${LINE}Host: h\r\nA: ${'b'.repeat(40_000)}\r\n\r\n`,
      'the fields take more bytes than limits.requestHead (32768 bytes)',
    ],
    [`${LINE}Host: h\r\nConnection: ${'a,'.repeat(40)}b\r\n\r\n`, 'Connection names more than 32 fields'],
  ])('%j: %s', (text, reason) => {
    expect(reasonOfRequest(text)).toBe(reason);
  });
});

describe('a refused response says which rule it broke', () => {
  test.each([
    ['hello\r\n\r\n', 'the response does not begin with "HTTP/"'],
    ['HTTP/2.0 200 OK\r\n\r\n', 'the response has a version other than HTTP/1.x'],
    ['HTTP/1.1 2x0 OK\r\n\r\n', 'the status line has no status code from 100 to 999'],
    ['HTTP/1.1 20\r\n\r\n\r\n', 'the status line has no status code from 100 to 999'],
    ['HTTP/1.1 200 O\x01K\r\n\r\n', 'byte 0x01 in the reason phrase'],
    ['HTTP/1.1 200 OK\nContent-Length: 2\n\nhi', 'the status line ends with a bare LF'],
    ['HTTP/1.1 200 OK\rX: 1\r\n\r\n', 'the status line holds a CR without LF'],
    [`${OK}My Header: 1\r\n\r\nhi`, 'white space follows "My" before the colon of its field'],
    [`${OK}X: a\r\n b\x01\r\n\r\nhi`, 'byte 0x01 in the value of field "X"'],
    [`${OK}X: a\r\n b\n\r\nhi`, 'field "X" ends with a bare LF'],
    ['HTTP/1.1 200 OK\r\n X: a\r\n\r\nhi', 'the first field line begins with white space'],
    [`${OK}Content-Length: 2\r\n\r\nhi`, 'Content-Length appears more than once'],
    [`${OK}X: a\x01b\r\n\r\nhi`, 'byte 0x01 in the value of field "X"'],
    [`${OK}Transfer-Encoding: identity\r\n\r\nhi`, 'Content-Length and Transfer-Encoding appear together'],
    [
      `${OK}${'A: b\r\n'.repeat(200)}\r\n`,
      "there are more fields than the upstream's limits.responseFields (100)",
    ],
  ])('%j: %s', (text, reason) => {
    expect(reasonOfResponse(text)).toBe(reason);
  });
});

describe('a refused chunked body says which rule it broke', () => {
  test.each([
    ['zz\r\n', 'a chunk does not begin with its size in hexadecimal digits'],
    ['10000000000000\r\n', 'a chunk size has more than 13 digits'],
    [`1;${'a'.repeat(2000)}`, 'a chunk-size line is longer than 1024 bytes'],
    ['1\nx', 'byte 0x0a after a chunk size'],
    ['1\r\nxy', 'the data of a chunk is not followed by CRLF'],
    ['0\r\nHost: h\r\n\r\n', 'trailer "Host" is not allowed'],
    ['0\r\nX Y: 1\r\n\r\n', 'white space follows "X" before the colon of its field'],
  ])('%j: %s', (text, reason) => {
    expect(reasonOfChunks(text)).toBe(reason);
  });

  // The reason for the trailer would be read at its old place in the memory, where another client's bytes are by now.
  it('and not that of the body before it on the same connection', () => {
    const decoder = new ChunkedDecoder(false);
    reasonOfChunks('0\r\nHost: h\r\n\r\n', decoder);
    expect(reasonOfChunks('-5\r\n', decoder)).toBe(
      'a chunk does not begin with its size in hexadecimal digits',
    );
  });
});

describe('a reason', () => {
  it('shows at most 64 bytes of a name', () => {
    const long = 'N'.repeat(300);
    // The name's colon is not even searched for that far.
    expect(reasonOfRequest(`${LINE}${long}\x01: 1\r\n\r\n`)).toBe('byte 0x01 in a field name');
    expect(reasonOfRequest(`${LINE}${'N'.repeat(70)}: a\x01\r\n\r\n`)).toBe(
      `byte 0x01 in the value of field "${'N'.repeat(64)}..."`,
    );
  });

  it('shows nothing of a value that a raw line break has put at the start of a line', () => {
    for (const secret of ['s3cret', 's3cret=', 'Bearer s3cret', '\x00s3cret']) {
      expect(reasonOfRequest(`${LINE}Host: h\r\nAuthorization: x\r\n${secret}\r\n\r\n`)).not.toContain(
        's3cret',
      );
      expect(reasonOfRequest(`${LINE}Host: h\r\nAuthorization: ${secret}\x01\r\n\r\n`)).not.toContain(
        's3cret',
      );
      expect(reasonOfResponse(`${OK}Set-Cookie: a\r\n ${secret}\r\n\r\n`)).not.toContain('s3cret');
    }
  });

  it('shows nothing of what lies in memory after the message', () => {
    // Refused at its last byte: whatever follows is another client's.
    for (const text of [`${LINE}X(`, `${LINE}X `, `${LINE}X: \x01`, `${LINE}\r`, `${LINE}X: 1\r`]) {
      expect(reasonOfRequest(text)).not.toMatch(/FOREIGN|secret/);
    }
  });

  it('holds printable ASCII alone, whatever the bytes are', () => {
    for (let byte = 0; byte < 256; byte++) {
      const odd = String.fromCharCode(byte);
      for (const text of [`${odd}`, `G${odd}`, `${LINE}${odd}: 1\r\n\r\n`, `${LINE}A${odd}B: ${odd}\r\n\r\n`])
        expect(reasonOfRequest(text)).toMatch(/^[ -~]{0,200}$/);
    }
  });
});

// Sends the same raw bytes to request-splitter, nginx and HAProxy, each with the same kind of upstream, and
// writes what each of them did to docs/conformance.md. `node scripts/conformance.ts` needs nginx and haproxy in
// PATH; the test of that page runs only our column.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Ambassador } from '../src/ambassador.ts';
import { parseConfig } from '../src/config/parse.ts';

/** How long nothing may happen before a proxy counts as waiting for more. */
const SILENCE_MS = 700;

interface RequestCase {
  readonly rule: string;
  readonly rfc: string;
  /** Bytes of the client. An honest "GET /marker" follows them in the same write. */
  readonly send: string;
  /** What to tell of a request that passed. */
  readonly look?: (request: SeenRequest) => string;
  /** Why we differ from both. */
  readonly why?: string;
}

interface ResponseCase {
  readonly rule: string;
  readonly rfc: string;
  /** Bytes of the upstream. */
  readonly answer: string;
  /** The upstream ends the connection behind them. */
  readonly ends?: boolean;
  readonly method?: string;
  readonly why?: string;
}

interface SeenRequest {
  readonly line: string;
  readonly head: string;
  readonly body: string;
}

const HOST = 'Host: h\r\n';
const FORGED = 'GET /forged HTTP/1.1\r\nHost: h\r\n\r\n';
const get = (target: string, fields = '') => `GET ${target} HTTP/1.1\r\n${HOST}${fields}\r\n`;
const post = (fields: string, body: string) => `POST /a HTTP/1.1\r\n${HOST}${fields}\r\n${body}`;
const lineOf = (request: SeenRequest) => `as \`${request.line}\``;
const has = (name: string) => (request: SeenRequest) =>
  new RegExp(`^${name}:`, 'im').test(request.head) ? `with ${name}` : `without ${name}`;
const fieldOf = (name: string) => (request: SeenRequest) => {
  const value = new RegExp(`^${name}: *(.*)$`, 'im').exec(request.head)?.[1]?.trim();
  return value === undefined ? `without ${name}` : `with \`${name}: ${value}\``;
};
const bodyOf = (request: SeenRequest) => `with the body ${JSON.stringify(request.body)}`;

const STRICT =
  'The grammar does not allow this; a proxy that repairs it guesses how the next parser reads it.';

export const REQUEST_CASES: readonly RequestCase[] = [
  // The request line
  {
    rule: 'two spaces in the request line',
    rfc: '9112 §3',
    send: `GET  /a HTTP/1.1\r\n${HOST}\r\n`,
    look: lineOf,
  },
  {
    rule: 'a tab in the request line',
    rfc: '9112 §3',
    send: `GET\t/a HTTP/1.1\r\n${HOST}\r\n`,
    look: lineOf,
  },
  {
    rule: 'a bare LF after the request line',
    rfc: '9112 §2.2',
    send: `GET /a HTTP/1.1\n${HOST}\r\n`,
    look: lineOf,
    why: 'A recipient MAY accept a bare LF as a line end; two parsers that choose differently see different fields.',
  },
  {
    rule: 'a bare CR in the request line',
    rfc: '9112 §2.2',
    send: `GET /a\r HTTP/1.1\r\n${HOST}\r\n`,
    look: lineOf,
  },
  { rule: 'one empty line before it', rfc: '9112 §2.2', send: `\r\n${get('/a')}`, look: lineOf },
  {
    rule: 'the version in lower case',
    rfc: '9112 §2.3',
    send: `GET /a http/1.1\r\n${HOST}\r\n`,
    look: lineOf,
  },
  {
    rule: 'HTTP/1.2',
    rfc: '9110 §2.5',
    send: `GET /a HTTP/1.2\r\n${HOST}\r\n`,
    look: lineOf,
    why: 'This version does not exist; 505 says so.',
  },
  { rule: 'HTTP/2.0 as text', rfc: '9110 §15.6.6', send: `GET /a HTTP/2.0\r\n${HOST}\r\n`, look: lineOf },
  {
    rule: 'the HTTP/2 preface',
    rfc: '9113 §3.4',
    send: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    look: lineOf,
    why: '505 says which versions are served.',
  },
  { rule: 'HTTP/0.9', rfc: '9112 §3', send: 'GET /a\r\n', look: lineOf },
  {
    rule: 'an unknown method',
    rfc: '9110 §9.1',
    send: `x-own /a HTTP/1.1\r\n${HOST}\r\n`,
    look: lineOf,
  },
  {
    rule: 'a method that is not a token',
    rfc: '9110 §9.1',
    send: `G{}T /a HTTP/1.1\r\n${HOST}\r\n`,
    look: lineOf,
  },
  {
    rule: 'CONNECT',
    rfc: '9110 §9.3.6',
    send: `CONNECT h:80 HTTP/1.1\r\n${HOST}\r\n`,
    look: lineOf,
    why: '405 with Allow says that this is not a forward proxy; it never opens a tunnel to an arbitrary host.',
  },
  { rule: 'a request line over 8 KiB', rfc: '9112 §3', send: get(`/${'a'.repeat(9000)}`), look: () => '' },
  // The target
  {
    rule: 'absolute-form: its authority replaces Host',
    rfc: '9112 §3.2.2',
    send: get('http://other:81/p?q'),
    look: (r) => `${lineOf(r)} ${fieldOf('Host')(r)}`,
    why: 'RFC 9112 §3.2.2 requires the authority unchanged, port included.',
  },
  { rule: 'absolute-form without a path', rfc: '9112 §3.2.2', send: get('http://other?q'), look: lineOf },
  {
    rule: 'absolute-form with user information',
    rfc: '9110 §4.2.4',
    send: get('http://user@other/'),
    look: (r) => `${lineOf(r)} ${fieldOf('Host')(r)}`,
    why: 'User information in a target is an attempt to look like another host.',
  },
  { rule: 'OPTIONS *', rfc: '9112 §3.2.4', send: `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, look: lineOf },
  { rule: '* with GET', rfc: '9112 §3.2.4', send: get('*'), look: lineOf },
  { rule: 'a fragment in the target', rfc: '9112 §3.2', send: get('/a#b'), look: lineOf },
  { rule: 'a NUL in the target', rfc: '9112 §3.2', send: get('/a\0b'), look: () => 'with the NUL' },
  { rule: 'a DEL in the target', rfc: '9112 §3.2', send: get('/a\x7fb'), look: () => 'with the DEL' },
  {
    rule: 'raw bytes above 0x7f in the target',
    rfc: '3986 §2',
    send: get('/a\xe9'),
    look: () => 'with them',
  },
  { rule: '"/../" in the path', rfc: '3986 §6.2.2', send: get('/a/../b'), look: lineOf },
  // Fields
  { rule: 'a space before a colon', rfc: '9112 §5.1', send: get('/a', 'X : y\r\n'), look: has('X') },
  { rule: 'a folded field', rfc: '9112 §5.2', send: get('/a', 'X: y\r\n z\r\n'), look: fieldOf('X') },
  {
    rule: 'a bare LF after a field',
    rfc: '9112 §2.2',
    send: get('/a', 'X: y\nZ: z\r\n'),
    look: has('Z'),
    why: 'A recipient MAY accept a bare LF as a line end; two parsers that choose differently see different fields.',
  },
  { rule: 'a bare CR in a value', rfc: '9110 §5.5', send: get('/a', 'X: y\rz\r\n'), look: has('X') },
  { rule: 'a NUL in a value', rfc: '9110 §5.5', send: get('/a', 'X: y\0z\r\n'), look: has('X') },
  {
    rule: 'another control byte in a value',
    rfc: '9110 §5.5',
    send: get('/a', 'X: y\x01z\r\n'),
    look: has('X'),
    why: 'RFC 9110 calls such a value invalid; the upstream’s parser may refuse it or, worse, accept it.',
  },
  { rule: 'a byte above 0x7f in a value', rfc: '9110 §5.5', send: get('/a', 'X: y\xe9\r\n'), look: has('X') },
  {
    rule: 'a name that is not a token',
    rfc: '9110 §5.1',
    send: get('/a', 'X(y): z\r\n'),
    look: (r) => (r.head.includes('X(y)') ? 'with it' : 'without it'),
  },
  { rule: 'an underscore in a name', rfc: '9110 §5.1', send: get('/a', 'X_y: z\r\n'), look: has('X_y') },
  { rule: 'a line without a colon', rfc: '9112 §5', send: get('/a', 'X\r\n'), look: () => '' },
  { rule: 'an empty name', rfc: '9110 §5.1', send: get('/a', ': z\r\n'), look: () => '' },
  {
    rule: 'over 32 KiB of fields',
    rfc: '9110 §5.4',
    send: get('/a', `X: ${'y'.repeat(33_000)}\r\n`),
    look: () => '',
    why: 'RFC 6585 defines 431 for it.',
  },
  {
    rule: 'over 100 fields',
    rfc: '9110 §5.4',
    send: get('/a', 'X: y\r\n'.repeat(101)),
    look: () => '',
    why: 'RFC 6585 defines 431 for it; HAProxy answers 400.',
  },
  // Host
  { rule: 'no Host in HTTP/1.1', rfc: '9112 §3.2', send: 'GET /a HTTP/1.1\r\n\r\n', look: fieldOf('Host') },
  { rule: 'two Host fields', rfc: '9112 §3.2', send: get('/a', 'Host: evil\r\n'), look: fieldOf('Host') },
  {
    rule: 'a Host that is not an authority',
    rfc: '9112 §3.2',
    send: 'GET /a HTTP/1.1\r\nHost: h/evil\r\n\r\n',
    look: fieldOf('Host'),
  },
  {
    rule: 'a Host with user information',
    rfc: '9110 §7.2',
    send: 'GET /a HTTP/1.1\r\nHost: u@h\r\n\r\n',
    look: fieldOf('Host'),
    why: 'It is not a valid Host (RFC 9110 §7.2): parsers could take either part for the host.',
  },
  // Framing
  {
    rule: 'Content-Length and chunked together',
    rfc: '9112 §6.1',
    send: post('Content-Length: 5\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${FORGED}`),
    look: bodyOf,
  },
  {
    rule: 'two different lengths',
    rfc: '9112 §6.3',
    send: post(`Content-Length: 0\r\nContent-Length: ${FORGED.length}\r\n`, FORGED),
    look: bodyOf,
  },
  {
    rule: 'the same length twice',
    rfc: '9112 §6.3',
    send: post('Content-Length: 2\r\nContent-Length: 2\r\n', 'ab'),
    look: bodyOf,
  },
  {
    rule: 'a list of equal lengths in one field',
    rfc: '9112 §6.3',
    send: post('Content-Length: 2, 2\r\n', 'ab'),
    look: bodyOf,
  },
  { rule: 'Content-Length: +2', rfc: '9110 §8.6', send: post('Content-Length: +2\r\n', 'ab'), look: bodyOf },
  {
    rule: 'a Content-Length between tabs',
    rfc: '9110 §5.6.3',
    send: post('Content-Length:\t2\t\r\n', 'ab'),
    look: bodyOf,
    why: 'A tab is optional white space like a space.',
  },
  { rule: 'an empty Content-Length', rfc: '9110 §8.6', send: post('Content-Length:\r\n', ''), look: bodyOf },
  {
    rule: 'Content-Length 2^64 + 2',
    rfc: '9110 §8.6',
    send: post('Content-Length: 18446744073709551618\r\n', 'ab'),
    look: bodyOf,
  },
  {
    rule: 'Transfer-Encoding: gzip, chunked',
    rfc: '9112 §6.1',
    send: post('Transfer-Encoding: gzip, chunked\r\n', '2\r\nab\r\n0\r\n\r\n'),
    look: bodyOf,
  },
  {
    rule: 'Transfer-Encoding: chunked with an empty list element',
    rfc: '9110 §5.6.1',
    send: post('Transfer-Encoding: chunked,\r\n', '2\r\nab\r\n0\r\n\r\n'),
    look: bodyOf,
    why: 'A recipient MUST ignore empty list elements. The field goes on as `chunked` alone.',
  },
  {
    rule: 'Transfer-Encoding: identity',
    rfc: '9112 §7',
    send: post('Transfer-Encoding: identity\r\n', ''),
    look: bodyOf,
  },
  {
    rule: 'Transfer-Encoding: chunked twice',
    rfc: '9112 §6.1',
    send: post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '2\r\nab\r\n0\r\n\r\n'),
    look: bodyOf,
    why: '501, because a second coding is unknown to us; the other two refuse as well.',
  },
  {
    rule: 'Transfer-Encoding: xchunked',
    rfc: '9112 §6.1',
    send: post('Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${FORGED}`),
    look: bodyOf,
  },
  {
    rule: 'Transfer-Encoding in HTTP/1.0',
    rfc: '9112 §6.1',
    send: `POST /a HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
    look: bodyOf,
  },
  {
    rule: 'a body on GET',
    rfc: '9110 §9.3.1',
    send: get('/a', 'Content-Length: 2\r\n') + 'ab',
    look: bodyOf,
  },
  // Chunks
  {
    rule: 'a chunk extension',
    rfc: '9112 §7.1.1',
    send: post('Transfer-Encoding: chunked\r\n', '2;a=b\r\nab\r\n0\r\n\r\n'),
    look: bodyOf,
  },
  {
    rule: 'a bare LF after the chunk size',
    rfc: '9112 §7.1',
    send: post('Transfer-Encoding: chunked\r\n', '2\nab\r\n0\r\n\r\n'),
    look: bodyOf,
  },
  {
    rule: 'a bare LF in a chunk extension (TERM.EXT)',
    rfc: '9112 §7.1.1',
    send: post('Transfer-Encoding: chunked\r\n', '2;\nxx\r\n0\r\n\r\n'),
    look: bodyOf,
  },
  {
    rule: 'a bare LF after the chunk data',
    rfc: '9112 §7.1',
    send: post('Transfer-Encoding: chunked\r\n', '2\r\nab\n0\r\n\r\n'),
    look: bodyOf,
  },
  {
    rule: 'more chunk data than the size says',
    rfc: '9112 §7.1',
    send: post('Transfer-Encoding: chunked\r\n', '2\r\nabcd\r\n0\r\n\r\n'),
    look: bodyOf,
  },
  {
    rule: 'a chunk size of 0x2',
    rfc: '9112 §7.1',
    send: post('Transfer-Encoding: chunked\r\n', '0x2\r\nab\r\n0\r\n\r\n'),
    look: bodyOf,
  },
  {
    rule: 'white space after the chunk size',
    rfc: '9112 §7.1.1',
    send: post('Transfer-Encoding: chunked\r\n', '2 \r\nab\r\n0\r\n\r\n'),
    look: bodyOf,
  },
  {
    rule: 'white space around a chunk extension',
    rfc: '9112 §7.1.1',
    send: post('Transfer-Encoding: chunked\r\n', '2 ; a = b\r\nab\r\n0\r\n\r\n'),
    look: bodyOf,
  },
  {
    rule: 'a trailer field',
    rfc: '9112 §7.1.2',
    send: post('Transfer-Encoding: chunked\r\n', '2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n'),
    look: (r) => (r.head.includes('X-Sum') ? 'with the trailer' : 'without the trailer'),
    why: 'RFC 9110 §6.5.1 lets a proxy keep or discard trailers; gRPC-Web and checksums need them.',
  },
  {
    rule: 'Content-Length as a trailer',
    rfc: '9110 §6.5.1',
    send: post('Transfer-Encoding: chunked\r\n', '2\r\nab\r\n0\r\nContent-Length: 9\r\n\r\n'),
    look: has('Content-Length'),
    why: 'No honest sender uses it, and parsers that merge trailers into the head would reframe the message.',
  },
  // Forwarding
  {
    rule: 'a field that Connection nominates',
    rfc: '9110 §7.6.1',
    send: get('/a', 'Connection: X-Hop\r\nX-Hop: y\r\n'),
    look: has('X-Hop'),
    why: 'A proxy MUST remove it; it was meant only for this hop.',
  },
  {
    rule: 'Connection: Content-Length',
    rfc: '9110 §7.6.1',
    send: post('Content-Length: 2\r\nConnection: Content-Length\r\n', 'ab'),
    look: bodyOf,
  },
  {
    rule: 'Keep-Alive',
    rfc: '9112 §C.2.2',
    send: get('/a', 'Keep-Alive: timeout=5\r\n'),
    look: has('Keep-Alive'),
  },
  {
    rule: 'Proxy-Connection',
    rfc: '9112 §C.2.2',
    send: get('/a', 'Proxy-Connection: keep-alive\r\n'),
    look: has('Proxy-Connection'),
    why: 'RFC 9112 §C.2.2: it must not be forwarded; it means nothing to an origin.',
  },
  {
    rule: 'TE: gzip',
    rfc: '9110 §10.1.4',
    send: get('/a', 'TE: gzip\r\nConnection: TE\r\n'),
    look: has('TE'),
  },
  {
    rule: 'Upgrade: h2c',
    rfc: '9110 §7.8',
    send: get('/a', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'),
    look: has('Upgrade'),
  },
  {
    rule: 'Max-Forwards: 0 with OPTIONS',
    rfc: '9110 §7.6.2',
    send: `OPTIONS /a HTTP/1.1\r\n${HOST}Max-Forwards: 0\r\n\r\n`,
    look: fieldOf('Max-Forwards'),
    why: 'A proxy MUST NOT forward it; it answers as the final recipient.',
  },
  {
    rule: 'X-Forwarded-For from the client',
    rfc: '7239',
    send: get('/a', 'X-Forwarded-For: 1.1.1.1\r\n'),
    look: fieldOf('X-Forwarded-For'),
    why: 'We append to the list by default; `forwarded:` replaces, keeps or removes it. In the other two, the configuration decides.',
  },
];

export const RESPONSE_CASES: readonly ResponseCase[] = [
  {
    rule: 'a response with a length',
    rfc: '9112 §6.3',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  },
  {
    rule: 'a chunked response',
    rfc: '9112 §7.1',
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  },
  {
    rule: 'a response up to the end of the connection',
    rfc: '9112 §6.3',
    answer: 'HTTP/1.1 200 OK\r\n\r\nhello',
    ends: true,
  },
  {
    rule: 'bytes after the end',
    rfc: '9112 §6.3',
    answer:
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged',
  },
  {
    rule: 'bytes after 304',
    rfc: '9112 §6.3',
    answer: 'HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged',
  },
  {
    rule: 'a body after the head for HEAD',
    rfc: '9110 §9.3.2',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged',
    method: 'HEAD',
  },
  {
    rule: 'two different lengths',
    rfc: '9112 §6.3',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
  },
  {
    rule: 'the same length twice',
    rfc: '9112 §6.3',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello',
    why: 'RFC 9110 §8.6 lets a recipient merge equal lengths; we refuse them, so there is nothing to merge.',
  },
  {
    rule: 'a length and chunks',
    rfc: '9112 §6.3',
    answer:
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    why: 'RFC 9112 calls it a sign of response splitting that should be treated as an error.',
  },
  {
    rule: 'Transfer-Encoding: gzip',
    rfc: '9112 §6.1',
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello',
    ends: true,
  },
  {
    rule: 'a length that is not a number',
    rfc: '9110 §8.6',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello',
  },
  {
    rule: 'a body shorter than its length',
    rfc: '9112 §8',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello',
    ends: true,
  },
  {
    rule: 'chunks without a final one',
    rfc: '9112 §8',
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    ends: true,
  },
  {
    rule: 'a chunk that is longer than its size',
    rfc: '9112 §7.1',
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!!\r\n0\r\n\r\n',
    why: 'The head and the first bytes have already been sent to the client when the fault is found, so we can only cut.',
  },
  {
    rule: 'a space before a colon',
    rfc: '9112 §5.1',
    answer: 'HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 5\r\n\r\nhello',
    why: 'A proxy MUST remove the space from a response before it forwards the message.',
  },
  {
    rule: 'a folded field',
    rfc: '9112 §5.2',
    answer: 'HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 5\r\n\r\nhello',
    why: 'RFC 9112 lets a proxy answer 502 or put spaces in place of the line end; with spaces an old upstream goes on working.',
  },
  {
    rule: 'a bare LF as line end',
    rfc: '9112 §2.2',
    answer: 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello',
    why: 'A recipient MAY accept a bare LF as a line end; two parsers that choose differently see different fields.',
  },
  {
    rule: 'a NUL in a value',
    rfc: '9110 §5.5',
    answer: 'HTTP/1.1 200 OK\r\nX: y\0z\r\nContent-Length: 5\r\n\r\nhello',
  },
  { rule: 'garbage', rfc: '9112 §4', answer: 'hello\r\n\r\n', ends: true },
  {
    rule: 'HTTP/2.0 in the status line',
    rfc: '9112 §4',
    answer: 'HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello',
    why: 'HTTP/2 has no such text form; an upstream that answers so is not an HTTP/1.x server.',
  },
  {
    rule: 'an unrequested 101',
    rfc: '9110 §15.2.2',
    answer: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello',
  },
  {
    rule: 'an interim response',
    rfc: '9110 §15.2',
    answer: 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  },
  {
    rule: 'over 100 fields',
    rfc: '9110 §5.4',
    answer: `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(101)}Content-Length: 5\r\n\r\nhello`,
  },
];

/** The upstream of one proxy: takes every request that has an end, also ones that nobody should have sent. */
class LenientUpstream {
  requests: SeenRequest[] = [];
  /** Answer to what is neither /warm nor /marker nor /next; null answers like those. */
  answer: ResponseCase | null = null;
  /** Connection over which the last /a came, and the last /next. */
  readonly lastPeer = { a: -1, next: -1 };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #peers = 0;

  constructor() {
    this.#server = createServer((socket) => this.#serve(socket, this.#peers++));
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket, peer: number): void {
    let held = '';
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (data: Buffer) => {
      held += data.toString('latin1');
      for (;;) {
        const read = readLeniently(held);
        if (read === null) return;
        held = held.slice(read.length);
        this.#respond(socket, peer, read.request);
      }
    });
  }

  #respond(socket: Socket, peer: number, request: SeenRequest): void {
    const path = request.line.split(' ')[1] ?? '';
    if (path === '/next') this.lastPeer.next = peer;
    if (this.answer !== null && path === '/a') {
      this.lastPeer.a = peer;
      socket.write(Buffer.from(this.answer.answer, 'latin1'));
      if (this.answer.ends === true) socket.end();
      return;
    }
    if (!['/warm', '/marker', '/next'].includes(path)) this.requests.push(request);
    const body = `saw ${path}`;
    const isHead = request.line.startsWith('HEAD');
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${isHead ? '' : body}`, 'latin1');
  }
}

function readLeniently(text: string): { request: SeenRequest; length: number } | null {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const head = text.slice(0, headEnd);
  const line = head.split('\r\n')[0]!;
  const start = headEnd + 4;
  if (/^transfer-encoding: *chunked/im.test(head)) {
    let body = '';
    let position = start;
    for (;;) {
      const lineEnd = text.indexOf('\r\n', position);
      if (lineEnd === -1) return null;
      const size = Number.parseInt(text.slice(position, lineEnd), 16) || 0;
      if (size === 0) {
        const end = text.indexOf('\r\n\r\n', lineEnd);
        if (end === -1) return null;
        const trailers = text.slice(lineEnd, end);
        return { request: { line, head: head + trailers, body }, length: end + 4 };
      }
      if (text.length < lineEnd + 4 + size) return null;
      body += text.slice(lineEnd + 2, lineEnd + 2 + size);
      position = lineEnd + 4 + size;
    }
  }
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  if (text.length < start + length) return null;
  return { request: { line, head, body: text.slice(start, start + length) }, length: start + length };
}

/** A proxy under comparison, with the upstream behind it. */
export interface Subject {
  readonly name: string;
  readonly port: number;
  readonly upstream: LenientUpstream;
  stop(): Promise<void>;
}

export async function startOurs(): Promise<Subject> {
  const upstream = new LenientUpstream();
  const url = `http://127.0.0.1:${await upstream.listen()}`;
  const document = {
    listen: '127.0.0.1:0',
    admin: 'off',
    upstreams: { u: { url } },
    routes: [{ upstream: 'u' }],
  };
  const outcome = parseConfig(JSON.stringify(document), 'conformance.yaml');
  if (outcome.config === undefined) throw new Error(JSON.stringify(outcome.problems));
  const ambassador = new Ambassador(outcome.config, { log: pino({ level: 'silent' }) });
  await ambassador.start();
  const port = Number(/:(\d+)$/.exec(ambassador.listening[0]!)![1]);
  return {
    name: 'request-splitter',
    port,
    upstream,
    stop: async () => {
      await ambassador.stop();
      upstream.close();
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function startProgram(
  name: string,
  write: (directory: string, port: number, upstreamPort: number) => [command: string, ...args: string[]],
): Promise<Subject> {
  const upstream = new LenientUpstream();
  const upstreamPort = await upstream.listen();
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'conformance-'));
  const [command, ...args] = write(directory, port, upstreamPort);
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`${name} ended with exit code ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    name,
    port,
    upstream,
    stop: async () => {
      child.kill('SIGTERM');
      await gone;
      upstream.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const answers = async (port: number) =>
  (await exchange(port, get('/warm'), (text) => text.includes('saw /warm'))).text !== '';

function startNginx(): Promise<Subject> {
  const version = execFileSync('nginx', ['-v', '-e', 'stderr'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const name = `nginx ${/nginx\/([\d.]+)/.exec(String(version))?.[1] ?? versionOf('nginx', '-v')}`;
  return startProgram(name, (directory, port, upstreamPort) => {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((kind) => `${kind}_temp_path ${directory}/${kind};`)
      .join(' ');
    writeFileSync(
      join(directory, 'nginx.conf'),
      `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off; worker_processes 1; pid ${directory}/pid; error_log ${directory}/error.log;
events { worker_connections 256; }
http {
  access_log off; ${temporary}
  upstream u { server 127.0.0.1:${upstreamPort}; keepalive 8; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
  }
}
`,
    );
    return ['nginx', '-c', join(directory, 'nginx.conf'), '-e', join(directory, 'error.log')];
  });
}

function startHaproxy(): Promise<Subject> {
  return startProgram(`HAProxy ${versionOf('haproxy', '-v')}`, (directory, port, upstreamPort) => {
    const file = join(directory, 'haproxy.cfg');
    writeFileSync(
      file,
      `global
  maxconn 256
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  http-reuse always
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  server u 127.0.0.1:${upstreamPort}
`,
    );
    return ['haproxy', '-f', file, '-db', '-q'];
  });
}

/** Version that a program tells on either of its outputs. */
function versionOf(command: string, flag: string): string {
  const output = execFileSync('sh', ['-c', `${command} ${flag} 2>&1`]);
  return /(\d+\.\d+\.\d+)/.exec(String(output))?.[1] ?? 'of unknown version';
}

/** Sends bytes and collects until `isDone`, the end of the connection, or silence. */
function exchange(
  port: number,
  bytes: string,
  isDone: (text: string) => boolean,
): Promise<{ text: string; ended: boolean }> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const finish = (ended: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, ended });
    };
    let timer = setTimeout(() => finish(false), SILENCE_MS);
    socket.on('connect', () => socket.write(Buffer.from(bytes, 'latin1')));
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1');
      clearTimeout(timer);
      if (isDone(text)) return finish(false);
      timer = setTimeout(() => finish(false), SILENCE_MS);
    });
    socket.on('end', () => finish(true));
    socket.on('error', () => finish(true));
  });
}

const statusesIn = (text: string) => [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map((match) => match[1]!);

/** What a proxy does with the bytes of a client, in a few words. */
export async function runRequestCase(subject: Subject, one: RequestCase): Promise<string> {
  const { upstream, port } = subject;
  await exchange(port, get('/warm'), (text) => text.includes('saw /warm'));
  upstream.requests = [];
  upstream.answer = null;
  const { text, ended } = await exchange(port, one.send + get('/marker'), (seen) =>
    seen.includes('saw /marker'),
  );
  const passed = upstream.requests;
  const forged = passed.some(({ line }) => line.includes('/forged'));
  if (forged) return '**the forged request passes**';
  const statuses = statusesIn(text);
  const status = statuses[0] ?? (ended ? 'closes without a response' : 'waits for more');
  const first = passed[0];
  if (first === undefined || status !== '200') {
    if (statuses.length === 0) return status;
    return ended ? `${status}, closes` : `${status}, goes on`;
  }
  return `passes ${one.look?.(first) ?? ''}`.trim();
}

/** What a proxy makes of the bytes of an upstream, in a few words. */
export async function runResponseCase(subject: Subject, one: ResponseCase): Promise<string> {
  const { upstream, port } = subject;
  upstream.answer = null;
  await exchange(port, get('/warm'), (text) => text.includes('saw /warm'));
  upstream.answer = one;
  const method = one.method ?? 'GET';
  const send = `${method} /a HTTP/1.1\r\n${HOST}\r\n`;
  const { text, ended } = await exchange(port, send, (seen) => isWhole(seen, method, false));
  upstream.lastPeer.next = -1;
  const next = await exchange(
    port,
    get('/next'),
    (seen) => seen.includes('saw /next') || seen.includes('forged'),
  );
  if (next.text.includes('forged')) return '**the next client gets the bytes**';
  const statuses = statusesIn(text.split('\r\n\r\nhello')[0]!);
  if (statuses.length === 0 && text !== '') return 'passes the bytes on as a body without a head';
  if (statuses.length === 0) return ended ? 'closes without a response' : 'waits for more';
  const whole = isWhole(text, method, ended) ? '' : ended ? ', then a cut' : ', then silence';
  const isReused = upstream.lastPeer.next === upstream.lastPeer.a;
  return `${statuses.join(' ')}${whole}${isReused ? ', connection used again' : ''}`;
}

/** True when `text` holds a whole final response. */
function isWhole(text: string, method: string, ended: boolean): boolean {
  let rest = text;
  for (;;) {
    const headEnd = rest.indexOf('\r\n\r\n');
    if (headEnd === -1) return false;
    const head = rest.slice(0, headEnd);
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
    rest = rest.slice(headEnd + 4);
    if (status >= 100 && status < 200 && status !== 101) continue;
    if (method === 'HEAD' || status === 101 || status === 204 || status === 304) return true;
    const length = /^content-length: *(\d+)/im.exec(head)?.[1];
    if (/^transfer-encoding: *chunked/im.test(head)) return /(?:^|\r\n)0\r\n(?:.*\r\n)*?\r\n$/.test(rest);
    return length === undefined ? ended : rest.length >= Number(length);
  }
}

const PAGE_START = `# What three proxies do with the same bytes

Made by \`npx node scripts/conformance.ts\`: it sends the same raw bytes to request-splitter, to nginx (\`proxy_pass\` with HTTP/1.1 and
upstream keep-alive) and to HAProxy (\`mode http\`, \`http-reuse always\`), each with the same kind of upstream. Only the rules and the
reasons are written by hand. "closes" means that the connection is closed after the response, "goes on" that the next request on it is
served.
`;

const inCell = (text: string) => text.replace(/\|/g, '\\|');

/** One line of a table. */
export const rowOf = (one: RequestCase | ResponseCase, cells: readonly string[]): string =>
  `| ${[one.rule, one.rfc.replace(/^(\d+)/, 'RFC $1'), ...cells].map(inCell).join(' | ')} |`;

async function tableOf<C extends RequestCase | ResponseCase>(
  subjects: readonly Subject[],
  cases: readonly C[],
  run: (subject: Subject, one: C) => Promise<string>,
): Promise<string> {
  const names = subjects.map(({ name }) => name);
  const lines = [
    `| what is sent | RFC | ${names.join(' | ')} |`,
    `| --- | --- | ${names.map(() => '---').join(' | ')} |`,
  ];
  const reasons: string[] = [];
  for (const one of cases) {
    const cells: string[] = [];
    for (const subject of subjects) cells.push(await run(subject, one));
    lines.push(rowOf(one, cells));
    const [ours, ...others] = cells;
    if (others.includes(ours!)) continue;
    reasons.push(`- *${one.rule}*: ${one.why ?? reasonFor(one, cells)}`);
  }
  return `${lines.join('\n')}\n\nWhere we differ from both:\n\n${reasons.join('\n')}\n`;
}

function reasonFor(one: RequestCase | ResponseCase, cells: readonly string[]): string {
  if (/^[45]\d\d/.test(cells[0]!)) return STRICT;
  // A page without the reason is worse than none, but all that lack one are told at once.
  console.error(`${one.rule}: we differ from both and no reason is given: ${cells.join(' | ')}`);
  process.exitCode = 1;
  return '';
}

async function main(): Promise<void> {
  const subjects = [await startOurs(), await startNginx(), await startHaproxy()];
  try {
    const requests = await tableOf(subjects, REQUEST_CASES, runRequestCase);
    const responses = await tableOf(subjects, RESPONSE_CASES, runResponseCase);
    const page = `${PAGE_START}\n## Requests\n\n${requests}\n## Responses\n\n${responses}`;
    writeFileSync(join(import.meta.dirname, '../docs/conformance.md'), page);
  } finally {
    for (const subject of subjects) await subject.stop();
  }
}

if (import.meta.main) await main();

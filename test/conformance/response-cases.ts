// Responses that are odd, ambiguous or longer than they say.
import type { ResponseCase } from './case.ts';

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

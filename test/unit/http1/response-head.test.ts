// The reader of response heads: what it accepts, what it repairs, and what it refuses.
import { describe, expect, it } from 'vitest';
import { REFUSED } from '../../../src/http1/fields.ts';
import { ResponseHead } from '../../../src/http1/response-head.ts';
import { endsWithItsEmptyLine, readResponse, type responseFacts } from '../../support/head-feeding.ts';

describe('a response head is read into positions', () => {
  const cases: [string, string, Partial<ReturnType<typeof responseFacts>>][] = [
    [
      'a plain 200',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n',
      { status: 200, statusAndReason: '200 OK', minorVersion: 1, fields: [['Content-Length', '2']] },
    ],
    ['an empty reason phrase', 'HTTP/1.1 200 \r\n\r\n', { status: 200, statusAndReason: '200 ' }],
    ['no space behind the status', 'HTTP/1.1 200\r\n\r\n', { status: 200, statusAndReason: '200' }],
    [
      'a long reason phrase with bytes above 0x7f and tabs',
      'HTTP/1.1 404 Nicht \xfcberall\tda\r\n\r\n',
      { status: 404, statusAndReason: '404 Nicht \xfcberall\tda' },
    ],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\n', { minorVersion: 0 }],
    ['an interim response', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', { status: 103 }],
    ['an unknown status', 'HTTP/1.1 999 What\r\n\r\n', { status: 999 }],
    ['a minor version that is not known, as 1.1', 'HTTP/1.7 200 OK\r\n\r\n', { minorVersion: 1 }],
    [
      'white space in front of a colon, which a proxy removes',
      'HTTP/1.1 200 OK\r\nA : b\r\nC\t \t:\td\r\n\r\n',
      {
        fields: [
          ['A', 'b'],
          ['C', 'd'],
        ],
      },
    ],
    [
      'folded lines, a space for each byte of the fold',
      'HTTP/1.1 200 OK\r\nA: b\r\n c \r\n\t d\r\nE:\r\n  f\r\nG:\r\n \r\nH: i\r\n \r\n\r\n',
      {
        fields: [
          ['A', 'b   c     d'],
          ['E', 'f'],
          ['G', ''],
          ['H', 'i'],
        ],
      },
    ],
  ];
  it.each(cases)('%s', (_, bytes, expected) => {
    const outcome = readResponse(bytes);
    expect(outcome.fault).toBeNull();
    expect(outcome.end).toBe(bytes.length);
    expect(outcome.facts).toMatchObject(expected);
    endsWithItsEmptyLine(new ResponseHead(), bytes);
  });
});

describe('a response head is refused', () => {
  const cases: Record<string, string> = {
    garbage: 'hello\r\n\r\n',
    'an empty line in front': '\r\nHTTP/1.1 200 OK\r\n\r\n',
    'a space in front': ' HTTP/1.1 200 OK\r\n\r\n',
    'another protocol': 'SSH-2.0-OpenSSH_9.9\r\n\r\n\r\n',
    'the version in lower case': 'http/1.1 200 OK\r\n\r\n',
    'HTTP/2.0': 'HTTP/2.0 200 OK\r\n\r\n',
    'two spaces in front of the status': 'HTTP/1.1  200 OK\r\n\r\n',
    'a status of two digits': 'HTTP/1.1 20 OK\r\n\r\n',
    'a status of four digits': 'HTTP/1.1 2000 OK\r\n\r\n',
    'a status below 100': 'HTTP/1.1 099 Low\r\n\r\n',
    'a status that is no number': 'HTTP/1.1 2x0 OK\r\n\r\n',
    'a tab behind the status': 'HTTP/1.1 200\tOK\r\n\r\n',
    'a NUL in the reason phrase': 'HTTP/1.1 200 O\0K\r\n\r\n',
    'a bare CR in the reason phrase': 'HTTP/1.1 200 O\rK\r\n\r\n',
    'a bare LF as line end': 'HTTP/1.1 200 OK\nA: b\r\n\r\n',
    'a fold in front of the first field': 'HTTP/1.1 200 OK\r\n A: b\r\n\r\n',
    'white space alone in front of the first field': 'HTTP/1.1 200 OK\r\n \r\nA: b\r\n\r\n',
    'a colon without a name': 'HTTP/1.1 200 OK\r\n: b\r\n\r\n',
    'white space and a letter in front of a colon': 'HTTP/1.1 200 OK\r\nA b: c\r\n\r\n',
    'a NUL in a fold': 'HTTP/1.1 200 OK\r\nA: b\r\n \0\r\n\r\n',
    'a bare LF behind a fold': 'HTTP/1.1 200 OK\r\nA: b\r\n c\n\r\n',
    'a NUL in a value': 'HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n',
    'a bare LF behind a field': 'HTTP/1.1 200 OK\r\nA: b\nB: c\r\n\r\n',
    'a bare LF as empty line': 'HTTP/1.1 200 OK\r\nA: b\r\n\n',
    'a name that is no token': 'HTTP/1.1 200 OK\r\nA b: c\r\n\r\n',
    'a line without a colon': 'HTTP/1.1 200 OK\r\nAb\r\n\r\n',
  };
  it.each(Object.entries(cases))('with UPSTREAM_BAD_RESPONSE: %s', (_, bytes) => {
    expect(readResponse(bytes)).toEqual({ end: REFUSED, fault: 'UPSTREAM_BAD_RESPONSE', facts: null });
  });

  it.each(
    Object.entries({
      'over 32 KiB of fields': `HTTP/1.1 200 OK\r\n${`A: ${'b'.repeat(995)}\r\n`.repeat(33)}\r\n`,
      'a field that never ends': `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(33_000)}`,
      'over 100 fields': `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(101)}\r\n`,
      'a reason phrase over 8 KiB': `HTTP/1.1 200 ${'b'.repeat(9000)}\r\n\r\n`,
      'a reason phrase that never ends': `HTTP/1.1 200 ${'b'.repeat(9000)}`,
    }),
  )('with UPSTREAM_HEAD_TOO_LARGE: %s', (_, bytes) => {
    expect(readResponse(bytes)).toEqual({ end: REFUSED, fault: 'UPSTREAM_HEAD_TOO_LARGE', facts: null });
  });
});

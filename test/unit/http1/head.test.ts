// The reader of message heads: what it accepts, where it says things are, and with which code it refuses. Every case
// runs whole, byte by byte, at every cut in two, moved to other memory between the pieces, and with bytes behind it.
import { describe, expect, it } from 'vitest';
import type { FaultCode } from '../../../src/errors.ts';
import {
  HEAD_LIMITS,
  INCOMPLETE,
  REFUSED,
  RequestHead,
  ResponseHead,
  TARGET_FORM,
  TrailerSection,
} from '../../../src/http1/head.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** What stands behind the received bytes in memory: a reader that looks there finds poison. */
const BEYOND = 0x0a;

/** All ways to feed `text`: as increasing numbers of bytes that have come so far. */
function feedings(byteCount: number): number[][] {
  // Long cases are cut around both ends and in some places between: their middles are all alike.
  const isMiddle = (at: number) => byteCount > 2000 && at > 200 && at < byteCount - 200;
  const singles = Array.from({ length: byteCount }, (_, i) => i + 1);
  const ways = [[byteCount], singles.filter((at) => !isMiddle(at) || at % 23 === 0)];
  const step = byteCount > 2000 ? 997 : 1;
  for (let cut = 1; cut < byteCount; cut += step) ways.push([cut, byteCount]);
  return ways;
}

/** Feeds a head in every way and asserts one outcome; `facts` reads the parsed head while it is alive. */
function parseEveryWay<H extends RequestHead | ResponseHead, F>(
  head: H,
  text: string,
  facts: (head: H) => F,
): { end: number; fault: FaultCode | null; facts: F | null } {
  const received = latin1(text);
  let first: { end: number; fault: FaultCode | null; facts: F | null } | undefined;
  for (const [way, stops] of feedings(received.length).entries()) {
    head.reset();
    let end = INCOMPLETE;
    let from = 0;
    let memory = Buffer.alloc(0);
    let held = 0;
    for (const [piece, to] of stops.entries()) {
      // The head moves: each piece of every second way finds the bytes at another place of other memory. What was
      // parsed stays as the reader left it: it may have rewritten an absolute-form in place.
      const before = memory.subarray(from, from + held);
      from = way % 2 === 0 ? 0 : ((piece * 7) % 64) + 1;
      memory = Buffer.alloc(from + to + 16, BEYOND);
      before.copy(memory, from);
      received.copy(memory, from + held, held, to);
      held = to;
      end = head.parse(memory, from, from + to);
      if (end === REFUSED) break;
      if (end >= 0) {
        expect(to).toBe(received.length);
        end -= from;
      }
    }
    const outcome = { end, fault: head.fault, facts: end >= 0 ? facts(head) : null };
    first ??= outcome;
    expect(outcome, `fed as ${stops.length > 2 ? 'single bytes' : stops.join(' + ')}`).toEqual(first);
  }
  return first!;
}

const text = (head: RequestHead | ResponseHead | TrailerSection, start: number, end: number) =>
  head.bytes.toString('latin1', start, end);

const fieldsOf = (head: RequestHead | ResponseHead | TrailerSection) =>
  Array.from({ length: head.count }, (_, i) => [
    text(head, head.at[i * 4]!, head.at[i * 4 + 1]!),
    text(head, head.at[i * 4 + 2]!, head.at[i * 4 + 3]!),
  ]);

const FORM_NAMES = Object.fromEntries(Object.entries(TARGET_FORM).map(([name, id]) => [id, name]));

const requestFacts = (head: RequestHead) => ({
  method: text(head, head.methodStart, head.methodEnd),
  target: text(head, head.targetStart, head.targetEnd),
  form: FORM_NAMES[head.targetForm],
  authority: text(head, head.authorityStart, head.authorityEnd),
  minorVersion: head.minorVersion,
  fields: fieldsOf(head),
});

const responseFacts = (head: ResponseHead) => ({
  status: head.status,
  statusAndReason: text(head, head.statusStart, head.reasonEnd),
  minorVersion: head.minorVersion,
  fields: fieldsOf(head),
});

const request = (bytes: string) => parseEveryWay(new RequestHead(), bytes, requestFacts);
const response = (bytes: string) => parseEveryWay(new ResponseHead(), bytes, responseFacts);

/** The same bytes with a body or another message behind them: nothing of it may be read. */
function endsWithItsEmptyLine(head: RequestHead | ResponseHead, bytes: string): void {
  for (const behind of ['x', '\r\n', 'GET / HTTP/1.1\r\n\r\n', 'x'.repeat(HEAD_LIMITS.fieldsBytesMax + 10)]) {
    head.reset();
    expect(head.parse(latin1(bytes + behind), 0, bytes.length + behind.length)).toBe(bytes.length);
  }
}

describe('a request head is read into positions', () => {
  const H = 'Host: h\r\n';
  const cases: [string, string, Partial<ReturnType<typeof requestFacts>>][] = [
    [
      'a plain GET',
      `GET /x?token=42 HTTP/1.1\r\n${H}Accept: */*\r\n\r\n`,
      {
        method: 'GET',
        target: '/x?token=42',
        form: 'origin',
        authority: '',
        minorVersion: 1,
        fields: [
          ['Host', 'h'],
          ['Accept', '*/*'],
        ],
      },
    ],
    [
      'no field at all',
      'GET / HTTP/1.0\r\n\r\n',
      { method: 'GET', target: '/', minorVersion: 0, fields: [] },
    ],
    ['one empty line in front', `\r\nGET /e HTTP/1.1\r\n${H}\r\n`, { method: 'GET', target: '/e' }],
    ['any token as method', `!#$%&'*+-.^_\`|~9aZ / HTTP/1.1\r\n${H}\r\n`, { method: "!#$%&'*+-.^_`|~9aZ" }],
    ['a method of one byte', `x / HTTP/1.1\r\n${H}\r\n`, { method: 'x' }],
    [
      'raw bytes above 0x7f in the target',
      `GET /\xe9\xff?q=\x80 HTTP/1.1\r\n${H}\r\n`,
      { target: '/\xe9\xff?q=\x80' },
    ],
    [
      'odd but legal target bytes',
      `GET //a/../b;c=d?"<>\\^\`{|}%zz HTTP/1.1\r\n${H}\r\n`,
      { target: '//a/../b;c=d?"<>\\^`{|}%zz' },
    ],
    ['OPTIONS *', `OPTIONS * HTTP/1.1\r\n${H}\r\n`, { target: '*', form: 'asterisk' }],
    [
      'absolute-form with a path',
      `GET http://a.example:8080/p?q HTTP/1.1\r\n${H}\r\n`,
      { target: '/p?q', form: 'absolute', authority: 'a.example:8080' },
    ],
    [
      'absolute-form in other case',
      `GET HTTPS://A.example/ HTTP/1.1\r\n${H}\r\n`,
      { target: '/', form: 'absolute', authority: 'A.example' },
    ],
    [
      'absolute-form without a path',
      `GET http://a.example HTTP/1.1\r\n${H}\r\n`,
      { target: '/', form: 'absolute', authority: 'a.example' },
    ],
    [
      'absolute-form with a query and no path',
      `GET http://a.example?x=1 HTTP/1.1\r\n${H}\r\n`,
      { target: '/?x=1', form: 'absolute', authority: 'a.example' },
    ],
    [
      'OPTIONS of a bare authority, which means *',
      `OPTIONS http://a.example:81 HTTP/1.1\r\n${H}\r\n`,
      { target: '*', form: 'absolute', authority: 'a.example:81' },
    ],
    [
      'OPTIONS of an authority with a path',
      `OPTIONS http://a.example/ HTTP/1.1\r\n${H}\r\n`,
      { target: '/', form: 'absolute', authority: 'a.example' },
    ],
    [
      'absolute-form of an IPv6 address',
      `GET http://[::1]:80/ HTTP/1.1\r\n${H}\r\n`,
      { target: '/', authority: '[::1]:80' },
    ],
    [
      'values without the white space around them, with the white space inside',
      `GET / HTTP/1.1\r\nA:b\r\nB: \t c d\t \r\nC:\r\nD: \t \r\n\r\n`,
      {
        fields: [
          ['A', 'b'],
          ['B', 'c d'],
          ['C', ''],
          ['D', ''],
        ],
      },
    ],
    [
      'bytes above 0x7f, tabs and colons in a value',
      'GET / HTTP/1.1\r\nA: \xe9\t:\xff:\r\n\r\n',
      { fields: [['A', '\xe9\t:\xff:']] },
    ],
    [
      'every token byte in a name',
      "GET / HTTP/1.1\r\n!#$%&'*+-.^_`|~09azAZ: v\r\n\r\n",
      { fields: [["!#$%&'*+-.^_`|~09azAZ", 'v']] },
    ],
  ];
  it.each(cases)('%s', (_, bytes, expected) => {
    const outcome = request(bytes);
    expect(outcome.fault).toBeNull();
    expect(outcome.end).toBe(bytes.length);
    expect(outcome.facts).toMatchObject(expected);
    endsWithItsEmptyLine(new RequestHead(), bytes);
  });

  it('an absolute-form is cut at its authority without a byte of the fields changed', () => {
    const head = new RequestHead();
    const bytes = latin1('GET http://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n');
    head.reset();
    expect(head.parse(bytes, 0, bytes.length)).toBe(bytes.length);
    expect(bytes.toString('latin1', head.fieldsStart)).toBe('Host: a.example\r\n\r\n');
    expect(bytes.toString('latin1', 0, 4)).toBe('GET ');
  });
});

describe('a request head is refused', () => {
  const refused = (fault: FaultCode, cases: Record<string, string>) =>
    describe(`with ${fault}`, () => {
      it.each(Object.entries(cases))('%s', (_, bytes) => {
        // Ended by an empty line, so that every cut has the line that is wrong in full.
        expect(request(`${bytes}\r\n\r\n`)).toEqual({ end: REFUSED, fault, facts: null });
      });
    });

  refused('BAD_REQUEST_LINE', {
    'two spaces behind the method': 'GET  / HTTP/1.1\r\nHost: h',
    'two spaces behind the target': 'GET /  HTTP/1.1\r\nHost: h',
    'a tab behind the method': 'GET\t/ HTTP/1.1\r\nHost: h',
    'a space in front of the method': ' GET / HTTP/1.1\r\nHost: h',
    'a space behind the version': 'GET / HTTP/1.1 \r\nHost: h',
    'no version: HTTP/0.9': 'GET /\r\nHost: h',
    'no target': 'GET HTTP/1.1\r\nHost: h',
    'no method': '/ HTTP/1.1\r\nHost: h',
    'a colon in the method': 'GE:T / HTTP/1.1\r\nHost: h',
    'a NUL in the method': 'G\0T / HTTP/1.1\r\nHost: h',
    'a byte above 0x7f in the method': 'G\xe9T / HTTP/1.1\r\nHost: h',
    'a bare LF as line end': 'GET / HTTP/1.1\nHost: h',
    'a bare CR as line end': 'GET / HTTP/1.1\rHost: h',
    'CR CR LF as line end': 'GET / HTTP/1.1\r\r\nHost: h',
    'the version in lower case': 'GET / http/1.1\r\nHost: h',
    'another protocol': 'GET / ICAP/1.0\r\nHost: h',
    'a version without a dot': 'GET / HTTP/11\r\nHost: h',
    'a version with two digits': 'GET / HTTP/1.10\r\nHost: h',
    'a version with a comma': 'GET / HTTP/1,1\r\nHost: h',
    'a version with a plus': 'GET / HTTP/+1.1\r\nHost: h',
    'two empty lines in front': '\r\n\r\nGET / HTTP/1.1\r\nHost: h',
    'a bare LF in front': '\nGET / HTTP/1.1\r\nHost: h',
    'a bare CR in front': '\rGET / HTTP/1.1\r\nHost: h',
    'a TLS client': '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
    'a request line of HTTP/1.1 twice': 'GET / HTTP/1.1 HTTP/1.1\r\nHost: h',
  });

  refused('BAD_TARGET', {
    'a fragment': 'GET /a#b HTTP/1.1\r\nHost: h',
    'a NUL': 'GET /a\0b HTTP/1.1\r\nHost: h',
    'a tab': 'GET /a\tb HTTP/1.1\r\nHost: h',
    'a DEL': 'GET /a\x7fb HTTP/1.1\r\nHost: h',
    'an escape byte': 'GET /a\x1bb HTTP/1.1\r\nHost: h',
    'no slash in front': 'GET a HTTP/1.1\r\nHost: h',
    'a query alone': 'GET ?a HTTP/1.1\r\nHost: h',
    '* with another method': 'GET * HTTP/1.1\r\nHost: h',
    '* with OPTIONS in lower case, which is another method': 'options * HTTP/1.1\r\nHost: h',
    '** with OPTIONS': 'OPTIONS ** HTTP/1.1\r\nHost: h',
    'an authority-form without CONNECT': 'GET h:80 HTTP/1.1\r\nHost: h',
    'another scheme': 'GET ftp://h/ HTTP/1.1\r\nHost: h',
    'a scheme without slashes': 'GET http:h/ HTTP/1.1\r\nHost: h',
    'a scheme with one slash': 'GET http:/h/ HTTP/1.1\r\nHost: h',
    'an empty authority': 'GET http:///p HTTP/1.1\r\nHost: h',
    'an empty authority and nothing else': 'GET http:// HTTP/1.1\r\nHost: h',
    'user information': 'GET http://user@h/ HTTP/1.1\r\nHost: h',
    'user information with a password': 'GET http://u:p@h/ HTTP/1.1\r\nHost: h',
    'a port that is no number': 'GET http://h:8a/ HTTP/1.1\r\nHost: h',
    'a port of six digits': 'GET http://h:800000/ HTTP/1.1\r\nHost: h',
    'a backslash in the authority': 'GET http://h\\@evil/ HTTP/1.1\r\nHost: h',
    'a byte above 0x7f in the authority': 'GET http://h\xe9/ HTTP/1.1\r\nHost: h',
    'an open bracket': 'GET http://[::1/ HTTP/1.1\r\nHost: h',
    'empty brackets': 'GET http://[]/ HTTP/1.1\r\nHost: h',
  });

  refused('CONNECT_REFUSED', {
    'authority-form': 'CONNECT h:443 HTTP/1.1\r\nHost: h',
    'in lower case: it would be a tunnel behind us': 'connect h:443 HTTP/1.1\r\nHost: h',
    'with a path': 'CONNECT / HTTP/1.1\r\nHost: h',
  });

  refused('VERSION_UNSUPPORTED', {
    'the HTTP/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM',
    'HTTP/2.0': 'GET / HTTP/2.0\r\nHost: h',
    'HTTP/1.2': 'GET / HTTP/1.2\r\nHost: h',
    'HTTP/0.9 spelled out': 'GET / HTTP/0.9\r\nHost: h',
    'HTTP/9.9': 'GET / HTTP/9.9\r\nHost: h',
  });

  refused('BAD_FIELD', {
    'a space in front of the colon': 'GET / HTTP/1.1\r\nHost : h',
    'a tab in front of the colon': 'GET / HTTP/1.1\r\nHost\t: h',
    'a space in a name': 'GET / HTTP/1.1\r\nHo st: h',
    'an empty name': 'GET / HTTP/1.1\r\n: h',
    'no colon': 'GET / HTTP/1.1\r\nHost',
    'a byte above 0x7f in a name': 'GET / HTTP/1.1\r\nHos\xe9: h',
    'a NUL in a name': 'GET / HTTP/1.1\r\nHo\0t: h',
    'a NUL in a value': 'GET / HTTP/1.1\r\nHost: h\0',
    'a DEL in a value': 'GET / HTTP/1.1\r\nHost: h\x7f',
    'a bell in a value': 'GET / HTTP/1.1\r\nHost: h\x07',
    'a vertical tab in front of a value': 'GET / HTTP/1.1\r\nTransfer-Encoding:\x0bchunked',
    'a form feed behind a value': 'GET / HTTP/1.1\r\nTransfer-Encoding: chunked\x0c',
    'a bare CR in a value': 'GET / HTTP/1.1\r\nA: b\rC: d',
    'a bare LF in a value': 'GET / HTTP/1.1\r\nA: b\nC: d',
    'a bare LF as line end': 'GET / HTTP/1.1\r\nHost: h\nA: b',
    'CR CR LF as line end': 'GET / HTTP/1.1\r\nHost: h\r\r\nA: b',
    'a fold with a space': 'GET / HTTP/1.1\r\nHost: h\r\n b',
    'a fold with a tab': 'GET / HTTP/1.1\r\nHost: h\r\n\tb',
    'a fold in front of the first field': 'GET / HTTP/1.1\r\n Host: h',
    'white space alone on the last line': 'GET / HTTP/1.1\r\nHost: h\r\n ',
    'a separator in a name': 'GET / HTTP/1.1\r\nA(b): c',
    'a quote in a name': 'GET / HTTP/1.1\r\n"A": c',
  });

  it('with BAD_FIELD when the empty line is a bare LF', () => {
    expect(request('GET / HTTP/1.1\r\nHost: h\r\n\n').fault).toBe('BAD_FIELD');
  });

  it('with BAD_FIELD when a bare CR stands where the empty line should', () => {
    expect(request('GET / HTTP/1.1\r\nHost: h\r\n\rX\n').fault).toBe('BAD_FIELD');
  });
});

describe('limits of a request head', () => {
  const lineOf = (byteCount: number) => {
    const frame = 'GET / HTTP/1.1\r\n'.length;
    return `GET /${'a'.repeat(byteCount - frame)} HTTP/1.1\r\n`;
  };

  it('a request line of 8 KiB, its line end counted, is read; one byte more is TARGET_TOO_LONG', () => {
    expect(request(`${lineOf(HEAD_LIMITS.lineBytesMax)}\r\n`).fault).toBeNull();
    expect(request(`${lineOf(HEAD_LIMITS.lineBytesMax + 1)}\r\n`).fault).toBe('TARGET_TOO_LONG');
  });

  it('a request line that never ends is refused without waiting for its end', () => {
    for (const endless of [`GET /${'a'.repeat(9000)}`, 'A'.repeat(9000)]) {
      expect(request(endless).fault).toBe('TARGET_TOO_LONG');
    }
  });

  it('a method, a target and an absolute-form that are too long are refused alike, ended or not', () => {
    for (const start of ['A'.repeat(9000), `GET http://${'a'.repeat(9000)}`, `GET /${'\xff'.repeat(9000)}`]) {
      expect(request(start).fault).toBe('TARGET_TOO_LONG');
      expect(request(`${start} / HTTP/1.1\r\n\r\n`).fault).toBe('TARGET_TOO_LONG');
      expect(request(`${start}\0 / HTTP/1.1\r\n\r\n`).fault).toBe('TARGET_TOO_LONG');
    }
  });

  it('a line whose version stands across the limit is refused as too long, in pieces as well as whole', () => {
    for (const version of [' HTTP/1.1', ' HTTP/2.0', ' HTXX/1.1', ' HTTP/1.1 ']) {
      for (const spare of [1, 2, 5, 10]) {
        const line = `GET /${'a'.repeat(HEAD_LIMITS.lineBytesMax - 5 - spare)}${version}\r\n`;
        expect(request(`${line}\r\n`).fault).toBe('TARGET_TOO_LONG');
      }
    }
  });

  const sectionOf = (byteCount: number) => {
    const lines = ['Host: h\r\n'];
    let left = byteCount - lines[0]!.length - 2;
    while (left > 0) {
      const size = left > 1010 ? 1000 : left;
      lines.push(`A: ${'b'.repeat(size - 5)}\r\n`);
      left -= size;
    }
    return `GET / HTTP/1.1\r\n${lines.join('')}\r\n`;
  };

  it('a field section of 32 KiB, its empty line counted, is read; one byte more is HEAD_TOO_LARGE', () => {
    expect(request(sectionOf(HEAD_LIMITS.fieldsBytesMax)).fault).toBeNull();
    expect(request(sectionOf(HEAD_LIMITS.fieldsBytesMax + 1)).fault).toBe('HEAD_TOO_LARGE');
  });

  it('a field that never ends is refused without waiting for its end', () => {
    expect(request(`GET / HTTP/1.1\r\nA: ${'b'.repeat(HEAD_LIMITS.fieldsBytesMax)}`).fault).toBe(
      'HEAD_TOO_LARGE',
    );
    expect(request(`GET / HTTP/1.1\r\n${'b'.repeat(HEAD_LIMITS.fieldsBytesMax + 1)}`).fault).toBe(
      'HEAD_TOO_LARGE',
    );
  });

  it('a bad byte behind the limit is refused like a field that is too long, in pieces as well as whole', () => {
    for (const bad of ['\0', '\n', '\rX\n', '\r\n']) {
      const long = `GET / HTTP/1.1\r\nA: ${'b'.repeat(HEAD_LIMITS.fieldsBytesMax)}${bad}\r\n\r\n`;
      expect(request(long).fault).toBe('HEAD_TOO_LARGE');
    }
  });

  it('100 fields are read; 101 are HEAD_TOO_LARGE', () => {
    const fields = (count: number) => `GET / HTTP/1.1\r\n${'A: b\r\n'.repeat(count)}\r\n`;
    expect(request(fields(HEAD_LIMITS.fieldsMax)).facts?.fields).toHaveLength(HEAD_LIMITS.fieldsMax);
    expect(request(fields(HEAD_LIMITS.fieldsMax + 1)).fault).toBe('HEAD_TOO_LARGE');
  });

  describe.each([
    [{ lineBytesMax: 1_048_576, fieldsBytesMax: 1_048_576, fieldsMax: 10_000 }],
    [{ lineBytesMax: 512, fieldsBytesMax: 1024, fieldsMax: 10 }],
  ])('with other limits than the default: %j', (limits) => {
    const read = (bytes: string, head: RequestHead | ResponseHead = new RequestHead()) => {
      head.limits = limits;
      head.reset();
      const end = head.parse(latin1(bytes), 0, bytes.length);
      return end < 0 ? head.fault : head.count;
    };
    const { lineBytesMax, fieldsBytesMax, fieldsMax } = limits;

    it('a head of exactly that size is read, one byte or one field more is refused', () => {
      expect(read(`${lineOf(lineBytesMax)}\r\n`)).toBe(0);
      expect(read(`${lineOf(lineBytesMax + 1)}\r\n`)).toBe('TARGET_TOO_LONG');
      const value = (byteCount: number) =>
        `GET / HTTP/1.1\r\nA: ${'b'.repeat(byteCount - 'A: \r\n\r\n'.length)}\r\n\r\n`;
      expect(read(value(fieldsBytesMax))).toBe(1);
      expect(read(value(fieldsBytesMax + 1))).toBe('HEAD_TOO_LARGE');
      const fields = (count: number) => `GET / HTTP/1.1\r\n${'A: b\r\n'.repeat(count)}\r\n`;
      expect(read(fields(fieldsMax))).toBe(fieldsMax);
      expect(read(fields(fieldsMax + 1))).toBe('HEAD_TOO_LARGE');
    });

    it('and of a response', () => {
      const fields = (count: number) => `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(count)}\r\n`;
      expect(read(fields(fieldsMax), new ResponseHead())).toBe(fieldsMax);
      expect(read(fields(fieldsMax + 1), new ResponseHead())).toBe('UPSTREAM_HEAD_TOO_LARGE');
    });
  });

  it('thousands of fields are found where they are, and their room is given back', () => {
    const head = new RequestHead();
    head.limits = { lineBytesMax: 8192, fieldsBytesMax: 1_048_576, fieldsMax: 10_000 };
    head.reset();
    const names = Array.from({ length: 5000 }, (_, i) => `X-${i}`);
    const bytes = latin1(`GET / HTTP/1.1\r\n${names.map((name) => `${name}: ${name}\r\n`).join('')}\r\n`);
    expect(head.parse(bytes, 0, bytes.length)).toBe(bytes.length);
    expect(fieldsOf(head)).toEqual(names.map((name) => [name, name]));
    head.release();
    expect(head.at.byteLength).toBeLessThan(2000);
  });

  it('a head object that refused one message reads the next one after a reset', () => {
    const head = new RequestHead();
    const bad = latin1('GET / HTTP/1.1\r\nA : b\r\n\r\n');
    const good = latin1('GET /good HTTP/1.1\r\nHost: h\r\n\r\n');
    head.reset();
    expect(head.parse(bad, 0, bad.length)).toBe(REFUSED);
    head.reset();
    expect(head.parse(good, 0, good.length)).toBe(good.length);
    expect(requestFacts(head)).toMatchObject({ target: '/good', fields: [['Host', 'h']] });
  });
});

describe('values by name', () => {
  it('come in order of arrival, whatever the case of their names, and none for a field that did not come', () => {
    const head = new RequestHead();
    const bytes = latin1('GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1\r\nX: y\r\ncOOKIE: b=2\r\n\r\n');
    head.reset();
    head.parse(bytes, 0, bytes.length);
    expect(head.fieldValues('cookie').map(String)).toEqual(['a=1', 'b=2']);
    expect(head.fieldValues('cooki')).toEqual([]);
  });

  it('$host is the authority of an absolute-form, else the Host field, without port and last dot, in lower case', () => {
    const cases: [target: string, host: string, expected: string][] = [
      ['/', 'Shop.Example:8080', 'shop.example'],
      ['/', 'shop.example', 'shop.example'],
      ['/', 'shop.example:', 'shop.example'],
      ['/', 'shop.example.', 'shop.example'],
      ['/', 'shop.example.:80', 'shop.example'],
      ['/', '[::1]:80', '[::1]'],
      ['/', '[::1]', '[::1]'],
      ['/', '12', '12'],
      ['http://Other:81/', 'shop.example', 'other'],
      ['http://Other:81', 'shop.example', 'other'],
    ];
    for (const [target, host, expected] of cases) {
      const head = new RequestHead();
      const bytes = latin1(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      head.reset();
      head.parse(bytes, 0, bytes.length);
      // framing.ts sets the Host range; here by hand.
      head.hostStart = head.at[2]!;
      head.hostEnd = head.at[3]!;
      expect(String(head.host())).toBe(expected);
    }
  });

  it('$host is empty when there is neither', () => {
    const head = new RequestHead();
    const bytes = latin1('GET / HTTP/1.0\r\n\r\n');
    head.reset();
    head.parse(bytes, 0, bytes.length);
    expect(String(head.host())).toBe('');
  });
});

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
    const outcome = response(bytes);
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
    expect(response(bytes)).toEqual({ end: REFUSED, fault: 'UPSTREAM_BAD_RESPONSE', facts: null });
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
    expect(response(bytes)).toEqual({ end: REFUSED, fault: 'UPSTREAM_HEAD_TOO_LARGE', facts: null });
  });
});

describe('a trailer section', () => {
  it('is a field section of its own, up to its empty line', () => {
    const section = new TrailerSection(false);
    const bytes = latin1('A: b\r\nC:d\r\n\r\nGET /');
    expect(section.parse(bytes, 0, bytes.length)).toBe(13);
    expect(fieldsOf(section)).toEqual([
      ['A', 'b'],
      ['C', 'd'],
    ]);
  });

  it('without fields is an empty line', () => {
    const section = new TrailerSection(false);
    expect(section.parse(latin1('xx\r\n'), 2, 4)).toBe(4);
    expect(section.count).toBe(0);
  });

  it('says INCOMPLETE for every beginning, and BAD_CHUNK for a fault', () => {
    const section = new TrailerSection(false);
    const whole = latin1('A: b\r\n\r\n');
    for (let to = 0; to < whole.length; to++) expect(section.parse(whole, 0, to)).toBe(INCOMPLETE);
    const bad = latin1('A : b\r\n\r\n');
    expect(section.parse(bad, 0, bad.length)).toBe(REFUSED);
    expect(section.fault).toBe('BAD_CHUNK');
  });
});

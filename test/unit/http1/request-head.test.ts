// The reader of request heads: what it accepts, where it says things are, and with which code it refuses.
import { describe, expect, it } from 'vitest';
import type { FaultCode } from '../../../src/errors.ts';
import { REFUSED } from '../../../src/http1/fields.ts';
import { RequestHead } from '../../../src/http1/request-head.ts';
import { endsWithItsEmptyLine, latin1, readRequest, type requestFacts } from '../../support/head-feeding.ts';

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
    const outcome = readRequest(bytes);
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
        expect(readRequest(`${bytes}\r\n\r\n`)).toEqual({ end: REFUSED, fault, facts: null });
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
    'an empty label in the authority': 'GET http://a..b/ HTTP/1.1\r\nHost: h',
    'a dot as authority': 'GET http://./ HTTP/1.1\r\nHost: h',
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
    expect(readRequest('GET / HTTP/1.1\r\nHost: h\r\n\n').fault).toBe('BAD_FIELD');
  });

  it('with BAD_FIELD when a bare CR stands where the empty line should', () => {
    expect(readRequest('GET / HTTP/1.1\r\nHost: h\r\n\rX\n').fault).toBe('BAD_FIELD');
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

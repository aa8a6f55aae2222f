// What fields mean for the connection: where the body ends, whether the connection lives on, what belongs to this hop
// alone. Two readers must never frame one message differently: whatever could be read in two ways is refused.
import { describe, expect, it } from 'vitest';
import type { FaultCode } from '../../../src/errors.ts';
import { BODY, RequestFraming, ResponseFraming } from '../../../src/http1/framing.ts';
import { RequestHead } from '../../../src/http1/request-head.ts';
import { ResponseHead } from '../../../src/http1/response-head.ts';

const BODY_NAMES = Object.fromEntries(Object.entries(BODY).map(([name, id]) => [id, name]));

const requestHead = new RequestHead();
const responseHead = new ResponseHead();
// One object for all cases, as on a connection: a case that leaves something behind breaks the next one.
const requestFraming = new RequestFraming();
const responseFraming = new ResponseFraming();

function readRequest(fields: string[], line = 'POST / HTTP/1.1') {
  const hasHost = line.endsWith('/1.1') && !fields.some((field) => /^host:/i.test(field));
  const lines = hasHost ? ['Host: h', ...fields] : fields;
  const bytes = Buffer.from(`${[line, ...lines].join('\r\n')}\r\n\r\n`, 'latin1');
  requestHead.reset();
  expect(requestHead.parse(bytes, 0, bytes.length)).toBe(bytes.length);
  const fault = requestFraming.read(requestHead);
  if (fault !== null) return { fault };
  const { body, length, keepAlive, isHead, expectsContinue, takesTrailers, nominated } = requestFraming;
  const slice = (start: number, end: number) => bytes.toString('latin1', start, end);
  return {
    fault,
    body: BODY_NAMES[body],
    length: body === BODY.length ? length : 0,
    keepAlive,
    isHead,
    expectsContinue,
    takesTrailers,
    host: slice(requestHead.hostStart, requestHead.hostEnd),
    upgrade: slice(requestFraming.upgradeStart, requestFraming.upgradeEnd),
    nominated: nominated.flatMap((start, i) => (i % 2 === 0 ? [slice(start, nominated[i + 1]!)] : [])),
  };
}

function readResponse(fields: string[], line = 'HTTP/1.1 200 OK', answersHead = false) {
  const bytes = Buffer.from(`${[line, ...fields].join('\r\n')}\r\n\r\n`, 'latin1');
  responseHead.reset();
  expect(responseHead.parse(bytes, 0, bytes.length)).toBe(bytes.length);
  const fault = responseFraming.read(responseHead, answersHead);
  if (fault !== null) return { fault };
  const { body, length, keepAlive, isInterim } = responseFraming;
  return { fault, body: BODY_NAMES[body], length: body === BODY.length ? length : 0, keepAlive, isInterim };
}

describe('the body of a request', () => {
  const cases: [string, string[], ReturnType<typeof readRequest> | object][] = [
    ['is none without a length', [], { body: 'none' }],
    ['is none with Content-Length: 0', ['Content-Length: 0'], { body: 'none' }],
    ['has its Content-Length', ['Content-Length: 42'], { body: 'length', length: 42 }],
    ['may have leading zeros in its length', ['Content-Length: 0042'], { body: 'length', length: 42 }],
    ['may be of 2^53-1 bytes', ['Content-Length: 9007199254740991'], { length: Number.MAX_SAFE_INTEGER }],
    ['may have many leading zeros', ['Content-Length: 000000000000000000000042'], { length: 42 }],
    ['may have white space around its length', ['Content-Length: \t 7  \t'], { length: 7 }],
    ['is chunked', ['Transfer-Encoding: chunked'], { body: 'chunked' }],
    ['is chunked in any case', ['tRANSFER-eNCODING: cHUNKED'], { body: 'chunked' }],
    ['is chunked with white space around', ['Transfer-Encoding: \t chunked \t '], { body: 'chunked' }],
    ['is chunked with empty list elements', ['Transfer-Encoding: ,\t, chunked ,'], { body: 'chunked' }],
    [
      'is chunked with an empty list beside it',
      ['Transfer-Encoding: chunked', 'Transfer-Encoding:', 'Transfer-Encoding: ,'],
      { body: 'chunked' },
    ],
  ];
  it.each(cases)('%s', (_, fields, expected) => {
    expect(readRequest(fields)).toMatchObject({ fault: null, ...expected });
  });
});

describe('a request is refused', () => {
  const refused = (fault: FaultCode, cases: Record<string, string[]>, line?: string) =>
    describe(`with ${fault}`, () => {
      it.each(Object.entries(cases))('%s', (_, fields) => {
        expect(readRequest(fields, line)).toEqual({ fault });
      });
    });

  refused('LENGTH_AND_CHUNKED', {
    'CL.TE: the length in front': ['Content-Length: 6', 'Transfer-Encoding: chunked'],
    'TE.CL: the length behind': ['Transfer-Encoding: chunked', 'Content-Length: 6'],
    'CL.0 and chunked': ['Content-Length: 0', 'Transfer-Encoding: chunked'],
    'a length beside a coding that is not known': ['Content-Length: 6', 'Transfer-Encoding: xchunked'],
    'a bad length beside chunked': ['Content-Length: x', 'Transfer-Encoding: chunked'],
    'an empty coding beside a length': ['Transfer-Encoding:', 'Content-Length: 6'],
  });

  refused('BAD_CONTENT_LENGTH', {
    'two different lengths': ['Content-Length: 1', 'Content-Length: 2'],
    'the same length twice': ['Content-Length: 1', 'Content-Length: 1'],
    'a list in one field': ['Content-Length: 1, 1'],
    'the second of two is bad': ['Content-Length: 1', 'Content-Length: x'],
    'a plus': ['Content-Length: +1'],
    'a minus': ['Content-Length: -1'],
    hex: ['Content-Length: 0x10'],
    'a decimal point': ['Content-Length: 1.0'],
    'an exponent': ['Content-Length: 1e3'],
    'an underscore': ['Content-Length: 1_0'],
    'white space inside': ['Content-Length: 1 0'],
    empty: ['Content-Length:'],
    'a letter behind': ['Content-Length: 1a'],
    'a quote': ['Content-Length: "1"'],
    'a byte above 0x7f': ['Content-Length: \xb2'],
    '2^53': ['Content-Length: 9007199254740992'],
    '2^64 + 1, which wraps to 1': ['Content-Length: 18446744073709551617'],
    'seventeen digits': ['Content-Length: 10000000000000000'],
  });

  refused('UNKNOWN_TRANSFER_ENCODING', {
    gzip: ['Transfer-Encoding: gzip'],
    identity: ['Transfer-Encoding: identity'],
    'gzip, chunked': ['Transfer-Encoding: gzip, chunked'],
    'chunked, identity': ['Transfer-Encoding: chunked, identity'],
    'chunked twice in one field': ['Transfer-Encoding: chunked, chunked'],
    'chunked twice in two fields': ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
    'TE.TE: a second coding that only some read': ['Transfer-Encoding: chunked', 'Transfer-Encoding: x'],
    'TE.TE the other way round': ['Transfer-Encoding: x', 'Transfer-Encoding: chunked'],
    'a letter in front': ['Transfer-Encoding: xchunked'],
    'a letter behind': ['Transfer-Encoding: chunkedx'],
    'a parameter': ['Transfer-Encoding: chunked;a=b'],
    'a list of empty elements': ['Transfer-Encoding: , ,'],
    'chunked twice between empty elements': ['Transfer-Encoding: ,chunked,,chunked,'],
    'a coding behind an empty element': ['Transfer-Encoding: chunked, ,gzip'],
    'white space inside': ['Transfer-Encoding: chun ked'],
    quotes: ['Transfer-Encoding: "chunked"'],
    empty: ['Transfer-Encoding:'],
    'an obs-text space behind': ['Transfer-Encoding: chunked\xa0'],
  });

  refused('CHUNKED_IN_HTTP_1_0', { chunked: ['Host: h', 'Transfer-Encoding: chunked'] }, 'POST / HTTP/1.0');

  refused('BAD_HOST', {
    'two Host fields': ['Host: a', 'Host: b'],
    'the same Host twice': ['Host: a', 'Host: a'],
    'an empty Host': ['Host:'],
    'user information': ['Host: u@h'],
    'a path': ['Host: h/p'],
    'a query': ['Host: h?q'],
    'a list': ['Host: a, b'],
    'white space inside': ['Host: a b'],
    'a backslash': ['Host: a\\b'],
    'a byte above 0x7f': ['Host: \xe9'],
    'a port that is no number': ['Host: h:8a'],
    'two ports': ['Host: h:80:81'],
    'a port of six digits': ['Host: h:100000'],
    'an open bracket': ['Host: [::1'],
    'something behind the bracket': ['Host: [::1]x'],
    'empty brackets': ['Host: []'],
    'a scheme': ['Host: http://h'],
    'a dot alone': ['Host: .'],
    'a dot and a port': ['Host: .:80'],
    'an empty label': ['Host: a..b'],
    'two dots at the end': ['Host: a..'],
    'two dots in brackets': ['Host: [::1..2]'],
  });

  it('with BAD_HOST: HTTP/1.1 without Host', () => {
    const bytes = Buffer.from('GET / HTTP/1.1\r\nA: b\r\n\r\n');
    requestHead.reset();
    requestHead.parse(bytes, 0, bytes.length);
    expect(requestFraming.read(requestHead)).toBe('BAD_HOST');
  });

  it('with BAD_HOST: an absolute-form needs its Host all the same', () => {
    const bytes = Buffer.from('GET http://h/ HTTP/1.1\r\n\r\n');
    requestHead.reset();
    requestHead.parse(bytes, 0, bytes.length);
    expect(requestFraming.read(requestHead)).toBe('BAD_HOST');
  });

  refused('BAD_HOST', { 'two Host fields in HTTP/1.0': ['Host: a', 'Host: b'] }, 'GET / HTTP/1.0');
});

describe('Host', () => {
  it.each([
    'h',
    'shop.example',
    'Shop.Example:8080',
    'a_b-c.d~e',
    '127.0.0.1:80',
    '[::1]',
    '[::ffff:1.2.3.4]:443',
    'h:',
    '%61.example',
  ])('%s is an authority', (host) => {
    expect(readRequest([`Host: ${host}`])).toMatchObject({ fault: null, host });
  });

  it('may be missing in HTTP/1.0', () => {
    expect(readRequest([], 'GET / HTTP/1.0')).toMatchObject({ fault: null, host: '' });
  });
});

describe('a connection lives on', () => {
  const cases: [string, string[], boolean][] = [
    ['HTTP/1.1', [], true],
    ['HTTP/1.1', ['Connection: close'], false],
    ['HTTP/1.1', ['Connection: Close'], false],
    ['HTTP/1.1', ['Connection: keep-alive'], true],
    ['HTTP/1.1', ['Connection: keep-alive, close'], false],
    ['HTTP/1.1', ['Connection: close', 'Connection: keep-alive'], false],
    ['HTTP/1.1', ['Connection: foo,\tclose ,bar'], false],
    ['HTTP/1.1', ['Connection: closed'], true],
    ['HTTP/1.1', ['Connection: ,, close'], false],
    ['HTTP/1.0', [], false],
    ['HTTP/1.0', ['Connection: keep-alive'], true],
    ['HTTP/1.0', ['Connection: KEEP-ALIVE'], true],
    ['HTTP/1.0', ['Connection: keep-alive, close'], false],
    ['HTTP/1.0', ['Keep-Alive: timeout=5'], false],
    ['HTTP/1.0', ['Proxy-Connection: keep-alive'], false],
  ];
  it.each(cases)('%s request with %j: %s', (version, fields, keepAlive) => {
    expect(readRequest(fields, `GET / ${version}`)).toMatchObject({ keepAlive });
  });
  it.each(cases)('%s response with %j: %s', (version, fields, keepAlive) => {
    expect(readResponse(['Content-Length: 0', ...fields], `${version} 200 OK`)).toMatchObject({ keepAlive });
  });
});

describe('what a request says besides', () => {
  it('Connection nominates fields; close, keep-alive, upgrade and empty items are no names', () => {
    const { nominated } = readRequest(['Connection: a, close ,,B\t,keep-alive', 'Connection: Upgrade, c']);
    expect(nominated).toEqual(['a', 'B', 'c']);
  });

  it('32 nominated names are read, in one field or in many; one more is too large, and so are thousands', () => {
    const names = (count: number) => Array.from({ length: count }, (_, i) => `n${i}`);
    expect(readRequest([`Connection: ${names(32).join(',')}, close`]).nominated).toEqual(names(32));
    for (const count of [33, 4000]) {
      const fields = [`Connection: ${names(count).join(',')}`];
      expect(readRequest(fields)).toEqual({ fault: 'HEAD_TOO_LARGE' });
      expect(readResponse(['Content-Length: 0', ...fields])).toEqual({ fault: 'UPSTREAM_HEAD_TOO_LARGE' });
    }
    expect(readRequest(names(33).map((name) => `Connection: ${name}`))).toEqual({ fault: 'HEAD_TOO_LARGE' });
    expect(readRequest(['Connection: close']).nominated).toEqual([]);
  });

  it('a nominated name is compared without case and in full', () => {
    readRequest(['Connection: X-Secret']);
    const name = (text: string) => {
      const all = Buffer.concat([requestHead.bytes, Buffer.from(text)]);
      return requestFraming.isNominated(all, requestHead.bytes.length, all.length);
    };
    expect(['x-secret', 'X-SECRET', 'x-secre', 'x-secrets', 'x_secret', ''].map(name)).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  it('Expect: 100-continue counts in HTTP/1.1 alone', () => {
    const expects = (field: string, line?: string) => readRequest([field], line).expectsContinue;
    expect(expects('Expect: 100-Continue')).toBe(true);
    expect(expects('Expect: 100-continue', 'POST / HTTP/1.0')).toBe(false);
    expect(expects('Expect: 100')).toBe(false);
    expect(expects('X: 100-continue')).toBe(false);
  });

  it('TE: trailers is found in a list', () => {
    const takes = (field: string) => readRequest([field]).takesTrailers;
    expect(takes('TE: trailers')).toBe(true);
    expect(takes('TE: deflate;q=0.5 ,\tTrailers')).toBe(true);
    expect(takes('TE: deflate')).toBe(false);
    expect(takes('TE: xtrailers')).toBe(false);
    expect(takes('TE: ')).toBe(false);
  });

  it('HEAD is the method in capitals and nothing else', () => {
    const isHead = (method: string) => readRequest([], `${method} / HTTP/1.1`).isHead;
    expect(['HEAD', 'head', 'HEADS', 'GET'].map(isHead)).toEqual([true, false, false, false]);
  });

  const upgradeCases: [string, string[], string, string?][] = [
    ['is wanted when Connection names it', ['Connection: Upgrade', 'Upgrade: websocket'], 'websocket'],
    ['is wanted in any order and case', ['Upgrade: WebSocket', 'connection: x, UPGRADE'], 'WebSocket'],
    ['is not wanted without Connection', ['Upgrade: websocket'], ''],
    ['is not wanted without a protocol', ['Connection: upgrade'], ''],
    ['is not wanted when two fields name protocols', ['Connection: upgrade', 'Upgrade: a', 'Upgrade: b'], ''],
    ['is not wanted in HTTP/1.0', ['Connection: upgrade', 'Upgrade: websocket'], '', 'GET / HTTP/1.0'],
    ['is not wanted of OPTIONS *', ['Connection: upgrade', 'Upgrade: websocket'], '', 'OPTIONS * HTTP/1.1'],
    [
      'is not wanted of OPTIONS *, written in absolute form',
      ['Host: h', 'Connection: upgrade', 'Upgrade: websocket'],
      '',
      'OPTIONS http://h HTTP/1.1',
    ],
  ];
  it.each(upgradeCases)('an upgrade %s', (_, fields, upgrade, line) => {
    expect(readRequest(fields, line)).toMatchObject({ fault: null, upgrade });
  });
});

describe('the body of a response', () => {
  const cases: [
    name: string,
    fields: string[],
    expected: object,
    line?: string | undefined,
    answersHead?: boolean,
  ][] = [
    ['has its Content-Length', ['Content-Length: 5'], { body: 'length', length: 5, keepAlive: true }],
    ['is none with Content-Length: 0', ['Content-Length: 0'], { body: 'none', keepAlive: true }],
    ['is chunked', ['Transfer-Encoding: chunked'], { body: 'chunked', keepAlive: true }],
    ['ends with the connection when nothing else is said', [], { body: 'close', keepAlive: false }],
    [
      'ends with the connection in HTTP/1.0, keep-alive or not',
      ['Connection: keep-alive'],
      { body: 'close', keepAlive: false },
      'HTTP/1.0 200 OK',
    ],
    [
      'is none for HEAD, with a length',
      ['Content-Length: 5'],
      { body: 'none', keepAlive: true },
      undefined,
      true,
    ],
    [
      'is none for HEAD, chunked',
      ['Transfer-Encoding: chunked'],
      { body: 'none', keepAlive: true },
      undefined,
      true,
    ],
    ['is none for HEAD, without a length', [], { body: 'none', keepAlive: true }, undefined, true],
    ['is none for 204', [], { body: 'none', keepAlive: true }, 'HTTP/1.1 204 No Content'],
    ['is none for 204 with a length', ['Content-Length: 5'], { body: 'none' }, 'HTTP/1.1 204 No Content'],
    [
      'is none for 304 with a length',
      ['Content-Length: 5'],
      { body: 'none', keepAlive: true },
      'HTTP/1.1 304 Not Modified',
    ],
    ['is none for 1xx', [], { body: 'none', isInterim: true }, 'HTTP/1.1 103 Early Hints'],
    [
      'is there for 205',
      ['Content-Length: 5'],
      { body: 'length', isInterim: false },
      'HTTP/1.1 205 Reset Content',
    ],
  ];
  it.each(cases)('%s', (_, fields, expected, line, answersHead) => {
    expect(readResponse(fields, line, answersHead)).toMatchObject({ fault: null, ...expected });
  });
});

describe('how long an upstream keeps an idle connection', () => {
  const cases: [fields: string[], idleSeconds: number, exchangesLeft: number][] = [
    [[], -1, -1],
    [['Keep-Alive: timeout=5'], 5, -1],
    [['Keep-Alive: timeout=5, max=100'], 5, 100],
    [['Keep-Alive:max=0,timeout=0'], 0, 0],
    [['Keep-Alive: TimeOut="15" \t,  Max=3'], 15, 3],
    [['Keep-Alive: timeout=5', 'Keep-Alive: timeout=2, max=7'], 2, 7],
    [['Keep-Alive: 300'], -1, -1],
    [['Keep-Alive: timeout, max='], -1, -1],
    [['Keep-Alive: timeout=-1, max=1.5'], -1, 1],
    [['Keep-Alive: timeout=5s, xtimeout=3, maximum=4'], 5, -1],
    [['Keep-Alive: timeout=5;max=2'], 5, 2],
    [['Keep-Alive: timeout = 5 ,max\t=\t" 7"'], 5, 7],
    [['Keep-Alive: timeout=five, max="'], -1, -1],
    [['Keep-Alive: timeout=99999999999999999999'], -1, -1],
    [['Keep-Alive: ,,=,timeout=4,'], 4, -1],
  ];
  it.each(cases)('%j', (fields, idleSeconds, exchangesLeft) => {
    expect(readResponse(['Content-Length: 0', ...fields])).toMatchObject({ fault: null, keepAlive: true });
    expect([responseFraming.idleSeconds, responseFraming.exchangesLeft]).toEqual([
      idleSeconds,
      exchangesLeft,
    ]);
  });

  it('is forgotten with the next response', () => {
    readResponse(['Content-Length: 0', 'Keep-Alive: timeout=5, max=1']);
    readResponse(['Content-Length: 0']);
    expect([responseFraming.idleSeconds, responseFraming.exchangesLeft]).toEqual([-1, -1]);
  });
});

describe('a response is refused', () => {
  const cases: Record<string, string[]> = {
    'two lengths': ['Content-Length: 1', 'Content-Length: 2'],
    'the same length twice': ['Content-Length: 1', 'Content-Length: 1'],
    'a list of lengths': ['Content-Length: 1, 1'],
    'a length that is no number': ['Content-Length: x'],
    'an empty length': ['Content-Length:'],
    'a length that overflows': ['Content-Length: 9007199254740992'],
    'a length and chunked': ['Content-Length: 1', 'Transfer-Encoding: chunked'],
    'chunked twice': ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
    'gzip, chunked': ['Transfer-Encoding: gzip, chunked'],
    identity: ['Transfer-Encoding: identity'],
  };
  const lines = [
    'HTTP/1.1 200 OK',
    'HTTP/1.1 204 No Content',
    'HTTP/1.1 304 Not Modified',
    'HTTP/1.1 103 Early Hints',
  ];
  it.each(Object.entries(cases))('%s, whatever the status and the method', (_, fields) => {
    for (const line of lines) {
      expect(readResponse(fields, line)).toEqual({ fault: 'UPSTREAM_BAD_RESPONSE' });
      expect(readResponse(fields, line, true)).toEqual({ fault: 'UPSTREAM_BAD_RESPONSE' });
    }
  });

  it('chunked in HTTP/1.0', () => {
    expect(readResponse(['Transfer-Encoding: chunked'], 'HTTP/1.0 200 OK')).toEqual({
      fault: 'UPSTREAM_BAD_RESPONSE',
    });
  });
});

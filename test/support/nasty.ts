// Generators of HTTP/1.x bytes that are almost right: honest messages, every known smuggling trick in
// any place, and single changed bytes. Enough of them stay valid to make "what we accept" meaningful.
import fc from 'fast-check';

const sometimes = <T>(honest: fc.Arbitrary<T>, nasty: fc.Arbitrary<T>, honestWeight = 12): fc.Arbitrary<T> =>
  fc.oneof({ weight: honestWeight, arbitrary: honest }, { weight: 1, arbitrary: nasty });

const of = (...texts: string[]) => fc.constantFrom(...texts);

/** Bytes that some reader takes for another one. */
const NASTY_BYTES = [
  0, 9, 10, 11, 12, 13, 27, 32, 34, 35, 44, 47, 48, 58, 59, 61, 64, 92, 127, 128, 133, 160, 255,
];

const nastyText = fc
  .array(fc.oneof(fc.constantFrom(...NASTY_BYTES), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  })
  .map((codes) => String.fromCharCode(...codes));

const lineEnd = sometimes(
  of('\r\n'),
  of('\n', '\r', '\r\r\n', '\n\r\n', ' \r\n', '\r\n ', '\r\n\t', '\0\r\n', '\x0b\r\n'),
  60,
);

const method = sometimes(
  of('GET', 'POST', 'HEAD', 'PUT', 'OPTIONS', 'DELETE', 'PATCH'),
  of('get', 'G', 'CONNECT', 'PRI', 'GET\t', '', 'G\xe9T', 'GET /', 'M-SEARCH', '!#$%&', 'TRACE'),
);

const target = sometimes(
  of(
    '/',
    '/x?token=42',
    '/a/b/../c?q=%00&token',
    '*',
    'http://h/p?q',
    'http://h:80',
    'http://h?q',
    'HTTPS://[::1]:8/',
  ),
  fc.oneof(
    of(
      '/a#b',
      'h',
      '//',
      'http:///',
      'http://',
      'http://u@h/',
      'ftp://h/',
      'http://h\\@e/',
      '?',
      '/\xe9',
      '/a b',
      'http:h',
      'http://[::1',
      '/"<>{}|^`',
      '/ HTTP/1.1\r\nX: y',
    ),
    nastyText,
    nastyText.map((text) => `/${text}`),
    nastyText.map((text) => `http://h${text}/`),
  ),
  6,
);

const version = sometimes(
  of('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0'),
  of(
    'HTTP/2.0',
    'HTTP/1.2',
    'http/1.1',
    'HTTP/1.1 ',
    'HTTP/1.10',
    'HTTP/01.1',
    'HTTP/1,1',
    'HTTP/1',
    '',
    'HTTP/0.9',
    'ICE/1.0',
  ),
  25,
);

const statusLine = sometimes(
  of(
    'HTTP/1.1 200 OK',
    'HTTP/1.1 200 OK',
    'HTTP/1.1 404 Not Found',
    'HTTP/1.0 200 OK',
    'HTTP/1.1 204 No Content',
    'HTTP/1.1 304 Not Modified',
    'HTTP/1.1 100 Continue',
    'HTTP/1.1 103 Early Hints',
    'HTTP/1.1 200 ',
    'HTTP/1.1 200',
    'HTTP/1.1 500 \xe9',
  ),
  fc.oneof(
    of(
      'HTTP/1.1 101 Switching Protocols',
      'HTTP/2.0 200 OK',
      'HTTP/1.1 20 OK',
      'HTTP/1.1 2000 OK',
      'HTTP/1.1  200 OK',
      'http/1.1 200 OK',
      'HTTP/1.1 099 X',
      '',
      ' HTTP/1.1 200 OK',
      'ICY 200 OK',
      'HTTP/1.1 200 O\0K',
    ),
    nastyText,
  ),
  20,
);

const separator = sometimes(
  of(': ', ':', ':  ', ':\t'),
  of(' : ', '\t:', ' ', '', '::', ':\x0b', ':\r\n ', ':\0', '\0:', ':\xa0', '\r\n:'),
  25,
);

const valueEnd = sometimes(of('', '', ' ', '\t '), of('\x0b', '\x0c', '\0', '\r', '\xa0', ';', ','), 25);

const field = fc
  .oneof(
    {
      weight: 4,
      arbitrary: fc.tuple(
        of(
          'X-A',
          'Accept',
          'Cookie',
          'x-b',
          'Keep-Alive',
          'Proxy-Connection',
          'Via',
          'X-Forwarded-For',
          'Range',
          'Trailer',
          'Max-Forwards',
        ),
        of('a', 'b c', '', '1', 'a, b', '\xe9', 'a:b', '"x"', '\t', 'x;y=z'),
      ),
    },
    {
      weight: 3,
      arbitrary: fc.tuple(
        of('Content-Length', 'content-length', 'CONTENT-LENGTH'),
        sometimes(
          of('0', '5', '12', '005'),
          of(
            '+5',
            '-1',
            '5,5',
            '5 5',
            '0x5',
            '',
            '5a',
            '9007199254740991',
            '9007199254740992',
            '18446744073709551621',
            '00000000000000000005',
            '5;',
            '"5"',
            '\xb2',
            '5\t\x0b',
          ),
          5,
        ),
      ),
    },
    {
      weight: 3,
      arbitrary: fc.tuple(
        of('Transfer-Encoding', 'transfer-encoding', 'TRANSFER-ENCODING'),
        sometimes(
          of('chunked', 'Chunked', 'CHUNKED', ', chunked ,'),
          of(
            'gzip, chunked',
            'chunked, identity',
            'identity',
            'xchunked',
            'chunkedx',
            'chunked;a=b',
            '',
            'chunked,',
            ',chunked',
            'chunked chunked',
            '"chunked"',
            '\x0bchunked',
            'chunked\xa0',
          ),
          5,
        ),
      ),
    },
    {
      weight: 2,
      arbitrary: fc.tuple(
        of('Connection', 'connection'),
        of(
          'keep-alive',
          'close',
          'Upgrade',
          'upgrade, keep-alive',
          'X-A',
          'Content-Length',
          'Transfer-Encoding, close',
          'TE',
          'Host',
          'close, keep-alive',
          ',,',
          'keep-alive;a',
          '',
          'HTTP2-Settings, Upgrade',
        ),
      ),
    },
    { weight: 1, arbitrary: fc.tuple(of('Upgrade'), of('websocket', 'h2c', 'HTTP/2.0', 'WebSocket, x', '')) },
    { weight: 1, arbitrary: fc.tuple(of('Expect'), of('100-continue', '100-Continue', 'x', '')) },
    { weight: 1, arbitrary: fc.tuple(of('TE'), of('trailers', 'trailers, gzip', 'gzip')) },
    { weight: 1, arbitrary: fc.tuple(of('Host'), of('h', 'h:80', '[::1]', 'a,b', '', 'u@h', 'h/p')) },
    {
      weight: 1,
      arbitrary: fc.tuple(
        of(
          'Content-Length ',
          'Content_Length',
          'Transfer-Encoding\0',
          ' Transfer-Encoding',
          'Transfer\xadEncoding',
          'Content-Length\x0b',
          '',
        ),
        of('5', 'chunked'),
      ),
    },
    { weight: 1, arbitrary: fc.tuple(nastyText, nastyText) },
    { weight: 1, arbitrary: fc.tuple(of('X-N'), nastyText) },
  )
  .chain(([name, value]) => fc.tuple(fc.constant(name), separator, fc.constant(value), valueEnd, lineEnd))
  .map((parts) => parts.join(''));

const size = sometimes(
  of('5', '05', '0005', '5;a', '5;a=b', '5;a="b;c"', '5;a="\\""', '5 \t', '5 ; a\t= "b ;" ;c'),
  fc.oneof(
    of(
      '5 ',
      ' 5',
      '0x5',
      '+5',
      '',
      'g',
      '5;',
      '5;;a',
      '5;a=',
      '5;a=b=c',
      '5;a="b"c',
      '5 ;a',
      '5;\n',
      '5;a\rb',
      '-5',
      '5_',
      '10000000000000005',
      '0000000000000005',
      'FFFFFFFFFFFFFFFF',
    ),
    nastyText.map((text) => `5${text}`),
  ),
  10,
);

const chunk = fc
  .tuple(
    size,
    lineEnd,
    sometimes(of('hello', '\r\n0\r\n', 'GET /', '\0\xff\n\r:'), of('hell', 'hello!', ''), 20),
    lineEnd,
  )
  .map((parts) => parts.join(''));

const chunkedBody = fc
  .tuple(
    fc.array(chunk, { maxLength: 3 }),
    sometimes(of('0', '000', '0;a'), of('00000000000000000', '', '0 ', '-0', '0x0')),
    lineEnd,
    sometimes(
      of('', 'X-T: y\r\n', 'a:b\r\nc: d\r\n', 'Content-Length: 3\r\n', 'Transfer-Encoding: x\r\n'),
      of('X : y\r\n', ' x\r\n', 'X\r\n', 'X: y\n', 'X: \0\r\n'),
    ),
    lineEnd,
  )
  .map(([chunks, ...rest]) => chunks.join('') + rest.join(''));

const body = fc.oneof(
  { weight: 3, arbitrary: of('') },
  { weight: 3, arbitrary: of('hello', 'hellohellohe', '\r\n', '0\r\n\r\n') },
  { weight: 4, arbitrary: chunkedBody },
);

/** Fields that agree with the body, so that many messages are whole; or whatever comes. */
const framed = fc.oneof(
  { weight: 3, arbitrary: fc.constant(['', ''] as const) },
  { weight: 3, arbitrary: fc.constant(['Content-Length: 5\r\n', 'hello'] as const) },
  { weight: 4, arbitrary: chunkedBody.map((text) => ['Transfer-Encoding: chunked\r\n', text] as const) },
  { weight: 3, arbitrary: body.map((text) => ['', text] as const) },
);

const fields = fc.array(field, { maxLength: 4 }).map((lines) => lines.join(''));

/** One request, as one byte a character. */
const request = fc
  .tuple(
    sometimes(of('', '', '\r\n'), of('\n', '\r', '\r\n\r\n', ' ')),
    method,
    sometimes(of(' '), of('  ', '\t', '\x0b', ''), 40),
    target,
    sometimes(of(' '), of('  ', '\t', '\0', ''), 40),
    version,
    lineEnd,
    sometimes(of('Host: h\r\n', 'Host: h:80\r\n'), of('', 'Host: h\r\nHost: h\r\n', 'Host : h\r\n'), 15),
    fields,
    framed,
    lineEnd,
  )
  .map(([before, verb, a, path, b, protocol, end, host, lines, [length, content], last]) =>
    [before, verb, a, path, b, protocol, end, host, lines, length, last, content].join(''),
  );

/** Fields of an honest message that say nothing of its body. */
const honestFields = fc
  .array(
    fc.tuple(
      of('X-A', 'accept', 'COOKIE', 'Keep-Alive', 'Via', 'X-Forwarded-For', 'TE', 'Trailer'),
      of(': ', ':', ':  ', ':\t'),
      of('a', 'b c', '', 'a, b', '\xe9', 'a:b', '"x"', 'x;y=z', 'trailers'),
      of('', '', ' ', '\t'),
    ),
    { maxLength: 4 },
  )
  .map((lines) => lines.map((line) => `${line.join('')}\r\n`).join(''));

const honestChunks = fc
  .tuple(
    fc.array(
      of('5\r\nhello\r\n', '005;a=b;c\r\nhello\r\n', 'A;q="\\" "\r\n\r\n0\r\n\r\nabc\r\n', '1\r\n\0\r\n'),
      { maxLength: 3 },
    ),
    of('0\r\n', '000;x\r\n'),
    of('', 'X-T: y\r\n', 'a:b\r\nC: \t d \r\n'),
  )
  .map(([chunks, last, trailers]) => `${chunks.join('')}${last}${trailers}\r\n`);

const honestFramed = fc.oneof(
  of(...['', 'Content-Length: 0\r\n', 'content-length:  0 \r\n']).map((line) => [line, ''] as const),
  of('Content-Length: 5\r\n', 'CONTENT-LENGTH:005\r\n').map((line) => [line, 'he\r\nl'] as const),
  fc.tuple(of('Transfer-Encoding: chunked\r\n', 'transfer-encoding:\tCHUNKED \r\n'), honestChunks),
);

const honestRequest = fc
  .tuple(
    of('', '', '', '\r\n'),
    of('GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'x-own'),
    of(
      '/',
      '/x?token=42',
      '//a/../c;d?q=%00&"',
      '/\xe9',
      'http://h/p?q',
      'http://h:80',
      'http://h?q',
      'HTTPS://[::1]:8/',
    ),
    honestFields,
    honestFramed,
    honestFields,
    of('', '', '', 'Connection: keep-alive\r\n', 'Connection: X-A, te\r\n', 'Connection: close\r\n'),
  )
  .map(([before, verb, path, lines, [length, content], more, connection]) =>
    [
      before,
      verb,
      ' ',
      path,
      ' HTTP/1.1\r\nHost: h\r\n',
      lines,
      length,
      more,
      connection,
      '\r\n',
      content,
    ].join(''),
  );

const honestResponse = fc
  .tuple(
    of('HTTP/1.1 200 OK\r\n', 'HTTP/1.1 404 Nicht \xfcberall\r\n', 'HTTP/1.1 103 X\r\n', 'HTTP/1.1 204\r\n'),
    honestFields,
    honestFramed,
    honestFields,
  )
  .map(([line, lines, [length, content], more]) => {
    const hasBody = !/^HTTP\/1\.1 (?:1|204)/.test(line);
    return [line, lines, hasBody ? length : '', more, '\r\n', hasBody ? content : ''].join('');
  });

/** One response. */
const response = fc
  .tuple(statusLine, lineEnd, fields, framed, lineEnd)
  .map(([line, end, lines, [length, content], last]) => [line, end, lines, length, last, content].join(''));

type Edit = readonly [at: number, kind: number, code: number];

const edit: fc.Arbitrary<Edit> = fc.tuple(
  fc.nat(10_000),
  fc.nat(4),
  fc.oneof(fc.constantFrom(...NASTY_BYTES), fc.integer({ min: 0, max: 255 })),
);

function apply(text: string, [where, kind, code]: Edit): string {
  if (text === '') return text;
  const at = where % text.length;
  const byte = String.fromCharCode(code);
  switch (kind) {
    case 0:
      return text.slice(0, at) + byte + text.slice(at + 1);
    case 1:
      return text.slice(0, at) + byte + text.slice(at);
    case 2:
      return text.slice(0, at) + text.slice(at + 1);
    case 3:
      return text.slice(0, at) + text.slice(at, at + (code % 40)) + text.slice(at);
    default:
      return text.slice(0, at) + text.slice(at + 1 + (code % 40));
  }
}

const edited = (text: fc.Arbitrary<string>) =>
  fc
    .tuple(
      text,
      fc.oneof(
        { weight: 3, arbitrary: fc.constant([]) },
        { weight: 2, arbitrary: fc.array(edit, { minLength: 1, maxLength: 2 }) },
      ),
    )
    .map(([bytes, edits]) => Buffer.from(edits.reduce(apply, bytes), 'latin1'));

/** One to four requests behind each other. */
export const nastyRequests: fc.Arbitrary<Buffer> = edited(
  fc
    .array(fc.oneof({ weight: 3, arbitrary: honestRequest }, { weight: 2, arbitrary: request }), {
      minLength: 1,
      maxLength: 4,
    })
    .map((all) => all.join('')),
);

/** One to four responses behind each other. */
export const nastyResponses: fc.Arbitrary<Buffer> = edited(
  fc
    .array(fc.oneof({ weight: 3, arbitrary: honestResponse }, { weight: 2, arbitrary: response }), {
      minLength: 1,
      maxLength: 4,
    })
    .map((all) => all.join('')),
);

/** Where to cut a stream into TCP pieces, as parts of its length; none means whole. */
export const cuts: fc.Arbitrary<readonly number[]> = fc.oneof(
  fc.constant([]),
  fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 8 }),
);

/** The stream cut at those places. */
export function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const stops = [...new Set(places.map((place) => Math.floor(place * bytes.length)))].sort((a, b) => a - b);
  const pieces: Buffer[] = [];
  let from = 0;
  for (const stop of [...stops, bytes.length]) {
    if (stop > from) pieces.push(bytes.subarray(from, stop));
    from = Math.max(from, stop);
  }
  return pieces;
}

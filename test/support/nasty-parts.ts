// Parts of nasty messages: methods, targets, fields, chunks and bodies, each usually honest and sometimes odd or forged.
import fc from 'fast-check';

export const sometimes = <T>(
  honest: fc.Arbitrary<T>,
  nasty: fc.Arbitrary<T>,
  honestWeight = 12,
): fc.Arbitrary<T> => fc.oneof({ weight: honestWeight, arbitrary: honest }, { weight: 1, arbitrary: nasty });

export const of = (...texts: string[]) => fc.constantFrom(...texts);

/** Bytes that some reader takes for another one. */
export const NASTY_BYTES = [
  0, 9, 10, 11, 12, 13, 27, 32, 34, 35, 44, 47, 48, 58, 59, 61, 64, 92, 127, 128, 133, 160, 255,
];

const nastyText = fc
  .array(fc.oneof(fc.constantFrom(...NASTY_BYTES), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  })
  .map((codes) => String.fromCharCode(...codes));

export const lineEnd = sometimes(
  of('\r\n'),
  of('\n', '\r', '\r\r\n', '\n\r\n', ' \r\n', '\r\n ', '\r\n\t', '\0\r\n', '\x0b\r\n'),
  60,
);

export const method = sometimes(
  of('GET', 'POST', 'HEAD', 'PUT', 'OPTIONS', 'DELETE', 'PATCH'),
  of('get', 'G', 'CONNECT', 'PRI', 'GET\t', '', 'G\xe9T', 'GET /', 'M-SEARCH', '!#$%&', 'TRACE'),
);

export const target = sometimes(
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

export const version = sometimes(
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

export const statusLine = sometimes(
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
export const framed = fc.oneof(
  { weight: 3, arbitrary: fc.constant(['', ''] as const) },
  { weight: 3, arbitrary: fc.constant(['Content-Length: 5\r\n', 'hello'] as const) },
  { weight: 4, arbitrary: chunkedBody.map((text) => ['Transfer-Encoding: chunked\r\n', text] as const) },
  { weight: 3, arbitrary: body.map((text) => ['', text] as const) },
);

export const fields = fc.array(field, { maxLength: 4 }).map((lines) => lines.join(''));

/** One request, as one byte a character. */

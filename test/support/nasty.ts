// Generators of HTTP/1.x bytes that are almost right: honest messages, every known smuggling trick in
// any place, and single changed bytes. Enough of them stay valid to make "what we accept" meaningful.
import fc from 'fast-check';
import {
  fields,
  framed,
  lineEnd,
  method,
  NASTY_BYTES,
  of,
  sometimes,
  statusLine,
  target,
  version,
} from './nasty-parts.ts';

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

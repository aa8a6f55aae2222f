// The response head for the client, byte for byte: one canonical form whatever the upstream's spelling.
import { describe, expect, it } from 'vitest';
import { foldedName } from '../../../src/http1/field-names.ts';
import { type ResponseRewrite, writeResponseHead } from '../../../src/http1/forward-response.ts';
import { BODY, ResponseFraming } from '../../../src/http1/framing.ts';
import { Output } from '../../../src/http1/output.ts';
import { ResponseHead } from '../../../src/http1/response-head.ts';
import { headOf } from '../../support/forwarding.ts';
import { latin1 } from '../../support/head-feeding.ts';

const DATE = 'Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n';

/** What goes to the client for a response of these lines. */
function answer(lines: string[], more: Partial<ResponseRewrite> = {}, answersHead = false): string {
  const bytes = latin1(`${lines.join('\r\n')}\r\n\r\nSECRET`);
  const parsed = new ResponseHead();
  const framing = new ResponseFraming();
  parsed.reset();
  const headEnd = parsed.parse(bytes, 0, bytes.length);
  expect(headEnd).toBe(bytes.length - 6);
  expect(framing.read(parsed, answersHead)).toBeNull();
  const rewrite: ResponseRewrite = {
    minorVersion: 1,
    body: framing.body,
    keepAlive: true,
    via: false,
    droppedFields: null,
    addedLines: '',
    dateLine: '',
    ...more,
  };
  const out = new Output(16);
  writeResponseHead(out, parsed, framing, headEnd, rewrite);
  return out.bytes.toString('latin1', 0, out.length);
}

it('a response head lacks the dropped fields in every spelling, and has those that are added', () => {
  const lines = ['HTTP/1.1 200 OK', 'Content-Length: 0', 'X-Variant: forged', 'x_variant:forged', 'A: b'];
  const sent = answer(lines, { droppedFields: [foldedName('x-variant')], addedLines: 'x-variant: a\r\n' });
  expect(sent).toBe(headOf('HTTP/1.1 200 OK', 'Content-Length: 0', 'A: b', 'x-variant: a'));
});

it('an interim response lacks the dropped fields as well, and has none that are added', () => {
  const lines = ['HTTP/1.1 103 Early Hints', 'X-Variant: forged', 'Link: </a>'];
  const sent = answer(lines, { droppedFields: [foldedName('x-variant')], addedLines: 'x-variant: a\r\n' });
  expect(sent).toBe(headOf('HTTP/1.1 103 Early Hints', 'Link: </a>'));
});

describe('a response head', () => {
  it.each([
    'x-splitter-error: FAKE',
    'X-Splitter-Fallback: b',
    'x_splitter_error: FAKE',
    'X.Splitter-Error: FAKE',
    'x-splitter-anything: b',
  ])('lacks what only the splitter may say: %s', (line) => {
    const added = { addedLines: 'x-splitter-fallback: other\r\n' };
    expect(answer(['HTTP/1.1 200 OK', 'Content-Length: 0', line, 'X-Split: b'], added)).toBe(
      headOf('HTTP/1.1 200 OK', 'Content-Length: 0', 'X-Split: b', 'x-splitter-fallback: other'),
    );
    expect(answer(['HTTP/1.1 103 Early Hints', line, 'X-Splitter: b'])).toBe(
      headOf('HTTP/1.1 103 Early Hints', 'X-Splitter: b'),
    );
  });

  it('that is canonical passes byte for byte', () => {
    const lines = [
      'HTTP/1.1 200 Fine \xfc',
      'Content-Length: 5',
      'set-cookie: a',
      'Set-Cookie: b',
      'X: \xff',
    ];
    expect(answer(lines)).toBe(headOf(...lines));
  });

  it('is HTTP/1.1 whatever the upstream speaks, with the space that the grammar wants', () => {
    expect(answer(['HTTP/1.0 200 OK', 'Content-Length: 0'])).toBe(
      headOf('HTTP/1.1 200 OK', 'Content-Length: 0'),
    );
    expect(answer(['HTTP/1.1 200', 'Content-Length: 0'])).toBe(headOf('HTTP/1.1 200 ', 'Content-Length: 0'));
    expect(answer(['HTTP/1.1 200 ', 'Content-Length: 0'])).toBe(headOf('HTTP/1.1 200 ', 'Content-Length: 0'));
    expect(answer(['HTTP/1.0 200', 'Content-Length: 0'])).toBe(headOf('HTTP/1.1 200 ', 'Content-Length: 0'));
  });

  it('loses its hop-by-hop fields by name and by nomination', () => {
    const lines = [
      'HTTP/1.1 200 OK',
      'Connection: X-Hop, keep-alive',
      'Keep-Alive: timeout=5',
      'A:b',
      'Proxy-Connection: close',
      'Upgrade: h2c',
      'x-hop: 1',
      'TE: trailers',
      'Content-Length: 0',
    ];
    expect(answer(lines)).toBe(headOf('HTTP/1.1 200 OK', 'A: b', 'Content-Length: 0'));
  });

  it('keeps its Content-Length when Connection nominates it', () => {
    expect(answer(['HTTP/1.1 200 OK', 'Content-Length: 5', 'Connection: content-length'])).toBe(
      headOf('HTTP/1.1 200 OK', 'Content-Length: 5'),
    );
  });

  it('says chunked where the body goes on in chunks: one that was chunked or ends with its connection', () => {
    expect(answer(['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Trailer: X'])).toBe(
      headOf('HTTP/1.1 200 OK', 'Trailer: X', 'Transfer-Encoding: chunked'),
    );
    expect(answer(['HTTP/1.0 200 OK', 'A: b'], { body: BODY.chunked })).toBe(
      headOf('HTTP/1.1 200 OK', 'A: b', 'Transfer-Encoding: chunked'),
    );
  });

  it('says nothing of chunks nor trailers to an HTTP/1.0 client, and that the connection closes', () => {
    const lines = ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Trailer: X'];
    expect(answer(lines, { minorVersion: 0, body: BODY.close, keepAlive: false })).toBe(
      headOf('HTTP/1.1 200 OK', 'Connection: close'),
    );
  });

  it('says keep-alive to HTTP/1.0 alone, close to all', () => {
    const lines = ['HTTP/1.1 200 OK', 'Content-Length: 0'];
    expect(answer(lines, { minorVersion: 0 })).toBe(headOf(...lines, 'Connection: keep-alive'));
    expect(answer(lines, { minorVersion: 0, keepAlive: false })).toBe(headOf(...lines, 'Connection: close'));
    expect(answer(lines, { keepAlive: false })).toBe(headOf(...lines, 'Connection: close'));
  });

  it('keeps the length of a body that HEAD or 304 left out; 204 and 1xx must not have one', () => {
    expect(answer(['HTTP/1.1 200 OK', 'Content-Length: 5'], { body: BODY.none }, true)).toBe(
      headOf('HTTP/1.1 200 OK', 'Content-Length: 5'),
    );
    expect(answer(['HTTP/1.1 304 Not Modified', 'Content-Length: 5', 'ETag: "x"'])).toBe(
      headOf('HTTP/1.1 304 Not Modified', 'Content-Length: 5', 'ETag: "x"'),
    );
    expect(answer(['HTTP/1.1 204 No Content', 'Content-Length: 0', 'A: b'])).toBe(
      headOf('HTTP/1.1 204 No Content', 'A: b'),
    );
    expect(answer(['HTTP/1.1 103 Early Hints', 'Content-Length: 0', 'Link: </a>'])).toBe(
      headOf('HTTP/1.1 103 Early Hints', 'Link: </a>'),
    );
  });

  it('gets a Date when it brings none (RFC 9110 §6.6.1), an interim one does not', () => {
    const line = DATE.trimEnd();
    expect(answer(['HTTP/1.1 200 OK', 'Content-Length: 0'], { dateLine: DATE })).toBe(
      headOf('HTTP/1.1 200 OK', 'Content-Length: 0', line),
    );
    const dated = ['HTTP/1.1 200 OK', 'dATE: Mon, 07 Nov 1994 08:49:37 GMT', 'Content-Length: 0'];
    expect(answer(dated, { dateLine: DATE })).toBe(headOf(...dated));
    expect(answer(['HTTP/1.1 100 Continue'], { dateLine: DATE })).toBe(headOf('HTTP/1.1 100 Continue'));
  });

  it('an interim one says nothing of this connection, also when it closes', () => {
    expect(answer(['HTTP/1.1 100 Continue', 'Connection: close'], { keepAlive: false })).toBe(
      headOf('HTTP/1.1 100 Continue'),
    );
    expect(answer(['HTTP/1.1 102 Processing'], { minorVersion: 0 })).toBe(headOf('HTTP/1.1 102 Processing'));
  });

  it('101 keeps its protocol and says what the connection becomes', () => {
    const lines = [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-X: y',
    ];
    expect(answer(lines)).toBe(
      headOf('HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Sec-X: y', 'Connection: Upgrade'),
    );
  });

  it('gets Via with the version that was received', () => {
    expect(answer(['HTTP/1.0 200 OK', 'Content-Length: 0'], { via: true })).toBe(
      headOf('HTTP/1.1 200 OK', 'Content-Length: 0', 'Via: 1.0 request-splitter'),
    );
  });
});

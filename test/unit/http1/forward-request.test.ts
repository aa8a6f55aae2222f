// The request head for the upstream, byte for byte: one canonical form whatever the client's spelling, hop-by-hop fields
// gone by name and by nomination, and the rest as it came.
import { describe, expect, it } from 'vitest';
import { foldedName } from '../../../src/http1/field-names.ts';
import type { RequestEdit } from '../../../src/http1/forward-request.ts';
import { FACTS, forward, headOf } from '../../support/forwarding.ts';
import { latin1 } from '../../support/head-feeding.ts';

describe('a request that is canonical already', () => {
  it('passes byte for byte', () => {
    const lines = ['GET /x?token=42 HTTP/1.1', 'Host: h', 'Accept: */*', 'Cookie: a=b; c=d', 'X-Empty: x'];
    expect(forward(lines)).toBe(headOf(...lines));
  });

  it('keeps order, case and repetitions of its fields', () => {
    const lines = ['GET / HTTP/1.1', 'zz: 1', 'HOST: h', 'cookie: a', 'Zz: 2', 'Cookie: b'];
    expect(forward(lines)).toBe(headOf(...lines));
  });

  it('keeps bytes above 0x7f in its target and its values', () => {
    const lines = ['GET /\xe9 HTTP/1.1', 'Host: h', 'X: \xff\xfe'];
    expect(forward(lines)).toBe(headOf(...lines));
  });

  it('keeps its method, whatever token it is', () => {
    expect(forward(['m-search /a HTTP/1.1', 'Host: h'])).toBe(headOf('m-search /a HTTP/1.1', 'Host: h'));
  });
});

describe('one canonical form', () => {
  it('white space around values becomes one space in front', () => {
    const lines = ['GET / HTTP/1.1', 'Host:h', 'A: \t b c \t', 'B:', 'C: \t ', 'D: d'];
    expect(forward(lines)).toBe(headOf('GET / HTTP/1.1', 'Host: h', 'A: b c', 'B: ', 'C: ', 'D: d'));
  });

  it('an odd line between runs of good ones is rewritten alone', () => {
    const lines = ['GET / HTTP/1.1', 'Host: h', 'A: 1', 'B:  2', 'C: 3', 'D: 4', 'E:5', 'F: 6'];
    expect(forward(lines)).toBe(
      headOf('GET / HTTP/1.1', 'Host: h', 'A: 1', 'B: 2', 'C: 3', 'D: 4', 'E: 5', 'F: 6'),
    );
  });

  it('the empty line in front of a request is gone', () => {
    expect(forward(['', 'GET / HTTP/1.1', 'Host: h'])).toBe(headOf('GET / HTTP/1.1', 'Host: h'));
  });

  it('chunked is said once, whatever its spelling was', () => {
    const lines = ['POST / HTTP/1.1', 'Host: h', 'transfer-encoding: \tCHUNKED  ', 'A: b'];
    expect(forward(lines)).toBe(headOf('POST / HTTP/1.1', 'Host: h', 'A: b', 'Transfer-Encoding: chunked'));
  });

  it('Content-Length passes', () => {
    const lines = ['POST / HTTP/1.1', 'Host: h', 'Content-Length: 5'];
    expect(forward(lines)).toBe(headOf(...lines));
  });
});

describe('the target', () => {
  it.each([
    ['GET http://other:81/p?q HTTP/1.1', 'GET /p?q HTTP/1.1', 'other:81'],
    ['GET http://other HTTP/1.1', 'GET / HTTP/1.1', 'other'],
    ['GET http://other?q=1 HTTP/1.1', 'GET /?q=1 HTTP/1.1', 'other'],
    ['GET HTTPS://other/ HTTP/1.1', 'GET / HTTP/1.1', 'other'],
    ['OPTIONS http://other:81 HTTP/1.1', 'OPTIONS * HTTP/1.1', 'other:81'],
    ['OPTIONS http://other/ HTTP/1.1', 'OPTIONS / HTTP/1.1', 'other'],
    ['GET http://other/p HTTP/1.0', 'GET /p HTTP/1.1', 'other'],
  ])('%s is sent as %s, its authority in place of Host', (line, sent, host) => {
    expect(forward([line, 'A: b', 'Host: honest', 'C: d'])).toBe(
      headOf(sent, `Host: ${host}`, 'A: b', 'C: d'),
    );
  });

  it('OPTIONS * stays as it is', () => {
    expect(forward(['OPTIONS * HTTP/1.1', 'Host: h'])).toBe(headOf('OPTIONS * HTTP/1.1', 'Host: h'));
  });
});

describe('Host', () => {
  it('is replaced in front of all fields when the upstream has one of its own', () => {
    const sent = forward(['GET / HTTP/1.1', 'A: b', 'Host: h', 'C: d'], { host: latin1('own:82') });
    expect(sent).toBe(headOf('GET / HTTP/1.1', 'Host: own:82', 'A: b', 'C: d'));
  });

  it('of the upstream wins over that of an absolute-form', () => {
    const sent = forward(['GET http://other/ HTTP/1.1', 'Host: h'], { host: latin1('own') });
    expect(sent).toBe(headOf('GET / HTTP/1.1', 'Host: own'));
  });

  it("that HTTP/1.0 did not send becomes the upstream's authority", () => {
    expect(forward(['GET / HTTP/1.0', 'A: b'])).toBe(
      headOf('GET / HTTP/1.1', 'Host: upstream.example:81', 'A: b'),
    );
  });

  it('that HTTP/1.0 did send is kept', () => {
    expect(forward(['GET / HTTP/1.0', 'Host: h', 'A: b'])).toBe(headOf('GET / HTTP/1.1', 'Host: h', 'A: b'));
  });

  it('stays when Connection nominates it: a request without Host would be refused or go elsewhere', () => {
    expect(forward(['GET / HTTP/1.1', 'Host: h', 'Connection: Host'])).toBe(
      headOf('GET / HTTP/1.1', 'Host: h'),
    );
  });
});

describe('hop-by-hop fields', () => {
  it('go by name', () => {
    const sent = forward([
      'GET / HTTP/1.1',
      'Connection: keep-alive',
      'Keep-Alive: timeout=5',
      'Host: h',
      'Proxy-Connection: keep-alive',
      'TE: deflate',
      'A: b',
      'Upgrade: websocket',
    ]);
    expect(sent).toBe(headOf('GET / HTTP/1.1', 'Host: h', 'A: b'));
  });

  it('go by nomination, in every case and in every Connection field', () => {
    const sent = forward([
      'GET / HTTP/1.1',
      'Host: h',
      'X-One: 1',
      'x-two: 2',
      'Connection: x-ONE, close',
      'X-Three: 3',
      'Connection: ,X-Two',
      'X-One: again',
    ]);
    expect(sent).toBe(headOf('GET / HTTP/1.1', 'Host: h', 'X-Three: 3'));
  });

  it('Content-Length stays when it is nominated: the body behind it would become a request', () => {
    const sent = forward(['POST / HTTP/1.1', 'Host: h', 'Content-Length: 5', 'Connection: Content-Length']);
    expect(sent).toBe(headOf('POST / HTTP/1.1', 'Host: h', 'Content-Length: 5'));
  });

  it('chunked stays when Transfer-Encoding is nominated', () => {
    const sent = forward([
      'POST / HTTP/1.1',
      'Host: h',
      'Transfer-Encoding: chunked',
      'Connection: transfer-encoding',
    ]);
    expect(sent).toBe(headOf('POST / HTTP/1.1', 'Host: h', 'Transfer-Encoding: chunked'));
  });

  it('TE: trailers is passed on as what this hop says', () => {
    const sent = forward(['GET / HTTP/1.1', 'Host: h', 'TE: gzip, trailers', 'Connection: TE']);
    expect(sent).toBe(headOf('GET / HTTP/1.1', 'Host: h', 'TE: trailers', 'Connection: TE'));
  });

  it('Expect passes from HTTP/1.1 and stops from HTTP/1.0', () => {
    const fields = ['Host: h', 'Expect: 100-continue', 'Content-Length: 1'];
    expect(forward(['POST / HTTP/1.1', ...fields])).toBe(headOf('POST / HTTP/1.1', ...fields));
    expect(forward(['POST / HTTP/1.0', ...fields])).toBe(
      headOf('POST / HTTP/1.1', 'Host: h', 'Content-Length: 1'),
    );
  });
});

describe('an upgrade', () => {
  it('that may pass is asked for anew, its protocol as the client wrote it', () => {
    const sent = forward([
      'GET /ws HTTP/1.1',
      'Upgrade: WebSocket',
      'Host: h',
      'Connection: keep-alive, Upgrade, X-Hop',
      'X-Hop: 1',
      'Sec-WebSocket-Key: k',
    ]);
    expect(sent).toBe(
      headOf(
        'GET /ws HTTP/1.1',
        'Host: h',
        'Sec-WebSocket-Key: k',
        'Connection: Upgrade',
        'Upgrade: WebSocket',
      ),
    );
  });
});

describe('Max-Forwards', () => {
  it.each(['OPTIONS', 'TRACE'])('of %s is counted down by one', (method) => {
    expect(forward([`${method} / HTTP/1.1`, 'Host: h', 'Max-Forwards: 10', 'A: b'])).toBe(
      headOf(`${method} / HTTP/1.1`, 'Host: h', 'Max-Forwards: 9', 'A: b'),
    );
  });

  it('of other methods passes', () => {
    const lines = ['GET / HTTP/1.1', 'Host: h', 'Max-Forwards: 10'];
    expect(forward(lines)).toBe(headOf(...lines));
  });

  it('that is no number goes no further', () => {
    expect(forward(['OPTIONS / HTTP/1.1', 'Host: h', 'Max-Forwards: ten', 'A: b'])).toBe(
      headOf('OPTIONS / HTTP/1.1', 'Host: h', 'A: b'),
    );
  });
});

describe('Via', () => {
  it('is added behind those that came, with the version that was received', () => {
    expect(forward(['GET / HTTP/1.0', 'Host: h', 'Via: 1.1 a'], { via: true })).toBe(
      headOf('GET / HTTP/1.1', 'Host: h', 'Via: 1.1 a', 'Via: 1.0 request-splitter'),
    );
  });
});

/** What goes to the upstream when this is to be edited out and in. */
const edited = (edit: Partial<RequestEdit>, ...lines: string[]) => {
  const nothing = { droppedFields: [], target: null, cookie: null, addedLines: '', requestId: null };
  return forward(lines, {}, FACTS, { ...nothing, ...edit });
};

describe('an edited request', () => {
  it('is the same one where nothing is edited', () => {
    const lines = ['GET /x?token=42 HTTP/1.1', 'Host: h', 'Cookie: a=b', 'X-Variant: x'];
    expect(edited({}, ...lines)).toBe(headOf(...lines));
  });

  it('has another target and the rest as it was', () => {
    const target = latin1('/x?a\xe9');
    expect(edited({ target }, 'GET /x?v=1&a\xe9 HTTP/1.1', 'Host: h', 'A:b', 'C: d')).toBe(
      headOf('GET /x?a\xe9 HTTP/1.1', 'Host: h', 'A: b', 'C: d'),
    );
    expect(edited({ target }, 'GET http://other/x?v HTTP/1.1', 'Host: h', 'A: b')).toBe(
      headOf('GET /x?a\xe9 HTTP/1.1', 'Host: other', 'A: b'),
    );
  });

  // An application behind CGI, WSGI or Rack sees HTTP_X_VARIANT for each of these: the client would name its own variant.
  it('lacks the dropped fields in every spelling that an application takes for the same', () => {
    const smuggled = ['X-Variant: b', 'x-variant: b', 'X_VARIANT: b', 'x_Variant:b', 'X.Variant: b'];
    const sent = edited(
      { droppedFields: [foldedName('X-Variant')] },
      'GET / HTTP/1.1',
      'Host: h',
      ...smuggled,
      'A: b',
    );
    expect(sent).toBe(headOf('GET / HTTP/1.1', 'Host: h', 'A: b'));
  });

  it('keeps fields whose names only begin or end alike', () => {
    const lines = [
      'GET / HTTP/1.1',
      'Host: h',
      'X-Variants: b',
      'X-Varian: b',
      'My-X-Variant: b',
      'XVariant: b',
    ];
    expect(edited({ droppedFields: [foldedName('x-variant')] }, ...lines)).toBe(headOf(...lines));
  });

  it('has one Cookie field with what is left of all of them, and none when nothing is left', () => {
    const lines = ['GET / HTTP/1.1', 'Host: h', 'Cookie: a=1', 'A: b', 'cookie: v=1; c=2'];
    expect(edited({ cookie: latin1('a=1; c=2') }, ...lines)).toBe(
      headOf('GET / HTTP/1.1', 'Host: h', 'A: b', 'Cookie: a=1; c=2'),
    );
    expect(edited({ cookie: latin1('') }, ...lines)).toBe(headOf('GET / HTTP/1.1', 'Host: h', 'A: b'));
  });

  it('has no Cookie field that Connection names', () => {
    const lines = ['GET / HTTP/1.1', 'Host: h', 'Connection: cookie', 'Cookie: v=1; c=2'];
    expect(edited({ cookie: latin1('c=2') }, ...lines)).toBe(headOf('GET / HTTP/1.1', 'Host: h'));
  });

  // "Connection: x-variant" is the client's wish to have a field dropped on the way; ours is none of its own.
  it('has its added lines whatever Connection names', () => {
    const edit = { droppedFields: [foldedName('x-variant')], addedLines: 'x-variant: a\r\n' };
    const lines = ['GET / HTTP/1.1', 'Host: h', 'Connection: X-Variant', 'X-Variant: b'];
    expect(edited(edit, ...lines)).toBe(headOf('GET / HTTP/1.1', 'Host: h', 'x-variant: a'));
  });

  it('has its id in place of one without a value', () => {
    const edit = { droppedFields: [foldedName('x-request-id')], requestId: 'b7' };
    const lines = ['GET / HTTP/1.1', 'Host: h', 'X_Request_Id:', 'A: b'];
    expect(edited(edit, ...lines)).toBe(headOf('GET / HTTP/1.1', 'Host: h', 'A: b', 'x-request-id: b7'));
  });
});

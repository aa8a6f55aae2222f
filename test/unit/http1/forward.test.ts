// The rewritten heads, byte for byte: one canonical form whatever the sender's spelling, hop-by-hop fields gone by
// name and by nomination, and the rest as it came.
import { describe, expect, it } from 'vitest';
import {
  fieldName,
  type RequestEdit,
  type RequestRewrite,
  type ResponseRewrite,
  writeLastChunk,
  writeRequestHead,
  writeResponseHead,
} from '../../../src/http1/forward.ts';
import { BODY, RequestFraming, ResponseFraming } from '../../../src/http1/framing.ts';
import { RequestHead, ResponseHead, TrailerSection } from '../../../src/http1/head.ts';
import { Output } from '../../../src/http1/output.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const CLIENT = '10.0.0.9';
const FACTS = {
  address: CLIENT,
  lines: latin1(`X-Forwarded-For: ${CLIENT}\r\nX-Forwarded-Proto: http\r\n`),
};

/** What goes to the upstream for a request of these lines; X-Forwarded-* are left alone unless asked for. */
function forward(
  lines: string[],
  more: Partial<RequestRewrite> = {},
  facts = FACTS,
  edit: RequestEdit | null = null,
): string {
  // Bytes in front and behind, as in a connection's buffer: neither may leak into the head.
  const front = 'SECRET\r\n';
  const bytes = latin1(`${front}${lines.join('\r\n')}\r\n\r\nSECRET`);
  const head = new RequestHead();
  const framing = new RequestFraming();
  head.reset();
  const headEnd = head.parse(bytes, front.length, bytes.length);
  expect(headEnd).toBe(bytes.length - 6);
  expect(framing.read(head)).toBeNull();
  const rewrite: RequestRewrite = {
    host: null,
    authority: latin1('upstream.example:81'),
    forwarded: 'keep',
    via: false,
    ...more,
  };
  // Small on purpose: the output has to grow in the middle of a head.
  const out = new Output(16);
  const upgrades = framing.upgradeEnd > framing.upgradeStart;
  writeRequestHead(out, head, framing, headEnd, rewrite, facts, upgrades, edit);
  return out.bytes.toString('latin1', 0, out.length);
}

const head = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`;

describe('a request that is canonical already', () => {
  it('passes byte for byte', () => {
    const lines = ['GET /x?token=42 HTTP/1.1', 'Host: h', 'Accept: */*', 'Cookie: a=b; c=d', 'X-Empty: x'];
    expect(forward(lines)).toBe(head(...lines));
  });

  it('keeps order, case and repetitions of its fields', () => {
    const lines = ['GET / HTTP/1.1', 'zz: 1', 'HOST: h', 'cookie: a', 'Zz: 2', 'Cookie: b'];
    expect(forward(lines)).toBe(head(...lines));
  });

  it('keeps bytes above 0x7f in its target and its values', () => {
    const lines = ['GET /\xe9 HTTP/1.1', 'Host: h', 'X: \xff\xfe'];
    expect(forward(lines)).toBe(head(...lines));
  });

  it('keeps its method, whatever token it is', () => {
    expect(forward(['m-search /a HTTP/1.1', 'Host: h'])).toBe(head('m-search /a HTTP/1.1', 'Host: h'));
  });
});

describe('one canonical form', () => {
  it('white space around values becomes one space in front', () => {
    const lines = ['GET / HTTP/1.1', 'Host:h', 'A: \t b c \t', 'B:', 'C: \t ', 'D: d'];
    expect(forward(lines)).toBe(head('GET / HTTP/1.1', 'Host: h', 'A: b c', 'B: ', 'C: ', 'D: d'));
  });

  it('an odd line between runs of good ones is rewritten alone', () => {
    const lines = ['GET / HTTP/1.1', 'Host: h', 'A: 1', 'B:  2', 'C: 3', 'D: 4', 'E:5', 'F: 6'];
    expect(forward(lines)).toBe(
      head('GET / HTTP/1.1', 'Host: h', 'A: 1', 'B: 2', 'C: 3', 'D: 4', 'E: 5', 'F: 6'),
    );
  });

  it('the empty line in front of a request is gone', () => {
    expect(forward(['', 'GET / HTTP/1.1', 'Host: h'])).toBe(head('GET / HTTP/1.1', 'Host: h'));
  });

  it('chunked is said once, whatever its spelling was', () => {
    const lines = ['POST / HTTP/1.1', 'Host: h', 'transfer-encoding: \tCHUNKED  ', 'A: b'];
    expect(forward(lines)).toBe(head('POST / HTTP/1.1', 'Host: h', 'A: b', 'Transfer-Encoding: chunked'));
  });

  it('Content-Length passes', () => {
    const lines = ['POST / HTTP/1.1', 'Host: h', 'Content-Length: 5'];
    expect(forward(lines)).toBe(head(...lines));
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
    expect(forward([line, 'A: b', 'Host: honest', 'C: d'])).toBe(head(sent, `Host: ${host}`, 'A: b', 'C: d'));
  });

  it('OPTIONS * stays as it is', () => {
    expect(forward(['OPTIONS * HTTP/1.1', 'Host: h'])).toBe(head('OPTIONS * HTTP/1.1', 'Host: h'));
  });
});

describe('Host', () => {
  it('is replaced in front of all fields when the upstream has one of its own', () => {
    const sent = forward(['GET / HTTP/1.1', 'A: b', 'Host: h', 'C: d'], { host: latin1('own:82') });
    expect(sent).toBe(head('GET / HTTP/1.1', 'Host: own:82', 'A: b', 'C: d'));
  });

  it('of the upstream wins over that of an absolute-form', () => {
    const sent = forward(['GET http://other/ HTTP/1.1', 'Host: h'], { host: latin1('own') });
    expect(sent).toBe(head('GET / HTTP/1.1', 'Host: own'));
  });

  it("that HTTP/1.0 did not send becomes the upstream's authority", () => {
    expect(forward(['GET / HTTP/1.0', 'A: b'])).toBe(
      head('GET / HTTP/1.1', 'Host: upstream.example:81', 'A: b'),
    );
  });

  it('that HTTP/1.0 did send is kept', () => {
    expect(forward(['GET / HTTP/1.0', 'Host: h', 'A: b'])).toBe(head('GET / HTTP/1.1', 'Host: h', 'A: b'));
  });

  it('stays when Connection nominates it: a request without Host would be refused or go elsewhere', () => {
    expect(forward(['GET / HTTP/1.1', 'Host: h', 'Connection: Host'])).toBe(
      head('GET / HTTP/1.1', 'Host: h'),
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
    expect(sent).toBe(head('GET / HTTP/1.1', 'Host: h', 'A: b'));
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
    expect(sent).toBe(head('GET / HTTP/1.1', 'Host: h', 'X-Three: 3'));
  });

  it('Content-Length stays when it is nominated: the body behind it would become a request', () => {
    const sent = forward(['POST / HTTP/1.1', 'Host: h', 'Content-Length: 5', 'Connection: Content-Length']);
    expect(sent).toBe(head('POST / HTTP/1.1', 'Host: h', 'Content-Length: 5'));
  });

  it('chunked stays when Transfer-Encoding is nominated', () => {
    const sent = forward([
      'POST / HTTP/1.1',
      'Host: h',
      'Transfer-Encoding: chunked',
      'Connection: transfer-encoding',
    ]);
    expect(sent).toBe(head('POST / HTTP/1.1', 'Host: h', 'Transfer-Encoding: chunked'));
  });

  it('TE: trailers is passed on as what this hop says', () => {
    const sent = forward(['GET / HTTP/1.1', 'Host: h', 'TE: gzip, trailers', 'Connection: TE']);
    expect(sent).toBe(head('GET / HTTP/1.1', 'Host: h', 'TE: trailers', 'Connection: TE'));
  });

  it('Expect passes from HTTP/1.1 and stops from HTTP/1.0', () => {
    const fields = ['Host: h', 'Expect: 100-continue', 'Content-Length: 1'];
    expect(forward(['POST / HTTP/1.1', ...fields])).toBe(head('POST / HTTP/1.1', ...fields));
    expect(forward(['POST / HTTP/1.0', ...fields])).toBe(
      head('POST / HTTP/1.1', 'Host: h', 'Content-Length: 1'),
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
      head(
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
      head(`${method} / HTTP/1.1`, 'Host: h', 'Max-Forwards: 9', 'A: b'),
    );
  });

  it('of other methods passes', () => {
    const lines = ['GET / HTTP/1.1', 'Host: h', 'Max-Forwards: 10'];
    expect(forward(lines)).toBe(head(...lines));
  });

  it('that is no number goes no further', () => {
    expect(forward(['OPTIONS / HTTP/1.1', 'Host: h', 'Max-Forwards: ten', 'A: b'])).toBe(
      head('OPTIONS / HTTP/1.1', 'Host: h', 'A: b'),
    );
  });
});

describe('X-Forwarded-*', () => {
  const lines = ['GET / HTTP/1.1', 'Host: h'];
  const own = [`X-Forwarded-For: ${CLIENT}`, 'X-Forwarded-Proto: http', 'X-Forwarded-Host: h'];
  const sent = (forwarded: RequestRewrite['forwarded'], ...fields: string[]) =>
    forward([...lines, ...fields], { forwarded });

  it('append writes all three for a request that brings none', () => {
    expect(sent('append')).toBe(head(...lines, ...own));
  });

  it('append joins what came into one field with the client address at its end', () => {
    expect(sent('append', 'X-Forwarded-For: 1.1.1.1', 'A: b', 'x-forwarded-for: 2.2.2.2, 3.3.3.3')).toBe(
      head(...lines, 'A: b', `X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, ${CLIENT}`, ...own.slice(1)),
    );
  });

  it('append leaves empty fields out of the list', () => {
    expect(sent('append', 'X-Forwarded-For:', 'X-Forwarded-For: 1.1.1.1')).toBe(
      head(...lines, `X-Forwarded-For: 1.1.1.1, ${CLIENT}`, ...own.slice(1)),
    );
    expect(sent('append', 'X-Forwarded-For:')).toBe(head(...lines, ...own));
  });

  it('append keeps a Proto and a Host that came', () => {
    expect(sent('append', 'X-Forwarded-Proto: https')).toBe(
      head(...lines, 'X-Forwarded-Proto: https', own[0]!, own[2]!),
    );
    expect(sent('append', 'X-Forwarded-Host: shop')).toBe(
      head(...lines, 'X-Forwarded-Host: shop', own[0]!, own[1]!),
    );
    expect(
      sent('append', 'X-Forwarded-For: 1.1.1.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: shop'),
    ).toBe(
      head(
        ...lines,
        'X-Forwarded-Proto: https',
        'X-Forwarded-Host: shop',
        `X-Forwarded-For: 1.1.1.1, ${CLIENT}`,
      ),
    );
  });

  it('replace forgets what came', () => {
    const fields = ['X-Forwarded-For: 1.1.1.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: shop'];
    expect(sent('replace', ...fields)).toBe(head(...lines, ...own));
  });

  // The attack: applications behind CGI, WSGI and Rack read all of these as HTTP_X_FORWARDED_FOR and its like.
  it.each([
    'X_Forwarded_For: 6.6.6.6',
    'X-Forwarded_For: 6.6.6.6',
    'x_forwarded-proto: https',
    'X.Forwarded.Host: evil',
    'X~Forwarded!Host: evil',
    'X-Forwarded-Port: 443',
    'X_Forwarded_Prefix: /admin',
    'X-Forwarded-Server: evil',
    'X-Forwarded-Ssl: on',
    'Forwarded: for=6.6.6.6',
    'FORWARDED: for=6.6.6.6',
  ])('replace and remove let no other spelling and no relative pass: %s', (line) => {
    expect(sent('replace', line, 'A: b')).toBe(head(...lines, 'A: b', ...own));
    expect(sent('remove', line, 'A: b')).toBe(head(...lines, 'A: b'));
    expect(sent('keep', line, 'A: b')).toBe(head(...lines, line, 'A: b'));
  });

  it('replace and remove leave names that only look alike', () => {
    const fields = ['X-Forward: 1', 'Forwarded-For: 1', 'X-Real-IP: 1', 'Forwarded2: 1'];
    expect(sent('remove', ...fields)).toBe(head(...lines, ...fields));
  });

  it('keep changes nothing, remove removes all', () => {
    const fields = ['X-Forwarded-For: 1.1.1.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: shop'];
    expect(sent('keep', ...fields)).toBe(head(...lines, ...fields));
    expect(sent('remove', ...fields)).toBe(head(...lines));
    expect(sent('keep')).toBe(head(...lines));
    expect(sent('remove')).toBe(head(...lines));
  });

  it('that Connection nominates are written anew: a client cannot have them left out', () => {
    const nominate = 'Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host';
    const fields = ['X-Forwarded-For: 1.1.1.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: shop'];
    expect(sent('append', ...fields, nominate)).toBe(head(...lines, ...own));
    expect(sent('append', nominate)).toBe(head(...lines, ...own));
    expect(sent('replace', ...fields, nominate)).toBe(head(...lines, ...own));
  });

  it('name the authority of an absolute-form as the host', () => {
    expect(forward(['GET http://other:81 HTTP/1.1', 'Host: h'], { forwarded: 'append' })).toBe(
      head('GET / HTTP/1.1', 'Host: other:81', own[0]!, own[1]!, 'X-Forwarded-Host: other:81'),
    );
  });

  it("name the client's Host where the upstream's own replaces it", () => {
    expect(forward(lines, { forwarded: 'append', host: latin1('own') })).toBe(
      head('GET / HTTP/1.1', 'Host: own', ...own),
    );
  });

  it('name no host when HTTP/1.0 sent none', () => {
    expect(forward(['GET / HTTP/1.0'], { forwarded: 'append' })).toBe(
      head('GET / HTTP/1.1', 'Host: upstream.example:81', own[0]!, own[1]!),
    );
  });

  it('name no address on a Unix socket', () => {
    const facts = { address: '', lines: latin1('X-Forwarded-Proto: http\r\n') };
    expect(forward(lines, { forwarded: 'append' }, facts)).toBe(head(...lines, own[1]!, own[2]!));
    expect(forward([...lines, 'X-Forwarded-For: 1.1.1.1'], { forwarded: 'append' }, facts)).toBe(
      head(...lines, 'X-Forwarded-For: 1.1.1.1', own[1]!, own[2]!),
    );
  });
});

describe('Via', () => {
  it('is added behind those that came, with the version that was received', () => {
    expect(forward(['GET / HTTP/1.0', 'Host: h', 'Via: 1.1 a'], { via: true })).toBe(
      head('GET / HTTP/1.1', 'Host: h', 'Via: 1.1 a', 'Via: 1.0 request-splitter'),
    );
  });
});

/** What goes to the upstream when this is to be edited out and in. */
const edited = (edit: Partial<RequestEdit>, ...lines: string[]) =>
  forward(lines, {}, FACTS, { droppedFields: [], target: null, cookie: null, addedLines: '', ...edit });

describe('an edited request', () => {
  it('is the same one where nothing is edited', () => {
    const lines = ['GET /x?token=42 HTTP/1.1', 'Host: h', 'Cookie: a=b', 'X-Variant: x'];
    expect(edited({}, ...lines)).toBe(head(...lines));
  });

  it('has another target and the rest as it was', () => {
    const target = latin1('/x?a\xe9');
    expect(edited({ target }, 'GET /x?v=1&a\xe9 HTTP/1.1', 'Host: h', 'A:b', 'C: d')).toBe(
      head('GET /x?a\xe9 HTTP/1.1', 'Host: h', 'A: b', 'C: d'),
    );
    expect(edited({ target }, 'GET http://other/x?v HTTP/1.1', 'Host: h', 'A: b')).toBe(
      head('GET /x?a\xe9 HTTP/1.1', 'Host: other', 'A: b'),
    );
  });

  // An application behind CGI, WSGI or Rack sees HTTP_X_VARIANT for each of these: the client would name its own variant.
  it('lacks the dropped fields in every spelling that an application takes for the same', () => {
    const smuggled = ['X-Variant: b', 'x-variant: b', 'X_VARIANT: b', 'x_Variant:b', 'X.Variant: b'];
    const sent = edited(
      { droppedFields: [fieldName('X-Variant')] },
      'GET / HTTP/1.1',
      'Host: h',
      ...smuggled,
      'A: b',
    );
    expect(sent).toBe(head('GET / HTTP/1.1', 'Host: h', 'A: b'));
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
    expect(edited({ droppedFields: [fieldName('x-variant')] }, ...lines)).toBe(head(...lines));
  });

  it('has one Cookie field with what is left of all of them, and none when nothing is left', () => {
    const lines = ['GET / HTTP/1.1', 'Host: h', 'Cookie: a=1', 'A: b', 'cookie: v=1; c=2'];
    expect(edited({ cookie: latin1('a=1; c=2') }, ...lines)).toBe(
      head('GET / HTTP/1.1', 'Host: h', 'A: b', 'Cookie: a=1; c=2'),
    );
    expect(edited({ cookie: latin1('') }, ...lines)).toBe(head('GET / HTTP/1.1', 'Host: h', 'A: b'));
  });

  it('has no Cookie field that Connection names', () => {
    const lines = ['GET / HTTP/1.1', 'Host: h', 'Connection: cookie', 'Cookie: v=1; c=2'];
    expect(edited({ cookie: latin1('c=2') }, ...lines)).toBe(head('GET / HTTP/1.1', 'Host: h'));
  });

  // "Connection: x-variant" is the client's wish to have a field dropped on the way; ours is none of its own.
  it('has its added lines whatever Connection names', () => {
    const edit = { droppedFields: [fieldName('x-variant')], addedLines: 'x-variant: a\r\n' };
    const lines = ['GET / HTTP/1.1', 'Host: h', 'Connection: X-Variant', 'X-Variant: b'];
    expect(edited(edit, ...lines)).toBe(head('GET / HTTP/1.1', 'Host: h', 'x-variant: a'));
  });
});

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
  const sent = answer(lines, { droppedFields: [fieldName('x-variant')], addedLines: 'x-variant: a\r\n' });
  expect(sent).toBe(head('HTTP/1.1 200 OK', 'Content-Length: 0', 'A: b', 'x-variant: a'));
});

it('an interim response lacks the dropped fields as well, and has none that are added', () => {
  const lines = ['HTTP/1.1 103 Early Hints', 'X-Variant: forged', 'Link: </a>'];
  const sent = answer(lines, { droppedFields: [fieldName('x-variant')], addedLines: 'x-variant: a\r\n' });
  expect(sent).toBe(head('HTTP/1.1 103 Early Hints', 'Link: </a>'));
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
      head('HTTP/1.1 200 OK', 'Content-Length: 0', 'X-Split: b', 'x-splitter-fallback: other'),
    );
    expect(answer(['HTTP/1.1 103 Early Hints', line, 'X-Splitter: b'])).toBe(
      head('HTTP/1.1 103 Early Hints', 'X-Splitter: b'),
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
    expect(answer(lines)).toBe(head(...lines));
  });

  it('is HTTP/1.1 whatever the upstream speaks, with the space that the grammar wants', () => {
    expect(answer(['HTTP/1.0 200 OK', 'Content-Length: 0'])).toBe(
      head('HTTP/1.1 200 OK', 'Content-Length: 0'),
    );
    expect(answer(['HTTP/1.1 200', 'Content-Length: 0'])).toBe(head('HTTP/1.1 200 ', 'Content-Length: 0'));
    expect(answer(['HTTP/1.1 200 ', 'Content-Length: 0'])).toBe(head('HTTP/1.1 200 ', 'Content-Length: 0'));
    expect(answer(['HTTP/1.0 200', 'Content-Length: 0'])).toBe(head('HTTP/1.1 200 ', 'Content-Length: 0'));
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
    expect(answer(lines)).toBe(head('HTTP/1.1 200 OK', 'A: b', 'Content-Length: 0'));
  });

  it('keeps its Content-Length when Connection nominates it', () => {
    expect(answer(['HTTP/1.1 200 OK', 'Content-Length: 5', 'Connection: content-length'])).toBe(
      head('HTTP/1.1 200 OK', 'Content-Length: 5'),
    );
  });

  it('says chunked where the body goes on in chunks: one that was chunked or ends with its connection', () => {
    expect(answer(['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Trailer: X'])).toBe(
      head('HTTP/1.1 200 OK', 'Trailer: X', 'Transfer-Encoding: chunked'),
    );
    expect(answer(['HTTP/1.0 200 OK', 'A: b'], { body: BODY.chunked })).toBe(
      head('HTTP/1.1 200 OK', 'A: b', 'Transfer-Encoding: chunked'),
    );
  });

  it('says nothing of chunks nor trailers to an HTTP/1.0 client, and that the connection closes', () => {
    const lines = ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Trailer: X'];
    expect(answer(lines, { minorVersion: 0, body: BODY.close, keepAlive: false })).toBe(
      head('HTTP/1.1 200 OK', 'Connection: close'),
    );
  });

  it('says keep-alive to HTTP/1.0 alone, close to all', () => {
    const lines = ['HTTP/1.1 200 OK', 'Content-Length: 0'];
    expect(answer(lines, { minorVersion: 0 })).toBe(head(...lines, 'Connection: keep-alive'));
    expect(answer(lines, { minorVersion: 0, keepAlive: false })).toBe(head(...lines, 'Connection: close'));
    expect(answer(lines, { keepAlive: false })).toBe(head(...lines, 'Connection: close'));
  });

  it('keeps the length of a body that HEAD or 304 left out; 204 and 1xx must not have one', () => {
    expect(answer(['HTTP/1.1 200 OK', 'Content-Length: 5'], { body: BODY.none }, true)).toBe(
      head('HTTP/1.1 200 OK', 'Content-Length: 5'),
    );
    expect(answer(['HTTP/1.1 304 Not Modified', 'Content-Length: 5', 'ETag: "x"'])).toBe(
      head('HTTP/1.1 304 Not Modified', 'Content-Length: 5', 'ETag: "x"'),
    );
    expect(answer(['HTTP/1.1 204 No Content', 'Content-Length: 0', 'A: b'])).toBe(
      head('HTTP/1.1 204 No Content', 'A: b'),
    );
    expect(answer(['HTTP/1.1 103 Early Hints', 'Content-Length: 0', 'Link: </a>'])).toBe(
      head('HTTP/1.1 103 Early Hints', 'Link: </a>'),
    );
  });

  it('gets a Date when it brings none (RFC 9110 §6.6.1), an interim one does not', () => {
    const line = DATE.trimEnd();
    expect(answer(['HTTP/1.1 200 OK', 'Content-Length: 0'], { dateLine: DATE })).toBe(
      head('HTTP/1.1 200 OK', 'Content-Length: 0', line),
    );
    const dated = ['HTTP/1.1 200 OK', 'dATE: Mon, 07 Nov 1994 08:49:37 GMT', 'Content-Length: 0'];
    expect(answer(dated, { dateLine: DATE })).toBe(head(...dated));
    expect(answer(['HTTP/1.1 100 Continue'], { dateLine: DATE })).toBe(head('HTTP/1.1 100 Continue'));
  });

  it('an interim one says nothing of this connection, also when it closes', () => {
    expect(answer(['HTTP/1.1 100 Continue', 'Connection: close'], { keepAlive: false })).toBe(
      head('HTTP/1.1 100 Continue'),
    );
    expect(answer(['HTTP/1.1 102 Processing'], { minorVersion: 0 })).toBe(head('HTTP/1.1 102 Processing'));
  });

  it('101 keeps its protocol and says what the connection becomes', () => {
    const lines = [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-X: y',
    ];
    expect(answer(lines)).toBe(
      head('HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Sec-X: y', 'Connection: Upgrade'),
    );
  });

  it('gets Via with the version that was received', () => {
    expect(answer(['HTTP/1.0 200 OK', 'Content-Length: 0'], { via: true })).toBe(
      head('HTTP/1.1 200 OK', 'Content-Length: 0', 'Via: 1.0 request-splitter'),
    );
  });
});

describe('the end of a chunked body', () => {
  const endOf = (framing: ResponseFraming, lines: string[], dropped: Uint8Array[] | null = null) => {
    const section = new TrailerSection(false);
    const bytes = latin1(head(...lines, '').slice(0, lines.length === 0 ? 2 : -2));
    expect(section.parse(bytes, 0, bytes.length)).toBe(bytes.length);
    const out = new Output(16);
    writeLastChunk(out, section, framing, dropped);
    return out.bytes.toString('latin1', 0, out.length);
  };
  const end = (...lines: string[]) => endOf(new ResponseFraming(), lines);

  it('is the last chunk and an empty line', () => {
    expect(end()).toBe('0\r\n\r\n');
  });

  it('carries no trailer of a dropped name', () => {
    const lines = ['X-Variant: forged', 'x_variant: forged', 'A: b'];
    expect(endOf(new ResponseFraming(), lines, [fieldName('x-variant')])).toBe('0\r\nA: b\r\n\r\n');
  });

  it('carries no trailers when Connection nominates a field, which may be one of them', () => {
    const framing = new ResponseFraming();
    framing.nominated.push(0, 5);
    expect(endOf(framing, ['X-Hop: secret', 'A: b'])).toBe('0\r\n\r\n');
  });

  it('carries the trailers in canonical form', () => {
    expect(end('X-Sum:1', 'grpc-status: \t0 ')).toBe('0\r\nX-Sum: 1\r\ngrpc-status: 0\r\n\r\n');
  });

  it.each([
    'TE: trailers',
    'Trailer: X',
    'Keep-Alive: x',
    'Proxy-Connection: x',
    'Authorization: x',
    'Proxy-Authorization: x',
    'Cookie: a=b',
    'SET-COOKIE: a=b',
    'Content-Type: text/html',
    'Content-Encoding: gzip',
    'Content-Range: bytes 0-1/2',
    'Cache-Control: no-store',
    'Location: /',
    'Vary: *',
    'Expect: 100-continue',
    'Max-Forwards: 0',
    'X-Forwarded-For: 1.1.1.1',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: evil',
    'Forwarded: for=1.1.1.1',
    'Via: 1.1 x',
    'X-Splitter-Error: INTERNAL',
    'X_Splitter_Fallback: b',
    'X.Splitter-Anything: b',
    'X_Forwarded_For: 1.1.1.1',
    'X-Forwarded_Proto: https',
    'X.Forwarded.Host: evil',
    'X-Forwarded-Port: 443',
    'Set_Cookie: a=b',
    'Proxy_Authorization: x',
    'Content_Type: text/html',
  ])('leaves out %s, which some reader would merge into the head', (line) => {
    expect(end('A: 1', line, 'B: 2')).toBe('0\r\nA: 1\r\nB: 2\r\n\r\n');
  });
});

describe('an output', () => {
  it('grows without losing a byte, starts over in the same memory', () => {
    const out = new Output(4);
    out.text('abc');
    out.copy(latin1('xdefghijx'), 1, 8);
    out.text('\xe9');
    expect(out.bytes.toString('latin1', 0, out.length)).toBe('abcdefghij\xe9');
    const { bytes } = out;
    out.clear();
    out.text('z');
    expect(out.bytes).toBe(bytes);
    expect(out.length).toBe(1);
    expect(bytes.toString('latin1', 0, 1)).toBe('z');
  });
});

// What RFC 9112 and RFC 9110 oblige a recipient to read, in requests and in responses, and the one canonical form in which
// it goes on. What they let a recipient refuse is in docs/decisions/0004 and smuggling.test.ts.
import { describe, expect, it } from 'vitest';
import { type Message, readMessage } from '../../support/message.ts';
import { startLine } from '../../support/splitter.ts';

const BARE = { forwarded: 'remove' };

/** Head lines, an empty line, and whatever is behind it. */
const message = (lines: readonly string[], body = '') => `${lines.join('\r\n')}\r\n\r\n${body}`;

/** The head as it stood on the wire; the body without the chunks in which it came. */
const essence = ({ raw, body, trailers }: Message) => ({ head: raw.split('\r\n\r\n')[0], body, trailers });

describe('a request', () => {
  const CHUNKED = ['POST / HTTP/1.1', 'Host: h', 'Transfer-Encoding: chunked'];
  const chunked = (body: string) => message(CHUNKED, body);
  const hello = chunked('5\r\nhello\r\n0\r\n\r\n');
  const post = (...fields: string[]) => ['POST / HTTP/1.1', 'Host: h', ...fields];
  const get = (target: string, host: string, ...fields: string[]) =>
    message([`GET ${target} HTTP/1.1`, `Host: ${host}`, ...fields]);

  it.each([
    ['an empty line in front (RFC 9112 §2.2)', `\r\n${get('/', 'h')}`, get('/', 'h')],
    ['absolute-form (§3.2.2)', get('http://a:81/p?q', 'b'), get('/p?q', 'a:81')],
    ['absolute-form in any case, without a path (§3.2.2)', get('HTTP://a?q', 'b'), get('/?q', 'a')],
    [
      'OPTIONS of an authority (§3.2.4)',
      message(['OPTIONS http://a HTTP/1.1', 'Host: b']),
      message(['OPTIONS * HTTP/1.1', 'Host: a']),
    ],
    ['a Host with an empty port (RFC 3986 §3.2.3)', get('/', 'h:'), get('/', 'h:')],
    [
      'no white space, and tabs, around a value (§5)',
      message(['GET / HTTP/1.1', 'Host:h', 'A:\t b \t', 'B:']),
      get('/', 'h', 'A: b', 'B: '),
    ],
    [
      'a length between tabs (§5)',
      message(post('Content-Length:\t2\t'), 'ab'),
      message(post('Content-Length: 2'), 'ab'),
    ],
    [
      'a length with leading zeros (RFC 9110 §8.6)',
      message(post('Content-Length: 00000000000000000002'), 'ab'),
      message(post('Content-Length: 2'), 'ab'),
    ],
    [
      '"chunked" in any case between tabs (§7)',
      message(post('Transfer-Encoding:\tCHUNKED\t'), '5\r\nhello\r\n0\r\n\r\n'),
      hello,
    ],
    [
      'empty elements beside "chunked" (RFC 9110 §5.6.1.2)',
      message(post('Transfer-Encoding: , chunked ,', 'Transfer-Encoding:'), '5\r\nhello\r\n0\r\n\r\n'),
      hello,
    ],
    ['white space behind a chunk size (§7.1.1)', chunked('5 \t\r\nhello\r\n0 \r\n\r\n'), hello],
    [
      'white space around chunk extensions (§7.1.1)',
      chunked('5 ; a\t=\t"b;\\"" ; c \r\nhello\r\n0\t;a\r\n\r\n'),
      hello,
    ],
    [
      'leading zeros and both cases of a chunk size (§7.1)',
      chunked('000000000000000000A\r\nhellohello\r\n00\r\n\r\n'),
      chunked('a\r\nhellohello\r\n0\r\n\r\n'),
    ],
    [
      'trailers with white space (§7.1.2)',
      chunked('5\r\nhello\r\n0\r\nX:\ty\t\r\n\r\n'),
      chunked('5\r\nhello\r\n0\r\nX: y\r\n\r\n'),
    ],
    [
      'empty elements in Connection (RFC 9110 §5.6.1.2)',
      get('/', 'h', 'Connection: ,\t, x-a ,', 'X-A: b'),
      get('/', 'h'),
    ],
    [
      'TE between empty elements (RFC 9110 §10.1.4)',
      get('/', 'h', 'Connection: TE', 'TE: ,\t, Trailers ,'),
      get('/', 'h', 'TE: trailers', 'Connection: TE'),
    ],
    ['HTTP/1.0 without Host (§2.3)', 'GET / HTTP/1.0\r\n\r\n', null],
  ])('%s', async (_, sent, expected) => {
    for (const pieces of [[sent], [...sent]]) {
      const { client, upstream } = await startLine(undefined, BARE);
      await client.ask(...pieces);
      const wanted = expected ?? get('/', new URL(upstream.url).host);
      expect(upstream.requests.map(essence)).toEqual([essence(readMessage(wanted)!)]);
      if (pieces.length === 1) expect(upstream.transcript).toBe(wanted);
    }
  });
});

describe('a response', () => {
  const DATE = 'Date: Thu, 01 Jan 1970 00:00:00 GMT';
  const ok = (fields: readonly string[], body = '', line = 'HTTP/1.1 200 OK') =>
    message([line, ...fields, DATE], body);
  const chunked = (body: string) => ok(['Transfer-Encoding: chunked'], body);
  /** As it goes on: framing comes last. */
  const sentOn = (body: string) => message(['HTTP/1.1 200 OK', DATE, 'Transfer-Encoding: chunked'], body);
  const hello = sentOn('5\r\nhello\r\n0\r\n\r\n');

  it.each([
    [
      'an empty reason phrase (RFC 9112 §4)',
      ok(['Content-Length: 2'], 'ab', 'HTTP/1.1 200 '),
      ok(['Content-Length: 2'], 'ab', 'HTTP/1.1 200 '),
    ],
    [
      'an empty reason phrase without its space',
      ok(['Content-Length: 2'], 'ab', 'HTTP/1.1 200'),
      ok(['Content-Length: 2'], 'ab', 'HTTP/1.1 200 '),
    ],
    [
      'a higher minor version (RFC 9110 §2.5)',
      ok(['Content-Length: 2'], 'ab', 'HTTP/1.9 200 OK'),
      ok(['Content-Length: 2'], 'ab'),
    ],
    [
      'white space in front of a colon, which a proxy MUST remove (§5.1)',
      ok(['Content-Length : 2', 'A\t:\tb'], 'ab'),
      ok(['Content-Length: 2', 'A: b'], 'ab'),
    ],
    [
      'folded lines (§5.2)',
      ok(['Content-Length:\r\n 2', 'A: b\r\n\tc', 'B:\r\n '], 'ab'),
      ok(['Content-Length: 2', 'A: b   c', 'B: '], 'ab'),
    ],
    ['a length between tabs (§5)', ok(['Content-Length:\t2\t'], 'ab'), ok(['Content-Length: 2'], 'ab')],
    [
      'a length with leading zeros (RFC 9110 §8.6)',
      ok(['Content-Length: 00000000000000000002'], 'ab'),
      ok(['Content-Length: 2'], 'ab'),
    ],
    [
      '"chunked" in any case between empty elements (§7)',
      ok(['Transfer-Encoding:\t, ChunkeD\t,'], '5\r\nhello\r\n0\r\n\r\n'),
      hello,
    ],
    ['white space behind a chunk size (§7.1.1)', chunked('5   \r\nhello\r\n0\t\r\n\r\n'), hello],
    [
      'white space around chunk extensions (§7.1.1)',
      chunked('5 ; a\t=\t"b;\\"" ; c \r\nhello\r\n0 ;a\r\n\r\n'),
      hello,
    ],
    ['leading zeros of a chunk size (§7.1)', chunked('00000000000000000005\r\nhello\r\n000\r\n\r\n'), hello],
    [
      'trailers that want mending (§5.1, §5.2)',
      chunked('5\r\nhello\r\n0\r\nX : y\r\n z\r\n\r\n'),
      sentOn('5\r\nhello\r\n0\r\nX: y   z\r\n\r\n'),
    ],
    [
      'empty elements in Connection (RFC 9110 §5.6.1.2)',
      ok(['Connection: ,, x-a,', 'X-A: b', 'Content-Length: 0']),
      ok(['Content-Length: 0']),
    ],
  ])('%s', async (_, answer, expected) => {
    for (const pieces of [[answer], [...answer]]) {
      const { client } = await startLine(async (peer) => {
        await peer.request();
        await peer.send(...pieces);
      });
      const answered = await client.ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      expect(essence(answered)).toEqual(essence(readMessage(expected)!));
      if (pieces.length === 1) expect(answered.raw).toBe(expected);
    }
  });

  it('a fold or white space in a length changes nothing of what is refused', async () => {
    for (const fields of [
      'Content-Length: 1\r\n 0',
      'Content-Length : 1\r\nContent-Length: 1',
      'Transfer-Encoding: chunked\r\n ,gzip',
    ]) {
      const { client } = await startLine(async (peer) => {
        await peer.request();
        await peer.send(`HTTP/1.1 200 OK\r\n${fields}\r\n\r\n`);
      });
      const { line } = await client.ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      expect(line).toBe('HTTP/1.1 502 Bad Gateway');
    }
  });
});

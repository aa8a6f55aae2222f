// What we accept, Node's own parser accepts, with the same method, target, fields, body and end of the message. It is
// what most upstreams of a Node shop read with, so a difference would be a request that only one of the two sees.
//
// Some differences are wanted and translated before the comparison: any token is a method here (llhttp knows a list), raw
// bytes above 0x7f may stand in a target, as nginx takes them (llhttp refuses them), and what the RFC says must be read is
// read where llhttp is stricter than that; STRICTER names each of these. None of them leaves the splitter as it came.
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { cutAt, cuts, nastyRequests } from '../support/nasty.ts';
import { readWithNode } from '../support/node-parser.ts';
import { type Reading, readRequests } from '../support/our-parser.ts';
import { RUNS_LIMIT_MS, runs } from '../support/runs.ts';

vi.setConfig({ testTimeout: RUNS_LIMIT_MS });

/** What Node's `url` is for us: an absolute-form without scheme and authority (RFC 9112 §3.2.2, §3.2.4). */
function withoutAuthority(method: string, url: string): string {
  const match = /^https?:\/\/[^/?]+(.*)$/is.exec(url);
  if (match === null) return url;
  const rest = match[1]!;
  if (rest === '') return method === 'OPTIONS' ? '*' : '/';
  return rest.startsWith('?') ? `/${rest}` : rest;
}

/** What llhttp refuses though a recipient has to read it, and the same in a spelling that it takes. */
const STRICTER: Readonly<Record<'head' | 'chunkSize', readonly [name: string, from: RegExp, to: string][]>> =
  {
    head: [
      [
        'a tab, and empty elements, around "chunked" (RFC 9110 §5.6.1.2)',
        /^(transfer-encoding:)[ \t,]*(chunked)[ \t,]*(?=\r\n)/gim,
        '$1 $2',
      ],
      [
        'a Transfer-Encoding without an element beside "chunked" (RFC 9110 §5.6.1.2)',
        /^transfer-encoding:[ \t,]*(?=\r\n)/gim,
        'X-Empty: 1',
      ],
    ],
    chunkSize: [
      ['white space behind a chunk size (BWS, RFC 9112 §7.1.1)', /^([0-9a-f]+)[ \t]+/i, '$1'],
      [
        'white space around and inside an extension (BWS, RFC 9112 §7.1.1)',
        /^([0-9a-f]+);(?:[^"\t ]|"(?:[^"\\]|\\.)*")*[ \t].*$/is,
        '$1;x',
      ],
    ],
  };

function asLlhttpTakesIt(text: string, spellings: (typeof STRICTER)['head']): string {
  return spellings.reduce((so, [, from, to]) => so.replace(from, to), text);
}

/** A whole chunked body with its size lines as llhttp takes them. */
function withPlainSizes(body: string): string {
  let position = 0;
  let plain = '';
  for (;;) {
    const lineEnd = body.indexOf('\r\n', position);
    const line = body.slice(position, lineEnd);
    plain += asLlhttpTakesIt(line, STRICTER.chunkSize);
    const size = Number.parseInt(line, 16);
    const next = size === 0 ? body.length : lineEnd + 2 + size + 2;
    plain += body.slice(lineEnd, next);
    if (size === 0) return plain;
    position = next;
  }
}

/** What follows the target of one accepted message, as llhttp takes it. */
function restFor({ framing, end }: Reading, rest: string): string {
  const headEnd = rest.indexOf('\r\n\r\n') + 4;
  const head = asLlhttpTakesIt(rest.slice(0, headEnd), STRICTER.head);
  const body = rest.slice(headEnd);
  return head + (framing === 'chunked' && end >= 0 ? withPlainSizes(body) : body);
}

/** The fields of an accepted message as llhttp is shown them. */
function fieldsFor(fields: readonly string[]): string[] {
  return fields.flatMap((_, i) => {
    if (i % 2 === 1) return [];
    const line = asLlhttpTakesIt(`${fields[i]}: ${fields[i + 1]}\r\n`, STRICTER.head).slice(0, -2);
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+/, '')];
  });
}

const MARKER = Buffer.from('GET /marker HTTP/1.1\r\nHost: marker\r\n\r\n');

/**
 * What Node reads in our place: the messages that we accepted, with the wanted differences taken out (every method one
 * of llhttp's, every target plain ASCII), and an honest request right behind the last one that ended.
 */
function translate(stream: Buffer, messages: readonly Reading[]): Buffer {
  const pieces: Buffer[] = [];
  const text = stream.toString('latin1');
  for (const message of messages) {
    const { line, start, end } = message;
    const methodStart = text.startsWith('\r\n', start) ? start + 2 : start;
    const targetStart = methodStart + line[0]!.length + 1;
    const targetEnd = text.indexOf(' ', targetStart);
    const ascii = text.slice(targetStart, targetEnd).replace(/[\x80-\xff]/g, 'u');
    pieces.push(Buffer.from(`${nodeMethod(line[0]!)} ${ascii}`));
    pieces.push(Buffer.from(restFor(message, text.slice(targetEnd, end < 0 ? text.length : end)), 'latin1'));
  }
  if (isOpen(messages.at(-1)!)) pieces.push(MARKER);
  return Buffer.concat(pieces);
}

/** Another request may stand behind this one. Behind what may be an upgrade Node reads no more requests. */
const isOpen = (message: Reading) => message.end >= 0 && message.keepAlive && !message.upgrade;

const NODE_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE']);
const nodeMethod = (method: string) => (NODE_METHODS.has(method) ? method : 'POST');

interface Seen {
  accepted: number;
  bodies: number;
  second: number;
}

async function agrees(stream: Buffer, places: readonly number[], seen: Seen): Promise<void> {
  const { messages } = readRequests([stream]);
  if (messages.length === 0) return;
  const node = await readWithNode(cutAt(translate(stream, messages), places));
  for (const [i, ours] of messages.entries()) {
    const theirs = node.requests[i];
    const method = nodeMethod(ours.line[0]!);
    expect(theirs, `request ${i} is accepted here alone, llhttp says ${node.error}`).toBeDefined();
    expect({
      method: theirs!.method,
      target: withoutAuthority(method, theirs!.target),
      minorVersion: theirs!.minorVersion,
      fields: theirs!.fields,
    }).toEqual({
      method,
      target: ours.line[1]!.replace(/[\x80-\xff]/g, 'u'),
      minorVersion: ours.minorVersion,
      fields: fieldsFor(ours.fields),
    });
    seen.accepted++;
    if (ours.end < 0) break;
    expect({ body: theirs!.body, isWhole: theirs!.isWhole, trailers: theirs!.trailers }).toEqual({
      body: ours.body,
      isWhole: true,
      trailers: ours.trailers,
    });
    if (ours.body !== '') seen.bodies++;
    if (i > 0) seen.second++;
    if (ours.upgrade) return;
  }
  if (isOpen(messages.at(-1)!)) {
    expect(node.requests.slice(messages.length).map(({ target }) => target)).toEqual(['/marker']);
  }
}

describe('llhttp is stricter than the RFC', () => {
  const post = (fields: string, body: string) => `POST / HTTP/1.1\r\nHost: h\r\n${fields}\r\n\r\n${body}`;
  const chunked = (body: string) => post('Transfer-Encoding: chunked', body);
  it.each([
    ['a tab behind "chunked"', post('Transfer-Encoding: chunked\t', '2\r\nab\r\n0\r\n\r\n')],
    ['an empty element behind "chunked"', post('Transfer-Encoding: chunked ,', '2\r\nab\r\n0\r\n\r\n')],
    ['white space behind a chunk size', chunked('2 \t\r\nab\r\n0\r\n\r\n')],
    ['white space in front of an extension', chunked('2 ;a\r\nab\r\n0\r\n\r\n')],
    ['white space inside an extension', chunked('2; a = "b"\r\nab\r\n0\r\n\r\n')],
  ])('%s is read here, refused there, and read there in a plain spelling', async (_, text) => {
    const stream = Buffer.from(text, 'latin1');
    const { messages, fault } = readRequests([stream]);
    expect({ fault, body: messages[0]?.body, end: messages[0]?.end }).toEqual({
      fault: null,
      body: 'ab',
      end: stream.length,
    });
    const node = await readWithNode([stream]);
    expect(node.requests[0]?.isWhole ?? false).toBe(false);
    const translated = await readWithNode([translate(stream, messages)]);
    expect(translated.requests[0]).toMatchObject({ body: 'ab', isWhole: true });
  });
});

describe('llhttp agrees with every request that we accept', () => {
  it('its method, target, fields, body, trailers, and where the next request starts', async () => {
    const seen: Seen = { accepted: 0, bodies: 0, second: 0 };
    await fc.assert(
      fc.asyncProperty(nastyRequests, cuts, (stream, places) => agrees(stream, places, seen)),
      runs(4000),
    );
    // A generator whose messages are all refused would prove nothing.
    expect(seen.accepted).toBeGreaterThan(800);
    expect(seen.bodies).toBeGreaterThan(100);
    expect(seen.second).toBeGreaterThan(100);
  });
});

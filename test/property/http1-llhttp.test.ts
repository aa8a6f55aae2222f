// What we accept, Node's own parser accepts, with the same method, target, fields, body and end of the message. It is
// what most upstreams of a Node shop read with, so a difference would be a request that only one of the two sees.
//
// Two differences are wanted and translated before the comparison: any token is a method here (llhttp knows a list),
// and raw bytes above 0x7f may stand in a target, as nginx takes them (llhttp refuses them).
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutAt, cuts, nastyRequests } from '../support/nasty.ts';
import { readWithNode } from '../support/node-parser.ts';
import { type Reading, readRequests } from '../support/our-parser.ts';

/** What Node's `url` is for us: an absolute-form without scheme and authority (RFC 9112 §3.2.2, §3.2.4). */
function withoutAuthority(method: string, url: string): string {
  const match = /^https?:\/\/[^/?]+(.*)$/is.exec(url);
  if (match === null) return url;
  const rest = match[1]!;
  if (rest === '') return method === 'OPTIONS' ? '*' : '/';
  return rest.startsWith('?') ? `/${rest}` : rest;
}

const MARKER = Buffer.from('GET /marker HTTP/1.1\r\nHost: marker\r\n\r\n');

/**
 * What Node reads in our place: the messages that we accepted, with the wanted differences taken out (every method one
 * of llhttp's, every target plain ASCII), and an honest request right behind the last one that ended.
 */
function translate(stream: Buffer, messages: readonly Reading[]): Buffer {
  const pieces: Buffer[] = [];
  const text = stream.toString('latin1');
  for (const { line, start, end } of messages) {
    const methodStart = text.startsWith('\r\n', start) ? start + 2 : start;
    const targetStart = methodStart + line[0]!.length + 1;
    const targetEnd = text.indexOf(' ', targetStart);
    const ascii = text.slice(targetStart, targetEnd).replace(/[\x80-\xff]/g, 'u');
    pieces.push(Buffer.from(`${nodeMethod(line[0]!)} ${ascii}`));
    pieces.push(stream.subarray(targetEnd, end < 0 ? stream.length : end));
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
      fields: ours.fields,
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

describe('llhttp agrees with every request that we accept', () => {
  it('its method, target, fields, body, trailers, and where the next request starts', async () => {
    const seen: Seen = { accepted: 0, bodies: 0, second: 0 };
    await fc.assert(
      fc.asyncProperty(nastyRequests, cuts, (stream, places) => agrees(stream, places, seen)),
      { numRuns: 4000 },
    );
    // A generator whose messages are all refused would prove nothing.
    expect(seen.accepted).toBeGreaterThan(800);
    expect(seen.bodies).toBeGreaterThan(100);
    expect(seen.second).toBeGreaterThan(100);
  });
});

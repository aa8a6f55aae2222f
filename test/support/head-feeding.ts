// Feeds message heads to their readers in every way: whole, byte by byte, at every cut in two, moved to other memory
// between the pieces, and with bytes after them.
import { expect } from 'vitest';
import type { FaultCode } from '../../src/errors.ts';
import { HEAD_LIMITS, INCOMPLETE, REFUSED } from '../../src/http1/fields.ts';
import { RequestHead, TARGET_FORM } from '../../src/http1/request-head.ts';
import { ResponseHead } from '../../src/http1/response-head.ts';
import type { TrailerSection } from '../../src/http1/trailers.ts';

export const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** The byte that follows the received ones in memory: a reader that looks there finds poison. */
const BEYOND = 0x0a;

/** All ways to feed `text`: as increasing numbers of bytes that have come so far. */
function feedings(byteCount: number): number[][] {
  // Long cases are cut around both ends and in some places between: their middles are all alike.
  const isMiddle = (at: number) => byteCount > 2000 && at > 200 && at < byteCount - 200;
  const singles = Array.from({ length: byteCount }, (_, i) => i + 1);
  const ways = [[byteCount], singles.filter((at) => !isMiddle(at) || at % 23 === 0)];
  const step = byteCount > 2000 ? 997 : 1;
  for (let cut = 1; cut < byteCount; cut += step) ways.push([cut, byteCount]);
  return ways;
}

/** Feeds a head in every way and asserts one outcome; `facts` reads the parsed head while it is alive. */
function parseEveryWay<H extends RequestHead | ResponseHead, F>(
  head: H,
  text: string,
  facts: (head: H) => F,
): { end: number; fault: FaultCode | null; facts: F | null } {
  const received = latin1(text);
  let first: { end: number; fault: FaultCode | null; facts: F | null } | undefined;
  for (const [way, stops] of feedings(received.length).entries()) {
    head.reset();
    let end = INCOMPLETE;
    let from = 0;
    let memory = Buffer.alloc(0);
    let held = 0;
    for (const [piece, to] of stops.entries()) {
      // The head moves: each piece of every second way finds the bytes at another place of other memory. What was
      // parsed stays as the reader left it: it may have rewritten an absolute-form in place.
      const before = memory.subarray(from, from + held);
      from = way % 2 === 0 ? 0 : ((piece * 7) % 64) + 1;
      memory = Buffer.alloc(from + to + 16, BEYOND);
      before.copy(memory, from);
      received.copy(memory, from + held, held, to);
      held = to;
      end = head.parse(memory, from, from + to);
      if (end === REFUSED) break;
      if (end >= 0) {
        expect(to).toBe(received.length);
        end -= from;
      }
    }
    const outcome = { end, fault: head.fault, facts: end >= 0 ? facts(head) : null };
    first ??= outcome;
    expect(outcome, `fed as ${stops.length > 2 ? 'single bytes' : stops.join(' + ')}`).toEqual(first);
  }
  return first!;
}

const text = (head: RequestHead | ResponseHead | TrailerSection, start: number, end: number) =>
  head.bytes.toString('latin1', start, end);

/** Names and values of the field lines. */
export const fieldsOf = (head: RequestHead | ResponseHead | TrailerSection) =>
  Array.from({ length: head.count }, (_, i) => [
    text(head, head.at[i * 4]!, head.at[i * 4 + 1]!),
    text(head, head.at[i * 4 + 2]!, head.at[i * 4 + 3]!),
  ]);

const FORM_NAMES = Object.fromEntries(Object.entries(TARGET_FORM).map(([name, id]) => [id, name]));

/** What a request head says, as text. */
export const requestFacts = (head: RequestHead) => ({
  method: text(head, head.methodStart, head.methodEnd),
  target: text(head, head.targetStart, head.targetEnd),
  form: FORM_NAMES[head.targetForm],
  authority: text(head, head.authorityStart, head.authorityEnd),
  minorVersion: head.minorVersion,
  fields: fieldsOf(head),
});

/** What a response head says, as text. */
export const responseFacts = (head: ResponseHead) => ({
  status: head.status,
  statusAndReason: text(head, head.statusStart, head.reasonEnd),
  minorVersion: head.minorVersion,
  fields: fieldsOf(head),
});

/** Reads a request head in every way. */
export const readRequest = (bytes: string) => parseEveryWay(new RequestHead(), bytes, requestFacts);
/** Reads a response head in every way. */
export const readResponse = (bytes: string) => parseEveryWay(new ResponseHead(), bytes, responseFacts);

/** The same bytes with a body or another message after them: nothing of it may be read. */
export function endsWithItsEmptyLine(head: RequestHead | ResponseHead, bytes: string): void {
  for (const more of ['x', '\r\n', 'GET / HTTP/1.1\r\n\r\n', 'x'.repeat(HEAD_LIMITS.fieldsBytesMax + 10)]) {
    head.reset();
    expect(head.parse(latin1(bytes + more), 0, bytes.length + more.length)).toBe(bytes.length);
  }
}

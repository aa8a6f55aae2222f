// What src/http1 reads in a stream of request or response bytes, message by message, fed in pieces as from a socket:
// the parser under test in the property tests, and the strict judge of what the fuzzer finds at an upstream.

import type { FaultCode } from '../../src/errors.ts';
import { ChunkedDecoder } from '../../src/http1/chunked.ts';
import { type FieldSection, INCOMPLETE } from '../../src/http1/fields.ts';
import { BODY, RequestFraming, ResponseFraming } from '../../src/http1/framing.ts';
import { RequestHead } from '../../src/http1/request-head.ts';
import { ResponseHead } from '../../src/http1/response-head.ts';

/** One message. `start` and `end` are its place in the stream; end is -1 while its body is not complete. */
export interface Reading {
  readonly start: number;
  /** Method and target of a request, status and reason of a response. */
  readonly line: readonly string[];
  readonly minorVersion: number;
  readonly fields: readonly string[];
  readonly framing: 'none' | 'length' | 'chunked' | 'close';
  readonly keepAlive: boolean;
  /** The connection may become something else behind this message. */
  readonly upgrade: boolean;
  readonly body: string;
  readonly trailers: readonly string[];
  readonly end: number;
}

/** All messages up to the first that is refused, incomplete, or the last of its connection. */
export interface Readings {
  readonly messages: readonly Reading[];
  readonly fault: FaultCode | null;
}

const FRAMINGS = ['none', 'length', 'chunked', 'close'] as const;

const slice = (bytes: Buffer, start: number, end: number) => bytes.toString('latin1', start, end);

const fieldsOf = (section: FieldSection) =>
  Array.from({ length: section.count * 2 }, (_, i) =>
    slice(section.bytes, section.at[i * 2]!, section.at[i * 2 + 1]!),
  );

/**
 * Reads requests. A request for an upgrade is the last one, as it is for llhttp. With `readsOn` it is only if it cannot be
 * sent on, which is so for a WebSocket with a body: the upstream of the fuzzer takes no upgrade.
 */
export function readRequests(pieces: readonly Buffer[], readsOn = false): Readings {
  const head = new RequestHead();
  const framing = new RequestFraming();
  const isLastUpgrade = () => {
    const { upgradeStart, upgradeEnd } = framing;
    if (upgradeEnd === upgradeStart || !readsOn) return upgradeEnd > upgradeStart;
    return framing.body !== BODY.none && /^websocket$/i.test(slice(head.bytes, upgradeStart, upgradeEnd));
  };
  return read(pieces, head, framing, {
    judge: () => framing.read(head),
    line: () => [
      slice(head.bytes, head.methodStart, head.methodEnd),
      slice(head.bytes, head.targetStart, head.targetEnd),
    ],
    endsConnection: () => !framing.keepAlive || isLastUpgrade(),
    isUpgrade: () => framing.connectionUpgrade && head.fieldValues('upgrade').length > 0,
  });
}

/** Reads responses; `answersHead` tells for the n-th final one whether its request was HEAD. */
export function readResponses(pieces: readonly Buffer[], answersHead = (_: number) => false): Readings {
  const head = new ResponseHead();
  const framing = new ResponseFraming();
  let finals = 0;
  return read(pieces, head, framing, {
    judge: () => {
      const fault = framing.read(head, answersHead(finals));
      if (!framing.isInterim) finals++;
      return fault;
    },
    line: () => [slice(head.bytes, head.statusStart, head.reasonEnd)],
    endsConnection: () => (!framing.isInterim && !framing.keepAlive) || head.status === 101,
    isUpgrade: () => head.status === 101,
  });
}

interface Side {
  judge(): FaultCode | null;
  line(): string[];
  endsConnection(): boolean;
  isUpgrade(): boolean;
}

function read(
  pieces: readonly Buffer[],
  head: RequestHead | ResponseHead,
  framing: RequestFraming | ResponseFraming,
  side: Side,
): Readings {
  const messages: Reading[] = [];
  const decoder = new ChunkedDecoder(head instanceof ResponseHead);
  // All bytes so far. A new memory with every piece, so that a position kept from an old one shows.
  let bytes: Buffer = Buffer.alloc(0);
  let start = 0;
  let position = 0;
  let isInBody = false;
  let remaining = 0;
  let message: Reading | null = null;
  head.reset();

  const finish = (end: number): boolean => {
    messages.push({ ...message!, trailers: fieldsOfTrailers(), end });
    message = null;
    isInBody = false;
    start = end;
    position = end;
    const isOver = side.endsConnection();
    head.reset();
    return isOver;
  };
  const fieldsOfTrailers = () => (message!.framing === 'chunked' ? fieldsOf(decoder.trailers) : []);
  const append = (from: number, to: number) => {
    message = { ...message!, body: message!.body + slice(bytes, from, to) };
  };

  for (const piece of pieces) {
    bytes = Buffer.concat([bytes, piece]);
    for (;;) {
      if (!isInBody) {
        const end = head.parse(bytes, start, bytes.length);
        if (end === INCOMPLETE) break;
        const fault = end < 0 ? head.fault : side.judge();
        if (fault !== null) return { messages, fault };
        message = {
          start,
          line: side.line(),
          minorVersion: head.minorVersion,
          fields: fieldsOf(head),
          framing: FRAMINGS[framing.body]!,
          keepAlive: framing.keepAlive,
          upgrade: side.isUpgrade(),
          body: '',
          trailers: [],
          end: -1,
        };
        isInBody = true;
        position = end;
        remaining = framing.body === BODY.length ? framing.length : 0;
        if (framing.body === BODY.chunked) decoder.reset();
      }
      if (framing.body === BODY.chunked) {
        while (position < bytes.length && !decoder.isDone && !decoder.isRefused) {
          position = decoder.next(bytes, position, bytes.length);
          append(decoder.dataStart, decoder.dataEnd);
        }
        if (decoder.isRefused) return { messages: [...messages, message!], fault: 'BAD_CHUNK' };
        if (!decoder.isDone) break;
      } else {
        const end = framing.body === BODY.close ? bytes.length : Math.min(bytes.length, position + remaining);
        append(position, end);
        remaining -= end - position;
        position = end;
        if (framing.body === BODY.close || (framing.body === BODY.length && remaining > 0)) break;
      }
      if (finish(position)) return { messages, fault: null };
    }
  }
  return { messages: message === null ? messages : [...messages, message], fault: null };
}

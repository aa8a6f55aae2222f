// Recognizes a response that is an event stream by its Content-Type. Pure.
// Source: WHATWG HTML, server-sent events: the media type text/event-stream.

import { equalsIgnoringCase, HT, SEMICOLON, SP } from '../bytes.ts';
import type { FieldSection } from './fields.ts';

const CONTENT_TYPE = Buffer.from('content-type');
const MEDIA_TYPE = Buffer.from('text/event-stream');

/** True when the section's first Content-Type (RFC 9110 §8.3) is `text/event-stream`, with or without parameters. */
export function isEventStream({ bytes, at, count }: FieldSection): boolean {
  for (let i = 0; i < count * 4; i += 4) {
    const nameStart = at[i]!;
    const nameEnd = at[i + 1]!;
    if (
      nameEnd - nameStart !== CONTENT_TYPE.length ||
      !equalsIgnoringCase(bytes, nameStart, nameEnd, CONTENT_TYPE)
    )
      continue;
    const start = at[i + 2]!;
    const end = start + MEDIA_TYPE.length;
    const valueEnd = at[i + 3]!;
    if (end > valueEnd || !equalsIgnoringCase(bytes, start, end, MEDIA_TYPE)) return false;
    const next = end === valueEnd ? SEMICOLON : bytes[end];
    return next === SEMICOLON || next === SP || next === HT;
  }
  return false;
}

// Request heads as they leave for an upstream, as text: a head is parsed, framed and written.
import { expect } from 'vitest';
import { type RequestEdit, type RequestRewrite, writeRequestHead } from '../../src/http1/forward-request.ts';
import { RequestFraming } from '../../src/http1/framing.ts';
import { Output } from '../../src/http1/output.ts';
import { RequestHead } from '../../src/http1/request-head.ts';
import { latin1 } from './head-feeding.ts';

/** The client's address. */
export const CLIENT = '10.0.0.9';
/** What a client connection adds to each of its requests. */
export const FACTS = {
  address: CLIENT,
  isEncrypted: false,
  lines: latin1(`X-Forwarded-For: ${CLIENT}\r\nX-Forwarded-Proto: http\r\n`),
};

/** What the upstream gets for a request of these lines; X-Forwarded fields stay as they are unless `more` says otherwise. */
export function forward(
  lines: string[],
  more: Partial<RequestRewrite> = {},
  facts = FACTS,
  edit: RequestEdit | null = null,
): string {
  // Bytes before and after it, as in a connection's buffer: none may leak into the head.
  const front = 'SECRET\r\n';
  const bytes = latin1(`${front}${lines.join('\r\n')}\r\n\r\nSECRET`);
  const parsed = new RequestHead();
  const framing = new RequestFraming();
  parsed.reset();
  const headEnd = parsed.parse(bytes, front.length, bytes.length);
  expect(headEnd).toBe(bytes.length - 6);
  expect(framing.read(parsed)).toBeNull();
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
  writeRequestHead(out, parsed, framing, headEnd, rewrite, facts, upgrades, edit);
  return out.bytes.toString('latin1', 0, out.length);
}

/** A head of these lines. */
export const headOf = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`;

// Requests for a command that has none: from a token, from a line of a log, or from a seeded generator, so that the same
// command line gives the same answer every time. Makes views; the split room decides.

import { variablesOf } from '../key/key-text.ts';
import { LibraryView, type RequestLike } from '../split/request.ts';
import { type LoggedRequest, readLogLine } from './log-lines.ts';

/**
 * A request in which every variable of the key texts is `token`: a query parameter, a field, a cookie, the client's
 * address, the path. The token is not encoded.
 */
export function requestWith(token: string, keys: readonly string[]): LibraryView {
  const args: string[] = [];
  const cookies: string[] = [];
  const headers: Record<string, string> = {};
  const request: { -readonly [option in keyof RequestLike]: RequestLike[option] } = {
    method: 'GET',
    headers,
  };
  const claims: Record<string, string> = {};
  let path = '/';
  let query: string | undefined;
  for (const name of new Set(keys.flatMap((key) => variablesOf(key).map((variable) => variable.name)))) {
    if (name.startsWith('arg_')) args.push(`${name.slice(4)}=${token}`);
    else if (name.startsWith('cookie_')) cookies.push(`${name.slice(7)}=${token}`);
    else if (name.startsWith('http_')) headers[name.slice(5).replaceAll('_', '-')] = token;
    else if (name.startsWith('jwt_')) claims[name.replace(/^jwt_(?:claim_)?/, '')] = token;
    else if (name === 'remote_addr') request.remoteAddress = token;
    else if (name.startsWith('path_')) path = '/x'.repeat(Number(name.slice(5)) - 1).concat(`/${token}`);
    else if (name === 'host') headers.host = token;
    else if (name === 'request_method') request.method = token;
    else if (name === 'args') query = token;
    else path = `/${token}`;
  }
  if (Object.keys(claims).length > 0) {
    const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
    headers.authorization = `Bearer e30.${payload}.`;
  }
  if (cookies.length > 0) headers.cookie = cookies.join('; ');
  query ??= args.join('&');
  return new LibraryView({ ...request, url: query === '' ? path : `${path}?${query}` });
}

/** What a line of standard input is: a request as a log or a target has it, a request made of a token, or neither. */
export type TokenLine = LoggedRequest | LibraryView | 'unreadable' | 'empty';

const HOLDS_NOTHING: ReadonlySet<string> = new Set();

/** Reads a line: of an access log, a request target that begins with "/", or a token, which has no space and no quotes. */
export function readLine(line: string, keys: readonly string[]): TokenLine {
  const text = line.trim();
  if (text === '') return 'empty';
  if (/^\/[^\s"]*$/.test(text)) return { view: new LibraryView({ url: text }), holds: HOLDS_NOTHING };
  if (/^[^\s"\0-\x1f\x7f]+$/.test(text)) return requestWith(text, keys);
  return readLogLine(text) ?? 'unreadable';
}

/** Random tokens of 16 hex digits, the same ones for the same seed. */
export function* randomTokens(count: number, seed: number): Generator<string> {
  let state = seed >>> 0;
  // Mulberry32: small, and far better spread than what a split could see.
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return (value ^ (value >>> 14)) >>> 0;
  };
  const word = (): string => next().toString(16).padStart(8, '0');
  for (let made = 0; made < count; made++) yield word() + word();
}

/** Lines of a byte stream, without their line ends; a line longer than 64 KiB is cut into pieces. */
export async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest = '';
  for await (const bytes of input) {
    // Bytes over 0x7f hash as they are: one character each.
    rest += Buffer.from(bytes).toString('latin1');
    const lines = rest.split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield line.replace(/\r$/, '');
    if (rest.length > 65_536) {
      yield rest;
      rest = '';
    }
  }
  if (rest !== '') yield rest;
}

// Reads a line of an access log in the common or combined format of nginx and Apache, also with the name of the virtual host
// before it or with X-Forwarded-For after it. What a log does not hold is absent from the request and named, so that it
// is not taken for empty. Sources: ngx_http_log_module (escape=default), Apache mod_log_config.

import { variablesOf } from '../key/key-text.ts';
import { LibraryView } from '../split/request.ts';

/** A request as a log has it. */
export interface LoggedRequest {
  readonly view: LibraryView;
  /** Names of the variables that the line holds; $arg_X, $args, $uri and the like always are. */
  readonly holds: ReadonlySet<string>;
}

const QUOTED = '"((?:[^"\\\\]|\\\\.)*)"';
const TIME_AND_REQUEST = `\\[[^\\]]*\\] ${QUOTED}(?: |$)`;
/** Address, identity and user; the same after a virtual host; the same with a user that has spaces. */
const PREFIXES = ['()(\\S+) \\S+ \\S+ ', '(\\S+?)(?::\\d+)? (\\S+) \\S+ \\S+ ', '()(\\S+) \\S+ \\S.*? '].map(
  (start) => new RegExp(`^${start}${TIME_AND_REQUEST}`),
);
const REQUEST_ANYWHERE = new RegExp(QUOTED, 'g');
const AFTER_REQUEST = new RegExp(`^\\d{3} \\S+(?: ${QUOTED})?(?: ${QUOTED})?(?: ${QUOTED})?`);
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP\/\d(?:\.\d)?$/;

/** The request of a log line; null for any other line, and for a request that no client could have sent. */
export function readLogLine(line: string): LoggedRequest | null {
  let prefix: RegExpExecArray | null = null;
  for (const pattern of PREFIXES) prefix ??= pattern.exec(line);
  if (prefix === null) return readRequestAlone(line);
  const [whole, virtualHost = '', address = '', request = ''] = prefix;
  const target = readRequestLine(request);
  if (target === null) return null;
  const [, referer, userAgent, forwardedFor] = AFTER_REQUEST.exec(line.slice(whole.length)) ?? [];
  const headers: Record<string, string> = {};
  const holds = new Set(['remote_addr']);
  const field = (name: string, value: string | undefined) => {
    if (value === undefined) return;
    holds.add(`http_${name.replaceAll('-', '_')}`);
    // A field that the request does not have is logged as "-".
    if (value !== '-') headers[name] = decodeEscapes(value);
  };
  field('referer', referer);
  field('user-agent', userAgent);
  field('x-forwarded-for', forwardedFor);
  if (virtualHost !== '') {
    field('host', virtualHost);
    holds.add('host');
  }
  if (/^[a-z]+:\/\//i.test(target.url)) holds.add('host');
  return { view: new LibraryView({ ...target, headers, remoteAddress: address }), holds };
}

/** A line of another format: the first text in quotes that is a request line. */
function readRequestAlone(line: string): LoggedRequest | null {
  for (const [, text = ''] of line.matchAll(REQUEST_ANYWHERE)) {
    const target = readRequestLine(text);
    if (target !== null) return { view: new LibraryView(target), holds: new Set() };
  }
  return null;
}

function readRequestLine(text: string): { method: string; url: string } | null {
  const [, method, url] = REQUEST_LINE.exec(decodeEscapes(text)) ?? [];
  if (method === undefined || url === undefined) return null;
  return url.startsWith('/') || url === '*' || /^https?:\/\//i.test(url) ? { method, url } : null;
}

const ESCAPED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', v: '\v', b: '\b', f: '\f' };

/** `\x22` and `\"` -> `"`, one character per byte. */
function decodeEscapes(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replace(/\\(?:x([0-9A-Fa-f]{2})|(.))/g, (_, hex: string | undefined, own: string) =>
    hex === undefined ? (ESCAPED[own] ?? own) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

const OF_REQUEST_LINE = new Set(['args', 'uri', 'request_uri', 'request_method']);

/** The variables of a key text that a logged request does not hold, as they are written there. */
export function notHeld(key: string, { holds }: LoggedRequest): string[] {
  return variablesOf(key)
    .filter(({ name }) => !/^(?:arg|path)_/.test(name) && !OF_REQUEST_LINE.has(name) && !holds.has(name))
    .map(({ written }) => written);
}

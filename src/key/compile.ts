// The key text of a split, in nginx's spelling, compiled once: which bytes of a request are hashed. Works on raw
// bytes: nothing is decoded except in $uri, and nothing becomes a string. Knows nothing of shares or variants.
// Source: nginx, src/http/ngx_http_script.c, ngx_http_variables.c, ngx_http_parse.c.

import { canonicalName, writeVariable } from './key-text.ts';
import { isNginxVariable } from './nginx-names.ts';

/** What a key text can read of one request. All positions index into `bytes`. */
export interface RequestView {
  readonly bytes: Uint8Array;
  readonly methodStart: number;
  readonly methodEnd: number;
  /** Origin-form "/path?query" (the authority of an absolute-form already left out), or "*". */
  readonly targetStart: number;
  readonly targetEnd: number;
  /** Values of the fields with this lower-case name, in order of arrival; empty when there is none. */
  fieldValues(name: string): readonly Uint8Array[];
  /** Host as nginx's $host: authority of an absolute-form before the Host field, no port, lower case; empty when none. */
  host(): Uint8Array;
  /** Client address as text, an IPv4-mapped IPv6 address as plain IPv4; "unix:" on a Unix socket. */
  readonly remoteAddress: string;
  /** The client's own connection is TLS; absent where none can be. */
  readonly isEncrypted?: boolean;
}

/** Why a key text cannot be compiled: "expected …, got …", and the position of the offending "$" in the text. */
export interface KeyFault {
  readonly error: string;
  readonly offset: number;
}

const HASH = 0x23;
const PERCENT = 0x25;
const AMPERSAND = 0x26;
const COMMA_SPACE = Uint8Array.of(0x2c, 0x20);
const DOT = 0x2e;
const SLASH = 0x2f;
const SEMICOLON = 0x3b;
const SEMICOLON_SPACE = Uint8Array.of(SEMICOLON, 0x20);
const EQUALS = 0x3d;
const QUESTION = 0x3f;
const SPACE = 0x20;
const EMPTY = new Uint8Array(0);

// The key being put together. v2() of murmurhash hashes a whole array, so a view is kept for each short length:
// a copy of 10 bytes and a kept view cost 31 ns together with the hash, `subarray` or a new view 48 ns.
const VIEW_LENGTH_MAX = 128;
let scratch = new Uint8Array(1024);
let views: Uint8Array[] = viewsOf(scratch);
let length = 0;

function viewsOf(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: VIEW_LENGTH_MAX + 1 }, (_, size) => bytes.subarray(0, size));
}

function append(bytes: Uint8Array, start: number, end: number): void {
  const size = end - start;
  if (length + size > scratch.length) grow(length + size);
  if (size > 64) {
    scratch.set(bytes.subarray(start, end), length);
    length += size;
    return;
  }
  for (let i = start; i < end; i++) scratch[length++] = bytes[i]!;
}

/** Appends what is in front of the next "&" or "#", or of `end`. */
function appendValue(bytes: Uint8Array, start: number, end: number): void {
  if (length + end - start > scratch.length) grow(length + end - start);
  const key = scratch;
  let to = length;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === AMPERSAND || byte === HASH) break;
    key[to++] = byte;
  }
  length = to;
}

// Bounded by the longest head that is accepted times the variables of the longest key text.
function grow(size: number): void {
  const larger = new Uint8Array(Math.max(size, scratch.length * 2));
  larger.set(scratch);
  scratch = larger;
  views = viewsOf(scratch);
}

function taken(): Uint8Array {
  return length <= VIEW_LENGTH_MAX ? views[length]! : scratch.subarray(0, length);
}

/** One piece of a key text: appends its bytes for this request to the key. */
interface Part {
  append(view: RequestView): void;
}

/** A compiled key text. */
export class CompiledKey {
  /** The text as it was written. */
  readonly text: string;
  /** How many variables the text has; without any the key is a constant and never missing. */
  readonly variables: number;
  readonly #parts: readonly Part[];
  readonly #first: Part | null;
  readonly #literalLength: number;

  constructor(text: string, parts: readonly Part[], literalLength: number) {
    this.text = text;
    this.variables = parts.filter((part) => !(part instanceof Literal)).length;
    this.#parts = parts;
    this.#first = parts.length === 1 ? parts[0]! : null;
    this.#literalLength = literalLength;
  }

  /** The bytes that nginx would hash. The array belongs to this module: it is valid until the next `expand` of any key. */
  expand(view: RequestView): Uint8Array {
    length = 0;
    if (this.#first !== null) this.#first.append(view);
    else for (let i = 0; i < this.#parts.length; i++) this.#parts[i]!.append(view);
    return taken();
  }

  /** True when every variable of the text was empty in the request that `key` was expanded from. */
  isMissing(key: Uint8Array): boolean {
    return key.length === this.#literalLength && this.variables > 0;
  }
}

class Literal implements Part {
  readonly bytes: Uint8Array;

  constructor(text: string) {
    this.bytes = new TextEncoder().encode(text);
  }

  append(): void {
    append(this.bytes, 0, this.bytes.length);
  }
}

/**
 * $arg_X: the value of the first argument whose name is X in any case and that has a "=", raw, up to the next "&".
 * Only "&" separates; an argument starts at the start of the query or behind a "&".
 */
class Argument implements Part {
  readonly #name: Uint8Array;

  constructor(name: string) {
    this.#name = new TextEncoder().encode(name);
  }

  append(view: RequestView): void {
    const { bytes, targetEnd } = view;
    const name = this.#name;
    let at = endOfPath(view);
    // Each turn stands on the "?" or "&" in front of an argument; anything else there ends the query.
    while (at < targetEnd && bytes[at] !== HASH) {
      at++;
      let matched = 0;
      while (matched < name.length && at < targetEnd && lower(bytes[at]!) === name[matched]) {
        at++;
        matched++;
      }
      if (matched === name.length && at < targetEnd && bytes[at] === EQUALS) {
        appendValue(bytes, at + 1, targetEnd);
        return;
      }
      at = endOfArgument(bytes, at, targetEnd);
    }
  }
}

/** $http_X: the values of all fields of that name, as nginx joins them since 1.23 (1.22 took the first one alone). */
class Field implements Part {
  readonly #name: string;
  readonly #separator: Uint8Array;

  constructor(name: string) {
    this.#name = name.replaceAll('_', '-');
    this.#separator = name === 'cookie' ? SEMICOLON_SPACE : COMMA_SPACE;
  }

  append(view: RequestView): void {
    const values = view.fieldValues(this.#name);
    for (let i = 0; i < values.length; i++) {
      if (i > 0) append(this.#separator, 0, 2);
      append(values[i]!, 0, values[i]!.length);
    }
  }
}

/**
 * $cookie_X: the first cookie whose name is X in any case, over all Cookie fields; its value raw, up to the next ";".
 * As in nginx since 1.23: only ";" separates, spaces around the name and before the value do not count, and a name
 * without "=" takes the cookie behind it along.
 */
class Cookie implements Part {
  readonly #name: Uint8Array;

  constructor(name: string) {
    this.#name = new TextEncoder().encode(name);
  }

  append(view: RequestView): void {
    const fields = view.fieldValues('cookie');
    for (let i = 0; i < fields.length; i++) if (this.#appendFrom(fields[i]!)) return;
  }

  #appendFrom(field: Uint8Array): boolean {
    const name = this.#name;
    let at = 0;
    while (at < field.length) {
      if (startsWith(field, at, name)) {
        at = skipSpaces(field, at + name.length);
        if (at === field.length) return false;
        // nginx reads this byte even when it is the ";" that ends the cookie.
        if (field[at++] === EQUALS) {
          const start = skipSpaces(field, at);
          const end = field.indexOf(SEMICOLON, start);
          append(field, start, end === -1 ? field.length : end);
          return true;
        }
      }
      // By hand: thousands of calls of indexOf for a field of ";" alone would cost milliseconds.
      while (at < field.length && field[at] !== SEMICOLON) at++;
      at = skipSpaces(field, at + 1);
    }
    return false;
  }
}

const METHOD: Part = {
  append: (view) => append(view.bytes, view.methodStart, view.methodEnd),
};

const REQUEST_URI: Part = {
  append: (view) => append(view.bytes, view.targetStart, view.targetEnd),
};

/** Behind the first "?" up to a "#", if that stands behind the "?". */
const ARGS: Part = {
  append(view) {
    const { bytes } = view;
    const pathEnd = endOfPath(view);
    if (pathEnd === view.targetEnd || bytes[pathEnd] === HASH) return;
    let end = pathEnd + 1;
    while (end < view.targetEnd && bytes[end] !== HASH) end++;
    append(bytes, pathEnd + 1, end);
  },
};

/** A trailing dot is no part of $host, as in nginx. */
const HOST: Part = {
  append(view) {
    const host = view.host();
    const dotted = host.length > 1 && host[host.length - 1] === DOT;
    append(host, 0, dotted ? host.length - 1 : host.length);
  },
};

class RemoteAddress implements Part {
  #text = '';
  #bytes = EMPTY;

  append(view: RequestView): void {
    const { remoteAddress } = view;
    if (remoteAddress !== this.#text) {
      this.#text = remoteAddress;
      this.#bytes = new TextEncoder().encode(remoteAddress);
    }
    append(this.#bytes, 0, this.#bytes.length);
  }
}

/**
 * $uri: the path with percent-encoding decoded, "." and ".." resolved and slashes merged (merge_slashes on). A path
 * that nginx itself refuses (bad encoding, %00, ".." above the root) is taken as it was sent.
 */
const URI: Part = {
  append(view) {
    const { bytes, targetStart } = view;
    const end = endOfPath(view);
    const before = length;
    if (appendNormalised(bytes, targetStart, end)) return;
    length = before;
    append(bytes, targetStart, end);
  },
};

function appendNormalised(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== SLASH) return false;
  if (length + end - start > scratch.length) grow(length + end - start);
  const root = length;
  let segment = root + 1;
  scratch[length++] = SLASH;
  for (let i = start + 1; i <= end; i++) {
    let byte = i === end ? SLASH : bytes[i]!;
    if (byte === PERCENT) {
      if (i + 2 >= end) return false;
      byte = hexValue(bytes[i + 1]!) * 16 + hexValue(bytes[i + 2]!);
      if (!(byte > 0)) return false;
      i += 2;
    }
    if (byte !== SLASH) {
      scratch[length++] = byte;
      continue;
    }
    const size = length - segment;
    if (size === 1 && scratch[segment] === DOT) length = segment;
    else if (size === 2 && scratch[segment] === DOT && scratch[segment + 1] === DOT) {
      if (segment === root + 1) return false;
      segment = scratch.lastIndexOf(SLASH, segment - 2) + 1;
      length = segment;
    } else if (size > 0 && i < end) {
      scratch[length++] = SLASH;
      segment = length;
    }
  }
  return true;
}

/** The path as $uri has it; null for one that nginx refuses. Valid until the next `expand` of any key. */
export function normalisePath(view: RequestView): Uint8Array | null {
  length = 0;
  return appendNormalised(view.bytes, view.targetStart, endOfPath(view)) ? taken() : null;
}

function endOfPath(view: RequestView): number {
  const { bytes, targetEnd } = view;
  let at = view.targetStart;
  while (at < targetEnd && bytes[at] !== QUESTION && bytes[at] !== HASH) at++;
  return at;
}

function endOfArgument(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== AMPERSAND && bytes[at] !== HASH) at++;
  return at;
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

/** NaN for what is no hexadecimal digit. */
function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : Number.NaN;
}

function skipSpaces(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] === SPACE) at++;
  return at;
}

function startsWith(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  if (at + name.length > bytes.length) return false;
  for (let i = 0; i < name.length; i++) if (lower(bytes[at + i]!) !== name[i]) return false;
  return true;
}

const FIXED: ReadonlyMap<string, () => Part> = new Map([
  ['remote_addr', () => new RemoteAddress()],
  ['host', () => HOST],
  ['uri', () => URI],
  ['request_uri', () => REQUEST_URI],
  ['request_method', () => METHOD],
  ['args', () => ARGS],
]);

const PREFIXED: ReadonlyMap<string, (name: string) => Part> = new Map([
  ['arg_', (name: string): Part => new Argument(name)],
  ['http_', (name: string): Part => new Field(name)],
  ['cookie_', (name: string): Part => new Cookie(name)],
]);

/** What people write, and what it is called here. */
const OTHER_NAMES: ReadonlyMap<string, string> = new Map([
  ['query', 'args'],
  ['path', 'uri'],
  ['method', 'request_method'],
  ['ip', 'remote_addr'],
  ['client_ip', 'remote_addr'],
  ['header_', 'http_'],
  ['query_', 'arg_'],
  ['param_', 'arg_'],
]);

const VARIABLE = /^\$(?:(\{)([A-Za-z0-9_.~-]*)|([A-Za-z0-9_]*))/;

const EXPECTED =
  'a variable of $arg_NAME $http_NAME $cookie_NAME $remote_addr $host $uri $request_uri $request_method $args';

/** $proxy_add_x_forwarded_for: what the client sent of X-Forwarded-For, and its address behind that. */
class ForwardedFor implements Part {
  readonly #fields = new Field('x_forwarded_for');
  readonly #address = new RemoteAddress();

  append(view: RequestView): void {
    const before = length;
    this.#fields.append(view);
    if (length > before) append(COMMA_SPACE, 0, 2);
    this.#address.append(view);
  }
}

/** What only the value of a field can say. */
const VALUE_ONLY: ReadonlyMap<string, () => Part> = new Map<string, () => Part>([
  ['proxy_add_x_forwarded_for', () => new ForwardedFor()],
  ['scheme', () => new Literal('http')],
]);

/** Compiles the value of a field: a key text that also knows $proxy_add_x_forwarded_for and $scheme, which is http. */
export function compileValue(text: string): CompiledKey | KeyFault {
  return compileText(text, (name) => VALUE_ONLY.get(name)?.() ?? variableOf(name));
}

/**
 * Compiles a key text: variables as `$name` or `${name}` (names in any case, as in nginx), everything else is literal
 * and taken as UTF-8. A "$" is always the start of a variable.
 */
export function compileKey(text: string): CompiledKey | KeyFault {
  return compileText(text, variableOf);
}

function compileText(text: string, partOf: (name: string) => Part | undefined): CompiledKey | KeyFault {
  const parts: Part[] = [];
  let literalLength = 0;
  let at = 0;
  while (at < text.length) {
    const dollar = text.indexOf('$', at);
    const literalEnd = dollar === -1 ? text.length : dollar;
    if (literalEnd > at) {
      const literal = new Literal(text.slice(at, literalEnd));
      literalLength += literal.bytes.length;
      parts.push(literal);
    }
    if (dollar === -1) break;
    const [whole = '', open = '', braced, plain = ''] = VARIABLE.exec(text.slice(dollar)) ?? [];
    const name = braced ?? plain;
    let end = dollar + whole.length;
    if (open !== '' && name !== '' && text[end] !== '}') {
      const got = end < text.length ? JSON.stringify(text.slice(end, end + 10)) : 'the end of the text';
      return { error: `expected "}" after ${JSON.stringify(whole)}, got ${got}`, offset: dollar };
    }
    if (open !== '' && name !== '') end++;
    const part = partOf(canonicalName(name));
    if (part === undefined) {
      const got = JSON.stringify(text.slice(dollar, end));
      return { error: `expected ${EXPECTED}${hintFor(name.toLowerCase())}, got ${got}`, offset: dollar };
    }
    parts.push(part);
    at = end;
  }
  return new CompiledKey(text, parts, literalLength);
}

function variableOf(name: string): Part | undefined {
  const fixed = FIXED.get(name);
  if (fixed !== undefined) return fixed();
  for (const [prefix, make] of PREFIXED) {
    if (name.length > prefix.length && name.startsWith(prefix)) return make(name.slice(prefix.length));
  }
  return undefined;
}

/** What is wrong with a key text, or null: the check that a configuration is linked with. */
export function checkKey(text: string): KeyFault | null {
  const key = compileKey(text);
  return 'error' in key ? key : null;
}

/** What to write in place of a variable that is not known here. */
function hintFor(name: string): string {
  // For a name of nginx no other one was meant: a guess would split by something else.
  if (isNginxVariable(name)) {
    return `; nginx has $${name} but it cannot be used here: ${remedyFor(name)}`;
  }
  const meant = guess(name);
  return meant === undefined ? '' : ` (did you mean "${writeVariable(meant)}"?)`;
}

/** What serves the purpose of a variable that only nginx has. */
const REMEDIES: readonly (readonly [name: RegExp, remedy: string])[] = [
  [
    /^(?:request_id|msec|time_|date_|request_time|pid$|connection|remote_port|realip_remote_port|session_log_|otel_)/,
    'it differs from request to request. For a random split use missingKey: random with a key that no request has; for clients that keep their variant end the key list with { mint: uid }',
  ],
  [/^(?:binary_remote_addr|realip_remote_addr|proxy_protocol_addr)$/, 'use $remote_addr'],
  [
    /^(?:request_body|request_body_file|request_length)$/,
    'the variant is chosen before the body is read. Put the key into the query or a header or a cookie',
  ],
  [/^(?:proxy_add_x_forwarded_for|proxy_protocol_)/, 'use $http_x_forwarded_for'],
  [/^content_type$/, 'use $http_content_type'],
  [/^content_length$/, 'use $http_content_length'],
  [/^remote_user$/, 'use $http_authorization'],
  [/^request$/, 'use $request_uri or $request_method'],
  [/^(?:request_filename|document_root|realpath_root|fastcgi_)/, 'use $uri'],
  [/^is_args$/, 'use $args'],
  [/^(?:proxy_host|proxy_port)$/, 'the variant decides the upstream. Use $host'],
  [
    /^(?:server_|scheme$|https$|hostname$|nginx_version$|http2$|http3$)/,
    'it is the same for most requests. Use $host where the splitter takes several hosts',
  ],
  [
    /^(?:sent_|upstream_|status$|body_bytes_sent$|bytes_|gzip_ratio$|tcpinfo_)/,
    'it is known only after the upstream has answered',
  ],
  [/^uid_/, 'end the key list with { mint: uid }'],
];

function remedyFor(name: string): string {
  const known = REMEDIES.find(([names]) => names.test(name))?.[1];
  return known ?? 'let the proxy that knows it put it into a header and use $http_NAME';
}

/** The variable that was most likely meant. */
function guess(name: string): string | undefined {
  if (name === '') return undefined;
  const same = OTHER_NAMES.get(name);
  if (same !== undefined) return same;
  if (PREFIXED.has(`${name}_`) || PREFIXED.has(name)) return `${name.replace(/_$/, '')}_token`;
  const cut = name.indexOf('_') + 1;
  const [prefix, own] = [name.slice(0, cut), name.slice(cut)];
  if (own !== '') {
    const known = OTHER_NAMES.get(prefix) ?? nearest(prefix, PREFIXED.keys(), 2);
    if (known !== undefined) return known + own;
  }
  for (const known of PREFIXED.keys()) {
    const bare = known.slice(0, -1);
    if (name.startsWith(bare)) return known + name.slice(bare.length).replace(/^[-.~]/, '');
  }
  return nearest(name, FIXED.keys(), 1 + Math.floor(name.length / 4));
}

function nearest(word: string, candidates: Iterable<string>, distanceMax: number): string | undefined {
  let best: string | undefined;
  let bestDistance = distanceMax + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const swap = a[row - 1] === b[column - 1] ? 0 : 1;
      current.push(Math.min(last[column - 1]! + swap, last[column]! + 1, current[column - 1]! + 1));
    }
    last = current;
  }
  return last[b.length]!;
}

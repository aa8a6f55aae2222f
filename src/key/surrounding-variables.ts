// Variables of what surrounds a request: its connection, the process, the clock; and those that are made of several parts
// of it. Each with nginx's exact bytes. The clock is passed in by the request's context.
// Source: nginx, src/http/ngx_http_variables.c, ngx_times.c, ngx_http_ssi_filter_module.c.

import { EMPTY, HASH, QUESTION, type RequestView, SP, type Surroundings } from '../bytes.ts';
import { endOfPath } from './path.ts';
import { requestContextOf } from './request-context.ts';
import { appendBytes, appendLatin1, COMMA_SPACE, Field, type KeyPart, RemoteAddress } from './variables.ts';

const SPACE = Uint8Array.of(SP);

/** A variable whose text is made of the surroundings of the request. */
class Surrounding implements KeyPart {
  readonly #textOf: (surroundings: Surroundings) => string;

  constructor(textOf: (surroundings: Surroundings) => string) {
    this.#textOf = textOf;
  }

  append(view: RequestView): void {
    appendLatin1(this.#textOf(requestContextOf(view).surroundings));
  }
}

/** $proxy_add_x_forwarded_for: the client's X-Forwarded-For, then its address. */
class ForwardedFor implements KeyPart {
  readonly #fields = new Field('x_forwarded_for');
  readonly #address = new RemoteAddress();

  append(view: RequestView): void {
    // A field with an empty value counts too.
    if (view.fieldValues('x-forwarded-for').length > 0) {
      this.#fields.append(view);
      appendBytes(COMMA_SPACE);
    }
    this.#address.append(view);
  }
}

const RANDOM_ID: KeyPart = { append: (view) => appendLatin1(requestContextOf(view).requestId()) };

/** Seconds with three decimals since the request began. */
const REQUEST_TIME: KeyPart = {
  append(view) {
    const { beganAtMs, surroundings } = requestContextOf(view);
    appendLatin1(seconds(Math.max(0, Math.floor(surroundings.elapsedMs() - beganAtMs))));
  },
};

const SCHEME: KeyPart = { append: (view) => appendLatin1(view.isEncrypted === true ? 'https' : 'http') };
const IS_HTTPS: KeyPart = { append: (view) => appendLatin1(view.isEncrypted === true ? 'on' : '') };

/** "?" where the request has arguments. */
const IS_ARGS: KeyPart = {
  append(view) {
    const at = endOfPath(view);
    const { bytes, targetEnd } = view;
    if (bytes[at] === QUESTION && at + 1 < targetEnd && bytes[at + 1] !== HASH) appendLatin1('?');
  },
};

/** $request: the request line. Where only its parts are known it is put together of them. */
const WHOLE_LINE: KeyPart = {
  append(view) {
    if (view.requestLine !== undefined) return appendBytes(view.requestLine());
    const { bytes, methodStart, methodEnd, targetStart, targetEnd } = view;
    appendBytes(bytes.subarray(methodStart, methodEnd));
    appendBytes(SPACE);
    appendBytes(bytes.subarray(targetStart, targetEnd));
    appendLatin1(' HTTP/1.1');
  },
};

const SERVER_PROTOCOL: KeyPart = {
  append(view) {
    const line = view.requestLine?.() ?? EMPTY;
    if (line.length > 8) appendBytes(line.subarray(line.length - 8));
    else appendLatin1('HTTP/1.1');
  },
};

/** Of a request with a body nginx adds what it has read of it so far; the splitter has read nothing. */
const REQUEST_LENGTH: KeyPart = { append: (view) => appendLatin1(String(view.headBytes ?? 0)) };

/** The first value of a field that nginx knows by a name of its own. */
class FirstValue implements KeyPart {
  readonly #field: string;

  constructor(field: string) {
    this.#field = field;
  }

  append(view: RequestView): void {
    const [value] = view.fieldValues(this.#field);
    if (value !== undefined) appendBytes(value);
  }
}

/** $remote_user: the user of "Authorization: Basic". Without a colon in it, as in nginx, there is none. */
const REMOTE_USER: KeyPart = {
  append(view) {
    const [value = EMPTY] = view.fieldValues('authorization');
    const encoded = /^basic +([A-Za-z0-9+/_-]+=*)$/i.exec(Buffer.from(value).toString('latin1'))?.[1];
    if (encoded === undefined) return;
    const pair = Buffer.from(encoded, 'base64');
    const colon = pair.indexOf(':');
    if (colon > 0) appendBytes(pair.subarray(0, colon));
  },
};

/** $binary_remote_addr: 4 or 16 bytes; "unix:" on a Unix socket. */
const BINARY_REMOTE_ADDRESS: KeyPart = {
  append(view) {
    appendBytes(binaryAddress(view.remoteAddress));
  },
};

/** The bytes of an IP address; of any other text its characters. */
function binaryAddress(address: string): Uint8Array {
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(address)) return Uint8Array.from(address.split('.'), Number);
  if (!address.includes(':') || address === 'unix:') return Buffer.from(address, 'latin1');
  const plain = address
    .replace(/%.*$/, '')
    .replace(/:(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes: string[]) => {
      const [a, b, c, d] = bytes.slice(0, 4).map(Number) as [number, number, number, number];
      return `:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
    });
  const [head = '', tail] = plain.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const all = [...before, ...Array.from({ length: zeros }, () => 0), ...after];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 255]));
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const two = (number: number): string => String(number).padStart(2, '0');

/** Milliseconds as seconds with three decimals. */
function seconds(ms: number): string {
  return `${Math.floor(ms / 1000)}.${String(ms % 1000).padStart(3, '0')}`;
}

/** A moment by the clock on the wall of a time zone: its date has the local fields as those of UTC. */
interface WallTime {
  readonly date: Date;
  /** "+02:00". */
  readonly offset: string;
  readonly zone: string;
}

function localTime(timeMs: number): WallTime {
  const moment = new Date(timeMs);
  const minutes = -moment.getTimezoneOffset();
  const distance = Math.abs(minutes);
  const offset = `${minutes < 0 ? '-' : '+'}${two(Math.floor(distance / 60))}:${two(distance % 60)}`;
  const zone = /\(([^)]+)\)$/.exec(moment.toString())?.[1] ?? 'UTC';
  const short =
    new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' })
      .formatToParts(moment)
      .find(({ type }) => type === 'timeZoneName')?.value ?? zone;
  return { date: new Date(timeMs + minutes * 60_000), offset, zone: short };
}

const clockOf = (date: Date): string =>
  `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;

/** As in "Thursday, 26-Nov-2026 22:43:53 GMT", which strftime makes of "%A, %d-%b-%Y %H:%M:%S %Z". */
function dateText(date: Date, zone: string): string {
  const day = `${two(date.getUTCDate())}-${MONTHS[date.getUTCMonth()]}-${date.getUTCFullYear()}`;
  return `${DAYS[date.getUTCDay()]}, ${day} ${clockOf(date)} ${zone}`;
}

/** "26/Nov/2026:22:43:53 +0000". */
function logTime(timeMs: number): string {
  const { date, offset } = localTime(timeMs);
  const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}`;
  return `${day}:${clockOf(date)} ${offset.replace(':', '')}`;
}

/** "2026-11-26T22:43:53+00:00". */
function isoTime(timeMs: number): string {
  const { date, offset } = localTime(timeMs);
  const day = `${date.getUTCFullYear()}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
  return `${day}T${clockOf(date)}${offset}`;
}

function localDate(timeMs: number): string {
  const { date, zone } = localTime(timeMs);
  return dateText(date, zone);
}

/** Empty where there is no port. */
const portText = (port = 0): string => (port === 0 ? '' : String(port));

const surrounding = (textOf: (surroundings: Surroundings) => string) => () => new Surrounding(textOf);

/** Variables that are a name alone, of more than the request's own bytes. */
export const SURROUNDING_VARIABLES: ReadonlyMap<string, () => KeyPart> = new Map<string, () => KeyPart>([
  ['proxy_add_x_forwarded_for', () => new ForwardedFor()],
  ['scheme', () => SCHEME],
  ['https', () => IS_HTTPS],
  ['ssl_server_name', surrounding(({ tls }) => tls?.serverName ?? '')],
  ['ssl_protocol', surrounding(({ tls }) => tls?.protocol ?? '')],
  ['ssl_cipher', surrounding(({ tls }) => tls?.cipher ?? '')],
  ['ssl_session_reused', surrounding(({ tls }) => (tls === null ? '' : tls.isResumed ? 'r' : '.'))],
  ['ssl_client_verify', surrounding(({ tls }) => tls?.verification ?? '')],
  ['ssl_client_s_dn', surrounding(({ tls }) => tls?.subject ?? '')],
  ['is_args', () => IS_ARGS],
  ['request', () => WHOLE_LINE],
  ['server_protocol', () => SERVER_PROTOCOL],
  ['request_length', () => REQUEST_LENGTH],
  ['content_length', () => new FirstValue('content-length')],
  ['content_type', () => new FirstValue('content-type')],
  ['remote_user', () => REMOTE_USER],
  ['binary_remote_addr', () => BINARY_REMOTE_ADDRESS],
  ['remote_port', surrounding(({ remotePort }) => portText(remotePort))],
  ['realip_remote_addr', surrounding(({ peerAddress }) => peerAddress)],
  ['realip_remote_port', surrounding(({ peerPort }) => portText(peerPort))],
  ['proxy_protocol_addr', surrounding(({ proxyHeader }) => proxyHeader?.address ?? '')],
  ['proxy_protocol_port', surrounding(({ proxyHeader }) => portText(proxyHeader?.port))],
  ['proxy_protocol_server_addr', surrounding(({ proxyHeader }) => proxyHeader?.serverAddress ?? '')],
  ['proxy_protocol_server_port', surrounding(({ proxyHeader }) => portText(proxyHeader?.serverPort))],
  ['server_addr', surrounding(({ localAddress }) => localAddress)],
  ['server_port', surrounding(({ localPort }) => (localPort === 0 ? '' : String(localPort)))],
  ['connection', surrounding(({ connectionNumber }) => String(connectionNumber))],
  ['connection_requests', surrounding(({ requestCount }) => String(requestCount))],
  ['hostname', surrounding(({ hostname }) => hostname)],
  ['pid', surrounding(({ pid }) => String(pid))],
  ['request_id', () => RANDOM_ID],
  ['request_time', () => REQUEST_TIME],
  ['msec', surrounding((around) => seconds(around.timeMs()))],
  ['time_local', surrounding((around) => logTime(around.timeMs()))],
  ['time_iso8601', surrounding((around) => isoTime(around.timeMs()))],
  ['date_gmt', surrounding((around) => dateText(new Date(around.timeMs()), 'GMT'))],
  ['date_local', surrounding((around) => localDate(around.timeMs()))],
]);

/** Variables that chance, the clock or the connection decides: a key of one of them is another for each request. */
const RANDOM_VARIABLES: ReadonlyMap<string, string> = new Map([
  ['request_id', 'is random'],
  ['request_time', 'is the clock'],
  ['msec', 'is the clock'],
  ['time_local', 'is the clock'],
  ['time_iso8601', 'is the clock'],
  ['date_gmt', 'is the clock'],
  ['date_local', 'is the clock'],
  ['remote_port', 'changes with each connection'],
  ['realip_remote_port', 'changes with each connection'],
  ['proxy_protocol_port', 'changes with each connection'],
  ['connection', 'changes with each connection'],
  ['connection_requests', 'changes with each request of a connection'],
]);

/** Why a variable of this canonical name says nothing of a user: "is random"; undefined for one that may. */
export function randomnessOf(name: string): string | undefined {
  return RANDOM_VARIABLES.get(name);
}

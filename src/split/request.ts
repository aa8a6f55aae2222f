// Turns a request as a server framework shows it (strings) into the view that key texts read (bytes). Only the library
// uses it: the data plane's parsed head is such a view already. Knows nothing of keys or shares.
// Source: RFC 9112 §3.2 for the forms of a target; nginx's ngx_http_validate_host for the host.

import { EMPTY, type RequestContext, type RequestView, type Surroundings } from '../bytes.ts';
import { KeptValues, NO_SURROUNDINGS } from '../key/request-context.ts';

/** Fields as an object by name, in any case, with the values of a repeated one in an array. */
type HeaderRecord = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Fields as pairs of name and value: Fetch Headers, a Map, an array of pairs. */
type HeaderPairs = Iterable<readonly [name: string, value: string]>;

/** What a decision can depend on: a plain object, an `http.IncomingMessage` or a Fetch Request, each as it is. */
export interface RequestLike {
  readonly method?: string | undefined;
  /** Request target as it came: "/path?query", an absolute-form or "*". */
  readonly url?: string | undefined;
  /** The target before a router of Express or Connect cut its mount path off; preferred to `url` for decisions. */
  readonly originalUrl?: string | undefined;
  readonly headers?: HeaderRecord | HeaderPairs | undefined;
  /** Names and values in turn, as Node gives them; preferred to `headers`, which joins or drops repeated fields. */
  readonly rawHeaders?: readonly string[] | undefined;
  /** Address of the client; the socket's when it is absent. */
  readonly remoteAddress?: string | undefined;
  readonly socket?: { readonly remoteAddress?: string | undefined; readonly destroyed?: boolean } | undefined;
}

const ABSOLUTE_FORM = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/([^/?#]*)([^#]*)/;
const IPV4_MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/**
 * View of one request. Strings are taken as Node makes them from a socket, one character per byte (latin1), so raw
 * bytes over 0x7f hash as nginx hashes them. A string with characters above U+00FF never came from a socket; it is
 * encoded as UTF-8.
 */
export class LibraryView implements RequestView {
  readonly bytes: Uint8Array;
  readonly methodStart = 0;
  readonly methodEnd: number;
  readonly targetStart: number;
  readonly targetEnd: number;
  /** The target without the authority of an absolute-form. */
  readonly target: string;
  /** Authority of an absolute-form. */
  readonly authority: string | undefined;
  readonly #request: RequestLike;
  #context: RequestContext | null = null;

  /** `url` replaces the request's own target. Throws a TypeError for a value that is not a request. */
  constructor(request: RequestLike, url: string = targetOf(request)) {
    const method = request.method ?? 'GET';
    const absolute = ABSOLUTE_FORM.exec(url);
    // The URL of a Fetch request may have a fragment, which no server would have received.
    const path = absolute?.[2] ?? url;
    this.target = absolute === null || path.startsWith('/') ? path : `/${path}`;
    this.authority = absolute?.[1];
    this.bytes = latin1OrUtf8(method + this.target);
    this.methodEnd = method.length;
    this.targetStart = method.length;
    this.targetEnd = this.bytes.length;
    this.#request = request;
  }

  context(): RequestContext {
    this.#context ??= new KeptValues(surroundingsOf(this.#request), 0);
    return this.#context;
  }

  fieldValues(name: string): readonly Uint8Array[] {
    return this.#texts(name).map(latin1OrUtf8);
  }

  host(): Uint8Array {
    const authority = this.authority ?? this.#texts('host')[0] ?? this.#texts(':authority')[0];
    if (authority === undefined) return EMPTY;
    const host = /^(?:\[[^\]]*\]|[^:]*)/.exec(authority)![0];
    return latin1OrUtf8(host.toLowerCase().replace(/(?<=.)\.$/, ''));
  }

  get remoteAddress(): string {
    const { remoteAddress, socket } = this.#request;
    const address = remoteAddress ?? socket?.remoteAddress;
    // A TCP socket forgets its address when it is closed; one on a Unix socket never had any.
    if (address === undefined) return socket === undefined || socket.destroyed === true ? '' : 'unix:';
    return IPV4_MAPPED.exec(address)?.[1] ?? address;
  }

  get isEncrypted(): boolean {
    const { socket } = this.#request;
    return socket !== undefined && 'encrypted' in socket;
  }

  #texts(name: string): readonly string[] {
    const { headers } = this.#request;
    const rawHeaders = this.#request.rawHeaders ?? (isFlat(headers) ? headers : undefined);
    if (rawHeaders !== undefined) {
      return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === name);
    }
    const pairs = isPairs(headers) ? [...headers] : Object.entries(headers ?? {});
    return pairs
      .filter(([key, value]) => value !== undefined && key.toLowerCase() === name)
      .flatMap(([, value]) => value!);
  }
}

/** A framework shows the socket at most: its own clock, and no number of the connection. */
function surroundingsOf({ socket }: RequestLike): Surroundings {
  const { remotePort = 0, localAddress = '', localPort = 0 } = (socket ?? {}) as Partial<Surroundings>;
  return { ...NO_SURROUNDINGS, remotePort, peerPort: remotePort, localAddress, localPort };
}

function targetOf(request: RequestLike): string {
  if (typeof request !== 'object' || request === null)
    rejectRequest(request === null ? 'null' : typeof request);
  // Fields or a URL alone would be a request without a key, and nothing would say so.
  if (Symbol.iterator in request || request instanceof URL) rejectRequest(request.constructor.name);
  return request.originalUrl ?? request.url ?? '/';
}

function rejectRequest(got: string): never {
  throw new TypeError(`expected a request with url and headers, got ${got}`);
}

function isPairs(headers: RequestLike['headers']): headers is HeaderPairs {
  return typeof headers === 'object' && headers !== null && Symbol.iterator in headers;
}

/** Names and values in turn, as Node's rawHeaders and undici have them. */
function isFlat(headers: unknown): headers is readonly string[] {
  return Array.isArray(headers) && typeof headers[0] === 'string';
}

function latin1OrUtf8(text: string): Uint8Array {
  return Buffer.from(text, /[^\0-\xff]/.test(text) ? 'utf8' : 'latin1');
}

// Which variant a tester asks for, and what of the asking is taken out of the request: a header, a cookie or a query
// parameter with "NAME" or "NAME~SECRET" in it. Whoever has no right to ask is treated as if nothing had been there.
// Names are found without case, as in key texts. It knows nothing of shares. Source: RFC 6265 §4.2 for Cookie.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { OverrideConfig } from '../config/schema.ts';
import type { RequestView } from './key.ts';

/** Where an override was found. What was said for one request alone is asked before what a browser sends by itself. */
const OVERRIDE_PLACES = ['query', 'header', 'cookie'] as const;
export type OverridePlace = (typeof OVERRIDE_PLACES)[number];

/** What was found of an override in one request. */
export interface OverrideFound {
  /** Position of the variant; -1 when nothing that was asked for can be had. */
  readonly variant: number;
  /** Where it was asked for; null when the places that were filled in had no value in them. */
  readonly place: OverridePlace | null;
  /** The target without the query parameter, from path to end; null when it had none. */
  readonly target: Uint8Array | null;
  /** The value of a single Cookie field without the cookie, empty when no cookie is left; null when there was none. */
  readonly cookie: Uint8Array | null;
  /** The request as it is without the override: what its key is read from. */
  readonly view: RequestView;
}

const QUESTION = 0x3f;
const AMPERSAND = 0x26;
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const SECRET_MARK = '~';
const COOKIE_SEPARATOR = Buffer.from('; ');

/** The override of one split. */
export class Override {
  /** Name of the header field, lower case; null without one. */
  readonly header: string | null;
  readonly #cookie: string | null;
  readonly #query: string | null;
  readonly #variants: ReadonlyMap<string, number>;
  readonly #digest: Buffer | null;

  /** `names` are those of the split's variants, in order. */
  constructor(config: OverrideConfig, names: readonly string[]) {
    this.header = config.header?.toLowerCase() ?? null;
    this.#cookie = config.cookie?.toLowerCase() ?? null;
    this.#query = config.query?.toLowerCase() ?? null;
    this.#variants = new Map(config.variants.map((name) => [name, names.indexOf(name)]));
    this.#digest = config.secret === undefined ? null : digestOf(config.secret);
  }

  /** What the request says of an override; null when it says nothing, so that it goes on as it is. */
  find(view: RequestView): OverrideFound | null {
    const query = this.#query === null ? null : cutQuery(view, this.#query);
    const cookie = this.#cookie === null ? null : cutCookies(view.fieldValues('cookie'), this.#cookie);
    const fields = this.header === null ? [] : view.fieldValues(this.header);
    if (query === null && cookie === null && fields.length === 0) return null;
    const asked = { query: query?.values ?? [], header: fields.map(textOf), cookie: cookie?.values ?? [] };
    const target = query?.rest ?? null;
    const rest = cookie?.rest ?? null;
    const found = { target, cookie: rest, view: new ViewWithout(view, this.header, target, rest) };
    let place: OverridePlace | null = null;
    for (const one of OVERRIDE_PLACES) {
      const values = asked[one].filter((value) => value !== '');
      if (values.length === 0) continue;
      const variant = this.#grant(values);
      if (variant >= 0) return { variant, place: one, ...found };
      place ??= one;
    }
    return { variant: -1, place, ...found };
  }

  /** Of two values in one place nobody can tell which one is meant: they count for nothing. */
  #grant(values: readonly string[]): number {
    const [value = ''] = values;
    if (values.length > 1) return -1;
    const mark = value.indexOf(SECRET_MARK);
    const name = mark === -1 ? value : value.slice(0, mark);
    if (this.#digest === null) return mark === -1 ? (this.#variants.get(name) ?? -1) : -1;
    // Digests are of one length, and compared in a time that does not tell how much of the secret was right.
    const given = digestOf(mark === -1 ? '' : value.slice(mark + 1));
    return timingSafeEqual(given, this.#digest) ? (this.#variants.get(name) ?? -1) : -1;
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

/** Names and secrets need no encoding, but forms and libraries encode "~" and ":" all the same. */
function decoded(bytes: Uint8Array): string {
  const text = textOf(bytes);
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

interface Cut {
  /** Values under the name, in order of arrival; a name without "=" has an empty one. */
  readonly values: readonly string[];
  /** What is left. */
  readonly rest: Uint8Array;
}

/** Takes a parameter out of the target; null when it is not there. Every other byte stays where it stands. */
function cutQuery({ bytes, targetStart, targetEnd }: RequestView, name: string): Cut | null {
  const question = bytes.indexOf(QUESTION, targetStart);
  if (question === -1 || question >= targetEnd) return null;
  const values: string[] = [];
  const kept: Uint8Array[] = [];
  for (const piece of piecesOf(bytes.subarray(question + 1, targetEnd), AMPERSAND)) {
    const value = valueUnder(name, piece);
    if (value === null) kept.push(piece);
    else values.push(decoded(value));
  }
  if (values.length === 0) return null;
  // The question mark came with the only parameter, and goes with it.
  const pathEnd = kept.length === 0 ? question : question + 1;
  return {
    values,
    rest: Buffer.concat([bytes.subarray(targetStart, pathEnd), joined(kept, Buffer.from('&'))]),
  };
}

/** Takes a cookie out of all Cookie fields, which become one; null when it is not there. */
function cutCookies(fields: readonly Uint8Array[], name: string): Cut | null {
  const values: string[] = [];
  const kept: Uint8Array[] = [];
  for (const field of fields) {
    for (const piece of piecesOf(field, SEMICOLON)) {
      const pair = trimmed(piece);
      const value = valueUnder(name, pair);
      if (value === null) kept.push(pair);
      else values.push(decoded(trimmed(value)));
    }
  }
  return values.length === 0 ? null : { values, rest: joined(kept, COOKIE_SEPARATOR) };
}

function* piecesOf(bytes: Uint8Array, separator: number): Generator<Uint8Array> {
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(separator, start);
    if (end === -1) return yield bytes.subarray(start);
    yield bytes.subarray(start, end);
    start = end + 1;
  }
}

/** What stands behind "NAME=", white space around the name left aside; null for another name. */
function valueUnder(name: string, pair: Uint8Array): Uint8Array | null {
  const equals = pair.indexOf(EQUALS);
  const nameEnd = equals === -1 ? pair.length : equals;
  if (nameEnd < name.length || textOf(trimmed(pair.subarray(0, nameEnd))).toLowerCase() !== name) return null;
  return pair.subarray(equals === -1 ? nameEnd : equals + 1);
}

function trimmed(bytes: Uint8Array): Uint8Array {
  let start = 0;
  let end = bytes.length;
  while (start < end && isSpace(bytes[start]!)) start++;
  while (end > start && isSpace(bytes[end - 1]!)) end--;
  return bytes.subarray(start, end);
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}

function joined(pieces: readonly Uint8Array[], separator: Uint8Array): Buffer {
  return Buffer.concat(pieces.flatMap((piece, index) => (index === 0 ? [piece] : [separator, piece])));
}

/** A request without its override: a key that reads the whole target is that of the request that was meant. */
class ViewWithout implements RequestView {
  readonly bytes: Uint8Array;
  readonly methodStart: number;
  readonly methodEnd: number;
  readonly targetStart: number;
  readonly targetEnd: number;
  readonly #whole: RequestView;
  readonly #header: string | null;
  readonly #cookie: Uint8Array | null;

  constructor(
    whole: RequestView,
    header: string | null,
    target: Uint8Array | null,
    cookie: Uint8Array | null,
  ) {
    const { bytes, methodStart, methodEnd, targetStart, targetEnd } = whole;
    const method = bytes.subarray(methodStart, methodEnd);
    const sent = target ?? bytes.subarray(targetStart, targetEnd);
    this.bytes = Buffer.concat([method, sent]);
    this.methodStart = 0;
    this.methodEnd = method.length;
    this.targetStart = method.length;
    this.targetEnd = this.bytes.length;
    this.#whole = whole;
    this.#header = header;
    this.#cookie = cookie;
  }

  get remoteAddress(): string {
    return this.#whole.remoteAddress;
  }

  get isEncrypted(): boolean {
    return this.#whole.isEncrypted === true;
  }

  fieldValues(name: string): readonly Uint8Array[] {
    if (name === this.#header) return [];
    if (name !== 'cookie' || this.#cookie === null) return this.#whole.fieldValues(name);
    return this.#cookie.length === 0 ? [] : [this.#cookie];
  }

  host(): Uint8Array {
    return this.#whole.host();
  }
}

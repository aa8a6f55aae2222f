// Finds which variant a tester asks for, and removes that from the request: a header, a cookie or a query parameter with
// the value "NAME" or "NAME~SECRET". Without the right secret the request is treated as if it had not asked.
// Names are found without case, as in key texts. It knows nothing of shares. Source: RFC 6265 §4.2 for Cookie.

import { createHash, timingSafeEqual } from 'node:crypto';
import {
  AMPERSAND,
  EQUALS,
  isSpace,
  LOWER,
  QUESTION,
  type RequestContext,
  type RequestView,
  SEMICOLON,
  SP,
} from '../bytes.ts';
import type { OverrideConfig } from '../config/options/split.ts';
import { KeptValues, requestContextOf } from '../key/request-context.ts';

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

const SECRET_MARK = '~';
/** Longest value that can be one: a name and a secret with every byte percent-encoded. */
const VALUE_BYTES_MAX = 1024;

/** The override of one split. */
export class Override {
  /** Name of the header field, lower case; null without one. */
  readonly header: string | null;
  readonly #cookie: Uint8Array | null;
  readonly #query: Uint8Array | null;
  readonly #variants: ReadonlyMap<string, number>;
  readonly #digest: Buffer | null;

  /** `names` are those of the split's variants, in order. */
  constructor(config: OverrideConfig, names: readonly string[]) {
    this.header = config.header?.toLowerCase() ?? null;
    this.#cookie = config.cookie === undefined ? null : Buffer.from(config.cookie.toLowerCase());
    this.#query = config.query === undefined ? null : Buffer.from(config.query.toLowerCase());
    this.#variants = new Map(config.variants.map((name) => [name, names.indexOf(name)]));
    this.#digest = config.secret === undefined ? null : digestOf(config.secret);
  }

  /** What the request says of an override; null when it says nothing, so that it goes on as it is. */
  find(view: RequestView): OverrideFound | null {
    const query = this.#query === null ? null : cutQuery(view, this.#query);
    const cookie = this.#cookie === null ? null : cutCookies(view.fieldValues('cookie'), this.#cookie);
    const fields = this.header === null ? [] : view.fieldValues(this.header);
    if (query === null && cookie === null && fields.length === 0) return null;
    const header = new AskedValue();
    for (const field of fields) header.add(field, 0, field.length, false);
    const asked = { query: query?.asked, header, cookie: cookie?.asked };
    const target = query?.rest ?? null;
    const rest = cookie?.rest ?? null;
    const found = { target, cookie: rest, view: new ViewWithout(view, this.header, target, rest) };
    let place: OverridePlace | null = null;
    for (const one of OVERRIDE_PLACES) {
      const { value = '', count = 0 } = asked[one] ?? {};
      if (count === 0) continue;
      const variant = count === 1 ? this.#grant(value) : -1;
      if (variant >= 0) return { variant, place: one, ...found };
      place ??= one;
    }
    return { variant: -1, place, ...found };
  }

  #grant(value: string): number {
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

/** The values in one place. Two are ambiguous, so neither counts. */
class AskedValue {
  /** The first one. */
  value = '';
  /** How many there are; empty ones do not count. */
  count = 0;

  add(bytes: Uint8Array, start: number, end: number, isEncoded: boolean): void {
    if (start === end) return;
    this.count++;
    if (this.count > 1) return;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
    // What is longer is no name and no secret, encoded or not.
    this.value = isEncoded && text.length <= VALUE_BYTES_MAX ? decoded(text) : text;
  }
}

/** Names and secrets need no encoding, but forms and libraries encode "~" and ":" all the same. */
function decoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

interface Cut {
  readonly asked: AskedValue;
  /** What is left. */
  readonly rest: Uint8Array;
}

// Both cuts look for the name first, in one pass that makes nothing: nearly every request has none, and 31 KiB of ";" are
// 31,000 pieces.

/** Takes a parameter out of the target; null when it is not there. Every other byte is kept. */
function cutQuery({ bytes, targetStart, targetEnd }: RequestView, name: Uint8Array): Cut | null {
  let question = targetStart;
  while (question < targetEnd && bytes[question] !== QUESTION) question++;
  if (question === targetEnd) return null;
  const asked = new AskedValue();
  /** Start and end of each run of pieces that stay. */
  let runs: number[] | null = null;
  let runStart = question + 1;
  for (let at = question + 1; at <= targetEnd; ) {
    const end = endOfPiece(bytes, at, targetEnd, AMPERSAND);
    const value = valueUnder(name, bytes, at, end);
    if (value >= 0) {
      runs ??= [];
      if (runStart < at) runs.push(runStart, at - 1);
      asked.add(bytes, value, end, true);
      runStart = end + 1;
    }
    at = end + 1;
  }
  if (runs === null) return null;
  if (runStart <= targetEnd) runs.push(runStart, targetEnd);
  // The question mark came with the only parameter, and goes with it.
  const pathEnd = runs.length === 0 ? question : question + 1;
  const rest = Buffer.allocUnsafe(targetEnd - targetStart);
  let length = copy(bytes, targetStart, pathEnd, rest, 0);
  for (let i = 0; i < runs.length; i += 2) {
    if (i > 0) rest[length++] = AMPERSAND;
    length = copy(bytes, runs[i]!, runs[i + 1]!, rest, length);
  }
  return { asked, rest: rest.subarray(0, length) };
}

/** Takes a cookie out of all Cookie fields, which become one; null when it is not there. */
function cutCookies(fields: readonly Uint8Array[], name: Uint8Array): Cut | null {
  let isThere = false;
  let bytesMax = 0;
  for (const field of fields) {
    isThere ||= hasCookie(field, name);
    bytesMax += field.length * 2 + 2;
  }
  if (!isThere) return null;
  const asked = new AskedValue();
  const rest = Buffer.allocUnsafe(bytesMax);
  let length = 0;
  let isFirst = true;
  for (const field of fields) {
    for (let at = 0; at <= field.length; ) {
      const end = endOfPiece(field, at, field.length, SEMICOLON);
      const start = skipSpaces(field, at, end);
      const last = trimEnd(field, start, end);
      const value = valueUnder(name, field, start, last);
      if (value >= 0) asked.add(field, skipSpaces(field, value, last), last, true);
      else {
        if (!isFirst) {
          rest[length++] = SEMICOLON;
          rest[length++] = SP;
        }
        isFirst = false;
        length = copy(field, start, last, rest, length);
      }
      at = end + 1;
    }
  }
  return { asked, rest: rest.subarray(0, length) };
}

function hasCookie(field: Uint8Array, name: Uint8Array): boolean {
  for (let at = 0; at <= field.length; ) {
    const end = endOfPiece(field, at, field.length, SEMICOLON);
    if (valueUnder(name, field, at, end) >= 0) return true;
    at = end + 1;
  }
  return false;
}

function endOfPiece(bytes: Uint8Array, start: number, end: number, separator: number): number {
  let at = start;
  while (at < end && bytes[at] !== separator) at++;
  return at;
}

/** Where the value under NAME starts, `end` for a name without "="; -1 for another name. White space around a name does not count. */
function valueUnder(name: Uint8Array, bytes: Uint8Array, start: number, end: number): number {
  let at = skipSpaces(bytes, start, end);
  if (end - at < name.length) return -1;
  for (let i = 0; i < name.length; i++) if (LOWER[bytes[at + i]!] !== name[i]) return -1;
  at = skipSpaces(bytes, at + name.length, end);
  if (at === end) return end;
  return bytes[at] === EQUALS ? at + 1 : -1;
}

function copy(from: Uint8Array, start: number, end: number, to: Uint8Array, length: number): number {
  for (let at = start; at < end; at++) to[length + at - start] = from[at]!;
  return length + end - start;
}

function skipSpaces(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && isSpace(bytes[at]!)) at++;
  return at;
}

function trimEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start && isSpace(bytes[at - 1]!)) at--;
  return at;
}

/** A request without its override: a key that reads the whole target is that of the request that was meant. */
class ViewWithout implements RequestView {
  readonly bytes: Uint8Array;
  readonly methodStart: number;
  readonly methodEnd: number;
  readonly targetStart: number;
  readonly targetEnd: number;
  readonly #whole: RequestView;
  #context: RequestContext | null = null;
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

  /** Values of own variables are those of the request without its override; its id is that of the whole. */
  context(): RequestContext {
    if (this.#context === null) {
      const whole = requestContextOf(this.#whole);
      this.#context = new KeptValues(whole.surroundings, whole.beganAtMs, whole);
    }
    return this.#context;
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

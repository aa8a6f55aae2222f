// A plain YAML text -> its values, without nodes and places: block maps and lists, flow collections on one line, and texts
// on one line. It reads a part of YAML, and exactly as the yaml package does: what it does not know for certain it leaves
// to the package, with everything that is wrong. Source: YAML 1.2.2 §7 and §8, core schema §10.3.

import { COLON, COMMA, DOT, HASH, LF, QUOTE, SP } from '../bytes.ts';
import type { RawMap } from './raw.ts';

/** A text that has to be read in another way. */
class NotPlain extends Error {}

/** Deeper collections are left to the package, which bounds them. */
const PLAIN_DEPTH_MAX = 32;
/** More values are left to it as well. */
const PLAIN_VALUES_MAX = 100_000;

const KEY_LENGTH_MAX = 128;
const QUOTED_TEXT = /"([^"\\\n]*)"|'([^'\n]*)'(?!')/y;
// A colon before white space would end a key, and a "#" after it begins a comment; in a flow collection brackets and commas end a text.
const BLOCK_TEXT =
  /(?:[\w$/.^~+(<=]|[:-](?=[!-~]))(?:[!-9;-~]| +(?=[!"$-9;-~])|:(?=[!"$-9;-~]))*(?= *\n| +#)/y;
const FLOW_TEXT =
  /(?:[\w$/.^~+(<=]|[:-](?=[!-+.-Z\\^-z|~-]))(?:[!-+.-9;-Z\\^-z|~-]| +(?=[!"$-+.-9;-Z\\^-z|~-])|:(?=[$-&(-+.-9;-Z\\^-z|~-]))*/y;

/** Texts of the core schema that are no texts. */
const LITERALS: ReadonlyMap<string, boolean | null> = new Map([
  ...['~', 'null', 'Null', 'NULL'].map((text) => [text, null] as const),
  ...['true', 'True', 'TRUE'].map((text) => [text, true] as const),
  ...['false', 'False', 'FALSE'].map((text) => [text, false] as const),
]);
const LITERAL_LENGTH_MAX = 5;
const PLAIN_NUMBER = /^(?:0|-?[1-9]\d{0,14})$|^(?:0|[1-9]\d{0,8})\.\d{1,6}$/;
/** Begins as numbers do, and has no character that none has. */
const LIKE_NUMBER = /^[-+.]?[\d.](?:[\da-fA-FoOxX.+-]|inf|nan)*$|^[-+]?\.(?:inf|Inf|INF|nan|NaN|NAN)$/;

const DASH = 0x2d;
const APOSTROPHE = 0x27;
const [LIST_OPEN, LIST_CLOSE, MAP_OPEN, MAP_CLOSE] = [0x5b, 0x5d, 0x7b, 0x7d] as const;

/** What the text says, if it is a map in plain YAML; undefined for every other text. */
export function readPlainYaml(text: string): RawMap | undefined {
  if (/[\t\r]/.test(text)) return undefined;
  try {
    return new PlainYaml(text).read();
  } catch (cause) {
    if (cause instanceof NotPlain) return undefined;
    throw cause;
  }
}

/** One text while it is read. Every method throws NotPlain. */
class PlainYaml {
  readonly #text: string;
  #at = 0;
  /** Spaces before the line with content that is read now; -1 at the end. */
  #indent = 0;
  #depth = 0;
  #values = 0;

  constructor(text: string) {
    this.#text = `${text}\n`;
  }

  read(): RawMap {
    this.#nextLine();
    const value = this.#mapAt(this.#indent);
    if (this.#indent >= 0) throw new NotPlain();
    return value;
  }

  /** To the first character of the next line that is neither empty nor a comment. `#at` is at the start of a line. */
  #nextLine(): void {
    const text = this.#text;
    for (let start = this.#at; start < text.length; start = text.indexOf('\n', start) + 1) {
      let at = start;
      while (text.charCodeAt(at) === SP) at++;
      const code = text.charCodeAt(at);
      if (code === LF || code === HASH) continue;
      this.#at = at;
      this.#indent = at - start;
      return;
    }
    this.#indent = -1;
  }

  /** Over spaces and a comment to the next line; false if something else is there. */
  #endsLine(): boolean {
    const text = this.#text;
    const start = this.#at;
    this.#skipSpaces();
    const code = text.charCodeAt(this.#at);
    if (code !== LF && (code !== HASH || this.#at === start)) return false;
    this.#at = text.indexOf('\n', this.#at) + 1;
    this.#nextLine();
    return true;
  }

  #skipSpaces(): void {
    while (this.#text.charCodeAt(this.#at) === SP) this.#at++;
  }

  #enter(): void {
    if (++this.#depth > PLAIN_DEPTH_MAX) throw new NotPlain();
  }

  #count(): void {
    if (++this.#values > PLAIN_VALUES_MAX) throw new NotPlain();
  }

  /** The map whose first key is at `#at`, in this column. */
  #mapAt(indent: number): RawMap {
    this.#enter();
    this.#count();
    const map: RawMap = {};
    while (this.#indent === indent) {
      const key = this.#key(map, this.#keyEnd());
      map[key] = this.#valueIn(indent);
      if (this.#indent > indent) throw new NotPlain();
      if (this.#indent < 0) break;
    }
    this.#depth--;
    return map;
  }

  /** The list whose first dash is at `#at`, in this column. */
  #listAt(indent: number): unknown[] {
    this.#enter();
    this.#count();
    const list: unknown[] = [];
    while (this.#indent === indent && this.#isDash()) {
      this.#at++;
      const start = this.#at;
      this.#skipSpaces();
      if (this.#keyEnd() >= 0) {
        this.#indent = indent + 1 + this.#at - start;
        list.push(this.#mapAt(this.#indent));
      } else list.push(this.#inLine());
      if (this.#indent > indent) throw new NotPlain();
    }
    this.#depth--;
    return list;
  }

  #isDash(): boolean {
    return this.#text.charCodeAt(this.#at) === DASH && this.#text.charCodeAt(this.#at + 1) === SP;
  }

  /** After the colon of the key at `#at`; -1 where there is no plain or quoted key. */
  #keyEnd(): number {
    const text = this.#text;
    const first = text.charCodeAt(this.#at);
    let end = this.#at;
    if (first === QUOTE || first === APOSTROPHE) {
      QUOTED_TEXT.lastIndex = end;
      if (!QUOTED_TEXT.test(text)) return -1;
      end = QUOTED_TEXT.lastIndex;
    } else if (!isLetter(first)) return -1;
    else while (isOfKey(text.charCodeAt(end))) end++;
    if (text.charCodeAt(end) !== COLON || end - this.#at > KEY_LENGTH_MAX) return -1;
    const next = text.charCodeAt(end + 1);
    return next === SP || next === LF ? end + 1 : -1;
  }

  /** The key that ends at `end`, which `map` does not have yet. */
  #key(map: RawMap, end: number): string {
    if (end < 0) throw new NotPlain();
    const isQuoted = !isLetter(this.#text.charCodeAt(this.#at));
    const key = isQuoted ? this.#text.slice(this.#at + 1, end - 2) : this.#text.slice(this.#at, end - 1);
    if (key === '__proto__' || (!isQuoted && LITERALS.has(key)) || Object.hasOwn(map, key))
      throw new NotPlain();
    this.#at = end;
    return key;
  }

  /** The value after a key in this column. */
  #valueIn(indent: number): unknown {
    if (!this.#endsLine()) {
      this.#skipSpaces();
      return this.#inLine();
    }
    if (this.#indent > indent) return this.#isDash() ? this.#listAt(this.#indent) : this.#mapAt(this.#indent);
    if (this.#indent === indent && this.#isDash()) return this.#listAt(indent);
    this.#count();
    return null;
  }

  /** The value at `#at`, with which its line ends. */
  #inLine(): unknown {
    const value = this.#value(BLOCK_TEXT);
    if (!this.#endsLine()) throw new NotPlain();
    return value;
  }

  #value(plain: RegExp): unknown {
    switch (this.#text.charCodeAt(this.#at)) {
      case MAP_OPEN:
        return this.#flowMap();
      case LIST_OPEN:
        return this.#flowList();
      case QUOTE:
      case APOSTROPHE:
        return this.#quoted();
      default:
        return this.#plain(plain);
    }
  }

  #quoted(): string {
    QUOTED_TEXT.lastIndex = this.#at;
    const found = QUOTED_TEXT.exec(this.#text);
    const value = found?.[1] ?? found?.[2];
    if (found === null || value === undefined) throw new NotPlain();
    this.#at += found[0].length;
    this.#count();
    return value;
  }

  #plain(plain: RegExp): unknown {
    plain.lastIndex = this.#at;
    if (!plain.test(this.#text)) throw new NotPlain();
    const text = this.#text.slice(this.#at, plain.lastIndex);
    this.#at = plain.lastIndex;
    this.#count();
    return resolved(text);
  }

  #flowMap(): RawMap {
    this.#enter();
    this.#count();
    const map: RawMap = {};
    this.#at++;
    this.#skipSpaces();
    while (!this.#closes(MAP_CLOSE)) {
      const key = this.#key(map, this.#keyEnd());
      this.#skipSpaces();
      map[key] = this.#value(FLOW_TEXT);
      this.#next(MAP_CLOSE);
    }
    this.#depth--;
    return map;
  }

  #flowList(): unknown[] {
    this.#enter();
    this.#count();
    const list: unknown[] = [];
    this.#at++;
    this.#skipSpaces();
    while (!this.#closes(LIST_CLOSE)) {
      list.push(this.#value(FLOW_TEXT));
      this.#next(LIST_CLOSE);
    }
    this.#depth--;
    return list;
  }

  /** Over the bracket that ends a flow collection, if it is at `#at`. */
  #closes(bracket: number): boolean {
    if (this.#text.charCodeAt(this.#at) !== bracket) return false;
    this.#at++;
    return true;
  }

  /** Over the comma before another entry, or to the bracket. */
  #next(bracket: number): void {
    this.#skipSpaces();
    const code = this.#text.charCodeAt(this.#at);
    if (code === bracket) return;
    if (code !== COMMA) throw new NotPlain();
    this.#at++;
    this.#skipSpaces();
    if (this.#text.charCodeAt(this.#at) === bracket) throw new NotPlain();
  }
}

/** A letter, "_" or "$". */
function isLetter(code: number): boolean {
  const letter = code | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || code === 0x5f || code === 0x24;
}

/** What may follow in a key without quotes: digits, "." and "-" too. */
function isOfKey(code: number): boolean {
  return isLetter(code) || (code >= 0x30 && code <= 0x39) || code === DASH || code === DOT;
}

/** The value of a text without quotes. */
function resolved(text: string): unknown {
  if (text.length <= LITERAL_LENGTH_MAX) {
    const literal = LITERALS.get(text);
    if (literal !== undefined) return literal;
  }
  if (PLAIN_NUMBER.test(text)) return Number(text);
  if (LIKE_NUMBER.test(text)) throw new NotPlain();
  return text;
}

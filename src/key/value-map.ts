// A map from one text to another: a variable whose value is looked up by the value of a text. Strings are compared without
// case, names of hosts by wildcards too, then patterns in their order. 10,000 strings cost what one costs.
// Source: nginx, ngx_http_map_module.c, ngx_http_map_find in ngx_http_variables.c, ngx_hash.c.

import { LOWER, type RequestView } from '../bytes.ts';
import { type CompiledKey, compileKey, type KeyFault } from './compile.ts';
import type { TextScope } from './own-variables.ts';
import { Captures, compilePattern, type Pattern } from './pattern.ts';
import { cutKey, type KeyPart, keyFrom, keyLength } from './variables.ts';

/** A map as the configuration has it. */
export interface MapSource {
  /** The text that is looked up. */
  readonly of: string;
  /**
   * What it is compared with, and the text that is the value then. "~" begins a pattern, "~*" one without case; a
   * backslash before a name makes it plain.
   */
  readonly values: readonly (readonly [match: string, value: string])[];
  /** The value where nothing matches. */
  readonly default: string;
  /** Strings may be wildcards like *.example, example.* and .example. */
  readonly hostnames: boolean;
  /** The value is looked up each time it is read. */
  readonly volatile: boolean;
}

/** What is wrong with a map: in its text, in an entry's match or in its value. */
export interface MapFault {
  readonly entry: number | 'of' | 'default';
  readonly part: 'match' | 'value';
  readonly expected: string;
  readonly got: string;
  readonly offset: number;
}

/** An entry that applies. */
interface Entry {
  /** As the configuration has it. */
  readonly match: string;
  readonly value: CompiledKey;
}

interface PatternEntry extends Entry {
  readonly pattern: Pattern;
  readonly captures: Captures;
}

/** A variable as it was made for one request: what was looked up, the entry that applied ("default": none did), the value. */
export interface ExplainedMap {
  readonly name: string;
  readonly of: string;
  readonly match: string;
  readonly value: string;
}

/** A compiled map: immutable but for what its patterns captured last. Its scope owns it. */
export class ValueMap implements KeyPart {
  readonly #of: CompiledKey;
  readonly #strings: ReadonlyMap<string, Entry>;
  /** By what is after "*." and before ".*". */
  readonly #heads: ReadonlyMap<string, Entry>;
  readonly #tails: ReadonlyMap<string, Entry>;
  readonly #patterns: readonly PatternEntry[];
  readonly #default: Entry;
  readonly #hostnames: boolean;

  constructor(reader: MapReader) {
    this.#of = reader.of;
    this.#strings = reader.strings;
    this.#heads = reader.heads;
    this.#tails = reader.tails;
    this.#patterns = reader.patterns;
    this.#default = reader.otherwise;
    this.#hostnames = reader.hostnames;
  }

  append(view: RequestView): void {
    const start = keyLength();
    this.#of.append(view);
    const entry = this.#find(keyFrom(start));
    cutKey(start);
    entry.value.append(view);
  }

  /** What was looked up, and the entry that applies to it: "default" where none does. */
  explain(view: RequestView): { readonly of: string; readonly match: string } {
    const start = keyLength();
    this.#of.append(view);
    const bytes = keyFrom(start);
    const of = Buffer.from(bytes).toString('latin1');
    const { match } = this.#find(bytes);
    cutKey(start);
    return { of, match };
  }

  #find(bytes: Uint8Array): Entry {
    const size =
      this.#hostnames && bytes.length > 0 && bytes[bytes.length - 1] === 0x2e
        ? bytes.length - 1
        : bytes.length;
    const text = latin1Of(bytes, size);
    const lower = lowered(bytes, size);
    const found = this.#strings.get(lower) ?? (this.#hostnames ? this.#findHost(lower) : undefined);
    if (found !== undefined) return found;
    // nginx asks no pattern about an empty value.
    if (size > 0) {
      for (const entry of this.#patterns) {
        const captured = entry.pattern.exec(text);
        if (captured === null) continue;
        entry.captures.set(captured);
        return entry;
      }
    }
    return this.#default;
  }

  /** The longest "*.example" before the longest "example.*". */
  #findHost(name: string): Entry | undefined {
    if (this.#heads.size > 0) {
      for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
        const found = this.#heads.get(name.slice(dot + 1));
        if (found !== undefined) return found;
      }
    }
    if (this.#tails.size > 0) {
      for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
        const found = dot < name.length - 1 ? this.#tails.get(name.slice(0, dot)) : undefined;
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }
}

function latin1Of(bytes: Uint8Array, size: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, size).toString('latin1');
}

/** Only ASCII letters have case. */
function lowered(bytes: Uint8Array, size: number): string {
  const copy = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i++) copy[i] = LOWER[bytes[i]!]!;
  return copy.toString('latin1');
}

/** Compiles a map in a scope; or every fault in it. */
export function compileMap(
  source: MapSource,
  scope: TextScope,
): ValueMap | { readonly faults: readonly MapFault[] } {
  const reader = new MapReader(source, scope);
  return reader.faults.length > 0 ? { faults: reader.faults } : new ValueMap(reader);
}

const NO_TEXT: CompiledKey = compileKey('') as CompiledKey;

/** Reads the entries of one map into what the map looks them up in. Used once, by `compileMap`. */
class MapReader {
  readonly faults: MapFault[] = [];
  readonly strings = new Map<string, Entry>();
  readonly heads = new Map<string, Entry>();
  readonly tails = new Map<string, Entry>();
  readonly patterns: PatternEntry[] = [];
  readonly of: CompiledKey;
  readonly otherwise: Entry;
  readonly hostnames: boolean;
  readonly #scope: TextScope;

  constructor(source: MapSource, scope: TextScope) {
    this.#scope = scope;
    this.hostnames = source.hostnames;
    this.of = this.#text(source.of, 'of', scope);
    for (const [entry, [match, value]] of source.values.entries()) this.#read(match, value, entry);
    this.otherwise = { match: 'default', value: this.#text(source.default, 'default', scope) };
  }

  #read(match: string, value: string, entry: number): void {
    if (match.startsWith('~')) return this.#readPattern(match, value, entry);
    const plain = Buffer.from(match.replace(/^\\/, '')).toString('latin1');
    const name = lowered(Buffer.from(plain, 'latin1'), plain.length);
    const made = { match, value: this.#text(value, entry, this.#scope) };
    const wildcard = this.hostnames ? /^(?:\*(\..+)|(\..+)|(.+)\.\*)$/.exec(name) : null;
    const [, head, both, tail] = wildcard ?? [];
    if (this.hostnames && (/\.\.|\0/.test(name) || /\*/.test(head ?? both ?? tail ?? name))) {
      const expected = 'a name, or a wildcard like *.example, .example or example.*';
      this.#fault(entry, 'match', expected, JSON.stringify(match));
    } else if (head !== undefined) this.#add(this.heads, head.slice(1), made, entry);
    else if (tail !== undefined) this.#add(this.tails, tail, made, entry);
    else if (both !== undefined) {
      this.#add(this.strings, both.slice(1), made, entry);
      this.#add(this.heads, both.slice(1), made, entry);
    } else this.#add(this.strings, name, made, entry);
  }

  #add(into: Map<string, Entry>, name: string, made: Entry, entry: number): void {
    if (into.has(name)) {
      this.#fault(entry, 'match', 'each value once, in whatever case', `${JSON.stringify(made.match)} again`);
    } else into.set(name, made);
  }

  #readPattern(match: string, value: string, entry: number): void {
    const isCaseless = match.startsWith('~*');
    const pattern = compilePattern(match.slice(isCaseless ? 2 : 1), isCaseless);
    if ('expected' in pattern) return this.#fault(entry, 'match', pattern.expected, pattern.got);
    const captures = new Captures();
    const scope = withCaptures(this.#scope, pattern, captures);
    this.patterns.push({ match, value: this.#text(value, entry, scope), pattern, captures });
  }

  #text(text: string, entry: MapFault['entry'], scope: TextScope): CompiledKey {
    const compiled = compileKey(text, scope);
    if (!('error' in compiled)) return compiled;
    const [expected, got] = splitFault(compiled);
    this.#fault(entry, 'value', expected, got, compiled.offset);
    return NO_TEXT;
  }

  #fault(entry: MapFault['entry'], part: MapFault['part'], expected: string, got: string, offset = 0): void {
    this.faults.push({ entry, part, expected, got, offset });
  }
}

function splitFault({ error }: KeyFault): [expected: string, got: string] {
  const at = error.lastIndexOf(', got ');
  return [error.slice(0, at).replace(/^expected /, ''), error.slice(at + 6)];
}

/** A scope that also has what a pattern captured: `$1`, and `$name` for a named capture. */
export function withCaptures(scope: TextScope, pattern: Pattern, captures: Captures): TextScope {
  return {
    place: scope.place,
    jwtCookie: scope.jwtCookie,
    own(name) {
      const group = /^\d$/.test(name) ? Number(name) : pattern.names.get(name);
      if (group === undefined || group < 1) return scope.own(name);
      if (group <= pattern.captures) return captures.part(group);
      return { refusal: `the regular expression has ${pattern.captures} captures` };
    },
  };
}

// Regular expressions in time linear in what they read, on bytes as nginx has them: PCRE without UTF mode, where each byte
// is a character and only ASCII letters have case. The engine is RE2JS, loaded by the first configuration that has a
// pattern; what RE2 cannot do is refused. Sources: github.com/google/re2 (syntax), pcre2pattern(3).

import type { RE2JS } from 're2js';
import type { RequestView } from '../bytes.ts';
import { appendLatin1, type KeyPart } from './variables.ts';

type PatternEngine = typeof RE2JS;
type Compiled = ReturnType<PatternEngine['compile']>;

let engine: PatternEngine | null = null;

/** Loads the engine; to be called before a configuration with patterns is checked or compiled. */
export async function loadPatternEngine(): Promise<void> {
  engine ??= (await import('re2js')).RE2JS;
}

/** Thrown where a pattern is met before the engine is loaded: load it and begin again. */
export class PatternEngineNeeded extends Error {}

/** Takes an engine that was loaded otherwise: by those who cannot wait. */
export function usePatternEngine(loaded: PatternEngine): void {
  engine = loaded;
}

/** Characters of a pattern that a message shows. */
const PATTERN_SHOWN_MAX = 60;
/** Longest text of a pattern, in bytes. */
const PATTERN_BYTES_MAX = 2048;
/** Largest compiled pattern, in instructions: nested repetitions multiply. */
const PROGRAM_SIZE_MAX = 5000;

/** The bytes of a match, by capture: number 0 is the whole match. */
export type Captured = readonly (string | null)[];

/** A compiled pattern. Immutable; its owner is what has it: a map, a route. */
export class Pattern {
  readonly #compiled: Compiled;
  /** Names of its captures with their numbers. */
  readonly names: ReadonlyMap<string, number>;
  readonly captures: number;

  constructor(compiled: Compiled) {
    this.#compiled = compiled;
    this.names = new Map(
      Object.entries(compiled.namedGroups()).map(([name, group]) => [name.toLowerCase(), group]),
    );
    this.captures = compiled.groupCount();
  }

  /** True when the pattern is anywhere in `text`, one character a byte. */
  test(text: string): boolean {
    return this.#compiled.test(disguised(text));
  }

  /** What it captures in `text`, one character a byte; null where it does not match. */
  exec(text: string): Captured | null {
    if (this.captures === 0) return this.test(text) ? [] : null;
    const matcher = this.#compiled.matcher(disguised(text));
    if (!matcher.find()) return null;
    const captured: (string | null)[] = [];
    for (let group = 0; group <= this.captures; group++) {
      const found = matcher.group(group);
      captured.push(found == null ? null : revealed(found));
    }
    return captured;
  }
}

/**
 * Compiles a pattern, its text as the file has it; or says why it cannot be: "expected …, got …" without the two words.
 * Throws PatternEngineNeeded before the engine is loaded.
 */
export function compilePattern(
  text: string,
  isCaseless: boolean,
): Pattern | { readonly expected: string; readonly got: string } {
  if (engine === null) throw new PatternEngineNeeded('the engine of regular expressions is not loaded');
  const bytes = Buffer.from(text).toString('latin1');
  if (bytes.length > PATTERN_BYTES_MAX) {
    return { expected: `a regular expression of ${PATTERN_BYTES_MAX} bytes at most`, got: `${bytes.length}` };
  }
  const unsupported = UNSUPPORTED.find(([form]) => form.test(bytes))?.[1];
  const got =
    text.length <= PATTERN_SHOWN_MAX
      ? JSON.stringify(text)
      : `${JSON.stringify(text.slice(0, PATTERN_SHOWN_MAX))}…`;
  if (unsupported !== undefined) {
    return { expected: `a regular expression that runs in linear time, without ${unsupported}`, got };
  }
  try {
    const compiled = engine.compile(translated(bytes), isCaseless ? engine.CASE_INSENSITIVE : 0);
    if (compiled.programSize() > PROGRAM_SIZE_MAX) {
      return { expected: 'a regular expression with fewer repetitions', got };
    }
    return new Pattern(compiled);
  } catch (cause) {
    const reason = cause instanceof Error ? revealed(cause.message).replace(/\s+/g, ' ') : String(cause);
    // The engine repeats the expression, which may be long.
    const short =
      reason.length <= 2 * PATTERN_SHOWN_MAX
        ? reason
        : reason.replace(/: `.*/, '').slice(0, 2 * PATTERN_SHOWN_MAX);
    return { expected: `a regular expression of RE2 (${short})`, got };
  }
}

/** What PCRE has and no linear engine can, or RE2 reads otherwise. */
const UNSUPPORTED: readonly (readonly [form: RegExp, name: string])[] = [
  [/(?<!\\)(?:\\\\)*\(\?(?:[=!]|<[=!])/, 'look-ahead and look-behind'],
  [/(?<!\\)(?:\\\\)*\(\?>/, 'atomic groups'],
  [/(?<!\\)(?:\\\\)*\(\?(?:\(|R\)|[+-]?\d+\)|&|P>)/, 'conditions and recursion'],
  [/(?<!\\)(?:\\\\)*\(\?(?:\||#|')/, "the groups (?|, (?# and (?'"],
  [/(?<!\\)(?:\\\\)*\(\*/, 'verbs like (*UTF8)'],
  [/(?<!\\)(?:\\\\)*\\(?:[1-9]|[gk][{<'\d])/, 'back-references'],
  [/(?<!\\)(?:\\\\)*[*+?}]\+/, 'possessive quantifiers'],
  [/(?<!\\)(?:\\\\)*\\[KRXGhHNvV]/, 'the escapes \\K \\R \\X \\G \\h \\N \\v'],
];

/** Bytes above 0x7f are these characters of private use, which have no case: to RE2 é and É are one letter, to nginx not. */
const PRIVATE = 0xf700;

function disguised(text: string): string {
  if (!/[\x80-\xff]/.test(text)) return text;
  return text.replace(/[\x80-\xff]/g, (byte) => String.fromCharCode(PRIVATE + byte.charCodeAt(0)));
}

function revealed(text: string): string {
  if (!/[\uf780-\uf7ff]/.test(text)) return text;
  return text.replace(/[\uf780-\uf7ff]/g, (unit) => String.fromCharCode(unit.charCodeAt(0) - PRIVATE));
}

/** A pattern of PCRE as RE2 means the same: high bytes, and "$", which also matches before a line end that is the last byte. */
function translated(bytes: string): string {
  let inClass = false;
  let text = '';
  for (let at = 0; at < bytes.length; at++) {
    const one = bytes[at]!;
    if (one === '\\') {
      const high = /^\\(?:x\{([89a-fA-F][0-9a-fA-F])\}|x([89a-fA-F][0-9a-fA-F])|([23][0-7]{2}))/.exec(
        bytes.slice(at, at + 6),
      );
      if (high !== null) {
        const code =
          high[3] === undefined ? Number.parseInt(high[1] ?? high[2]!, 16) : Number.parseInt(high[3], 8);
        text += `\\x{${(PRIVATE + code).toString(16)}}`;
        at += high[0].length - 1;
      } else {
        const next = bytes[++at] ?? '';
        text += next === 'Z' && !inClass ? LAST : `\\${next}`;
      }
    } else if (one === '[' && !inClass) {
      inClass = true;
      text += one;
      // "]" as the first of a class is a character of it.
      const first = /^\^?\]?/.exec(bytes.slice(at + 1, at + 3))![0];
      text += first.replace(']', '\\]');
      at += first.length;
    } else if (one === '[' && /^\[:\^?[a-z]+:\]/.test(bytes.slice(at, at + 14))) {
      const named = /^\[:\^?[a-z]+:\]/.exec(bytes.slice(at, at + 14))![0];
      text += named;
      at += named.length - 1;
    } else if (one === ']' && inClass) {
      inClass = false;
      text += one;
    } else if (one === '$' && !inClass) text += LAST;
    else text += disguised(one);
  }
  return text;
}

const LAST = '(?:\\n?\\z)';

/** What a pattern captured last, as variables read it: $1 and named ones. Set and read within one text. */
export class Captures {
  #captured: Captured = [];

  set(captured: Captured): void {
    this.#captured = captured;
  }

  /** The variable of a capture, by its number. */
  part(group: number): KeyPart {
    return { append: (_view: RequestView) => appendLatin1(this.#captured[group] ?? '') };
  }
}

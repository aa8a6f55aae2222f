// Reads the syntax of nginx configuration files: words, quotes, comments, blocks, includes, each with its place. Knows no
// directive by name but `include`. Reads no file: the caller passes a function that does.
// Source: ngx_conf_read_token in nginx's src/core/ngx_conf_file.c.

import type { Problem } from '../problem.ts';
import { showGot } from '../problem.ts';
import { refuseText } from '../text.ts';
import { MIME_TYPES } from './mime-types.ts';

/** A position in a file. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One word of a directive, quotes and escapes undone. */
interface Word extends Position {
  readonly text: string;
}

/** A directive: its words, the first of which is its name, and its block, if it has one. */
export interface Directive {
  readonly name: Word;
  readonly words: readonly Word[];
  readonly block: readonly Directive[] | null;
}

/** Texts of the files that an include's pattern names; none for a pattern without a match; a sentence when one cannot be read. */
export type ReadInclude = (
  pattern: string,
) => readonly { file: string; text: string }[] | { readonly got: string };

const DEPTH_MAX = 16;
const FILES_MAX = 256;
/** Characters of all included texts together. */
const INCLUDED_LENGTH_MAX = 4 * 1024 * 1024;

/** A problem at a position, shown as FILE:LINE:COL. `path` names the directive. */
export function problemAt(position: Position, path: string, expected: string, got: string): Problem {
  const at = `${position.file}:${position.line}:${position.column}`;
  return { at, path, order: position.line * 1e5 + position.column, expected, got };
}

/** Directives of a text, its includes put in their place; or what keeps it from being read. */
export function readDirectives(
  text: string,
  file: string,
  readInclude: ReadInclude,
): { directives: readonly Directive[]; files: readonly string[]; problems: readonly Problem[] } {
  const reader = new Reader(readInclude);
  const directives = reader.read(text, file);
  return { directives, files: reader.files, problems: reader.problems };
}

class Reader {
  readonly problems: Problem[] = [];
  readonly files: string[] = [];
  readonly #readInclude: ReadInclude;
  #depth = 0;
  #length = 0;
  /** Includes that named no file: each may have cost a walk through folders. */
  #emptyIncludes = 0;

  constructor(readInclude: ReadInclude) {
    this.#readInclude = readInclude;
  }

  read(text: string, file: string): Directive[] {
    this.files.push(file);
    const top: Directive[] = [];
    // Blocks that are open, the innermost last; each knows where it began.
    const open: { list: Directive[]; at: Position | null }[] = [{ list: top, at: null }];
    let words: Word[] = [];
    for (const token of tokens(text, file)) {
      const list = open.at(-1)!.list;
      switch (token.kind) {
        case 'word':
          words.push(token);
          break;
        case ';':
          if (words.length === 0) this.#fail(token, 'a directive before ";"', '";"');
          else this.#close(words, null, list);
          words = [];
          break;
        case '{': {
          const block: Directive[] = [];
          if (words.length === 0) this.#fail(token, 'a directive before "{"', '"{"');
          else this.#close(words, block, list);
          if (open.length < DEPTH_MAX) open.push({ list: block, at: words[0] ?? token });
          else {
            this.#fail(token, `blocks of ${DEPTH_MAX} levels at most`, 'one more');
            return top;
          }
          words = [];
          break;
        }
        case '}':
          if (words.length > 0)
            this.#fail(words[0]!, '";" at the end of a directive', `${showGot(words[0]!.text)} and "}"`);
          words = [];
          if (open.length > 1) open.pop();
          else this.#fail(token, 'a directive', '"}" without its "{"');
          break;
        case 'fault':
          this.#fail(token, token.expected, token.got);
          return top;
        default:
          token satisfies never;
      }
    }
    const unclosed = open.at(-1)!.at;
    if (words.length > 0)
      this.#fail(
        words[0]!,
        '";" at the end of a directive',
        `${showGot(words[0]!.text)} and the end of the file`,
      );
    else if (unclosed !== null) this.#fail(unclosed, '"}" at the end of the block', 'the end of the file');
    return top;
  }

  #close(words: readonly Word[], block: Directive[] | null, list: Directive[]): void {
    const [name, ...rest] = words;
    if (name!.text === 'include' && block === null) this.#include(name!, rest, list);
    else list.push({ name: name!, words: rest, block });
  }

  #include(name: Word, words: readonly Word[], list: Directive[]): void {
    const pattern = words[0];
    if (pattern === undefined || words.length > 1) {
      this.#fail(name, 'include with one file or pattern', `${words.length} words`);
      return;
    }
    if (this.#depth >= DEPTH_MAX || this.files.length + this.#emptyIncludes >= FILES_MAX) {
      this.#fail(
        pattern,
        `includes of ${DEPTH_MAX} levels and ${FILES_MAX} files at most`,
        showGot(pattern.text),
      );
      return;
    }
    const texts = this.#readInclude(pattern.text);
    if ('got' in texts && /(^|\/)mime\.types$/.test(pattern.text)) {
      // Images without nginx lack its table of media types.
      list.push(...readDirectives(MIME_TYPES, pattern.text, this.#readInclude).directives);
      return;
    }
    if ('got' in texts) {
      this.#fail(pattern, 'a file that can be read', `${showGot(pattern.text)}: ${texts.got}`);
      return;
    }
    if (texts.length === 0) this.#emptyIncludes++;
    this.#depth++;
    for (const { file, text } of texts) {
      const garbage = refuseText(text, file, 'an nginx configuration');
      this.#length += text.length;
      if (garbage !== undefined) this.problems.push(garbage);
      else if (this.#length <= INCLUDED_LENGTH_MAX) list.push(...this.read(text, file));
      else if (this.#length - text.length <= INCLUDED_LENGTH_MAX)
        this.#fail(pattern, 'includes of 4 MiB together at most', `${showGot(file)}, which makes it more`);
    }
    this.#depth--;
  }

  #fail(at: Position, expected: string, got: string): void {
    this.problems.push(problemAt(at, '', expected, got));
  }
}

type Token =
  | ({ readonly kind: 'word' } & Word)
  | ({ readonly kind: ';' | '{' | '}' } & Position)
  | ({ readonly kind: 'fault'; readonly expected: string; readonly got: string } & Position);

/** What ends a word. Other spaces of Unicode, and \v and \f, are letters to nginx like any other. */
const WORD_END = /[ \t\r\n;{]/;
const QUOTED_WORD_END = /[ \t\r\n;{)]/;

function* tokens(text: string, file: string): Generator<Token> {
  let line = 1;
  let lineStart = 0;
  let at = 0;
  const here = (): Position => ({ file, line, column: at - lineStart + 1 });
  while (at < text.length) {
    const first = text[at]!;
    if (first === '\n') {
      line++;
      lineStart = ++at;
    } else if (first === ' ' || first === '\t' || first === '\r' || first === '\ufeff') at++;
    else if (first === '#') {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end;
    } else if (first === ';' || first === '{' || first === '}') {
      yield { kind: first, ...here() };
      at++;
    } else {
      const start = here();
      const quote = first === '"' || first === "'" ? first : null;
      let word = '';
      if (quote !== null) at++;
      for (; at < text.length; at++) {
        const one = text[at]!;
        if (one === '\n') {
          if (quote === null) break;
          line++;
          lineStart = at + 1;
        }
        if (quote === null ? WORD_END.test(one) && !(one === '{' && text[at - 1] === '$') : one === quote)
          break;
        if (one !== '\\') word += one;
        else word += escaped(text[++at] ?? '');
      }
      if (quote !== null) {
        if (at >= text.length) {
          yield { kind: 'fault', ...start, expected: `a closing ${quote}`, got: 'the end of the file' };
          return;
        }
        at++;
        if (at < text.length && !QUOTED_WORD_END.test(text[at]!)) {
          yield {
            kind: 'fault',
            ...here(),
            expected: 'a space, ";" or "{" after a quoted word',
            got: showGot(text[at]),
          };
          return;
        }
      }
      yield { kind: 'word', ...start, text: word };
    }
  }
}

function escaped(character: string): string {
  switch (character) {
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'n':
      return '\n';
    case '"':
    case "'":
    case '\\':
      return character;
    default:
      return `\\${character}`;
  }
}

// The syntax of an nginx.conf: words, quotes, variables, blocks and included files.
import { describe, expect, it } from 'vitest';
import { type Directive, readDirectives } from '../../../../src/config/nginx/syntax.ts';
import { formatProblems } from '../../../../src/config/problem.ts';
import type { Files } from '../../../support/nginx-conf.ts';

describe('the syntax', () => {
  const show = (directives: readonly Directive[]): unknown =>
    directives.map(({ name, words, block }) => [
      name.text,
      ...words.map(({ text }) => text),
      ...(block ? [show(block)] : []),
    ]);
  const read = (text: string, files: Files = {}) =>
    readDirectives(text, 'n.conf', (pattern) =>
      files[pattern] === undefined ? { got: 'no such file' } : [{ file: pattern, text: files[pattern] }],
    );

  it.each<[string, string, unknown]>([
    [
      'spaces that are none to nginx as letters',
      'a b\u00a0c\v; \u00a0 d;',
      [
        ['a', 'b\u00a0c\v'],
        ['\u00a0', 'd'],
      ],
    ],
    [
      'words and blocks',
      'a b c; d { e f; g { } }',
      [
        ['a', 'b', 'c'],
        [
          'd',
          [
            ['e', 'f'],
            ['g', []],
          ],
        ],
      ],
    ],
    [
      'comments',
      '# one\na b; # two ; { \nc#d e;',
      [
        ['a', 'b'],
        ['c#d', 'e'],
      ],
    ],
    ['quotes', `a "b c" 'd "e"' "";`, [['a', 'b c', 'd "e"', '']]],
    ['a variable in braces inside a word', 'a ${b}c{d;}', [['a', '${b}c', [['d']]]]],
    ['words over lines', 'a\n  b\r\n\tc\n;', [['a', 'b', 'c']]],
    ['a closing brace inside a word', 'a b};', [['a', 'b}']]],
    ['a byte order mark', '\ufeffa b;', [['a', 'b']]],
  ])('%s', (_what, text, tree) => {
    const { directives, problems } = read(text);
    expect(problems).toEqual([]);
    expect(show(directives)).toEqual(tree);
  });

  it('undoes the escapes that nginx undoes and leaves the others', () => {
    expect(show(read(String.raw`a "\"x\"" '\'' \d \\ "\t" "\$";`).directives)).toEqual([
      ['a', '"x"', "'", '\\d', '\\', '\t', '\\$'],
    ]);
  });

  it('puts the directives of an included file in the place of the include, with their own positions', () => {
    const { directives, files } = read('a { include b.conf; c; }', { 'b.conf': '\n  x y;' });
    expect(show(directives)).toEqual([['a', [['x', 'y'], ['c']]]]);
    expect(directives[0]!.block![0]!.name).toMatchObject({ file: 'b.conf', line: 2, column: 3 });
    expect(files).toEqual(['n.conf', 'b.conf']);
  });

  it.each<[string, string, string]>([
    [
      'a missing semicolon',
      'a { b c }',
      'n.conf:1:5: expected ";" at the end of a directive, got "b" and "}"',
    ],
    [
      'a missing semicolon at the end',
      'a;\nb c',
      'n.conf:2:1: expected ";" at the end of a directive, got "b" and the end of the file',
    ],
    [
      'a missing brace',
      'a {\n b { c; }\n',
      'n.conf:1:1: expected "}" at the end of the block, got the end of the file',
    ],
    ['a brace too many', 'a { } }', 'n.conf:1:7: expected a directive, got "}" without its "{"'],
    ['a lonely semicolon', 'a;;', 'n.conf:1:3: expected a directive before ";", got ";"'],
    ['an open quote', 'a "b;\nc;', 'n.conf:1:3: expected a closing ", got the end of the file'],
    [
      'text behind a quote',
      'a "b"c;',
      'n.conf:1:6: expected a space, ";" or "{" after a quoted word, got "c"',
    ],
    [
      'an include of nothing',
      'include gone.conf;',
      'n.conf:1:9: expected a file that can be read, got "gone.conf": no such file',
    ],
  ])('tells %s with its place', (_what, text, line) => {
    expect(formatProblems(read(text).problems)).toEqual([line]);
  });

  it('ends an include of itself, and blocks without end, with a problem', () => {
    expect(formatProblems(read('include a;', { a: 'include a;' }).problems)[0]).toMatch(
      /expected includes of 16 levels/,
    );
    expect(formatProblems(read('a {'.repeat(10_000)).problems)[0]).toMatch(
      /expected blocks of 16 levels at most/,
    );
  });
});

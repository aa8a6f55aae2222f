// Where a request goes whose path a rewrite has changed, as far as the beginning of the new path decides it.
import { describe, expect, it } from 'vitest';
import { locationOf, mayMatch, newPathOf } from '../../../../src/config/nginx/new-paths.ts';
import { readDirectives } from '../../../../src/config/nginx/syntax.ts';

const AT = { file: 'nginx.conf', line: 1, column: 1 };
const SCOPE = { parent: null, directives: [] };

const place = (written: string) => {
  const [, mark = '', path = ''] = /^(=|\^~|~)?(.*)$/.exec(written)!;
  return {
    scope: SCOPE,
    path,
    isExact: mark === '=',
    isPattern: mark === '~',
    isFirm: mark === '^~',
    written,
  };
};

describe('the location of a new path', () => {
  it.each<[replacement: string, locations: string, found: string | undefined]>([
    ['/new/$1', '/ /new/', '/new/'],
    ['/new/$1', '/ /new/x', undefined],
    ['/new/$1', '/ /new/ =/new/', undefined],
    ['/new$1', '/ /new/', undefined],
    ['/new', '/ /new/', undefined],
    ['/new', '/ =/new', '=/new'],
    ['/new', '/ /new', '/new'],
    ['/new?x=$1', '/ /ne', '/ne'],
    ['/new/$1', '/ ~x', undefined],
    ['/new/$1', '^~/new/ ~x', '^~/new/'],
    ['/a//b', '/', undefined],
    ['$1', '/', undefined],
  ])('%s among %s', (replacement, locations, found) => {
    const places = locations.split(' ').map(place);
    expect(locationOf(places, newPathOf(replacement, AT))?.written).toBe(found);
  });
});

describe('whether a later rewrite may match a new path', () => {
  it.each<[replacement: string, pattern: string, may: boolean]>([
    ['/new/$1', '^/old/', false],
    ['/new/$1', '^/new/', true],
    ['/new/$1', '^/new/old', true],
    ['/new', '^/new/old', false],
    ['/new/$1', '^/newer', false],
    ['/new/$1', '^/n*x', true],
    ['/new/$1', '^/a|/new', true],
    ['/new/$1', 'x$', true],
    ['/a.b/$1', '^/a\\.c', false],
  ])('%s and %s', (replacement, pattern, may) => {
    const { directives } = readDirectives(
      `rewrite "${pattern.replaceAll('\\', '\\\\')}" /x;`,
      'a.conf',
      () => [],
    );
    expect(mayMatch(directives[0]!, newPathOf(replacement, AT))).toBe(may);
  });
});

// What a route asks of a request: its patterns and conditions, and everything that is wrong with them at once.
import { beforeAll, describe, expect, it } from 'vitest';
import { OwnVariables } from '../../../src/key/own-variables.ts';
import { compilePattern, loadPatternEngine, Pattern } from '../../../src/key/pattern.ts';
import { compileMatch, type MatchSource, RouteMatch } from '../../../src/key/route-match.ts';
import { LibraryView } from '../../../src/split/request.ts';

beforeAll(loadPatternEngine);

const compile = (source: MatchSource) => compileMatch(source, new OwnVariables().scope('request'), null);
function matchOf(source: MatchSource): RouteMatch {
  const match = compile(source);
  if (!(match instanceof RouteMatch)) throw new Error(JSON.stringify(match.faults));
  return match;
}
const view = (url: string) => new LibraryView({ url });

describe('what a route asks', () => {
  it('finds every fault, each at its place', () => {
    const { faults } = compile({
      host: '~(',
      pattern: '~a(?=b)',
      when: [
        { of: '$arg_a$bad', is: 'x' },
        { of: '$arg_a', matches: '~[z' },
        { of: '$arg_a', matchesNot: '~*a++' },
      ],
    }) as { faults: { path: unknown[]; expected: string; got: string; offset: number }[] };
    expect(faults.map(({ path }) => path.join('.'))).toEqual([
      'host',
      'pattern',
      'when.0.of',
      'when.1.matches',
      'when.2.matchesNot',
    ]);
    expect(faults[1]!.expected).toContain('look-ahead');
    expect(faults[2]).toMatchObject({ got: '"$bad"', offset: 6 });
    expect(faults[4]!.expected).toContain('possessive');
  });

  it('holds only where all conditions do', () => {
    const match = matchOf({
      when: [
        { of: '$arg_a', is: 'x' },
        { of: '$arg_b', isNot: 'y' },
        { of: '$arg_c', matches: '~*^z' },
        { of: '$arg_d', matchesNot: '~[[:digit:]]' },
      ],
    });
    expect(match.holds(view('/?a=x&b=n&c=Zoo&d=word'))).toBe(true);
    for (const url of ['/?b=n&c=z', '/?a=x&b=y&c=z', '/?a=x&c=a', '/?a=x&c=z&d=word7']) {
      expect(match.holds(view(url)), url).toBe(false);
    }
  });

  it('takes every host and path where it has no pattern, without case for a host', () => {
    expect(matchOf({}).takesHost('shop.example', view('/'))).toBe(true);
    expect(matchOf({}).takesPath('/x', view('/'))).toBe(true);
    expect(matchOf({ host: '~^SHOP[.]' }).takesHost('shop.example', view('/'))).toBe(true);
    expect(matchOf({ pattern: '~^/A' }).takesPath('/a', view('/'))).toBe(false);
  });
});

describe('a pattern', () => {
  const matched = (text: string, subject: string) => {
    const pattern = compilePattern(text, false);
    expect(pattern).toBeInstanceOf(Pattern);
    return (pattern as Pattern).exec(subject);
  };

  it.each([
    ['^[[:alpha:]]+$', 'abc', 'abc1'],
    ['^[[:^alpha:]]+$', '123', 'a'],
    ['^[]a]+$', ']a', 'b'],
    ['^[^]a]+$', 'b', ']'],
    ['^a$', 'a\n', 'ab'],
    ['^\\xe9$', '\xe9', '\xc9'],
  ])('%s takes %j and not %j', (text, taken, left) => {
    expect(matched(text, taken)).not.toBeNull();
    expect(matched(text, left)).toBeNull();
  });

  it('has a limit of its text, and of what it grows to', () => {
    expect(compilePattern('a'.repeat(2049), false)).toMatchObject({ got: '2049' });
    expect(compilePattern('a'.repeat(2048), false)).toBeInstanceOf(Pattern);
    expect(compilePattern('(abcdefgh){0,900}', false)).toMatchObject({
      expected: 'a regular expression with fewer repetitions',
    });
  });
});

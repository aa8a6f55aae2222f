// The known word that was probably meant: how far a slip of the pen goes, and what a comparison may cost.
import { describe, expect, it } from 'vitest';
import { didYouMean, nearest } from '../../src/did-you-mean.ts';

describe('the nearest candidate', () => {
  it.each([
    ['shrae', 'share', 'two neighbours swapped are one slip'],
    ['shar', 'share', 'a missing character'],
    ['sharee', 'share', 'a character too many'],
    ['shade', 'share', 'a wrong character'],
    ['SHARE', 'share', 'case does not count'],
  ])('%s is %s: %s', (word, meant) => {
    expect(nearest(word, ['split', 'share', 'weight'])).toBe(meant);
  });

  it('is none where the word has more slips than a third of its length', () => {
    expect(nearest('shxxe', ['share'])).toBeUndefined();
    expect(nearest('abcdefghi', ['abcdefxxx'])).toBe('abcdefxxx');
  });

  it('is the first one of those that are equally near', () => {
    expect(nearest('aa', ['ab', 'ac'])).toBe('ab');
  });

  it('lies within the given distance', () => {
    expect(nearest('uri', ['host'], 1)).toBeUndefined();
    expect(nearest('cooky_', ['cookie_'], 2)).toBe('cookie_');
  });

  it('compares words over 64 characters for equality alone', () => {
    const long = 'a'.repeat(65);
    expect(nearest(`${long}b`, [`${long}c`])).toBeUndefined();
    expect(nearest(long, [long])).toBe(long);
  });
});

it('a guess is the end of a message, and empty where there is none', () => {
  expect(didYouMean('shrae', ['share'])).toBe(' (did you mean "share"?)');
  expect(didYouMean('completely-else', ['share'])).toBe('');
});

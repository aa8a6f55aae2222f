// What a group of a pattern can capture, where that is a short list.
import { describe, expect, it } from 'vitest';
import { closedLists } from '../../../../src/config/nginx/closed-lists.ts';

describe('what a group of a pattern can capture', () => {
  it.each<[pattern: string, lists: Record<string, string[]>]>([
    ['^(?<known>[ab])$', { 1: ['a', 'b'], known: ['a', 'b'] }],
    ['^(blue|green)(?:x|y)(z)$', { 1: ['blue', 'green'], 2: ['z'] }],
    ['^(v[1-3]|\\.b-c)', { 1: ['v1', 'v2', 'v3', '.b-c'] }],
    ['[)(\\]](a|)', { 1: ['a', ''] }],
    ['[]a](b)', { 1: ['b'] }],
    ['\\((a)', { 1: ['a'] }],
    ['(a.c)(b+)(\\d)([^x])((c)d)', { 6: ['c'] }],
    ['([a-z][a-z])', {}],
    [`(${Array.from({ length: 65 }, (_, index) => `v${index}`).join('|')})`, {}],
    ['a)', {}],
  ])('%s', (pattern, lists) => {
    expect(Object.fromEntries(closedLists(pattern))).toEqual(lists);
  });
});

// ASCII case, tokens and white space on bytes.
import { expect, it } from 'vitest';
import { equalsIgnoringCase, isSpace, LOWER, TOKEN } from '../../src/bytes.ts';

it('only the 26 capital letters are folded to lower case', () => {
  for (let byte = 0; byte < 256; byte++) {
    const isCapital = byte >= 'A'.charCodeAt(0) && byte <= 'Z'.charCodeAt(0);
    expect(LOWER[byte]).toBe(isCapital ? byte + 32 : byte);
  }
});

it('a token has the 77 characters of RFC 9110 and no separator', () => {
  expect(TOKEN.reduce((sum, one) => sum + one)).toBe(77);
  for (const character of '()<>@,;:\\"/[]?={} \t\0\x7f\xff') expect(TOKEN[character.charCodeAt(0)]).toBe(0);
});

it('white space is SP and HTAB, neither CR nor LF', () => {
  expect([...Buffer.from(' \t\r\n\v\xa0', 'latin1')].map(isSpace)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});

it('a name is compared in any case, within its own bytes', () => {
  const bytes = Buffer.from('xHoStx');
  const host = Buffer.from('host');
  expect(equalsIgnoringCase(bytes, 1, 5, host)).toBe(true);
  expect(equalsIgnoringCase(bytes, 0, 5, host)).toBe(false);
  expect(equalsIgnoringCase(bytes, 1, 4, host)).toBe(false);
  expect(equalsIgnoringCase(Buffer.from('h\xcfst', 'latin1'), 0, 4, host)).toBe(false);
});

// The buffer that heads and small bodies are written into.
import { describe, expect, it } from 'vitest';
import { Output } from '../../../src/http1/output.ts';
import { latin1 } from '../../support/head-feeding.ts';

describe('an output', () => {
  it('grows without losing a byte, starts over in the same memory', () => {
    const out = new Output(4);
    out.text('abc');
    out.copy(latin1('xdefghijx'), 1, 8);
    out.text('\xe9');
    expect(out.bytes.toString('latin1', 0, out.length)).toBe('abcdefghij\xe9');
    const { bytes } = out;
    out.clear();
    out.text('z');
    expect(out.bytes).toBe(bytes);
    expect(out.length).toBe(1);
    expect(bytes.toString('latin1', 0, 1)).toBe('z');
  });

  it('writes whole numbers in decimal', () => {
    const numbers = [0, 1, 9, 10, 99, 100, 65_536, 999_999_999, 1_000_000_000, 2 ** 31 - 1];
    for (const number of numbers) {
      const out = new Output(2);
      out.text('n');
      out.decimal(number);
      out.text('.');
      expect(out.bytes.toString('latin1', 0, out.length)).toBe(`n${number}.`);
    }
  });
});

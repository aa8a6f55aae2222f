// Bytes that wait for more: joined in order, never written over, copied a bounded number of times.
import { describe, expect, it, vi } from 'vitest';
import { HeldRoom } from '../../../src/transport/held.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

describe('held bytes', () => {
  it('stay in order, whatever was in front of the new piece and behind it', () => {
    const room = new HeldRoom();
    let held: Buffer = latin1('a');
    for (const piece of ['b', 'cd', '', 'e'.repeat(5000), 'f']) {
      const bytes = latin1(`<<${piece}>>`);
      held = room.join(held, bytes, 2, 2 + piece.length);
      bytes.fill(0);
    }
    expect(held.toString('latin1')).toBe(`abcd${'e'.repeat(5000)}f`);
  });

  it('may have lost their beginning since the last time', () => {
    const room = new HeldRoom();
    let held = room.join(latin1('abc'), latin1('def'), 0, 3);
    held = room.join(held.subarray(4), latin1('ghi'), 0, 3);
    expect(held.toString('latin1')).toBe('efghi');
  });

  it('that were returned before are never written over', () => {
    const room = new HeldRoom();
    const first = room.join(latin1('ab'), latin1('cd'), 0, 2);
    const second = room.join(first, latin1('ef'), 0, 2);
    // The first is no longer the end of what is held: another piece behind it goes elsewhere.
    const other = room.join(first, latin1('XY'), 0, 2);
    const part = room.join(second.subarray(0, 3), latin1('Z'), 0, 1);
    expect([first, second, other, part].map(String)).toEqual(['abcd', 'abcdef', 'abcdXY', 'abcZ']);
  });

  it('of 1 MiB that come byte by byte are copied a few times, not once a byte', () => {
    const room = new HeldRoom();
    const copy = vi.spyOn(Buffer.prototype, 'copy');
    const byte = latin1('x');
    let held: Buffer = latin1('x');
    for (let i = 1; i < 1_048_576; i++) held = room.join(held, byte, 0, 1);
    const copied = copy.mock.results.reduce((sum, { value }) => sum + Number(value), 0);
    copy.mockRestore();
    expect(held).toHaveLength(1_048_576);
    expect(copied).toBeLessThan(5 * 1_048_576);
  });

  it('keep no more room than half as much again', () => {
    const room = new HeldRoom();
    const held = room.join(Buffer.alloc(100_000), Buffer.alloc(100_000), 0, 100_000);
    expect(held.buffer.byteLength).toBeLessThanOrEqual(300_000);
  });
});

// Buffers of the admin port that are used again.
import { expect, test } from 'vitest';
import { HEAD_BYTES_MAX, HeldMemory, type HoldsBytes, READ_BYTES } from '../../../src/admin/held-bytes.ts';

const holder = (): HoldsBytes => ({ evict() {} });

test.each([
  ['short', READ_BYTES],
  ['long', HEAD_BYTES_MAX],
])('a %s buffer that was given back is the next one', (_, byteCount) => {
  const memory = new HeldMemory();
  const first = memory.take(byteCount, holder());
  expect(first.length).toBeGreaterThanOrEqual(byteCount);
  memory.giveBack(first, holder());
  expect(memory.take(byteCount, holder())).toBe(first);
});

test('the 129th long head evicts the one that has waited longest, and has its buffer', () => {
  const memory = new HeldMemory();
  const taken: { evictions: number; buffer: Buffer }[] = [];
  const take = () => {
    const holder: HoldsBytes = {
      evict() {
        one.evictions += 1;
        memory.giveBack(one.buffer, holder);
      },
    };
    const one = { evictions: 0, buffer: memory.take(HEAD_BYTES_MAX, holder) };
    taken.push(one);
  };
  for (let count = 0; count < 129; count += 1) take();
  expect(taken.map(({ evictions }) => evictions)).toEqual([1, ...Array(128).fill(0)]);
  expect(taken[128]!.buffer).toBe(taken[0]!.buffer);
});

test('more bytes than a head may have get a buffer of their size, which is not kept', () => {
  const memory = new HeldMemory();
  const large = memory.take(65_536, holder());
  expect(large).toHaveLength(65_536);
  memory.giveBack(large, holder());
  expect(memory.take(65_536, holder())).not.toBe(large);
});

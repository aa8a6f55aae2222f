// The lines that wait for a device, in the pieces in which they are written.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LineChunks } from '../../../src/telemetry/line-chunks.ts';
import { runs } from '../../support/runs.ts';

const CHUNK_BYTES = 16;

it('gives every line back, in order, in chunks of whole lines that are as large as they may be', () => {
  const step = fc.oneof(
    fc.record({ add: fc.string({ unit: 'binary', maxLength: 24 }), asBytes: fc.boolean() }),
    fc.constant('take' as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const chunks = new LineChunks(CHUNK_BYTES);
      let waiting: Buffer[] = [];
      const takeOne = () => {
        const chunk = chunks.take();
        const taken = waiting.slice(0, chunk.lines);
        expect(chunk.bytes.subarray(0, chunk.length)).toEqual(Buffer.concat(taken));
        expect(chunk.lines === 1 || chunk.length <= CHUNK_BYTES).toBe(true);
        const next = waiting[chunk.lines];
        expect(next === undefined || chunk.length + next.length > CHUNK_BYTES).toBe(true);
        waiting = waiting.slice(chunk.lines);
        chunks.giveBack(chunk);
      };
      for (const one of steps) {
        if (one === 'take') {
          if (waiting.length > 0) takeOne();
        } else {
          const line = Buffer.from(`${one.add}\n`);
          if (one.asBytes) chunks.addBytes(Buffer.concat([line, Buffer.from('more')]), line.length);
          else chunks.addText(`${one.add}\n`, line.length);
          waiting.push(line);
        }
        expect([chunks.lines, chunks.isEmpty]).toEqual([waiting.length, waiting.length === 0]);
      }
      while (waiting.length > 0) takeOne();
      expect(chunks.isEmpty).toBe(true);
    }),
    runs(300),
  );
});

it('forgets what waits when it is cleared', () => {
  const chunks = new LineChunks(CHUNK_BYTES);
  for (let i = 0; i < 5; i++) chunks.addText('0123456789\n', 11);
  chunks.clear();
  expect([chunks.lines, chunks.isEmpty]).toEqual([0, true]);
  chunks.addText('x\n', 2);
  expect(chunks.take()).toMatchObject({ length: 2, lines: 1 });
});

it('gives an empty line back once, and no other queue has it', () => {
  const [chunks, others] = [new LineChunks(CHUNK_BYTES), new LineChunks(CHUNK_BYTES)];
  chunks.addText('', 0);
  expect([chunks.lines, others.lines]).toEqual([1, 0]);
  expect(chunks.take()).toMatchObject({ length: 0, lines: 1 });
  expect([chunks.isEmpty, others.isEmpty]).toEqual([true, true]);
});

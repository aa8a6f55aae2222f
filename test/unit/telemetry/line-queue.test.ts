// Lines that wait: pieces of whole lines in order, and how many lines are lost when all are thrown away.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LineQueue } from '../../../src/telemetry/line-queue.ts';
import { openLog } from '../../../src/telemetry/log.ts';

const put = (queue: LineQueue, line: string): void => {
  queue.gathered.utf8(line);
  queue.endLine();
};
const piece = (queue: LineQueue): string => queue.bytes.toString('utf8', queue.from, queue.from + queue.rest);

test('a piece holds as many whole lines as it may, and a longer line alone', () => {
  const queue = new LineQueue();
  for (const line of ['aaa\n', 'bbb\n', 'a line that is longer\n', 'c\n']) put(queue, line);
  const pieces: string[] = [];
  while (queue.byteCount > 0) {
    queue.beginPiece(9);
    pieces.push(piece(queue));
    queue.written(queue.rest);
  }
  expect(pieces).toEqual(['aaa\nbbb\n', 'a line that is longer\n', 'c\n']);
});

test('lines that come while a piece is written follow it', () => {
  const queue = new LineQueue();
  put(queue, 'first\n');
  queue.beginPiece(100);
  queue.written(2);
  put(queue, 'second\n');
  expect([piece(queue), queue.byteCount, queue.isTorn]).toEqual(['rst\n', 11, true]);
  queue.written(4);
  queue.beginPiece(100);
  expect([piece(queue), queue.byteCount]).toEqual(['second\n', 7]);
});

test('what is thrown away is counted by lines that were not written whole', () => {
  const queue = new LineQueue();
  for (const line of ['one\n', 'two\n', 'three\n']) put(queue, line);
  queue.beginPiece(100);
  put(queue, 'four\n');
  queue.written(6);
  expect([queue.isTorn, queue.clear(), queue.byteCount]).toEqual([true, 3, 0]);
  put(queue, 'five\n');
  queue.beginPiece(100);
  expect(piece(queue)).toBe('five\n');
});

test('a line that was begun can be taken back, and leaves nothing', () => {
  const queue = new LineQueue();
  put(queue, 'one\n');
  queue.gathered.utf8('ü');
  expect([queue.lineText, queue.lineBytes, queue.byteCount]).toEqual(['ü', 2, 4]);
  queue.dropLine();
  put(queue, 'two\n');
  queue.beginPiece(100);
  expect(piece(queue)).toBe('one\ntwo\n');
});

test('memory that a burst has taken is given back once it is written', () => {
  const queue = new LineQueue();
  put(queue, `${'x'.repeat(500_000)}\n`);
  queue.beginPiece(1_000_000);
  queue.written(queue.rest);
  put(queue, 'next\n');
  queue.beginPiece(100);
  expect([queue.gathered.bytes.length, piece(queue)]).toEqual([4096, 'next\n']);
});

test('a line of an output that is shared is cut before it is written, however it was appended', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lines-'));
  try {
    const path = join(folder, 'log');
    const output = openLog(path, { isShared: true });
    output.write('{"level":"info","time":"t","msg":"short"}\n');
    output.beginLine()?.utf8(`{"level":"info","time":"t","path":"${'x'.repeat(5000)}","msg":"long"}\n`);
    output.endLine();
    await output.close();
    const lines = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ msg, isCut }) => [msg, isCut])).toEqual([
      ['short', undefined],
      ['long', true],
    ]);
    expect(output.beginLine()).toBeNull();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

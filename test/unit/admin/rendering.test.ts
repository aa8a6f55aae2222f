// Large answers: made once for all who ask together, in turns that leave the event loop to others, in memory that is used again.
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { jsonPieces, List, Members } from '../../../src/admin/json-pieces.ts';
import { RenderCredit, render, SharedRendering } from '../../../src/admin/rendering.ts';

const textOf = ({ bytes }: { bytes: Buffer }) => bytes.toString();

/** Makes a rendering so expensive that no credit is left. */
function spent(): RenderCredit {
  const credit = new RenderCredit(performance.now());
  credit.spend(1e6, 0);
  return credit;
}

describe('a shared rendering', () => {
  test('is made once for all who ask in the same turn', async () => {
    let made = 0;
    const shared = new SharedRendering(new RenderCredit(performance.now()), () => [`number ${++made}`]);
    const renderings = await Promise.all([shared.get(), shared.get(), shared.get()]);
    expect(renderings.map(textOf)).toEqual(['number 1', 'number 1', 'number 1']);
  });

  test('is made again for somebody who asks later, as long as renderings are cheap', async () => {
    let made = 0;
    const shared = new SharedRendering(new RenderCredit(performance.now()), () => [`number ${++made}`]);
    expect(textOf(await shared.get())).toBe('number 1');
    expect(textOf(await shared.get())).toBe('number 2');
  });

  test('is given to everybody within a second once renderings have cost too much', async () => {
    let made = 0;
    const shared = new SharedRendering(spent(), () => [`number ${++made}`]);
    expect(textOf(await shared.get())).toBe('number 1');
    expect(textOf(await shared.get())).toBe('number 1');
  });

  test('that fails rejects for those who asked, and the next one is made', async () => {
    let made = 0;
    const shared = new SharedRendering(new RenderCredit(performance.now()), () => {
      made += 1;
      if (made === 1) throw new Error('the first one');
      return ['second'];
    });
    await expect(shared.get()).rejects.toThrow('the first one');
    expect(textOf(await shared.get())).toBe('second');
  });

  test('keeps its bytes as long as somebody holds them, whatever is rendered meanwhile', async () => {
    let made = 0;
    const shared = new SharedRendering(new RenderCredit(performance.now()), () => [
      `${++made}`.repeat(20_000),
    ]);
    const first = await shared.get();
    for (let more = 0; more < 3; more += 1) (await shared.get()).release();
    expect(textOf(first)).toBe('1'.repeat(20_000));
  });

  test('is compressed once', async () => {
    const shared = new SharedRendering(new RenderCredit(performance.now()), () => ['text '.repeat(1000)]);
    const rendering = await shared.get();
    const [one, two] = await Promise.all([rendering.gzipped(), rendering.gzipped()]);
    expect(two).toBe(one);
    expect(gunzipSync(one.bytes).toString()).toBe('text '.repeat(1000));
  });
});

test('a long rendering lets the event loop go on between its pieces', async () => {
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const slow = function* () {
    for (let piece = 0; piece < 20; piece += 1) {
      const until = performance.now() + 3;
      while (performance.now() < until);
      yield `${piece} `;
    }
  };
  const { bytes } = await render(slow(), spent());
  isOver = true;
  expect(bytes.toString()).toBe(Array.from({ length: 20 }, (_, piece) => `${piece} `).join(''));
  expect(turns).toBeGreaterThanOrEqual(20);
});

describe('JSON in pieces', () => {
  const VALUE = {
    version: 1,
    none: undefined,
    nothing: null,
    splits: new List(() => [{ name: 'a', variants: List.of([1, 2], (share) => ({ share })) }, 'é"\n']),
    upstreams: new Members<unknown>(() => [
      ['a b', { url: 'http://a', tags: ['x', 'y'] }],
      ['b', { deep: new List(() => []) }],
    ]),
    empty: new Members(() => []),
    plain: { deep: { list: [1, { two: 2 }] } },
  };

  test.each([0, 2])('is what JSON.stringify writes with an indent of %i', (indent) => {
    expect([...jsonPieces(VALUE, indent)].join('')).toBe(`${JSON.stringify(VALUE, null, indent)}\n`);
  });

  test('reads an entry of a long list only when its turn has come', () => {
    let read = 0;
    const value = new List(function* () {
      for (;;) {
        read += 1;
        yield 'x'.repeat(1000);
      }
    });
    const [first] = jsonPieces(value);
    expect(first!.startsWith('["xxx')).toBe(true);
    expect(read).toBeLessThan(10);
  });
});

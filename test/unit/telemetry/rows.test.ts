// Every cell that is declared reaches everywhere: another process, /metrics and /status. The tests ask the declarations for
// the cells, so a new one is tested from its first day.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeStatus } from '../../../src/admin/status.ts';
import { Counters, DOWNSTREAM_ROW, UPSTREAM_ROW, VARIANT_ROW } from '../../../src/telemetry/counters.ts';
import { createMetrics } from '../../../src/telemetry/metrics.ts';
import { difference, type RowLayout, type RowReading } from '../../../src/telemetry/rows.ts';
import { ReloadStatus } from '../../../src/telemetry/running.ts';
import { fakeRunning } from '../../support/fake-running.ts';

interface Kind {
  readonly name: string;
  readonly layout: RowLayout;
  readonly rowOf: (counters: Counters) => { read(): RowReading; add(change: RowReading): void };
}

const KINDS: readonly Kind[] = [
  {
    name: 'variant',
    layout: VARIANT_ROW,
    rowOf: (counters) => counters.variant('appversion', 'version_1a', 'a'),
  },
  { name: 'upstream', layout: UPSTREAM_ROW, rowOf: (counters) => counters.upstream('a') },
  { name: 'downstream', layout: DOWNSTREAM_ROW, rowOf: (counters) => counters.downstream },
];

/** /status has the sum of all durations; their distribution is for those who scrape. */
const IN_METRICS_ALONE = ['durations'];

function readingOf(layout: RowLayout, value: (cell: string) => number): RowReading {
  const counts = Object.entries(layout.counts).flatMap(([name, size]) =>
    Array.from({ length: size }, (_, index) => value(`${name}[${index}]`)),
  );
  const gauges = Object.keys(layout.gauges).map(value);
  return { counts: Float64Array.from(counts), gauges: Float64Array.from(gauges) };
}

describe.each(KINDS)('a row of the kind $name', ({ layout, rowOf }) => {
  const width = Object.values(layout.counts).reduce((sum, size) => sum + size, 0);
  const numbers = (size: number, max: number) =>
    fc.array(fc.integer({ min: 0, max }), { minLength: size, maxLength: size });
  const reading = fc.record({
    counts: numbers(width, 2 ** 40).map((cells) => Float64Array.from(cells)),
    gauges: numbers(Object.keys(layout.gauges).length, 2 ** 20).map((cells) => Float64Array.from(cells)),
  });

  test('keeps every cell from the reading of one process to the sum in another', () => {
    fc.assert(
      fc.property(reading, reading, (first, growth) => {
        const there = rowOf(new Counters());
        there.add(first);
        const before = there.read();
        expect(before).toEqual(first);
        there.add(growth);
        const now = there.read();
        const here = rowOf(new Counters());
        here.add(difference(undefined, before));
        here.add(difference(before, now));
        expect(here.read()).toEqual(now);
        here.add(difference(now, undefined));
        expect(here.read()).toEqual({ counts: now.counts, gauges: now.gauges.map(() => 0) });
      }),
    );
  });

  test('changes /metrics and /status with each of its cells', async () => {
    const cells = [
      ...Object.entries(layout.counts).flatMap(([name, size]) =>
        Array.from({ length: size }, (_, index) => `${name}[${index}]`),
      ),
      ...Object.keys(layout.gauges),
    ];
    const show = async (value: (cell: string) => number) => {
      const running = fakeRunning();
      rowOf(running.counters).add(readingOf(layout, value));
      const text = await createMetrics(running, new ReloadStatus()).render();
      const { splits, upstreams, downstream } = describeStatus(running, new ReloadStatus());
      return {
        metrics: text.split('\n').filter((line) => line.startsWith('splitter_')),
        status: JSON.stringify({
          splits: splits.toJSON().map(({ variants }) => variants),
          upstreams,
          downstream,
        }),
      };
    };
    const nothing = await show(() => 0);
    for (const cell of cells) {
      const shown = await show((one) => (one === cell ? 7_000_003 : 0));
      expect(shown.metrics, `${cell} in /metrics`).not.toEqual(nothing.metrics);
      if (IN_METRICS_ALONE.some((name) => cell.startsWith(`${name}[`))) continue;
      expect(shown.status, `${cell} in /status`).not.toEqual(nothing.status);
    }
  });
});

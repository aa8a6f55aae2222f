// Every count that is declared reaches everywhere: another process, /metrics and /status. The tests ask the declarations
// for the counts and their cells, so a new one is tested from its first day.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeStatus } from '../../../src/admin/status.ts';
import { Counters } from '../../../src/telemetry/counters.ts';
import { DOWNSTREAM_ROW, UPSTREAM_ROW, VARIANT_ROW } from '../../../src/telemetry/counts.ts';
import { FAMILIES } from '../../../src/telemetry/families.ts';
import { createMetrics } from '../../../src/telemetry/prometheus.ts';
import { type Counts, cellsOf, type Row, type RowLayout } from '../../../src/telemetry/rows.ts';
import { ReloadStatus } from '../../../src/telemetry/running.ts';
import { fakeRunning } from '../../support/fake-running.ts';

interface Kind {
  readonly name: string;
  readonly layout: RowLayout<Counts>;
  readonly rowOf: (counters: Counters) => Row<Counts>;
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

/** /metrics and /status of a splitter whose counters have been changed so, without what depends on time. */
async function show(change: (counters: Counters) => void) {
  const running = fakeRunning();
  change(running.counters);
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
}

describe.each(KINDS)('a row of the kind $name', ({ layout, rowOf }) => {
  const reading = fc
    .array(fc.integer({ min: 0, max: 2 ** 40 }), { minLength: layout.size, maxLength: layout.size })
    .map((cells) => Float64Array.from(cells));

  test('keeps every cell from the reading of one process to the sum in another', () => {
    fc.assert(
      fc.property(reading, reading, (first, growth) => {
        const there = new Counters();
        rowOf(there).add(first);
        const before = there.read();
        expect(rowOf(there).read()).toEqual(first);
        rowOf(there).add(growth);
        const now = there.read();
        const here = new Counters();
        here.advance(null, before);
        here.advance(before, now);
        expect(here.read()).toEqual(now);
        here.advance(now, null);
        const counted = rowOf(there)
          .read()
          .map((value, cell) => (layout.isGauge[cell] === 1 ? 0 : value));
        expect(rowOf(here).read()).toEqual(counted);
      }),
    );
  });

  test('has a name of its own for each cell, without a gap', () => {
    const counts = Object.entries(layout.counts);
    const positions = counts.flatMap(([name, count]) =>
      Array.from({ length: cellsOf(count) }, (_, index) => layout.at[name]! + index),
    );
    expect(positions).toEqual(Array.from({ length: layout.size }, (_, cell) => cell));
  });

  test('has a family in /metrics for each of its counts, in their order', () => {
    const metrics = Object.values(layout.counts).flatMap(({ metric }) => metric ?? []);
    const sums = Object.values(layout.counts).flatMap((count) =>
      count.kind === 'histogram' ? count.sum : [],
    );
    const without = Object.keys(layout.counts).filter((name) => layout.counts[name]!.metric === null);
    expect(FAMILIES.map(({ name }) => name).filter((name) => metrics.includes(name))).toEqual(metrics);
    expect(without).toEqual(sums);
  });

  test('has a member of /status for each of its counts but histograms', () => {
    const numbers = Object.keys(layout.counts).filter((name) => layout.counts[name]!.kind !== 'histogram');
    expect([...layout.statusOrder].sort()).toEqual(numbers.sort());
  });

  test('changes /metrics and /status with each of its cells', async () => {
    const nothing = await show((counters) => void rowOf(counters));
    for (const [name, count] of Object.entries(layout.counts)) {
      // Beyond "+Inf" there is room that nothing counts in.
      const used = count.kind === 'histogram' ? count.bounds().length + 1 : cellsOf(count);
      for (let index = 0; index < used; index += 1) {
        const cell = layout.at[name]! + index;
        const shown = await show((counters) => {
          rowOf(counters).cells[cell] = 7_000_003;
        });
        expect(shown.metrics, `${name}[${index}] in /metrics`).not.toEqual(nothing.metrics);
        if (count.kind === 'histogram') continue;
        expect(shown.status, `${name}[${index}] in /status`).not.toEqual(nothing.status);
      }
    }
  });
});

test('reading /status and /metrics makes no row and no sample', async () => {
  const running = fakeRunning();
  describeStatus(running, new ReloadStatus(), true).splits.toJSON();
  JSON.stringify(describeStatus(running, new ReloadStatus(), true));
  await createMetrics(running, new ReloadStatus()).render();
  const { counters } = running;
  expect([...counters.variants(), ...counters.upstreams(), ...counters.samples()]).toEqual([]);
});

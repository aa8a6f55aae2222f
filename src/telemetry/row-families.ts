// Makes the metric families of everything that counts.ts declares: name, type, help, labels and lines of each follow from
// the declaration and the cells of the rows. Families of anything else are in families.ts.

import { DOWNSTREAM_ROW, UPSTREAM_ROW, VARIANT_ROW } from './counts.ts';
import type { Count, Counts, Row, RowLayout } from './rows.ts';
import type { AdminFacts, LogLoss, ReloadStatus, Running, StoreFacts } from './running.ts';

/** What a scrape reads. */
export interface MetricSource {
  readonly running: Running;
  readonly reloads: ReloadStatus;
  readonly log: LogLoss;
  readonly admin: AdminFacts;
  readonly store: StoreFacts;
}

/** One line: labels, value, and for a histogram what comes after the family's name ("_bucket"). */
export type MetricLine = readonly [labels: Readonly<Record<string, string>>, value: number, suffix?: string];

/** One metric family. */
export interface MetricFamily {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  read(source: MetricSource): Iterable<MetricLine>;
}

/** A row of counts with the values of its labels. */
interface LabelledRow {
  readonly row: Row;
  readonly labels: Readonly<Record<string, string>>;
}

/** The families of all counts of a kind of row, in the order of their declaration. */
function familiesOf<C extends Counts>(
  layout: RowLayout<C>,
  rowLabels: readonly string[],
  rowsOf: (running: Running) => Iterable<LabelledRow>,
): MetricFamily[] {
  return Object.entries(layout.counts).flatMap(([name, count]) => {
    const { kind, metric, help } = count;
    if (metric === null) return [];
    const labels = kind === 'histogram' ? rowLabels : [...rowLabels, ...(count.by?.labels ?? [])];
    const first = layout.at[name]!;
    return {
      name: metric,
      type: kind,
      help,
      labels,
      *read({ running }: MetricSource) {
        for (const { row, labels } of rowsOf(running)) yield* countLines(count, row, first, labels);
      },
    };
  });
}

/** The lines of one count of one row. @param first position of its first cell */
function* countLines(
  count: Count,
  { cells, layout }: Row,
  first: number,
  labels: Readonly<Record<string, string>>,
): Iterable<MetricLine> {
  if (count.kind === 'histogram') {
    const bounds = count.bounds();
    let cumulative = 0;
    for (let cell = 0; cell <= bounds.length; cell += 1) {
      cumulative += cells[first + cell]!;
      yield [{ ...labels, le: String(bounds[cell] ?? '+Inf') }, cumulative, '_bucket'];
    }
    yield [labels, cells[layout.at[count.sum]!]! / count.sumPerUnit, '_sum'];
    yield [labels, cumulative, '_count'];
    return;
  }
  const { by } = count;
  if (by === undefined) return yield [labels, cells[first]!];
  for (const cell of by.names.keys()) {
    const value = cells[first + cell]!;
    if (by.isSparse && value === 0) continue;
    yield [{ ...labels, ...by.labelsOf(cell) }, value];
  }
}

export const VARIANT_LABELS = ['split', 'variant', 'upstream'] as const;

export const VARIANT_FAMILIES = familiesOf(VARIANT_ROW, VARIANT_LABELS, function* ({ counters }) {
  for (const row of counters.variants()) {
    const { split, variant, upstream } = row;
    yield { row, labels: { split, variant, upstream } };
  }
});

export const UPSTREAM_FAMILIES = familiesOf(UPSTREAM_ROW, ['upstream'], function* ({ counters }) {
  for (const row of counters.upstreams()) yield { row, labels: { upstream: row.upstream } };
});

export const DOWNSTREAM_FAMILIES = familiesOf(DOWNSTREAM_ROW, [], ({ counters }) => [
  { row: counters.downstream, labels: {} },
]);

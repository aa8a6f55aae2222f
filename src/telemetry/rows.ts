// Declares counts and makes rows of numbers from the declarations. Each count is declared once: its kind, its metric, its
// member of /status. Adding, reading, the difference between two readings and merging between workers work on all cells of
// a row alike, and the metric family and /status follow from the declaration, so no count can be left out of one of them.

/** What the cells of a count with more than one stand for. */
export interface Dimension {
  /** One cell each, by these names in /status. */
  readonly names: readonly string[];
  /** Names of the metric's labels beside those of the row. */
  readonly labels: readonly string[];
  /** These labels for the cell at this position. */
  readonly labelsOf: (cell: number) => Readonly<Record<string, string>>;
  /** Cells that are zero have no line in /metrics: a line for each fault code of each variant would drown a scrape. */
  readonly isSparse: boolean;
}

/** A number that only grows, or one of what is there now; one cell, or one for each name of a dimension. */
interface NumberCount {
  readonly kind: 'counter' | 'gauge';
  /** Null for the sum of a histogram, which belongs to the histogram's family, and for counts of a sample, which are in /status. */
  readonly metric: string | null;
  readonly help: string;
  readonly by?: Dimension;
  /** Its member of /status; with `perUnit`, the number divided by it. */
  readonly status: string;
  readonly perUnit?: number;
}

/**
 * A distribution: one cell a bucket, not cumulative. The cell after that of the last bound is "+Inf"; those after it are never
 * used. It is in /metrics alone, if its metric is not null.
 */
interface HistogramCount {
  readonly kind: 'histogram';
  readonly metric: string | null;
  readonly help: string;
  /** Room for so many buckets. */
  readonly cells: number;
  /** Upper bounds of this process, fewer than `cells`. */
  readonly bounds: () => readonly number[];
  /** The count of the same row that holds the sum of all values; in the metric it is divided by `sumPerUnit`. */
  readonly sum: string;
  readonly sumPerUnit: number;
}

export type Count = NumberCount | HistogramCount;
export type Counts = Readonly<Record<string, Count>>;

/** Where the cells of one kind of row are. */
export interface RowLayout<C extends Counts = Counts> {
  /** In the order of their families in /metrics. */
  readonly counts: C;
  /** Position of the first cell of each count. */
  readonly at: { readonly [N in keyof C]: number };
  readonly size: number;
  /** 1 where a cell is of a gauge. */
  readonly isGauge: Uint8Array;
  /** Counts in the order of their members of /status. */
  readonly statusOrder: readonly (keyof C & string)[];
}

/** All cells of one row at one moment. Readings of rows of the same kind have the same order. */
export type RowReading = Float64Array;

/** Declares a kind of row. @param statusOrder the counts that are in /status, in the order of their members there */
export function declareRow<const C extends Counts>(
  counts: C,
  statusOrder: readonly (keyof C & string)[],
): RowLayout<C> {
  const at: Record<string, number> = {};
  const isGauge: number[] = [];
  for (const [name, count] of Object.entries(counts)) {
    at[name] = isGauge.length;
    for (let cell = cellsOf(count); cell > 0; cell -= 1) isGauge.push(count.kind === 'gauge' ? 1 : 0);
  }
  return {
    counts,
    at: at as RowLayout<C>['at'],
    size: isGauge.length,
    isGauge: Uint8Array.from(isGauge),
    statusOrder,
  };
}

/** How many cells a count has. */
export function cellsOf(count: Count): number {
  return count.kind === 'histogram' ? count.cells : (count.by?.names.length ?? 1);
}

/** The numbers of a row by the names of their counts: a number for one cell, else an array that shares the row's memory. */
export type RowValues<C extends Counts> = {
  readonly [N in keyof C]: C[N] extends { by: Dimension } | { kind: 'histogram' } ? Float64Array : number;
};

/** The members of /status that counts have. */
export type StatusMembers<C extends Counts> = {
  readonly [N in keyof C as C[N] extends { status: infer S extends string } ? S : never]: C[N] extends {
    by: Dimension;
  }
    ? Record<string, number>
    : number;
};

/**
 * The numbers of one row, which live as long as the process. Every cell is a Float64Array entry that holds an integer,
 * exact up to 2^53: a Uint32Array would wrap after 4.3 billion requests, two and a half days at 20,000/s, and costs the
 * same to add to. The hot path adds to `cells` at constant positions.
 */
export abstract class Row<C extends Counts = Counts> {
  readonly layout: RowLayout<C>;
  readonly cells: Float64Array;
  /** The cells of each count that has several, by the first of them; made when they are first read. */
  #parts: Map<number, Float64Array> | null = null;

  constructor(layout: RowLayout<C>, cells: Float64Array = new Float64Array(layout.size)) {
    this.layout = layout;
    this.cells = cells;
  }

  /** The cells from `first`, `count` of them, in the memory of the row. */
  protected part(first: number, count: number): Float64Array {
    this.#parts ??= new Map();
    let part = this.#parts.get(first);
    if (part === undefined) {
      part = this.cells.subarray(first, first + count);
      this.#parts.set(first, part);
    }
    return part;
  }

  /** Everything counted here, to be added up elsewhere. */
  read(): RowReading {
    return this.cells.slice();
  }

  /** Adds the difference of two readings of a row elsewhere. */
  add(change: RowReading): void {
    for (const [cell, delta] of change.entries()) this.cells[cell]! += delta;
  }

  /** From one reading of such a row to the next; without a next one its counts stay and its gauges return to zero. */
  difference(before: RowReading | undefined, now: RowReading | undefined): RowReading {
    const { isGauge } = this.layout;
    return this.cells.map((_, cell) => {
      if (now === undefined && isGauge[cell] === 0) return 0;
      return (now?.[cell] ?? 0) - (before?.[cell] ?? 0);
    });
  }

  /** The counts as members of /status: of a dimension those cells that are not zero, by name. */
  status(): StatusMembers<C> {
    const { counts, at, statusOrder } = this.layout;
    const members: Record<string, number | Record<string, number>> = {};
    for (const name of statusOrder) {
      const count = counts[name]!;
      if (count.kind === 'histogram') continue;
      const first = at[name];
      members[count.status] =
        count.by === undefined
          ? this.cells[first]! / (count.perUnit ?? 1)
          : namedCells(count.by.names, this.cells.subarray(first));
    }
    return members as StatusMembers<C>;
  }
}

/**
 * The class of rows with this layout: beside the cells, each count is a property of its name. `cells` is memory for one row, all zero;
 * without it the row makes its own.
 */
export function rowClass<C extends Counts>(
  layout: RowLayout<C>,
): new (
  cells?: Float64Array,
) => Row<C> & RowValues<C> {
  class LaidOutRow extends Row<C> {
    constructor(cells?: Float64Array) {
      super(layout, cells);
    }
  }
  for (const [name, count] of Object.entries(layout.counts)) {
    const cell = layout.at[name]!;
    const cells = cellsOf(count);
    Object.defineProperty(LaidOutRow.prototype, name, {
      get(this: LaidOutRow) {
        return isSingle(count) ? this.cells[cell] : this.part(cell, cells);
      },
    });
  }
  return LaidOutRow as unknown as new (
    cells?: Float64Array,
  ) => Row<C> & RowValues<C>;
}

function isSingle(count: Count): boolean {
  return count.kind !== 'histogram' && count.by === undefined;
}

/** The cells of a row without what its histograms hold, which means nothing among other bounds. */
export function withoutHistograms({ counts, at }: RowLayout, cells: Float64Array): Float64Array {
  const rest = cells.slice();
  for (const [name, count] of Object.entries(counts)) {
    if (count.kind !== 'histogram') continue;
    rest.fill(0, at[name]!, at[name]! + count.cells);
    rest[at[count.sum]!] = 0;
  }
  return rest;
}

/** The cells that are not zero, by name. */
export function namedCells(names: readonly string[], cells: Float64Array): Record<string, number> {
  return Object.fromEntries(
    names.map((name, index) => [name, cells[index]!] as const).filter(([, count]) => count > 0),
  );
}

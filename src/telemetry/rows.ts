// One row of numbers whose cells are declared once, by name. A row has no other storage, so what can be counted is also
// read, sent to another process and added up there: no cell can be left out.

/** The cells of one row as plain numbers. Readings of rows of the same kind have the same order. */
export interface RowReading {
  /** Only ever grow. */
  readonly counts: Float64Array;
  /** Numbers of what is there now. */
  readonly gauges: Float64Array;
}

/** The cells of one kind of row. */
export interface RowLayout<Count extends string = string, Gauge extends string = string> {
  /** Numbers that only grow: how many cells each name has. */
  readonly counts: Readonly<Record<Count, number>>;
  /** Position of the first cell of each name in `counts`. */
  readonly at: Readonly<Record<Count, number>>;
  /** Position of each name in `gauges`. */
  readonly gauges: Readonly<Record<Gauge, number>>;
}

/** Declares a kind of row. @param counts how many cells each name has @param gauges one cell each */
export function declareRow<Count extends string, Gauge extends string>(
  counts: Readonly<Record<Count, number>>,
  gauges: readonly Gauge[],
): RowLayout<Count, Gauge> {
  let next = 0;
  const at: Partial<Record<Count, number>> = {};
  for (const name of Object.keys(counts) as Count[]) {
    at[name] = next;
    next += counts[name];
  }
  return {
    counts,
    at: at as Record<Count, number>,
    gauges: Object.fromEntries(gauges.map((name, index) => [name, index])) as Record<Gauge, number>,
  };
}

/**
 * The numbers of one row. Every cell is a Float64Array entry that holds an integer, exact up to 2^53: a Uint32Array would
 * wrap after 4.3 billion requests, two and a half days at 20,000/s, and costs the same to add to.
 */
export abstract class Row<Count extends string, Gauge extends string> {
  protected readonly counts: Float64Array;
  protected readonly gauges: Float64Array;
  readonly #layout: RowLayout<Count, Gauge>;

  constructor(layout: RowLayout<Count, Gauge>) {
    this.#layout = layout;
    const sizes: readonly number[] = Object.values(layout.counts);
    this.counts = new Float64Array(sizes.reduce((sum, size) => sum + size, 0));
    this.gauges = new Float64Array(Object.keys(layout.gauges).length);
  }

  /** Everything counted here, to be added up elsewhere. */
  read(): RowReading {
    return { counts: this.counts.slice(), gauges: this.gauges.slice() };
  }

  /** Adds the difference of two readings of a row elsewhere. */
  add({ counts, gauges }: RowReading): void {
    for (const [cell, change] of counts.entries()) this.counts[cell]! += change;
    for (const [cell, change] of gauges.entries()) this.gauges[cell]! += change;
  }

  /** The cells of a name as an array that shares their memory. */
  protected cellsOf(name: Count): Float64Array {
    const first = this.#layout.at[name];
    return this.counts.subarray(first, first + this.#layout.counts[name]);
  }
}

/** From one reading of a row to the next; without a next one its counts stay and its gauges return to nothing. */
export function difference(before: RowReading | undefined, now: RowReading | undefined): RowReading {
  const some = now ?? before!;
  return {
    counts: some.counts.map((_, cell) =>
      now === undefined ? 0 : now.counts[cell]! - (before?.counts[cell] ?? 0),
    ),
    gauges: some.gauges.map((_, cell) => (now?.gauges[cell] ?? 0) - (before?.gauges[cell] ?? 0)),
  };
}

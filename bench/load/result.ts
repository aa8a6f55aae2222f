// The line of JSON that each load generator prints, and the percentiles that they share.

/** How a load generator is told what to do: one JSON argument. */
export interface LoadOrder {
  readonly scenario: string;
  readonly port: number;
  readonly seconds: number;
}

export interface LoadResult {
  /** Answers with status 200 that were complete. */
  readonly answered: number;
  readonly seconds: number;
  readonly bytes: number;
  /** Connections that broke and answers with another status. */
  readonly errors: number;
  readonly latencyMs: {
    readonly p50: number;
    readonly p99: number;
    readonly p999: number;
    readonly max: number;
  };
}

/** Percentiles of a list of milliseconds, which is sorted in place; zeros when it is empty. */
function percentiles(latenciesMs: Float64Array): LoadResult['latencyMs'] {
  latenciesMs.sort();
  const at = (share: number) =>
    latenciesMs[Math.min(latenciesMs.length - 1, Math.floor(latenciesMs.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}

/** A list of numbers that grows without boxing them. */
export class Samples {
  #values = new Float64Array(1 << 16);
  #length = 0;

  add(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Float64Array(this.#length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length] = value;
    this.#length += 1;
  }

  get length(): number {
    return this.#length;
  }

  percentiles(): LoadResult['latencyMs'] {
    return percentiles(this.#values.subarray(0, this.#length));
  }
}

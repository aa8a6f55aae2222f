// What a guard counts of one split in one process: for each variant the keys that came, those that met a failure, those that
// met a slow response, and all durations. It begins anew with each window of the guard. The hot path adds; guard.ts reads.

import { HASH_COUNT } from '../split/ranges.ts';
import { Uniques } from './uniques.ts';

/** Durations from 10 microseconds on, in steps of 4 %: quantiles are right to 2 %. */
const FIRST_MS = 0.01;
const STEP_LOG = Math.log(1.04);
/** Cells of each variant. */
export const DURATION_CELLS = 512;
/** Durations after which a quantile is known: this many are expected above it. */
const BEYOND_MIN = 20;

/** The numbers of one window, as one process sends them to another. */
export interface GuardReading {
  readonly split: string;
  readonly window: number;
  /** Registers of each variant. */
  readonly keys: readonly Uint8Array[];
  readonly failed: readonly Uint8Array[];
  readonly slow: readonly Uint8Array[];
  /** Number of responses by duration, one after the other for each variant. */
  readonly durations: Float64Array;
}

/** The counts of one guard. Guards owns it, for as long as the split has the same options. */
export class GuardCounts {
  /** Tells the numbers of one window from those of another. */
  window = 0;
  /** A response is slow when it took longer; Infinity while no limit is known. */
  slowMs = Number.POSITIVE_INFINITY;
  readonly variants: number;
  keys: Uniques;
  failed: Uniques;
  slow: Uniques;
  readonly durations: Float64Array;

  constructor(variants: number) {
    this.variants = variants;
    this.keys = this.#noKeys();
    this.failed = this.#noKeys();
    this.slow = this.#noKeys();
    this.durations = new Float64Array(variants * DURATION_CELLS);
  }

  /** An exchange of a key that belongs to this variant by its share has ended. Hot path of splits with a guard. */
  add(variant: number, hash: number, hasFailed: boolean, durationMs: number): void {
    this.keys.add(variant, hash);
    if (hasFailed) return this.failed.add(variant, hash);
    const cell = Math.ceil(Math.log(durationMs / FIRST_MS) / STEP_LOG);
    this.durations[variant * DURATION_CELLS + Math.max(0, Math.min(DURATION_CELLS - 1, cell || 0))]! += 1;
    if (durationMs > this.slowMs) this.slow.add(variant, hash);
  }

  /** Empties everything for the next window. */
  begin(window: number): void {
    this.window = window;
    this.slowMs = Number.POSITIVE_INFINITY;
    this.keys = this.#noKeys();
    this.failed = this.#noKeys();
    this.slow = this.#noKeys();
    this.durations.fill(0);
  }

  /** Milliseconds below which this part of a variant's responses lies; null while there are too few. */
  quantileMs(variant: number, quantile: number): number | null {
    const first = variant * DURATION_CELLS;
    const cells = this.durations.subarray(first, first + DURATION_CELLS);
    const total = cells.reduce((sum, count) => sum + count, 0);
    if (total * (1 - quantile) < BEYOND_MIN) return null;
    let below = 0;
    for (const [cell, count] of cells.entries()) {
      if (below + count >= quantile * total) {
        const part = (quantile * total - below) / count;
        return FIRST_MS * Math.exp((cell - 1 + part) * STEP_LOG);
      }
      below += count;
    }
    return null;
  }

  read(split: string): GuardReading {
    const all = (keys: Uniques) =>
      Array.from({ length: this.variants }, (_, at) => keys.registers(at).slice());
    const { window, keys, failed, slow, durations } = this;
    return {
      split,
      window,
      keys: all(keys),
      failed: all(failed),
      slow: all(slow),
      durations: durations.slice(),
    };
  }

  /** Takes in what another process has counted of the same window. @param before its last reading of this window */
  merge(reading: GuardReading, before: GuardReading | undefined): void {
    if (reading.window !== this.window) return;
    for (const name of ['keys', 'failed', 'slow'] as const) {
      for (const [variant, registers] of reading[name].entries()) this[name].merge(variant, registers);
    }
    const known = before?.window === reading.window ? before.durations : null;
    for (const [cell, count] of reading.durations.entries()) {
      this.durations[cell]! += count - (known?.[cell] ?? 0);
    }
  }

  #noKeys(): Uniques {
    return new Uniques(Array.from({ length: this.variants }, () => HASH_COUNT));
  }
}

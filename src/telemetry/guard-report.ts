// What the guard of a replica and the view of its fleet tell each other: reports go to the fleet, orders come back. The counts of
// a report are packed as bytes: for keys, failed keys and slow keys the registers of each variant, then all durations
// as 64-bit floats, least significant byte first.

import type { GuardConfig } from '../config/options/experiment.ts';
import { DURATION_CELLS, type GuardReading } from './guard-counts.ts';
import type { GuardStop } from './guard-stop.ts';
import type { GuardedVariant } from './guard-window.ts';

/** One guard of a process, with what it has counted in its window. */
export interface GuardReport {
  readonly split: string;
  /** Equal as long as the options of the split are: counts of other options are never added. */
  readonly options: string;
  readonly config: GuardConfig;
  /** With the shares of now. */
  readonly variants: readonly GuardedVariant[];
  readonly control: string;
  /** Share steps that are taken. */
  readonly shareSteps: number;
  /** Number of the window, from 1. */
  readonly windows: number;
  /** Null while no limit is known. */
  readonly slowMs: number | null;
  readonly stop: GuardStop | null;
  /** When an operator last ended a stop (Unix time); null for never. */
  readonly endedAtMs: number | null;
  readonly reading: GuardReading;
}

/** What the fleet says of one guard. */
export interface FleetOrder {
  readonly split: string;
  readonly options: string;
  readonly shareSteps: number;
  readonly windows: number;
  readonly window: number;
  readonly slowMs: number | null;
  readonly stop: GuardStop | null;
  readonly endedAtMs: number | null;
  /** The counts of the process that asks are in the fleet's. */
  readonly isCounted: boolean;
}

/** Windows of a fleet have numbers from here on, at random: no two processes that add up a fleet begin the same. */
export const FLEET_WINDOW_MIN = 2 ** 32;

const FLOAT_BYTES = 8;
const SETS = ['keys', 'failed', 'slow'] as const;

/** The counts as bytes. */
export function packReading(reading: GuardReading): Uint8Array {
  const { durations } = reading;
  const floats = new DataView(new ArrayBuffer(durations.length * FLOAT_BYTES));
  for (const [cell, count] of durations.entries()) floats.setFloat64(cell * FLOAT_BYTES, count, true);
  return Buffer.concat([...SETS.flatMap((name) => reading[name]), new Uint8Array(floats.buffer)]);
}

/** The counts of a split with so many variants; null for bytes that are none. */
export function unpackReading(
  { split, window }: Pick<GuardReading, 'split' | 'window'>,
  variants: number,
  bytes: Uint8Array,
): GuardReading | null {
  const cells = variants * DURATION_CELLS;
  const registers = (bytes.length - cells * FLOAT_BYTES) / (SETS.length * variants);
  if (registers <= 0 || !Number.isInteger(Math.log2(registers))) return null;
  const set = (at: number) =>
    Array.from({ length: variants }, (_, variant) => {
      const first = (at * variants + variant) * registers;
      return bytes.subarray(first, first + registers);
    });
  const floats = new DataView(bytes.buffer, bytes.byteOffset + SETS.length * variants * registers);
  const durations = Float64Array.from({ length: cells }, (_, cell) =>
    floats.getFloat64(cell * FLOAT_BYTES, true),
  );
  if (durations.some((count) => !(count >= 0))) return null;
  return { split, window, keys: set(0), failed: set(1), slow: set(2), durations };
}

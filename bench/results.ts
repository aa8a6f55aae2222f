// The results of a run, as bench/results.json holds them, and the figures that are computed from them. Pure: this file
// does not know how a turn was measured or how a figure is shown.

/** One turn of one contender in one scenario. */
export interface Turn {
  readonly round: number;
  readonly answered: number;
  readonly seconds: number;
  readonly errors: number;
  /** False if an answer was truncated, which makes the turn invalid. */
  readonly complete: boolean;
  readonly cpuMicroseconds: number;
  readonly memoryMiB: number;
  /** How often it waited for work: rarely if it is kept busy. */
  readonly sleeps: number;
  /** Log lines that the contender dropped, which makes its figures look too cheap. */
  readonly linesDropped: number;
  readonly latencyMs: {
    readonly p50: number;
    readonly p99: number;
    readonly p999: number;
    readonly max: number;
  };
}

export interface Row {
  readonly rival: string;
  readonly title: string;
  readonly turns: readonly Turn[];
}

export interface ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly rate: number | null;
  /** The number and length of the turns, as a sentence. */
  readonly length: string;
  readonly rows: readonly Row[];
  /** What kept a turn from being measured. */
  readonly notes: readonly string[];
}

export interface StartRow {
  readonly rival: string;
  readonly title: string;
  /** Milliseconds from spawn to the first answer, one for each start. */
  readonly startMs: readonly number[];
  readonly memoryMiB: number;
}

/** One step of the micro-bench, in nanoseconds. */
export interface MicroRow {
  readonly name: string;
  readonly medianNs: number;
  readonly fastestNs: number;
}

/** The first words of the names of the steps that decide: key, hash and pick. */
export const DECIDE = 'decide by $arg_token';

export interface SoakSample {
  readonly seconds: number;
  readonly memoryMiB: number;
}

export interface SoakResult {
  readonly title: string;
  readonly loads: readonly string[];
  readonly loadSeconds: number;
  /** Memory after each load, a list for each complete cycle of loads. */
  readonly cycles: readonly (readonly number[])[];
  /** Memory over time, about once a second. */
  readonly samples: readonly SoakSample[];
  readonly answered: number;
  readonly errors: number;
}

export interface Results {
  readonly at: string;
  readonly machine: Readonly<Record<string, string>>;
  /** Version of each contender that ran, by its title. */
  readonly versions: Readonly<Record<string, string>>;
  readonly run: Readonly<Record<string, string>>;
  readonly reference: string;
  /** Contenders that are not installed or did not start, each with the reason. */
  readonly missing: readonly string[];
  readonly scenarios: readonly ScenarioResult[];
  /** The scenarios with a target for processor time, measured again with a load that keeps the measured core busy. */
  readonly saturated: readonly ScenarioResult[];
  readonly starts: readonly StartRow[];
  readonly micro: readonly MicroRow[];
  readonly soak: SoakResult | null;
}

/** The row of a scenario without a proxy: the load goes straight to an upstream. */
export const DIRECT = 'direct';

interface Figure {
  readonly median: number;
  /** Half the distance from the least to the greatest, as a share of the median. */
  readonly spread: number;
}

/** Median and spread; NaN of an empty list. */
export function figure(values: readonly number[]): Figure {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1
      ? (sorted[middle] ?? Number.NaN)
      : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
  return { median, spread: ((sorted.at(-1) ?? Number.NaN) - (sorted[0] ?? Number.NaN)) / 2 / median };
}

/** Processor time for one answered request in each turn, in microseconds. */
export const cpuOfTurns = (row: Row): number[] =>
  row.turns.map((turn) => turn.cpuMicroseconds / turn.answered);

/** Processor time for one answered request, in microseconds. */
export const cpuPerRequest = (row: Row): Figure => figure(cpuOfTurns(row));

interface Ratio {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

/**
 * Processor time for a request as a multiple of another contender's, computed for each round, so that a round in which
 * the machine was slow affects both. NaN without a round in which both took part.
 */
export function cpuRatio(row: Row, reference: Row): Ratio {
  const cost = ({ cpuMicroseconds, answered }: Turn) => cpuMicroseconds / answered;
  const costs = new Map(reference.turns.map((turn) => [turn.round, cost(turn)]));
  const ratios = row.turns.flatMap((turn) => {
    const other = costs.get(turn.round);
    return other === undefined ? [] : [cost(turn) / other];
  });
  if (ratios.length === 0) return { median: Number.NaN, least: Number.NaN, greatest: Number.NaN };
  return { median: figure(ratios).median, least: Math.min(...ratios), greatest: Math.max(...ratios) };
}

/** The median of one figure over the turns. */
export const medianOf = (row: Row, pick: (turn: Turn) => number): number =>
  figure(row.turns.map(pick)).median;

/** Above this share of failed requests the figures of a contender do not show its cost. */
export const FAILED_SHARE_MAX = 0.001;

/** Failed requests of all turns together, as a share of all; NaN when nothing was asked. */
export function failedShare(row: Row): number {
  const sum = (pick: (turn: Turn) => number) => row.turns.reduce((total, turn) => total + pick(turn), 0);
  const errors = sum((turn) => turn.errors);
  return errors / (errors + sum((turn) => turn.answered));
}

/** Whether the figures of a row may be compared with others: almost no request failed, and no answer was truncated. */
export const isComparable = (row: Row): boolean =>
  row.turns.length > 0 && failedShare(row) <= FAILED_SHARE_MAX && row.turns.every((turn) => turn.complete);

/**
 * What a proxy adds to the 99th percentile in milliseconds: the median of the differences to the turn without a proxy
 * of the same round, so that a round in which the machine was slow affects both; NaN without such turns.
 */
export function addedP99Ms(result: ScenarioResult, rival: string): number {
  const turnsOf = (name: string) => result.rows.find((row) => row.rival === name)?.turns ?? [];
  const direct = new Map(turnsOf(DIRECT).map((turn) => [turn.round, turn.latencyMs.p99]));
  return figure(
    turnsOf(rival).flatMap((turn) => {
      const without = direct.get(turn.round);
      return without === undefined ? [] : [turn.latencyMs.p99 - without];
    }),
  ).median;
}

/**
 * Memory after the last complete cycle of loads as a multiple of that after the second; the first is left out because
 * code is still being compiled and buffers still grow to their size. NaN with fewer than three cycles.
 */
export function soakGrowth(soak: SoakResult): number {
  if (soak.cycles.length < 3) return Number.NaN;
  const after = (cycle: readonly number[] | undefined) => cycle?.at(-1) ?? Number.NaN;
  return after(soak.cycles.at(-1)) / after(soak.cycles[1]);
}

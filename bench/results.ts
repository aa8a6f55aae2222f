// The results of a run, as bench/results.json holds them, and the figures that are computed from them. Pure: this file
// does not know how a turn was measured or how a figure is shown.

/** What others had of the machine for some time, in cores; both null where nobody watched. */
export interface Others {
  /** Programs that are no part of the bench. */
  readonly foreignCores: number | null;
  /** Neighbours of a virtual machine. */
  readonly stealCores: number | null;
}

/** One turn of one contender in one scenario. */
export interface Turn extends Others {
  readonly round: number;
  /** Unix time in milliseconds. */
  readonly startedAt: number;
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
  /** The load generator. */
  readonly load: string;
  /** The number and length of the turns, as a sentence. */
  readonly length: string;
  readonly rows: readonly Row[];
  /** What kept a turn from being measured. */
  readonly notes: readonly string[];
  /** Pauses of the splitter's collector in its measured turns; absent where they were not recorded. */
  readonly pauses?: readonly Pause[];
}

/** A pause of the garbage collector: what it collected, and milliseconds. */
export type Pause = readonly [kind: string, ms: number];

/** What open connections cost in memory. */
export interface OpenMemory {
  readonly connections: number;
  /** Resident MiB after a load on 64 connections, and with all of the connections open. */
  readonly beforeMiB: number;
  readonly withMiB: number;
}

/** The splitter with many variants and routes. */
export interface Growth {
  readonly title: string;
  readonly startMs: readonly number[];
  /** Longest time for which a reload held the event loop, and from the change of the file to the new generation. */
  readonly reloads: readonly { readonly blockMs: number; readonly takenMs: number }[];
}

/** What others had of the machine during a part without turns. */
export interface Watched extends Others {
  readonly part: string;
}

export interface StartRow {
  readonly rival: string;
  readonly title: string;
  /** Milliseconds from spawn to the first answer, one for each start. */
  readonly startMs: readonly number[];
  /** Resident and private memory at that moment, the largest of the starts. */
  readonly memoryMiB: number;
  readonly privateMiB: number | null;
}

/** One step of the micro-bench, in nanoseconds. */
export interface MicroRow {
  readonly name: string;
  readonly medianNs: number;
  readonly fastestNs: number;
}

/** The names of the steps that decide among few variants and among many. */
export const DECIDE_AMONG = (variants: number): string => `decide among ${variants} variants`;

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
  /** What a part that was wished for could not be measured for, by its name. */
  readonly notMeasured: Readonly<Record<string, string>>;
  readonly open: OpenMemory | null;
  readonly growth: Growth | null;
  readonly watched: readonly Watched[];
  readonly starts: readonly StartRow[];
  readonly micro: readonly MicroRow[];
  readonly soak: SoakResult | null;
}

/** The row of a scenario without a proxy: the load goes straight to an upstream. */
export const DIRECT = 'direct';
/** The row of the splitter as it is by default. */
export const OWN = 'request-splitter';

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

export interface Ratio {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

/**
 * One figure of a turn as a multiple of another contender's, computed for each round, so that a round in which the
 * machine was slow affects both. NaN without a round in which both took part.
 */
export function ratioOf(row: Row, reference: Row, pick: (turn: Turn) => number): Ratio {
  const others = new Map(reference.turns.map((turn) => [turn.round, pick(turn)]));
  const ratios = row.turns.flatMap((turn) => {
    const other = others.get(turn.round);
    return other === undefined ? [] : [pick(turn) / other];
  });
  if (ratios.length === 0) return { median: Number.NaN, least: Number.NaN, greatest: Number.NaN };
  return { median: figure(ratios).median, least: Math.min(...ratios), greatest: Math.max(...ratios) };
}

/** Processor time for a request as a multiple of another contender's. */
export const cpuRatio = (row: Row, reference: Row): Ratio =>
  ratioOf(row, reference, ({ cpuMicroseconds, answered }) => cpuMicroseconds / answered);

/** The cheaper of those contenders that took part and whose figures may be compared; undefined without any. */
export function cheapest(result: ScenarioResult, rivals: readonly string[]): Row | undefined {
  return result.rows
    .filter((row) => rivals.includes(row.rival) && isComparable(row))
    .sort((one, other) => cpuPerRequest(one).median - cpuPerRequest(other).median)[0];
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

/** What a proxy adds to a latency, in milliseconds. */
interface Added {
  /** The median of the differences to the turn without a proxy of the same round. */
  readonly ms: number;
  /** How far that latency without a proxy is from its own median in half of the rounds. */
  readonly noiseMs: number;
}

/** NaN without turns of both. */
export function addedMs(
  result: ScenarioResult,
  rival: string,
  pick: (latency: Turn['latencyMs']) => number,
): Added {
  const turnsOf = (name: string) => result.rows.find((row) => row.rival === name)?.turns ?? [];
  const direct = new Map(turnsOf(DIRECT).map((turn) => [turn.round, pick(turn.latencyMs)]));
  const { median } = figure([...direct.values()]);
  const differences = turnsOf(rival).flatMap((turn) => {
    const without = direct.get(turn.round);
    return without === undefined ? [] : [pick(turn.latencyMs) - without];
  });
  return {
    ms: figure(differences).median,
    noiseMs: figure([...direct.values()].map((value) => Math.abs(value - median))).median,
  };
}

/** Cores that others may have in the mean, and in all but a tenth of the times. */
const OTHERS_MEAN_MAX = 0.1;
const OTHERS_ONCE_MAX = 0.3;

/** Whether others used so much of the machine that figures of that time prove nothing; also true if nobody watched. */
export function isBusy(times: readonly Others[]): boolean {
  const cores = times.map(({ foreignCores, stealCores }) =>
    foreignCores === null || stealCores === null ? Number.POSITIVE_INFINITY : foreignCores + stealCores,
  );
  const mean = cores.reduce((sum, one) => sum + one, 0) / cores.length;
  return mean > OTHERS_MEAN_MAX || cores.filter((one) => one > OTHERS_ONCE_MAX).length > cores.length / 10;
}

/** All times of a run at which somebody watched, or should have. */
export const watchedTimes = ({ scenarios, watched }: Results): Others[] => [
  ...scenarios.flatMap(({ rows }) => rows.flatMap(({ turns }) => turns)),
  ...watched,
];

/**
 * Memory after the last complete cycle of loads as a multiple of that after the second; the first is left out because
 * code is still being compiled and buffers still grow to their size. NaN with fewer than three cycles.
 */
export function soakGrowth(soak: SoakResult): number {
  if (soak.cycles.length < 3) return Number.NaN;
  const after = (cycle: readonly number[] | undefined) => cycle?.at(-1) ?? Number.NaN;
  return after(soak.cycles.at(-1)) / after(soak.cycles[1]);
}

// The guards of all splits: what they count, when they look, and which splits they have stopped. The process that takes
// requests counts; the process that decides (the same one, or the primary of workers) looks once a second, and its workers
// obey. A stop lasts until the options of its split change or an operator ends it.

import { createHash } from 'node:crypto';
import type { Config } from '../config/options/document.ts';
import type { GuardConfig } from '../config/options/experiment.ts';
import type { SplitConfig } from '../config/options/split.ts';
import type { SplitStop } from '../split/enrolment.ts';
import type { Splitter } from '../split/splitter.ts';
import { type GuardArm, type GuardFinding, judgeGuard } from '../trust/guard-verdict.ts';
import { GuardCounts, type GuardReading } from './guard-counts.ts';

/** Time between two looks. */
export const LOOK_MS = 1000;
/** A window is long enough for a slow drift to be seen, and short enough that the past does not hide what happens now. */
const WINDOW_MS = 600_000;
/** Keys, in multiples of `minimumKeys`, that each variant needs before a window ends. */
const WINDOW_KEYS = 5;

/** A split that was stopped. */
export interface GuardStop extends GuardFinding {
  readonly split: string;
  /** As in `Date.prototype.toISOString`. */
  readonly at: string;
  /** Equal as long as the options of the split are. */
  readonly options: string;
}

/** What the process that decides tells the others. */
export interface GuardOrder {
  readonly split: string;
  readonly isStopped: boolean;
  readonly window: number;
  readonly slowMs: number;
}

/** What happens to a guard, for those who have to hear of it. */
export interface GuardListener {
  stopped(stop: GuardStop): void;
  /** The split goes on, because its options have changed or an operator said so. */
  ended(stop: GuardStop): void;
}

/** One guard, and the counts of its split. */
class Guard implements SplitStop {
  readonly options: string;
  readonly config: GuardConfig;
  readonly counts: GuardCounts;
  readonly readings = new Map<number, GuardReading>();
  /** Windows that this guard has had, this one included; `counts.window` tells it from those of other guards. */
  windows = 1;
  windowBeganMs: number;
  /** Share steps that were taken when the window began. */
  shareSteps: number | null = null;
  stop: GuardStop | null = null;
  isStopped = false;

  constructor(split: SplitConfig, nowMs: number, window: number) {
    this.options = optionsOf(split);
    this.config = split.guard!;
    this.counts = new GuardCounts(split.variants.length);
    this.counts.window = window;
    this.windowBeganMs = nowMs;
  }
}

/**
 * The guards of one process, for as long as it runs. The ambassador owns one that counts, and decides unless it is a
 * worker's; a crew owns one that decides.
 */
export class Guards {
  readonly #guards = new Map<string, Guard>();
  readonly #listener: GuardListener;
  readonly #clock: () => number;
  /** So that what was counted before a stop ended is never taken for what was counted after it. */
  #nextWindow = 1;

  /** @param clock Unix time in milliseconds */
  constructor(listener: GuardListener, clock: () => number = Date.now) {
    this.#listener = listener;
    this.#clock = clock;
  }

  /** Takes a configuration into use: guards of splits with the same options go on, stopped or not. */
  configure({ splits }: Pick<Config, 'splits'>): void {
    for (const [name, guard] of this.#guards) {
      const split = splits.get(name);
      if (split?.guard !== undefined && optionsOf(split) === guard.options) continue;
      this.#guards.delete(name);
      if (guard.stop !== null) this.#listener.ended(guard.stop);
    }
    for (const [name, split] of splits) {
      if (split.guard !== undefined && !this.#guards.has(name))
        this.#guards.set(name, new Guard(split, this.#clock(), this.#nextWindow++));
    }
  }

  /** Something to do for look(). */
  get isNeeded(): boolean {
    return this.#guards.size > 0;
  }

  /** What stops the split of this name. */
  stopOf(split: string): SplitStop {
    return this.#guards.get(split) ?? { isStopped: false };
  }

  /** Where the exchanges of this split are counted; null without a guard. */
  countsOf(split: string): GuardCounts | null {
    return this.#guards.get(split)?.counts ?? null;
  }

  /** Why the split of this name is stopped; null if it is not, undefined if it has no guard. */
  stopFactsOf(split: string): GuardStop | null | undefined {
    return this.#guards.get(split)?.stop;
  }

  /** Every split that is stopped. */
  get stops(): GuardStop[] {
    return [...this.#guards.values()].flatMap(({ stop }) => stop ?? []);
  }

  /** Looks at every guard; to be called every LOOK_MS. True when something has changed that workers have to know. */
  look(splitters: ReadonlyMap<string, Splitter>): boolean {
    let hasChanged = false;
    for (const [name, guard] of this.#guards) {
      const splitter = splitters.get(name);
      if (splitter !== undefined && !guard.isStopped)
        hasChanged = this.#lookAt(name, guard, splitter) || hasChanged;
    }
    return hasChanged;
  }

  /** Every stop ends, as an operator wants it. True when there was one. */
  clear(): boolean {
    const { stops } = this;
    for (const stop of stops) {
      this.#guards.delete(stop.split);
      this.#listener.ended(stop);
    }
    return stops.length > 0;
  }

  /** Stops a split as an earlier process did; false where its options are others now. */
  restore(stop: GuardStop): boolean {
    const guard = this.#guards.get(stop.split);
    if (guard === undefined || guard.options !== stop.options) return false;
    guard.stop = stop;
    guard.isStopped = true;
    return true;
  }

  /** What workers have to know. */
  orders(): GuardOrder[] {
    return Array.from(this.#guards, ([split, { isStopped, counts }]) => {
      const { window, slowMs } = counts;
      return { split, isStopped, window, slowMs };
    });
  }

  /** Does what the process that decides says. */
  obey(orders: readonly GuardOrder[]): void {
    for (const { split, isStopped, window, slowMs } of orders) {
      const guard = this.#guards.get(split);
      if (guard === undefined) continue;
      guard.isStopped = isStopped;
      if (guard.counts.window !== window) guard.counts.begin(window);
      guard.counts.slowMs = slowMs;
    }
  }

  /** The counts of every guard. */
  read(): GuardReading[] {
    return Array.from(this.#guards, ([split, { counts }]) => counts.read(split));
  }

  /** Takes in the counts of another process. @param from its number */
  merge(from: number, readings: readonly GuardReading[]): void {
    for (const reading of readings) {
      const guard = this.#guards.get(reading.split);
      if (guard === undefined || reading.keys.length !== guard.counts.variants) continue;
      guard.counts.merge(reading, guard.readings.get(from));
      guard.readings.set(from, reading);
    }
  }

  /** A process has ended: the next one of its number counts from zero. */
  forget(from: number): void {
    for (const { readings } of this.#guards.values()) readings.delete(from);
  }

  #lookAt(name: string, guard: Guard, splitter: Splitter): boolean {
    const { config, counts } = guard;
    const { taken } = splitter.shareSchedule;
    guard.shareSteps ??= taken;
    if (taken !== guard.shareSteps) {
      guard.shareSteps = taken;
      return this.#beginWindow(guard);
    }
    const arms = armsOf(guard, splitter);
    const against = arms.find((arm) => arm.name === config.against) ?? arms[splitter.control.index]!;
    const finding = judgeGuard(config, arms, against, guard.windows);
    if (finding !== null) {
      const at = new Date(this.#clock()).toISOString();
      guard.stop = { split: name, ...finding, at, options: guard.options };
      guard.isStopped = true;
      this.#listener.stopped(guard.stop);
      return true;
    }
    const isFull = arms.every(({ keys, share }) => share === 0 || keys >= config.minimumKeys * WINDOW_KEYS);
    if (isFull && this.#clock() - guard.windowBeganMs >= WINDOW_MS) return this.#beginWindow(guard);
    if (config.slow === undefined || counts.slowMs !== Number.POSITIVE_INFINITY) return false;
    // From now on a response is slow that takes longer than nearly all of the control's. What was before is not counted,
    // as the limit follows from it.
    if (against.quantileMs === null) return false;
    counts.slowMs = against.quantileMs;
    return true;
  }

  #beginWindow(guard: Guard): true {
    guard.windows += 1;
    guard.counts.begin(this.#nextWindow++);
    guard.windowBeganMs = this.#clock();
    return true;
  }
}

function armsOf({ config, counts }: Guard, { variants }: Splitter): GuardArm[] {
  return variants.map(({ name, share, index }) => {
    const [failed, slow] = [counts.failed.count(index), counts.slow.count(index)];
    return {
      name,
      share,
      keys: counts.keys.count(index).keys,
      failed: failed.keys,
      failedError: failed.standardError,
      slow: slow.keys,
      slowError: slow.standardError,
      quantileMs: config.slow === undefined ? null : counts.quantileMs(index, config.slow.quantile),
    };
  });
}

function optionsOf(split: SplitConfig): string {
  const text = JSON.stringify({ ...split, override: undefined });
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

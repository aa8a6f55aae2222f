// The guards of all splits: what they count, when they look, and which splits they have stopped. The process that takes
// requests counts; the process that decides (the same one, or the primary of workers) looks once a second, and its workers
// obey. A stop lasts until the options of its split change or an operator ends it.

import { createHash } from 'node:crypto';
import type { Config } from '../config/options/document.ts';
import type { GuardConfig } from '../config/options/experiment.ts';
import type { SplitConfig } from '../config/options/split.ts';
import { NEVER_STOPPED, type SplitStop } from '../split/enrolment.ts';
import type { Splitter } from '../split/splitter.ts';
import type { GuardFinding } from '../trust/guard-verdict.ts';
import { GuardCounts, type GuardReading } from './guard-counts.ts';
import type { FleetOrder, GuardReport } from './guard-report.ts';
import type { GuardStop } from './guard-stop.ts';
import { lookAtWindow } from './guard-window.ts';

/** Time between two looks. */
export const LOOK_MS = 1000;
/** A fleet that has not counted this process for so long is silent: the process judges on its own. */
export const FLEET_SILENT_MS = 10_000;

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
  /** When an operator last ended a stop (Unix time). Earlier stops stop nothing any more. */
  endedAtMs: number | null;
  /** The fleet judges until then. */
  fleetUntilMs = Number.NEGATIVE_INFINITY;

  constructor(split: SplitConfig, nowMs: number, window: number, endedAtMs: number | null) {
    this.options = optionsOf(split);
    this.config = split.guard!;
    this.counts = new GuardCounts(split.variants.length);
    this.counts.window = window;
    this.windowBeganMs = nowMs;
    this.endedAtMs = endedAtMs;
  }

  begin(window: number, nowMs: number): void {
    this.counts.begin(window);
    this.windowBeganMs = nowMs;
  }

  /** True when the stop was found after the last time that an operator ended one. */
  isLater(stop: GuardStop): boolean {
    return this.endedAtMs === null || Date.parse(stop.at) > this.endedAtMs;
  }
}

/** The guards of one configuration, by their splits. Guards owns it, from the moment it is planned until the next one is adopted. */
export class PlannedGuards {
  readonly guards: ReadonlyMap<string, Guard>;

  constructor(guards: ReadonlyMap<string, Guard>) {
    this.guards = guards;
  }

  /** What stops the split of this name. */
  stopOf(split: string): SplitStop {
    return this.guards.get(split) ?? NEVER_STOPPED;
  }

  /** Where the exchanges of this split are counted; null without a guard. */
  countsOf(split: string): GuardCounts | null {
    return this.guards.get(split)?.counts ?? null;
  }
}

/**
 * The guards of one process, for as long as it runs. The ambassador owns one that counts, and decides unless it is a
 * worker's; a crew owns one that decides.
 */
export class Guards {
  #guards = new Map<string, Guard>();
  readonly #listener: GuardListener;
  readonly #clock: () => number;
  /** So that what was counted before a stop ended is never taken for what was counted after it. */
  #nextWindow = 1;
  /** When an operator ended the stop of a split, by its options. */
  readonly #ended = new Map<string, number>();

  /** @param clock Unix time in milliseconds */
  constructor(listener: GuardListener, clock: () => number = Date.now) {
    this.#listener = listener;
    this.#clock = clock;
  }

  /** Takes a configuration into use: guards of splits with the same options go on, stopped or not. */
  configure(config: Pick<Config, 'splits'>): void {
    this.adopt(this.plan(config));
  }

  /** What configure() would take into use; changes nothing. */
  plan({ splits }: Pick<Config, 'splits'>): PlannedGuards {
    const planned = new Map<string, Guard>();
    for (const [name, split] of splits) {
      if (split.guard === undefined) continue;
      const known = this.#guards.get(name);
      const goesOn = known !== undefined && optionsOf(split) === known.options;
      planned.set(name, goesOn ? known : this.#begin(name, split));
    }
    return new PlannedGuards(planned);
  }

  /** Takes what was planned into use. Guards must not have changed since by configure(), adopt() or clear(). */
  adopt({ guards }: PlannedGuards): void {
    const before = this.#guards;
    this.#guards = new Map(guards);
    this.#ended.clear();
    for (const [name, guard] of before) {
      if (guard.stop !== null && this.#guards.get(name) !== guard) this.#listener.ended(guard.stop);
    }
  }

  #begin(name: string, split: SplitConfig): Guard {
    const endedAtMs = this.#ended.get(`${name}\0${optionsOf(split)}`) ?? null;
    return new Guard(split, this.#clock(), this.#nextWindow++, endedAtMs);
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
      this.#ended.set(`${stop.split}\0${stop.options}`, Math.max(this.#clock(), Date.parse(stop.at)));
      this.#listener.ended(stop);
    }
    return stops.length > 0;
  }

  /** Stops a split as an earlier process did; false where its options are others now. */
  restore(stop: GuardStop): boolean {
    const guard = this.#guards.get(stop.split);
    if (guard === undefined || guard.options !== stop.options || !guard.isLater(stop)) return false;
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

  /** URLs of the fleets that guards are configured with. */
  get fleets(): readonly string[] {
    return [...new Set(Array.from(this.#guards.values(), ({ config }) => config.fleet ?? []).flat())];
  }

  /** Who judges this split: true for its fleet, false while the fleet is silent, undefined without one. */
  isOfFleet(split: string): boolean | undefined {
    const guard = this.#guards.get(split);
    return guard?.config.fleet === undefined ? undefined : this.#clock() < guard.fleetUntilMs;
  }

  /** What a fleet has to know of each guard that has one. */
  reports(splitters: ReadonlyMap<string, Splitter>): GuardReport[] {
    return Array.from(this.#guards, ([split, guard]) => {
      const splitter = splitters.get(split);
      const { config, options, counts, windows, stop, endedAtMs } = guard;
      if (config.fleet === undefined || splitter === undefined) return [];
      const variants = splitter.variants.map(({ name, share }) => ({ name, share }));
      const slowMs = Number.isFinite(counts.slowMs) ? counts.slowMs : null;
      const { taken } = splitter.shareSchedule;
      // What was counted before a step of shares has not been left behind yet: the next look does it.
      const shareSteps = guard.shareSteps ?? taken;
      if (shareSteps !== taken) return [];
      const facts = { split, options, config, variants, control: splitter.control.name, shareSteps };
      return [{ ...facts, windows, slowMs, stop, endedAtMs, reading: counts.read(split) }];
    }).flat();
  }

  /** Does what a fleet says of the guards that it was given. True when something has changed that workers have to know. */
  obeyFleet(url: string, orders: readonly FleetOrder[]): boolean {
    let hasChanged = false;
    for (const order of orders) {
      const guard = this.#guards.get(order.split);
      if (guard === undefined || guard.config.fleet !== url || guard.options !== order.options) continue;
      hasChanged = this.#obeyOrder(guard, order) || hasChanged;
      if (order.isCounted) guard.fleetUntilMs = this.#clock() + FLEET_SILENT_MS;
    }
    return hasChanged;
  }

  #obeyOrder(guard: Guard, { endedAtMs, stop, shareSteps, windows, window, slowMs }: FleetOrder): boolean {
    let hasChanged = false;
    if (endedAtMs !== null && endedAtMs > (guard.endedAtMs ?? 0)) {
      guard.endedAtMs = endedAtMs;
      const ended = guard.stop;
      if (ended !== null && !guard.isLater(ended)) {
        guard.stop = null;
        guard.isStopped = false;
        guard.begin(this.#nextWindow++, this.#clock());
        this.#listener.ended(ended);
        hasChanged = true;
      }
    }
    if (stop !== null && guard.stop === null && guard.isLater(stop)) {
      this.#stop(guard, stop);
      return true;
    }
    if (guard.isStopped || shareSteps !== guard.shareSteps) return hasChanged;
    guard.windows = windows;
    if (guard.counts.window !== window) {
      guard.begin(window, this.#clock());
      hasChanged = true;
    }
    if (slowMs === null || guard.counts.slowMs === slowMs) return hasChanged;
    guard.counts.slowMs = slowMs;
    return true;
  }

  #stop(guard: Guard, stop: GuardStop): void {
    guard.stop = stop;
    guard.isStopped = true;
    this.#listener.stopped(stop);
  }

  #lookAt(name: string, guard: Guard, splitter: Splitter): boolean {
    const { counts, windows, windowBeganMs } = guard;
    const { taken } = splitter.shareSchedule;
    guard.shareSteps ??= taken;
    if (taken !== guard.shareSteps) {
      guard.shareSteps = taken;
      return this.#beginWindow(guard);
    }
    const nowMs = this.#clock();
    if (nowMs < guard.fleetUntilMs) return false;
    const { variants } = splitter;
    const control = splitter.control.name;
    const config = ofOneJudge(guard.config);
    const ageMs = nowMs - windowBeganMs;
    const seen = lookAtWindow({ config, counts, variants, control, windows, ageMs });
    if (seen === 'full') return this.#beginWindow(guard);
    if (seen === null || seen === 'limit') return seen !== null;
    this.#stop(guard, stopOf(name, guard.options, seen, 'process', guard.endedAtMs, nowMs));
    return true;
  }

  #beginWindow(guard: Guard): true {
    guard.windows += 1;
    guard.begin(this.#nextWindow++, this.#clock());
    return true;
  }
}

/** The options for one of the two judges of a guard with a fleet: together they stop equal variants with `alpha` at most. */
export function ofOneJudge(config: GuardConfig): GuardConfig {
  return config.fleet === undefined ? config : { ...config, alpha: config.alpha / 2 };
}

/** A stop of now, later than the last time that an operator ended one. */
export function stopOf(
  split: string,
  options: string,
  finding: GuardFinding,
  by: GuardStop['by'],
  endedAtMs: number | null,
  nowMs: number,
): GuardStop {
  const at = new Date(Math.max(nowMs, (endedAtMs ?? 0) + 1)).toISOString();
  return { split, ...finding, at, options, by };
}

function optionsOf(split: SplitConfig): string {
  // Replicas may keep their stops in different files.
  const guard = { ...split.guard, stateFile: undefined };
  const text = JSON.stringify({ ...split, guard, override: undefined });
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

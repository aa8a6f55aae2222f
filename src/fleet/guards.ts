// The guards of a fleet: takes in what the guards of all replicas have counted, judges it as each of them would, and says what
// they have to do. A stop that any replica knows is one of the whole fleet, until the options of the split change or an
// operator ends it at any replica. Knows no sockets.

import { randomInt } from 'node:crypto';
import { GuardCounts, type GuardReading } from '../telemetry/guard-counts.ts';
import { FLEET_WINDOW_MIN, type FleetOrder, type GuardReport } from '../telemetry/guard-report.ts';
import type { GuardStop } from '../telemetry/guard-stop.ts';
import { lookAtWindow } from '../telemetry/guard-window.ts';
import { ofOneJudge, stopOf } from '../telemetry/guards.ts';

/** A process that was heard so recently is counted. Less than the time after which a replica takes its fleet for silent. */
const HEARD_MS = 8000;
/** A guard that no process has had for so long is forgotten. */
const FORGOTTEN_MS = 3_600_000;
/** Below 2^48, the limit of randomInt(). */
const WINDOW_MAX = 2 ** 47;

/** What one process said of its guards. */
export interface ReportingProcess {
  readonly process: string;
  readonly reports: readonly GuardReport[];
}

function makeWindow(): number {
  return randomInt(FLEET_WINDOW_MIN, WINDOW_MAX);
}

/** One guard of the fleet: a split with the same options on all replicas that have it so. */
class FleetGuard {
  report: GuardReport;
  readonly counts: GuardCounts;
  windows: number;
  beganMs: number;
  stop: GuardStop | null = null;
  endedAtMs: number | null = null;
  /** When each process was last heard (Unix time). */
  readonly heard = new Map<string, number>();
  /** The last reading of each process, without registers. */
  readonly readings = new Map<string, GuardReading>();

  constructor(report: GuardReport, nowMs: number) {
    this.report = report;
    this.counts = new GuardCounts(report.variants.length);
    this.counts.window = makeWindow();
    this.windows = report.windows;
    this.beganMs = nowMs;
    // A fleet that was started again goes on with the window of the earlier one.
    if (report.reading.window >= FLEET_WINDOW_MIN) this.#adopt(report);
  }

  #adopt({ reading, windows, slowMs }: GuardReport): void {
    this.counts.begin(reading.window);
    this.counts.slowMs = slowMs ?? Number.POSITIVE_INFINITY;
    this.windows = windows;
  }

  begin(nowMs: number): void {
    this.counts.begin(makeWindow());
    this.readings.clear();
    this.windows += 1;
    this.beganMs = nowMs;
  }

  /** Notes what an operator has ended, and then what is stopped: an earlier stop that another replica still has is ended, too. */
  takeEnd({ endedAtMs }: GuardReport, nowMs: number): void {
    if (endedAtMs === null || endedAtMs <= (this.endedAtMs ?? 0)) return;
    this.endedAtMs = endedAtMs;
    if (this.stop !== null && !this.#isLater(this.stop)) this.stop = null;
    this.begin(nowMs);
  }

  takeStop({ stop }: GuardReport): void {
    if (stop === null || !this.#isLater(stop)) return;
    if (this.stop === null || stop.at < this.stop.at) this.stop = stop;
  }

  takeCounts(process: string, report: GuardReport, nowMs: number): void {
    const { reading, shareSteps } = report;
    this.heard.set(process, nowMs);
    if (shareSteps > this.report.shareSteps) {
      // A step of shares: the ratio is another one, and so are the counts.
      this.report = report;
      this.begin(nowMs);
    }
    if (shareSteps !== this.report.shareSteps || reading.window !== this.counts.window) return;
    this.counts.merge(reading, this.readings.get(process));
    this.readings.set(process, { ...reading, keys: [], failed: [], slow: [] });
  }

  look(nowMs: number): void {
    if (this.stop !== null) return;
    const { report, counts, windows, endedAtMs } = this;
    const { split, options, variants, control } = report;
    const config = ofOneJudge(report.config);
    const ageMs = nowMs - this.beganMs;
    const seen = lookAtWindow({ config, counts, variants, control, windows, ageMs });
    if (seen === 'full') this.begin(nowMs);
    else if (seen !== null && seen !== 'limit')
      this.stop = stopOf(split, options, seen, 'fleet', endedAtMs, nowMs);
  }

  order(process: string, nowMs: number): FleetOrder {
    const { counts, windows, stop, endedAtMs, report } = this;
    const { split, options, shareSteps } = report;
    const slowMs = Number.isFinite(counts.slowMs) ? counts.slowMs : null;
    const isCounted = nowMs - (this.heard.get(process) ?? Number.NEGATIVE_INFINITY) < HEARD_MS;
    const { window } = counts;
    return { split, options, shareSteps, windows, window, slowMs, stop, endedAtMs, isCounted };
  }

  #isLater(stop: GuardStop): boolean {
    return this.endedAtMs === null || Date.parse(stop.at) > this.endedAtMs;
  }
}

/** The guards of all replicas together, for as long as the process of the fleet runs, which owns them. */
export class FleetGuards {
  readonly #guards = new Map<string, FleetGuard>();

  /** Takes one round of answers in and judges. @param nowMs Unix time */
  take(answers: readonly ReportingProcess[], nowMs = Date.now()): void {
    const reports = answers
      .flatMap(({ process, reports: all }) => all.map((report) => ({ process, report })))
      .sort((a, b) => fleetWindowOf(b.report) - fleetWindowOf(a.report));
    const taken = reports.flatMap(({ process, report }) => {
      const id = `${report.split}\0${report.options}`;
      const guard = this.#guards.get(id) ?? new FleetGuard(report, nowMs);
      this.#guards.set(id, guard);
      // Equal options have equal variants; a process that says otherwise is not believed.
      return guard.counts.variants === report.variants.length ? [{ process, report, guard }] : [];
    });
    for (const { report, guard } of taken) guard.takeEnd(report, nowMs);
    for (const { report, guard } of taken) guard.takeStop(report);
    for (const { process, report, guard } of taken) guard.takeCounts(process, report, nowMs);
    for (const guard of new Set(taken.map((one) => one.guard))) guard.look(nowMs);
    this.#forget(nowMs);
  }

  /** What this process has to do. */
  orders(process: string, nowMs = Date.now()): FleetOrder[] {
    return Array.from(this.#guards.values(), (guard) => guard.order(process, nowMs));
  }

  /** Every split that is stopped, or has a guard that could. */
  get splits(): readonly { readonly split: string; readonly isStopped: boolean }[] {
    const stopped = new Map<string, boolean>();
    for (const { report, stop } of this.#guards.values())
      stopped.set(report.split, stop !== null || stopped.get(report.split) === true);
    return Array.from(stopped, ([split, isStopped]) => ({ split, isStopped }));
  }

  #forget(nowMs: number): void {
    for (const [id, { heard, readings }] of this.#guards) {
      for (const [process, at] of heard) {
        if (nowMs - at < FORGOTTEN_MS) continue;
        heard.delete(process);
        readings.delete(process);
      }
      if (heard.size === 0) this.#guards.delete(id);
    }
  }
}

/** Of several reports the first one is that of the latest window of a fleet. */
function fleetWindowOf({ reading, windows }: GuardReport): number {
  return reading.window >= FLEET_WINDOW_MIN ? windows : 0;
}

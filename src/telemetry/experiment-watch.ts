// Looks at the experiments of a process once a second, as long as there are any: which steps the clock has taken, and
// whether a guard has to stop a split. Logs both. Knows no generation and no worker: its owner acts on what it hears.

import type { Logger } from 'pino';
import type { Splitter } from '../split/splitter.ts';
import type { FleetOrder } from './guard-report.ts';
import type { GuardStop } from './guard-stop.ts';
import { Guards, LOOK_MS } from './guards.ts';
import { StepWatch } from './step-watch.ts';

/** What an owner does. */
export interface ExperimentOwner {
  /** Shares have changed by the clock: new samples begin with a new generation. */
  sharesChanged(): void;
  /** A guard has something to say to workers. */
  guardsChanged(): void;
}

/** The looks of one process. An ambassador or a crew owns it, from its start to its end. */
export class ExperimentWatch {
  readonly guards: Guards;
  /** Hears of each stop and of the end of each; what keeps them sets it. */
  onStops: () => void = () => undefined;
  readonly #log: Logger;
  readonly #owner: ExperimentOwner;
  readonly #decides: boolean;
  #splitters: ReadonlyMap<string, Splitter> = new Map();
  #steps = new StepWatch([]);
  #timer: NodeJS.Timeout | undefined;

  /** @param decides false in a worker, which counts and obeys */
  constructor(log: Logger, owner: ExperimentOwner, decides: boolean) {
    this.#log = log;
    this.#owner = owner;
    this.#decides = decides;
    this.guards = new Guards({
      stopped: (stop) => this.#stopped(stop),
      ended: ({ split, variant, at }) => {
        this.#log.warn({ split, variant, stoppedAt: at }, 'guard no longer stops the split');
        this.onStops();
      },
    });
  }

  /** Looks at these splitters from now on. */
  follow(splitters: ReadonlyMap<string, Splitter>): void {
    this.#splitters = splitters;
    this.#steps = new StepWatch(splitters.values());
    const isNeeded = !this.#steps.isIdle || (this.#decides && this.guards.isNeeded);
    if (!isNeeded) this.stop();
    else if (this.#timer === undefined) {
      this.#timer = setInterval(() => this.#look(), LOOK_MS);
      this.#timer.unref();
    }
  }

  /** Does what a fleet says of the guards that are configured with its URL. */
  obeyFleet(url: string, orders: readonly FleetOrder[]): void {
    if (this.guards.obeyFleet(url, orders)) this.#owner.guardsChanged();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const steps = this.#steps.look();
    for (const step of steps) this.#log.info(step, 'step taken');
    if (this.#decides && this.guards.look(this.#splitters)) this.#owner.guardsChanged();
    if (steps.some(({ kind }) => kind === 'shares')) this.#owner.sharesChanged();
  }

  #stopped({ options: _, at: __, ...facts }: GuardStop): void {
    const control = this.#splitters.get(facts.split)?.control.name;
    this.#log.error({ ...facts, control }, 'guard stopped the split');
    this.onStops();
  }
}

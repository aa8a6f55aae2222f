// The guard of a handler's split: counts how the exchanges of its keys end, looks once a second, and stops the split. A stop
// lasts as long as the handler: a new handler begins without one.

import type { RequestView } from '../bytes.ts';
import type { Config } from '../config/options/document.ts';
import { FAULT_CODES, type FaultCode } from '../errors.ts';
import type { SplitStop } from '../split/enrolment.ts';
import { isPreflight } from '../split/preflight.ts';
import type { Decision, Splitter } from '../split/splitter.ts';
import { ENDING, endingOf } from '../telemetry/epoch.ts';
import type { GuardCounts } from '../telemetry/guard-counts.ts';
import type { GuardStop } from '../telemetry/guard-stop.ts';
import { Guards, LOOK_MS } from '../telemetry/guards.ts';

/** Why the guard has stopped the split. Parts of keys from 0 to 1, or for `slow` the quantiles in milliseconds. */
export type HandlerGuardStop = Omit<GuardStop, 'options' | 'by' | 'split'>;

/** One exchange of a key that the guard counts. Ends once; the exchange or tunnel owns it. */
export class CountedExchange {
  readonly #counts: GuardCounts;
  readonly #variant: number;
  readonly #hash: number;
  readonly #startedAt = performance.now();
  #isOver = false;

  constructor(counts: GuardCounts, variant: number, hash: number) {
    this.#counts = counts;
    this.#variant = variant;
    this.#hash = hash;
  }

  /** @param status sent to the client, 0 for none @param code null where nothing went wrong */
  end(status: number, code: FaultCode | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const ending = endingOf(status, code === null ? -1 : FAULT_CODES.indexOf(code));
    const durationMs = performance.now() - this.#startedAt;
    this.#counts.add(this.#variant, this.#hash, ending === ENDING.failed, durationMs);
  }
}

/** The guard of one handler, from its creation to close(). */
export class HandlerGuard {
  readonly #guards: Guards;
  readonly #split: string;
  readonly #timer: NodeJS.Timeout;
  #splitters: ReadonlyMap<string, Splitter> = new Map();

  constructor(config: Config, split: string, onStop: (stop: HandlerGuardStop) => void) {
    this.#split = split;
    const stopped = ({ options: _, by: __, split: ___, ...stop }: GuardStop) => onStop(stop);
    this.#guards = new Guards({ stopped, ended: () => undefined });
    this.#guards.configure(config);
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    this.#timer.unref();
  }

  get stop(): SplitStop {
    return this.#guards.stopOf(this.#split);
  }

  /** The compiled splits, which read `stop`. */
  follow(splitters: ReadonlyMap<string, Splitter>): void {
    this.#splitters = splitters;
  }

  /** What counts this exchange; null for one that is no part of the sample. */
  begin({ variant, hash, reason }: Decision, view: RequestView, isRandom: boolean): CountedExchange | null {
    const counts = this.#guards.countsOf(this.#split);
    if (counts === null || variant === null || reason !== 'share' || isRandom || isPreflight(view))
      return null;
    return new CountedExchange(counts, variant.index, hash);
  }

  look(): void {
    this.#guards.look(this.#splitters);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** Loud, where the server around the handler has not said what to do. */
export function warnOfStop({ variant, against, kind }: HandlerGuardStop): void {
  process.emitWarning(
    `request-splitter: the guard stopped the split: ${variant} is worse than ${against} (${kind}), and every key gets the control`,
  );
}

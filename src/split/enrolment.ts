// Which keys take part in an experiment: those in the split's slot of its layer, and of these the part that coverage
// enrols now. Each of the two has a hash of its own, independent of the hash of the share, so that neither changes a
// variant; and a key that is enrolled at one coverage is enrolled at every higher one. Reads no clock.

import type { CoverageConfig, Slot } from '../config/options/experiment.ts';
import type { SplitConfig } from '../config/options/split.ts';
import { HASH_COUNT, type HashRange, SHARE_MAX } from './ranges.ts';
import { saltedHash, seedOf } from './salted-hash.ts';
import { Schedule } from './schedule.ts';

/** What stops a split: every key then gets the control. Its owner changes it; splitters of several generations read it. */
export interface SplitStop {
  readonly isStopped: boolean;
}

/** Of a split that nothing stops. */
export const NEVER_STOPPED: SplitStop = { isStopped: false };

/** How one key stands in an experiment. */
export interface EnrolmentFacts {
  readonly isEnrolled: boolean;
  /** Part of the keys of the slot that takes part now, from 0 to 1; 0 while the split is stopped. */
  readonly coverageRatio: number;
  /** Where the key's enrolment hash lies, in percent; it is enrolled below the coverage. */
  readonly positionPercent: number;
  readonly isStopped: boolean;
  /** Its place in the layer; null without a layer. */
  readonly layer: {
    readonly name: string;
    readonly slot: Slot;
    /** In percent. */
    readonly positionPercent: number;
    readonly isInSlot: boolean;
  } | null;
}

/** True for a split of which every key takes part, always. */
export function enrolsAll({ coverage = SHARE_MAX, layer, guard }: SplitConfig): boolean {
  return coverage === SHARE_MAX && layer === undefined && guard === undefined;
}

/** The enrolment of one split. Its splitter owns it; only the schedule inside advances, with the clock. */
export class Enrolment {
  readonly #seed: number;
  readonly #layer: {
    readonly name: string;
    readonly slot: Slot;
    readonly seed: number;
    readonly hashes: HashRange;
  } | null;
  readonly #coverage: Schedule<number>;
  readonly #clock: (until?: number) => number;
  readonly #stop: SplitStop;

  /** @param clock milliseconds since 1970; read only where coverage has steps */
  constructor(
    name: string,
    { coverage = SHARE_MAX, layer, slot }: SplitConfig,
    clock: (until?: number) => number,
    stop: SplitStop,
  ) {
    this.#seed = seedOf('coverage', name);
    this.#coverage = scheduleOf(coverage);
    this.#clock = clock;
    this.#stop = stop;
    this.#layer =
      layer === undefined || slot === undefined
        ? null
        : {
            name: layer,
            slot,
            seed: seedOf('layer', layer),
            hashes: { from: boundOf(slot.from), end: boundOf(slot.to) },
          };
  }

  get isStopped(): boolean {
    return this.#stop.isStopped;
  }

  /** Coverage as the clock has it, in hundredths of a percent, whether the split is stopped or not. */
  get coverage(): number {
    const schedule = this.#coverage;
    return schedule.steps.length === 0 ? schedule.at(0) : schedule.at(this.#clock(schedule.nextAt));
  }

  /** The steps, and how many of them are taken by now. */
  get schedule(): { readonly steps: Schedule<number>['steps']; readonly taken: number } {
    const { steps } = this.#coverage;
    return { steps, taken: steps.length === 0 ? 0 : this.#coverage.taken(this.#clock()) };
  }

  /** Whether this key takes part now. Hot path. */
  enrols(key: Uint8Array): boolean {
    if (this.#stop.isStopped) return false;
    const layer = this.#layer;
    if (layer !== null) {
      const position = saltedHash(key, layer.seed);
      if (position < layer.hashes.from || position >= layer.hashes.end) return false;
    }
    const { coverage } = this;
    return coverage === SHARE_MAX || saltedHash(key, this.#seed) < boundOf(coverage);
  }

  /** The same with everything that led to it. */
  explain(key: Uint8Array): EnrolmentFacts {
    const layer = this.#layer;
    const position = layer === null ? 0 : saltedHash(key, layer.seed);
    const { isStopped } = this.#stop;
    return {
      isEnrolled: this.enrols(key),
      coverageRatio: isStopped ? 0 : this.coverage / SHARE_MAX,
      positionPercent: (saltedHash(key, this.#seed) / HASH_COUNT) * 100,
      isStopped,
      layer:
        layer === null
          ? null
          : {
              name: layer.name,
              slot: layer.slot,
              positionPercent: (position / HASH_COUNT) * 100,
              isInSlot: position >= layer.hashes.from && position < layer.hashes.end,
            },
    };
  }
}

/** Hashes below this one belong to the first `hundredths` of a percent. */
function boundOf(hundredths: number): number {
  return Math.floor((hundredths * HASH_COUNT) / SHARE_MAX);
}

/** Before its first step nothing is enrolled. */
function scheduleOf(coverage: CoverageConfig): Schedule<number> {
  return typeof coverage === 'number' ? new Schedule(coverage, []) : new Schedule(0, coverage.steps);
}

// Notices the steps that splits take by the clock, for the log and for the sample: decisions follow the clock by
// themselves, but a step of shares begins a new sample, which only a new generation has. Looked at once a second.

import type { Splitter } from '../split/splitter.ts';

/** A step that was taken since the last look. */
export interface TakenStep {
  readonly split: string;
  readonly kind: 'coverage' | 'shares';
  /** Coverage from 0 to 1, or the share of each variant. */
  readonly now: number | Readonly<Record<string, number>>;
}

/** Watches the splitters of one generation, whose owner makes a new one with the next generation. */
export class StepWatch {
  readonly #taken = new Map<Splitter, { coverage: number; shares: number }>();

  constructor(splitters: Iterable<Splitter>) {
    for (const splitter of splitters) {
      const { enrolment, shareSchedule } = splitter;
      const coverage = enrolment?.schedule ?? { steps: [], taken: 0 };
      if (coverage.steps.length + shareSchedule.steps.length === 0) continue;
      this.#taken.set(splitter, { coverage: coverage.taken, shares: shareSchedule.taken });
    }
  }

  /** No split has steps. */
  get isIdle(): boolean {
    return this.#taken.size === 0;
  }

  /** What was taken since the last look. */
  look(): TakenStep[] {
    const steps: TakenStep[] = [];
    for (const [splitter, before] of this.#taken) {
      const { name: split, enrolment, shareSchedule, variants } = splitter;
      const coverage = enrolment?.schedule.taken ?? 0;
      if (coverage > before.coverage)
        steps.push({ split, kind: 'coverage', now: (enrolment?.coverage ?? 0) / 10_000 });
      if (shareSchedule.taken > before.shares) {
        const now = Object.fromEntries(variants.map(({ name, share }) => [name, share]));
        steps.push({ split, kind: 'shares', now });
      }
      this.#taken.set(splitter, { coverage, shares: shareSchedule.taken });
    }
    return steps;
  }
}

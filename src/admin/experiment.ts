// What /status and `check --json` say of the experiment of a split: which keys take part now, the steps with what comes
// next, and whether the split is stopped. Null for a split of which every key takes part.

import { formatInstant, formatSlot, type GuardConfig } from '../config/options/experiment.ts';
import type { Splitter } from '../split/splitter.ts';
import { describeWhen } from '../split/targeting.ts';
import type { GuardStop } from '../telemetry/guard-stop.ts';

/** Version 1 of the member `experiment`. */
export interface ExperimentJson {
  readonly control: string;
  /** Part of the keys (of the slot, in a layer) that takes part now, from 0 to 1; 0 while it is stopped. */
  readonly coverageRatio: number;
  readonly layer: string | null;
  readonly slot: string | null;
  readonly when: string | null;
  readonly isStopped: boolean;
  /** Null without a guard; `stop` says why and when it stopped the split, `fleet` whether its fleet judges now. */
  readonly guard: {
    readonly stop: Omit<GuardStop, 'options' | 'split'> | null;
    readonly fleet: { readonly url: string; readonly isAnswering: boolean } | null;
  } | null;
  /** In the order of their times. */
  readonly steps: readonly StepJson[];
  /** Time of the first step that is not reached; null where there is none. */
  readonly nextAt: string | null;
}

interface StepJson {
  readonly at: string;
  readonly isReached: boolean;
  /** Of a step of coverage. */
  readonly coverageRatio?: number;
  /** Of a step of shares, by variant. */
  readonly shareRatios?: Readonly<Record<string, number>>;
}

/** What takes part in this split now. */
export function describeExperiment(
  splitter: Splitter,
  stop: GuardStop | null,
  isOfFleet = false,
): ExperimentJson | null {
  const { enrolment, control, config, shareSchedule } = splitter;
  const { layer = null, slot, when } = config;
  if (enrolment === null && when === undefined && shareSchedule.steps.length === 0) return null;
  const coverage = enrolment?.schedule ?? { steps: [], taken: 0 };
  const steps = [
    ...coverage.steps.map(({ at, to }, index) => ({
      at,
      isReached: index < coverage.taken,
      coverageRatio: to / 10_000,
    })),
    ...shareSchedule.steps.map(({ at, to }, index) => ({
      at,
      isReached: index < shareSchedule.taken,
      shareRatios: Object.fromEntries(to.variants.map(({ name, share }) => [name, share])),
    })),
  ].sort((a, b) => a.at - b.at);
  const next = steps.find(({ isReached }) => !isReached);
  const isStopped = enrolment?.isStopped ?? false;
  return {
    control: control.name,
    coverageRatio: isStopped ? 0 : (enrolment?.coverage ?? 10_000) / 10_000,
    layer,
    slot: slot === undefined ? null : formatSlot(slot),
    when: when === undefined ? null : describeWhen(when),
    isStopped,
    guard: config.guard === undefined ? null : guardJson(config.guard, stop, isOfFleet),
    steps: steps.map(({ at, ...step }) => ({ at: formatInstant(at), ...step })),
    nextAt: next === undefined ? null : formatInstant(next.at),
  };
}

function guardJson(
  { fleet }: GuardConfig,
  stop: GuardStop | null,
  isAnswering: boolean,
): ExperimentJson['guard'] {
  return {
    stop: stop === null ? null : withoutOptions(stop),
    fleet: fleet === undefined ? null : { url: fleet, isAnswering },
  };
}

function withoutOptions({
  options: _,
  split: __,
  ...facts
}: GuardStop): Omit<GuardStop, 'options' | 'split'> {
  return facts;
}

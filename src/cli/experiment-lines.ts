// The lines of `check` about the experiment of a split: which keys and requests take part, when that changes, and what stops
// it. Prints nothing for a split of which every key takes part.

import { formatInstant, formatSlot, formatWorseBy, type GuardConfig } from '../config/options/experiment.ts';
import type { SplitConfig } from '../config/options/split.ts';
import { formatPercent } from '../split/change.ts';
import type { Splitter } from '../split/splitter.ts';
import { describeWhen } from '../split/targeting.ts';

/** The lines, without indentation. */
export function experimentLines(split: SplitConfig, splitter: Splitter): string[] {
  const { coverage, layer, slot, when, guard } = split;
  const control = `the others get ${splitter.control.name}`;
  const lines: string[] = [];
  if (when !== undefined) lines.push(`when: ${describeWhen(when)}; ${control}`);
  if (layer !== undefined && slot !== undefined)
    lines.push(`layer: ${layer}, slot ${formatSlot(slot)}; ${control}`);
  if (coverage !== undefined) {
    const now = formatPercent((splitter.enrolment?.coverage ?? 10_000) / 10_000);
    lines.push(`coverage: ${now} of ${slot === undefined ? 'all keys' : 'the slot'}; ${control}`);
  }
  for (const line of scheduleLines(splitter)) lines.push(`  ${line}`);
  if (guard !== undefined) lines.push(`guard: ${describeGuard(guard, splitter)}`);
  return lines;
}

/** One line for each step, in the order of their times: those that are taken are marked. */
function scheduleLines(splitter: Splitter): string[] {
  const coverage = splitter.enrolment?.schedule ?? { steps: [], taken: 0 };
  const shares = splitter.shareSchedule;
  const steps = [
    ...coverage.steps.map(({ at, to }, index) => ({
      at,
      isTaken: index < coverage.taken,
      what: `coverage ${formatPercent(to / 10_000)}`,
    })),
    ...shares.steps.map(({ at, to }, index) => ({
      at,
      isTaken: index < shares.taken,
      what: `shares ${to.variants.map(({ name, share }) => `${name} ${formatPercent(share, 2)}`).join(', ')}`,
    })),
  ].sort((a, b) => a.at - b.at);
  return steps.map(({ at, isTaken, what }) => `${formatInstant(at)}  ${what}${isTaken ? ', reached' : ''}`);
}

/** What stops a split, in one line. */
function describeGuard(
  { against, errors, slow, minimumKeys, alpha }: GuardConfig,
  splitter: Splitter,
): string {
  const named = splitter.variants.find(({ name }) => name === against) ?? splitter.control;
  const what = [
    ...(errors === undefined ? [] : [`keys with errors by ${formatWorseBy(errors.worseBy)}`]),
    ...(slow === undefined ? [] : [`the ${slow.quantile} quantile of durations by ${slow.worseBy}%`]),
  ];
  return `stops the split when a variant is worse than ${named.name} in ${what.join(' or ')}, from ${minimumKeys} keys on, alpha ${alpha / 100}%`;
}

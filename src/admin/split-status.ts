// What /status says of one split and its sample, of this process or of a fleet: counts since the process began, everything of
// the sample since that began and again for its last 15 minutes, the verdict, and each variant against the others. Knows
// neither HTTP nor where the sample comes from.

import type { Counters, VariantCounters } from '../telemetry/counters.ts';
import type { EpochCounters } from '../telemetry/epoch.ts';
import type { Recent, Sample } from '../telemetry/sample.ts';
import type { KeptAlarm, SplitVerdict } from '../telemetry/verdict.ts';
import { quantile } from './history.ts';
import { List } from './json-pieces.ts';

/** A split and its sample, of a pod or of a fleet. */
export interface SplitSource {
  readonly name: string;
  /** As a person reads it. */
  readonly key: string;
  readonly method: string;
  readonly missingKey: unknown;
  readonly variants: readonly {
    readonly name: string;
    readonly upstream: string;
    readonly share: number;
  }[];
  readonly sample: Sample;
}

/** Digits of ratios and durations: more of them would only be noise. */
const DIGITS = 6;

/** The counts of one row, as a route and a variant have them. */
export function exchangesOf(row: VariantCounters) {
  return { requests: row.ended, ...row.status() };
}

/**
 * One split of /status. `requests`, `observedRatio` and the counts beside them begin with the process; `sample` of the split and
 * of its variants, `verdict`, `outside` and `against` begin with the sample. `against` compares a variant with all others
 * together: `value` with what it may be, valid at every moment with a confidence of 95 %.
 */
export function describeSplit(source: SplitSource, counters: Counters, withRegisters: boolean) {
  const { name, key, method, missingKey, variants, sample } = source;
  const rows = variants.map((variant) => counters.peekVariant(name, variant.name, variant.upstream));
  const requests = rows.reduce((sum, row) => sum + row.ended, 0);
  const counts = sample.counts();
  const verdict = sample.verdict();
  const recent = sample.recent();
  const { durationBounds } = counters;
  return {
    name,
    key,
    method,
    missingKey,
    requests,
    sample: {
      since: sample.since.toISOString(),
      keys: Math.round(counts.reduce((sum, { keys }) => sum + keys, 0)),
      pValue: verdict.pValue,
      deviationRatio: verdict.deviationRatio,
      mismatch: verdict.isMismatch,
      precision: sample.assigned.registers.precision,
      movedKeys: movedKeys(sample),
    },
    verdict: describeVerdict(verdict),
    outside: outsideTogether(sample.rows),
    variants: List.of([...variants.entries()], ([index, variant]) => ({
      name: variant.name,
      upstream: variant.upstream,
      shareRatio: variant.share,
      observedRatio: requests === 0 ? null : rows[index]!.ended / requests,
      ...exchangesOf(rows[index]!),
      uniqueKeys: Math.round(counts[index]!.keys),
      uniqueKeysStandardError: Math.round(counts[index]!.standardError),
      sample: describeVariant(sample, index, verdict, durationBounds),
      against: againstOthers(verdict, index),
      last15Minutes: describeRecent(recent, index, durationBounds),
      ...(withRegisters
        ? { registers: Buffer.from(sample.assigned.registers.registers(index)).toString('base64') }
        : {}),
    })),
  };
}

function movedKeys(sample: Sample): number | null {
  const moved = sample.moved();
  return moved === null ? null : Math.round(moved.keys);
}

function describeVerdict({ level, state, sentence, alarms }: SplitVerdict) {
  return {
    level,
    state,
    sentence,
    alarms: alarms.map(
      ({ trouble, level: reached, variant, sentence: text, sinceMs, isPresent }: KeptAlarm) => ({
        trouble,
        level: reached,
        variant,
        sentence: text,
        since: sinceMs === null ? null : new Date(sinceMs).toISOString(),
        present: isPresent,
      }),
    ),
  };
}

const OUTSIDE = ['keyless', 'overrides', 'fallbacks', 'preflights', 'others'] as const;

/** Exchanges that are no part of the sample, by what keeps them out, and their part of all. */
function outsideTogether(rows: readonly EpochCounters[]) {
  const sums = OUTSIDE.map((name) => [name, rows.reduce((sum, row) => sum + row[name], 0)] as const);
  const outside = sums.reduce((sum, [, count]) => sum + count, 0);
  const all = rows.reduce((sum, row) => sum + sampledOf(row), outside);
  return {
    ...(Object.fromEntries(sums) as Record<(typeof OUTSIDE)[number], number>),
    ratio: all === 0 ? null : short(outside / all),
  };
}

function sampledOf({ endings }: EpochCounters): number {
  return endings.reduce((sum, count) => sum + count, 0);
}

function describeVariant(
  sample: Sample,
  index: number,
  { judgement }: SplitVerdict,
  bounds: readonly number[],
) {
  const row = sample.rows[index]!;
  const [assigned, answered, failed] = (['assigned', 'answered', 'failed'] as const).map(
    (set) => sample[set].count(index).keys,
  );
  const requests = sampledOf(row);
  return {
    requests,
    ...row.status(),
    robotRequests: Math.round(judgement.comparisons[index]!.robotRequests),
    assignedKeys: Math.round(assigned!),
    answeredKeys: Math.round(answered!),
    failedKeys: Math.round(failed!),
    errorRatio: assigned === 0 ? null : short(Math.min(1, failed! / assigned!)),
    requestsPerKey: assigned === 0 ? null : short(requests / assigned!),
    p50Seconds: quantileSeconds(row.durations, 0.5, bounds),
    p99Seconds: quantileSeconds(row.durations, 0.99, bounds),
  };
}

function againstOthers({ judgement }: SplitVerdict, index: number) {
  const { errors, left, requests, durations } = judgement.comparisons[index]!;
  const said = (estimate: typeof errors) =>
    estimate === null
      ? null
      : { value: short(estimate.value), lower: short(estimate.lower), upper: short(estimate.upper) };
  return {
    errors: said(errors),
    left: said(left),
    requests: said(requests),
    durations: said(durations),
  };
}

function describeRecent({ seconds: length, row: rowOf }: Recent, index: number, bounds: readonly number[]) {
  const row = rowOf(index);
  const requests = sampledOf(row);
  const failed = row.endings[1]!;
  return {
    seconds: Math.round(length),
    requests,
    failed,
    errorRatio: requests === 0 ? null : short(failed / requests),
    p50Seconds: quantileSeconds(row.durations, 0.5, bounds),
    p99Seconds: quantileSeconds(row.durations, 0.99, bounds),
  };
}

function quantileSeconds(durations: Float64Array, q: number, bounds: readonly number[]): number | null {
  const value = quantile(durations, q, bounds);
  return Number.isNaN(value) ? null : short(value);
}

function short(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

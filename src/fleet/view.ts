// Adds up what the pods of a fleet have counted: keys are united, numbers are added, each process once. It lives on between
// two rounds, so a pod that is gone takes none of its keys and numbers with it, and an alarm stays. Knows no sockets.

import { Counters, type CountersReading } from '../telemetry/counters.ts';
import { VARIANT_ROW } from '../telemetry/counts.ts';
import { withoutHistograms } from '../telemetry/rows.ts';
import { Sample, type SampleReading } from '../telemetry/sample.ts';
import { mergeSample, withoutDurations } from '../telemetry/sample-state.ts';
import type { SplitAlarms } from './alarm-file.ts';
import type { AskedPod, PodAnswer, PodSplit } from './ask.ts';

/** One address of the fleet as it is shown. */
export interface FleetPod {
  readonly address: string;
  /** Its host name; null while it has never answered. */
  readonly pod: string | null;
  readonly state: string;
  /** Why it did not answer the last time; null when it did. */
  readonly problem: string | null;
  readonly generation: number | null;
  readonly hash: string | null;
  readonly startedAt: string | null;
  readonly requests: number;
  readonly failed: number;
  readonly troubles: readonly string[];
}

/** One split of the fleet. */
export interface FleetSplit {
  readonly name: string;
  readonly key: string;
  readonly method: string;
  readonly missingKey: string;
  readonly variants: PodSplit['variants'];
  readonly sample: Sample;
  /** Pods that have this split as it is shown, and others that have it in another form. */
  readonly pods: number;
  readonly podsOtherwise: number;
}

/** What a process has told last. */
interface Known {
  readonly address: string;
  readonly counters: CountersReading;
  /** Without keys, by split and definition. */
  readonly samples: ReadonlyMap<string, SampleReading>;
  readonly adopted: readonly string[];
}

/** Definitions of one split whose samples are kept: the present one and those that a change of shares has just replaced. */
const DEFINITIONS_MAX = 3;
/** Processes that ended and are remembered, so that none is added twice. */
const RETIRED_MAX = 10_000;
/** Samples whose alarms are taken over from an earlier process. */
const ALARMS_MAX = 1000;

const NO_KEYS = { assigned: null, answered: null, failed: null };

/** The numbers of a fleet, from the first round to the end of the process. The command that asks the pods owns it. */
export class FleetView {
  readonly counters = new Counters();
  #pods: readonly FleetPod[] = [];
  #splits: readonly FleetSplit[] = [];
  readonly #known = new Map<string, Known>();
  /** Processes from whose numbers another one has gone on. */
  readonly #retired = new Set<string>();
  readonly #samples = new Map<string, Sample>();

  /** Answering pods whose durations are in other buckets than those of most, and are left out. */
  podsWithOtherBuckets = 0;

  /** Alarms by sample, as they are kept beyond the end of the process. */
  readonly #alarms = new Map<string, SplitAlarms>();
  /** Those of an earlier process whose sample no pod has shown yet. */
  readonly #earlier = new Map<string, SplitAlarms>();

  /** By address. */
  get pods(): readonly FleetPod[] {
    return this.#pods;
  }

  /** Those that answering pods have now. */
  get splits(): readonly FleetSplit[] {
    return this.#splits;
  }

  /** Hashes of the configurations that answering pods run; more than one while they differ. */
  get hashes(): readonly string[] {
    return [
      ...new Set(
        this.#pods.flatMap(({ hash, problem }) => (hash === null || problem !== null ? [] : [hash])),
      ),
    ];
  }

  /** Takes one round of answers in. True where durations have been forgotten, as most pods have other buckets now. @param nowMs Unix time */
  take(asked: readonly AskedPod[], nowMs = Date.now()): boolean {
    const answers = new Map<string, PodAnswer>();
    const pods: FleetPod[] = [];
    for (const one of asked) {
      const { answer } = one;
      // A pod with an IPv4 and an IPv6 address answers at both.
      if (answer !== null && answers.has(answer.process)) continue;
      if (answer !== null) answers.set(answer.process, answer);
      pods.push(this.#podOf(one));
    }
    const isOtherBuckets = this.#chooseBuckets([...answers.values()]);
    for (const [process, answer] of answers) this.#advance(process, answer, pods);
    this.#forget(new Set(answers.keys()), new Set(asked.map(({ address }) => address)));
    this.#pods = pods;
    this.#splits = this.#splitsOf([...answers.values()]);
    for (const { sample } of this.#splits) this.#restoreAlarms(sample);
    // What was counted before the first question is in no last 15 minutes.
    for (const { sample } of this.#splits) sample.look(nowMs);
    for (const { sample } of this.#splits) this.#keepAlarms(sample, nowMs);
    return isOtherBuckets;
  }

  /**
   * Durations can only be added up in equal buckets: those of most pods count. When these change, as in a rollout, all durations
   * are forgotten, and of the processes that still answer they are taken in again.
   */
  #chooseBuckets(answers: readonly PodAnswer[]): boolean {
    const counts = new Map<string, number>();
    for (const { durationBounds } of answers) {
      const text = String(durationBounds);
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    const own = String(this.counters.durationBounds);
    const most = Math.max(0, ...counts.values());
    const chosen = counts.get(own) === most ? own : [...counts].find(([, count]) => count === most)?.[0];
    this.podsWithOtherBuckets = answers.length - most;
    if (chosen === undefined || chosen === own) return false;
    this.counters.durationBounds = chosen.split(',').map(Number);
    for (const { cells } of this.counters.variants()) cells.set(withoutHistograms(VARIANT_ROW, cells));
    for (const sample of this.#samples.values()) sample.dropDurations();
    for (const [process, known] of this.#known) {
      const samples = [...known.samples].map(([id, one]) => [id, withoutDurations(one)] as const);
      const counters = withoutCountedDurations(known.counters);
      this.#known.set(process, { ...known, counters, samples: new Map(samples) });
    }
    return true;
  }

  /** Alarms of an earlier process of this fleet: each goes to its sample, if that began before the process last saw it. */
  restore(alarms: readonly SplitAlarms[]): void {
    for (const one of alarms.slice(-ALARMS_MAX)) {
      this.#earlier.set(sampleId(one), one);
      this.#alarms.set(sampleId(one), one);
    }
  }

  /** All alarms, to be given to restore() of a later process. */
  get alarms(): readonly SplitAlarms[] {
    return [...this.#alarms.values()].filter(
      ({ evidence }) => evidence.alarms.length > 0 || evidence.shareLogEvidence > 0,
    );
  }

  #restoreAlarms(sample: Sample): void {
    const id = sampleId(sample);
    const earlier = this.#earlier.get(id);
    if (earlier === undefined) return;
    // One that began later is another sample of the same definition, unless a silent pod has the earlier one.
    const isSame = sample.since.getTime() <= earlier.seenMs;
    if (isSame) sample.evidence.restore(earlier.evidence);
    if (isSame || this.#pods.every(({ problem }) => problem === null)) this.#earlier.delete(id);
  }

  #keepAlarms(sample: Sample, seenMs: number): void {
    const id = sampleId(sample);
    const { split, definition, evidence } = sample;
    // The one that was seen last is the last one.
    this.#alarms.delete(id);
    this.#alarms.set(id, this.#earlier.get(id) ?? { split, definition, seenMs, evidence: evidence.kept });
    if (this.#alarms.size > ALARMS_MAX) this.#alarms.delete([...this.#alarms.keys()][0]!);
  }

  #podOf({ address, answer, problem }: AskedPod): FleetPod {
    if (answer === null) {
      const before = this.#pods.find((pod) => pod.address === address);
      const nothing = { pod: null, generation: null, hash: null, startedAt: null, requests: 0, failed: 0 };
      return { ...nothing, ...before, address, state: 'silent', problem, troubles: [] };
    }
    const { generation, pod, state, startedAt, troubles, counters } = answer;
    const own = new Counters();
    own.advance(null, readingOf(counters));
    let requests = 0;
    let failed = 0;
    for (const row of own.variants()) {
      requests += row.ended;
      failed += row.failed;
    }
    const { number, hash } = generation;
    return {
      address,
      pod,
      state,
      problem: null,
      generation: number,
      hash,
      startedAt,
      requests,
      failed,
      troubles,
    };
  }

  #advance(process: string, answer: PodAnswer, pods: readonly FleetPod[]): void {
    const before = this.#known.get(process) ?? null;
    const hasOtherBuckets = String(answer.durationBounds) !== String(this.counters.durationBounds);
    const told = readingOf(answer.counters);
    const counters = hasOtherBuckets ? withoutCountedDurations(told) : told;
    this.counters.advance(before?.counters ?? null, counters);
    const samples = new Map<string, SampleReading>();
    const newlyAdopted = answer.adopted.filter((id) => !(before?.adopted ?? []).includes(id));
    for (const split of answer.splits) {
      if (split.sample === null || this.#retired.has(process)) continue;
      const { identity, reading: whole } = split.sample;
      const reading = hasOtherBuckets ? withoutDurations(whole) : whole;
      const id = `${identity.split}\0${identity.definition}`;
      const sample = this.#sampleOf(id, split);
      // Its numbers, and those of the processes that it has gone on from, are known already as far as they were told.
      const earlier = [
        before?.samples.get(id),
        ...newlyAdopted.map((one) => this.#known.get(one)?.samples.get(id)),
      ];
      for (const one of earlier)
        if (one !== undefined) sample.advance(one, { ...one, ...zeros(one), keys: NO_KEYS });
      mergeSample(sample, reading);
      samples.set(id, { ...reading, keys: NO_KEYS });
    }
    for (const one of newlyAdopted) this.#retire(one);
    const address =
      pods.find((pod) => pod.startedAt === answer.startedAt && pod.pod === answer.pod)?.address ?? '';
    this.#known.set(process, { address, counters, samples, adopted: answer.adopted });
  }

  #sampleOf(id: string, { sample }: PodSplit): Sample {
    let known = this.#samples.get(id);
    if (known === undefined) {
      known = new Sample(sample!.identity, null, new Date(sample!.reading.sinceMs));
    }
    // The one that was used last is the last one.
    this.#samples.delete(id);
    this.#samples.set(id, known);
    const split = id.slice(0, id.indexOf('\0') + 1);
    const same = [...this.#samples.keys()].filter((one) => one.startsWith(split));
    for (const old of same.slice(0, Math.max(0, same.length - DEFINITIONS_MAX))) this.#samples.delete(old);
    return known;
  }

  #retire(process: string): void {
    const known = this.#known.get(process);
    if (known !== undefined) this.counters.advance(known.counters, null);
    this.#known.delete(process);
    this.#retired.add(process);
    if (this.#retired.size > RETIRED_MAX) this.#retired.delete([...this.#retired][0]!);
  }

  /** Gauges go with a process whose address is gone; what it has counted stays. */
  #forget(answering: ReadonlySet<string>, addresses: ReadonlySet<string>): void {
    for (const [process, { address, counters, samples, adopted }] of this.#known) {
      if (answering.has(process) || addresses.has(address) || address === '') continue;
      this.counters.advance(counters, null);
      // Another process may go on from its numbers later.
      const cells = { ...counters, variants: [], upstreams: [] };
      this.#known.set(process, { address: '', counters: cells, samples, adopted });
    }
  }

  #splitsOf(answers: readonly PodAnswer[]): FleetSplit[] {
    const names = new Set(answers.flatMap(({ splits }) => splits.map(({ name }) => name)));
    return [...names].flatMap((name) => {
      const byId = new Map<string, PodSplit[]>();
      for (const { splits } of answers) {
        for (const split of splits) {
          if (split.name !== name || split.sample === null) continue;
          const id = `${name}\0${split.sample.identity.definition}`;
          byId.set(id, [...(byId.get(id) ?? []), split]);
        }
      }
      const forms = [...byId].sort(([, a], [, b]) => b.length - a.length);
      const most = forms[0];
      if (most === undefined) return [];
      const [id, [first]] = most;
      const { key, method, missingKey, variants } = first!;
      const podsOtherwise = forms.slice(1).reduce((sum, [, pods]) => sum + pods.length, 0);
      const sample = this.#samples.get(id);
      if (sample === undefined) return [];
      return [{ name, key, method, missingKey, variants, sample, pods: most[1].length, podsOtherwise }];
    });
  }
}

function sampleId({ split, definition }: Pick<Sample, 'split' | 'definition'>): string {
  return `${split}\0${definition}`;
}

/** The reading of nothing, with the shape of this one. */
function zeros({ cells, sums }: SampleReading): Pick<SampleReading, 'cells' | 'sums'> {
  return { cells: cells.map(({ length }) => new Float64Array(length)), sums: new Float64Array(sums.length) };
}

function withoutCountedDurations(reading: CountersReading): CountersReading {
  const variants = reading.variants.map((row) => ({
    ...row,
    cells: withoutHistograms(VARIANT_ROW, row.cells),
  }));
  return { ...reading, variants };
}

function readingOf({ downstream, variants, upstreams }: PodAnswer['counters']): CountersReading {
  return {
    downstream: Float64Array.from(downstream),
    variants: variants.map((row) => ({ ...row, cells: Float64Array.from(row.cells) })),
    upstreams: upstreams.map((row) => ({ ...row, cells: Float64Array.from(row.cells) })),
  };
}

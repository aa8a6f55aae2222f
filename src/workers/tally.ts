// Adds up what the workers have counted, so that it reads as if one process had counted it. Only differences between two
// readings of the same process are added: a counter never goes down when a worker dies or is late, and gauges, such as
// open connections, go with their process.

import { Counters } from '../telemetry/counters.ts';
import { DROP_REASONS } from '../telemetry/log-device.ts';
import { PROCESS_FACTS, type ProcessFacts } from '../telemetry/own-process.ts';
import type { SampleReading } from '../telemetry/sample.ts';
import type { Reading } from './messages.ts';

/** Numbers of all workers together. The crew owns it from its start to its end. */
export class Tally {
  readonly counters = new Counters();
  /** Log lines that workers have dropped, by position of the reason in DROP_REASONS. */
  readonly linesDropped = new Float64Array(DROP_REASONS.length);
  /** Assignment windows of workers that began early. */
  earlyWindows = 0;
  /** Of the processes that have ended, the sum of each counter among PROCESS_FACTS. */
  readonly #ended = new Map<string, number>();

  /** Adds what a worker has counted since its last reading. @param before that reading; null = this is the first */
  advance(before: Reading | null, now: Reading): void {
    this.counters.advance(before?.counters ?? null, now.counters);
    this.earlyWindows += now.earlyWindows - (before?.earlyWindows ?? 0);
    for (const [reason, lines] of now.linesDropped.entries()) {
      this.linesDropped[reason]! += lines - (before?.linesDropped[reason] ?? 0);
    }
    const samplesBefore = new Map(before?.samples.map((one) => [sampleIdOf(one), one]));
    for (const sample of now.samples) this.#advance(samplesBefore.get(sampleIdOf(sample)) ?? null, sample);
  }

  /** Removes the gauges of a process that has ended. @param last its last reading */
  forget(last: Reading): void {
    this.counters.advance(last.counters, null);
    for (const [name, { kind }] of Object.entries(PROCESS_FACTS)) {
      if (kind === 'gauge') continue;
      const value = last.process[name as keyof ProcessFacts] ?? 0;
      this.#ended.set(name, (this.#ended.get(name) ?? 0) + value);
    }
  }

  /** The sums over these processes; counters include those that have ended. Unknown for one is unknown for all. */
  addUp(processes: readonly ProcessFacts[]): ProcessFacts {
    const sums = Object.keys(PROCESS_FACTS).map((name) => {
      const values = processes.map((facts) => facts[name as keyof ProcessFacts] ?? Number.NaN);
      const sum = values.reduce((total, value) => total + value, this.#ended.get(name) ?? 0);
      return [name, Number.isNaN(sum) ? undefined : sum];
    });
    return Object.fromEntries(sums);
  }

  /** Adds to the sample of that definition, the present one or the one that a reload has just replaced. */
  #advance(before: SampleReading | null, now: SampleReading): void {
    const present = this.counters.presentSample(now.split);
    for (const sample of [present, present?.before]) {
      if (sample?.definition === now.definition) return sample.advance(before, now);
    }
  }
}

function sampleIdOf({ split, definition, sinceMs }: SampleReading): string {
  return `${split}\0${definition}\0${sinceMs}`;
}

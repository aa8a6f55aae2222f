// Runs the turns of a scenario in order: A B C A B C, with processes that were started for this part alone.
// All contenders of a scenario run at the same time; only the one whose turn it is has load.

import type { Part } from './plan.ts';
import { cores, memoryMiB, privateMiB } from './processes.ts';
import type { Progress } from './progress.ts';
import { pausesWithin, readRecorded } from './recorded.ts';
import { DIRECT, OWN, type ScenarioResult, type StartRow, type Turn } from './results.ts';
import type { Rival } from './rivals.ts';
import {
  type Candidate,
  type Rig,
  StartFailure,
  startRival,
  takeDirectTurn,
  takeTurn,
  warmUp,
} from './turns.ts';

export interface Measured {
  readonly result: ScenarioResult;
  /** Contenders that did not start. */
  readonly failures: readonly StartFailure[];
}

/** Starts everybody; those that give no answer are left out and named. */
async function startAll(
  rig: Rig,
  rivals: readonly Rival[],
  onStart: (candidate: Candidate) => Promise<void>,
  start: (rival: Rival) => Promise<Candidate> = (rival) => startRival(rig, rival),
) {
  const failures: StartFailure[] = [];
  for (const rival of rivals) {
    try {
      await onStart(await start(rival));
    } catch (error) {
      if (!(error instanceof StartFailure)) throw error;
      failures.push(error);
    }
  }
  return failures;
}

const lengthOf = ({ rounds, seconds, warmupSeconds, scenario }: Part) =>
  `${rounds} rounds of ${seconds * scenario.lengthFactor} s, after ${warmupSeconds} s of warm-up`;

/** One scenario; ends the processes that it started. A turn that fails is named, and the run goes on. */
export async function measureScenario(rig: Rig, part: Part, progress: Progress): Promise<Measured> {
  const { scenario, rounds } = part;
  const candidates: Candidate[] = [];
  const failures = await startAll(
    rig,
    part.contenders,
    async (candidate) => {
      progress(`${scenario.name}, warm-up: ${candidate.rival.name}`);
      candidates.push(candidate);
      await warmUp(rig, scenario, candidate.port, part.warmupSeconds);
    },
    (rival) =>
      startRival(rig, rival, {
        quotaMillicores: scenario.quotaMillicores,
        records: scenario.recordsPauses && rival.name === OWN ? 'pauses' : null,
      }),
  );
  const rows = new Map<string, { rival: string; title: string; turns: Turn[] }>();
  if (scenario.rate !== null) rows.set(DIRECT, { rival: DIRECT, title: 'no proxy', turns: [] });
  for (const { rival } of candidates)
    rows.set(rival.name, { rival: rival.name, title: rival.title, turns: [] });
  const notes: string[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    if (scenario.rate !== null) {
      progress(`${scenario.name}, round ${round} of ${rounds}: no proxy`);
      rows.get(DIRECT)?.turns.push(await takeDirectTurn(rig, scenario, round, part));
    }
    for (const candidate of candidates) {
      progress(`${scenario.name}, round ${round} of ${rounds}: ${candidate.rival.name}`);
      try {
        rows.get(candidate.rival.name)?.turns.push(await takeTurn(rig, scenario, round, part, candidate));
      } catch (error) {
        notes.push(`${candidate.rival.title}: no figure of round ${round}, ${(error as Error).message}`);
      }
    }
  }
  await Promise.all(candidates.map(({ process }) => process.stop()));
  const { name, title, rate } = scenario;
  const load = rate === null ? rig.load : 'by the clock';
  const recorded = candidates.find(({ recordTo }) => recordTo !== null);
  const pauses =
    recorded?.recordTo == null
      ? {}
      : {
          pauses: pausesWithin(
            readRecorded(recorded.recordTo),
            (rows.get(recorded.rival.name)?.turns ?? []).map(({ startedAt, seconds }) => ({
              from: startedAt,
              to: startedAt + seconds * 1000,
            })),
          ),
        };
  return {
    result: { name, title, rate, load, length: lengthOf(part), rows: [...rows.values()], notes, ...pauses },
    failures,
  };
}

/** Starts everybody a few times, in turns. */
export async function measureStarts(
  rig: Rig,
  rivals: readonly Rival[],
  rounds: number,
  progress: Progress,
): Promise<{ starts: StartRow[]; failures: StartFailure[] }> {
  const rows = new Map<Rival, { startMs: number[]; resident: number[]; own: number[] }>();
  let failures: StartFailure[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const willing = rivals.filter((rival) => !failures.some((failure) => failure.rival === rival));
    const failed = await startAll(rig, willing, async ({ rival, startMs, process }) => {
      progress(`starts, round ${round} of ${rounds}: ${rival.name}`);
      const row = rows.get(rival) ?? { startMs: [], resident: [], own: [] };
      row.startMs.push(startMs);
      row.resident.push(memoryMiB(process.pid));
      row.own.push(privateMiB(process.pid));
      rows.set(rival, row);
      await process.stop();
    });
    failures = [...failures, ...failed];
  }
  const starts = [...rows].map(([rival, { startMs, resident, own }]) => ({
    rival: rival.name,
    title: rival.title,
    startMs,
    memoryMiB: Math.max(...resident),
    privateMiB: Math.max(...own),
  }));
  return { starts, failures };
}

/** What runs where, as a sentence. */
export const placement = (): string =>
  cores === null
    ? 'not pinned'
    : `process under test on core ${cores.measured}, load generator on ${cores.load}, upstreams on ${cores.upstream}`;

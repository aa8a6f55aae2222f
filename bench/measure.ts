// Runs the turns of a scenario in order: A B C A B C, with processes that were started for this part alone.
// All contenders of a scenario run at the same time; only the one whose turn it is has load.

import type { Part } from './plan.ts';
import { cores, memoryMiB } from './processes.ts';
import { DIRECT, type ScenarioResult, type StartRow, type Turn } from './results.ts';
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

/** Told what is being done, so that a person who waits sees that it goes on. */
export type Progress = (text: string) => void;

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
) {
  const failures: StartFailure[] = [];
  for (const rival of rivals) {
    try {
      await onStart(await startRival(rig, rival));
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
  const failures = await startAll(rig, part.contenders, async (candidate) => {
    progress(`${scenario.name}, warm-up: ${candidate.rival.name}`);
    candidates.push(candidate);
    await warmUp(rig, scenario, candidate.port, part.warmupSeconds);
  });
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
  return {
    result: { name, title, rate, length: lengthOf(part), rows: [...rows.values()], notes },
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
  const rows = new Map<Rival, { startMs: number[]; memories: number[] }>();
  let failures: StartFailure[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const willing = rivals.filter((rival) => !failures.some((failure) => failure.rival === rival));
    const failed = await startAll(rig, willing, async ({ rival, startMs, process }) => {
      progress(`starts, round ${round} of ${rounds}: ${rival.name}`);
      const row = rows.get(rival) ?? { startMs: [], memories: [] };
      row.startMs.push(startMs);
      row.memories.push(memoryMiB(process.pid));
      rows.set(rival, row);
      await process.stop();
    });
    failures = [...failures, ...failed];
  }
  const starts = [...rows].map(([rival, { startMs, memories }]) => ({
    rival: rival.name,
    title: rival.title,
    startMs,
    memoryMiB: Math.max(...memories),
  }));
  return { starts, failures };
}

/** What runs where, as a sentence. */
export const placement = (): string =>
  cores === null
    ? 'not pinned'
    : `process under test on core ${cores.measured}, load generator on ${cores.load}, upstreams on ${cores.upstream}`;

// What grows with the configuration and with the number of connections, in turns of its own: the splitter with 10,000
// open connections beside one with 64, and how one with 1,000 variants and 10,000 routes starts and takes a change.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Part } from './plan.ts';
import { descriptorLimit, memoryMiB } from './processes.ts';
import type { Progress } from './progress.ts';
import { longestBlock, readRecorded } from './recorded.ts';
import { type Growth, type OpenMemory, OWN, type ScenarioResult, type Turn } from './results.ts';
import { LARGE, OPEN, RIVALS } from './rivals.ts';
import { SCENARIOS } from './scenarios.ts';
import { type Candidate, type Rig, startRival, takeTurn, warmUp, withIdle } from './turns.ts';

const STARTS = 5;
const RELOADS = 5;
/** What a process needs beside its connections. */
const DESCRIPTORS_BESIDE = 1000;

/** Why so many connections cannot be opened here; undefined where they can. */
export function tooFewDescriptors(connections: number): string | undefined {
  const limit = descriptorLimit();
  return limit >= connections + DESCRIPTORS_BESIDE
    ? undefined
    : `${connections} connections need more than the ${limit} descriptors that a process may have`;
}

/** Turns of a splitter with 64 connections and of one with the connections of the part, which stay open meanwhile. */
export async function measureOpen(
  rig: Rig,
  part: Part,
  progress: Progress,
): Promise<{ result: ScenarioResult; open: OpenMemory }> {
  const { scenario, rounds } = part;
  const few = SCENARIOS.find(({ name }) => name === 'small-get');
  if (few === undefined) throw new Error('expected the scenario small-get, got none');
  const busy = { ...scenario, idleConnections: 0 };
  const [own, open] = [await startRival(rig, RIVALS[0] ?? OPEN), await startRival(rig, OPEN)];
  progress(`${scenario.name}, warm-up`);
  for (const { port } of [own, open]) await warmUp(rig, few, port, part.warmupSeconds);
  await takeTurn(rig, few, 0, part, open);
  const beforeMiB = memoryMiB(open.process.pid);
  const turns: [Turn[], Turn[]] = [[], []];
  const withMiB = await withIdle(scenario, open.port, async () => {
    // The first turn with all of them is not counted: their buffers are made in it.
    await takeTurn(rig, busy, 0, part, open);
    for (let round = 1; round <= rounds; round += 1) {
      progress(`${scenario.name}, round ${round} of ${rounds}`);
      turns[0].push(await takeTurn(rig, few, round, part, own));
      turns[1].push(await takeTurn(rig, busy, round, part, open));
    }
    return Math.max(...turns[1].map((turn) => turn.memoryMiB));
  });
  await Promise.all([own.process.stop(), open.process.stop()]);
  return {
    result: {
      name: scenario.name,
      title: scenario.title,
      rate: null,
      load: rig.load,
      length: `${rounds} rounds of ${part.seconds} s, after ${part.warmupSeconds} s of warm-up`,
      rows: [
        { rival: OWN, title: 'request-splitter, 64 connections', turns: turns[0] },
        { rival: OPEN.name, title: OPEN.title, turns: turns[1] },
      ],
      notes: [],
    },
    open: { connections: scenario.connections + scenario.idleConnections, beforeMiB, withMiB },
  };
}

const generationOf = async ({ admin }: Candidate): Promise<number> => {
  const answer = await fetch(`http://127.0.0.1:${admin}/status`);
  return ((await answer.json()) as { generation: { number: number } }).generation.number;
};

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts with a large configuration, and changes of it, each of one share and one route. */
export async function measureGrowth(rig: Rig, progress: Progress): Promise<Growth> {
  const startMs: number[] = [];
  for (let at = 1; at <= STARTS; at += 1) {
    progress(`growth, start ${at} of ${STARTS}`);
    const started = await startRival(rig, LARGE);
    startMs.push(started.startMs);
    await started.process.stop();
  }
  const candidate = await startRival(rig, LARGE, { records: 'blocks' });
  const path = candidate.config ?? '';
  const text = readFileSync(path, 'utf8');
  const spans: { from: number; to: number }[] = [];
  for (let at = 1; at <= RELOADS; at += 1) {
    progress(`growth, reload ${at} of ${RELOADS}`);
    const before = await generationOf(candidate);
    // What came before, /status too, is over.
    await pause(500);
    const from = Date.now();
    writeFileSync(`${path}.new`, text.replace('share: 0.10%', `share: 0.0${at}%`));
    renameSync(`${path}.new`, path);
    const giveUpAt = from + 30_000;
    let span = { from, to: from };
    do {
      await pause(250);
      if (Date.now() > giveUpAt)
        throw new Error(`no new generation after a change: ${candidate.process.output}`);
      span = { from, to: Date.now() };
    } while ((await generationOf(candidate)) === before);
    await pause(250);
    spans.push(span);
  }
  await candidate.process.stop();
  const recorded = readRecorded(candidate.recordTo ?? '');
  const reloads = spans.map((span) => ({
    blockMs: longestBlock(recorded, { from: span.from, to: span.to + 100 }),
    takenMs: span.to - span.from,
  }));
  return { title: LARGE.title, startMs, reloads };
}

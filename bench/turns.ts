// One turn: puts a load on a running contender and measures its cost. Knows how load generators are
// started and what a started contender is, but not the order of turns.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoadResult } from './load/result.ts';
import type { Scraped } from './load/scrape.ts';
import { watchOthers } from './machine.ts';
import type { LoadTool } from './options.ts';
import {
  cpuMicroseconds,
  findProgram,
  freePorts,
  memoryMiB,
  Running,
  scratchDirectory,
  sleepCount,
  untilAnswering,
} from './processes.ts';
import { openQuota } from './quota.ts';
import type { Turn } from './results.ts';
import type { Rival } from './rivals.ts';
import { requestsOf, SCENARIOS, type Scenario, serialize } from './scenarios.ts';

const here = import.meta.dirname;
const scratch = scratchDirectory();

/** What turns are taken with: upstreams that run, and a load generator. */
export interface Rig {
  readonly load: LoadTool;
  readonly profileTo: string | null;
  readonly upstream: Running;
  readonly upstreams: readonly [number, number];
}

/** A contender that has answered. */
export interface Candidate {
  readonly rival: Rival;
  readonly port: number;
  readonly admin: number;
  readonly process: Running;
  readonly startMs: number;
  /** Its configuration file, where it has one. */
  readonly config: string | undefined;
  /** Where bench/inside.js leaves what it records, at the end of the process. */
  readonly recordTo: string | null;
}

/** What a contender is started with. */
interface Wanted {
  /** Thousandths of a core; null = all of it. */
  readonly quotaMillicores?: number | null;
  readonly records?: 'pauses' | 'blocks' | null;
}

/** Starts upstreams of its own for each part of a run: nothing of one part is left for the next. */
export async function openRig(load: LoadTool, profileTo: string | null): Promise<Rig> {
  if (profileTo !== null) mkdirSync(profileTo, { recursive: true });
  const [a, b] = (await freePorts(2)) as [number, number];
  const upstream = new Running('upstream', 'upstream', process.execPath, [
    join(here, 'upstream.ts'),
    String(a),
    String(b),
  ]);
  await upstream.until('ready');
  return { load, profileTo, upstream, upstreams: [a, b] };
}

let recordings = 0;

/** Starts a contender and waits for its first answer; throws StartFailure when there is none. */
export async function startRival(rig: Rig, rival: Rival, wanted: Wanted = {}): Promise<Candidate> {
  const [port, admin] = (await freePorts(2)) as [number, number];
  recordings += 1;
  const recordTo = wanted.records == null ? null : join(scratch, `recorded-${recordings}.json`);
  const { command, args, env, config } = rival.command({
    listen: port,
    admin,
    upstreamA: rig.upstreams[0],
    upstreamB: rig.upstreams[1],
    profileTo: rig.profileTo,
    recordTo,
  });
  const group = wanted.quotaMillicores == null ? undefined : openQuota(wanted.quotaMillicores);
  const startedAt = performance.now();
  const started = new Running(
    rival.name,
    'measured',
    command,
    args,
    { ...env, ...(wanted.records === 'blocks' ? { BENCH_RECORD_BLOCKS: '1' } : {}) },
    { isPiped: rival.isPiped, group },
  );
  try {
    const startMs = await untilAnswering(started, port, startedAt);
    return { rival, port, admin, process: started, startMs, config, recordTo };
  } catch {
    await started.stop();
    throw new StartFailure(rival, reasonIn(started.output));
  }
}

/** A contender that gave no answer; the run goes on without it. */
export class StartFailure extends Error {
  readonly rival: Rival;

  constructor(rival: Rival, reason: string) {
    super(`${rival.title} did not start: ${reason}`);
    this.rival = rival;
  }
}

/** The line of an output that says what was wrong, without directories that nobody knows. */
export function reasonIn(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const line = lines.find((text) => /error|expected/i.test(text)) ?? lines.at(-1) ?? 'no answer and no word';
  return line.replaceAll(/\S*\/request-splitter-bench-[^/\s]+\//g, '').slice(0, 300);
}

/** The requests of a scenario as one file for wrk, apart by NUL bytes. */
function requestFile(scenario: Scenario, port: number): string {
  const path = join(scratch, `${scenario.name}-${port}`);
  if (existsSync(path)) return path;
  const texts = requestsOf(scenario).map((request) =>
    serialize(request, `127.0.0.1:${port}`, scenario.newConnectionEach),
  );
  writeFileSync(path, texts.join('\0'), 'latin1');
  return path;
}

function startLoad(rig: Rig, scenario: Scenario, port: number, seconds: number): Running {
  const wrk = scenario.rate === null && rig.load === 'wrk' ? findProgram('wrk') : undefined;
  if (wrk !== undefined) {
    const length = Math.max(1, Math.round(seconds));
    const pace = ['-t1', `-c${scenario.connections}`, `-d${length}s`, '--timeout', '30s'];
    const script = ['-s', join(here, 'load', 'wrk.lua'), `http://127.0.0.1:${port}`, '--'];
    return new Running('wrk', 'load', wrk, [...pace, ...script, requestFile(scenario, port)]);
  }
  const generator = scenario.rate === null ? 'autocannon.ts' : 'by-the-clock.ts';
  const order = JSON.stringify({ scenario: scenario.name, port, seconds });
  return new Running('load', 'load', process.execPath, [join(here, 'load', generator), order]);
}

/** Puts the load of a scenario on a port. */
export async function applyLoad(
  rig: Rig,
  scenario: Scenario,
  port: number,
  seconds: number,
): Promise<LoadResult> {
  const output = await startLoad(rig, scenario, port, seconds).result();
  const line = output.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`the load generator printed no result: ${output}`);
  return JSON.parse(line) as LoadResult;
}

/** Load without a pause on a fresh process: at a fixed rate its code would not be compiled for long. */
export async function warmUp(rig: Rig, scenario: Scenario, port: number, seconds: number): Promise<void> {
  const closedLoop = SCENARIOS.find(({ rate }) => rate === null);
  await applyLoad(rig, scenario.rate === null ? scenario : (closedLoop ?? scenario), port, seconds);
}

/** Does the work while the scenario's idle connections are open. */
export async function withIdle<T>(scenario: Scenario, port: number, work: () => Promise<T>): Promise<T> {
  if (scenario.idleConnections === 0) return await work();
  const idle = new Running('idle connections', 'load', process.execPath, [
    join(here, 'load', 'idle.ts'),
    String(port),
    String(scenario.idleConnections),
  ]);
  try {
    await idle.until('ready');
    const done = await work();
    const lost = idle.output.split('\n').filter((line) => line === 'closed').length;
    if (lost > 0) throw new Error(`${lost} of ${scenario.idleConnections} idle connections were closed`);
    return done;
  } finally {
    await idle.stop();
  }
}

/** Does the work while the contender's admin port is scraped, where it is one for that. */
async function whileScraped<T>(candidate: Candidate, work: () => Promise<T>): Promise<[T, Scraped]> {
  if (!candidate.rival.isScraped) return [await work(), { scrapes: 0, linesDropped: 0 }];
  const scraper = new Running('scraper', 'load', process.execPath, [
    join(here, 'load', 'scrape.ts'),
    String(candidate.admin),
  ]);
  await scraper.until('ready');
  const done = await work();
  await scraper.stop();
  const line = scraper.output.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`the scraper ended early: ${reasonIn(scraper.output)}`);
  return [done, JSON.parse(line) as Scraped];
}

const loadPart = (result: LoadResult, round: number, scenario: Scenario) => ({
  round,
  answered: result.answered,
  seconds: result.seconds,
  errors: result.errors,
  complete: result.bytes >= result.answered * scenario.answerBytes,
  latencyMs: result.latencyMs,
});

/** What a measured turn has beside its load. */
const watch = () => {
  const [startedAt, stop] = [Date.now(), watchOthers()];
  return () => ({ startedAt, ...stop() });
};

/** Lines of the log that a contender with an admin port has dropped so far; 0 of one that has none. */
async function droppedLines({ rival, admin }: Candidate): Promise<number> {
  if (!rival.isPiped) return 0;
  try {
    const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
    return Number(/^splitter_log_lines_dropped_total(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

interface TurnLengths {
  readonly seconds: number;
  readonly rewarmSeconds: number;
}

/** The load straight to an upstream: what of a latency is no proxy's doing. */
export async function takeDirectTurn(
  rig: Rig,
  scenario: Scenario,
  round: number,
  lengths: TurnLengths,
): Promise<Turn> {
  const [port] = rig.upstreams;
  await applyLoad(rig, scenario, port, lengths.rewarmSeconds);
  const watched = watch();
  const result = await applyLoad(rig, scenario, port, lengths.seconds * scenario.lengthFactor);
  return {
    ...loadPart(result, round, scenario),
    ...watched(),
    cpuMicroseconds: 0,
    memoryMiB: 0,
    sleeps: 0,
    linesDropped: 0,
  };
}

/** One turn of a contender: its own load for a moment, then the same load measured. */
export async function takeTurn(
  rig: Rig,
  scenario: Scenario,
  round: number,
  lengths: TurnLengths,
  candidate: Candidate,
): Promise<Turn> {
  const { port, process } = candidate;
  if (process.hasEnded) throw new Error(`it had ended: ${reasonIn(process.output)}`);
  await applyLoad(rig, scenario, port, lengths.rewarmSeconds);
  const droppedBefore = await droppedLines(candidate);
  const [turn, scraped] = await withIdle(scenario, port, () =>
    whileScraped(candidate, async () => {
      const watched = watch();
      const sleepsBefore = sleepCount(process.pid);
      const before = cpuMicroseconds(process.pid);
      const result = await applyLoad(rig, scenario, port, lengths.seconds * scenario.lengthFactor);
      const cpu = cpuMicroseconds(process.pid) - before;
      return {
        ...loadPart(result, round, scenario),
        ...watched(),
        cpuMicroseconds: cpu,
        memoryMiB: memoryMiB(process.pid),
        sleeps: sleepCount(process.pid) - sleepsBefore,
      };
    }),
  );
  const dropped = (await droppedLines(candidate)) - droppedBefore;
  return { ...turn, linesDropped: scraped.linesDropped + dropped };
}

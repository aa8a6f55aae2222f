// npm run bench: measures the built splitter and its rivals in turns (A B C A B C) on pinned cores, prints a table for
// each scenario, and writes JSON, charts and bench/RESULTS.md. It decides the order and the lengths; who runs is in
// rivals.ts, what is sent in scenarios.ts, how it is counted in processes.ts. Figures, never a verdict by exit code.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { barChart } from './chart.ts';
import type { LoadResult } from './load/result.ts';
import {
  cores,
  cpuMicroseconds,
  findProgram,
  freePorts,
  memoryMiB,
  Running,
  scratchDirectory,
  stopAll,
  untilAnswering,
} from './processes.ts';
import {
  type Results,
  type Row,
  resultsMarkdown,
  type ScenarioResult,
  type StartRow,
  scenarioTable,
  startTable,
  type Turn,
  targetTable,
} from './report.ts';
import { REFERENCE, RIVALS, type Rival } from './rivals.ts';
import { requestsOf, SCENARIOS, type Scenario, serialize } from './scenarios.ts';

const HELP = `npm run bench -- [options]

  --quick               three scenarios, the main rivals, short turns: under two minutes
  --scenario A,B        only these: ${SCENARIOS.map(({ name }) => name).join(' ')}, or none
  --rivals A,B          only these: ${RIVALS.map(({ name }) => name).join(' ')}
  --load autocannon|wrk load generator (scenarios with a fixed rate have one of their own)
  --rounds N            turns of each rival in each scenario (default 3)
  --seconds N           length of a turn (default 5)
  --no-start            leave out the measurement of starts
  --soak MINUTES        only this: the splitter under changing load, its memory every ten seconds
  --json FILE           write the results there
  --results             write bench/RESULTS.md and its charts (a run of everything does)
`;

const QUICK_SCENARIOS = ['small-get', 'get-64k', 'rate-2000'];
const QUICK_RIVALS = ['request-splitter', 'nginx-tuned', 'nginx-plain', 'haproxy', 'http-proxy'];

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    scenario: { type: 'string' },
    rivals: { type: 'string' },
    load: { type: 'string', default: 'autocannon' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    start: { type: 'boolean', default: true },
    soak: { type: 'string' },
    json: { type: 'string' },
    results: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
  allowNegative: true,
});

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

if (flags.help) {
  console.log(HELP);
  process.exit(0);
}

function choose<T extends { name: string }>(all: readonly T[], given: string | undefined): T[] {
  if (given === undefined) return [...all];
  if (given === 'none') return [];
  return given.split(',').map((name) => {
    const found = all.find((one) => one.name === name);
    return found ?? fail(`expected one of ${all.map((one) => one.name).join(' ')}, got ${name}`);
  });
}

const number = (text: string | undefined, otherwise: number) => {
  const value = text === undefined ? otherwise : Number(text);
  return value > 0 ? value : fail(`expected a number above 0, got ${text}`);
};

const load =
  flags.load === 'wrk' || flags.load === 'autocannon' ? flags.load : fail('--load: autocannon or wrk');
const scenarios = choose(SCENARIOS, flags.scenario ?? (flags.quick ? QUICK_SCENARIOS.join(',') : undefined));
const wanted = choose(RIVALS, flags.rivals ?? (flags.quick ? QUICK_RIVALS.join(',') : undefined));
const rounds = number(flags.rounds, 3);
const seconds = number(flags.seconds, flags.quick ? 0.8 : 5);
const warmupSeconds = Math.min(1.5, seconds / 3);
const isWhole = !flags.quick && flags.scenario === undefined && flags.rivals === undefined;
const wrk = findProgram('wrk');
if (load === 'wrk' && wrk === undefined) fail('wrk is not installed');

const here = import.meta.dirname;
const scratch = scratchDirectory();

interface Candidate {
  readonly rival: Rival;
  readonly port: number;
  readonly process: Running;
}

async function startUpstreams(): Promise<readonly [number, number]> {
  const [a, b] = (await freePorts(2)) as [number, number];
  const upstream = new Running('upstream', 'upstream', process.execPath, [
    join(here, 'upstream.ts'),
    String(a),
    String(b),
  ]);
  await upstream.until('ready');
  return [a, b];
}

async function startRival(
  rival: Rival,
  upstreams: readonly [number, number],
): Promise<Candidate & { startMs: number }> {
  const [port, admin] = (await freePorts(2)) as [number, number];
  const { command, args, env } = rival.command({
    listen: port,
    admin,
    upstreamA: upstreams[0],
    upstreamB: upstreams[1],
  });
  const startedAt = performance.now();
  const started = new Running(rival.name, 'measured', command, args, env);
  return { rival, port, process: started, startMs: await untilAnswering(started, port, startedAt) };
}

/** The requests of a scenario as one file for wrk, apart by NUL bytes. */
function requestFile(scenario: Scenario, port: number): string {
  const path = join(scratch, `${scenario.name}-${port}`);
  const texts = requestsOf(scenario).map((request) =>
    serialize(request, `127.0.0.1:${port}`, scenario.newConnectionEach),
  );
  writeFileSync(path, texts.join('\0'), 'latin1');
  return path;
}

function startLoad(scenario: Scenario, port: number, loadSeconds: number): Running {
  if (scenario.rate === null && load === 'wrk' && wrk !== undefined) {
    const length = Math.max(1, Math.round(loadSeconds));
    const pace = ['-t1', `-c${scenario.connections}`, `-d${length}s`, '--timeout', '30s'];
    const script = ['-s', join(here, 'load', 'wrk.lua'), `http://127.0.0.1:${port}`, '--'];
    return new Running('wrk', 'load', wrk, [...pace, ...script, requestFile(scenario, port)]);
  }
  const generator = scenario.rate === null ? 'autocannon.ts' : 'by-the-clock.ts';
  const order = JSON.stringify({ scenario: scenario.name, port, seconds: loadSeconds });
  return new Running('load', 'load', process.execPath, [join(here, 'load', generator), order]);
}

async function apply(scenario: Scenario, port: number, loadSeconds: number): Promise<LoadResult> {
  const output = await startLoad(scenario, port, loadSeconds).result();
  const line = output.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`the load generator printed no result: ${output}`);
  return JSON.parse(line) as LoadResult;
}

/** One turn: warm up, then the same load measured. `candidate` null = the load goes straight to an upstream. */
async function takeTurn(scenario: Scenario, port: number, candidate: Candidate | null): Promise<Turn> {
  const length = seconds * scenario.lengthFactor;
  await apply(scenario, port, warmupSeconds);
  const idle =
    scenario.idleConnections === 0
      ? null
      : new Running('idle connections', 'load', process.execPath, [
          join(here, 'load', 'idle.ts'),
          String(port),
          String(scenario.idleConnections),
        ]);
  await idle?.until('ready');
  const before = candidate === null ? 0 : cpuMicroseconds(candidate.process.pid);
  const result = await apply(scenario, port, length);
  const cpu = candidate === null ? 0 : cpuMicroseconds(candidate.process.pid) - before;
  const memory = candidate === null ? 0 : memoryMiB(candidate.process.pid);
  await idle?.stop();
  return {
    answered: result.answered,
    seconds: result.seconds,
    errors: result.errors,
    complete: result.bytes >= result.answered * scenario.answerBytes,
    cpuMicroseconds: cpu,
    memoryMiB: memory,
    latencyMs: result.latencyMs,
  };
}

async function measure(scenario: Scenario, candidates: readonly Candidate[], upstreamPort: number) {
  const rows: { rival: string; title: string; turns: Turn[] }[] = candidates.map(({ rival }) => ({
    rival: rival.name,
    title: rival.title,
    turns: [],
  }));
  const direct = { rival: 'direct', title: 'no proxy', turns: [] as Turn[] };
  for (let round = 0; round < rounds; round += 1) {
    if (scenario.rate !== null) direct.turns.push(await takeTurn(scenario, upstreamPort, null));
    for (const [at, candidate] of candidates.entries()) {
      progress(`${scenario.name}, round ${round + 1} of ${rounds}: ${candidate.rival.name}`);
      if (candidate.process.hasEnded) {
        throw new Error(`${candidate.rival.name} ended during the bench: ${candidate.process.output}`);
      }
      (rows[at] as { turns: Turn[] }).turns.push(await takeTurn(scenario, candidate.port, candidate));
    }
  }
  const all: Row[] = scenario.rate === null ? rows : [direct, ...rows];
  return { name: scenario.name, title: scenario.title, rate: scenario.rate, rows: all };
}

async function measureStarts(rivals: readonly Rival[], upstreams: readonly [number, number]) {
  const starts: (StartRow & { startMs: number[]; memories: number[] })[] = rivals.map((rival) => ({
    rival: rival.name,
    title: rival.title,
    startMs: [],
    memories: [],
    memoryMiB: 0,
  }));
  for (let round = 0; round < Math.max(rounds, 3); round += 1) {
    for (const [at, rival] of rivals.entries()) {
      progress(`starts, round ${round + 1}: ${rival.name}`);
      const started = await startRival(rival, upstreams);
      starts[at]?.startMs.push(started.startMs);
      starts[at]?.memories.push(memoryMiB(started.process.pid));
      await started.process.stop();
    }
  }
  return starts.map(({ memories, ...row }): StartRow => ({ ...row, memoryMiB: Math.max(...memories) }));
}

/** The splitter alone under a load that changes every ten seconds; prints its memory after each. */
async function soak(minutes: number, upstreams: readonly [number, number]): Promise<void> {
  const candidate = await startRival(RIVALS[0] as Rival, upstreams);
  const kinds = ['small-get', 'browser-get', 'post-4k', 'get-64k', 'chunked', 'new-connection', 'open-2000'];
  const loads = choose(SCENARIOS, kinds.join(','));
  const endAt = performance.now() + minutes * 60_000;
  console.log('seconds  MiB  load');
  const memories: number[] = [];
  for (let at = 0; performance.now() < endAt; at += 1) {
    const scenario = loads[at % loads.length] as Scenario;
    await apply(scenario, candidate.port, 10);
    const memory = memoryMiB(candidate.process.pid);
    if (at % loads.length === loads.length - 1) memories.push(memory);
    console.log(`${String(at * 10 + 10).padStart(7)}  ${memory.toFixed(0).padStart(3)}  ${scenario.name}`);
  }
  console.log(`after each whole circle of loads: ${memories.map((mib) => mib.toFixed(0)).join(' ')} MiB`);
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

const versionOf = (command: string, flag: string) => {
  if (findProgram(command) === undefined) return 'not installed';
  try {
    const text = execFileSync('/bin/sh', ['-c', `${command} ${flag} 2>&1 || true`], { encoding: 'utf8' });
    return (text.split('\n')[0] ?? '').trim();
  } catch {
    return 'unknown';
  }
};

function describeMachine(): Record<string, string> {
  return {
    processor: `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release()}`,
    node: process.version,
    nginx: versionOf('nginx', '-v'),
    haproxy: versionOf('haproxy', '-v'),
    'load on the machine before the run': loadavg()[0]?.toFixed(2) ?? 'unknown',
  };
}

async function main(): Promise<void> {
  const machine = describeMachine();
  const upstreams = await startUpstreams();
  if (flags.soak !== undefined) {
    await soak(number(flags.soak, 1), upstreams);
    return;
  }
  const present = wanted.filter((rival) => rival.missing() === undefined);
  const missing = wanted.flatMap((rival) => {
    const what = rival.missing();
    return what === undefined ? [] : [`${rival.title} needs ${what}`];
  });
  for (const text of missing) console.log(`missing: ${text}`);

  const starts = flags.start ? await measureStarts(present, upstreams) : [];
  const candidates: Candidate[] = [];
  for (const rival of present) candidates.push(await startRival(rival, upstreams));
  const measured: ScenarioResult[] = [];
  for (const scenario of scenarios) {
    const result = await measure(scenario, candidates, upstreams[0]);
    progress('');
    measured.push(result);
    console.log(`\n${result.title}\n\n${scenarioTable(result, REFERENCE)}`);
  }
  if (starts.length > 0) console.log(`\nStart\n\n${startTable(starts)}`);

  const results: Results = {
    at: new Date().toISOString(),
    machine,
    run: {
      load: load === 'wrk' ? versionOf('wrk', '--version') : 'autocannon',
      rounds: `${rounds} of ${seconds} s each, after ${warmupSeconds.toFixed(1)} s of warm-up`,
      cores:
        cores === null
          ? 'not pinned'
          : `process under test on core ${cores.measured}, load generator on ${cores.load}, upstreams on ${cores.upstream}`,
    },
    reference: REFERENCE,
    missing,
    scenarios: measured,
    starts,
  };
  const judged = targetTable(results);
  if (judged !== '') console.log(`\n${judged}`);
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(results, null, 2)}\n`);
  if (flags.results || isWhole) {
    mkdirSync(join(here, 'charts'), { recursive: true });
    for (const scenario of measured) {
      writeFileSync(join(here, 'charts', `${scenario.name}.svg`), barChart(scenario));
    }
    writeFileSync(join(here, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
    writeFileSync(
      join(here, 'RESULTS.md'),
      resultsMarkdown(results, (name) => `charts/${name}.svg`),
    );
    console.log('\nwritten: bench/RESULTS.md, bench/results.json, bench/charts/');
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stopAll().then(() => process.exit(130)));
}
try {
  await main();
} finally {
  await stopAll();
}

// node bench/compare.ts SCENARIO [--rounds N] [--seconds N] NAME=dist/main.js[,--node-flag][,VARIABLE:value]… nginx-tuned…
// For whoever optimises: builds of the splitter, and rivals by their names, in turns under the same load (wrk where it is
// installed), as CPU per answered request. Prints figures, judges nothing.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { LoadResult } from './load/result.ts';
import {
  cpuMicroseconds,
  findProgram,
  freePorts,
  memoryMiB,
  Running,
  scratchDirectory,
  stopAll,
  untilAnswering,
} from './processes.ts';
import { figure } from './report.ts';
import { RIVALS, type Rival } from './rivals.ts';
import { requestsOf, SCENARIOS, serialize } from './scenarios.ts';

const { values, positionals } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '2' } },
  allowPositionals: true,
});
const [scenarioName, ...names] = positionals;
const scenario = SCENARIOS.find(({ name }) => name === scenarioName);
if (scenario === undefined || names.length === 0)
  throw new Error(`expected a scenario (${SCENARIOS.map(({ name }) => name).join(' ')}) and what to compare`);
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const here = import.meta.dirname;
const wrk = findProgram('wrk');
const scratch = scratchDirectory();

interface Contender {
  readonly name: string;
  readonly port: number;
  readonly process: Running;
  readonly turns: { cpu: number; rate: number }[];
  memoryMiB: number;
  errors: number;
}

const find = (name: string): Rival => {
  const rival = RIVALS.find((one) => one.name === name);
  if (rival === undefined) throw new Error(`expected NAME=FILE or a rival, got ${name}`);
  return rival;
};

async function start(text: string, upstreams: readonly [number, number]): Promise<Contender> {
  const [port, admin] = (await freePorts(2)) as [number, number];
  const at = text.indexOf('=');
  const name = at === -1 ? text : text.slice(0, at);
  const rival = find(at === -1 ? text : 'request-splitter');
  const command = rival.command({ listen: port, admin, upstreamA: upstreams[0], upstreamB: upstreams[1] });
  let { args, env } = command;
  if (at !== -1) {
    const [file, ...settings] = text.slice(at + 1).split(',') as [string, ...string[]];
    args = [...settings.filter((one) => one.startsWith('--')), file];
    const variables = settings.filter((one) => !one.startsWith('--')).map((one) => one.split(/:(.*)/s, 2));
    env = { ...env, ...Object.fromEntries(variables) };
  }
  const started = new Running(name, 'measured', command.command, args, env);
  await untilAnswering(started, port, performance.now());
  return { name, port, process: started, turns: [], memoryMiB: 0, errors: 0 };
}

async function load(port: number, length: number): Promise<LoadResult> {
  let command = process.execPath;
  let args = [
    join(here, 'load', 'autocannon.ts'),
    JSON.stringify({ scenario: scenario!.name, port, seconds: length }),
  ];
  if (wrk !== undefined) {
    const file = join(scratch, String(port));
    const texts = requestsOf(scenario!).map((one) =>
      serialize(one, `127.0.0.1:${port}`, scenario!.newConnectionEach),
    );
    writeFileSync(file, texts.join('\0'), 'latin1');
    command = wrk;
    const pace = ['-t1', `-c${scenario!.connections}`, `-d${length}s`, '--timeout', '30s'];
    args = [...pace, '-s', join(here, 'load', 'wrk.lua'), `http://127.0.0.1:${port}`, '--', file];
  }
  const output = await new Running('load', 'load', command, args).result();
  return JSON.parse(output.split('\n').find((line) => line.startsWith('{'))!) as LoadResult;
}

async function takeTurn(contender: Contender): Promise<void> {
  const { process: measured, port } = contender;
  const count = scenario!.idleConnections;
  const args = [join(here, 'load', 'idle.ts'), String(port), String(count)];
  const idle = count === 0 ? null : new Running('idle connections', 'load', process.execPath, args);
  await idle?.until('ready');
  const before = cpuMicroseconds(measured.pid);
  const result = await load(port, seconds);
  contender.turns.push({
    cpu: (cpuMicroseconds(measured.pid) - before) / result.answered,
    rate: result.answered / result.seconds,
  });
  contender.memoryMiB = Math.max(contender.memoryMiB, memoryMiB(measured.pid));
  contender.errors += result.errors;
  await idle?.stop();
}

async function main(): Promise<void> {
  const upstreams = (await freePorts(2)) as [number, number];
  const upstream = new Running('upstream', 'upstream', process.execPath, [
    join(here, 'upstream.ts'),
    ...upstreams.map(String),
  ]);
  await upstream.until('ready');
  const contenders: Contender[] = [];
  for (const name of names) contenders.push(await start(name, upstreams));
  for (const { port } of contenders) await load(port, 2);
  for (let round = 0; round < rounds; round += 1) for (const one of contenders) await takeTurn(one);
  const medianOf = ({ turns }: Contender) => figure(turns.map(({ cpu }) => cpu)).median;
  const reference = contenders.find(({ name }) => name === 'nginx-tuned');
  for (const one of contenders) {
    const ratio = reference === undefined ? Number.NaN : medianOf(one) / medianOf(reference);
    const least = Math.min(...one.turns.map(({ cpu }) => cpu));
    const rate = figure(one.turns.map((turn) => turn.rate)).median;
    console.log(
      `${one.name.padEnd(20)} ${medianOf(one).toFixed(2).padStart(8)} µs, least ${least.toFixed(2)}` +
        `${Number.isNaN(ratio) ? '' : `, ${ratio.toFixed(3)}x nginx-tuned`}` +
        `, ${rate.toFixed(0)} requests/s, ${one.memoryMiB.toFixed(0)} MiB, ${one.errors} errors`,
    );
  }
}

try {
  await main();
} finally {
  await stopAll();
}

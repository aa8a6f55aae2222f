// npm run bench: measures the built splitter and its rivals in turns (A B C A B C) on pinned cores, prints a table for
// each scenario, and writes JSON, charts and bench/RESULTS.md. This file decides which parts a run has and where their
// results go; rivals.ts decides who runs, plan.ts for how long. The exit code says nothing about the figures.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { measureGrowth, measureOpen, tooFewDescriptors } from './growth.ts';
import { describeMachine, loadVersion, othersSentence, versionsOf, watchOthers } from './machine.ts';
import { measureScenario, measureStarts, placement } from './measure.ts';
import { HELP, type LoadTool, type Options, readOptions } from './options.ts';
import { contendersOf, estimateSeconds, type Part, planOf, startedRivals } from './plan.ts';
import { findProgram, pinSelf, Running, stopAll } from './processes.ts';
import { type Progress, ProgressLine } from './progress.ts';
import { openQuota } from './quota.ts';
import {
  growthTable,
  machineSentence,
  microTable,
  pauseTable,
  scenarioTable,
  soakTable,
  startTable,
  targetTable,
} from './report.ts';
import { type MicroRow, type Results, type SoakResult, soakGrowth, type Watched } from './results.ts';
import { mergeResults, readResults, writeResults } from './results-file.ts';
import { NODE_FLAGS, REFERENCE, RIVALS, type Rival } from './rivals.ts';
import { soak } from './soak.ts';
import { measureTls, tlsTables } from './tls.ts';
import { openRig, type Rig, type StartFailure } from './turns.ts';

const here = import.meta.dirname;
const START_ROUNDS = 5;
const [TLS_ROUNDS, TLS_SECONDS] = [9, 2];
/** What parts without a plan take, about. */
const SECONDS = { starts: 30, growth: 30, micro: 40 };

/** On a terminal, for a run of a single part. */
const show: Progress = (text) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};

const loadOf = (options: Options): LoadTool =>
  options.load ?? (findProgram('wrk') === undefined ? 'autocannon' : 'wrk');

/** Runs one part with its own upstreams. */
async function onRig<T>(options: Options, work: (rig: Rig) => Promise<T>): Promise<T> {
  const rig = await openRig(loadOf(options), options.profileTo);
  try {
    return await work(rig);
  } finally {
    await rig.upstream.stop();
  }
}

/** The contenders that take no part, each with the reason; filled during the run. */
class Absent {
  readonly #reasons = new Map<Rival, string>();

  add(rival: Rival, reason: string): void {
    if (this.#reasons.has(rival)) return;
    this.#reasons.set(rival, reason);
    console.log(`missing: ${reason}`);
  }

  addAll(failures: readonly StartFailure[]): void {
    for (const failure of failures) this.add(failure.rival, failure.message);
  }

  without(rivals: readonly Rival[]): Rival[] {
    return rivals.filter((rival) => !this.#reasons.has(rival));
  }

  get reasons(): string[] {
    return [...this.#reasons.values()];
  }
}

async function runMicro(): Promise<MicroRow[]> {
  const output = await new Running('micro', 'measured', process.execPath, [
    join(here, 'micro.ts'),
    '--json',
  ]).result();
  return JSON.parse(output.split('\n').find((line) => line.startsWith('[')) ?? '[]') as MicroRow[];
}

async function runSoak(options: Options): Promise<SoakResult> {
  const done = await onRig(options, (rig) => soak(rig, RIVALS[0] as Rival, options.soakMinutes, show));
  show('');
  const failed = done.errors > 0 ? `; ${done.errors} of ${done.answered + done.errors} requests failed` : '';
  console.log(`\nSoak, ${done.loadSeconds} s for each load${failed}\n\n${soakTable(done)}`);
  console.log(`\nlast cycle against the second: ${soakGrowth(done).toFixed(2)}x`);
  return done;
}

async function runTls(options: Options): Promise<void> {
  const { rounds, seconds } = options.wishes;
  const machine = describeMachine();
  const stopWatching = watchOthers();
  const results = await onRig(options, (rig) =>
    measureTls(rig, options, rounds ?? TLS_ROUNDS, seconds ?? TLS_SECONDS, show),
  );
  show('');
  const others = othersSentence(stopWatching());
  console.log(`\nTLS towards clients\n\n${tlsTables(results)}\n${others}`);
  if (options.json !== null)
    writeFileSync(options.json, `${JSON.stringify({ machine, others, results }, null, 2)}\n`);
}

/** Why a scenario cannot be measured here; undefined when it can. */
function hindrance({ scenario }: Part, load: LoadTool): string | undefined {
  const { connections, idleConnections, quotaMillicores, sendsChunks } = scenario;
  if (sendsChunks && load !== 'wrk') return 'it needs wrk';
  if (quotaMillicores !== null) {
    try {
      openQuota(quotaMillicores).remove();
    } catch (error) {
      return (error as Error).message;
    }
  }
  return tooFewDescriptors(connections + idleConnections);
}

type Measured = Pick<
  Results,
  'scenarios' | 'open' | 'growth' | 'starts' | 'micro' | 'notMeasured' | 'watched'
>;

/** Runs the parts one after another, prints each when it is done, and goes on when one of them fails. */
async function runParts(
  options: Options,
  parts: readonly Part[],
  absent: Absent,
  line: ProgressLine,
): Promise<Measured> {
  const done = {
    scenarios: [] as Results['scenarios'][number][],
    open: null as Results['open'],
    growth: null as Results['growth'],
    starts: [] as Results['starts'],
    micro: [] as Results['micro'],
    notMeasured: {} as Record<string, string>,
    watched: [] as Watched[],
  };
  const print = (text: string) => {
    line.clear();
    console.log(`\n${text}`);
  };
  const attempt = async (name: string, isWatched: boolean, work: () => Promise<void>) => {
    line.begin(name);
    const stopWatching = watchOthers();
    try {
      await work();
      if (isWatched) done.watched.push({ part: name, ...stopWatching() });
    } catch (error) {
      done.notMeasured[name] = (error as Error).message.split('\n')[0] ?? '';
      print(`not measured: ${name}: ${(error as Error).message}`);
    }
  };
  if (options.starts) {
    await attempt('starts', true, async () => {
      const rivals = absent.without(options.wishes.rivals ?? startedRivals());
      const rounds = options.wishes.quick ? 3 : Math.max(3, options.wishes.rounds ?? START_ROUNDS);
      const measured = await onRig(options, (rig) => measureStarts(rig, rivals, rounds, line.show));
      absent.addAll(measured.failures);
      done.starts = measured.starts;
      print(`Start\n\n${startTable(done.starts)}`);
    });
  }
  for (const part of parts) {
    const contenders = absent.without(part.contenders);
    await attempt(part.scenario.name, false, async () => {
      const reason = hindrance(part, loadOf(options));
      if (reason !== undefined) throw new Error(reason);
      if (part.scenario.name === 'open-10000') {
        const { result, open } = await onRig(options, (rig) => measureOpen(rig, part, line.show));
        done.open = open;
        done.scenarios.push(result);
      } else {
        const { result, failures } = await onRig(options, (rig) =>
          measureScenario(rig, { ...part, contenders }, line.show),
        );
        absent.addAll(failures);
        done.scenarios.push(result);
      }
      const result = done.scenarios.at(-1)!;
      print(`${result.title}\n\n${scenarioTable(result, REFERENCE)}`);
      if (result.pauses !== undefined) print(pauseTable(result.pauses));
    });
  }
  if (options.growth) {
    await attempt('growth', true, async () => {
      const growth = await onRig(options, (rig) => measureGrowth(rig, line.show));
      done.growth = growth;
      print(growthTable(growth));
    });
  }
  if (options.micro) {
    await attempt('micro', true, async () => {
      done.micro = await runMicro();
      print(`Steps of an exchange\n\n${microTable(done.micro)}`);
    });
  }
  return done;
}

async function main(options: Options): Promise<void> {
  const machine = describeMachine();
  const at = new Date().toISOString();
  pinSelf();
  if (options.soakAlone) {
    const done = await runSoak(options);
    if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(done, null, 2)}\n`);
    return;
  }
  if (options.tlsAlone) return await runTls(options);
  const parts = planOf(options.wishes);
  const absent = new Absent();
  const wanted = [
    ...new Set([
      ...contendersOf(parts),
      ...(options.starts ? (options.wishes.rivals ?? startedRivals()) : []),
    ]),
  ];
  for (const rival of wanted) {
    const what = rival.missing();
    if (what !== undefined) absent.add(rival, `${rival.title} needs ${what}`);
  }
  const line = new ProgressLine([
    ...(options.starts ? [{ name: 'starts', seconds: options.wishes.quick ? 10 : SECONDS.starts }] : []),
    ...parts.map((part) => ({ name: part.scenario.name, seconds: estimateSeconds(part) })),
    ...(options.growth ? [{ name: 'growth', seconds: SECONDS.growth }] : []),
    ...(options.micro ? [{ name: 'micro', seconds: SECONDS.micro }] : []),
  ]);
  const measured = await runParts(options, parts, absent, line).finally(() => line.end());
  const results: Results = {
    at,
    machine,
    versions: versionsOf(absent.without(wanted)),
    run: {
      when: at,
      load: loadVersion(loadOf(options)),
      cores: placement(),
      'request-splitter is started as its image starts it': `node ${NODE_FLAGS.join(' ')} main.js`,
      ...(options.profileTo === null
        ? {}
        : { profiled: 'request-splitter costs more than it does otherwise' }),
    },
    reference: REFERENCE,
    missing: absent.reasons,
    ...measured,
    soak: null,
  };
  const judged = targetTable(results);
  if (judged !== '') console.log(`\n${judged}`);
  console.log(`\n${machineSentence(results)}`);
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
  if (options.results || options.merge) {
    writeResults(here, options.merge ? mergeResults(readResults(here), results) : results);
    console.log('\nwritten: bench/RESULTS.md, bench/results.json, bench/charts/');
  }
}

const options = readOptions(process.argv.slice(2));
if ('problem' in options) {
  console.error(options.problem);
  process.exit(2);
}
if (options.help) {
  console.log(HELP);
  process.exit(0);
}
if (options.load === 'wrk' && findProgram('wrk') === undefined) {
  console.error('--load: wrk is not installed');
  process.exit(2);
}
for (const program of options.tlsAlone ? ['nginx', 'openssl'] : []) {
  if (findProgram(program) !== undefined) continue;
  console.error(`--tls: ${program} is not installed`);
  process.exit(2);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stopAll().then(() => process.exit(130)));
}
try {
  await main(options);
} finally {
  await stopAll();
}

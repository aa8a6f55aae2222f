// npm run bench: measures the built splitter and its rivals in turns (A B C A B C) on pinned cores, prints a table for
// each scenario, and writes JSON, charts and bench/RESULTS.md. This file decides which parts a run has and where their
// results go; rivals.ts decides who runs, plan.ts for how long. The exit code says nothing about the figures.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine, loadVersion, versionsOf, watchOthers } from './machine.ts';
import { measureScenario, measureStarts, placement } from './measure.ts';
import { HELP, type Options, readOptions } from './options.ts';
import { contendersOf, estimateSeconds, type Part, planOf, saturatedPartsOf } from './plan.ts';
import { findProgram, pinSelf, Running, stopAll } from './processes.ts';
import { microTable, scenarioTable, soakTable, startTable, targetTable } from './report.ts';
import { type MicroRow, type Results, type ScenarioResult, type SoakResult, soakGrowth } from './results.ts';
import { writeResults } from './results-file.ts';
import { NODE_FLAGS, REFERENCE, RIVALS, type Rival } from './rivals.ts';
import { soak } from './soak.ts';
import { measureTls, tlsTables } from './tls.ts';
import { openRig, type Rig, type StartFailure } from './turns.ts';

const here = import.meta.dirname;
const START_ROUNDS = 5;
const [TLS_ROUNDS, TLS_SECONDS] = [9, 2];

/** Shows the progress: on one line of a terminal; elsewhere each part gets a line. */
const progress = (text: string) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};
const announce = (text: string) => {
  if (!process.stderr.isTTY) process.stderr.write(`${text}\n`);
};

/** Runs one part with its own upstreams. */
async function onRig<T>(options: Options, work: (rig: Rig) => Promise<T>): Promise<T> {
  const rig = await openRig(options.load, options.profileTo);
  try {
    return await work(rig);
  } finally {
    await rig.upstream.stop();
    progress('');
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
  announce('the steps of an exchange');
  const output = await new Running('micro', 'measured', process.execPath, [
    join(here, 'micro.ts'),
    '--json',
  ]).result();
  const micro = JSON.parse(output.split('\n').find((line) => line.startsWith('[')) ?? '[]') as MicroRow[];
  console.log(`\nSteps of an exchange\n\n${microTable(micro)}`);
  return micro;
}

async function runSoak(options: Options): Promise<SoakResult> {
  announce(`soak: ${options.soakMinutes} minutes`);
  const done = await onRig(options, (rig) => soak(rig, RIVALS[0] as Rival, options.soakMinutes, progress));
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
    measureTls(rig, options.main, rounds ?? TLS_ROUNDS, seconds ?? TLS_SECONDS, progress),
  );
  const others = stopWatching();
  console.log(`\nTLS towards clients\n\n${tlsTables(results)}\n${others}`);
  if (options.json !== null)
    writeFileSync(options.json, `${JSON.stringify({ machine, others, results }, null, 2)}\n`);
}

async function runScenarios(
  options: Options,
  parts: readonly Part[],
  absent: Absent,
): Promise<ScenarioResult[]> {
  const results: ScenarioResult[] = [];
  for (const [at, part] of parts.entries()) {
    const contenders = absent.without(part.contenders);
    const { name } = part.scenario;
    announce(
      `scenario ${at + 1} of ${parts.length}, ${name}: ${contenders.length} contenders, ${part.rounds} rounds`,
    );
    const { result, failures } = await onRig(options, (rig) =>
      measureScenario(rig, { ...part, contenders }, progress),
    );
    absent.addAll(failures);
    results.push(result);
    console.log(`\n${result.title}\n\n${scenarioTable(result, REFERENCE)}`);
  }
  return results;
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
  const saturatedParts = options.saturates && findProgram('wrk') !== undefined ? saturatedPartsOf() : [];
  const absent = new Absent();
  // Without a scenario only starts are measured: of those who are named, or of everybody.
  const wanted = parts.length > 0 ? contendersOf(parts) : (options.wishes.rivals ?? RIVALS);
  for (const rival of wanted) {
    const what = rival.missing();
    if (what !== undefined) absent.add(rival, `${rival.title} needs ${what}`);
  }
  const seconds = estimateSeconds([...parts, ...saturatedParts]);
  announce(`about ${Math.ceil(seconds / 60 + options.soakMinutes)} minutes`);

  let starts: Results['starts'] = [];
  if (options.starts) {
    announce('starts');
    const measured = await onRig(options, (rig) =>
      measureStarts(
        rig,
        absent.without(wanted),
        options.wishes.quick ? 3 : Math.max(3, options.wishes.rounds ?? START_ROUNDS),
        progress,
      ),
    );
    absent.addAll(measured.failures);
    starts = measured.starts;
  }
  const scenarios = await runScenarios(options, parts, absent);
  if (saturatedParts.length > 0) console.log('\nWith wrk, which keeps the measured core busy');
  const saturated = await runScenarios({ ...options, load: 'wrk' }, saturatedParts, absent);
  if (starts.length > 0) console.log(`\nStart\n\n${startTable(starts)}`);
  const micro = options.micro ? await runMicro() : [];
  const results: Results = {
    at,
    machine,
    versions: versionsOf(absent.without(wanted)),
    run: {
      when: at,
      load: loadVersion(options.load),
      cores: placement(),
      'request-splitter is started as its image starts it': `node ${NODE_FLAGS.join(' ')} main.js`,
      ...(options.profileTo === null
        ? {}
        : { profiled: 'request-splitter costs more than it does otherwise' }),
    },
    reference: REFERENCE,
    missing: absent.reasons,
    scenarios,
    saturated,
    starts,
    micro,
    soak: options.soakMinutes > 0 ? await runSoak(options) : null,
  };
  const judged = targetTable(results);
  if (judged !== '') console.log(`\n${judged}`);
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
  if (options.results) {
    writeResults(here, results);
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

// node bench/compare.ts SCENARIO NAME=path/to/main.js … nginx-tuned: compares builds of the splitter, flags of node,
// configurations and rivals, in turns. Use it to make the splitter faster: profile first
// (`npm run bench -- --profile FOLDER`), then change one thing, then compare. Writes no files.
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseBuild } from './builds.ts';
import { measureScenario } from './measure.ts';
import { choose, loadTool, orProblem, positive } from './options.ts';
import { planOf } from './plan.ts';
import { findProgram, pinSelf, stopAll } from './processes.ts';
import { table } from './report.ts';
import { cpuOfTurns, cpuRatio, figure, isComparable, medianOf, type ScenarioResult } from './results.ts';
import { REFERENCE, RIVALS, type Rival } from './rivals.ts';
import { SCENARIOS } from './scenarios.ts';
import { openRig } from './turns.ts';

const HELP = `node bench/compare.ts SCENARIO [options] CONTENDER…

  CONTENDER    NAME=path/to/main.js, with commas behind it --a-node-flag, a VARIABLE=value of its
               environment, or a configuration.yaml with @LISTEN@ and the like (as in bench/rivals);
               or one of ${RIVALS.map(({ name }) => name).join(' ')}
  SCENARIO     ${SCENARIOS.map(({ name }) => name).join(' ')}
  --rounds N   turns of each (default 5)
  --seconds S  length of a turn (default 3)
  --load TOOL  wrk (default where it is installed) or autocannon
  --profile FOLDER  CPU profiles of the builds there

  node bench/compare.ts small-get before=/tmp/before/main.js after=dist/main.js nginx-tuned
  node bench/compare.ts get-64k 4=dist/main.js 16=dist/main.js,--max-semi-space-size=16
`;

/** A line for each contender: the least CPU time says most where others use the machine, too. */
function compareTable({ rows }: ScenarioResult): string {
  const medians = new Map(rows.map((row) => [row.rival, figure(cpuOfTurns(row))]));
  const reference = rows.find(({ rival }) => rival === REFERENCE);
  return table(
    [
      '',
      'CPU µs/request',
      'spread',
      'least',
      'ratio',
      'requests/s',
      'core busy',
      'sleeps/request',
      'p99 ms',
      'MiB',
      'failed',
    ],
    rows.map((row) => {
      const { median, spread } = medians.get(row.rival) ?? figure([]);
      const shown = (value: number, digits: number) => (Number.isFinite(value) ? value.toFixed(digits) : '-');
      return [
        row.title,
        shown(median, 2),
        `±${shown(spread * 100, 0)}%`,
        shown(Math.min(...cpuOfTurns(row)), 2),
        shown(reference === undefined ? Number.NaN : cpuRatio(row, reference).median, 3),
        shown(
          medianOf(row, (turn) => turn.answered / turn.seconds),
          0,
        ),
        `${shown(
          medianOf(row, (turn) => turn.cpuMicroseconds / turn.seconds / 1e4),
          0,
        )}%`,
        shown(
          medianOf(row, (turn) => turn.sleeps / turn.answered),
          2,
        ),
        shown(
          medianOf(row, (turn) => turn.latencyMs.p99),
          2,
        ),
        shown(Math.max(...row.turns.map((turn) => turn.memoryMiB)), 0),
        `${row.turns.reduce((sum, turn) => sum + turn.errors, 0)}${isComparable(row) ? '' : ' !'}`,
      ];
    }),
  );
}

function readCommand(args: readonly string[]) {
  const { values: flags, positionals } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      load: { type: 'string', default: findProgram('wrk') === undefined ? 'autocannon' : 'wrk' },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  const [scenario, ...contenders] = positionals;
  return {
    help: flags.help || scenario === undefined || contenders.length === 0,
    scenarios: choose(SCENARIOS, scenario),
    rivals: contenders.map((text): Rival => parseBuild(text) ?? (choose(RIVALS, text)?.[0] as Rival)),
    rounds: positive('--rounds', flags.rounds) ?? 5,
    seconds: positive('--seconds', flags.seconds) ?? 3,
    load: loadTool(flags.load),
    profileTo: flags.profile === undefined ? null : resolve(flags.profile),
  };
}

const command = orProblem(() => readCommand(process.argv.slice(2)));
if ('problem' in command) {
  console.error(command.problem);
  process.exit(2);
}
if (command.help) {
  console.log(HELP);
  process.exit(0);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stopAll().then(() => process.exit(130)));
}
try {
  pinSelf();
  for (const part of planOf({ ...command, quick: false })) {
    const rig = await openRig(command.load, command.profileTo);
    const { result, failures } = await measureScenario(rig, part, (text) => {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
    });
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
    for (const { message } of failures) console.log(message);
    for (const note of result.notes) console.log(note);
    console.log(`${result.title}, ${result.length}\n\n${compareTable(result)}`);
  }
} finally {
  await stopAll();
}

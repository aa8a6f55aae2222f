// Formats results for readers: a table for each scenario, the targets with the figures that were reached, and the
// Markdown of bench/RESULTS.md. Pure: data in, text out.

import { histogramOf } from './recorded.ts';
import {
  cpuPerRequest,
  cpuRatio,
  DIRECT,
  FAILED_SHARE_MAX,
  failedShare,
  figure,
  type Growth,
  isBusy,
  isComparable,
  type MicroRow,
  medianOf,
  type Pause,
  type Results,
  type ScenarioResult,
  type SoakResult,
  type StartRow,
  watchedTimes,
} from './results.ts';
import { judgedTargets } from './targets.ts';

const fixed = (value: number, digits: number) => (Number.isFinite(value) ? value.toFixed(digits) : '-');
const percent = (share: number) => (Number.isFinite(share) ? `±${(share * 100).toFixed(0)}%` : '');

/** A Markdown table that is also readable as plain text; all columns but the first are figures. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((text, column) =>
    Math.max(text.length, 3, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join(' | ')} |`;
  const rule = widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

/** What went wrong in a scenario, a sentence each. */
function wrongIn(result: ScenarioResult): string[] {
  const ofRows = result.rows.flatMap((row) => {
    const sum = (pick: (turn: (typeof row.turns)[number]) => number) =>
      row.turns.reduce((total, turn) => total + pick(turn), 0);
    const [errors, dropped] = [sum((turn) => turn.errors), sum((turn) => turn.linesDropped)];
    const cut = row.turns.filter((turn) => !turn.complete).length;
    const rounds = `${row.turns.length} rounds`;
    return [
      ...(errors > 0
        ? [`${row.title}: ${errors} requests failed in ${rounds} (${(failedShare(row) * 100).toFixed(2)} %)`]
        : []),
      ...(cut > 0 ? [`${row.title}: truncated answers in ${cut} of ${rounds}, its figures are invalid`] : []),
      ...(dropped > 0 ? [`${row.title}: ${dropped} lines of its log were dropped in ${rounds}`] : []),
    ];
  });
  const isMarked = result.rows.some((row) => row.turns.length > 0 && !isComparable(row));
  const limit = `${FAILED_SHARE_MAX * 100} %`;
  const marks = isMarked
    ? [`**!** more than ${limit} of its requests failed: do not compare its figures`]
    : [];
  return [...marks, ...ofRows, ...result.notes];
}

/** The table of one scenario, with what went wrong below it. */
export function scenarioTable(result: ScenarioResult, reference: string): string {
  const byTheClock = result.rate !== null;
  const referenceRow = result.rows.find((row) => row.rival === reference);
  const rows = result.rows.map((row) => {
    const cpu = cpuPerRequest(row);
    const ratio = referenceRow === undefined ? Number.NaN : cpuRatio(row, referenceRow).median;
    const ofProxy = (text: string) => (row.rival === DIRECT ? '-' : text);
    const mark = row.turns.length > 0 && !isComparable(row) ? ' **!**' : '';
    const ms = (pick: (latency: (typeof row.turns)[number]['latencyMs']) => number) =>
      fixed(
        medianOf(row, (turn) => pick(turn.latencyMs)),
        2,
      );
    const busy = medianOf(row, (turn) => turn.cpuMicroseconds / turn.seconds / 1e4);
    return [
      `${row.title}${mark}`,
      ofProxy(fixed(cpu.median, 1)),
      row.rival === DIRECT ? '' : percent(cpu.spread),
      ofProxy(Number.isFinite(ratio) ? `${fixed(ratio, 2)}x` : '-'),
      fixed(
        medianOf(row, (turn) => turn.answered / turn.seconds),
        0,
      ),
      ofProxy(Number.isFinite(busy) ? `${fixed(busy, 0)}%` : '-'),
      ms(({ p50 }) => p50),
      ms(({ p99 }) => p99),
      ...(byTheClock ? [ms(({ p999 }) => p999)] : []),
      ofProxy(
        fixed(
          medianOf(row, (turn) => turn.memoryMiB),
          0,
        ),
      ),
    ];
  });
  const head = ['', 'CPU µs/request', 'spread', 'ratio', 'requests/s', 'core busy', 'p50 ms', 'p99 ms'];
  const text = table([...head, ...(byTheClock ? ['p99.9 ms'] : []), 'MiB'], rows);
  const wrong = wrongIn(result);
  return wrong.length === 0 ? text : `${text}\n\n${wrong.join('  \n')}`;
}

/** Start to first answer and memory at that moment, for each contender. */
export function startTable(starts: readonly StartRow[]): string {
  return table(
    ['', 'first answer after ms', 'spread', 'own MiB', 'resident MiB'],
    starts.map((row) => {
      const start = figure(row.startMs);
      return [
        row.title,
        fixed(start.median, 0),
        percent(start.spread),
        fixed(row.privateMiB ?? Number.NaN, 1),
        fixed(row.memoryMiB, 1),
      ];
    }),
  );
}

/** How long the collector's pauses were. */
export function pauseTable(pauses: readonly Pause[]): string {
  const kinds = [...new Set(pauses.map(([kind]) => kind))];
  const counts = kinds.map((kind) => `${kind} ${pauses.filter((pause) => pause[0] === kind).length}`);
  const rows = histogramOf(pauses).map(({ text, pauses: count, totalMs }) => [
    text,
    String(count),
    fixed(totalMs, 1),
  ]);
  const longest = Math.max(0, ...pauses.map(([, ms]) => ms));
  const sum = `${pauses.length} pauses (${counts.join(', ') || 'none'}), the longest ${fixed(longest, 2)} ms`;
  return `${table(["pause of the splitter's collector", 'pauses', 'ms together'], rows)}\n\n${sum}.`;
}

/** Starts and reloads with a large configuration. */
export function growthTable({ title, startMs, reloads }: Growth): string {
  const row = (name: string, values: readonly number[]) => {
    const { median } = figure(values);
    return [name, fixed(median, 1), fixed(Math.min(...values), 1), fixed(Math.max(...values), 1)];
  };
  return table(
    [title, 'median ms', 'least', 'greatest'],
    [
      row('start to first answer', startMs),
      row(
        'a reload holds the event loop at once for at most',
        reloads.map(({ blockMs }) => blockMs),
      ),
      row(
        'from the change of the file to the new generation',
        reloads.map(({ takenMs }) => takenMs),
      ),
    ],
  );
}

/** Who else used the machine during the run. */
export function machineSentence(results: Results): string {
  const times = watchedTimes(results);
  if (times.length === 0) return 'Nothing was measured.';
  if (times.some(({ foreignCores }) => foreignCores === null)) {
    return '**Nobody watched what other programs used of the machine meanwhile: every verdict is withheld.**';
  }
  const mean = (pick: (time: (typeof times)[number]) => number | null) =>
    fixed(times.reduce((sum, time) => sum + (pick(time) ?? 0), 0) / times.length, 3);
  const most = Math.max(...times.map((time) => (time.foreignCores ?? 0) + (time.stealCores ?? 0)));
  const used =
    `Other programs used ${mean((time) => time.foreignCores)} cores in the mean of the turns, neighbours of the virtual` +
    ` machine ${mean((time) => time.stealCores)}; the most in one turn was ${fixed(most, 2)}.`;
  return isBusy(times)
    ? `**The machine was busy: every verdict is withheld.** ${used}`
    : `The machine was quiet. ${used}`;
}

/** Nanoseconds of each step of an exchange. */
export const microTable = (micro: readonly MicroRow[]): string =>
  table(
    ['step', 'median ns', 'fastest ns'],
    micro.map(({ name, medianNs, fastestNs }) => [name, fixed(medianNs, 0), fixed(fastestNs, 0)]),
  );

/** Memory after each load of each cycle. */
export const soakTable = (soak: SoakResult): string =>
  table(
    ['MiB after', ...soak.loads],
    soak.cycles.map((memories, at) => [`cycle ${at + 1}`, ...memories.map((mib) => fixed(mib, 0))]),
  );

/** The targets that this run can judge; empty text when it can judge none. */
export function targetTable(results: Results): string {
  const judged = judgedTargets(results);
  if (judged.length === 0) return '';
  return table(
    ['target', 'at most', 'reached', ''],
    judged.map(({ text, limit, reached, verdict }) => [text, limit, reached, verdict]),
  );
}

const list = (entries: Readonly<Record<string, string>>) =>
  Object.entries(entries)
    .map(([name, text]) => `- ${name}: ${text}`)
    .join('\n');

/** How the figures were measured, for readers who want to check them. */
const CONDITIONS = [
  'The contenders of a scenario are started for it alone, warmed up, and then take turns (A B C A B C). Each listens on' +
    ' loopback, splits by `token` in halves over two upstreams, and works in one process or thread. The one with 2' +
    ' workers has two, on the same core. No two requests are alike. The process under test has its own core.' +
    ' On a machine with two cores the load generator, the upstreams and the readers of logs share the other one.',
  'CPU is the user and system time of the process under test and its children, divided by the number of answered' +
    ' requests. It is the figure to compare, because most contenders cost less than the load generator: `core busy` says' +
    ' how much of its core a contender used. wrk costs so little that the measured core is busy nearly all of the time.' +
    ' With large bodies the upstream on the other core is the limit, for every contender.',
  'In every turn the bench adds up what other programs and other virtual machines used of the processor. If that is more' +
    ' than a tenth of a core in the mean, or more than 0.3 cores in one turn of ten, the machine was busy and proves nothing.',
  'At a fixed rate, each request is sent when it is due, whether or not earlier ones have been answered, and its latency' +
    ' counts from that moment (no coordinated omission). What a proxy adds is the median of the differences to the turn' +
    ' without a proxy in the same round. The noise is the median distance of the turns without a proxy from their own' +
    ' median. A target is judged only if what was added is greater than the noise.',
  'nginx, tuned, reads a whole request before it sends it on; the one with unbuffered requests does not. Where bodies are' +
    ' sent, the cheaper one counts. Everything logged: each line goes to a pipe that `cat` empties on the load' +
    " generator's core. nginx writes a line with the same members, but for the reason and the hash of the key," +
    ' when a request ends. One with a buffer of 64 KiB is shown beside it. One request in ten or so also has an' +
    ' assignment event, which nginx does not have.',
  'Memory a connection is the resident memory with all connections open and 1,000 of them busy, less that after a load on' +
    ' 64 connections, divided by their number. Own memory is what the process shares with no other.',
  'If the upstream takes 50 ms, 2,000 clients want 1,000 connections to each of the two. request-splitter keeps its' +
    ' default of 256 (`pool.maxConnections`) and lets the others wait, so this limit determines its requests/s. nginx' +
    ' opens as many connections as there are clients.',
];

/** Paths of the charts, by what they show. */
export interface ChartPaths {
  readonly cpu: (scenario: string) => string;
  readonly latency: (scenario: string) => string;
  readonly soak: string;
}

/** bench/RESULTS.md. */
export function resultsMarkdown(results: Results, charts: ChartPaths): string {
  const { soak } = results;
  const facts = [
    list(results.machine),
    list(results.run),
    list(results.versions),
    results.missing.map((text) => `- missing: ${text}`).join('\n'),
  ];
  const parts = [
    '# What it costs',
    `Written by \`npm run bench\`; do not edit. Figures are medians over the rounds; the spread is half the distance from` +
      ` the smallest to the largest, as a share of the median. A ratio compares with ${results.reference} and is the` +
      ' median of the ratios of the rounds; the targets also show the smallest and the largest ratio.',
    '## Targets',
    targetTable(results),
    machineSentence(results),
    '## The run',
    facts.filter((text) => text !== '').join('\n'),
    '## Conditions',
    ...CONDITIONS,
    ...results.scenarios.flatMap((scenario) => [
      `## ${scenario.title}`,
      `${scenario.length}.`,
      `![CPU per request](${charts.cpu(scenario.name)})`,
      ...(scenario.rate === null ? [] : [`![Latency](${charts.latency(scenario.name)})`]),
      scenarioTable(scenario, results.reference),
      ...(scenario.pauses === undefined ? [] : [pauseTable(scenario.pauses)]),
    ]),
    ...(results.growth === null
      ? []
      : [
          '## A large configuration',
          'Five starts, and five changes of one share, each a reload of everything.',
          growthTable(results.growth),
        ]),
    ...(results.starts.length > 0
      ? [
          '## Start',
          'From the start of the process to its first answer, and the memory at that moment.',
          startTable(results.starts),
        ]
      : []),
    ...(soak === null
      ? []
      : [
          '## Soak',
          `${soak.title} under a load that changes every ${soak.loadSeconds} s, in ${soak.cycles.length} cycles of` +
            ` the same ${soak.loads.length} loads; ${soak.answered} requests answered, ${soak.errors} failed. Memory` +
            ' is flat if it is at most 10 % higher after the last cycle than after the second. The first cycle is' +
            ' left out, because code is still being compiled and buffers still grow to their size.',
          `![Memory over time](${charts.soak})`,
          soakTable(soak),
        ]),
    ...(results.micro.length > 0
      ? [
          '## Steps of an exchange',
          'Each over 10,000 different requests, so that no branch or cache is trained on one (`bench/micro.ts`).',
          microTable(results.micro),
        ]
      : []),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

// Turns measured rounds into what a person reads: medians with their spread, one table for each scenario, the
// targets beside what was reached, and the Markdown of bench/RESULTS.md. Pure: data in, text out.

/** One turn of one rival in one scenario. */
export interface Turn {
  readonly answered: number;
  readonly seconds: number;
  readonly errors: number;
  /** Answers that were shorter than they had to be make the turn worthless. */
  readonly complete: boolean;
  readonly cpuMicroseconds: number;
  readonly memoryMiB: number;
  readonly latencyMs: {
    readonly p50: number;
    readonly p99: number;
    readonly p999: number;
    readonly max: number;
  };
}

export interface Row {
  readonly rival: string;
  readonly title: string;
  readonly turns: readonly Turn[];
}

export interface ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly rate: number | null;
  readonly rows: readonly Row[];
}

export interface StartRow {
  readonly rival: string;
  readonly title: string;
  /** Milliseconds from spawn to the first answer, a start each. */
  readonly startMs: readonly number[];
  readonly memoryMiB: number;
}

export interface Results {
  readonly at: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly run: Readonly<Record<string, string>>;
  readonly reference: string;
  readonly missing: readonly string[];
  readonly scenarios: readonly ScenarioResult[];
  readonly starts: readonly StartRow[];
}

interface Figure {
  readonly median: number;
  /** Half the distance from the least to the greatest, as a share of the median. */
  readonly spread: number;
}

/** Median and spread; NaN of an empty list. */
export function figure(values: readonly number[]): Figure {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1
      ? (sorted[middle] ?? Number.NaN)
      : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
  return { median, spread: ((sorted.at(-1) ?? Number.NaN) - (sorted[0] ?? Number.NaN)) / 2 / median };
}

/** Processor time for one answered request, in microseconds. */
export const cpuPerRequest = (row: Row): Figure =>
  figure(row.turns.map((turn) => turn.cpuMicroseconds / turn.answered));

const of = (row: Row, pick: (turn: Turn) => number): number => figure(row.turns.map(pick)).median;
const fixed = (value: number, digits: number) => (Number.isFinite(value) ? value.toFixed(digits) : '-');
const percent = (share: number) => (Number.isFinite(share) ? `±${(share * 100).toFixed(0)}%` : '');

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((text, column) =>
    Math.max(text.length, 3, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join(' | ')} |`;
  const rule = widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

/** The table of one scenario, with what went wrong below it. */
export function scenarioTable(result: ScenarioResult, reference: string): string {
  const byTheClock = result.rate !== null;
  const referenceRow = result.rows.find((row) => row.rival === reference);
  const referenceCpu = referenceRow === undefined ? Number.NaN : cpuPerRequest(referenceRow).median;
  const rows = result.rows.map((row) => {
    const cpu = cpuPerRequest(row);
    const ratio = cpu.median / referenceCpu;
    const isDirect = row.rival === 'direct';
    return [
      row.title,
      isDirect ? '-' : fixed(cpu.median, 1),
      isDirect ? '' : percent(cpu.spread),
      isDirect || !Number.isFinite(ratio) ? '-' : `${fixed(ratio, 2)}x`,
      fixed(
        of(row, (turn) => turn.answered / turn.seconds),
        0,
      ),
      isDirect
        ? '-'
        : `${fixed(
            of(row, (turn) => turn.cpuMicroseconds / turn.seconds / 1e4),
            0,
          )}%`,
      fixed(
        of(row, (turn) => turn.latencyMs.p50),
        2,
      ),
      fixed(
        of(row, (turn) => turn.latencyMs.p99),
        2,
      ),
      ...(byTheClock
        ? [
            fixed(
              of(row, (turn) => turn.latencyMs.p999),
              2,
            ),
          ]
        : []),
      isDirect
        ? '-'
        : fixed(
            of(row, (turn) => turn.memoryMiB),
            0,
          ),
    ];
  });
  const head = ['', 'CPU µs/request', 'spread', 'ratio', 'requests/s', 'core busy', 'p50 ms', 'p99 ms'];
  const text = table([...head, ...(byTheClock ? ['p99.9 ms'] : []), 'MiB'], rows);
  const wrong = result.rows.flatMap((row) => {
    const errors = row.turns.reduce((sum, turn) => sum + turn.errors, 0);
    const cut = row.turns.filter((turn) => !turn.complete).length;
    return [
      ...(errors > 0 ? [`${row.title}: ${errors} requests failed in ${row.turns.length} rounds`] : []),
      ...(cut > 0 ? [`${row.title}: answers too short in ${cut} rounds, its figures are worthless`] : []),
    ];
  });
  return wrong.length === 0 ? text : `${text}\n\n${wrong.join('  \n')}`;
}

/** Start to first answer and memory at that moment, for each rival. */
export function startTable(starts: readonly StartRow[]): string {
  return table(
    ['', 'first answer after ms', 'spread', 'MiB'],
    starts.map((row) => {
      const start = figure(row.startMs);
      return [row.title, fixed(start.median, 0), percent(start.spread), fixed(row.memoryMiB, 0)];
    }),
  );
}

interface Target {
  readonly text: string;
  readonly limit: number;
  readonly reached: number;
  readonly unit: string;
}

/** The cost targets of the design beside what was measured; NaN where the run had no such part. */
function targets(results: Results): Target[] {
  const own = 'request-splitter';
  const row = (scenario: string, rival: string) =>
    results.scenarios.find(({ name }) => name === scenario)?.rows.find((one) => one.rival === rival);
  const cpu = (scenario: string, rival: string) => {
    const found = row(scenario, rival);
    return found === undefined ? Number.NaN : cpuPerRequest(found).median;
  };
  const ratio = (scenario: string, rival: string) => cpu(scenario, own) / cpu(scenario, rival);
  const p99 = (rival: string) => {
    const found = row('rate-2000', rival);
    return found === undefined ? Number.NaN : of(found, (turn) => turn.latencyMs.p99);
  };
  const memory = row('open-2000', own);
  const start = results.starts.find(({ rival }) => rival === own);
  const small = 'small GET: CPU per request against';
  return [
    { text: `${small} nginx tuned`, limit: 1.25, reached: ratio('small-get', 'nginx-tuned'), unit: 'x' },
    { text: `${small} nginx plain`, limit: 0.35, reached: ratio('small-get', 'nginx-plain'), unit: 'x' },
    { text: `${small} http-proxy`, limit: 0.2, reached: ratio('small-get', 'http-proxy'), unit: 'x' },
    {
      text: '64 KiB responses: CPU per request against nginx tuned',
      limit: 1,
      reached: ratio('get-64k', 'nginx-tuned'),
      unit: 'x',
    },
    {
      text: '1 MiB responses: CPU per request against nginx tuned',
      limit: 1.5,
      reached: ratio('get-1m', 'nginx-tuned'),
      unit: 'x',
    },
    {
      text: 'p99 added at 2,000 requests/s against what nginx tuned adds',
      limit: 1.5,
      reached: (p99(own) - p99('direct')) / (p99('nginx-tuned') - p99('direct')),
      unit: 'x',
    },
    { text: 'memory just started', limit: 64, reached: start?.memoryMiB ?? Number.NaN, unit: ' MiB' },
    {
      text: 'memory with 2,000 open connections under load',
      limit: 110,
      reached: memory === undefined ? Number.NaN : of(memory, (turn) => turn.memoryMiB),
      unit: ' MiB',
    },
    {
      text: 'start to first answer',
      limit: 200,
      reached: start === undefined ? Number.NaN : figure(start.startMs).median,
      unit: ' ms',
    },
  ];
}

/** The targets that this run can judge; empty text when it can judge none. */
export function targetTable(results: Results): string {
  const judged = targets(results).filter(({ reached }) => Number.isFinite(reached));
  if (judged.length === 0) return '';
  return table(
    ['target', 'at most', 'reached', ''],
    judged.map(({ text, limit, reached, unit }) => [
      text,
      `${limit}${unit}`,
      `${fixed(reached, unit === 'x' ? 2 : 0)}${unit}`,
      reached <= limit ? 'yes' : 'NO',
    ]),
  );
}

/** bench/RESULTS.md. `chart` gives the path of a scenario's chart. */
export function resultsMarkdown(results: Results, chart: (scenario: string) => string): string {
  const list = (entries: Readonly<Record<string, string>>) =>
    Object.entries(entries)
      .map(([name, text]) => `- ${name}: ${text}`)
      .join('\n');
  const missing = results.missing.map((text) => `- missing: ${text}`).join('\n');
  const parts = [
    '# What it costs',
    'Written by `npm run bench`; do not edit. CPU is the user and system time of the process under test and its' +
      ' children over the requests that were answered; the load generator and the upstreams have another core.' +
      ' Medians over the rounds; the spread is half the distance from the least to the greatest. The ratio is' +
      ` against ${results.reference}.`,
    [list(results.machine), list(results.run), missing].filter((text) => text !== '').join('\n'),
    '## Targets',
    targetTable(results),
    ...results.scenarios.flatMap((scenario) => [
      `## ${scenario.title}`,
      `![CPU per request](${chart(scenario.name)})`,
      scenarioTable(scenario, results.reference),
    ]),
    ...(results.starts.length > 0 ? ['## Start', startTable(results.starts)] : []),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

// Writes what a run leaves in its folder: results.json, RESULTS.md and the charts. `node bench/results-file.ts` renders
// the report of the last results again, after a change of its texts.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { barChart, latencyChart, memoryChart } from './chart.ts';
import { resultsMarkdown } from './report.ts';
import type { Results } from './results.ts';
import { SCENARIOS } from './scenarios.ts';

const CHARTS = {
  cpu: (scenario: string) => `charts/${scenario}.svg`,
  latency: (scenario: string) => `charts/${scenario}-latency.svg`,
  soak: 'charts/soak.svg',
};

/** JSON with a line for each turn: whatever contains no list of objects is written on one line. */
export function formatResults(value: unknown, indent = ''): string {
  if (typeof value !== 'object' || value === null || !containsRows(value)) return onOneLine(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    return `[\n${value.map((entry) => inner + formatResults(entry, inner)).join(',\n')}\n${indent}]`;
  }
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) => `${inner}${JSON.stringify(name)}: ${formatResults(member, inner)}`);
  return `{\n${members.join(',\n')}\n${indent}}`;
}

/** Is, or contains, a list of objects. */
function containsRows(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value) && value.some((entry) => typeof entry === 'object' && !Array.isArray(entry))) {
    return true;
  }
  return Object.values(value).some(containsRows);
}

/** JSON on one line, with a space after each comma and colon; NaN and Infinity become null, as in JSON.stringify. */
function onOneLine(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(onOneLine).join(', ')}]`;
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) => `${JSON.stringify(name)}: ${onOneLine(member)}`);
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}

/** The text of RESULTS.md, beside a folder of charts. */
export const reportOf = (results: Results): string => resultsMarkdown(results, CHARTS);

/** What a folder has of an earlier run, with the parts of this one in place of its own. */
export function mergeResults(before: Results, now: Results): Results {
  const names = [...now.scenarios.map(({ name }) => name), ...Object.keys(now.notMeasured)];
  const parts = [
    ...names,
    ...(now.starts.length > 0 ? ['starts'] : []),
    ...(now.growth === null ? [] : ['growth']),
    ...(now.micro.length > 0 ? ['micro'] : []),
  ];
  const order = SCENARIOS.map(({ name }) => name);
  const without = <T>(record: Readonly<Record<string, T>>) =>
    Object.fromEntries(Object.entries(record).filter(([name]) => !parts.includes(name)));
  return {
    ...before,
    run: { ...before.run, [`measured again: ${parts.join(', ')}`]: now.at },
    versions: { ...before.versions, ...now.versions },
    scenarios: [...before.scenarios.filter(({ name }) => !names.includes(name)), ...now.scenarios].sort(
      (one, other) => order.indexOf(one.name) - order.indexOf(other.name),
    ),
    notMeasured: { ...without(before.notMeasured), ...now.notMeasured },
    open: now.open ?? before.open,
    growth: now.growth ?? before.growth,
    watched: [...before.watched.filter(({ part }) => !parts.includes(part)), ...now.watched],
    starts: now.starts.length > 0 ? now.starts : before.starts,
    micro: now.micro.length > 0 ? now.micro : before.micro,
  };
}

/** The results of the last run in a folder. */
export const readResults = (folder: string): Results =>
  JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as Results;

/** Writes results, report and charts into the folder; charts of earlier runs are removed. */
export function writeResults(folder: string, results: Results): void {
  rmSync(join(folder, 'charts'), { recursive: true, force: true });
  mkdirSync(join(folder, 'charts'));
  const write = (path: string, text: string) => writeFileSync(join(folder, path), text);
  for (const scenario of results.scenarios) {
    write(CHARTS.cpu(scenario.name), barChart(scenario));
    if (scenario.rate !== null) write(CHARTS.latency(scenario.name), latencyChart(scenario));
  }
  if (results.soak !== null) write(CHARTS.soak, memoryChart(results.soak));
  write('results.json', `${formatResults(results)}\n`);
  write('RESULTS.md', reportOf(results));
}

if (import.meta.main) {
  const folder = import.meta.dirname;
  writeResults(folder, readResults(folder));
}

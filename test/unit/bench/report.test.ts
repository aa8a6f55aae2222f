// How measured rounds become figures, tables and charts.
import { describe, expect, it } from 'vitest';
import { barChart } from '../../../bench/chart.ts';
import {
  cpuPerRequest,
  figure,
  type Results,
  type Row,
  resultsMarkdown,
  type ScenarioResult,
  scenarioTable,
  targetTable,
} from '../../../bench/report.ts';

const turn = (answered: number, cpuMicroseconds: number, p99 = 2) => ({
  answered,
  seconds: 2,
  errors: 0,
  complete: true,
  cpuMicroseconds,
  memoryMiB: 50,
  latencyMs: { p50: 1, p99, p999: 3, max: 4 },
});
const row = (rival: string, ...turns: Row['turns']): Row => ({ rival, title: rival, turns });
const scenario = (name: string, rate: number | null, ...rows: Row[]): ScenarioResult => ({
  name,
  title: `title of ${name}`,
  rate,
  rows,
});

describe('a figure', () => {
  it('is the median, with half the distance of the extremes as spread', () => {
    expect(figure([30, 10, 20])).toEqual({ median: 20, spread: 0.5 });
    expect(figure([10, 20])).toEqual({ median: 15, spread: 1 / 3 });
    expect(figure([7])).toEqual({ median: 7, spread: 0 });
  });

  it('is not a number when nothing was measured', () => {
    expect(figure([]).median).toBeNaN();
  });

  it('counts processor time over the requests that were answered, round by round', () => {
    expect(cpuPerRequest(row('a', turn(100, 1000), turn(100, 3000), turn(200, 2400))).median).toBe(12);
  });
});

describe('the table of a scenario', () => {
  it('gives the ratio to the reference, the throughput and the busy share of the core', () => {
    const text = scenarioTable(
      scenario('s', null, row('ours', turn(1000, 20_000)), row('nginx-tuned', turn(1000, 10_000))),
      'nginx-tuned',
    );
    const cells = text
      .split('\n')[2]
      ?.split('|')
      .map((cell) => cell.trim());
    expect(cells?.slice(1, 9)).toEqual(['ours', '20.0', '±0%', '2.00x', '500', '1%', '1.00', '2.00']);
  });

  it('has p99.9 only where requests came by the clock', () => {
    expect(scenarioTable(scenario('s', null, row('a', turn(1, 1))), 'a')).not.toContain('p99.9');
    expect(scenarioTable(scenario('s', 2000, row('a', turn(1, 1))), 'a')).toContain('p99.9 ms');
  });

  it('says below it which rival failed or cut answers short', () => {
    const text = scenarioTable(
      scenario('s', null, row('a', { ...turn(10, 1), errors: 3, complete: false })),
      'a',
    );
    expect(text).toContain('a: 3 requests failed in 1 rounds');
    expect(text).toContain('a: answers too short in 1 rounds, its figures are worthless');
  });

  it('prints a dash, never NaN, for a rival that answered nothing', () => {
    const text = scenarioTable(scenario('s', null, row('a', turn(0, 0))), 'nginx-tuned');
    expect(text).not.toMatch(/NaN|Infinity/);
  });
});

const results: Results = {
  at: '2026-01-01T00:00:00.000Z',
  machine: { processor: 'one' },
  run: { load: 'autocannon' },
  reference: 'nginx-tuned',
  missing: ['httpxy needs httpxy'],
  scenarios: [
    scenario(
      'small-get',
      null,
      row('request-splitter', turn(100, 1300)),
      row('nginx-tuned', turn(100, 1000)),
      row('nginx-plain', turn(100, 4000)),
    ),
    scenario(
      'rate-2000',
      2000,
      row('direct', turn(100, 0, 1)),
      row('request-splitter', turn(100, 1, 1.4)),
      row('nginx-tuned', turn(100, 1, 1.4)),
    ),
  ],
  starts: [{ rival: 'request-splitter', title: 'request-splitter', startMs: [150, 180, 170], memoryMiB: 60 }],
};

describe('the targets', () => {
  const lines = targetTable(results).split('\n');

  it('are judged by the medians, and a missed one says NO', () => {
    expect(lines.find((line) => line.includes('against nginx tuned'))).toMatch(/1\.25x \| +1\.30x \| +NO/);
    expect(lines.find((line) => line.includes('against nginx plain'))).toMatch(/0\.35x \| +0\.33x \| +yes/);
    expect(lines.find((line) => line.includes('p99 added'))).toMatch(/1\.5x \| +1\.00x \| +yes/);
    expect(lines.find((line) => line.includes('first answer'))).toMatch(/200 ms \| +170 ms \| +yes/);
  });

  it('leave out what the run did not measure', () => {
    expect(lines.join('\n')).not.toContain('http-proxy');
    expect(targetTable({ ...results, scenarios: [], starts: [] })).toBe('');
  });
});

describe('the written results', () => {
  it('name the machine, the conditions and who was missing', () => {
    const text = resultsMarkdown(results, (name) => `charts/${name}.svg`);
    expect(text).toContain('- processor: one');
    expect(text).toContain('- missing: httpxy needs httpxy');
    expect(text).toContain('![CPU per request](charts/small-get.svg)');
    expect(text).not.toContain('NaN');
  });

  it('draw one bar for each rival, the cheapest first, and none for the run without a proxy', () => {
    const svg = barChart(results.scenarios[1] as ScenarioResult);
    expect(svg.match(/<rect x=/g)).toHaveLength(2);
    const order = [
      ...barChart(results.scenarios[0] as ScenarioResult).matchAll(/text-anchor="end">([^<]+)/g),
    ];
    expect(order.map((match) => match[1])).toEqual(['nginx-tuned', 'request-splitter', 'nginx-plain']);
  });
});

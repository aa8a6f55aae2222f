// The files of a run: a line for each turn, nothing lost, and a report that belongs to its results.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Results } from '../../../bench/results.ts';
import { formatResults, mergeResults, reportOf } from '../../../bench/results-file.ts';
import { results as madeUp, row, scenario, turn } from './made-up.ts';

const bench = join(import.meta.dirname, '../../../bench');
const text = readFileSync(join(bench, 'results.json'), 'utf8');
const results = JSON.parse(text) as Results;

describe('bench/results.json', () => {
  it('has one line for each turn', () => {
    const rows = results.scenarios.flatMap((scenario) => scenario.rows);
    const lines = text.split('\n').filter((line) => line.includes('"round":'));
    expect(lines).toHaveLength(rows.flatMap((row) => row.turns).length);
    for (const line of lines) expect(line).toMatch(/^ *\{ "round": \d+, [^\n]*\},?$/);
  });

  it('is what a run with these results would write', () => {
    expect(`${formatResults(results)}\n`).toBe(text);
  });

  it('belongs to the report (node bench/results-file.ts writes it)', () => {
    expect(readFileSync(join(bench, 'RESULTS.md'), 'utf8')).toBe(reportOf(results));
  });
});

it('any JSON value reads back as it was written', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(formatResults(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

it('parts that were measured again take the place of their own, and the others stay', () => {
  const before = madeUp({
    scenarios: [scenario('small-get', null, row('a', turn())), scenario('get-64k', null, row('b', turn()))],
    notMeasured: { 'quota-200': 'no groups', growth: 'no file' },
    watched: [{ part: 'growth', foreignCores: 1, stealCores: 0 }],
  });
  const growth = { title: 'large', startMs: [1], reloads: [] };
  const now = madeUp({
    scenarios: [scenario('small-get', null, row('c', turn()))],
    growth,
    watched: [{ part: 'growth', foreignCores: 0, stealCores: 0 }],
  });
  const merged = mergeResults(before, now);
  expect(merged.scenarios.map(({ rows }) => rows[0]!.rival)).toEqual(['c', 'b']);
  expect(merged.growth).toBe(growth);
  expect(merged.watched).toEqual(now.watched);
  expect(merged.notMeasured).toEqual({ 'quota-200': 'no groups' });
  expect(Object.keys(merged.run)).toContain('measured again: small-get, growth');
});

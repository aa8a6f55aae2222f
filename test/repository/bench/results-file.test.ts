// The files of a run: a line for each turn, nothing lost, and a report that belongs to its results.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Results } from '../../../bench/results.ts';
import { formatResults, reportOf } from '../../../bench/results-file.ts';

const bench = join(import.meta.dirname, '../../../bench');
const text = readFileSync(join(bench, 'results.json'), 'utf8');
const results = JSON.parse(text) as Results;

describe('bench/results.json', () => {
  it('has one line for each turn', () => {
    const rows = [...results.scenarios, ...results.saturated].flatMap((scenario) => scenario.rows);
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

// docs/conformance.md is true for this build: the test runs every case and compares the result with our column of the
// page. The other columns belong to the versions in the head of the page.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runRequestCase, runResponseCase } from './play.ts';
import { REQUEST_CASES } from './request-cases.ts';
import { RESPONSE_CASES } from './response-cases.ts';
import { rowOf } from './run.ts';
import { type Subject, startOurs } from './subjects.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/conformance.md'), 'utf8');

describe('our column of docs/conformance.md', () => {
  let ours: Subject;
  beforeAll(async () => {
    ours = await startOurs();
  });
  afterAll(() => ours.stop());

  const tables = page.split('\n## ');
  const says = (table: string, row: string) => {
    // The row without its closing bar is the beginning of the page's row.
    const start = row.slice(0, -1);
    expect(tables.find((text) => text.startsWith(table))?.split('\n')).toContainEqual(
      expect.stringMatching(new RegExp(`^${start.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`)),
    );
  };

  it.each(REQUEST_CASES.map((one) => [one.rule, one] as const))(
    'is current for the request: %s',
    async (_, one) => {
      says('Requests', rowOf(one, [await runRequestCase(ours, one)]));
    },
  );

  it.each(RESPONSE_CASES.map((one) => [one.rule, one] as const))(
    'is current for the response: %s',
    async (_, one) => {
      says('Responses', rowOf(one, [await runResponseCase(ours, one)]));
    },
  );

  it('has a row for every case and no others', () => {
    const rows = page.split('\n').filter((line) => line.startsWith('| ') && line.includes('| RFC '));
    const heads = 2;
    expect(rows.filter((line) => !line.startsWith('| what is sent'))).toHaveLength(
      REQUEST_CASES.length + RESPONSE_CASES.length,
    );
    expect(page.split('| what is sent |')).toHaveLength(heads + 1);
  });

  it('gives a reason wherever we differ from both', () => {
    expect(page).not.toMatch(/^- \*.*\*: *$/m);
    expect(page).not.toMatch(/\| \*\*the (?:forged|next)[^|]*\|[^|]*\|[^|]*\|$/m);
  });
});

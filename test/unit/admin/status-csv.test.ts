// The variants as lines for a spreadsheet.
import { expect, test } from 'vitest';
import { splitsOneByOne } from '../../../src/admin/status.ts';
import { csvPieces } from '../../../src/admin/status-csv.ts';
import { fakeRunning } from '../../support/fake-running.ts';

function linesOf(): string[] {
  return [...csvPieces(splitsOneByOne(fakeRunning()))].join('').trimEnd().split('\r\n');
}

test('has a head line and a line for each variant, of as many fields', () => {
  const [head, a, b, ...more] = linesOf();
  expect(head).toMatch(/^split,variant,upstream,since,share_ratio,unique_keys,/);
  expect(a).toMatch(/^appversion,version_1a,a,\d{4}-[\d:.TZ-]+,0\.4999\d+,0,/);
  expect(b!.split(',')).toHaveLength(head!.split(',').length);
  expect(more).toEqual([]);
});

test('quotes what has a comma, and keeps a spreadsheet from running a name as a formula', () => {
  const split = [...splitsOneByOne(fakeRunning())][0]!;
  const named = {
    ...split,
    variants: [...split.variants].map((variant) => ({ ...variant, name: '=1+1,"x"' })),
  };
  expect([...csvPieces([{ ...named, name: '-x' }])][1]).toMatch(/^'-x,"'=1\+1,""x""",a,/);
});

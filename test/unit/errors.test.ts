// The table of failure codes: what operators and clients rely on.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CODES, renderCodes } from '../../scripts/write-docs.ts';
import { FAULT_CODES, FAULTS } from '../../src/errors.ts';

it('gives every code a status that HTTP knows for it, or none where nothing can be answered', () => {
  const allowed = [0, 400, 404, 405, 408, 413, 414, 431, 500, 501, 502, 503, 504, 505];
  for (const code of FAULT_CODES) expect(allowed, code).toContain(FAULTS[code].status);
});

it('blames the client for 4xx, and for nothing that it could not have avoided', () => {
  for (const code of FAULT_CODES) {
    const { blame, status } = FAULTS[code];
    if (status >= 400 && status < 500) expect(blame, code).toBe('downstream');
    if (blame === 'upstream') expect([0, 502, 503, 504], code).toContain(status);
  }
});

it('is in the docs as it is (node scripts/write-docs.ts writes it)', () => {
  expect(readFileSync(CODES, 'utf8')).toBe(renderCodes());
});

// Every command line in the documentation is run, and what it writes is what the documentation shows.
import { readFileSync } from 'node:fs';
import { expect, inject, it } from 'vitest';
import { playExamples } from '../../scripts/examples.ts';
import { COMMANDS, EXPERIMENTS, MANUAL } from '../../scripts/write-docs.ts';

it('the manual shows what its commands write (node scripts/write-docs.ts writes it)', () => {
  const documents = [MANUAL, COMMANDS, EXPERIMENTS].map((path) => readFileSync(path, 'utf8'));
  expect(playExamples(documents, inject('builtMain'))).toEqual(documents);
  // Every command is a process of its own.
}, 300_000);

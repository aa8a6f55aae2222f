// Builds the program once for a test run, into a folder that is removed at the end of the run. Tests start many
// processes, and the built program starts in a third of the processor time of its sources. This is a global setup of
// vitest; a test finds the result with `inject('builtMain')`.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'rolldown';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** The main file of the built program. */
    readonly builtMain: string;
  }
}

/** Loaded by Node itself: the loader of vitest has no import.meta.resolve, which the configuration needs. */
const { default: configuration } = createRequire(import.meta.url)(
  '../../rolldown.config.ts',
) as typeof import('../../rolldown.config.ts');

export default async function buildProgram(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'built-program-'));
  const [program] = configuration;
  await build({ ...program, logLevel: 'warn', output: { ...program?.output, dir: folder } });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  project.provide('builtMain', join(folder, 'main.js'));
  return () => rmSync(folder, { recursive: true });
}

// Describes the conditions of a run: the machine and the version of every contender.
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import type { LoadTool } from './options.ts';
import { cpuMicroseconds, endedMicroseconds, machineMicroseconds } from './processes.ts';
import { programVersion, type Rival } from './rivals.ts';

export function describeMachine(): Record<string, string> {
  return {
    processor: `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release()}`,
    node: process.version,
    'load on the machine before the run': loadavg()[0]?.toFixed(2) ?? 'unknown',
  };
}

export const versionsOf = (rivals: readonly Rival[]): Record<string, string> =>
  Object.fromEntries(rivals.map((rival) => [rival.title, rival.version()]));

/** Name and version of the load generator. */
export function loadVersion(tool: LoadTool): string {
  if (tool === 'wrk') return programVersion('wrk', '--version').replace(/ \[.*/, '');
  const path = join(import.meta.dirname, '..', 'node_modules', 'autocannon', 'package.json');
  return `autocannon ${(JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version}`;
}

/** Cores that other programs may use before a run says that the machine is busy. */
const OTHERS_CORES_MAX = 0.1;

/** Begins to watch what other programs use of the machine; the result ends it with a sentence for the report. */
export function watchOthers(): () => string {
  const own = () => cpuMicroseconds(process.pid) + endedMicroseconds();
  const [ownBefore, allBefore, before] = [own(), machineMicroseconds(), performance.now()];
  return () => {
    const used = machineMicroseconds() - allBefore - (own() - ownBefore);
    const others = Math.max(0, used / 1000 / (performance.now() - before));
    const sentence = `other programs used ${others.toFixed(2)} of ${cpus().length} cores meanwhile`;
    return others <= OTHERS_CORES_MAX
      ? sentence
      : `THE MACHINE WAS BUSY: ${sentence}. Trust no difference that is smaller than the spread.`;
  };
}

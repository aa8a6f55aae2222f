// Describes the conditions of a run: the machine and the version of every contender.
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import type { LoadTool } from './options.ts';
import { cpuMicroseconds, endedMicroseconds, machineTime } from './processes.ts';
import { isBusy, type Others } from './results.ts';
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

/** Begins to watch who else uses the machine; the result ends it. In cores, about: /proc/stat counts in ticks of 10 ms. */
export function watchOthers(): () => Others {
  const own = () => cpuMicroseconds(process.pid) + endedMicroseconds();
  const [ownBefore, machineBefore, before] = [own(), machineTime(), performance.now()];
  return () => {
    const now = machineTime();
    const lasted = (performance.now() - before) * 1000;
    const foreign = now.used - machineBefore.used - (own() - ownBefore);
    const rounded = (microseconds: number) => Math.max(0, Math.round((microseconds / lasted) * 1000) / 1000);
    return {
      foreignCores: rounded(foreign),
      stealCores: rounded(now.stolen - machineBefore.stolen),
    };
  };
}

/** What the others used, as a sentence. */
export function othersSentence(others: Others): string {
  const used = ((others.foreignCores ?? 0) + (others.stealCores ?? 0)).toFixed(2);
  const sentence = `other programs used ${used} of ${cpus().length} cores meanwhile`;
  return isBusy([others])
    ? `THE MACHINE WAS BUSY: ${sentence}. Trust no difference that is smaller than the spread.`
    : sentence;
}

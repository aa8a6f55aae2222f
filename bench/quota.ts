// A limit on processor time for what is started in it: a control group of Linux, version 2 or 1, which is made beside
// the others and removed with its processes.
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Group } from './processes.ts';

const PERIOD_MICROSECONDS = 100_000;

interface Hierarchy {
  readonly version: 1 | 2;
  /** Where it is mounted. */
  readonly path: string;
}

/** Where processor time is limited, by the text of /proc/mounts; undefined where control groups are not mounted. */
export function cpuHierarchy(mounts: string): Hierarchy | undefined {
  const all = mounts.split('\n').map((line) => line.split(' '));
  const first = all.find(
    ([, , type, options = '']) => type === 'cgroup' && options.split(',').includes('cpu'),
  );
  if (first !== undefined) return { version: 1, path: first[1] as string };
  const second = all.find(([, , type]) => type === 'cgroup2');
  return second === undefined ? undefined : { version: 2, path: second[1] as string };
}

/** The files of a group that limit it, in the order in which they are written. @param millicores thousandths of a core */
export function quotaFiles(
  version: Hierarchy['version'],
  millicores: number,
): [file: string, text: string][] {
  const quota = Math.round((millicores * PERIOD_MICROSECONDS) / 1000);
  return version === 2
    ? [['cpu.max', `${quota} ${PERIOD_MICROSECONDS}`]]
    : [
        ['cpu.cfs_period_us', String(PERIOD_MICROSECONDS)],
        ['cpu.cfs_quota_us', String(quota)],
      ];
}

const removals = new Set<() => void>();
process.on('exit', () => {
  for (const remove of removals) remove();
});
let made = 0;

/** Makes a group with that limit. Throws an Error that says why it cannot. */
export function openQuota(millicores: number): Group {
  const hierarchy = cpuHierarchy(readFileSync('/proc/mounts', 'utf8'));
  if (hierarchy === undefined) throw new Error('control groups are not mounted');
  made += 1;
  const path = join(hierarchy.path, `request-splitter-bench-${process.pid}-${made}`);
  const remove = () => {
    try {
      rmdirSync(path);
      removals.delete(remove);
    } catch {} // a process of it is still ending; tried again at the exit
  };
  try {
    const subtree = join(hierarchy.path, 'cgroup.subtree_control');
    if (hierarchy.version === 2 && existsSync(subtree)) writeFileSync(subtree, '+cpu');
    mkdirSync(path);
    removals.add(remove);
    for (const [file, text] of quotaFiles(hierarchy.version, millicores))
      writeFileSync(join(path, file), text);
  } catch (error) {
    remove();
    throw new Error(`control groups cannot be written: ${(error as Error).message}`);
  }
  return { path, remove };
}

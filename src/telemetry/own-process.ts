// What this process costs, by what the operating system and V8 say. Nothing is kept here: each number is read when it is
// asked for, so that a scrape pays and nobody else does.

import { readdirSync, readFileSync } from 'node:fs';
import type { ProcessFacts } from './running.ts';

/** This process, as it is at the moment of each look. */
export const OWN_PROCESS: ProcessFacts = {
  get cpuSeconds() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  },
  get residentBytes() {
    return process.memoryUsage.rss();
  },
  get openFiles() {
    try {
      return readdirSync('/proc/self/fd').length - 1; // the directory itself was open while it was read
    } catch {
      return undefined; // not Linux
    }
  },
  get openFilesMax() {
    try {
      const found = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
      return found === null ? undefined : Number(found[1]); // "unlimited"
    } catch {
      return undefined; // not Linux
    }
  },
  get heapUsedBytes() {
    return process.memoryUsage().heapUsed;
  },
  get externalBytes() {
    return process.memoryUsage().external;
  },
  get activeSeconds() {
    return performance.eventLoopUtilization().active / 1000;
  },
};

// Which options keep the values of the start: a reload that changes one of them is accepted, and the log says that it needs a
// restart.

import type { Config } from '../config/options/document.ts';

const FIXED_OPTIONS = [
  'listen',
  'admin',
  'workers',
  'log',
  'accessLog',
  'assignments',
  'sample',
  'metrics',
] as const;

/** Their names, where the two configurations differ in them. */
export function fixedOptionsThatDiffer(one: Config, other: Config): readonly string[] {
  return FIXED_OPTIONS.filter((name) => JSON.stringify(one[name]) !== JSON.stringify(other[name]));
}

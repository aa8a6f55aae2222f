// A stop of a guard as it is kept and sent: in the state file, between replicas and their fleet, and on /status. What comes
// from outside is read strictly, as it stops traffic.

import type { GuardFinding } from '../trust/guard-verdict.ts';

/** A split that was stopped. */
export interface GuardStop extends GuardFinding {
  readonly split: string;
  /** As in `Date.prototype.toISOString`. */
  readonly at: string;
  /** Equal as long as the options of the split are. */
  readonly options: string;
  /** Who found it: the process in its own counts, or the fleet in those of all replicas. */
  readonly by: 'process' | 'fleet';
}

/** Characters of a name. */
const NAME_CHARACTERS_MAX = 1000;

const isText = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= NAME_CHARACTERS_MAX;
const isNumber = (value: unknown): value is number => typeof value === 'number';

/** What a file or another process says, as a stop; null if it is none. */
export function readGuardStop(value: unknown): GuardStop | null {
  if (typeof value !== 'object' || value === null) return null;
  const said: Readonly<Record<string, unknown>> = { ...value };
  const { split, at, options, variant, against, kind, keys, againstKeys, againstValue } = said;
  if (!isText(split) || !isText(options) || !isText(variant) || !isText(against)) return null;
  if (!isText(at) || Number.isNaN(Date.parse(at)) || (kind !== 'errors' && kind !== 'slow')) return null;
  if (!isNumber(said.value) || !isNumber(againstValue) || !isNumber(keys) || !isNumber(againstKeys))
    return null;
  const facts = { variant, against, kind, value: said.value, againstValue, keys, againstKeys } as const;
  return { split, ...facts, at, options, by: said.by === 'fleet' ? 'fleet' : 'process' };
}

// Checks `balance` of upstreams: a key text that cannot be compiled or reads no variable, and a choice by key that has no
// key or no choice. Knows nothing of hashing.

import { checkKey } from '../../key/compile.ts';
import { variablesOf } from '../../key/key-text.ts';
import type { CheckReport, Written } from '../findings.ts';
import { type Path, showGot } from '../problem.ts';
import { isMap, mapOf, type RawMap, valueAt } from '../raw.ts';
import { reportCut, reportKeyFault } from './keys.ts';

/** The key of `balance` at `path`, as it was written. */
export function checkBalanceKey(path: Path, balance: unknown, report: CheckReport): void {
  const { key } = mapOf(balance);
  if (typeof key !== 'string' || key === '') return;
  const at: Path = [...path, 'key'];
  const fault = checkKey(key);
  if (fault !== null) return reportKeyFault(at, key, fault, report);
  if (variablesOf(key).length > 0) return reportCut(at, key, report);
  const expected =
    "a variable like '$cookie_session', because a text alone is the same key for every request";
  report.mistake(at, expected, showGot(key));
}

/** A choice by the key of a split where no split has decided. */
export function checkBalanceUse({ raw, document }: Written, report: CheckReport): void {
  const bySplit = new Set<string>(
    Object.values(document.splits).flatMap(({ variants }) => variants.map(({ upstream }) => upstream)),
  );
  for (const { onDown } of Object.values(document.upstreams)) if (onDown !== null) bySplit.add(onDown);
  for (const [name, { balance }] of Object.entries(document.upstreams)) {
    const at: Path = ['upstreams', name, 'balance'];
    if (!isWritten(raw, at) || balance === null || balance.key !== undefined || bySplit.has(name)) continue;
    report.warn(
      at,
      'has no effect: no split leads to this upstream, so there is no key; write one as balance.key',
    );
  }
}

function isWritten(raw: RawMap, at: Path): boolean {
  const written = valueAt(raw, at);
  return written === 'key' || isMap(written);
}

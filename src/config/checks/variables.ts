// Checks the variables of a configuration: their names, the texts and patterns in them, and that none reads itself on any
// way through maps and splits. Reads the document as it was written.

import { variablesOf } from '../../key/key-text.ts';
import { isKnownName } from '../../key/known-variables.ts';
import { compileMap } from '../../key/value-map.ts';
import type { CheckReport } from '../findings.ts';
import { type Path, showGot } from '../problem.ts';
import { isMap, mapOf, type RawMap } from '../raw.ts';
import { readsOf } from '../scope.ts';
import { textsOfCondition } from './experiments.ts';

/** Checks `variables` of a document. */
export function checkVariables(raw: RawMap, report: CheckReport): void {
  const splits = new Set(Object.keys(mapOf(raw.splits)).map((name) => name.toLowerCase()));
  const names = new Set<string>();
  for (const [name, value] of Object.entries(mapOf(raw.variables))) {
    const path: Path = ['variables', name];
    const id = name.toLowerCase();
    if (isKnownName(id))
      report.problem(path, 'another name, because every request has this variable', showGot(name), 'key');
    else if (splits.has(id))
      report.problem(path, 'another name, because a split has this one', showGot(name), 'key');
    else if (names.has(id))
      report.problem(path, 'each name once, in whatever case', `${showGot(name)} again`, 'key');
    names.add(id);
    if (isMap(value)) checkMap(path, value, report);
  }
  checkLoops(raw, report);
}

function checkMap(path: Path, variable: RawMap, report: CheckReport): void {
  const entries = Object.entries(mapOf(variable.values));
  if (typeof variable.of !== 'string' || entries.some(([, value]) => typeof value !== 'string')) return;
  const source = {
    of: variable.of,
    values: entries as [string, string][],
    default: typeof variable.default === 'string' ? variable.default : '',
    hostnames: variable.hostnames === true,
    volatile: false,
  };
  const compiled = compileMap(source, report.responseScope);
  if (!('faults' in compiled)) return;
  for (const { entry, part, expected, got, offset } of compiled.faults) {
    const at: Path = typeof entry === 'number' ? [...path, 'values', entries[entry]![0]] : [...path, entry];
    report.problem(at, expected, got, part === 'match' ? 'key' : 'value', offset);
  }
}

/** What each own variable reads: maps by their texts, splits by their keys and conditions. */
function checkLoops(raw: RawMap, report: CheckReport): void {
  const reads = new Map<string, { readonly path: Path; readonly names: ReadonlySet<string> }>();
  for (const [name, value] of Object.entries(mapOf(raw.variables))) {
    reads.set(name.toLowerCase(), { path: ['variables', name], names: readsOf(mapOf(value)) });
  }
  for (const [name, value] of Object.entries(mapOf(raw.splits))) {
    const { key, layer, when } = mapOf(value);
    const keys = typeof layer === 'string' ? mapOf(mapOf(raw.layers)[layer]).key : key;
    const ofKeys = [keys].flat().map((one: unknown) => (isMap(one) ? one.remember : one));
    const texts: unknown[] = [...ofKeys, ...textsOfCondition(when)];
    const names = texts.flatMap((text) => (typeof text === 'string' ? variablesOf(text) : []));
    reads.set(name.toLowerCase(), { path: ['splits', name], names: new Set(names.map((one) => one.name)) });
  }
  const done = new Set<string>();
  const walk = (name: string, trail: string[]): void => {
    const own = reads.get(name);
    if (own === undefined || done.has(name)) return;
    const since = trail.indexOf(name);
    if (since >= 0) {
      const loop = [...trail.slice(since), name].map((one) => `$${one}`).join(' -> ');
      report.problem(own.path, 'a variable that does not read itself', loop, 'key');
      for (const one of trail.slice(since)) done.add(one);
      return;
    }
    for (const read of own.names) walk(read, [...trail, name]);
    done.add(name);
  };
  for (const name of reads.keys()) walk(name, []);
}

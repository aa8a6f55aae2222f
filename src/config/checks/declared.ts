// What the declaration of the options says against a document: unknown options, values of the wrong kind, names that
// cannot be. Each is reported where the user wrote it, with what was probably meant.

import type * as z from 'zod/mini';
import { didYouMean } from '../../did-you-mean.ts';
import { byKey } from '../by-key.ts';
import { knownKeys, optionRows } from '../declaration.ts';
import type { CheckReport, CheckResults } from '../findings.ts';
import { meantValue } from '../meant.ts';
import { type Path, showGot } from '../problem.ts';
import { type LocatedDocument, type RawMap, valueAt } from '../raw.ts';
import { describeSecret, mayBeSecret } from '../secrets.ts';

/** What the declaration says against the document, at the place where the user wrote it. */
export function reportIssue(
  issue: z.core.$ZodIssue,
  source: LocatedDocument,
  raw: RawMap,
  report: CheckReport,
): void {
  const given = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  // A single address is checked as a list of one.
  const path: Path =
    given[0] === 'listen' && !Array.isArray(raw.listen) ? ['listen', ...given.slice(2)] : given;
  // What a named upstream got from upstreamDefaults is reported there, once.
  const inherited =
    path[0] === 'upstreams' &&
    valueAt(raw, path) === undefined &&
    valueAt(raw, ['upstreamDefaults', ...path.slice(2)]) !== undefined;
  const meant = inherited ? null : issuesOfMeant(issue);
  if (meant !== null) {
    for (const one of meant) reportIssue(one, source, raw, report);
    return;
  }
  switch (issue.code) {
    case 'unrecognized_keys':
      for (const key of issue.keys) {
        const written = valueAt(raw, [...path, key]) !== undefined || path[0] !== 'upstreams';
        if (written)
          report.problem([...path, key], (guess) => unknownKey(path, key, guess), showGot(key), 'key');
      }
      return;
    case 'invalid_key':
      report.problem(path, issue.issues[0]?.message ?? issue.message, showGot(path.at(-1)), 'key');
      return;
    default: {
      if (inherited) return;
      const expected = issue.message.startsWith('Invalid input') ? 'a map of options' : issue.message;
      const value = valueAt(source.document, path);
      if (mayBeSecret(path)) {
        report.problem(path, expected, describeSecret(value));
        return;
      }
      report.problem(path, (guess) => `${expected}${meantValue(path, value, guess)}`, showGot(value));
    }
  }
}

/** Where one form of several was clearly meant, its own problems say more than "none of these"; null where none was. */
function issuesOfMeant(issue: z.core.$ZodIssue): readonly z.core.$ZodIssue[] | null {
  if (issue.code !== 'invalid_union') return null;
  const isMeant = (issues: readonly z.core.$ZodIssue[]) =>
    issues.every(({ code, path }) => path.length > 0 || code === 'unrecognized_keys');
  // Of two maps the one was meant of which more is right.
  const faults = (issues: readonly z.core.$ZodIssue[]) =>
    issues.reduce((sum, one) => sum + (one.code === 'unrecognized_keys' ? one.keys.length : 1), 0);
  const [nearest, second] = issue.errors.filter(isMeant).sort((a, b) => faults(a) - faults(b));
  if (nearest === undefined || (second !== undefined && faults(second) === faults(nearest))) return null;
  return nearest.map((one) => ({ ...one, path: [...issue.path, ...one.path] }));
}

function unknownKey(parent: Path, key: string, guess: typeof didYouMean): string {
  // The right option in the wrong map is more likely than a slip: say where it belongs.
  const homes = optionHomes().get(key);
  const known = knownKeys(parent);
  if (homes !== undefined) {
    // Inside a map that has nothing to do with it, its home is no suggestion: `method` of a route is not that of a split.
    if (parent.length > 0 && known.length > 0 && known.length <= HERE_MAX) {
      return `one of ${known.join(', ')} (${key} belongs elsewhere: ${homes.join(' or ')})`;
    }
    return `a known option (${homes.join(' or ')}?)`;
  }
  const guessed = guess(key, known);
  if (guessed !== '') return `a known option${guessed}`;
  // The list is for those who see it: it is longer than the rest of the message.
  return guess === didYouMean ? `one of ${known.join(', ')}` : 'a known option';
}

/** Most options of a map that a message lists together with the place where the unknown one belongs. */
const HERE_MAX = 12;

let homesByKey: ReadonlyMap<string, readonly string[]> | undefined;

/** Where each option belongs, by its last name. */
function optionHomes(): ReadonlyMap<string, readonly string[]> {
  homesByKey ??= byKey(
    optionRows().map(({ path }) => path),
    (path) => path.slice(path.lastIndexOf('.') + 1),
  );
  return homesByKey;
}

/** zod drops `__proto__` without a word from a map whose names the user picks; elsewhere it is an unknown key. */
export function checkNamesOfMaps(raw: RawMap, report: CheckResults): void {
  for (const path of report.withoutProblem(prototypeKeys(raw, [], new Set()))) {
    report.problem(path, 'another name', '"__proto__"', 'key');
  }
}

/** Paths of all keys `__proto__`; what aliases share is looked at once. */
function* prototypeKeys(value: unknown, path: Path, seen: Set<unknown>): Generator<Path> {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  const isList = Array.isArray(value);
  for (const [key, entry] of Object.entries(value)) {
    const at = [...path, isList ? Number(key) : key];
    if (key === '__proto__') yield at;
    yield* prototypeKeys(entry, at, seen);
  }
}

// Reads a document before it is checked: plain values of which nothing is known yet. The checks that report to a user
// go by what was written, so they use these rather than the parsed options.

import type { Path } from './problem.ts';

/** A map as the document has it. */
export type RawMap = Record<string, unknown>;

/** True for a map, as opposed to a list or a scalar. */
export function isMap(value: unknown): value is RawMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The map, or an empty one in place of anything else. */
export function mapOf(value: unknown): RawMap {
  return isMap(value) ? value : {};
}

/** The value at `path`; undefined where there is none. */
export function valueAt(value: unknown, path: Path): unknown {
  let current = value;
  for (const step of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step)) return undefined;
    current = (current as RawMap)[step];
  }
  return current;
}

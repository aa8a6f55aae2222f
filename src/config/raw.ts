// Reads a document before it is checked: plain values of which nothing is known yet. The checks that report to a user
// go by what was written, so they use these rather than the parsed options.

import type { Path, Place } from './problem.ts';

/** A document as plain values, and where each of them is in what the user wrote. */
export interface LocatedDocument {
  readonly document: unknown;
  /** Place of the value at `path`, of its key, or of the character `offset` inside a text; of the nearest parent when absent. */
  locate(path: Path, part?: 'value' | 'key', offset?: number): Place;
  /** Translated from an nginx.conf: what nginx runs has to run, so a certain mistake is a warning. */
  readonly isTranslated?: boolean;
}

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

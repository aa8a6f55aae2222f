// Which texts of a configuration may be secrets, and what is shown in their place: on the admin port, in the log and in
// messages about problems. Names, lengths and variables are shown, values are not.

import { variablesOf } from '../key/key-text.ts';
import type { Path } from './problem.ts';

/** Text of a secret in a file or an environment variable, or what was found in its place. */
export type ReadSecret = (from: {
  readonly file?: string;
  readonly variable?: string;
}) => string | { readonly got: string };

/** Shown in place of a secret. */
export const REMOVED = '(removed)';

/** The value of a field that the configuration sets, with its variables alone: `Bearer abc$http_x` -> `(removed)$http_x`. */
export function withoutLiterals(text: string): string {
  let shown = '';
  let end = 0;
  for (const variable of variablesOf(text)) {
    shown += literal(text.slice(end, variable.start)) + variable.written;
    end = variable.end;
  }
  return shown + literal(text.slice(end));
}

/** Punctuation between variables is no secret. */
function literal(text: string): string {
  return /^[\s:/,;=.-]{0,4}$/.test(text) ? text : REMOVED;
}

/** True when the value of a set field holds more than variables. */
export function hasLiterals(text: string): boolean {
  return withoutLiterals(text).includes(REMOVED);
}

/** True for the place of a value that may be a secret, or of something that holds one. */
export function mayBeSecret(path: Path): boolean {
  const last = path.at(-1);
  return last === 'secret' || last === 'override' || last === 'store' || path.includes('setHeaders');
}

/** What a message says in place of such a value: its kind, and the length of a text. */
export function describeSecret(value: unknown): string {
  if (typeof value === 'string') return value.length === 1 ? '1 character' : `${value.length} characters`;
  if (Array.isArray(value)) return 'a list';
  if (value === null || value === undefined) return 'nothing';
  return typeof value === 'object' ? 'a map' : `a ${typeof value}`;
}

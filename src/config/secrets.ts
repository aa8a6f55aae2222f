// Which texts of a configuration may be secrets, and what is shown in their place: on the admin port, in the log and in
// messages about problems. Names, lengths and variables are shown, values are not.

/** Shown in place of a secret. */
export const REMOVED = '(removed)';

const VARIABLE = /\$(?:\{\w[\w-]*\}|\w+)/g;

/** The value of a field that the configuration sets, with its variables alone: `Bearer abc$http_x` -> `(removed)$http_x`. */
export function withoutLiterals(text: string): string {
  let shown = '';
  let end = 0;
  for (const { 0: variable, index } of text.matchAll(VARIABLE)) {
    shown += literal(text.slice(end, index)) + variable;
    end = index + variable.length;
  }
  return shown + literal(text.slice(end));
}

/** Punctuation between variables is no secret. */
function literal(text: string): string {
  return /^[\s:/,;=.-]{0,4}$/.test(text) ? text : REMOVED;
}

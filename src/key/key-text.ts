// The grammar of a key text: which variables it reads and where they are in it. Every room that looks at a key text
// reads it with this file: the compiler, the checks of a configuration, the commands that make up requests.
// Source: nginx, ngx_http_script_compile; `${name}` with "-", "." or "~" in the name is an extension of ours.

/** A variable of a key text. */
export interface KeyVariable {
  /** Its one name, lower case, without "$" and braces: "arg_token"; "args" also for $query_string. */
  readonly name: string;
  /** As it is written: "$arg_token" or "${arg_user-id}". */
  readonly written: string;
  /** Position of the "$" in the text. */
  readonly start: number;
  /** Position after the variable. */
  readonly end: number;
}

// nginx ends a name at the first character that is no letter, digit or "_". Inside braces nginx allows no other
// character, so longer names can be read there without changing the meaning of any text that nginx accepts.
const VARIABLE = /\$(?:\{([A-Za-z0-9_.~-]+)\}|([A-Za-z0-9_]+))/g;

/** Other names that nginx has for the same value. */
const SAME: ReadonlyMap<string, string> = new Map([
  ['query_string', 'args'],
  ['document_uri', 'uri'],
]);

/** The one name of a variable: lower case, a field with "_" for "-", the first of those that nginx has for one value. */
export function canonicalName(name: string): string {
  const lower = name.toLowerCase();
  return lower.startsWith('http_') ? lower.replaceAll('-', '_') : (SAME.get(lower) ?? lower);
}

/** The variables of a key text in their order. Text that is no variable is skipped; `compileKey` reports it. */
export function variablesOf(text: string): KeyVariable[] {
  if (!text.includes('$')) return [];
  return Array.from(text.matchAll(VARIABLE), ({ 0: written, 1: braced, 2: plain = braced!, index }) => ({
    name: canonicalName(plain),
    written,
    start: index,
    end: index + written.length,
  }));
}

/** How `name` is written in a key text: in braces where a plain "$name" would end too early. */
export function writeVariable(name: string): string {
  return /^\w+$/.test(name) ? `$${name}` : `\${${name}}`;
}

/** A variable that ends before the name that was probably meant. */
export interface CutVariable {
  readonly variable: KeyVariable;
  /** The longer name, as it has to be written to be read whole. */
  readonly whole: string;
  /** The same text with the end of the variable made plain. */
  readonly kept: string;
}

/**
 * Variables that end at a "-", a "." or a "~" although a name goes on there: `$arg_user-id` reads the parameter
 * "user" and then the text "-id", here as in nginx.
 */
export function cutVariables(text: string): CutVariable[] {
  return variablesOf(text).flatMap((variable) => {
    const { name, written, end } = variable;
    const rest = /^(?:[-.~][A-Za-z0-9_]+)+/.exec(text.slice(end))?.[0];
    if (rest === undefined || written.startsWith('${') || !/^(?:arg|http|cookie)_/.test(name)) return [];
    const longer = written.slice(1) + rest;
    const isField = name.startsWith('http_') && !/[.~]/.test(rest);
    const whole = isField ? `$${longer.replaceAll('-', '_')}` : `\${${longer}}`;
    return [{ variable, whole, kept: `\${${written.slice(1)}}${rest}` }];
  });
}

// What is wrong with a configuration, as a value: where, what was expected, what was received.
// Every source (YAML, environment, nginx.conf) reports in this one form. Knows nothing of the options themselves.

/** Way to a value inside the document: map keys and list positions. */
export type Path = readonly (string | number)[];

/** A position that a person can go to: `at` is "splitter.yaml:9:18", "SPLIT:5" or "--split:5". */
export interface Place {
  readonly at: string;
  /** The option as the user's text names it; empty where `at` says it all. */
  readonly path: string;
  /** Sorts the problems of one text in the order of that text. */
  readonly order: number;
}

/** One thing to correct. */
export interface Problem extends Place {
  readonly expected: string;
  readonly got: string;
}

/** `user:password@` of a URL, with or without its scheme; a password may hold "/", "@" and "?". */
const USERINFO = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s"'<>]*@|[^\s"'<>:/@]+:(?!\/\/)[^\s"'<>]*@/gi;
const GOT_LENGTH_MAX = 60;
/** Problems that are printed; what only helps a reader need not be found out for others. */
export const PROBLEMS_SHOWN_MAX = 50;

/** A problem in one line: `FILE:LINE:COL path: expected …, got …`. */
export function formatProblem(problem: Problem): string {
  const place = problem.path === '' ? problem.at : `${problem.at} ${problem.path}`;
  return `${place}: expected ${problem.expected}, got ${problem.got}`;
}

/** Lines for all problems in the order of the text; after 50 one line says how many more there are. */
export function formatProblems(problems: readonly Problem[]): string[] {
  const lines = problems.slice(0, PROBLEMS_SHOWN_MAX).map(formatProblem);
  const more = problems.length - lines.length;
  return more > 0 ? [...lines, `… and ${more} more problems`] : lines;
}

/**
 * What was received, for the end of a message: JSON, 60 characters at most; "nothing" for undefined. Messages are logged, so
 * credentials in URLs are left out; what may be a secret as a whole is not given to this function.
 */
export function showGot(value: unknown): string {
  if (value === undefined) return 'nothing';
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = String(value);
  }
  text = withoutUserinfo(text);
  if (text.length <= GOT_LENGTH_MAX) return text;
  return `${text.slice(0, GOT_LENGTH_MAX)}…${typeof value === 'string' ? '"' : ''}`;
}

/** A text without the credentials of the URLs in it. */
function withoutUserinfo(text: string): string {
  return text.includes('@') ? text.replace(USERINFO, `$1(removed)@`) : text;
}

/** `["splits", "a", "variants", 1, "share"]` -> `splits.a.variants[1].share`. */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z0-9_$-]+$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${showGot(step)}]`;
  }
  return text;
}

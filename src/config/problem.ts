// What is wrong with a configuration, as a value: where it stands, what was expected there, what was received.
// Every door (YAML, environment, nginx.conf) reports in this one form. Knows nothing of the options themselves.

/** Way to a value inside the document: map keys and list positions. */
export type Path = readonly (string | number)[];

/** A position that a person can go to: `at` is "splitter.yaml:9:18", "SPLIT:5" or "--split:5". */
export interface Place {
  readonly at: string;
  /** The option as the user's text names it; empty where `at` says it all. */
  readonly path: string;
  /** Sorts the problems of one text in the order in which they stand there. */
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
/** Candidates that a word is compared with: a guess is a help, never worth a wait. */
const CANDIDATES_MAX = 2000;

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

/** The candidate that was most likely meant by `word`, or undefined when none is near. */
function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  let compared = 0;
  for (const candidate of candidates) {
    // Every character more or less is a slip of its own.
    if (Math.abs(candidate.length - wanted.length) >= bestDistance) continue;
    if (++compared > CANDIDATES_MAX) break;
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** ` (did you mean "x"?)` for the nearest candidate, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const guess = nearest(word, candidates);
  return guess === undefined ? '' : ` (did you mean ${JSON.stringify(guess)}?)`;
}

// Damerau-Levenshtein without repeated transpositions: "shrae" is one slip away from "share".
function editDistance(a: string, b: string): number {
  if (a.length > 64 || b.length > 64) return a === b ? 0 : 64;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(last[column - 1]! + (same ? 0 : 1), last[column]! + 1, current[column - 1]! + 1);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, beforeLast[column - 2]! + 1);
      }
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length]!;
}

// Summarizes one run of .ci/run from vitest's JSON report and the exit codes of the steps. Decides what
// counts as failed: a failed test, a test file that did not load, a skipped test (none may be skipped there),
// a failed step, or a run without tests. Knows nothing of how the steps ran.
import { existsSync, readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

/** What a run came to: how many passed, and one line for each thing that did not. */
export interface Sum {
  readonly passed: number;
  readonly failures: readonly string[];
}

/** What the coverage step printed of floors that were missed and of tests that failed, each once. */
export function missedFloors(printed: string): string[] {
  const lines = stripVTControlCharacters(printed).split('\n');
  const missed = lines.flatMap((line) => /^ERROR: (Coverage for .*)$/.exec(line)?.[1] ?? []);
  const failed = lines.flatMap((line) => /^ ?FAIL +(.+?)\s*$/.exec(line)?.[1] ?? []);
  return [...new Set([...missed, ...failed.map((test) => `coverage: ${test} failed`)])];
}

/** A failed test with the first lines of what it says: a long output is cut where vitest prints it, the sum is its end. */
function failureOf(test: { fullName: string; failureMessages?: readonly string[] }, file: string): string {
  const said = (test.failureMessages ?? []).map((message) =>
    stripVTControlCharacters(message).split('\n').slice(0, 6).join('\n    ').slice(0, 600),
  );
  return [`failed: ${test.fullName} (${file})`, ...said].join('\n    ');
}

/**
 * Sums a report (null: vitest wrote none) and outcomes like "npm run check=0". A step that failed is one failure,
 * but steps that run tests are counted by these and only stand for themselves when none of those explains the code.
 * `missed` explains a failed coverage step.
 */
export function sumUp(
  report: Report | null,
  outcomes: readonly string[],
  missed: readonly string[] = [],
): Sum {
  let passed = 0;
  const failures: string[] = [];
  for (const file of report?.testResults ?? []) {
    for (const test of file.assertionResults) {
      if (test.status === 'passed') passed += 1;
      else if (test.status === 'failed') failures.push(failureOf(test, file.name));
      else failures.push(`${test.status}, and nothing may be skipped here: ${test.fullName} (${file.name})`);
    }
    if (file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed')) {
      failures.push(`failed to run: ${file.name} ${file.message ?? ''}`.trim());
    }
  }
  if (report !== null && passed + failures.length === 0) failures.push('no test ran');
  const explained = failures.length > 0;
  for (const outcome of outcomes) {
    const split = outcome.lastIndexOf('=');
    const step = outcome.slice(0, split);
    const code = Number(outcome.slice(split + 1));
    const isCounted = step === 'npm test' || step.startsWith('npm run test:');
    if (code === 0 || (isCounted && explained)) continue;
    if (step === 'coverage' && missed.length > 0) {
      failures.push(...missed.map((one) => `failed: ${one}`));
      continue;
    }
    failures.push(`failed: ${step} ended with exit code ${code}${code === 124 ? ' (time limit)' : ''}`);
  }
  if (report === null && failures.length === 0) failures.push('vitest wrote no report');
  return { passed, failures };
}

if (import.meta.main) {
  // REPORT.json… COVERAGE.log STEP=CODE…: the reports of several runs of vitest count as one.
  const words = process.argv.slice(2);
  const logs = words.filter((word) => word.endsWith('.log') && existsSync(word));
  const reports = words
    .filter((word) => word.endsWith('.json'))
    .map((path) => (existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Report) : null));
  const isWhole = reports.every((report) => report !== null);
  const report = isWhole ? { testResults: reports.flatMap(({ testResults }) => testResults) } : null;
  const { passed, failures } = sumUp(
    report,
    words.filter((word) => word.includes('=')),
    logs.flatMap((path) => missedFloors(readFileSync(path, 'utf8'))),
  );
  for (const failure of failures) console.log(failure);
  console.log(`${passed} passed, ${failures.length} failed`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

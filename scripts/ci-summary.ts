// Adds up one run of .ci/run from vitest's JSON report and the exit codes of the steps beside it. Decides what
// counts as failed: a failed test, a test file that did not load, a skipped test (nothing may be skipped there),
// a failed step, or a run without tests. Knows nothing of how the steps were run.
import { existsSync, readFileSync } from 'node:fs';

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/** What a run came to: how many passed, and one line for each thing that did not. */
export interface Sum {
  readonly passed: number;
  readonly failures: readonly string[];
}

/**
 * Sums a report (null: vitest wrote none) and outcomes like "npm run check=0". A step that failed is one failure,
 * but `npm test` is counted by its tests and only stands for itself when none of them explains its exit code.
 */
export function sumUp(report: Report | null, outcomes: readonly string[]): Sum {
  let passed = 0;
  const failures: string[] = [];
  for (const file of report?.testResults ?? []) {
    for (const test of file.assertionResults) {
      if (test.status === 'passed') passed += 1;
      else if (test.status === 'failed') failures.push(`failed: ${test.fullName} (${file.name})`);
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
    if (code === 0 || (step === 'npm test' && explained)) continue;
    failures.push(`failed: ${step} ended with exit code ${code}${code === 124 ? ' (time limit)' : ''}`);
  }
  if (report === null && failures.length === 0) failures.push('vitest wrote no report');
  return { passed, failures };
}

if (import.meta.main) {
  const [path = '', ...outcomes] = process.argv.slice(2);
  const report = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Report) : null;
  const { passed, failures } = sumUp(report, outcomes);
  for (const failure of failures) console.log(failure);
  console.log(`${passed} passed, ${failures.length} failed`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

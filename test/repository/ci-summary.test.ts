// What .ci/run calls a failure, case by case.
import { describe, expect, it } from 'vitest';
import { missedFloors, sumUp } from '../../scripts/ci-summary.ts';

const report = (...statuses: string[]) => ({
  testResults: [
    {
      name: 'a.test.ts',
      status: statuses.includes('failed') ? 'failed' : 'passed',
      assertionResults: statuses.map((status, at) => ({ fullName: `case ${at}`, status })),
    },
  ],
});
const GOOD = ['npm ci=0', 'npm test=0', 'npm run check=0', 'npm run build=0'];

describe('the sum of a run', () => {
  it('is clean when every test passed and every step ended with 0', () => {
    expect(sumUp(report('passed', 'passed'), GOOD)).toEqual({ passed: 2, failures: [] });
  });

  it('counts a failed test once, although it also fails its file and the test command', () => {
    const sum = sumUp(report('passed', 'failed'), ['npm ci=0', 'npm test=1']);
    expect(sum).toEqual({ passed: 1, failures: ['failed: case 1 (a.test.ts)'] });
  });

  it('says what a failed test said: its first lines', () => {
    const said = {
      fullName: 'is good',
      status: 'failed',
      failureMessages: ['\u001b[31mexpected 1\u001b[39m\nto be 2'],
    };
    const file = { name: 'a.test.ts', status: 'failed', assertionResults: [said] };
    expect(sumUp({ testResults: [file] }, ['npm test=1']).failures).toEqual([
      'failed: is good (a.test.ts)\n    expected 1\n    to be 2',
    ]);
  });

  it.each(['skipped', 'pending', 'todo', 'disabled'])(
    'counts a test that is %s as failed, by name',
    (status) => {
      const sum = sumUp(report('passed', status), GOOD);
      expect(sum.failures).toEqual([`${status}, and nothing may be skipped here: case 1 (a.test.ts)`]);
    },
  );

  it('counts a test file that did not load', () => {
    const broken = { name: 'b.test.ts', status: 'failed', message: 'cannot find x', assertionResults: [] };
    expect(sumUp({ testResults: [broken] }, ['npm test=1']).failures).toEqual([
      'failed to run: b.test.ts cannot find x',
    ]);
  });

  it('counts a failed check as one failure more', () => {
    const sum = sumUp(report('passed'), ['npm ci=0', 'npm test=0', 'npm run check=1', 'npm run build=0']);
    expect(sum).toEqual({ passed: 1, failures: ['failed: npm run check ended with exit code 1'] });
  });

  it('names each folder below its floor, and each test that failed in the coverage run', () => {
    const missed = missedFloors(`
 \u001b[31mFAIL\u001b[39m  test/unit/a.test.ts > is good
 FAIL  test/unit/a.test.ts > is good
 src/key  |  90.1 |
\u001b[31mERROR: Coverage for lines (96.55%) does not meet "src/admin/**" threshold (97%)\u001b[39m
ERROR: Coverage for lines (90%) does not meet "src/key/**" threshold (98%)
`);
    expect(sumUp(report('passed'), ['npm test=0', 'coverage=1'], missed)).toEqual({
      passed: 1,
      failures: [
        'failed: Coverage for lines (96.55%) does not meet "src/admin/**" threshold (97%)',
        'failed: Coverage for lines (90%) does not meet "src/key/**" threshold (98%)',
        'failed: coverage: test/unit/a.test.ts > is good failed',
      ],
    });
    expect(sumUp(report('passed'), ['coverage=124']).failures).toEqual([
      'failed: coverage ended with exit code 124 (time limit)',
    ]);
  });

  it('counts an error outside of any test, which only the exit code shows', () => {
    expect(sumUp(report('passed'), ['npm test=1']).failures).toEqual([
      'failed: npm test ended with exit code 1',
    ]);
  });

  it('fails when no test ran or no report was written', () => {
    expect(sumUp({ testResults: [] }, GOOD).failures).toEqual(['no test ran']);
    expect(sumUp(null, GOOD).failures).toEqual(['vitest wrote no report']);
    expect(sumUp(null, ['npm test=124']).failures).toEqual([
      'failed: npm test ended with exit code 124 (time limit)',
    ]);
  });
});

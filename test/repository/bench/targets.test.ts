// Which targets a run can judge, and how.
import { describe, expect, it } from 'vitest';
import { judgedTargets, WITHHELD } from '../../../bench/targets.ts';
import { costing, results, row, scenario, turn, withP99 } from './made-up.ts';

const judged = (...given: Parameters<typeof results>) =>
  Object.fromEntries(
    judgedTargets(results(...given)).map(({ text, reached, verdict }) => [text, `${reached} ${verdict}`]),
  );
/** A turn in which the core was busy, with so much processor time for each request. */
const busy = (microseconds: number) => ({ ...costing(microseconds), seconds: microseconds / 1000 });
const BETTER = 'small GET against the better of nginx and HAProxy';
const smallGet = (nginx: number, haproxy: number) =>
  scenario(
    'small-get',
    null,
    row('request-splitter', busy(9)),
    row('request-splitter-pipelining', busy(8)),
    row('nginx-tuned', busy(nginx)),
    row('haproxy', busy(haproxy)),
  );

describe('the targets', () => {
  it('leave out what the run did not measure', () => {
    expect(judgedTargets(results())).toEqual([]);
  });

  it('compare with the better of nginx and HAProxy, and a missed one says NO', () => {
    expect(judged({ scenarios: [smallGet(10, 12)] })).toEqual({
      [BETTER]: '0.90x (0.90 to 0.90), title of nginx-tuned yes',
      'small GET, pool.pipelining 16, against nginx': '0.80x (0.80 to 0.80) yes',
    });
    expect(judged({ scenarios: [smallGet(10, 9)] })[BETTER]).toBe(
      '1.00x (1.00 to 1.00), title of haproxy NO',
    );
  });

  it('are not judged by a load that leaves the core idle, and say how busy it was', () => {
    const slow = { ...smallGet(10, 12), load: 'autocannon' };
    expect(judged({ scenarios: [slow] })[BETTER]).toMatch(/not judged: needs wrk$/);
    const idle = scenario('get-64k', null, row('request-splitter', costing(10)), row('haproxy', costing(20)));
    expect(Object.values(judged({ scenarios: [idle] }))).toEqual(['0.50x (0.50 to 0.50), core 1% busy yes']);
  });

  it('are not judged by a contender that failed its requests or dropped lines of its log', () => {
    const failed = turn({ errors: 100, cpuMicroseconds: 20_000 });
    const one = scenario('small-get', null, row('request-splitter', busy(10)), row('nginx-tuned', failed));
    expect(judged({ scenarios: [one] })[BETTER]).toMatch(/not judged: requests failed$/);
    const logged = scenario(
      'logged',
      null,
      row('request-splitter-logged', { ...busy(10), linesDropped: 5 }),
      row('nginx-logged', busy(10)),
    );
    expect(Object.values(judged({ scenarios: [logged] }))).toEqual([
      '1.00x (1.00 to 1.00) not judged: lines were dropped',
    ]);
  });

  it('are all withheld on a machine that others used', () => {
    const [first] = smallGet(10, 12).rows;
    const used = {
      ...smallGet(10, 12),
      rows: [...smallGet(10, 12).rows.slice(1), { ...first!, turns: [{ ...busy(9), foreignCores: 1 }] }],
    };
    const verdicts = judgedTargets(results({ scenarios: [used] })).map(({ verdict }) => verdict);
    expect(verdicts).toEqual([WITHHELD, WITHHELD]);
  });

  it('name the parts that could not be measured, with the reason', () => {
    expect(
      judgedTargets(results({ notMeasured: { 'quota-200': 'control groups are not mounted' } })),
    ).toEqual([
      { text: 'quota-200', limit: '', reached: '', verdict: 'not measured: control groups are not mounted' },
    ]);
  });
});

describe('what is added to p99', () => {
  /** Three rounds; without a proxy 1 ms, and `noise` more or less in two of them. */
  const added = (mine: number, theirs: number, noise = 0) => {
    const base = [1 - noise, 1, 1 + noise];
    const rows = (more: number) => base.map((p99, at) => withP99(at + 1, p99 + more));
    const rate = scenario(
      'rate-2000',
      2000,
      row('direct', ...rows(0)),
      row('request-splitter', ...rows(mine)),
      row('nginx-tuned', ...rows(theirs)),
    );
    return judged({ scenarios: [rate] })['p99 added at 2,000 requests/s against what nginx adds'];
  };

  it('is judged where both are greater than the noise', () => {
    expect(added(0.5, 0.75, 0.25)).toBe('0.50 ms to 0.75 ms (noise 0.25 ms) yes');
    expect(added(0.75, 0.25)).toBe('0.75 ms to 0.25 ms (noise 0.00 ms) NO');
  });

  it.each([
    [-0.5, 0.5, 0],
    [-0.5, -0.25, 0],
    [0.125, 0.5, 0.25],
    [0.5, 0.25, 0.375],
  ])('%s ms to %s ms with a noise of %s ms proves nothing', (mine, theirs, noise) => {
    expect(added(mine, theirs, noise)).toMatch(/not judged: within the noise$/);
  });

  it('is missed where nginx adds nothing and the splitter clearly does', () => {
    expect(added(2, -0.25, 0.125)).toMatch(/NO$/);
  });
});

describe('the other targets', () => {
  it('judge memory a connection, growth, and the start', () => {
    const step = (name: string, medianNs: number) => ({ name, medianNs, fastestNs: 1 });
    expect(
      judged({
        open: { connections: 1024, beforeMiB: 80, withMiB: 93 },
        growth: {
          title: 'large',
          startMs: [300, 500, 390],
          reloads: [
            { blockMs: 12, takenMs: 400 },
            { blockMs: 21, takenMs: 400 },
          ],
        },
        micro: [step('decide among 2 variants', 100), step('decide among 1000 variants', 125)],
        starts: [
          {
            rival: 'request-splitter',
            title: 'own',
            startMs: [70, 76, 72],
            memoryMiB: 57.5,
            privateMiB: 15.5,
          },
        ],
      }),
    ).toEqual({
      '10,000 open connections: memory a connection': '13.0 KiB (80 to 93 MiB) NO',
      'decide with 1,000 variants against 2': '1.25x (125 ns to 100 ns) yes',
      'a reload with 1,000 variants and 10,000 routes: longest block of the loop': '21.0 ms NO',
      'start with 1,000 variants and 10,000 routes': '390 ms yes',
      'start to first answer': '72 ms yes',
      'own memory just started (largest)': '15.5 MiB NO',
      'resident memory just started (largest)': '57.5 MiB yes',
    });
  });

  it('judge the sidecar in a tenth of a core by its p99 against that of nginx', () => {
    const quota = scenario(
      'quota-200',
      200,
      row('request-splitter', withP99(1, 3)),
      row('nginx-tuned', withP99(1, 2)),
    );
    expect(Object.values(judged({ scenarios: [quota] }))).toEqual([
      '1.50x (1.50 to 1.50), 3.00 ms to 2.00 ms yes',
    ]);
  });
});

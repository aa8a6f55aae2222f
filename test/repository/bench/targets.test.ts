// Which targets a run can judge, and how.
import { describe, expect, it } from 'vitest';
import { judgedTargets } from '../../../bench/targets.ts';
import { costing, results, row, scenario, soak, turn, withP99 } from './made-up.ts';

const judged = (...given: Parameters<typeof results>) =>
  Object.fromEntries(
    judgedTargets(results(...given)).map(({ text, reached, verdict }) => [text, `${reached} ${verdict}`]),
  );
const smallGet = scenario(
  'small-get',
  null,
  row('request-splitter', costing(13)),
  row('request-splitter-pipelining', costing(8)),
  row('request-splitter-2-workers', costing(14)),
  row('nginx-tuned', costing(10)),
  row('nginx-plain', costing(40)),
);

describe('the targets', () => {
  it('leave out what the run did not measure', () => {
    expect(judgedTargets(results())).toEqual([]);
    expect(Object.keys(judged({ scenarios: [smallGet] })).join()).not.toContain('http-proxy');
  });

  it('compare processor time, and a missed one says NO', () => {
    expect(judged({ scenarios: [smallGet] })).toEqual({
      'small GET: CPU per request against nginx tuned': '1.30x (1.30 to 1.30) NO',
      'small GET: CPU per request against nginx plain': '0.33x (0.33 to 0.33) yes',
      'small GET: CPU per request with pool.pipelining 16 against nginx tuned': '0.80x (0.80 to 0.80) yes',
      'small GET: CPU per request with 2 workers against 1': '1.08x (1.08 to 1.08) yes',
    });
  });

  it('are judged a second time where the core was saturated', () => {
    const saturated = scenario(
      'get-64k',
      null,
      row('request-splitter', costing(20)),
      row('nginx-tuned', costing(25)),
    );
    expect(judged({ saturated: [saturated] })).toEqual({
      '64 KiB responses: CPU per request against nginx tuned, core saturated': '0.80x (0.80 to 0.80) yes',
    });
  });

  it('are not judged by a contender that failed its requests, on either side', () => {
    const failed = turn({ errors: 100, cpuMicroseconds: 20_000 });
    const [text] = ['small GET: CPU per request against nginx tuned'];
    const both = (mine: typeof failed, theirs: typeof failed) =>
      judged({
        scenarios: [scenario('small-get', null, row('request-splitter', mine), row('nginx-tuned', theirs))],
      });
    expect(both(costing(10), failed)[text!]).toBe('0.50x (0.50 to 0.50) not judged');
    expect(both(failed, costing(20))[text!]).toBe('1.00x (1.00 to 1.00) not judged');
  });

  it('judge the added p99 against nginx tuned and plain, with the milliseconds', () => {
    const rate = scenario(
      'rate-2000',
      2000,
      row('direct', withP99(1, 1)),
      row('request-splitter', withP99(1, 1.5)),
      row('nginx-tuned', withP99(1, 1.25)),
      row('nginx-plain', withP99(1, 2)),
    );
    expect(judged({ scenarios: [rate] })).toEqual({
      'p99 added at 2,000 requests/s against what nginx tuned adds': '2.00x (0.50 ms to 0.25 ms) NO',
      'p99 added at 2,000 requests/s against what nginx plain adds': '0.50x (0.50 ms to 1.00 ms) yes',
    });
  });

  it('take nothing that was added for no measure', () => {
    const rate = (mine: number) =>
      scenario(
        'rate-2000',
        2000,
        row('direct', withP99(1, 1)),
        row('request-splitter', withP99(1, mine)),
        row('nginx-tuned', withP99(1, 0.75)),
      );
    expect(Object.values(judged({ scenarios: [rate(1.5)] }))).toEqual(['0.50 ms to -0.25 ms not judged']);
    expect(Object.values(judged({ scenarios: [rate(0.5)] }))).toEqual(['-0.50 ms to -0.25 ms yes']);
  });

  it('judge memory by the largest of the rounds', () => {
    const open = scenario(
      'open-2000',
      null,
      row('request-splitter', turn({ memoryMiB: 90 }), turn({ memoryMiB: 111 }), turn({ memoryMiB: 90 })),
    );
    const starts = [
      { rival: 'request-splitter', title: 'request-splitter', startMs: [150, 230, 170], memoryMiB: 60 },
    ];
    expect(judged({ scenarios: [open], starts })).toEqual({
      'memory after the start (largest)': '60 MiB yes',
      'memory with 2,000 open connections under load (largest)': '111 MiB NO',
      'start to first answer': '170 ms yes',
    });
  });

  it('judge whether the soak was flat, and the most expensive decision', () => {
    const step = (name: string, medianNs: number) => ({ name, medianNs, fastestNs: 1 });
    const micro = [
      step('decide by $arg_token, small', 120),
      step('decide by $arg_token, browser', 151),
      step('parse a request head, small', 900),
    ];
    expect(judged({ soak: soak(200, 100, 112), micro })).toEqual({
      'soak: memory after the last cycle against that after the second': '1.12x NO',
      'decide (key, hash, pick), the most expensive kind of request': '151 ns NO',
    });
    expect(judged({ soak: soak(1, 1) })).toEqual({});
  });
});

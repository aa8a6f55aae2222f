// What a run measures, and what the command line makes of it.
import { describe, expect, it } from 'vitest';
import { parseBuild } from '../../../bench/builds.ts';
import { choose, orProblem, positive, readOptions } from '../../../bench/options.ts';
import { estimateSeconds, planOf } from '../../../bench/plan.ts';
import { NODE_FLAGS, RIVALS } from '../../../bench/rivals.ts';
import { soakPlan } from '../../../bench/soak.ts';
import { reasonIn } from '../../../bench/turns.ts';

const options = (...args: string[]) => {
  const read = readOptions(args);
  if ('problem' in read) throw new Error(read.problem);
  return read;
};
const planned = (...args: string[]) => planOf(options(...args).wishes);
const secondsOf = (parts: Parameters<typeof estimateSeconds>[0][]) =>
  parts.reduce((sum, part) => sum + estimateSeconds(part), 0);
const names = (all: readonly { name: string }[]) => all.map(({ name }) => name);

describe('a whole run', () => {
  const parts = planned();

  it('has the scenarios of the targets, and the well-known proxies of Node among small requests', () => {
    expect(parts.map(({ scenario }) => scenario.name)).toEqual([
      'small-get',
      'browser-get',
      'post-4k',
      'post-1m',
      'get-64k',
      'get-1m',
      'chunked-both',
      'new-connection',
      'logged',
      'routes-1000',
      'open-10000',
      'rate-2000',
      'quota-200',
      'slow-upstream',
    ]);
    expect(names(parts[0]!.contenders)).toEqual(expect.arrayContaining(['node-undici', 'http-proxy']));
  });

  it('takes seven rounds and more where differences are small, and 25 minutes at most', () => {
    for (const name of ['small-get', 'get-64k', 'get-1m']) {
      expect(parts.find(({ scenario }) => scenario.name === name)?.rounds, name).toBe(7);
    }
    expect(secondsOf(parts) / 60).toBeLessThan(24);
  });

  it('has starts, growth and the steps of an exchange, and writes its results', () => {
    expect(options()).toMatchObject({
      soakAlone: false,
      micro: true,
      growth: true,
      results: true,
      starts: true,
    });
  });
});

describe('a run of less', () => {
  it('takes everybody who is named in every scenario that is named', () => {
    const parts = planned('--only', 'get-1m,small-get', '--rivals', 'httpxy,haproxy', '--rounds', '2');
    expect(parts.map(({ scenario }) => scenario.name)).toEqual(['small-get', 'get-1m']);
    for (const { contenders, rounds } of parts) {
      expect(names(contenders)).toEqual(['httpxy', 'haproxy']);
      expect(rounds).toBe(2);
    }
  });

  it('writes no results unless it is told to, and has only the parts that are named', () => {
    expect(options('--only', 'get-1m')).toMatchObject({ results: false, micro: false, starts: false });
    expect(options('--only', 'growth')).toMatchObject({ growth: true, micro: false, merge: false });
    expect(options('--only', 'growth', '--merge').merge).toBe(true);
    expect(options('--quick')).toMatchObject({ results: false, micro: false, growth: false, starts: true });
    expect(options('--profile', 'there')).toMatchObject({ results: false, growth: false });
    expect(options('--quick', '--results').results).toBe(true);
    expect(planned('--only', 'none')).toEqual([]);
  });

  it('is quick when it has to be: it leaves time for build and starts in its two minutes', () => {
    expect(secondsOf(planned('--quick'))).toBeLessThan(100);
  });

  it('never warms up for longer than it measures', () => {
    for (const part of planned('--seconds', '0.3')) {
      expect(part.warmupSeconds).toBeLessThanOrEqual(0.3);
      expect(part.rewarmSeconds).toBeLessThanOrEqual(0.3);
    }
  });

  it('is the soak alone where its minutes are given', () => {
    expect(options('--soak', '30')).toMatchObject({ soakAlone: true, soakMinutes: 30, results: false });
  });
});

describe('wrong words', () => {
  it.each([
    [['--rivals', 'nobody'], /^expected one of request-splitter .* http-proxy, got nobody$/],
    [['--only', 'small'], /^expected one of small-get .*, got small$/],
    [['--rounds', '0'], '--rounds: expected a number above 0, got 0'],
    [['--soak', 'long'], '--soak: expected a number above 0, got long'],
    [['--load', 'ab'], '--load: expected autocannon or wrk, got ab'],
    [['--quik'], /--quik/],
  ])('%j is a sentence, with what was expected', (args, problem) => {
    expect(readOptions(args)).toEqual({ problem: expect.stringMatching(problem) });
  });

  it('are told apart from bugs', () => {
    expect(() => orProblem(() => positive('a', undefined)!.toFixed())).toThrow(TypeError);
    expect(choose(RIVALS, undefined)).toBeNull();
  });
});

describe('the plan of a soak', () => {
  it('has four whole cycles at least, however short it is, and loads of ten seconds at most', () => {
    expect(soakPlan(2, 7)).toEqual({ cycles: 4, loadSeconds: 3.8 });
    expect(soakPlan(0.1, 7)).toEqual({ cycles: 4, loadSeconds: 0.5 });
    const { cycles, loadSeconds } = soakPlan(60, 7);
    expect(loadSeconds).toBe(10);
    expect(cycles * 7 * 10).toBeGreaterThan(55 * 60);
    expect(cycles * 7 * 10.5).toBeLessThanOrEqual(60 * 60);
  });
});

describe('a build to compare', () => {
  const place = { listen: 1, admin: 2, upstreamA: 3, upstreamB: 4, profileTo: null, recordTo: null };

  it('is an entry with flags of node behind those of the image, and variables', () => {
    const build = parseBuild('mine=/there/main.js,--max-semi-space-size=16,WORKERS=2');
    expect(build?.name).toBe('mine');
    const { args, env } = build!.command(place);
    expect(args).toEqual([...NODE_FLAGS, '--max-semi-space-size=16', '/there/main.js']);
    expect(env).toMatchObject({ WORKERS: '2', LISTEN: '127.0.0.1:1', SPLIT: expect.stringContaining(':4') });
  });

  it('leaves a profile where one is wished for', () => {
    const { args } = parseBuild('mine=/there/main.js')!.command({ ...place, profileTo: '/profiles' });
    expect(args).toEqual(expect.arrayContaining(['--cpu-prof', '--cpu-prof-dir=/profiles']));
  });

  it('is none where there is but a name', () => {
    expect(parseBuild('nginx-tuned')).toBeNull();
  });
});

describe('the reason of a failed start', () => {
  it('is the line that says what was expected or went wrong, without the directory of the run', () => {
    expect(
      reasonIn(
        '\n/tmp/request-splitter-bench-Ab3/one.yaml:6:11 upstreamDefaults.pool: expected a known option\n',
      ),
    ).toBe('one.yaml:6:11 upstreamDefaults.pool: expected a known option');
    expect(reasonIn('node:net:1\n   throw er;\n\nError: listen EADDRINUSE\n    at x')).toBe(
      'Error: listen EADDRINUSE',
    );
    expect(reasonIn('gone\n')).toBe('gone');
    expect(reasonIn('')).toBe('no answer and no word');
  });
});

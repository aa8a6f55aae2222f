// How measured rounds become figures.
import { describe, expect, it } from 'vitest';
import {
  addedMs,
  cheapest,
  cpuPerRequest,
  cpuRatio,
  failedShare,
  figure,
  isBusy,
  isComparable,
  soakGrowth,
} from '../../../bench/results.ts';
import { row, scenario, soak, turn, withP99 } from './made-up.ts';

const p99 = (latency: { p99: number }) => latency.p99;

describe('a figure', () => {
  it('is the median, with half the distance of the extremes as spread', () => {
    expect(figure([30, 10, 20])).toEqual({ median: 20, spread: 0.5 });
    expect(figure([10, 20])).toEqual({ median: 15, spread: 1 / 3 });
    expect(figure([7])).toEqual({ median: 7, spread: 0 });
  });

  it('is not a number when nothing was measured', () => {
    expect(figure([]).median).toBeNaN();
  });

  it('counts processor time over the requests that were answered, round by round', () => {
    const rounds = [
      [100, 1000],
      [100, 3000],
      [200, 2400],
    ].map(([answered, cpuMicroseconds]) => turn({ answered: answered!, cpuMicroseconds: cpuMicroseconds! }));
    expect(cpuPerRequest(row('a', ...rounds)).median).toBe(12);
  });
});

describe('a contender', () => {
  it('may be compared as long as one request in a thousand fails at most', () => {
    const failing = (errors: number) =>
      row('a', turn({ answered: 9990, errors }), turn({ answered: 10_000 }));
    expect(failedShare(failing(10))).toBe(0.0005);
    expect(isComparable(failing(10))).toBe(true);
    expect(isComparable(failing(30))).toBe(false);
  });

  it('may not be compared when it cut one answer short, or was never measured', () => {
    expect(isComparable(row('a', turn(), turn({ complete: false })))).toBe(false);
    expect(isComparable(row('a'))).toBe(false);
  });
});

describe('a ratio', () => {
  const costs = (...microseconds: number[]) =>
    microseconds.map((one, at) => turn({ round: at + 1, cpuMicroseconds: one * 1000 }));

  it('is taken in each round, so that a slow one counts against both', () => {
    const [own, other] = [row('a', ...costs(12, 55, 10, 15, 44)), row('b', ...costs(10, 50, 10, 10, 40))];
    expect(cpuRatio(own, other)).toEqual({ median: 1.1, least: 1, greatest: 1.5 });
  });

  it('leaves out a round that only one of the two took part in', () => {
    const [first, second] = costs(10, 20);
    expect(cpuRatio(row('a', first!, second!), row('b', second!))).toEqual({
      median: 1,
      least: 1,
      greatest: 1,
    });
    expect(cpuRatio(row('a', first!), row('b', second!)).median).toBeNaN();
  });
});

describe('what a proxy adds to p99', () => {
  it('is the median of the differences to the turn without a proxy of the same round', () => {
    const slowSecond = scenario(
      'rate-2000',
      2000,
      row('direct', withP99(1, 1), withP99(2, 50), withP99(3, 1)),
      row('a', withP99(1, 1.5), withP99(2, 50.25), withP99(3, 3)),
    );
    expect(addedMs(slowSecond, 'a', p99)).toEqual({ ms: 0.5, noiseMs: 0 });
  });

  it('leaves out a round that has only one of the two', () => {
    const holes = scenario(
      'rate-2000',
      2000,
      row('direct', withP99(2, 1)),
      row('a', withP99(1, 9), withP99(2, 3)),
    );
    expect(addedMs(holes, 'a', p99).ms).toBe(2);
    expect(addedMs(holes, 'nobody', p99).ms).toBeNaN();
    expect(addedMs(scenario('rate-2000', 2000, row('a', withP99(1, 9))), 'a', p99).ms).toBeNaN();
  });
});

describe('the growth over a soak', () => {
  it('compares the end of the last cycle with that of the second, whatever the first was', () => {
    expect(soakGrowth(soak(10, 100, 300, 110))).toBe(1.1);
  });

  it('is not a number before there are three cycles', () => {
    expect(soakGrowth(soak(100, 100))).toBeNaN();
  });
});

describe('the cheapest of some contenders', () => {
  const result = scenario(
    's',
    null,
    row('a', turn({ cpuMicroseconds: 30_000 })),
    row('b', turn({ cpuMicroseconds: 20_000 })),
    row('failed', turn({ cpuMicroseconds: 1, errors: 500 })),
  );

  it('is the one with the least processor time for a request, of those that answered', () => {
    expect(cheapest(result, ['a', 'b', 'failed'])?.rival).toBe('b');
    expect(cheapest(result, ['a'])?.rival).toBe('a');
    expect(cheapest(result, ['failed', 'nobody'])).toBeUndefined();
  });
});

describe('a busy machine', () => {
  const others = (...cores: (number | null)[]) =>
    cores.map((foreignCores) => ({ foreignCores, stealCores: 0 }));

  it('is one on which others used a tenth of a core in the mean, or much in one turn of ten', () => {
    expect(isBusy(others(0.05, 0.09, 0.11))).toBe(false);
    expect(isBusy(others(0.11, 0.12))).toBe(true);
    expect(isBusy(others(...Array.from({ length: 20 }, (_, at) => (at < 2 ? 0.5 : 0))))).toBe(false);
    expect(isBusy(others(...Array.from({ length: 20 }, (_, at) => (at < 3 ? 0.5 : 0))))).toBe(true);
  });

  it('counts what its neighbours took, and is assumed where nobody watched', () => {
    expect(isBusy([{ foreignCores: 0, stealCores: 0.2 }])).toBe(true);
    expect(isBusy(others(0, null))).toBe(true);
  });
});

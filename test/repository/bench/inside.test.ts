// What the bench knows beside turns: the quota of a process, what was recorded inside of one, and how far a run is.
import { describe, expect, it } from 'vitest';
import { clockText, ProgressLine, secondsLeft } from '../../../bench/progress.ts';
import { cpuHierarchy, quotaFiles } from '../../../bench/quota.ts';
import { histogramOf, longestBlock, pausesWithin, readRecorded } from '../../../bench/recorded.ts';

describe('a quota of processor time', () => {
  it('is written as each version of control groups wants it', () => {
    expect(quotaFiles(2, 100)).toEqual([['cpu.max', '10000 100000']]);
    expect(quotaFiles(1, 100)).toEqual([
      ['cpu.cfs_period_us', '100000'],
      ['cpu.cfs_quota_us', '10000'],
    ]);
  });

  it('belongs to the hierarchy that has the controller', () => {
    const first = 'cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0';
    const second = 'cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0';
    expect(cpuHierarchy(`proc /proc proc rw 0 0\n${second}\n`)).toEqual({
      version: 2,
      path: '/sys/fs/cgroup',
    });
    expect(cpuHierarchy(`${second}\n${first}\n`)).toEqual({ version: 1, path: '/sys/fs/cgroup/cpu,cpuacct' });
    expect(cpuHierarchy('cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0\n')).toBeUndefined();
  });
});

describe('what was recorded inside a process', () => {
  const recorded = {
    pauses: [
      [1000, 0.6, 'young generation'],
      [2000, 3, 'whole heap'],
      [3000, 0.7, 'young generation'],
    ] as [number, number, string][],
    blocks: [
      [1000, 5],
      [2000, 50],
      [3000, 9],
    ] as [number, number][],
  };

  it('counts where it ended in a turn', () => {
    const spans = [
      { from: 900, to: 1100 },
      { from: 2900, to: 3000 },
    ];
    expect(pausesWithin(recorded, spans)).toEqual([
      ['young generation', 0.6],
      ['young generation', 0.7],
    ]);
    expect(longestBlock(recorded, { from: 1500, to: 3500 })).toBe(50);
    expect(longestBlock(recorded, { from: 0, to: 10 })).toBe(0);
  });

  it('becomes a histogram without empty ends', () => {
    expect(histogramOf(pausesWithin(recorded, [{ from: 0, to: 9000 }]))).toEqual([
      { text: '0.5 to 1 ms', pauses: 2, totalMs: 1.2999999999999998 },
      { text: '1 to 2 ms', pauses: 0, totalMs: 0 },
      { text: '2 to 4 ms', pauses: 1, totalMs: 3 },
    ]);
    expect(histogramOf([['whole heap', 40]])[0]!.text).toBe('over 32 ms');
    expect(histogramOf([])).toEqual([]);
  });

  it('is nothing where the process left nothing', () => {
    expect(readRecorded('/nowhere')).toEqual({ pauses: [], blocks: [] });
  });
});

describe('how long a run still takes', () => {
  const parts = [
    { name: 'one', seconds: 60 },
    { name: 'two', seconds: 120 },
    { name: 'three', seconds: 60 },
  ];

  it('is the plan at first, and follows the pace of what is done', () => {
    expect(secondsLeft(parts, 0, 0, 0)).toBe(240);
    expect(secondsLeft(parts, 1, 180, 0)).toBe(360);
    expect(secondsLeft(parts, 1, 60, 30)).toBe(150);
    expect(secondsLeft(parts, 2, 180, 500)).toBe(0);
  });

  it('is shown as a clock', () => {
    expect([5, 65, 3605].map(clockText)).toEqual(['0:05', '1:05', '1:00:05']);
  });

  const run = (isTTY: boolean) => {
    const written: string[] = [];
    let now = 0;
    const line = new ProgressLine(parts, { isTTY, write: (text) => written.push(text) }, () => now);
    line.begin('one');
    line.show('round 1');
    now = 60_000;
    line.begin('two');
    line.end();
    return written;
  };

  it('is one line of a terminal, which is written again', () => {
    expect(run(true)).toEqual([
      'about 4:00 minutes\n',
      '\r\x1b[Kpart 1 of 3, about 4:00 left: one',
      '\r\x1b[Kpart 1 of 3, about 4:00 left: round 1',
      '\r\x1b[Kpart 2 of 3, about 3:00 left: two',
      '\r\x1b[K',
    ]);
  });

  it('is a line for each part elsewhere', () => {
    expect(run(false)).toEqual([
      'about 4:00 minutes\n',
      'part 1 of 3, about 4:00 left: one\n',
      'part 2 of 3, about 3:00 left: two\n',
    ]);
  });
});

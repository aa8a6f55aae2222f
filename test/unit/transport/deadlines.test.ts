// One timer for all time limits, under a fake clock.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Deadlines, type Timed } from '../../../src/transport/deadlines.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function member(deadlines: Deadlines, log: string[], name: string): Timed {
  const timed: Timed = { deadline: Number.POSITIVE_INFINITY, onDeadline: () => void log.push(name) };
  deadlines.add(timed);
  return timed;
}

describe('a time limit', () => {
  it('is met once, within 50 ms', () => {
    const log: string[] = [];
    const deadlines = new Deadlines();
    const a = member(deadlines, log, 'a');
    deadlines.set(a, performance.now() + 100);
    vi.advanceTimersByTime(99);
    expect(log).toEqual([]);
    vi.advanceTimersByTime(51);
    expect(log).toEqual(['a']);
    vi.advanceTimersByTime(10_000);
    expect(log).toEqual(['a']);
  });

  it('that is moved away does not fire at its old time', () => {
    const log: string[] = [];
    const deadlines = new Deadlines();
    const a = member(deadlines, log, 'a');
    deadlines.set(a, performance.now() + 100);
    vi.advanceTimersByTime(60);
    deadlines.set(a, performance.now() + 100);
    vi.advanceTimersByTime(90);
    expect(log).toEqual([]);
    vi.advanceTimersByTime(60);
    expect(log).toEqual(['a']);
  });

  it('that is shorter than those that are set already is met in its own time', () => {
    const log: string[] = [];
    const deadlines = new Deadlines();
    const slow = member(deadlines, log, 'slow');
    const quick = member(deadlines, log, 'quick');
    deadlines.set(slow, performance.now() + 60_000);
    deadlines.set(quick, performance.now() + 20);
    vi.advanceTimersByTime(70);
    expect(log).toEqual(['quick']);
  });

  it('set from within another one is met too', () => {
    const log: string[] = [];
    const deadlines = new Deadlines();
    const second = member(deadlines, log, 'second');
    const first: Timed = {
      deadline: Number.POSITIVE_INFINITY,
      onDeadline: (now) => deadlines.set(second, now + 10),
    };
    deadlines.add(first);
    deadlines.set(first, performance.now() + 10);
    vi.advanceTimersByTime(200);
    expect(log).toEqual(['second']);
  });

  it('of a member that left is forgotten', () => {
    const log: string[] = [];
    const deadlines = new Deadlines();
    const a = member(deadlines, log, 'a');
    deadlines.set(a, performance.now() + 10);
    deadlines.remove(a);
    vi.advanceTimersByTime(1000);
    expect(log).toEqual([]);
    expect(deadlines.size).toBe(0);
  });

  it('never fires after stop', () => {
    const log: string[] = [];
    const deadlines = new Deadlines();
    deadlines.set(member(deadlines, log, 'a'), performance.now() + 10);
    deadlines.stop();
    vi.advanceTimersByTime(1000);
    expect(log).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

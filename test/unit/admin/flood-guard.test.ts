// When a flood of connections makes V8 collect.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { collectGarbage, FloodGuard } from '../../../src/admin/flood-guard.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function guard() {
  const collect = vi.fn();
  const made = new FloodGuard(collect);
  const accept = (count: number, from: number, everyMs: number) => {
    for (let index = 0; index < count; index += 1) made.accepted(from + index * everyMs);
  };
  return { made, collect, accept };
}

test('ten probes and scrapes a second never collect', () => {
  const { collect, accept } = guard();
  accept(10_000, 0, 100);
  vi.runAllTimers();
  expect(collect).not.toHaveBeenCalled();
});

test('a flood collects once in ten seconds, and once more when it is over', () => {
  const { collect, accept } = guard();
  accept(19_999, 0, 1);
  expect(collect).toHaveBeenCalledTimes(2);
  vi.runAllTimers();
  expect(collect).toHaveBeenCalledTimes(3);
});

test('a guard that was stopped collects no more', () => {
  const { made, collect, accept } = guard();
  accept(1000, 0, 1);
  made.stop();
  vi.runAllTimers();
  expect(collect).toHaveBeenCalledTimes(1);
});

test('collecting frees what nothing refers to', () => {
  const reference = new WeakRef({});
  // A WeakRef holds its object until the job that made it has ended.
  vi.useRealTimers();
  return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
    collectGarbage();
    expect(reference.deref()).toBeUndefined();
  });
});

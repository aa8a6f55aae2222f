// What each worker gets of what is meant for all, and how the pauses before a restart grow.
import { describe, expect, test } from 'vitest';
import { countShortLives, divideHeap, divideLimits, restartDelayMs } from '../../../src/workers/division.ts';
import { fakeConfig } from '../../support/fake-running.ts';

describe('limits', () => {
  const config = fakeConfig({
    limits: { connections: 1001 },
    upstreams: {
      a: { url: 'http://a.test', pool: { maxConnections: 7, maxQueued: 0 } },
      b: { url: 'http://b.test' },
    },
  });
  const divided = divideLimits(config, 2);

  test('are divided and rounded up, so that each worker can do something and none of it is lost', () => {
    expect(divided.limits.connections).toBe(501);
    expect(divided.upstreams.get('a')!.pool).toMatchObject({ maxConnections: 4, maxQueued: 0 });
    expect(divided.upstreams.get('b')!.pool).toMatchObject({ maxConnections: 128, maxQueued: 512 });
  });

  test('are all that is divided: the configuration and its hash stay', () => {
    const { pool, ...rest } = divided.upstreams.get('a')!;
    expect(rest).toEqual({ ...config.upstreams.get('a')!, pool: undefined });
    expect(pool.idleTimeout).toBe(config.upstreams.get('a')!.pool.idleTimeout);
    expect({ ...divided, limits: config.limits, upstreams: config.upstreams }).toEqual(config);
    expect(config.limits.connections).toBe(1001);
  });
});

test('a heap that is a part of the memory is divided among the workers; other arguments stay', () => {
  expect(divideHeap(['--max-old-space-size-percentage=50', '--max-semi-space-size=16'], 4)).toEqual([
    '--max-old-space-size-percentage=12.5',
    '--max-semi-space-size=16',
  ]);
  expect(divideHeap(['--max-old-space-size-percentage=50'], 256)).toEqual([
    '--max-old-space-size-percentage=1',
  ]);
});

describe('the pause before a restart', () => {
  test('is none after the first short life, then doubles up to half a minute', () => {
    const pauses = Array.from({ length: 14 }, (_, lives) => restartDelayMs(lives));
    expect(pauses.slice(0, 6)).toEqual([0, 0, 100, 200, 400, 800]);
    expect(pauses.at(-1)).toBe(30_000);
    expect(restartDelayMs(10_000)).toBe(30_000);
  });

  test('begins anew after a life of a minute', () => {
    expect(countShortLives(7, 59_999)).toBe(8);
    expect(countShortLives(7, 60_000)).toBe(0);
  });
});

// A short run of soak.ts: after aborts, resets, time-outs, refusals and reloads nothing is left open and the
// heap is flat. The program itself runs 200,000 exchanges.
import { describe, expect, it } from 'vitest';
import { soak } from './soak.ts';

const sockets = (resources: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(resources).filter(([kind]) => kind !== 'Timeout'));

describe('thousands of exchanges, many of them broken', () => {
  it('leave no socket, no timer and no memory behind', async () => {
    const result = await soak(3000, Math.floor(Math.random() * 2 ** 31));
    // Every kind of end was played.
    expect(Object.keys(result.ends)).toHaveLength(13);
    expect(sockets(result.resourcesAfter)).toEqual(sockets(result.resourcesBefore));
    // The runner has a timer of its own, which may come and go.
    const timers = (result.resourcesAfter.Timeout ?? 0) - (result.resourcesBefore.Timeout ?? 0);
    expect(timers).toBeLessThanOrEqual(1);
    expect(result.liveBytesLate - result.liveBytesEarly).toBeLessThan(8 * 1024 * 1024);
  }, 120_000);
});

// A short run of fuzz.ts: hostile clients and hostile upstreams together with honest ones. `npm run fuzz` runs longer.
import { describe, expect, it } from 'vitest';
import { fuzz } from './fuzz.ts';

describe('hostile bytes on both sides', () => {
  it('reach nobody else, arrive in one meaning or not at all, and stop nothing', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const tally = await fuzz(seed, ({ rounds }) => rounds > 0);
    // Inputs that were all refused, or all honest, would prove nothing.
    expect(tally.rounds).toBeGreaterThanOrEqual(384);
    for (const [what, count] of Object.entries(tally)) expect(count, what).toBeGreaterThan(50);
  }, 120_000);
});

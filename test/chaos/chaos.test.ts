// The short form of the chaos suite: every fault once, against request-splitter alone. The whole one, beside nginx and
// HAProxy, is run.ts; docs/reliability.md holds what it printed.
import { describe, expect, inject, it } from 'vitest';
import { FAULTS, type Intensity, play } from './faults.ts';
import { lostOf } from './load.ts';

const SHORT: Intensity = { rate: 50, times: 1, everyMs: 1000, hostile: 280 };

/** Requests that a fault may cost: those that were under way when it came, and that must not be sent again. */
const LOST_MAX: Readonly<Record<string, number>> = {
  'one-of-two-killed': 10,
  'one-of-two-stopped': 5,
  // And those that came while there was no server, or before it was found again.
  'only-one-killed': 20,
  'one-of-two-resets': 10,
  // A second's worth at the most: a busy machine has many under way.
  'worker-killed': 80,
  // The two clients of an unasked answer that came too soon after the asked one.
  'second-answers': 10,
};

describe.concurrent('under a fault', { timeout: 120_000 }, () => {
  it.each(FAULTS)(
    '$title: no request gets an answer that is not its own, none is lost that could be kept',
    async (fault) => {
      const tally = await play(fault, 'request-splitter', SHORT, { main: inject('builtMain') });
      expect(tally.sent).toBeGreaterThan(20);
      if (fault.name !== 'second-answers') expect(tally.wrong).toBe(0);
      const whileDown = fault.name === 'only-one-killed' ? ((tally.downMs + 1000) / 1000) * SHORT.rate : 0;
      const lostMax = (LOST_MAX[fault.name] ?? 0) + whileDown;
      expect({ lost: tally.lost, isWithin: lostOf(tally) <= lostMax }).toEqual({
        lost: tally.lost,
        isWithin: true,
      });
    },
  );
});

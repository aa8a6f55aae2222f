// The short form of the chaos suite: every fault once, against request-splitter alone. The whole one, beside nginx and
// HAProxy, is run.ts; docs/reliability.md holds what it printed.
import { describe, expect, inject, it } from 'vitest';
import { FAULTS, type Intensity, play } from './faults.ts';
import { lostBeside, lostOf } from './load.ts';

const SHORT: Intensity = { rate: 50, times: 1, everyMs: 1000, hostile: 280 };

/** Faults of a server that spoils every tenth request: a reset after it, or an unasked answer after every twentieth. */
const SPOILS_A_TENTH = ['one-of-two-resets', 'second-answers'];

describe.concurrent('under a fault', { timeout: 120_000 }, () => {
  it.each(FAULTS)(
    '$title: no request gets an answer that is not its own, none is lost that could be kept',
    async (fault) => {
      const tally = await play(fault, 'request-splitter', SHORT, { main: inject('builtMain') });
      expect(tally.sent).toBeGreaterThan(20);
      if (fault.name !== 'second-answers') expect(tally.wrong).toBe(0);
      if (SPOILS_A_TENTH.includes(fault.name)) {
        expect(lostOf(tally)).toBeLessThanOrEqual(Math.ceil(tally.sent / 10));
      } else {
        // A request may be lost that was open while something broke; one that came before or after it may not.
        const { lost, strikes } = tally;
        expect({ lost, beside: lostBeside(tally, strikes) }).toEqual({ lost, beside: 0 });
      }
    },
  );
});

// A clock that the test controls: performance.now, Date and the timers of this process stop until the test advances them,
// while sockets work as usual. A time limit then has its real length and passes when the test says so, on any machine.
import { onTestFinished, vi } from 'vitest';

/** How far the clock goes at once while something is awaited; the splitter looks at its limits every 50 ms. */
const STEP_MS = 50;
/** Real turns of the loop after each step, in which sockets are read and written. */
const TURNS = 4;

export class Clock {
  /** Stops time until the end of the test. */
  static stop(): Clock {
    vi.useFakeTimers({
      toFake: ['performance', 'Date', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'],
    });
    onTestFinished(() => void vi.useRealTimers());
    return new Clock();
  }

  /** Milliseconds of this clock. */
  get now(): number {
    return performance.now();
  }

  /** Lets `ms` pass in one step, and what is due then happen. */
  async advance(ms: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(ms);
    await turns(TURNS);
  }

  /** Lets time pass until `awaited` settles; how long that took on this clock, in milliseconds. */
  async passUntil(awaited: Promise<unknown>): Promise<number> {
    const from = this.now;
    let isSettled = false;
    const settled = awaited.finally(() => {
      isSettled = true;
    });
    // What has happened already needs no time at all.
    await turns(TURNS);
    while (!isSettled) await this.advance(STEP_MS);
    await settled;
    return this.now - from;
  }
}

/** Lets the sockets of this process be read and written. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

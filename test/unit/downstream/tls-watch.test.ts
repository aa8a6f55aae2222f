// One look a second at all TLS connections: those that hold what nobody has written end, and nobody else does.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TlsWatch } from '../../../src/downstream/tls-watch.ts';
import { Deadlines } from '../../../src/transport/deadlines.ts';

class Connection {
  readonly wire = { strayBytes: 0 };
  isDestroyed = false;
  destroy(): void {
    this.isDestroyed = true;
  }
}

describe('the watch over TLS connections', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('ends the one that holds more than a mebibyte that nobody has written, within a second', () => {
    const watch = new TlsWatch(new Deadlines());
    const [good, bad] = [new Connection(), new Connection()];
    for (const one of [good, bad]) watch.add(one);
    good.wire.strayBytes = 1_048_576;
    vi.advanceTimersByTime(1100);
    expect([good.isDestroyed, bad.isDestroyed]).toEqual([false, false]);
    bad.wire.strayBytes = 1_048_577;
    vi.advanceTimersByTime(1100);
    expect([good.isDestroyed, bad.isDestroyed]).toEqual([false, true]);
  });

  it('looks at none that has gone, rests while there is none, and begins again', () => {
    const deadlines = new Deadlines();
    const watch = new TlsWatch(deadlines);
    const [gone, next] = [new Connection(), new Connection()];
    watch.add(gone);
    expect(deadlines.size).toBe(1);
    watch.remove(gone);
    watch.remove(gone);
    expect(deadlines.size).toBe(0);
    gone.wire.strayBytes = 9e9;
    vi.advanceTimersByTime(3000);
    expect(gone.isDestroyed).toBe(false);
    watch.add(next);
    next.wire.strayBytes = 9e9;
    vi.advanceTimersByTime(1100);
    expect(next.isDestroyed).toBe(true);
  });
});

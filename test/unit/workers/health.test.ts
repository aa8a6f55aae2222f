// How all workers together find an upstream: an address is healthy when every worker finds it so.
import { describe, expect, it } from 'vitest';
import type { AddressView } from '../../../src/telemetry/running.ts';
import { viewUpstream } from '../../../src/workers/health.ts';

const view = (address: string, more: Partial<AddressView> = {}): AddressView => ({
  address,
  healthy: true,
  state: 'healthy',
  since: '2030-01-01T00:00:00.000Z',
  lastFailure: null,
  inFlight: 1,
  idle: 2,
  ...more,
});

describe('an upstream of several workers', () => {
  it('has no trouble where no worker has, one of all, or one of some', () => {
    const troubles: (string | null)[] = [null, null, null];
    const upstream = viewUpstream('u', () => troubles.map((trouble) => ({ trouble, addresses: [] })));
    expect(upstream.name).toBe('u');
    expect(upstream.trouble).toBeNull();
    troubles[1] = 'no address answers';
    expect(upstream.trouble).toBe('no address answers (so say 1 of 3 workers)');
    troubles.fill('no address answers');
    expect(upstream.trouble).toBe('no address answers');
  });

  it('adds up connections, and shows the worst state with its time', () => {
    const failed = (at: string) => ({ at, code: 'UPSTREAM_RESET', cause: null }) as const;
    const since = '2030-01-01T00:05:00.000Z';
    const upstream = viewUpstream('u', () => [
      { trouble: null, addresses: [view('a', { lastFailure: failed('2030-01-01T00:01') }), view('b')] },
      {
        trouble: null,
        addresses: [
          view('a', { healthy: false, state: 'ejected', since, lastFailure: failed('2030-01-01T00:02') }),
        ],
      },
      {
        trouble: null,
        addresses: [view('a', { healthy: false, state: 'failing' }), view('c', { inFlight: 5, idle: 0 })],
      },
    ]);
    expect(upstream.describe()).toEqual([
      {
        address: 'a',
        healthy: false,
        state: 'ejected',
        since,
        lastFailure: failed('2030-01-01T00:02'),
        inFlight: 3,
        idle: 6,
      },
      view('b'),
      view('c', { inFlight: 5, idle: 0 }),
    ]);
  });
});

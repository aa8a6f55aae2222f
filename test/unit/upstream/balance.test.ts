// The choice among the addresses of an upstream: two different candidates by weight, trials, backups, and what is left
// when none is healthy.
import { describe, expect, it } from 'vitest';
import { membersOf } from '../../../src/config/options/upstream.ts';
import { Address, UpstreamServer } from '../../../src/upstream/address.ts';
import { type ChoosingExchange, chooseAddress } from '../../../src/upstream/balance.ts';
import { OTHERS } from '../../../src/upstream/health.ts';
import { configOf } from '../../support/splitter.ts';

const eject = { failures: 1, time: 1000, timeMax: 60_000 };

function addressOf(weight = 1, inFlight = 0, backup = false): Address {
  const servers = [{ url: 'http://127.0.0.1:1', weight, backup }, { url: 'http://127.0.0.1:2' }];
  const config = configOf({ upstreams: { u: { servers } }, routes: [{ upstream: 'u' }] }).upstreams.get('u')!;
  const server = new UpstreamServer(0, membersOf(config)[0]!, config, () => {}, 0);
  const address = new Address('127.0.0.1', server, '');
  address.inFlight = inFlight;
  return address;
}

const ejectAt = (now: number, address: Address) =>
  address.health.observeFailure(now, eject, OTHERS.allHealthy);

/** An exchange that failed at these addresses. */
const exchangeOf = (failedAddresses: Address[] = [], isPipelinable = true): ChoosingExchange => ({
  isPipelinable,
  attempts: { failedAddresses },
});

/** How often each address is chosen. */
function count(addresses: readonly Address[], times: number, failed: Address[] = [], now = 0): number[] {
  const counts = addresses.map(() => 0);
  const exchange = exchangeOf(failed);
  for (let i = 0; i < times; i++) counts[addresses.indexOf(chooseAddress(addresses, exchange, now)!)]!++;
  return counts;
}

describe('the choice of an address', () => {
  it('never falls on the busier one of two', () => {
    expect(count([addressOf(1, 1), addressOf()], 200)).toEqual([0, 200]);
    expect(count([addressOf(4, 3), addressOf(1, 1)], 200)).toEqual([200, 0]);
  });

  it('never falls on the busiest one of three, and shares the rest', () => {
    const [a, b, c] = count([addressOf(1, 9), addressOf(), addressOf()], 600);
    expect(a).toBe(0);
    // 300 each; six standard deviations are 74.
    expect(Math.abs(b! - c!)).toBeLessThan(148);
  });

  it('goes by weight among equally busy ones', () => {
    const [a, b] = count([addressOf(3), addressOf(1)], 1000);
    expect(a! + b!).toBe(1000);
    // 750 expected; six standard deviations are 82.
    expect(Math.abs(a! - 750)).toBeLessThan(82);
  });

  it('takes a backup only while no other is healthy, and one that failed for this exchange never', () => {
    const [a, b, backup] = [addressOf(), addressOf(), addressOf(1, 0, true)];
    expect(count([backup, a, b], 100)[0]).toBe(0);
    expect(count([backup, a, b], 100, [a])).toEqual([0, 0, 100]);
    expect(count([backup, a, b], 100, [a, b])).toEqual([100, 0, 0]);
  });

  it('makes the first exchange after an ejection the trial, but none that has failed elsewhere', () => {
    const [a, b, c] = [addressOf(1, 5), addressOf(), addressOf()];
    ejectAt(0, a);
    expect(count([a, b, c], 50, [], 999)[0]).toBe(0);
    expect(count([a, b, c], 50, [], 1000)).toEqual([50, 0, 0]);
    expect(count([a, b, c], 50, [b], 1000)).toEqual([0, 0, 50]);
    a.health.beginTrial();
    expect(count([a, b, c], 50, [], 1000)[0]).toBe(0);
  });

  it('keeps what cannot be sent again from an address that failed a short time ago', () => {
    const [a, b] = [addressOf(), addressOf(1, 5)];
    const post = exchangeOf([], false);
    expect(chooseAddress([a, b], post, 0)).toBe(a);
    expect(a.health.observeLoss(0)).toBe(false);
    expect(chooseAddress([a, b], post, 9_999)).toBe(b);
    expect(chooseAddress([a, b], exchangeOf(), 9_999)).toBe(a);
    expect(chooseAddress([a, b], post, 10_000)).toBe(a);
    // With most of them on probation one would carry everything.
    const c = addressOf(1, 9);
    b.health.observeLoss(9_000);
    a.health.observeLoss(10_000);
    expect(chooseAddress([a, b, c], post, 10_000)).not.toBe(c);
  });

  it('makes no request the trial that cannot be sent again, before the probation ends', () => {
    const [a, b] = [addressOf(), addressOf(1, 5)];
    ejectAt(0, a);
    const post = exchangeOf([], false);
    expect([1000, 10_999].map((now) => chooseAddress([a, b], post, now))).toEqual([b, b]);
    expect(chooseAddress([a, b], post, 11_000)).toBe(a);
    expect(chooseAddress([a, b], exchangeOf(), 1000)).toBe(a);
  });

  it('falls on the one that comes back first when all are ejected, and on none when the probes found all down', () => {
    const [a, b, down] = [addressOf(), addressOf(), addressOf()];
    down.health.observeProbe(false);
    ejectAt(500, a);
    ejectAt(0, b);
    expect(chooseAddress([a, b, down], exchangeOf(), 900)).toBe(b);
    expect(chooseAddress([a, b, down], exchangeOf([b]), 900)).toBe(a);
    expect(chooseAddress([down], exchangeOf(), 0)).toBeNull();
    expect(chooseAddress([down, down], exchangeOf(), 0)).toBeNull();
  });
});

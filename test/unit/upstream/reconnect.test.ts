// Which exchanges wait for an upstream that refuses every connect, which one tries again, and when the outage is over. The
// test passes the time in.
import { describe, expect, it, onTestFinished } from 'vitest';
import { Deadlines } from '../../../src/transport/deadlines.ts';
import { Reconnect } from '../../../src/upstream/reconnect.ts';
import { FakeExchange } from '../../support/fake-exchange.ts';

const exchangeOf = (name: string) => new FakeExchange(name);

/** Holds that last `limitMs` at most, and the names of those that have tried again. */
function open(limitMs = 2000) {
  const deadlines = new Deadlines();
  onTestFinished(() => deadlines.stop());
  const tried: string[] = [];
  const reconnect: Reconnect = new Reconnect(deadlines, limitMs, (exchange) => {
    reconnect.forget(exchange);
    tried.push((exchange as FakeExchange).name);
  });
  /** A try is due: one exchange connects and is refused. */
  const refuse = (now: number, exchange: FakeExchange) => {
    reconnect.onDeadline(now);
    reconnect.refused(now, 'UPSTREAM_CONNECT_FAILED', null);
    return reconnect.hold(exchange, now);
  };
  return { reconnect, tried, deadlines, refuse };
}

describe('an outage', () => {
  it('that has just begun is waited out, for two seconds from its beginning', () => {
    const { reconnect, tried, refuse } = open();
    const [first, late] = [exchangeOf('first'), exchangeOf('late')];
    expect(reconnect.hold(first, 1000)).toBe(true);
    expect(reconnect.hold(late, 2900)).toBe(true);
    expect([first.attempts.reconnectUntil, late.attempts.reconnectUntil]).toEqual([3000, 3100]);
    expect(refuse(2950, first)).toBe(true);
    expect(tried).toEqual(['first']);
    expect(refuse(3050, late)).toBe(true);
    expect(first.failures).toEqual(['UPSTREAM_CONNECT_FAILED']);
    expect(late.failures).toEqual([]);
  });

  it('that goes on leaves each exchange one more try', () => {
    const { reconnect, refuse } = open();
    reconnect.forget(exchangeOf('unknown'));
    reconnect.hold(exchangeOf('first'), 0);
    const late = exchangeOf('late');
    reconnect.hold(late, 60_000);
    expect(late.attempts.reconnectUntil).toBe(60_200);
    expect(refuse(60_250, exchangeOf('another'))).toBe(true);
    expect(late.failures).toEqual(['UPSTREAM_CONNECT_FAILED']);
  });

  it('is over with the first connect that is accepted: all go on, and the next one is a new outage', () => {
    const { reconnect } = open();
    const held = ['a', 'b'].map(exchangeOf);
    for (const one of held) reconnect.hold(one, 0);
    expect(reconnect.accepted()).toEqual(held);
    expect([reconnect.size, reconnect.accepted()]).toEqual([0, []]);
    const next = exchangeOf('next');
    reconnect.hold(next, 60_000);
    expect(next.attempts.reconnectUntil).toBe(62_000);
  });

  it('is waited out no longer than the upstream allows', () => {
    const { reconnect } = open(500);
    const exchange = exchangeOf('a');
    reconnect.hold(exchange, 0);
    expect(exchange.attempts.reconnectUntil).toBe(500);
    reconnect.forget(exchange);
    expect(reconnect.hold(exchange, 500)).toBe(false);
  });

  it('keeps a time limit only while somebody waits', () => {
    const { reconnect, deadlines } = open();
    const exchange = exchangeOf('a');
    expect(deadlines.size).toBe(0);
    reconnect.hold(exchange, 0);
    expect([deadlines.size, reconnect.has(exchange)]).toEqual([1, true]);
    expect([reconnect.forget(exchange), reconnect.forget(exchange)]).toEqual([true, false]);
    expect([deadlines.size, reconnect.has(exchange)]).toEqual([0, false]);
  });
});

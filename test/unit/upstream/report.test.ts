// What is reported of an upstream: one event for each change of its state, a bounded number of them, and in the end
// always the state that it is in.
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { causeOf } from '../../../src/errors.ts';
import { AddressHealth, OTHERS } from '../../../src/upstream/health.ts';
import {
  type ReportedAddress,
  type ReportedName,
  type UpstreamEvent,
  UpstreamEvents,
  UpstreamReport,
} from '../../../src/upstream/report.ts';

const REFUSED = causeOf('ECONNREFUSED');

const makeAddress = (name: string): ReportedAddress => ({
  name,
  health: new AddressHealth(),
  server: { eject: { failures: 3 } },
  isOut: false,
  since: 0,
  lastFailure: null,
});

function makeReport() {
  const events: UpstreamEvent[] = [];
  const report = new UpstreamReport('u', new UpstreamEvents((event) => events.push(event)));
  onTestFinished(() => report.stop());
  return { report, events, messages: () => events.map(({ msg }) => msg) };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
  vi.setSystemTime(new Date('2030-01-01T00:00:00Z'));
  onTestFinished(() => {
    vi.useRealTimers();
  });
});

it('a refused connect is one event, however often it comes, and the next connection ends it', () => {
  const { report, events } = makeReport();
  const address = makeAddress('10.0.0.1');
  for (let i = 0; i < 50; i++) report.failed(address, [address], 'UPSTREAM_CONNECT_FAILED', REFUSED, 0);
  vi.advanceTimersByTime(30_000);
  report.connected(address);
  report.connected(address);
  expect(events).toEqual([
    {
      msg: 'upstream unreachable',
      upstream: 'u',
      address: '10.0.0.1',
      code: 'UPSTREAM_CONNECT_FAILED',
      cause: 'ECONNREFUSED',
    },
    { msg: 'upstream reachable again', upstream: 'u', address: '10.0.0.1', lastedMs: 30_000 },
  ]);
});

it('an upstream is unreachable when its last address is', () => {
  const { report, messages } = makeReport();
  const [a, b] = [makeAddress('a'), makeAddress('b')];
  report.failed(a, [a, b], 'UPSTREAM_CONNECT_FAILED', REFUSED, 0);
  expect(messages()).toEqual([]);
  report.failed(b, [a, b], 'UPSTREAM_CONNECT_TIMEOUT', null, 0);
  expect(messages()).toEqual(['upstream unreachable']);
});

it('single failed exchanges are no state; as many in a row as eject an address are', () => {
  const { report, events } = makeReport();
  const address = makeAddress('a');
  const fail = () => {
    address.health.observeFailure(0, { failures: 3, time: 1, timeMax: 1 }, OTHERS.noneHealthy);
    report.failed(address, [address], 'UPSTREAM_RESPONSE_TIMEOUT', null, 0);
  };
  fail();
  fail();
  expect(events).toEqual([]);
  fail();
  expect(events).toMatchObject([{ msg: 'upstream failing', code: 'UPSTREAM_RESPONSE_TIMEOUT' }]);
  // That it accepts a connection says nothing of its answers.
  report.connected(address);
  expect(events).toHaveLength(1);
  report.recovered(address, null);
  expect(events[1]).toMatchObject({ msg: 'upstream works again' });
});

it('an ejection says why and for how long', () => {
  const { report, events } = makeReport();
  const [a, b] = [makeAddress('a'), makeAddress('b')];
  report.failed(a, [a, b], 'UPSTREAM_RESET', causeOf('ECONNRESET'), 1000);
  vi.advanceTimersByTime(1500);
  report.recovered(a, 'address reinstated');
  expect(events).toMatchObject([
    {
      msg: 'address ejected',
      address: 'a',
      code: 'UPSTREAM_RESET',
      cause: 'ECONNRESET',
      ejectedMs: 1000,
    },
    { msg: 'address reinstated', address: 'a' },
  ]);
});

it('a name that does not resolve is one event with the code of getaddrinfo', () => {
  const { report, events } = makeReport();
  const resolver = { failure: new Error(), addresses: [] as string[] };
  const name: ReportedName = { url: { host: 'backend' }, resolver, unresolvedSince: 0 };
  report.lookedUp(name, causeOf('EAI_AGAIN', 'backend'), true);
  report.lookedUp(name, causeOf('EAI_AGAIN', 'backend'), true);
  vi.advanceTimersByTime(5000);
  resolver.addresses = ['10.0.0.1'];
  report.lookedUp(name, null, false);
  report.connected(makeAddress('10.0.0.1'));
  expect(events).toMatchObject([
    { msg: 'name does not resolve', name: 'backend', cause: 'EAI_AGAIN; backend', addresses: 0 },
    { msg: 'upstream unreachable', name: 'backend', code: 'UPSTREAM_UNRESOLVED' },
    { msg: 'name resolves again', name: 'backend', addresses: 1, lastedMs: 5000 },
    { msg: 'upstream reachable again', address: '10.0.0.1', lastedMs: 5000 },
  ]);
});

it('a state that flaps costs a bounded number of events, and the last one tells the state that stays', () => {
  const { report, events } = makeReport();
  const address = makeAddress('a');
  for (let i = 0; i < 500; i++) {
    report.failed(address, [address], 'UPSTREAM_CONNECT_FAILED', REFUSED, 0);
    report.connected(address);
  }
  report.failed(address, [address], 'UPSTREAM_CONNECT_FAILED', REFUSED, 0);
  expect(events).toHaveLength(10);
  expect(events.at(-1)!.msg).toBe('upstream reachable again');
  vi.advanceTimersByTime(10_000);
  expect(events).toHaveLength(11);
  expect(events.at(-1)).toMatchObject({ msg: 'upstream unreachable', leftOut: expect.any(Number) });
});

it('thousands of upstreams that fail at once share one budget', () => {
  const events: UpstreamEvent[] = [];
  const sink = new UpstreamEvents((event) => events.push(event));
  for (let i = 0; i < 2000; i++) {
    const report = new UpstreamReport(`u${i}`, sink);
    onTestFinished(() => report.stop());
    const address = makeAddress('a');
    report.failed(address, [address], 'UPSTREAM_CONNECT_FAILED', REFUSED, 0);
  }
  expect(events).toHaveLength(100);
});

it('nothing is reported of an upstream that was given up', () => {
  const { report, events } = makeReport();
  report.stop();
  const address = makeAddress('a');
  report.failed(address, [address], 'UPSTREAM_CONNECT_FAILED', REFUSED, 0);
  expect(events).toEqual([]);
});

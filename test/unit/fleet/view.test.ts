// What several pods have counted, added up: a user of several pods is one user, a number is added once, whatever restarts.
import { describe, expect, test } from 'vitest';
import { describeFleet } from '../../../src/fleet/status.ts';
import { FleetView } from '../../../src/fleet/view.ts';
import { adoptSample, decodeSample, encodeSample } from '../../../src/telemetry/sample-state.ts';
import { FleetPodModel } from '../../support/fleet-pods.ts';
import { randomHashes, randomWords } from '../../support/random.ts';

const threePods = () => ['1', '2', '3'].map((id) => new FleetPodModel(id, `10.0.0.${id}:9901`));
const keysOf = (view: FleetView) => view.splits[0]!.sample.counts().map(({ keys }) => Math.round(keys));
const requestsOf = (view: FleetView) =>
  view.splits[0]!.sample.rows.map(({ endings }) => endings.reduce((sum, count) => sum + count, 0));

describe('a fleet', () => {
  test('counts a user of three pods once, and every request once, however often it asks', () => {
    const pods = threePods();
    const hashes = randomHashes(3000, 1);
    for (const hash of hashes) for (const pod of pods) pod.visit(hash);
    const view = new FleetView();
    for (let round = 0; round < 3; round += 1) view.take(pods.map((pod) => pod.answer()));
    const [a, b] = keysOf(view);
    expect(Math.abs(a! + b! - 3000)).toBeLessThan(30);
    expect(requestsOf(view).reduce((sum, count) => sum + count, 0)).toBe(9000);
    expect([...view.counters.variants()].reduce((sum, row) => sum + row.ended, 0)).toBe(9000);
  });

  test('raises no alarm when the users of one variant return twice as often, in any of 20 runs', () => {
    for (let run = 0; run < 20; run += 1) {
      const pods = threePods();
      const random = randomWords(run + 1);
      for (const hash of randomHashes(4000, run + 10)) {
        const visits = hash < 2 ** 31 ? 4 : 2;
        for (let visit = 0; visit < visits; visit += 1) pods[random() % 3]!.visit(hash);
      }
      const view = new FleetView();
      view.take(pods.map((pod) => pod.answer()));
      expect([run, view.splits[0]!.sample.verdict().isMismatch]).toEqual([run, false]);
      const expected = [0, 1].map(
        (index) => randomHashes(4000, run + 10).filter((hash) => hash >= 2 ** 31 === (index === 1)).length,
      );
      for (const [index, keys] of keysOf(view).entries())
        expect(Math.abs(keys / expected[index]! - 1)).toBeLessThan(0.01);
    }
  });

  test('says that a variant hurts when each pod alone has too few users to say so', () => {
    const pods = threePods();
    const random = randomWords(7);
    for (const hash of randomHashes(1500, 3))
      pods[random() % 3]!.visit(hash, hash >= 2 ** 31 && hash % 25 === 0);
    for (const pod of pods) expect(pod.sample.verdict().level).not.toBe('stop');
    const view = new FleetView();
    view.take(pods.map((pod) => pod.answer()));
    expect(view.splits[0]!.sample.verdict()).toMatchObject({ level: 'stop', state: 'hurts' });
  });

  test('keeps what a pod has counted after the pod is gone, and names one that does not answer', () => {
    const pods = threePods();
    for (const hash of randomHashes(900, 4)) pods[hash % 3]!.visit(hash);
    const view = new FleetView();
    view.take(pods.map((pod) => pod.answer()));
    const before = keysOf(view);
    view.take([pods[0]!.answer(), pods[1]!.silent(), pods[2]!.answer()]);
    expect(keysOf(view)).toEqual(before);
    expect(view.pods[1]).toMatchObject({
      address: '10.0.0.2:9901',
      state: 'silent',
      problem: 'connection refused',
    });
    view.take([pods[0]!.answer()]);
    expect(keysOf(view)).toEqual(before);
    expect(requestsOf(view).reduce((sum, count) => sum + count, 0)).toBe(900);
  });

  test('adds the numbers of a process once that another one has gone on from', () => {
    const old = new FleetPodModel('old', '10.0.0.1:9901');
    for (const hash of randomHashes(600, 5)) old.visit(hash);
    const view = new FleetView();
    view.take([old.answer()]);
    for (const hash of randomHashes(50, 6)) old.visit(hash);
    const next = new FleetPodModel('next', '10.0.0.1:9901');
    adoptSample(next.sample, decodeSample(encodeSample(old.sample)));
    next.adopted.push('old');
    for (const hash of randomHashes(40, 7)) next.visit(hash);
    for (let round = 0; round < 2; round += 1) view.take([next.answer()]);
    expect(requestsOf(view).reduce((sum, count) => sum + count, 0)).toBe(690);
    // Its last answer before it ended is on the way for a moment longer.
    view.take([next.answer(), old.answer()]);
    expect(requestsOf(view).reduce((sum, count) => sum + count, 0)).toBe(690);
  });

  test('goes on with the alarms of an earlier process, until the sample begins again', () => {
    const pods = threePods();
    const now = pods[0]!.sample.since.getTime() + 60_000;
    for (const hash of randomHashes(1500, 3)) pods[hash % 3]!.visit(hash, hash >= 2 ** 31 && hash % 25 === 0);
    const first = new FleetView();
    first.take(
      pods.map((pod) => pod.answer()),
      now,
    );
    expect(first.splits[0]!.sample.verdict().state).toBe('hurts');
    const { alarms } = first;

    // Numbers that no longer say so: two pods have ended, and the third one alone has seen too little.
    const level = (view: FleetView) => view.splits[0]!.sample.verdict().level;
    const without = new FleetView();
    without.take([pods[0]!.answer()], now);
    expect(level(without)).not.toBe('stop');
    const second = new FleetView();
    second.restore(alarms);
    second.take([pods[0]!.answer(), pods[1]!.silent()], now);
    expect(level(second)).toBe('stop');
    expect(second.alarms[0]!.evidence.alarms).not.toEqual([]);

    // A sample that began after the earlier process last saw it is another one, but not while a pod is silent.
    const later = new FleetView();
    later.restore(alarms.map((one) => ({ ...one, seenMs: 1 })));
    later.take([pods[0]!.answer(), pods[1]!.silent()], now);
    expect(level(later)).not.toBe('stop');
    expect(later.alarms[0]!.seenMs).toBe(1);
    later.take([pods[0]!.answer()], now);
    expect(level(later)).not.toBe('stop');
    expect(later.alarms[0]!.seenMs).toBe(now);
  });

  test('adds durations up in equal buckets only, and in those that most pods have', () => {
    const durationsOf = (view: FleetView) => {
      const { rows } = view.splits[0]!.sample;
      const sum = (cells: Float64Array) => cells.reduce((all, count) => all + count, 0);
      const counted = [...view.counters.variants()].map((row) => sum(row.durations));
      return [rows.reduce((all, row) => all + sum(row.durations), 0), counted.reduce((a, b) => a + b, 0)];
    };
    const pods = threePods();
    for (const hash of randomHashes(600, 12)) pods[hash % 3]!.visit(hash);
    const of = (pod: FleetPodModel) => pod.sample.rows.reduce((sum, row) => sum + row.endings[0]!, 0);
    const view = new FleetView();
    pods[2]!.counters.durationBounds = [0.1, 1];
    expect(view.take(pods.map((pod) => pod.answer()))).toBe(false);
    const two = of(pods[0]!) + of(pods[1]!);
    expect(durationsOf(view)).toEqual([two, two]);
    expect(requestsOf(view)[0]! + requestsOf(view)[1]!).toBe(600);
    expect(describeFleet(view, 'frontend', [], null).fleet.problems).toEqual([
      '1 of 3 pods have other metrics.durationBuckets, and their durations are not in these numbers',
    ]);
    // A rollout: now most have the new ones.
    pods[1]!.counters.durationBounds = [0.1, 1];
    expect(view.take(pods.map((pod) => pod.answer()))).toBe(true);
    const other = of(pods[1]!) + of(pods[2]!);
    expect(view.counters.durationBounds).toEqual([0.1, 1]);
    expect(durationsOf(view)).toEqual([other, other]);
    view.take(pods.map((pod) => pod.answer()));
    expect(durationsOf(view)).toEqual([other, other]);
    expect(requestsOf(view)[0]! + requestsOf(view)[1]!).toBe(600);
  });

  test('shows the definition that most pods have, and says how many have another one', () => {
    const pods = threePods();
    const other = new FleetPodModel('4', '10.0.0.4:9901', {
      splits: {
        appversion: {
          variants: [
            { name: 'version_1a', share: '90%', upstream: 'a' },
            { name: 'version_1b', share: '*', upstream: 'b' },
          ],
        },
      },
    });
    other.hash = 'ffffffffffff';
    for (const hash of randomHashes(300, 8)) for (const pod of [...pods, other]) pod.visit(hash);
    const view = new FleetView();
    view.take([other, ...pods].map((pod) => pod.answer()));
    expect(view.splits[0]).toMatchObject({ pods: 3, podsOtherwise: 1 });
    expect(view.splits[0]!.variants[0]!.share).toBeCloseTo(0.5);
    const status = describeFleet(view, 'frontend', [], new Date(0));
    expect(status.fleet.hashes).toEqual(['ffffffffffff', '0123456789ab']);
    expect(status.fleet.problems).toEqual([
      'split appversion: 1 of 4 pods have another definition, whose keys are not in these numbers',
    ]);
  });

  test('is not there while no pod has answered', () => {
    const view = new FleetView();
    view.take([new FleetPodModel('1', '10.0.0.1:9901').silent('no answer within 5 s')]);
    expect(view.splits).toEqual([]);
    expect(describeFleet(view, 'frontend', [], null)).toMatchObject({
      state: 'starting',
      fleet: { answering: 0 },
    });
  });
});

// Which keys take part: the schedule of coverage by a clock of the test, and the facts that an explanation shows.
import { describe, expect, it } from 'vitest';
import type { SplitConfig } from '../../../src/config/options/split.ts';
import { Enrolment, enrolsAll, NEVER_STOPPED } from '../../../src/split/enrolment.ts';
import { configOf } from '../../support/splitter.ts';

const splitOf = (more: object): SplitConfig =>
  configOf({
    splits: {
      s: {
        ...('layer' in more ? {} : { key: '$arg_token' }),
        variants: [
          { name: 'a', share: '50%', upstream: 'http://a' },
          { name: 'b', share: '*', upstream: 'http://b' },
        ],
        ...more,
      },
    },
    ...('layer' in more ? { layers: { ads: { key: '$arg_token', free: ['0%-20%', '70%-100%'] } } } : {}),
  }).splits.get('s')!;

const KEYS = Array.from({ length: 1000 }, (_, i) => Buffer.from(`user-${i}`));
const enrolledOf = (enrolment: Enrolment) => KEYS.filter((key) => enrolment.enrols(key));

describe('coverage with steps', () => {
  const coverage = {
    steps: [
      { at: '2026-01-01T00:00Z', to: '10%' },
      { at: '2026-01-02T00:00Z', to: '60%' },
    ],
  };
  const split = splitOf({ coverage });

  it('enrols nothing before the first step, and each key once it has come', () => {
    let now = Date.parse('2025-12-31T23:59:59Z');
    const enrolment = new Enrolment('s', split, () => now, NEVER_STOPPED);
    expect([enrolment.coverage, enrolment.schedule.taken, enrolledOf(enrolment).length]).toEqual([0, 0, 0]);
    now = Date.parse('2026-01-01T00:00:00Z');
    const early = enrolledOf(enrolment);
    expect([enrolment.coverage, enrolment.schedule.taken]).toEqual([1000, 1]);
    expect(early.length / KEYS.length).toBeCloseTo(0.1, 1);
    now = Date.parse('2026-01-03T00:00:00Z');
    const later = enrolledOf(enrolment);
    expect([enrolment.coverage, enrolment.schedule.taken]).toEqual([6000, 2]);
    expect(later.length / KEYS.length).toBeCloseTo(0.6, 1);
    expect(early.filter((key) => !enrolment.enrols(key))).toEqual([]);
  });
});

describe('an explanation', () => {
  it('says where a key is, of 100 %, and that it is enrolled exactly below the coverage', () => {
    const enrolment = new Enrolment('s', splitOf({ coverage: '25%' }), () => 0, NEVER_STOPPED);
    const places = KEYS.map((key) => enrolment.explain(key));
    expect(places.filter((one) => one.isEnrolled !== one.positionPercent < 25)).toEqual([]);
    expect(places[0]).toMatchObject({ coverageRatio: 0.25, isStopped: false, layer: null });
  });

  it('of a stopped split has no coverage and no enrolled key', () => {
    const stop = { isStopped: false };
    const enrolment = new Enrolment('s', splitOf({}), () => 0, stop);
    expect(enrolment.explain(KEYS[0]!)).toMatchObject({ isEnrolled: true, coverageRatio: 1 });
    stop.isStopped = true;
    expect(enrolment.explain(KEYS[0]!)).toMatchObject({
      isEnrolled: false,
      coverageRatio: 0,
      isStopped: true,
    });
    expect(enrolment.isStopped).toBe(true);
  });

  it('of a split in a layer has the place in the layer, and enrols only inside the slot', () => {
    const split = splitOf({ layer: 'ads', slot: '20%-70%' });
    const enrolment = new Enrolment('s', split, () => 0, NEVER_STOPPED);
    const places = KEYS.map((key) => enrolment.explain(key));
    const isIn = ({ positionPercent }: { positionPercent: number }) =>
      positionPercent >= 20 && positionPercent < 70;
    expect(places.filter(({ layer }) => layer!.isInSlot !== isIn(layer!))).toEqual([]);
    expect(places.filter(({ isEnrolled, layer }) => layer!.isInSlot !== isEnrolled)).toEqual([]);
    expect(places.filter(({ isEnrolled }) => isEnrolled).length / KEYS.length).toBeCloseTo(0.5, 1);
  });

  it('only a split without coverage, layer and guard enrols all', () => {
    expect(enrolsAll(splitOf({}))).toBe(true);
    expect(enrolsAll(splitOf({ coverage: '99%' }))).toBe(false);
    expect(enrolsAll(splitOf({ layer: 'ads', slot: '20%-70%' }))).toBe(false);
  });
});

// Ejection of one address, folded over failures, successes, probes and times that are passed in.
import { describe, expect, it } from 'vitest';
import { AddressHealth, OTHERS } from '../../../src/upstream/health.ts';

const settings = { failures: 3, time: 1000, timeMax: 4000 };

describe('an address', () => {
  it('is healthy until as many failures in a row as the settings say', () => {
    const health = new AddressHealth();
    expect(health.observeFailure(0, settings, OTHERS.allHealthy)).toBe(false);
    expect(health.observeFailure(1, settings, OTHERS.allHealthy)).toBe(false);
    expect(health.isHealthy(1)).toBe(true);
    expect(health.observeFailure(2, settings, OTHERS.allHealthy)).toBe(true);
    expect(health.isHealthy(2)).toBe(false);
    expect(health.isHealthy(1001)).toBe(false);
    expect(health.isHealthy(1002)).toBe(true);
  });

  it('that succeeds in between starts to count anew', () => {
    const health = new AddressHealth();
    health.observeFailure(0, settings, OTHERS.allHealthy);
    health.observeFailure(0, settings, OTHERS.allHealthy);
    expect(health.observeSuccess()).toBe(false);
    expect(health.observeFailure(0, settings, OTHERS.allHealthy)).toBe(false);
    expect(health.isFailing).toBe(true);
  });

  it('that fails at its first trial is ejected again at once, each time for twice as long, up to the limit', () => {
    const health = new AddressHealth();
    for (let i = 0; i < 3; i++) health.observeFailure(0, settings, OTHERS.allHealthy);
    const lengths: number[] = [];
    let now = 0;
    for (let i = 0; i < 4; i++) {
      lengths.push(health.ejectedUntil - now);
      now = health.ejectedUntil;
      expect(health.observeFailure(now, settings, OTHERS.allHealthy)).toBe(true);
    }
    expect(lengths).toEqual([1000, 2000, 4000, 4000]);
  });

  it('is tried by one exchange when its ejection is over, and stays ejected for all others', () => {
    const health = new AddressHealth();
    for (let i = 0; i < 3; i++) health.observeFailure(0, settings, OTHERS.allHealthy);
    expect([health.needsTrial, health.isHealthy(999), health.isHealthy(1000)]).toEqual([true, false, true]);
    health.beginTrial();
    expect([health.needsTrial, health.isHealthy(1e9)]).toEqual([false, false]);
    expect(health.observeFailure(1500, settings, OTHERS.allHealthy)).toBe(true);
    expect([health.ejectedUntil, health.isHealthy(3499), health.isHealthy(3500)]).toEqual([
      3500,
      false,
      true,
    ]);
  });

  it('takes exchanges again once its trial is answered, and loses them at the next failure', () => {
    const health = new AddressHealth();
    for (let i = 0; i < 3; i++) health.observeFailure(0, settings, OTHERS.allHealthy);
    health.beginTrial();
    health.observeAnswer();
    expect([health.needsTrial, health.isHealthy(1000), health.isFailing]).toEqual([false, true, true]);
    expect(health.observeFailure(1001, settings, OTHERS.allHealthy)).toBe(true);
    expect(health.ejectedUntil).toBe(3001);
  });

  it('whose trial ends without a verdict is tried by the next exchange', () => {
    const health = new AddressHealth();
    for (let i = 0; i < 3; i++) health.observeFailure(0, settings, OTHERS.allHealthy);
    health.beginTrial();
    health.endTrial();
    expect([health.needsTrial, health.isHealthy(1000)]).toEqual([true, true]);
    health.observeAnswer();
    health.endTrial();
    expect(health.needsTrial).toBe(false);
  });

  it('that fails its trial as the last healthy one takes exchanges again', () => {
    const health = new AddressHealth();
    for (let i = 0; i < 3; i++) health.observeFailure(0, settings, OTHERS.allHealthy);
    health.beginTrial();
    expect(health.observeFailure(1000, settings, OTHERS.noneHealthy)).toBe(false);
    expect([health.needsTrial, health.isHealthy(1000)]).toEqual([false, true]);
  });

  it('is reinstated by the success of its trial, not of an exchange from before its ejection', () => {
    const health = new AddressHealth();
    for (let i = 0; i < 3; i++) health.observeFailure(0, settings, OTHERS.allHealthy);
    expect(health.observeSuccess()).toBe(false);
    health.beginTrial();
    expect(health.observeSuccess()).toBe(false);
    expect(health.isFailing).toBe(true);
    health.observeAnswer();
    expect(health.observeSuccess()).toBe(true);
    expect([health.isFailing, health.isHealthy(0)]).toEqual([false, true]);
  });

  it('is on probation for 10 s after its ejection, and forgets only then how often it was ejected', () => {
    const health = new AddressHealth();
    const ejectAt = (now: number) => {
      for (let i = 0; i < 3; i++) health.observeFailure(now, settings, OTHERS.allHealthy);
      const { ejectedUntil } = health;
      health.observeAnswer();
      health.observeSuccess();
      return ejectedUntil - now;
    };
    expect(health.isOnProbation(0)).toBe(false);
    expect(ejectAt(0)).toBe(1000);
    expect([10_999, 11_000].map((now) => health.isOnProbation(now))).toEqual([true, false]);
    expect(ejectAt(10_000)).toBe(2000);
    expect(ejectAt(22_000)).toBe(1000);
  });

  it('is ejected by one failure by default while all others are healthy, otherwise by three', () => {
    const { failures: _, ...unset } = settings;
    const [first, other] = [new AddressHealth(), new AddressHealth()];
    expect(first.observeFailure(0, unset, OTHERS.allHealthy)).toBe(true);
    const ejected = [0, 1, 2].map((now) => other.observeFailure(now, unset, OTHERS.someHealthy));
    expect(ejected).toEqual([false, false, true]);
  });

  it('that loses a kept connection is only on probation; a second loss meanwhile is a failure', () => {
    const health = new AddressHealth();
    expect(health.observeLoss(0)).toBe(false);
    expect([health.isFailing, health.isHealthy(0), health.isOnProbation(0)]).toEqual([false, true, true]);
    expect([9_999, 10_000].map((now) => health.observeLoss(now))).toEqual([true, false]);
  });

  it('that fails as the last resort, ahead of its trial, is not ejected for longer', () => {
    const health = new AddressHealth();
    for (let i = 0; i < 3; i++) health.observeFailure(0, settings, OTHERS.allHealthy);
    health.beginTrial();
    expect(health.observeFailure(500, settings, OTHERS.someHealthy)).toBe(false);
    expect([health.ejectedUntil, health.needsTrial]).toEqual([1000, true]);
  });

  it('that is the last healthy one is never ejected', () => {
    const health = new AddressHealth();
    for (let i = 0; i < 100; i++) expect(health.observeFailure(i, settings, OTHERS.noneHealthy)).toBe(false);
    expect(health.isHealthy(100)).toBe(true);
  });

  it('is never ejected when the settings say 0 failures', () => {
    const health = new AddressHealth();
    for (let i = 0; i < 100; i++) health.observeFailure(i, { ...settings, failures: 0 }, OTHERS.allHealthy);
    expect(health.isHealthy(100)).toBe(true);
  });

  it('that the probes found down stays down, whatever the time, until one finds it up', () => {
    const health = new AddressHealth();
    health.observeProbe(false);
    expect(health.isProbedDown).toBe(true);
    expect(health.isHealthy(1e12)).toBe(false);
    health.observeProbe(true);
    expect(health.isHealthy(0)).toBe(true);
  });
});

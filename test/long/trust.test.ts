// Verdicts by the thousand: how often correct samples raise an alarm, and how soon wrong ones do, as docs/trust.md says it.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  falseAlarms,
  falseHarm,
  falseRequests,
  keysToAlarm,
  memoryOf,
  playCounters,
  playReplicas,
} from '../../scripts/trust.ts';

const PAGE = readFileSync(new URL('../../docs/trust.md', import.meta.url), 'utf8');

/** 0.0007 -> "0.07 %", as the page has it. */
const percent = (ratio: number) => `${(100 * ratio).toFixed(2)} %`;

test('of 10,000 correct samples that are watched to a million users, 0.2 % at most raise an alarm', () => {
  const counted = falseAlarms([0.5, 0.5], 10_000, 1e6, true);
  expect(counted).toBeLessThanOrEqual(0.002);
  expect(PAGE).toContain(
    `| shares 50/50, with the counting error of bitmaps, to 1,000,000 users | 10,000 | ${percent(counted)} |`,
  );
  expect(falseAlarms([0.01, 0.99], 2000, 1e6, true)).toBeLessThanOrEqual(0.002);
});

test('50.5 % in place of 50 % is found in every run, and in 90 % of the runs by 400,000 users', () => {
  const keys = keysToAlarm([0.505, 0.495], 1000, 1e6);
  expect(keys.every(Number.isFinite)).toBe(true);
  expect(keys[900]).toBeLessThan(400_000);
  expect(PAGE).toContain(keys[900]!.toLocaleString('en-US'));
});

test('errors and requests that do not differ raise no alarm, and an interval of 95 % holds', () => {
  const { alarms, misses } = falseHarm(0.01, 2000, 1e5);
  expect(alarms).toBeLessThanOrEqual(0.002);
  expect(misses).toBeLessThanOrEqual(0.05);
  expect(falseRequests(500, 1e5)).toBeLessThanOrEqual(0.004);
});

test('the counters themselves find nothing in correct samples, and the mismatch in wrong ones', () => {
  expect(playCounters(0.5, 4, 1e6)).toEqual({ alarms: 0, mismatches: 0 });
  expect(playCounters(0.505, 3, 1e6).mismatches).toBe(1);
});

test('of three replicas whose users return unequally the merged sample is right, whatever each pod says', () => {
  const { pods, merged, worst } = playReplicas(20, 60_000);
  expect(pods).toBeGreaterThan(0.5);
  expect(merged).toBe(0);
  expect(worst).toBeLessThan(0.01);
});

test('a sample takes the memory that is stated', () => {
  expect(memoryOf(2).sets).toBe(3456 * 1024);
  expect(memoryOf(1000).sets).toBe(24_000 * 1024);
  expect(PAGE).toContain('| 2 | 3,456 KiB | 1,728 KiB | 8 KiB |');
});

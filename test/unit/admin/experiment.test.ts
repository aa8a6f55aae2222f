// What /status says of an experiment: who takes part now, the steps with what comes next, and the stop of its guard.
import { expect, it } from 'vitest';
import { describeExperiment } from '../../../src/admin/experiment.ts';
import { compileSplits } from '../../../src/split/own.ts';
import { configOf } from '../../support/splitter.ts';

const variants = [
  { name: 'new', share: '50%', upstream: 'http://a' },
  { name: 'old', share: '*', upstream: 'http://b' },
];
const NOW = Date.parse('2030-06-01T00:00:00Z');
const splitterOf = (more: object, isStopped = false) =>
  compileSplits(configOf({ splits: { s: { key: '$arg_token', variants, ...more } } }), {
    clock: () => NOW,
    stopOf: () => ({ isStopped }),
  }).splitters.get('s')!;

it('is null where every key takes part, always', () => {
  expect(describeExperiment(splitterOf({}), null)).toBeNull();
});

it('has the steps of coverage and shares in the order of their times, and which is next', () => {
  const coverage = {
    steps: [
      { at: '2030-01-01T00:00Z', to: '10%' },
      { at: '2031-01-01T00:00Z', to: '100%' },
    ],
  };
  const shareSteps = [{ at: '2030-09-01T00:00Z', to: { new: '20%', old: '*' } }];
  const when = { variable: '$uri', is: '/shop' };
  expect(describeExperiment(splitterOf({ coverage, shareSteps, when }), null)).toMatchObject({
    control: 'old',
    coverageRatio: 0.1,
    when: '$uri is "/shop"',
    isStopped: false,
    guard: null,
    nextAt: expect.stringContaining('2030-09-01'),
    steps: [
      { at: expect.stringContaining('2030-01-01'), isReached: true, coverageRatio: 0.1 },
      { at: expect.stringContaining('2030-09-01'), isReached: false },
      { at: expect.stringContaining('2031-01-01'), isReached: false, coverageRatio: 1 },
    ],
  });
});

it('has no coverage while its guard has stopped it', () => {
  const guard = { errors: { worseBy: '1 point' } };
  expect(describeExperiment(splitterOf({ coverage: '40%', guard }), null)).toMatchObject({
    coverageRatio: 0.4,
    isStopped: false,
    guard: { stop: null },
    steps: [],
    nextAt: null,
  });
  expect(describeExperiment(splitterOf({ coverage: '40%', guard }, true), null)).toMatchObject({
    coverageRatio: 0,
    isStopped: true,
  });
});

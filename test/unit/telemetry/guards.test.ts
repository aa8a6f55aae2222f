// Guards: what stops a split and what does not, how long a stop lasts, and what workers and a restart know of it.
import { expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/parse.ts';
import { compileSplits } from '../../../src/split/own.ts';
import type { GuardStop } from '../../../src/telemetry/guard-stop.ts';
import { Guards } from '../../../src/telemetry/guards.ts';

const MINUTE = 60_000;
const OPTIONS = 'guard: { errors: { worseBy: 1 point } }';

function configOf(options: string, share = '50%') {
  const text = `splits:
  s:
    variants: [{ name: new, share: ${share}, upstream: 'http://new' }, { name: old, share: '*', upstream: 'http://old' }]
    ${options}
`;
  return parseConfig(text, 'f.yaml').config!;
}

function guarded(options = OPTIONS) {
  const said: string[] = [];
  const clock = { now: 1_000_000 };
  const listener = {
    stopped: ({ split, variant, kind }: GuardStop) => void said.push(`${split} stopped: ${variant} ${kind}`),
    ended: ({ split }: GuardStop) => void said.push(`${split} goes on`),
  };
  const guards = new Guards(listener, () => clock.now);
  const use = (config = configOf(options)) => {
    guards.configure(config);
    return compileSplits(config, { clock: () => clock.now, stopOf: (name) => guards.stopOf(name) }).splitters;
  };
  return { guards, said, clock, use, splitters: use() };
}

/** `count` keys for each variant, of which every `failing`th fails for `new`. */
function serve(guards: Guards, count: number, failing: number, { first = 0, ms = [1, 1] } = {}): void {
  const counts = guards.countsOf('s')!;
  for (let key = first; key < first + count; key++) {
    const hash = Math.imul(key + 1, 0x9e3779b1) >>> 0;
    counts.add(0, hash, key % failing === 0, ms[0]!);
    counts.add(1, hash ^ 0x5bd1e995, false, ms[1]!);
  }
}

it('what is planned takes effect when it is adopted: the counts until then, and the end of a stop', () => {
  const { guards, said, splitters } = guarded();
  serve(guards, 1000, 25);
  guards.look(splitters);
  const counts = guards.countsOf('s');
  const same = guards.plan(configOf(OPTIONS));
  expect(same.countsOf('s')).toBe(counts);
  const none = guards.plan({ splits: new Map() });
  expect(none.countsOf('s')).toBeNull();
  expect(guards.stops).toHaveLength(1);
  expect(said).toHaveLength(1);
  guards.adopt(same);
  expect(guards.countsOf('s')).toBe(counts);
  expect(said).toHaveLength(1);
  guards.adopt(none);
  expect(guards.stops).toEqual([]);
  expect(said.at(-1)).toBe('s goes on');
});

it('a variant of which more keys meet a failure stops the split, once', () => {
  const { guards, said, splitters } = guarded();
  serve(guards, 1000, 25);
  expect(guards.look(splitters)).toBe(true);
  expect(guards.look(splitters)).toBe(false);
  expect(said).toEqual(['s stopped: new errors']);
  expect(guards.stopOf('s').isStopped).toBe(true);
  expect(guards.stopFactsOf('s')).toMatchObject({
    against: 'old',
    againstValue: 0,
    value: expect.closeTo(0.04, 2),
    keys: expect.closeTo(1000, -2),
  });
});

it('one client with a thousand failing requests stops nothing', () => {
  const { guards, said, splitters } = guarded();
  serve(guards, 1000, 1_000_000);
  for (let retry = 0; retry < 1000; retry++) guards.countsOf('s')!.add(0, 12_345, true, 1);
  guards.look(splitters);
  expect(said).toEqual([]);
});

it.each([
  ['too few keys', 100, 2, OPTIONS],
  ['less than it has to be worse by', 10_000, 200, OPTIONS],
  ['equal variants', 10_000, 1_000_000, OPTIONS],
  ['failures, where only durations count', 1000, 25, 'guard: { slow: {} }'],
])('%s stops nothing', (_, keys, failing, options) => {
  const { guards, said, splitters } = guarded(options);
  serve(guards, keys, failing);
  guards.look(splitters);
  expect(said).toEqual([]);
});

it('a variant of which more keys are slow stops the split, measured from when the durations of the other are known', () => {
  const { guards, said, splitters } = guarded('guard: { slow: { quantile: 0.9, worseBy: 50% } }');
  serve(guards, 1000, 1_000_000, { ms: [20, 10] });
  guards.look(splitters);
  expect(said).toEqual([]);
  serve(guards, 1000, 1_000_000, { first: 1000, ms: [20, 10] });
  guards.look(splitters);
  expect(said).toEqual(['s stopped: new slow']);
  expect(guards.stopFactsOf('s')).toMatchObject({
    value: expect.closeTo(20, -0.5),
    againstValue: expect.closeTo(10, -0.5),
  });
});

it('the past does not hide what happens now: a window ends after ten minutes with enough keys', () => {
  const { guards, said, clock, splitters } = guarded();
  serve(guards, 100_000, 1_000_000, { first: 1 });
  guards.look(splitters);
  clock.now += 10 * MINUTE;
  expect(guards.look(splitters)).toBe(true);
  serve(guards, 1000, 25, { first: 200_000 });
  guards.look(splitters);
  expect(said).toEqual(['s stopped: new errors']);
});

it('a stop lasts until the options of its split change', () => {
  const { guards, said, use, splitters } = guarded();
  serve(guards, 1000, 25);
  guards.look(splitters);
  use();
  expect(guards.stopOf('s').isStopped).toBe(true);
  use(configOf(OPTIONS, '40%'));
  expect([guards.stopOf('s').isStopped, said.at(-1)]).toEqual([false, 's goes on']);
});

it('an operator ends it, and it begins anew from nothing', () => {
  const { guards, said, use, splitters } = guarded();
  serve(guards, 1000, 25);
  guards.look(splitters);
  expect(guards.clear()).toBe(true);
  expect(guards.clear()).toBe(false);
  guards.look(use());
  expect([guards.stopOf('s').isStopped, said]).toEqual([false, ['s stopped: new errors', 's goes on']]);
});

it('an earlier process stops a split with the same options, and no other', () => {
  const { guards, splitters } = guarded();
  serve(guards, 1000, 25);
  guards.look(splitters);
  const [stop] = guards.stops;
  expect(guarded().guards.restore(stop!)).toBe(true);
  expect(guarded('guard: { errors: { worseBy: 2 points } }').guards.restore(stop!)).toBe(false);
});

it('workers count, the primary decides, and they obey; what a worker counted before a stop ended is not taken for later', () => {
  const primary = guarded();
  const workers = [guarded(), guarded()];
  for (const [index, { guards }] of workers.entries()) {
    guards.obey(primary.guards.orders());
    serve(guards, 1000, 25, { first: 10_000 * index });
  }
  const merge = () => {
    for (const [index, { guards }] of workers.entries()) primary.guards.merge(index, guards.read());
  };
  merge();
  merge();
  expect(primary.guards.look(primary.splitters)).toBe(true);
  expect(primary.guards.stopFactsOf('s')).toMatchObject({ keys: expect.closeTo(2000, -2) });
  for (const { guards } of workers) guards.obey(primary.guards.orders());
  expect(workers.map(({ guards }) => guards.stopOf('s').isStopped)).toEqual([true, true]);

  primary.guards.clear();
  const splitters = primary.use();
  merge();
  expect(primary.guards.look(splitters)).toBe(false);
  for (const { guards } of workers) guards.obey(primary.guards.orders());
  merge();
  primary.guards.look(splitters);
  expect([primary, ...workers].map(({ guards }) => guards.stopOf('s').isStopped)).toEqual([
    false,
    false,
    false,
  ]);
});

it('a step of shares begins another window', () => {
  const { guards, said, clock, splitters } = guarded(
    `${OPTIONS}\n    shareSteps: [{ at: 2026-12-01T09:00Z, to: { new: 10%, old: '*' } }]`,
  );
  guards.look(splitters);
  serve(guards, 1000, 25);
  clock.now = Date.UTC(2026, 11, 1, 9);
  expect(guards.look(splitters)).toBe(true);
  expect([guards.look(splitters), said]).toEqual([false, []]);
});

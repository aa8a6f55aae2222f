// The guards of a fleet: what replicas have counted is judged together, all of them stop and go on alike, and no count of other
// options, of an ended stop or of an earlier window is ever taken in.
import { expect, it } from 'vitest';
import { guardPieces } from '../../../src/admin/guard-reading.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { askGuards } from '../../../src/fleet/ask-guards.ts';
import { FleetGuards } from '../../../src/fleet/guards.ts';
import { fleetMetrics } from '../../../src/fleet/metrics.ts';
import { FleetView } from '../../../src/fleet/view.ts';
import { compileSplits } from '../../../src/split/own.ts';
import { packReading, unpackReading } from '../../../src/telemetry/guard-report.ts';
import { FLEET_SILENT_MS, Guards } from '../../../src/telemetry/guards.ts';
import { fakeRunning } from '../../support/fake-running.ts';
import { NamedServer } from '../../support/named-server.ts';

const FLEET = 'http://fleet:9902';
const GUARD = `guard: { errors: { worseBy: 1 point }, fleet: "${FLEET}" }`;

function configOf(options: string, share = '50%') {
  const text = `splits:
  s:
    variants: [{ name: new, share: ${share}, upstream: 'http://new' }, { name: old, share: '*', upstream: 'http://old' }]
    ${options}
`;
  return parseConfig(text, 'f.yaml').config!;
}

/** One replica without sockets, on the clock of all. */
class Replica {
  readonly said: string[] = [];
  readonly guards: Guards;
  readonly process: string;
  readonly #clock: () => number;
  splitters!: ReturnType<typeof compileSplits>['splitters'];

  constructor(process: string, clock: () => number, options = GUARD, share = '50%') {
    this.process = process;
    this.#clock = clock;
    this.guards = new Guards(
      {
        stopped: ({ split, by }) => void this.said.push(`${split} stopped by the ${by}`),
        ended: ({ split }) => void this.said.push(`${split} goes on`),
      },
      clock,
    );
    this.use(options, share);
  }

  use(options = GUARD, share = '50%'): void {
    const config = configOf(options, share);
    this.guards.configure(config);
    const live = { clock: this.#clock, stopOf: (name: string) => this.guards.stopOf(name) };
    this.splitters = compileSplits(config, live).splitters;
    this.look();
  }

  look(): void {
    this.guards.look(this.splitters);
  }

  /** `count` keys for each variant, of which every `failing`th fails for `new`. */
  serve(count: number, first: number, failing = 50, ms = [1, 1]): void {
    const counts = this.guards.countsOf('s')!;
    for (let key = first; key < first + count; key++) {
      const hash = Math.imul(key + 1, 0x9e3779b1) >>> 0;
      counts.add(0, hash, key % failing === 0, ms[0]!);
      counts.add(1, hash ^ 0x5bd1e995, false, ms[1]!);
    }
  }

  get isStopped(): boolean {
    return this.guards.stopOf('s').isStopped;
  }

  reports() {
    return this.guards.reports(this.splitters).map((report) => {
      const bytes = packReading(report.reading);
      return { ...report, reading: unpackReading(report.reading, report.variants.length, bytes)! };
    });
  }
}

function addressOf({ port }: NamedServer) {
  return { origin: `http://127.0.0.1:${port}`, name: `127.0.0.1:${port}` };
}

function fleetOf(options = GUARD) {
  const clock = { now: 1_700_000_000_000 };
  const replica = (process: string, own = options, share = '50%') =>
    new Replica(process, () => clock.now, own, share);
  const state = { fleet: new FleetGuards() };
  /** The fleet asks these replicas, and all of them ask it. */
  const round = (replicas: readonly Replica[], answering = replicas) => {
    state.fleet.take(
      answering.map((one) => ({ process: one.process, reports: one.reports() })),
      clock.now,
    );
    for (const one of replicas) one.guards.obeyFleet(FLEET, state.fleet.orders(one.process, clock.now));
    clock.now += 1000;
  };
  return { clock, replica, round, state, replicas: ['a', 'b', 'c'].map((name) => replica(name)) };
}

/** Each replica serves keys of its own, too few for it to judge. */
function serveAll(replicas: readonly Replica[], first: number, count = 400): void {
  for (const [index, one] of replicas.entries()) one.serve(count, first + index * 10_000);
}

const stopped = (replicas: readonly Replica[]) => replicas.map(({ isStopped }) => isStopped);

it('stops all replicas for what they have counted together, though none could say so alone', () => {
  const alone = fleetOf();
  serveAll(alone.replicas, 0);
  for (const one of alone.replicas) one.look();
  expect(stopped(alone.replicas)).toEqual([false, false, false]);

  const { replicas, round } = fleetOf();
  round(replicas);
  serveAll(replicas, 0);
  round(replicas);
  expect(stopped(replicas)).toEqual([true, true, true]);
  expect(replicas.map(({ said }) => said)).toEqual(replicas.map(() => ['s stopped by the fleet']));
  round(replicas);
  expect(replicas[0]!.said.length).toBe(1);
});

it('a key that came to all replicas is one key', () => {
  const { replicas, round } = fleetOf();
  round(replicas);
  for (const one of replicas) one.serve(400, 0);
  round(replicas);
  expect(stopped(replicas)).toEqual([false, false, false]);
});

it('what was counted before the window of the fleet, or with other options, is not taken in', () => {
  const { replicas, round } = fleetOf();
  serveAll(replicas, 0);
  round(replicas);
  round(replicas);
  expect(stopped(replicas)).toEqual([false, false, false]);

  const other = fleetOf();
  const [a, b] = other.replicas;
  const mixed = [a!, b!, other.replica('c', GUARD, '40%')];
  other.round(mixed);
  serveAll(mixed, 0, 500);
  other.round(mixed);
  other.round(mixed);
  expect(stopped(mixed)).toEqual([false, false, false]);
});

it('replicas with different state files have the same guard', () => {
  const { replica, round } = fleetOf();
  const files = ['a', 'b', 'c'].map((name) =>
    replica(name, GUARD.replace('fleet:', `stateFile: /state/${name}.json, fleet:`)),
  );
  round(files);
  serveAll(files, 0);
  round(files);
  expect(stopped(files)).toEqual([true, true, true]);
});

it('a silent fleet leaves each replica to judge its own counts', () => {
  const { replicas, round, clock } = fleetOf();
  const [one] = replicas;
  round(replicas);
  round(replicas);
  expect(one!.guards.isOfFleet('s')).toBe(true);
  one!.serve(4000, 0);
  one!.look();
  expect(one!.isStopped).toBe(false);
  clock.now += FLEET_SILENT_MS;
  expect(one!.guards.isOfFleet('s')).toBe(false);
  one!.look();
  expect(one!.said).toEqual(['s stopped by the process']);
  // The fleet comes back: the stop is one of all.
  round(replicas);
  expect(stopped(replicas)).toEqual([true, true, true]);
});

it('a replica that the fleet cannot ask judges on its own', () => {
  const { replicas, round } = fleetOf();
  const [one, ...others] = replicas;
  round(replicas, others);
  expect([one, ...others].map((each) => each!.guards.isOfFleet('s'))).toEqual([false, true, true]);
});

it('an operator ends the stop at one replica, which ends it at all, and it is judged anew from nothing', () => {
  const { replicas, round } = fleetOf();
  round(replicas);
  serveAll(replicas, 0);
  round(replicas);
  replicas[1]!.guards.clear();
  replicas[1]!.use();
  expect(stopped(replicas)).toEqual([true, false, true]);
  // The answer of before comes once more and changes nothing.
  round(replicas, []);
  expect(stopped(replicas)).toEqual([true, false, true]);
  for (let more = 0; more < 3; more++) round(replicas);
  expect(stopped(replicas)).toEqual([false, false, false]);
  expect(replicas[0]!.said).toEqual(['s stopped by the fleet', 's goes on']);
  serveAll(replicas, 50_000, 800);
  round(replicas);
  expect(stopped(replicas)).toEqual([true, true, true]);
});

it('a replica that was started again is stopped by the fleet, and one with other options is not', () => {
  const { replicas, round, replica } = fleetOf();
  round(replicas);
  serveAll(replicas, 0);
  round(replicas);
  const again = replica('d');
  const other = replica('e', GUARD, '40%');
  round([again, other]);
  expect(stopped([again, other])).toEqual([true, false]);
  again.use(GUARD, '40%');
  expect([again.isStopped, again.said.at(-1)]).toEqual([false, 's goes on']);
});

it('a stop that was ended elsewhere ends at a replica that brings it back from its file', () => {
  const { replicas, round, replica, clock } = fleetOf();
  round(replicas);
  serveAll(replicas, 0);
  round(replicas);
  const [stop] = replicas[0]!.guards.stops;
  replicas[0]!.guards.clear();
  replicas[0]!.use();
  round(replicas);
  const late = replica('late');
  expect(late.guards.restore(stop!)).toBe(true);
  clock.now += 60_000;
  round([...replicas, late]);
  expect(stopped([...replicas, late])).toEqual([false, false, false, false]);
});

it('a fleet that is started again goes on with the counts and the stops that replicas have', () => {
  const { replicas, round, state } = fleetOf();
  round(replicas);
  serveAll(replicas, 0, 200);
  round(replicas);
  state.fleet = new FleetGuards();
  round([...replicas].reverse());
  serveAll(replicas, 200, 200);
  round(replicas);
  expect(stopped(replicas)).toEqual([true, true, true]);
  state.fleet = new FleetGuards();
  round(replicas);
  expect(state.fleet.splits).toEqual([{ split: 's', isStopped: true }]);
});

it('compares durations by one limit for all replicas', () => {
  const options = `guard: { slow: { quantile: 0.9, worseBy: 50% }, fleet: "${FLEET}" }`;
  const { replicas, round } = fleetOf(options);
  round(replicas);
  for (const from of [0, 1000]) {
    for (const [index, one] of replicas.entries()) one.serve(150, from + index * 10_000, 1e9, [20, 10]);
    round(replicas);
    for (const one of replicas) one.look();
    round(replicas);
  }
  expect(stopped(replicas)).toEqual([true, true, true]);
});

it('the past does not hide what happens now: a window of the fleet ends after ten minutes with enough keys', () => {
  const { replicas, round, clock } = fleetOf();
  round(replicas);
  for (const [index, one] of replicas.entries()) one.serve(20_000, index * 100_000, 1e9);
  round(replicas);
  const window = () => replicas[0]!.guards.countsOf('s')!.window;
  const before = window();
  clock.now += 600_000;
  round(replicas);
  expect(window()).not.toBe(before);
  serveAll(replicas, 500_000, 800);
  round(replicas);
  expect(stopped(replicas)).toEqual([true, true, true]);
});

it('a step of shares begins a window at all replicas, and a replica that has not taken it is not counted', () => {
  const options = `${GUARD}
    shareSteps: [{ at: 2023-11-14T22:14:00Z, to: { new: 40%, old: "*" } }]`;
  const { replicas, round, clock } = fleetOf(options);
  const [early, ...others] = replicas;
  for (const one of replicas) one.look();
  round(replicas);
  clock.now = Date.parse('2023-11-14T22:14:05Z');
  for (const one of others) {
    // The splitters know the time, the guard notices it when it looks: until then it reports nothing.
    expect(one.reports()).toEqual([]);
    one.look();
  }
  early!.look();
  round(replicas);
  round(replicas);
  const windows = replicas.map(({ guards }) => guards.countsOf('s')!.window);
  expect(new Set(windows).size).toBe(1);
});

it('forgets guards that no replica has had for an hour', () => {
  const { replicas, round, clock, state } = fleetOf();
  round(replicas);
  clock.now += 3_700_000;
  round([], []);
  expect(state.fleet.splits).toEqual([]);
});

it('what a pod says on /guards arrives as it was counted; other answers are of no use', async () => {
  const { replicas, clock } = fleetOf();
  const [one] = replicas;
  one!.serve(500, 0);
  const running = { ...fakeRunning(), guards: one!.guards };
  const generation = { ...running.generation, splitters: one!.splitters };
  let text = '';
  for await (const piece of guardPieces({ ...running, generation })) text += piece;
  const addresses: { origin: string; name: string }[] = [];
  for (const body of [text, '{"version":2}', 'no', text.replace(/"counts":"[^"]+"/, '"counts":"AAAA"')])
    addresses.push(addressOf(await NamedServer.listen(body)));
  const [answer, ...none] = await askGuards(addresses);
  expect(none).toEqual([]);
  expect(answer!.reports).toEqual(one!.reports());
  const fleet = new FleetGuards();
  fleet.take([answer!], clock.now);
  const { text: metrics } = await fleetMetrics(new FleetView(), fleet);
  expect(metrics).toContain('splitter_fleet_guard_stopped{split="s"} 0');
});

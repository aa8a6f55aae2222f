// Decides what a run measures: which contenders take part in which scenario, how often and for how long. Pure. A complete
// run takes about fifty minutes on two cores, so contenders are left out of scenarios in which they would add nothing.
import { RIVALS, type Rival } from './rivals.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

interface Lengths {
  readonly rounds: number;
  /** Length of a measured turn, before the scenario's own factor. */
  readonly seconds: number;
  /** Closed-loop load on each fresh process before the first round, so that its code is compiled. */
  readonly warmupSeconds: number;
  /** The scenario's own load before each turn, so that connections are open and caches are filled. */
  readonly rewarmSeconds: number;
}

export interface Part extends Lengths {
  readonly scenario: Scenario;
  readonly contenders: readonly Rival[];
}

const WHOLE: Lengths = { rounds: 3, seconds: 3, warmupSeconds: 2, rewarmSeconds: 0.5 };
const QUICK: Lengths = { rounds: 2, seconds: 0.8, warmupSeconds: 0.6, rewarmSeconds: 0.2 };

/** Scenarios that processor time is judged by. */
const JUDGED_BY_CPU = ['small-get', 'small-get-256', 'get-64k', 'get-1m'];

/** More rounds, and shorter ones, where a target is judged: other users of a machine come and go within seconds. */
const JUDGED = { rounds: 7, seconds: 2 };
/** Latency at a fixed rate is a matter of a few hundred microseconds, of the few slowest requests of a turn. */
const RATE_ROUNDS = { whole: 7, quick: 2 };

function lengthsOf({ name, rate }: Scenario, quick: boolean): Lengths {
  if (quick) return rate === null ? QUICK : { ...QUICK, rounds: RATE_ROUNDS.quick };
  if (rate !== null) return { ...WHOLE, rounds: RATE_ROUNDS.whole };
  return JUDGED_BY_CPU.includes(name) ? { ...WHOLE, ...JUDGED } : WHOLE;
}

/** Enough of each kind: own, nginx twice, HAProxy, the best and the best known of those in Node. */
const MAIN = ['request-splitter', 'nginx-tuned', 'nginx-plain', 'haproxy', 'node-undici', 'http-proxy'];

/** Where it is not everybody: small-get. */
const CONTENDERS: Readonly<Record<string, readonly string[]>> = {
  'small-get': RIVALS.map(({ name }) => name),
  'small-get-256': [...MAIN, 'request-splitter-2-workers'],
  'browser-get': [...MAIN, 'request-splitter-pipelining', 'request-splitter-observed'],
  'idle-1000': [...MAIN, 'request-splitter-pipelining'],
  'open-2000': [...MAIN, 'request-splitter-observed', 'request-splitter-2-workers'],
  'rate-2000': [...MAIN, 'request-splitter-pipelining', 'request-splitter-observed'],
};

const QUICK_SCENARIOS = ['small-get', 'get-64k', 'rate-2000'];
const QUICK_CONTENDERS = ['request-splitter', 'nginx-tuned', 'nginx-plain', 'haproxy', 'http-proxy'];

/** In the order of RIVALS, whatever the order of the names. */
const rivalsOf = (names: readonly string[]) => RIVALS.filter(({ name }) => names.includes(name));

export interface Wishes {
  readonly quick: boolean;
  /** Only these, each with everybody who is named; null = as planned. */
  readonly scenarios: readonly Scenario[] | null;
  readonly rivals: readonly Rival[] | null;
  readonly rounds: number | null;
  readonly seconds: number | null;
}

/** The parts of a run, in the order of SCENARIOS. */
export function planOf(wishes: Wishes): Part[] {
  const scenarios =
    wishes.scenarios ?? SCENARIOS.filter(({ name }) => !wishes.quick || QUICK_SCENARIOS.includes(name));
  return scenarios.map((scenario) => {
    const usual = lengthsOf(scenario, wishes.quick);
    const seconds = wishes.seconds ?? usual.seconds;
    return {
      scenario,
      contenders:
        wishes.rivals ?? rivalsOf(wishes.quick ? QUICK_CONTENDERS : (CONTENDERS[scenario.name] ?? MAIN)),
      rounds: wishes.rounds ?? usual.rounds,
      seconds,
      // A run that was asked to be short is short all over.
      warmupSeconds: Math.min(usual.warmupSeconds, seconds),
      rewarmSeconds: Math.min(usual.rewarmSeconds, seconds),
    };
  });
}

/** The parts that are judged by processor time once more, for a load generator that keeps the measured core busy. */
export function saturatedPartsOf(): Part[] {
  return SCENARIOS.filter(({ name }) => JUDGED_BY_CPU.includes(name)).map((scenario) => ({
    ...WHOLE,
    ...JUDGED,
    scenario,
    contenders: rivalsOf(
      scenario.name.startsWith('small-get')
        ? [...MAIN, 'request-splitter-pipelining', 'request-splitter-2-workers']
        : MAIN,
    ),
  }));
}

/** Who takes part at all, in the order of RIVALS. */
export const contendersOf = (parts: readonly Part[]): Rival[] =>
  RIVALS.filter((rival) => parts.some(({ contenders }) => contenders.includes(rival)));

/** Seconds that a plan takes, about: with a moment for each start of a load generator. */
export function estimateSeconds(parts: readonly Part[]): number {
  const START = 0.35;
  return parts.reduce((sum, { scenario, contenders, rounds, seconds, warmupSeconds, rewarmSeconds }) => {
    const turn = rewarmSeconds + seconds * scenario.lengthFactor + 2 * START;
    const turns = rounds * (contenders.length + (scenario.rate === null ? 0 : 1));
    return sum + contenders.length * (warmupSeconds + 2 * START) + turns * turn;
  }, 0);
}

// Decides what a run measures: which contenders take part in which scenario, how often and for how long. Pure. A whole
// run should end within 25 minutes on two cores, so contenders that no target compares are left out.
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

const WHOLE: Lengths = { rounds: 5, seconds: 2, warmupSeconds: 2, rewarmSeconds: 0.5 };
const QUICK: Lengths = { rounds: 2, seconds: 1, warmupSeconds: 1, rewarmSeconds: 0.2 };

/** More rounds where differences are small: other users of a machine come and go within seconds. */
const ROUNDS: Readonly<Record<string, number>> = {
  'small-get': 7,
  'browser-get': 7,
  'get-64k': 7,
  'get-1m': 7,
  'routes-1000': 7,
  // Latency at a fixed rate is a matter of a few hundred microseconds, of the few slowest requests of a turn.
  'rate-2000': 9,
  'slow-upstream': 2,
};

const lengthsOf = ({ name }: Scenario, quick: boolean): Lengths =>
  quick ? QUICK : { ...WHOLE, rounds: ROUNDS[name] ?? WHOLE.rounds };

/** Enough of each kind: own, nginx twice, HAProxy, the best and the best known of those in Node. */
const MAIN = ['request-splitter', 'nginx-tuned', 'nginx-plain', 'haproxy', 'node-undici', 'http-proxy'];
const NGINX = ['request-splitter', 'nginx-tuned', 'nginx-streaming'];
const PIPELINING = 'request-splitter-pipelining';

/** The scenarios of a whole run, and whom the targets compare in them; everybody of interest only for the small GET. */
const CONTENDERS: Readonly<Record<string, readonly string[]>> = {
  'small-get': [...MAIN, PIPELINING, 'request-splitter-2-workers'],
  'browser-get': ['request-splitter', PIPELINING, 'nginx-tuned', 'haproxy'],
  'post-4k': NGINX,
  'post-1m': NGINX,
  'get-64k': ['request-splitter', 'nginx-tuned', 'haproxy'],
  'get-1m': ['request-splitter', 'nginx-tuned', 'haproxy'],
  'chunked-both': NGINX,
  'new-connection': ['request-splitter', 'nginx-tuned', 'haproxy'],
  logged: ['request-splitter', 'request-splitter-logged', 'nginx-logged', 'nginx-logged-buffered'],
  'routes-1000': ['request-splitter-1-route', 'request-splitter-1000-routes'],
  'open-10000': ['request-splitter', 'request-splitter-open'],
  'rate-2000': ['request-splitter', 'nginx-tuned'],
  'quota-200': ['request-splitter', 'nginx-tuned'],
  'slow-upstream': ['request-splitter', 'nginx-tuned'],
};

const QUICK_SCENARIOS = ['small-get', 'get-64k', 'rate-2000'];
const QUICK_CONTENDERS = ['request-splitter', PIPELINING, 'nginx-tuned', 'haproxy', 'http-proxy'];

/** Who is started a few times, to see how long that takes. */
const STARTED = ['request-splitter', 'nginx-tuned', 'haproxy', 'node-undici', 'http-proxy'];

/** In the order of RIVALS, whatever the order of the names. */
const rivalsOf = (names: readonly string[]) => RIVALS.filter(({ name }) => names.includes(name));

/** Those that are started a few times. */
export const startedRivals = (): Rival[] => rivalsOf(STARTED);

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
    wishes.scenarios ??
    SCENARIOS.filter(({ name }) => (wishes.quick ? QUICK_SCENARIOS.includes(name) : name in CONTENDERS));
  return scenarios.map((scenario) => {
    const usual = lengthsOf(scenario, wishes.quick);
    const seconds = wishes.seconds ?? usual.seconds;
    return {
      scenario,
      contenders:
        wishes.rivals ??
        rivalsOf(
          (CONTENDERS[scenario.name] ?? MAIN).filter(
            (name) => !wishes.quick || QUICK_CONTENDERS.includes(name),
          ),
        ),
      rounds: wishes.rounds ?? usual.rounds,
      seconds,
      // A run that was asked to be short is short all over.
      warmupSeconds: Math.min(usual.warmupSeconds, seconds),
      rewarmSeconds: Math.min(usual.rewarmSeconds, seconds),
    };
  });
}

/** Who takes part at all, in the order of RIVALS. */
export const contendersOf = (parts: readonly Part[]): Rival[] =>
  RIVALS.filter((rival) => parts.some(({ contenders }) => contenders.includes(rival)));

/** Seconds that one part takes, about: with a moment for each start of a load generator, which wrk counts in whole ones. */
export function estimateSeconds({ scenario, contenders, rounds, seconds, ...part }: Part): number {
  const START = 0.6;
  const load = (length: number) => (scenario.rate === null ? Math.max(1, length) : length) + START;
  const turn = load(part.rewarmSeconds) + load(seconds * scenario.lengthFactor);
  const turns = rounds * (contenders.length + (scenario.rate === null ? 0 : 1));
  return contenders.length * (load(part.warmupSeconds) + START) + turns * turn;
}

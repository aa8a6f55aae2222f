// The cost targets of the project and what a run reached. Pure. A target without figures in the run is left out. A
// verdict needs figures that can prove it: of contenders that answered, with the measured core saturated, beyond the
// noise, on a machine without other work.
import {
  addedMs,
  cheapest,
  cpuRatio,
  DECIDE_AMONG,
  figure,
  isBusy,
  isComparable,
  medianOf,
  OWN,
  type Ratio,
  type Results,
  type Row,
  ratioOf,
  type ScenarioResult,
  type Turn,
  watchedTimes,
} from './results.ts';

export interface Judged {
  readonly text: string;
  readonly limit: string;
  readonly reached: string;
  readonly verdict: string;
}

type Unit = 'x' | ' MiB' | ' KiB' | ' ms';

const PIPELINING = `${OWN}-pipelining`;
const TUNED = ['nginx-tuned'];
const BEST = ['nginx-tuned', 'haproxy'];
/** Whether requests are buffered is a choice; the cheaper one counts. */
const NGINX = ['nginx-tuned', 'nginx-streaming'];

/** A limit on the processor time for a request, compared with the cheapest of some in the same scenario. */
interface CpuTarget {
  readonly text: string;
  readonly limit: number;
  readonly scenario: string;
  readonly against: readonly string[];
  readonly own?: string;
}

const best = 'against the better of nginx and HAProxy';
const CPU_TARGETS: readonly CpuTarget[] = [
  { text: `small GET ${best}`, limit: 0.95, scenario: 'small-get', against: BEST },
  { text: `GET with browser heads ${best}`, limit: 0.95, scenario: 'browser-get', against: BEST },
  {
    text: 'small GET, pool.pipelining 16, against nginx',
    limit: 0.8,
    scenario: 'small-get',
    against: TUNED,
    own: PIPELINING,
  },
  {
    text: 'GET with browser heads, pool.pipelining 16, against nginx',
    limit: 0.8,
    scenario: 'browser-get',
    against: TUNED,
    own: PIPELINING,
  },
  { text: `64 KiB ${best}`, limit: 0.9, scenario: 'get-64k', against: BEST },
  { text: `1 MiB ${best}`, limit: 0.9, scenario: 'get-1m', against: BEST },
  { text: 'POST 4 KiB against nginx', limit: 1, scenario: 'post-4k', against: NGINX },
  { text: 'POST 1 MiB against nginx', limit: 1, scenario: 'post-1m', against: NGINX },
  { text: 'chunked both ways against nginx', limit: 1, scenario: 'chunked-both', against: NGINX },
  {
    text: 'a new connection for each request against nginx',
    limit: 1.25,
    scenario: 'new-connection',
    against: TUNED,
  },
  {
    text: 'everything logged against nginx that logs the same',
    limit: 1.25,
    scenario: 'logged',
    against: ['nginx-logged'],
    own: `${OWN}-logged`,
  },
  {
    text: 'everything logged against the default',
    limit: 1.5,
    scenario: 'logged',
    against: [OWN],
    own: `${OWN}-logged`,
  },
  {
    text: '10,000 open connections, 1,000 busy, against 64: CPU per request',
    limit: 1.1,
    scenario: 'open-10000',
    against: [OWN],
    own: `${OWN}-open`,
  },
  {
    text: 'a request over 1,000 routes against over 1',
    limit: 1.1,
    scenario: 'routes-1000',
    against: [`${OWN}-1-route`],
    own: `${OWN}-1000-routes`,
  },
];

/** Above this share of lines that were dropped a log is no longer of everything. */
const DROPPED_SHARE_MAX = 0.001;
/** Below this share of its core the splitter is not saturated. */
const SATURATED_MIN = 0.8;

const dropsLines = (row: Row) =>
  row.turns.reduce((sum, { linesDropped }) => sum + linesDropped, 0) >
  DROPPED_SHARE_MAX * row.turns.reduce((sum, { answered }) => sum + answered, 0);

/** Why figures of these rows prove nothing; undefined if they do. */
function unfit(rows: readonly Row[]): string | undefined {
  if (!rows.every(isComparable)) return 'not judged: requests failed';
  if (rows.some(dropsLines)) return 'not judged: lines were dropped';
  return undefined;
}

const judge = (
  text: string,
  limit: number,
  unit: Unit,
  reached: number,
  shown: string,
  doubt?: string,
): Judged[] =>
  Number.isFinite(reached)
    ? [
        {
          text,
          limit: `${limit}${unit}`,
          reached: shown,
          verdict: doubt ?? (reached <= limit ? 'yes' : 'NO'),
        },
      ]
    : [];

const ratioText = ({ median, least, greatest }: Ratio) =>
  `${median.toFixed(2)}x (${least.toFixed(2)} to ${greatest.toFixed(2)})`;

const scenarioOf = ({ scenarios }: Results, name: string) => scenarios.find((one) => one.name === name);
const rowOf = (result: ScenarioResult | undefined, rival: string) =>
  result?.rows.find((row) => row.rival === rival);

function judgeCpu(results: Results, target: CpuTarget): Judged[] {
  const { text, limit, scenario, against, own = OWN } = target;
  const result = scenarioOf(results, scenario);
  const mine = rowOf(result, own);
  if (result === undefined || mine === undefined) return [];
  const named = result.rows.filter((row) => against.includes(row.rival));
  const theirs = cheapest(result, against) ?? named[0];
  if (theirs === undefined) return [];
  const ratio = cpuRatio(mine, theirs);
  const busy = medianOf(mine, (turn) => turn.cpuMicroseconds / turn.seconds / 1e6);
  const whose = named.length > 1 ? `, ${theirs.title}` : '';
  const core = busy < SATURATED_MIN ? `, core ${(busy * 100).toFixed(0)}% busy` : '';
  const doubt = result.load === 'wrk' ? unfit([mine, theirs]) : 'not judged: needs wrk';
  return judge(text, limit, 'x', ratio.median, `${ratioText(ratio)}${whose}${core}`, doubt);
}

/** What the splitter adds to a latency at the fixed rate, compared with what nginx adds; only beyond the noise. */
function judgeAdded(results: Results, name: string, pick: (latency: Turn['latencyMs']) => number): Judged[] {
  const result = scenarioOf(results, 'rate-2000');
  const [own, nginx] = [rowOf(result, OWN), rowOf(result, 'nginx-tuned')];
  if (result === undefined || own === undefined || nginx === undefined) return [];
  const [mine, theirs] = [addedMs(result, OWN, pick), addedMs(result, 'nginx-tuned', pick)];
  const noise = mine.noiseMs;
  const isMissed = mine.ms > noise && mine.ms - theirs.ms > noise;
  const isReached = mine.ms > noise && theirs.ms > noise && mine.ms <= theirs.ms;
  const doubt = unfit([own, nginx]) ?? (isMissed || isReached ? undefined : 'not judged: within the noise');
  const shown = `${mine.ms.toFixed(2)} ms to ${theirs.ms.toFixed(2)} ms (noise ${noise.toFixed(2)} ms)`;
  // Where nginx adds nothing, what is missed has no ratio.
  const ratio = isMissed ? Math.max(1.01, mine.ms / Math.max(theirs.ms, 0.001)) : mine.ms / theirs.ms;
  return judge(
    `${name} added at 2,000 requests/s against what nginx adds`,
    1,
    'x',
    Number.isFinite(mine.ms - theirs.ms) && !Number.isFinite(ratio) ? 0 : ratio,
    shown,
    doubt,
  );
}

function judgeQuota(results: Results): Judged[] {
  const result = scenarioOf(results, 'quota-200');
  const [own, nginx] = [rowOf(result, OWN), rowOf(result, 'nginx-tuned')];
  if (own === undefined || nginx === undefined) return [];
  const p99 = (turn: Turn) => turn.latencyMs.p99;
  const both = `${medianOf(own, p99).toFixed(2)} ms to ${medianOf(nginx, p99).toFixed(2)} ms`;
  const ratio = ratioOf(own, nginx, p99);
  const text = 'a tenth of a core, 200 requests/s: p99 against nginx in the same quota';
  return judge(text, 1.5, 'x', ratio.median, `${ratioText(ratio)}, ${both}`, unfit([own, nginx]));
}

function judgeMemory({ open }: Results): Judged[] {
  if (open === null) return [];
  const kib = ((open.withMiB - open.beforeMiB) * 1024) / open.connections;
  const shown = `${kib.toFixed(1)} KiB (${open.beforeMiB.toFixed(0)} to ${open.withMiB.toFixed(0)} MiB)`;
  return judge('10,000 open connections: memory a connection', 12, ' KiB', kib, shown);
}

function judgeGrowth({ growth, micro }: Results): Judged[] {
  const step = (variants: number) =>
    micro.find(({ name }) => name === DECIDE_AMONG(variants))?.medianNs ?? Number.NaN;
  const [few, many] = [step(2), step(1000)];
  const large = 'with 1,000 variants and 10,000 routes';
  const block = Math.max(...(growth?.reloads ?? []).map(({ blockMs }) => blockMs));
  const start = figure(growth?.startMs ?? []).median;
  return [
    ...judge(
      'decide with 1,000 variants against 2',
      1.3,
      'x',
      many / few,
      `${(many / few).toFixed(2)}x (${many.toFixed(0)} ns to ${few.toFixed(0)} ns)`,
    ),
    ...judge(`a reload ${large}: longest block of the loop`, 20, ' ms', block, `${block.toFixed(1)} ms`),
    ...judge(`start ${large}`, 400, ' ms', start, `${start.toFixed(0)} ms`),
  ];
}

function judgeStart({ starts }: Results): Judged[] {
  const start = starts.find(({ rival }) => rival === OWN);
  if (start === undefined) return [];
  const { median } = figure(start.startMs);
  const own = start.privateMiB ?? Number.NaN;
  const mib = (value: number) => `${value.toFixed(1)} MiB`;
  return [
    ...judge('start to first answer', 75, ' ms', median, `${median.toFixed(0)} ms`),
    ...judge('own memory just started (largest)', 15, ' MiB', own, mib(own)),
    ...judge('resident memory just started (largest)', 58, ' MiB', start.memoryMiB, mib(start.memoryMiB)),
  ];
}

/** What the verdict says where others used the machine. */
export const WITHHELD = 'withheld: machine busy';

/** Every target for which the run has figures, in the order of the report, and those that it could not measure. */
export function judgedTargets(results: Results): Judged[] {
  const judged = [
    ...CPU_TARGETS.flatMap((target) => judgeCpu(results, target)),
    ...judgeMemory(results),
    ...judgeAdded(results, 'p99', ({ p99 }) => p99),
    ...judgeAdded(results, 'p99.9', ({ p999 }) => p999),
    ...judgeQuota(results),
    ...judgeGrowth(results),
    ...judgeStart(results),
  ];
  const isWithheld = isBusy(watchedTimes(results));
  return [
    ...judged.map((one) => (isWithheld ? { ...one, verdict: WITHHELD } : one)),
    ...Object.entries(results.notMeasured).map(([part, reason]) => ({
      text: part,
      limit: '',
      reached: '',
      verdict: `not measured: ${reason}`,
    })),
  ];
}

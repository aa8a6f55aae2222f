// The cost targets of the project and what a run reached. Pure. A target without figures in the run is left out; a
// target whose figures come from a contender that failed requests is not judged.
import {
  addedP99Ms,
  cpuRatio,
  DECIDE,
  figure,
  isComparable,
  type Results,
  type Row,
  type ScenarioResult,
  soakGrowth,
} from './results.ts';

interface Judged {
  readonly text: string;
  readonly limit: string;
  readonly reached: string;
  readonly verdict: 'yes' | 'NO' | 'not judged';
}

const OWN = 'request-splitter';

type Unit = 'x' | ' MiB' | ' ms' | ' ns';

function judge(
  text: string,
  limit: number,
  reached: number,
  unit: Unit,
  rows: readonly Row[] = [],
): Judged[] {
  if (!Number.isFinite(reached)) return [];
  const shown = `${reached.toFixed(unit === 'x' ? 2 : 0)}${unit}`;
  const verdict = !rows.every(isComparable) ? 'not judged' : reached <= limit ? 'yes' : 'NO';
  return [{ text, limit: `${limit}${unit}`, reached: shown, verdict }];
}

const rowOf = (scenarios: readonly ScenarioResult[], name: string, rival: string) =>
  scenarios.find((scenario) => scenario.name === name)?.rows.find((row) => row.rival === rival);

/** A limit on the processor time for a request, compared with another contender in the same scenario. */
interface CpuTarget {
  readonly text: string;
  readonly limit: number;
  readonly scenario: string;
  readonly rival: string;
  readonly own?: string;
}

function judgeCpu(scenarios: readonly ScenarioResult[], text: string, target: CpuTarget): Judged[] {
  const { limit, scenario, rival, own = OWN } = target;
  const [mine, theirs] = [rowOf(scenarios, scenario, own), rowOf(scenarios, scenario, rival)];
  if (mine === undefined || theirs === undefined) return [];
  const { median, least, greatest } = cpuRatio(mine, theirs);
  return judge(text, limit, median, 'x', [mine, theirs]).map((one) => ({
    ...one,
    reached: `${one.reached} (${least.toFixed(2)} to ${greatest.toFixed(2)})`,
  }));
}

/** What the splitter adds to p99 at the fixed rate, compared with what another contender adds. */
function judgeAdded(scenarios: readonly ScenarioResult[], rival: string, name: string): Judged[] {
  const result = scenarios.find(({ rate }) => rate !== null);
  if (result === undefined) return [];
  const [mine, theirs] = [addedP99Ms(result, OWN), addedP99Ms(result, rival)];
  if (!Number.isFinite(mine) || !Number.isFinite(theirs)) return [];
  const both = `${mine.toFixed(2)} ms to ${theirs.toFixed(2)} ms`;
  const rows = result.rows.filter((row) => row.rival === OWN || row.rival === rival);
  const text = `p99 added at 2,000 requests/s against what ${name} adds`;
  // A difference within the noise of the turn without a proxy cannot serve as a measure.
  if (theirs <= 0) return [{ text, limit: '1.5x', reached: both, verdict: mine <= 0 ? 'yes' : 'not judged' }];
  return judge(text, 1.5, mine / theirs, 'x', rows).map((one) => ({
    ...one,
    reached: `${one.reached} (${both})`,
  }));
}

const SMALL = 'small GET: CPU per request';
const PIPELINING = `${OWN}-pipelining`;
const WORKERS = `${OWN}-2-workers`;

const CPU_TARGETS: readonly CpuTarget[] = [
  { text: `${SMALL} against nginx tuned`, limit: 1.25, scenario: 'small-get', rival: 'nginx-tuned' },
  { text: `${SMALL} against nginx plain`, limit: 0.35, scenario: 'small-get', rival: 'nginx-plain' },
  { text: `${SMALL} against http-proxy`, limit: 0.2, scenario: 'small-get', rival: 'http-proxy' },
  {
    text: `${SMALL} with pool.pipelining 16 against nginx tuned`,
    limit: 0.85,
    scenario: 'small-get',
    rival: 'nginx-tuned',
    own: PIPELINING,
  },
  { text: `${SMALL} with 2 workers against 1`, limit: 1.1, scenario: 'small-get', rival: OWN, own: WORKERS },
  {
    text: `${SMALL} with 2 workers against 1, 256 connections`,
    limit: 1.1,
    scenario: 'small-get-256',
    rival: OWN,
    own: WORKERS,
  },
  {
    text: '64 KiB responses: CPU per request against nginx tuned',
    limit: 1,
    scenario: 'get-64k',
    rival: 'nginx-tuned',
  },
  {
    text: '1 MiB responses: CPU per request against nginx tuned',
    limit: 1.5,
    scenario: 'get-1m',
    rival: 'nginx-tuned',
  },
];

/** Every target for which the run has figures, in the order of the report. */
export function judgedTargets({ scenarios, saturated, starts, soak, micro }: Results): Judged[] {
  const start = starts.find(({ rival }) => rival === OWN);
  const loaded = rowOf(scenarios, 'open-2000', OWN);
  return [
    ...CPU_TARGETS.flatMap((target) => [
      ...judgeCpu(scenarios, target.text, target),
      ...judgeCpu(saturated, `${target.text}, core saturated`, target),
    ]),
    ...judgeAdded(scenarios, 'nginx-tuned', 'nginx tuned'),
    ...judgeAdded(scenarios, 'nginx-plain', 'nginx plain'),
    ...judge('memory after the start (largest)', 64, start?.memoryMiB ?? Number.NaN, ' MiB'),
    ...judge(
      'memory with 2,000 open connections under load (largest)',
      110,
      loaded === undefined ? Number.NaN : Math.max(...loaded.turns.map((turn) => turn.memoryMiB)),
      ' MiB',
      loaded === undefined ? [] : [loaded],
    ),
    ...judge(
      'soak: memory after the last cycle against that after the second',
      1.1,
      soak === null ? Number.NaN : soakGrowth(soak),
      'x',
    ),
    ...judge('start to first answer', 200, figure(start?.startMs ?? []).median, ' ms'),
    ...judge(
      'decide (key, hash, pick), the most expensive kind of request',
      150,
      Math.max(...micro.filter(({ name }) => name.startsWith(DECIDE)).map((row) => row.medianNs)),
      ' ns',
    ),
  ];
}

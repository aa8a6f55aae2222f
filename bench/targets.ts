// The cost targets of the project beside what a run reached. Pure. A target that the run has no figures for is left
// out; one whose figures come from a contender that failed requests is not judged.
import {
  addedP99Ms,
  cpuRatio,
  DECIDE,
  figure,
  isComparable,
  type Results,
  type Row,
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

/** Every target that the run can say something about, in the order of the report. */
export function judgedTargets(results: Results): Judged[] {
  const rowOf = (scenario: string, rival: string, of = results.scenarios) =>
    of.find(({ name }) => name === scenario)?.rows.find((row) => row.rival === rival);

  const cpuOf = (
    of: Results['scenarios'],
    text: string,
    limit: number,
    scenario: string,
    rival: string,
    own: string,
  ) => {
    const [mine, theirs] = [rowOf(scenario, own, of), rowOf(scenario, rival, of)];
    if (mine === undefined || theirs === undefined) return [];
    const { median, least, greatest } = cpuRatio(mine, theirs);
    return judge(text, limit, median, 'x', [mine, theirs]).map((one) => ({
      ...one,
      reached: `${one.reached} (${least.toFixed(2)} to ${greatest.toFixed(2)})`,
    }));
  };
  const cpu = (text: string, limit: number, scenario: string, rival: string, own = OWN) => [
    ...cpuOf(results.scenarios, text, limit, scenario, rival, own),
    ...cpuOf(results.saturated, `${text}, core saturated`, limit, scenario, rival, own),
  ];

  const added = (rival: string, name: string): Judged[] => {
    const result = results.scenarios.find(({ rate }) => rate !== null);
    if (result === undefined) return [];
    const [mine, theirs] = [addedP99Ms(result, OWN), addedP99Ms(result, rival)];
    if (!Number.isFinite(mine) || !Number.isFinite(theirs)) return [];
    const both = `${mine.toFixed(2)} ms to ${theirs.toFixed(2)} ms`;
    const rows = result.rows.filter((row) => row.rival === OWN || row.rival === rival);
    const text = `p99 added at 2,000 requests/s against what ${name} adds`;
    const limit = '1.5x';
    // What is within the noise of the way without a proxy is no measure for anything.
    if (theirs <= 0) return [{ text, limit, reached: both, verdict: mine <= 0 ? 'yes' : 'not judged' }];
    return judge(text, 1.5, mine / theirs, 'x', rows).map((one) => ({
      ...one,
      reached: `${one.reached} (${both})`,
    }));
  };

  const start = results.starts.find(({ rival }) => rival === OWN);
  const loaded = rowOf('open-2000', OWN);
  const small = 'small GET: CPU per request';
  return [
    ...cpu(`${small} against nginx tuned`, 1.25, 'small-get', 'nginx-tuned'),
    ...cpu(`${small} against nginx plain`, 0.35, 'small-get', 'nginx-plain'),
    ...cpu(`${small} against http-proxy`, 0.2, 'small-get', 'http-proxy'),
    ...cpu(
      `${small} with pool.pipelining 16 against nginx tuned`,
      0.85,
      'small-get',
      'nginx-tuned',
      `${OWN}-pipelining`,
    ),
    ...cpu(`${small} with 2 workers against 1`, 1.1, 'small-get', OWN, `${OWN}-2-workers`),
    ...cpu(
      `${small} with 2 workers against 1, 256 connections`,
      1.1,
      'small-get-256',
      OWN,
      `${OWN}-2-workers`,
    ),
    ...cpu('64 KiB responses: CPU per request against nginx tuned', 1, 'get-64k', 'nginx-tuned'),
    ...cpu('1 MiB responses: CPU per request against nginx tuned', 1.5, 'get-1m', 'nginx-tuned'),
    ...added('nginx-tuned', 'nginx tuned'),
    ...added('nginx-plain', 'nginx plain'),
    ...judge('memory just started (the greatest)', 64, start?.memoryMiB ?? Number.NaN, ' MiB'),
    ...judge(
      'memory with 2,000 open connections under load (the greatest)',
      110,
      loaded === undefined ? Number.NaN : Math.max(...loaded.turns.map((turn) => turn.memoryMiB)),
      ' MiB',
      loaded === undefined ? [] : [loaded],
    ),
    ...judge(
      'flat: memory after the last circle of the soak against that after the second',
      1.1,
      results.soak === null ? Number.NaN : soakGrowth(results.soak),
      'x',
    ),
    ...judge('start to first answer', 200, figure(start?.startMs ?? []).median, ' ms'),
    ...judge(
      'decide (key, hash, pick), the dearest kind of request',
      150,
      Math.max(...results.micro.filter(({ name }) => name.startsWith(DECIDE)).map((row) => row.medianNs)),
      ' ns',
    ),
  ];
}

// The buckets of the duration histogram: what of them is a mistake, each at its place, and how they are shown.
import { describe, expect, it, onTestFinished } from 'vitest';
import { describeConfig } from '../../../src/admin/effective-config.ts';
import { DURATION_BOUNDS_DEFAULT_MS } from '../../../src/config/duration-bounds.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { formatProblems } from '../../../src/config/problem.ts';
import { setDurationBounds } from '../../../src/telemetry/duration-buckets.ts';
import { createMetrics } from '../../../src/telemetry/prometheus.ts';
import { ReloadStatus } from '../../../src/telemetry/running.ts';
import { fakeRunning } from '../../support/fake-running.ts';

const parse = (buckets: string) =>
  parseConfig(
    `metrics: { durationBuckets: ${buckets} }\nsplits: { s: { variants: [{ name: a, share: "*", upstream: http://a }] } }\n`,
    'f.yaml',
  );
const problemsOf = (buckets: string) =>
  formatProblems(parse(buckets).problems ?? []).map((line) => line.replace(/^.*?durationBuckets/, ''));

describe('metrics.durationBuckets', () => {
  it('takes durations down to parts of a millisecond, and shows them as they are written', () => {
    const { config, problems } = parse('[0.01ms, 2.5ms, 250ms, 1.5s, 1h]');
    expect(problems).toBeUndefined();
    expect(config!.metrics.durationBuckets).toEqual([0.01, 2.5, 250, 1500, 3_600_000]);
    expect(JSON.parse(JSON.stringify(describeConfig(config!)))).toMatchObject({
      metrics: { durationBuckets: ['0.01ms', '2.5ms', '250ms', '1500ms', '1h'] },
    });
  });

  it('has the usual bounds by default', () => {
    const { config } = parseConfig(
      'splits: { s: { variants: [{ name: a, share: "*", upstream: http://a }] } }\n',
      'f.yaml',
    );
    expect(config!.metrics.durationBuckets).toEqual(DURATION_BOUNDS_DEFAULT_MS);
  });

  it('reports every entry that is none or does not grow', () => {
    expect(problemsOf('[5ms, 5ms, 100ms, 20ms, x, 2h]')).toEqual([
      '[1]: expected a duration longer than the one before it, 5ms, got "5ms"',
      '[3]: expected a duration longer than the one before it, 100ms, got "20ms"',
      '[4]: expected a duration from 0.01ms to 1h like 2.5ms, 250ms or 1s, got "x"',
      '[5]: expected a duration from 0.01ms to 1h like 2.5ms, 250ms or 1s, got "2h"',
    ]);
    const list = 'a list of 1 to 40 durations like [10ms, 100ms, 1s]';
    expect(problemsOf('[]')).toEqual([`: expected ${list}, got []`]);
    expect(problemsOf('5ms')).toEqual([`: expected ${list} (did you mean ["5ms"]?), got "5ms"`]);
    const many = Array.from({ length: 41 }, (_, at) => `${at + 1}ms`).join(', ');
    expect(problemsOf(`[${many}]`)[0]).toContain(`expected ${list}`);
  });

  it('makes the lines of the histogram', async () => {
    onTestFinished(() => setDurationBounds(DURATION_BOUNDS_DEFAULT_MS));
    setDurationBounds([300, 1000]);
    const running = fakeRunning();
    const row = running.counters.variant('s', 'v', 'u');
    for (const ms of [200, 300, 900, 5000]) {
      row.begin();
      row.end(200, -1, ms, 0, 0);
    }
    const text = await createMetrics(running, new ReloadStatus()).render();
    const lines = text.split('\n').filter((line) => line.startsWith('splitter_request_duration_seconds'));
    expect(
      lines.filter((line) => line.includes('"u"')).map((line) => line.replace(/^.*seconds/, '')),
    ).toEqual([
      '_bucket{split="s",variant="v",upstream="u",le="0.3"} 2',
      '_bucket{split="s",variant="v",upstream="u",le="1"} 3',
      '_bucket{split="s",variant="v",upstream="u",le="+Inf"} 4',
      '_sum{split="s",variant="v",upstream="u"} 6.4',
      '_count{split="s",variant="v",upstream="u"} 4',
    ]);
  });
});

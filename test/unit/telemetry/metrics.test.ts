// What a scrape says: the numbers of the counters, names and labels that promtool accepts, a document that is current.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { FAULT_CODES } from '../../../src/errors.ts';
import { createMetrics, metricsTable } from '../../../src/telemetry/prometheus.ts';
import { ReloadStatus } from '../../../src/telemetry/running.ts';
import { fakeRunning } from '../../support/fake-running.ts';

const PROMTOOL = '/usr/bin/promtool';
const DOCUMENT = new URL('../../../docs/metrics.md', import.meta.url);
const RESET = FAULT_CODES.indexOf('UPSTREAM_RESET');

/** A fake with something in every kind of row. */
function usedRunning() {
  const running = fakeRunning();
  const a = running.counters.variant('appversion', 'version_1a', 'a');
  const b = running.counters.variant('appversion', 'version_1b', 'b');
  for (const ms of [0.4, 0.5, 3, 90_000]) {
    a.begin();
    a.end(200, -1, ms, 100, 1000);
  }
  b.begin();
  b.begin();
  b.end(502, RESET, 20, 50, 60);
  b.retry();
  a.missingKey();
  const upstream = running.counters.upstream('a');
  upstream.connectionOpened();
  upstream.connectFailed(FAULT_CODES.indexOf('UPSTREAM_CONNECT_FAILED'));
  running.counters.downstream.connectionOpened();
  running.counters.downstream.refused(FAULT_CODES.indexOf('BAD_HOST'));
  return running;
}

const VERSION_1A = 'split="appversion",variant="version_1a",upstream="a"';
const VERSION_1B = 'split="appversion",variant="version_1b",upstream="b"';

describe('a scrape', () => {
  test('shows what the counters hold at that moment', async () => {
    const running = usedRunning();
    const metrics = createMetrics(running, new ReloadStatus());
    const text = await metrics.render();
    const lines = text.split('\n');
    expect(lines).toContain(`splitter_requests_total{${VERSION_1A},code="2xx"} 4`);
    expect(lines).toContain(`splitter_requests_total{${VERSION_1B},code="5xx"} 1`);
    expect(lines).toContain(`splitter_requests_total{${VERSION_1B},code="2xx"} 0`);
    expect(lines).toContain(
      `splitter_request_faults_total{${VERSION_1B},code="UPSTREAM_RESET",blame="upstream"} 1`,
    );
    expect(lines).toContain(`splitter_requests_in_flight{${VERSION_1B}} 1`);
    expect(lines).toContain(`splitter_received_bytes_total{${VERSION_1A}} 400`);
    expect(lines).toContain(`splitter_sent_bytes_total{${VERSION_1A}} 4000`);
    expect(lines).toContain(`splitter_retries_total{${VERSION_1B}} 1`);
    expect(lines).toContain(`splitter_missing_keys_total{${VERSION_1A}} 1`);
    expect(lines).toContain('splitter_upstream_connections{upstream="a"} 1');
    expect(lines).toContain(
      'splitter_upstream_connect_failures_total{upstream="a",code="UPSTREAM_CONNECT_FAILED"} 1',
    );
    expect(lines).toContain('splitter_refusals_total{code="BAD_HOST",blame="downstream"} 1');
    expect(lines).toContain('splitter_config_info{hash="0123456789ab"} 1');
    expect(lines).toContain('splitter_config_generation 1');

    running.counters.variant('appversion', 'version_1a', 'a').end(200, -1, 1, 0, 0);
    expect((await metrics.render()).split('\n')).toContain(
      `splitter_requests_total{${VERSION_1A},code="2xx"} 5`,
    );
  });

  test('shows the duration histogram cumulatively, its sum in seconds', async () => {
    const text = await createMetrics(usedRunning(), new ReloadStatus()).render();
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith('splitter_request_duration_seconds') && line.includes('version_1a'));
    const bucket = (le: string) =>
      lines.find((line) => line.includes(`le="${le}"`))?.replace(/^.* /, '') ?? 'none';
    expect([bucket('0.0005'), bucket('0.001'), bucket('0.005'), bucket('60'), bucket('+Inf')]).toEqual([
      '2',
      '2',
      '3',
      '3',
      '4',
    ]);
    expect(lines).toContain(`splitter_request_duration_seconds_sum{${VERSION_1A}} 90.0039`);
    expect(lines).toContain(`splitter_request_duration_seconds_count{${VERSION_1A}} 4`);
  });

  test('shows unique keys and whether they fit the shares, once a sample exists', async () => {
    const running = fakeRunning();
    const metrics = createMetrics(running, new ReloadStatus());
    const [splitter] = running.generation.splitters.values();
    const config = running.generation.config.splits.get('appversion')!;
    const sample = running.counters.sample('appversion', splitter!.variants, config);
    expect(await metrics.render()).not.toContain('splitter_sample_ratio_p_value{');
    for (let key = 0; key < 1000; key += 1) sample.add(0, key);
    const lines = (await metrics.render()).split('\n');
    expect(lines).toContain('splitter_unique_keys{split="appversion",variant="version_1b"} 0');
    expect(lines).toContain('splitter_sample_ratio_mismatch{split="appversion"} 1');
    expect(
      lines.find((line) => line.startsWith('splitter_sample_ratio_p_value{split="appversion"} ')),
    ).toBeDefined();

    running.counters.sample('removed', splitter!.variants, config);
    expect(await metrics.render()).not.toContain('split="removed"');
  });

  test('tells an accepted configuration from a refused one', async () => {
    const reloads = new ReloadStatus();
    const metrics = createMetrics(fakeRunning(), reloads);
    expect(await metrics.render()).toContain('\nsplitter_config_last_reload_successful 1\n');
    reloads.refused(['splitter.yaml:1:1 split: expected …, got …']);
    const refused = await metrics.render();
    expect(refused).toContain('\nsplitter_config_last_reload_successful 0\n');
    expect(refused).toContain('\nsplitter_config_reload_failures_total 1\n');
    expect(refused).toContain(
      `\nsplitter_config_last_reload_success_timestamp_seconds ${Date.parse('2030-01-02T03:04:05Z') / 1000}\n`,
    );
    reloads.accepted();
    expect(await metrics.render()).toContain('\nsplitter_config_last_reload_successful 1\n');
  });

  test('escapes a label value that holds a quote, a backslash or a line end', async () => {
    const running = fakeRunning();
    running.counters.variant('', '', 'a"b\\c\nd');
    expect(await createMetrics(running, new ReloadStatus()).render()).toContain('upstream="a\\"b\\\\c\\nd"');
  });

  test('uses no label but those that are promised', async () => {
    const allowed = new Set(['split', 'variant', 'upstream', 'code', 'reason', 'blame', 'le']);
    const text = await createMetrics(usedRunning(), new ReloadStatus()).render();
    for (const line of text.split('\n')) {
      if (/^splitter_\w+_info\{/.test(line)) continue;
      for (const [, label] of line.matchAll(/[{,](\w+)="/g)) expect(allowed).toContain(label);
    }
  });
});

const promtool = existsSync(PROMTOOL);
if (!promtool) console.warn(`skipped: ${PROMTOOL} is not installed (Debian package prometheus)`);

test.skipIf(!promtool)('promtool finds nothing to say about a scrape', async () => {
  const text = await createMetrics(usedRunning(), new ReloadStatus()).render();
  const { status, stdout, stderr } = spawnSync(PROMTOOL, ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  });
  expect(stdout + stderr).toBe('');
  expect(status).toBe(0);
});

test('docs/metrics.md holds the table of the declarations (vitest -u writes it)', async () => {
  const text = readFileSync(DOCUMENT, 'utf8');
  const current = text.replace(/(?<=<!-- table -->\n)[\s\S]*?(?=<!-- end -->)/, `${metricsTable()}\n`);
  await expect(current).toMatchFileSnapshot(DOCUMENT.pathname);
});

test('OpenMetrics has the same lines, families of counters without their end, no empty line, and an end', async () => {
  const metrics = createMetrics(usedRunning(), new ReloadStatus());
  let text = '';
  for await (const piece of metrics.pieces(true)) text += piece;
  expect(text.endsWith('\n# EOF\n')).toBe(true);
  expect(text).not.toContain('\n\n');
  expect(text).toContain('# TYPE splitter_requests counter\n');
  expect(text).toContain('# TYPE splitter_request_duration_seconds histogram\n');
  expect(text).not.toMatch(/^# (TYPE|HELP) \S+_total /m);
  expect(text).not.toMatch(/^# HELP .*[^\\]"/m);
  const linesOf = (all: string) => all.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const stable = (lines: string[]) => lines.filter((line) => line.startsWith('splitter_'));
  expect(stable(linesOf(text))).toEqual(stable(linesOf(await metrics.render())));
});

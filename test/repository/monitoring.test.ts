// What k8s/monitoring ships: alert rules that promtool has tested, a dashboard that any Grafana of today opens, and both
// about metrics that the splitter really has. That the queries have answers is test/wire/admin/prometheus-dashboard.test.ts.
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { FAMILIES } from '../../src/telemetry/families.ts';
import { DASHBOARD, PANELS } from '../support/dashboard.ts';

const root = join(import.meta.dirname, '..', '..');
const folder = join(root, 'k8s', 'monitoring');
const read = (name: string) => readFileSync(join(folder, name), 'utf8');

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}
const ALERTS_TEXT = read('alerts.yaml');
const TESTS_TEXT = read('alerts.test.yaml');
const RULES = (parse(ALERTS_TEXT) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules);
const ALERTS = RULES.filter(({ alert }) => alert !== undefined);

const METRICS_TABLE = readFileSync(join(root, 'docs', 'metrics.md'), 'utf8');
/** Labels of each metric, as the program declares them. */
const LABELS = new Map<string, readonly string[]>();
for (const { name, type, labels } of FAMILIES) {
  if (type !== 'histogram') LABELS.set(name, labels);
  else for (const end of ['_bucket', '_sum', '_count']) LABELS.set(name + end, [...labels, 'le']);
}
// What `request-splitter fleet` exports beside them (docs/trust.md).
for (const name of ['sample_ratio_mismatch', 'verdict_level']) {
  LABELS.set(`splitter_fleet_${name}`, ['fleet', 'split']);
}
for (const name of ['unique_keys', 'answered_keys', 'failed_keys']) {
  LABELS.set(`splitter_fleet_${name}`, ['fleet', 'split', 'variant']);
}
/** Labels that Prometheus or its operator adds when it scrapes. */
const OF_THE_TARGET = ['namespace', 'job', 'instance', 'pod', 'container'];

/** The metrics of the splitter that a query or a series names, and the labels by which it chooses. */
function namedIn(query: string): { name: string; chosenBy: string[] }[] {
  // The series that the rules record have colons in their names.
  const names = /(?<![\w:])((?:splitter|process|nodejs)_\w+)(?![\w:])(?:\{([^}]*)\})?/g;
  return [...query.replace(/"[^"]*"/g, '""').matchAll(names)].map(([, name = '', matchers = '']) => ({
    name,
    chosenBy: [...matchers.matchAll(/(\w+)\s*[=!]/g)].map(([, label]) => label!),
  }));
}

/** What it names that the splitter does not have, as "metric" or "metric{label}". */
function unknownIn(query: string): string[] {
  return namedIn(query).flatMap(({ name, chosenBy }) => {
    const labels = LABELS.get(name);
    if (labels === undefined) return [name];
    return chosenBy
      .filter((label) => !labels.includes(label) && !OF_THE_TARGET.includes(label))
      .map((label) => `${name}{${label}}`);
  });
}

const PROMTOOL = 'promtool';
const hasPromtool = spawnSync(PROMTOOL, ['--version']).status === 0;
if (!hasPromtool) {
  console.warn(
    'monitoring.test.ts: the alert rules are not run: promtool is not installed (Debian: prometheus)',
  );
}
const promtool = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(PROMTOOL, args, { cwd: folder, encoding: 'utf8' });
  return { status, said: stdout + stderr };
};

describe('the alert rules', () => {
  test.skipIf(!hasPromtool)('are ones that promtool takes, without a remark', () => {
    expect(promtool('check', 'rules', '--lint=all', '--lint-fatal', 'alerts.yaml')).toEqual({
      status: 0,
      said: expect.stringMatching(/^Checking alerts\.yaml\n {2}SUCCESS: \d+ rules found\n+$/),
    });
  });

  test.skipIf(!hasPromtool)('come when they have to and not before, as promtool plays their tests', () => {
    const { status, said } = promtool('test', 'rules', 'alerts.test.yaml');
    expect(said).toContain('SUCCESS');
    expect(status).toBe(0);
  });

  test('each is seen firing in a test', () => {
    const untested = ALERTS.filter(
      ({ alert }) => !TESTS_TEXT.includes(`alertname="${alert}", alertstate="firing"`),
    );
    expect(ALERTS.length).toBeGreaterThanOrEqual(4);
    expect(untested).toEqual([]);
  });

  test.each(ALERTS)(
    '$alert waits before it tells, says how bad it is, what it means and what to do',
    (rule) => {
      expect(rule.for).toMatch(/^\d+m$/);
      expect(rule.labels?.severity).toMatch(/^(warning|critical)$/);
      const { summary = '', description = '', runbook = '' } = rule.annotations ?? {};
      expect(summary).toContain('{{ $labels.job }}');
      expect(description).toContain('{{ $value');
      expect(runbook).toMatch(/^1\. .+\n(.+\n)*2\. /);
    },
  );

  test.each(ALERTS)('$alert names no label in its texts that its query drops', ({ expr, annotations }) => {
    const named = [...JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label!);
    // What a recorded series keeps is what its rule groups by.
    const of = RULES.filter(({ record }) => record !== undefined && expr.includes(record)).map(
      ({ expr }) => expr,
    );
    const kept = [expr, ...of].flatMap((text) =>
      [...text.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, labels]) => labels!.split(', ')),
    );
    expect(kept).toEqual(expect.arrayContaining(named));
  });

  test('and their tests ask only for metrics and labels that the splitter has', () => {
    const { tests } = parse(TESTS_TEXT) as { tests: { input_series: { series: string }[] }[] };
    const series = tests.flatMap(({ input_series }) => input_series.map((input) => input.series));
    expect([...RULES.map(({ expr }) => expr), ...series].flatMap(unknownIn)).toEqual([]);
  });

  test('stand in the PrometheusRule as they stand in their file (vitest -u writes it)', async () => {
    const body = ALERTS_TEXT.slice(ALERTS_TEXT.indexOf('groups:')).replace(/^(?=.)/gm, '  ');
    const text = `# Made from alerts.yaml by test/repository/monitoring.test.ts (vitest -u): change that one.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: request-splitter
  labels: {app.kubernetes.io/name: request-splitter}
spec:
${body}`;
    await expect(text).toMatchFileSnapshot(join(folder, 'prometheus-rule.yaml'));
    expect((parse(text) as { spec: unknown }).spec).toEqual(parse(ALERTS_TEXT));
  });

  test('each has its line in docs/metrics.md', () => {
    const documented = [...METRICS_TABLE.matchAll(/^\| `(Splitter\w+)` \|/gm)].map(([, name]) => name);
    expect(documented).toEqual(ALERTS.map(({ alert }) => alert));
  });
});

describe('the dashboard', () => {
  const queries = [
    ...PANELS.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ where: title, expr }))),
    ...DASHBOARD.annotations.list.map(({ name, expr }) => ({ where: name, expr })),
    ...DASHBOARD.templating.list.flatMap(({ name, definition }) =>
      definition === undefined ? [] : [{ where: name, expr: definition }],
    ),
  ];

  test('is of a present schema and has panels that every Grafana has', () => {
    expect(DASHBOARD.schemaVersion).toBeGreaterThanOrEqual(41);
    expect(new Set(DASHBOARD.panels.map(({ type }) => type))).toEqual(
      new Set(['row', 'timeseries', 'stat', 'table']),
    );
    expect(DASHBOARD).not.toHaveProperty('id');
    expect(DASHBOARD).not.toHaveProperty('__inputs');
  });

  test('asks for data source, app and split before anything else', () => {
    expect(DASHBOARD.templating.list.map(({ name, type }) => `${name}: ${type}`)).toEqual([
      'datasource: datasource',
      'job: query',
      'split: query',
    ]);
  });

  test.each(PANELS)(
    '"$title" has a description, a unit, thresholds, a legend and the chosen data source',
    (panel) => {
      expect(panel.description).toMatch(/^[A-Z].{20,}\.$/);
      expect(panel.fieldConfig?.defaults.unit).toMatch(/^\w+$/);
      expect(panel.fieldConfig?.defaults.thresholds?.steps.length).toBeGreaterThan(0);
      for (const { datasource, legendFormat } of [panel, ...panel.targets!] as typeof panel.targets &
        object) {
        expect(datasource).toEqual({ type: 'prometheus', uid: '${datasource}' });
        expect(legendFormat).not.toBe('');
      }
    },
  );

  test('has every panel once, and none above another', () => {
    expect(new Set(DASHBOARD.panels.map(({ id }) => id)).size).toBe(DASHBOARD.panels.length);
    expect(new Set(PANELS.map(({ title }) => title)).size).toBe(PANELS.length);
    const cells = DASHBOARD.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(DASHBOARD.panels.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([]);
  });

  test('asks only for metrics and labels that the splitter has, and only for those of the chosen app and splits', () => {
    expect(queries.flatMap(({ expr }) => unknownIn(expr))).toEqual([]);
    const isChosen = (expr: string) =>
      namedIn(expr).every(({ name, chosenBy }) =>
        ['job', ...(LABELS.get(name)!.includes('split') ? ['split'] : [])].every((label) =>
          chosenBy.includes(label),
        ),
      );
    const panels = queries.filter(({ expr }) => !expr.startsWith('label_values('));
    expect(panels.filter(({ expr }) => !isChosen(expr))).toEqual([]);
  });

  test('shows every metric of variants, upstreams and the configuration, but sums and sizes', () => {
    const shown = queries.map(({ expr }) => expr).join('\n');
    const left = [...LABELS.keys()].filter(
      (name) => /^splitter_(?!fleet_)/.test(name) && !shown.includes(name),
    );
    expect(left).toEqual([
      'splitter_request_duration_seconds_sum',
      'splitter_request_duration_seconds_count',
      'splitter_received_bytes_total',
      'splitter_sent_bytes_total',
      'splitter_preflights_total',
      'splitter_keys_remembered_total',
      'splitter_sample_start_timestamp_seconds',
      'splitter_sample_ratio_p_value',
      'splitter_upstream_pool_exhaustions_total',
      'splitter_upstream_streams',
      'splitter_downstream_connections_accepted_total',
      'splitter_tunnels_opened_total',
      'splitter_response_buffer_bytes',
      'splitter_draining',
      'splitter_config_last_good',
      'splitter_admin_connections',
      'splitter_admin_connections_dropped_total',
      'splitter_assignment_early_windows_total',
      'splitter_sample_store_writes_total',
      'splitter_sample_store_failures_total',
      'splitter_workers',
      'splitter_workers_serving',
      'splitter_workers_silent',
      'splitter_worker_deaths_total',
    ]);
  });
});

describe('the PodMonitor', () => {
  const monitor = parse(read('podmonitor.yaml')) as {
    metadata: { name: string };
    spec: { podMetricsEndpoints: { port: string; relabelings: { action: string; regex?: string }[] }[] };
  };
  const endpoints = monitor.spec.podMetricsEndpoints;

  test('finds every splitter under k8s/: its container has the name, and its port too', () => {
    const containers = globSync('k8s/**/*.yaml', { cwd: root })
      .map((file) => readFileSync(join(root, file), 'utf8'))
      .flatMap((text) =>
        text.split(/^ *- name: /m).filter((part) => /^ *image: request-splitter:/m.test(part)),
      );
    expect(containers.length).toBeGreaterThan(1);
    for (const container of containers) {
      const [name] = container.split('\n');
      const endpoint = endpoints.find(({ relabelings }) =>
        relabelings.some(({ action, regex }) => action === 'keep' && regex === name),
      );
      expect(endpoint, name).toBeDefined();
      expect(container).toMatch(new RegExp(`\\{name: ${endpoint!.port}, containerPort: 990[12]\\}`));
    }
  });
});

// Formats the metric families in Prometheus' text format and in OpenMetrics, as /metrics answers, and as the table of
// docs/metrics.md. Counts nothing: prom-client formats what the counters hold at the moment of a scrape.

import { Gauge, type MetricObjectWithValues, type MetricType, Registry } from 'prom-client';
import { FAMILIES } from './families.ts';
import type { MetricFamily, MetricLine, MetricSource } from './row-families.ts';
import {
  type AdminFacts,
  type LogLoss,
  NO_STORE,
  NOTHING_DROPPED,
  type ReloadStatus,
  type Running,
  type StoreFacts,
} from './running.ts';

/** Lines that are formatted in one piece: a scrape of thousands of lines must not hold the event loop. */
const GROUP_LINES = 100;

/** A family as prom-client's registry formats it, a group of lines at a time. */
class RegisteredFamily extends Gauge {
  readonly declaration: MetricFamily;
  /** What is formatted next. */
  lines: readonly MetricLine[] = [];

  constructor(declaration: MetricFamily) {
    const { name, help, labels } = declaration;
    super({ name, help, labelNames: [...labels], registers: [] });
    this.declaration = declaration;
  }

  override async get(): Promise<MetricObjectWithValues<{ value: number; labels: Record<string, string> }>> {
    const { name, help, type } = this.declaration;
    const values = this.lines.map(([labels, value, suffix = '']) => ({
      labels,
      value,
      metricName: name + suffix,
    }));
    // prom-client types its metric types as a numeric enum, but writes and reads their names.
    return {
      name,
      help,
      type: type as unknown as MetricType,
      aggregator: 'sum',
      collect: () => undefined,
      values,
    };
  }
}

/** The lines of one family, a group in each text; the lines # HELP and # TYPE come before the first. */
async function* formatFamily(
  registry: Registry,
  family: RegisteredFamily,
  source: MetricSource,
  isOpenMetrics: boolean,
): AsyncIterable<string> {
  const { name } = family.declaration;
  let isFirst = true;
  for (const lines of groups(family.declaration.read(source))) {
    family.lines = lines;
    const text = `${await registry.getSingleMetricAsString(name)}\n`;
    const headEnd = text.indexOf('\n', text.indexOf('\n') + 1) + 1;
    const head = text.slice(0, headEnd);
    const rest = text.slice(headEnd);
    if (!isFirst) yield rest;
    else yield isOpenMetrics ? openMetricsHead(head, family.declaration) + rest : text;
    isFirst = false;
  }
}

/** Groups of GROUP_LINES; at least one, which may be empty. */
function* groups(lines: Iterable<MetricLine>): Iterable<readonly MetricLine[]> {
  let group: MetricLine[] = [];
  let isFirst = true;
  for (const line of lines) {
    if (group.length === GROUP_LINES) {
      yield group;
      isFirst = false;
      group = [];
    }
    group.push(line);
  }
  if (group.length > 0 || isFirst) yield group;
}

/** The type of an answer in OpenMetrics 1.0, without exemplars and without `_created`. */
export const OPEN_METRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
const TOTAL = '_total';

/** The lines HELP and TYPE as OpenMetrics has them: a counter's family lacks the end of its name, quotes are escaped. */
function openMetricsHead(head: string, { name, type }: MetricFamily): string {
  const family = type === 'counter' && name.endsWith(TOTAL) ? name.slice(0, -TOTAL.length) : name;
  return head
    .replaceAll(`# HELP ${name} `, `# HELP ${family} `)
    .replaceAll(`# TYPE ${name} `, `# TYPE ${family} `)
    .replaceAll('"', '\\"');
}

/** Formats all families of one running splitter in Prometheus' text format 0.0.4 or in OpenMetrics 1.0. */
export function createMetrics(
  running: Running,
  reloads: ReloadStatus,
  log: LogLoss = NOTHING_DROPPED,
  admin: AdminFacts = { connectionsOpen: 0, dropped: {} },
  store: StoreFacts = NO_STORE,
): {
  readonly contentType: string;
  /** The text in small parts. */
  pieces(isOpenMetrics?: boolean): AsyncIterable<string>;
  render(): Promise<string>;
} {
  const registry = new Registry();
  const families = FAMILIES.map((declaration) => new RegisteredFamily(declaration));
  for (const family of families) registry.registerMetric(family);
  const source = { running, reloads, log, admin, store };
  const pieces = async function* (isOpenMetrics = false): AsyncIterable<string> {
    for (const [index, family] of families.entries()) {
      // OpenMetrics knows no empty lines.
      if (index > 0 && !isOpenMetrics) yield '\n';
      yield* formatFamily(registry, family, source, isOpenMetrics);
    }
    if (isOpenMetrics) yield '# EOF\n';
  };
  return {
    contentType: registry.contentType,
    pieces,
    render: async () => {
      let text = '';
      for await (const piece of pieces()) text += piece;
      return text;
    },
  };
}

/** The table of docs/metrics.md as Markdown, one line a family, in the order of a scrape. */
export function metricsTable(): string {
  const rows = FAMILIES.map(
    ({ name, type, labels, help }) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(' ')} | ${help} |`,
  );
  return ['| metric | type | labels | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

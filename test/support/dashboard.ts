// The shipped dashboard, as far as tests read it, and the queries that Grafana makes of its templates.
import { readFileSync } from 'node:fs';

export interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat: string;
  readonly datasource: { readonly uid: string };
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
  readonly fieldConfig?: {
    readonly defaults: {
      readonly unit?: string;
      readonly thresholds?: { readonly steps: readonly unknown[] };
    };
  };
}

interface Dashboard {
  readonly uid: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr: string }[] };
}

export const DASHBOARD = JSON.parse(
  readFileSync(new URL('../../k8s/monitoring/dashboard.json', import.meta.url), 'utf8'),
) as Dashboard;

/** The panels that ask something: all but the titles of rows. */
export const PANELS = DASHBOARD.panels.filter(({ type }) => type !== 'row');

/** The query with its variables filled in. Throws for a variable that is not among `values`. */
export function fillIn(query: string, values: Readonly<Record<string, string>>): string {
  return query.replace(/\$\{?(\w+)\}?/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${query}: no value for ${whole}`);
    return value;
  });
}

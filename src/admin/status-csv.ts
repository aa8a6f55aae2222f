// The variants of /status as a table for spreadsheets: one line each, RFC 4180. A column may be added at the end; the names and
// the order of the others stay. Values that a spreadsheet would take for formulas are made texts.

import type { StatusV1 } from './status.ts';

type VariantStatus = StatusV1['splits'][number]['variants'][number];

/** A split whose variants may be made while they are read. */
export interface SplitStatus extends Omit<StatusV1['splits'][number], 'variants'> {
  readonly variants: Iterable<VariantStatus>;
}

const CSV_COLUMNS: readonly (readonly [
  name: string,
  value: (variant: VariantStatus, split: SplitStatus) => string | number | null,
])[] = [
  ['split', (_, split) => split.name],
  ['variant', ({ name }) => name],
  ['upstream', ({ upstream }) => upstream],
  ['since', (_, split) => split.sample.since],
  ['share_ratio', ({ shareRatio }) => shareRatio],
  ['unique_keys', ({ uniqueKeys }) => uniqueKeys],
  ['unique_keys_standard_error', ({ uniqueKeysStandardError }) => uniqueKeysStandardError],
  ['requests', ({ requests }) => requests],
  ['requests_failed', ({ requestsByClass }) => (requestsByClass.none ?? 0) + (requestsByClass['5xx'] ?? 0)],
  ['missing_keys', ({ missingKeys }) => missingKeys],
  ['overrides', ({ overrides }) => overrides],
  ['fallbacks', ({ fallbacks }) => fallbacks],
  ['preflights', ({ preflights }) => preflights],
  ['retries', ({ retries }) => retries],
];

/** The text in small parts, the head line first. */
export function* csvPieces(splits: Iterable<SplitStatus>): Iterable<string> {
  yield `${CSV_COLUMNS.map(([name]) => name).join(',')}\r\n`;
  for (const split of splits) {
    for (const variant of split.variants) {
      yield `${CSV_COLUMNS.map(([, value]) => csvField(value(variant, split))).join(',')}\r\n`;
    }
  }
}

function csvField(value: string | number | null): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

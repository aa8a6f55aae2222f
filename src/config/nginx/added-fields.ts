// The fields that an nginx.conf adds to responses and takes out of them: add_header, proxy_hide_header and expires become
// setResponseHeaders. Sources: nginx's ngx_http_headers_filter_module.c, ngx_http_proxy_module.c.

import { showGot } from '../problem.ts';
import { putLiterals } from './answers.ts';
import { inheritedDirective, innermostDirectives, parseTime, type Scope } from './directives.ts';
import type { TranslationReport } from './report.ts';
import type { Directive } from './syntax.ts';

interface AddedField {
  readonly value: string;
  readonly mode?: 'add';
  readonly on?: 'good';
}

/** Fields that nginx sets where they are there already. */
const REPLACED = /^(?:last-modified|etag)$/i;
const EXPIRES_TIMES: ReadonlyMap<string, readonly [expires: string, cacheControl: string]> = new Map([
  ['epoch', ['Thu, 01 Jan 1970 00:00:01 GMT', 'no-cache']],
  ['max', ['Thu, 31 Dec 2037 23:55:55 GMT', 'max-age=315360000']],
]);

/** `setResponseHeaders` of a location; undefined for none. */
export function addedFields(
  scope: Scope,
  literals: ReadonlyMap<string, string>,
  report: TranslationReport,
): Record<string, unknown> | undefined {
  const fields = new Map<string, { name: string; entries: AddedField[] }>();
  const add = (name: string, field: AddedField): void => {
    const known = fields.get(name.toLowerCase());
    if (known === undefined) fields.set(name.toLowerCase(), { name, entries: [field] });
    else known.entries.push(field);
  };
  for (const { words } of innermostDirectives(scope, 'proxy_hide_header')) {
    const [name] = words;
    if (name !== undefined) add(name.text, { value: '' });
  }
  const expires = inheritedDirective(scope, 'expires');
  const times = expires === undefined ? undefined : readExpires(expires, report);
  if (times !== undefined) {
    add('Expires', { value: times[0], on: 'good' });
    add('Cache-Control', { value: times[1], on: 'good' });
  }
  for (const directive of innermostDirectives(scope, 'add_header')) {
    const field = readAddHeader(directive, literals, report);
    if (field !== undefined) add(field.name, field.entry);
  }
  if (fields.size === 0) return undefined;
  return Object.fromEntries(
    Array.from(fields.values(), ({ name, entries }) => [
      name,
      entries.length > 1 ? entries : simple(entries[0]!),
    ]),
  );
}

function simple(field: AddedField): AddedField | string {
  return field.mode === undefined && field.on === undefined ? field.value : field;
}

function readAddHeader(
  { name: at, words }: Directive,
  literals: ReadonlyMap<string, string>,
  report: TranslationReport,
): { readonly name: string; readonly entry: AddedField } | undefined {
  const [name, value, always] = words.map(({ text }) => text);
  if (name === undefined || value === undefined || words.length > 3 || (always ?? 'always') !== 'always') {
    report.fail(
      at,
      'add_header',
      'a field name, a value and perhaps "always"',
      showGot(words.map(({ text }) => text).join(' ')),
    );
    return undefined;
  }
  const entry = {
    value: putLiterals(value, literals),
    ...(REPLACED.test(name) ? {} : { mode: 'add' as const }),
    ...(always === undefined ? { on: 'good' as const } : {}),
  };
  return { name, entry };
}

function readExpires(
  { name, words }: Directive,
  report: TranslationReport,
): readonly [string, string] | undefined {
  const word = words[0]?.text ?? '';
  if (words.length === 1 && word === 'off') return undefined;
  const times = words.length === 1 ? (EXPIRES_TIMES.get(word) ?? timesIn(word)) : undefined;
  if (times === undefined) {
    const expected = 'a time like 1h or -1, epoch, max or off; a time of day and modified are not kept';
    report.fail(name, 'expires', expected, showGot(words.map(({ text }) => text).join(' ')));
  }
  return times;
}

/** The two fields for a time from now. */
function timesIn(word: string): readonly [string, string] | undefined {
  const [, sign, time = ''] = /^([+-]?)(.+)$/.exec(word) ?? [];
  const ms = /ms/.test(time) ? undefined : parseTime(time);
  if (ms === undefined) return undefined;
  const seconds = (sign === '-' ? -1 : 1) * (ms / 1000);
  const text = `\${expires_in_${seconds === 0 ? 0 : seconds}}`;
  return [text, seconds < 0 ? 'no-cache' : `max-age=${seconds}`];
}

// Which Content-Type a fixed answer of an nginx.conf has: `types` and `default_type`, and the table that nginx has without
// them. Source: ngx_http_set_content_type in nginx's ngx_http_core_module.c.

import { inheritedDirective, ownDirectives, type Scope } from './directives.ts';

/** nginx's own table, where no `types` is in force. */
const BUILT_IN: ReadonlyMap<string, string> = new Map([
  ['html', 'text/html'],
  ['gif', 'image/gif'],
  ['jpg', 'image/jpeg'],
]);

/** The types that the location of a scope gives: by the end of a path, else the default. */
export interface MediaTypes {
  readonly default: string;
  readonly byEnd: ReadonlyMap<string, string>;
}

const made = new WeakMap<Scope['directives'], ReadonlyMap<string, string>>();

/** What counts in this block. */
export function mediaTypesOf(scope: Scope): MediaTypes {
  const byDefault = inheritedDirective(scope, 'default_type')?.words[0]?.text ?? 'text/plain';
  let level: Scope | null = scope;
  while (level !== null && ownDirectives(level, 'types').length === 0) level = level.parent;
  return { default: byDefault, byEnd: level === null ? BUILT_IN : readTypes(level) };
}

function readTypes(level: Scope): ReadonlyMap<string, string> {
  const known = made.get(level.directives);
  if (known !== undefined) return known;
  const types = new Map<string, string>();
  for (const { block } of ownDirectives(level, 'types'))
    for (const { name, words } of block ?? [])
      for (const end of words) types.set(end.text.toLowerCase(), name.text);
  made.set(level.directives, types);
  return types;
}

/** The type for one path. */
export function typeOfPath(types: MediaTypes, path: string): string {
  const end = /[^/]\.([^./]+)$/.exec(path)?.[1];
  return (end === undefined ? undefined : types.byEnd.get(end.toLowerCase())) ?? types.default;
}

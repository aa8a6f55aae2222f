// Which directives inner blocks inherit, and how nginx writes times, sizes, addresses and names. Tables and pure readers;
// translates nothing. meanings.ts says what becomes of each directive.
// Sources: nginx's ngx_parse.c, ngx_http_core_module.c, ngx_http_proxy_module.c.

import type { Directive } from './syntax.ts';

/** Settings that count from the innermost block that has them, and where all blocks here have to agree. */
export const GLOBAL_SETTINGS = {
  client_header_timeout: { path: ['timeouts', 'requestHead'], default: '60s' },
  client_body_timeout: { path: ['timeouts', 'requestBody'], default: '60s' },
  send_timeout: { path: ['timeouts', 'write'], default: '60s' },
  keepalive_timeout: { path: ['timeouts', 'idle'], default: '75s' },
} as const;

/** The same for one proxied location: they become settings of its upstream. */
export const UPSTREAM_SETTINGS = {
  proxy_connect_timeout: { option: 'connectTimeout', default: '60s' },
  proxy_read_timeout: { option: 'responseTimeout', default: '60s' },
} as const;

export const INHERITED = new Set<string>([
  ...Object.keys(GLOBAL_SETTINGS),
  ...Object.keys(UPSTREAM_SETTINGS),
  'client_max_body_size',
  'proxy_set_header',
  'proxy_send_timeout',
  'proxy_next_upstream',
  'proxy_next_upstream_tries',
  'proxy_next_upstream_timeout',
  'set_real_ip_from',
  'real_ip_header',
  'real_ip_recursive',
  'absolute_redirect',
  'port_in_redirect',
  'server_name_in_redirect',
  'default_type',
  'types',
  'add_header',
  'proxy_hide_header',
  'expires',
  'proxy_redirect',
  'error_page',
  'allow',
  'deny',
  'limit_except',
  'proxy_intercept_errors',
]);

/** A block with the directives that its inner blocks inherit. */
export interface Scope {
  readonly parent: Scope | null;
  readonly directives: readonly Directive[];
}

const UNIT_MS = {
  '': 1000,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  M: 2_592_000_000,
  y: 31_536_000_000,
} as const;

/** "1m30s", "60" (seconds) -> milliseconds; undefined for anything else. */
export function parseTime(text: string): number | undefined {
  if (!/^(?:\d+(?:ms|[smhdwMy])?)+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/(\d+)(ms|[smhdwMy]?)/g)) {
    sum += Number(number) * UNIT_MS[unit as keyof typeof UNIT_MS];
  }
  return sum;
}

/** A time of nginx as a duration of the file; undefined for what is no time, or 0. */
export function readTime(text: string): string | undefined {
  const ms = parseTime(text);
  if (ms === undefined || ms === 0) return undefined;
  if (ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  if (ms % 60_000 === 0 && ms > 60_000) return `${ms / 60_000}m`;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

/** "8k", "1m" -> a size of the file; "0" -> null, no limit; undefined for anything else. */
export function readSize(text: string): string | null | undefined {
  const match = /^(\d+)([kKmMgG]?)$/.exec(text);
  if (match === null) return undefined;
  if (Number(match[1]) === 0) return null;
  return `${match[1]}${{ k: 'KiB', m: 'MiB', g: 'GiB' }[match[2]!.toLowerCase()] ?? 'B'}`;
}

/** Address of a listen as the file has it: "8000" is every address, IPv6 included, as pods need it. */
export function readListen(text: string): string {
  if (/^\d+$/.test(text)) return `:${text}`;
  if (text.startsWith('unix:')) return text;
  if (/^\*:\d+$/.test(text)) return text.slice(1);
  return /(^|[^:]):\d+$/.test(text) ? text : `${text}:80`;
}

/** Parameters of listen that say nothing about which requests are taken. */
export const LISTEN_PARAMETER =
  /^(default_server|default|proxy_protocol|reuseport|deferred|bind|(ipv6only|backlog|rcvbuf|sndbuf|fastopen|so_keepalive)=.*)$/;

/** Names of a server_name word as routes have them; undefined for what is none. */
export function readHostNames(text: string): string[] | undefined {
  if (text === '') return [];
  if (/^~./.test(text) || /^[A-Za-z0-9][A-Za-z0-9._-]*\.\*$/.test(text)) return [text];
  if (/^\.[A-Za-z0-9]/.test(text)) return [text.slice(1), `*${text}`];
  return /^(\*\.)?[A-Za-z0-9._-]+$/.test(text) ? [text] : undefined;
}

/** True when a route for `wildcard` would take requests for `name`, itself left out. */
export function isBelow(name: string, wildcard: string): boolean {
  return (
    wildcard.startsWith('*.') && name !== wildcard && name.replace(/^\*/, '').endsWith(wildcard.slice(1))
  );
}

/** The directives of each block by name, made when the first is asked for: a block may have thousands of others. */
const byName = new WeakMap<readonly Directive[], ReadonlyMap<string, readonly Directive[]>>();

/** A block's own directives of this name, in order. */
export function ownDirectives({ directives }: Scope, name: string): readonly Directive[] {
  let known = byName.get(directives);
  if (known === undefined) {
    known = Map.groupBy(directives, (directive) => directive.name.text);
    byName.set(directives, known);
  }
  return known.get(name) ?? [];
}

/** The directive that counts in a block: its own last one, else that of the block around it. */
export function inheritedDirective(scope: Scope, name: string): Directive | undefined {
  for (let level: Scope | null = scope; level !== null; level = level.parent) {
    const found = ownDirectives(level, name).at(-1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** True for a listen that makes its server the one for every other host. */
export function isDefaultListen({ words: args }: Directive): boolean {
  return args.some(({ text }) => text === 'default_server' || text === 'default');
}

/** A name that the file may have, made of a host or socket. */
export function plainName(target: string): string {
  const clean = target
    .replace(/^unix:.*\//, '')
    .replace(/[^A-Za-z0-9_.:-]+/g, '-')
    .replace(/^[^A-Za-z0-9_]+/, '')
    .slice(0, 50);
  return clean === '' ? 'upstream' : clean;
}

/** `name`, followed by a number if it is taken. */
export function free(name: string, taken: ReadonlyMap<string, unknown>): string {
  let candidate = name;
  for (let number = 2; taken.has(candidate); number++) candidate = `${name}-${number}`;
  return candidate;
}

/** The directives of the innermost block that has any: an own one of a block replaces all those around it. */
export function innermostDirectives(scope: Scope, name: string): readonly Directive[] {
  for (let level: Scope | null = scope; level !== null; level = level.parent) {
    const own = ownDirectives(level, name);
    if (own.length > 0) return own;
  }
  return [];
}

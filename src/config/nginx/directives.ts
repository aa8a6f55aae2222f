// What each directive of nginx means here: without effect, inherited, or with a handler in config/nginx; and how nginx
// writes times, sizes, addresses and names. Tables and pure readers; translates nothing.
// Sources: nginx's ngx_parse.c, ngx_http_core_module.c, ngx_http_proxy_module.c.

import { didYouMean } from '../../did-you-mean.ts';
import { isNginxDirective, words } from '../../key/nginx-names.ts';
import type { Directive } from './syntax.ts';

/** Directives that change nothing about which request goes where, by the block that may have them. */
export const WITHOUT_EFFECT: { readonly [block: string]: ReadonlySet<string> } = {
  main: new Set(
    words(`user worker_processes worker_rlimit_nofile worker_cpu_affinity worker_priority
      pid error_log daemon master_process events load_module pcre_jit timer_resolution lock_file thread_pool env debug_points`),
  ),
  // Of http, server and location alike.
  http: new Set(
    words(`error_log log_format log_not_found log_subrequest open_log_file_cache types default_type
      root index sendfile sendfile_max_chunk tcp_nopush tcp_nodelay aio aio_write directio output_buffers postpone_output
      server_tokens types_hash_max_size types_hash_bucket_size server_names_hash_max_size server_names_hash_bucket_size
      variables_hash_max_size variables_hash_bucket_size proxy_headers_hash_max_size proxy_headers_hash_bucket_size
      map_hash_max_size map_hash_bucket_size keepalive_requests keepalive_disable keepalive_min_timeout lingering_close
      lingering_time lingering_timeout reset_timedout_connection connection_pool_size request_pool_size
      client_header_buffer_size client_body_buffer_size client_body_temp_path
      client_body_in_file_only client_body_in_single_buffer resolver resolver_timeout absolute_redirect port_in_redirect
      server_name_in_redirect max_ranges proxy_http_version proxy_buffering proxy_buffers
      proxy_busy_buffers_size proxy_request_buffering proxy_temp_path proxy_max_temp_file_size
      proxy_temp_file_write_size proxy_socket_keepalive gzip_vary gzip_types gzip_proxied gzip_min_length
      gzip_comp_level gzip_http_version gzip_buffers gzip_disable`),
  ),
  upstream: new Set(words('zone keepalive keepalive_requests keepalive_timeout keepalive_time')),
};

/** Directives with a meaning of their own, for "did you mean". */
const WITH_EFFECT =
  words(`http server location upstream split_clients listen server_name proxy_pass proxy_set_header
  proxy_connect_timeout proxy_read_timeout proxy_send_timeout proxy_next_upstream client_max_body_size client_body_timeout
  client_header_timeout send_timeout keepalive_timeout include gzip access_log
  large_client_header_buffers proxy_buffer_size least_conn hash ip_hash`);

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
function parseTime(text: string): number | undefined {
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
  /^(default_server|default|reuseport|deferred|bind|(ipv6only|backlog|rcvbuf|sndbuf|fastopen|so_keepalive)=.*)$/;

/** Names of a server_name word as routes have them; undefined for a regular expression or a wildcard at the end. */
export function readHostNames(text: string): string[] | undefined {
  if (text === '') return [];
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

/** What to do in place of a directive of nginx that is not kept. */
const DIRECTIVE_REMEDIES: readonly (readonly [names: RegExp, remedy: string])[] = [
  [/^return$/, 'for a health check delete it: /healthz and /readyz are on the admin port'],
  [/^stub_status$/, 'delete it: the numbers are at /metrics on the admin port'],
  [
    /^(?:add_header|add_trailer|more_(?:set|clear)_headers)$/,
    "variantHeader sends the name of the variant to the client; other fields are the upstream's",
  ],
  [/^error_page$/, 'error answers of the splitter are fixed; those of the upstream pass unchanged'],
  [
    /^(?:map|geo|geoip_\w+|set|if|perl_set|js_set)$/,
    'values cannot be computed here; the split reads its key directly',
  ],
  [/^(?:rewrite|alias|root|index|try_files|autoindex)$/, 'paths pass unchanged, and no files are served'],
  [
    /^(?:proxy_cache|fastcgi_cache|open_file_cache)/,
    'nothing is cached here; put a cache before the splitter',
  ],
  [/^(?:gzip|gunzip|brotli)/, 'let the upstreams compress'],
  [
    /^(?:allow|deny|satisfy|auth_\w+|limit_req\w*|limit_conn\w*)$/,
    'access and rates are limited before or after the splitter',
  ],
  [/^(?:set_real_ip_from|real_ip_\w+)$/, '$remote_addr is always the address of the connection here'],
  [/^(?:mirror\w*)$/, 'requests are not copied here'],
  [/^(?:fastcgi|uwsgi|scgi|grpc|memcached)_pass$/, 'upstreams speak HTTP/1.1 here'],
  [/^proxy_(?:hide_header|pass_header|cookie_\w+|ignore_headers)$/, 'response fields pass unchanged'],
  [/^(?:random|least_time|sticky)$/, 'the servers of an upstream share its requests by weight'],
];

/**
 * After "a directive that can be kept": what to do in place of one that nginx has, ` (did you mean …)` for one that looks
 * like a slip of the pen.
 */
export function guessDirective(name: string): string {
  const remedy = DIRECTIVE_REMEDIES.find(([names]) => names.test(name))?.[1];
  if (remedy !== undefined) return ` (${remedy})`;
  if (isNginxDirective(name)) return '';
  const known = [...WITH_EFFECT, ...Object.values(WITHOUT_EFFECT).flatMap((names) => [...names])];
  return didYouMean(name, known);
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

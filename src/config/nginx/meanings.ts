// What the directives of an nginx.conf mean here, as tables: kept, kept with a difference, without effect, without effect
// at some values, or refused with what to do instead. docs/nginx.md is made of them, so they are complete.
// Source: nginx.org/en/docs/dirindex.html and the pages of the modules.

import { didYouMean } from '../../did-you-mean.ts';
import { nginxDirectives, words } from '../../key/nginx-names.ts';

/** Directives that change nothing about which request goes where, by the block that may have them. */
export const WITHOUT_EFFECT: { readonly [block: string]: ReadonlySet<string> } = {
  main: new Set(
    words(`user worker_processes worker_rlimit_nofile worker_rlimit_core worker_cpu_affinity worker_priority working_directory
      pid error_log daemon master_process events load_module pcre_jit timer_resolution lock_file thread_pool env debug_points
      ssl_engine accept_mutex accept_mutex_delay multi_accept use worker_connections worker_aio_requests
      worker_rlimit_sigpending debug_connection`),
  ),
  // Of http, server and location alike.
  http: new Set(
    words(`error_log log_format log_not_found log_subrequest open_log_file_cache
      root index sendfile sendfile_max_chunk tcp_nopush tcp_nodelay aio aio_write directio directio_alignment output_buffers
      postpone_output read_ahead subrequest_output_buffer_size disable_symlinks
      server_tokens types_hash_max_size types_hash_bucket_size server_names_hash_max_size server_names_hash_bucket_size
      variables_hash_max_size variables_hash_bucket_size proxy_headers_hash_max_size proxy_headers_hash_bucket_size
      map_hash_max_size map_hash_bucket_size keepalive_requests keepalive_disable keepalive_min_timeout keepalive_time
      lingering_close lingering_time lingering_timeout reset_timedout_connection connection_pool_size request_pool_size
      client_header_buffer_size client_body_buffer_size client_body_temp_path
      client_body_in_file_only client_body_in_single_buffer resolver resolver_timeout max_ranges proxy_http_version proxy_buffering proxy_buffers
      proxy_busy_buffers_size proxy_temp_path proxy_max_temp_file_size
      proxy_temp_file_write_size proxy_socket_keepalive proxy_send_lowat send_lowat
      fastcgi_temp_path uwsgi_temp_path scgi_temp_path
      gzip gzip_vary gzip_types gzip_proxied gzip_min_length gzip_comp_level gzip_http_version gzip_buffers gzip_disable
      gzip_static gunzip_buffers
      open_file_cache open_file_cache_errors open_file_cache_min_uses open_file_cache_valid
      etag if_modified_since autoindex autoindex_exact_size autoindex_format autoindex_localtime
      rewrite_log uninitialized_variable_warn msie_padding msie_refresh
      auth_basic_user_file limit_rate_after charset_types override_charset source_charset
      limit_req_zone limit_req_log_level limit_req_status limit_conn_zone limit_conn_log_level limit_conn_status
      proxy_cache_path proxy_cache_key proxy_cache_lock proxy_cache_lock_age proxy_cache_lock_timeout
      proxy_cache_methods proxy_cache_min_uses proxy_cache_revalidate proxy_cache_valid proxy_cache_use_stale
      proxy_cache_background_update proxy_cache_max_range_offset proxy_cache_convert_head proxy_cache_bypass proxy_no_cache
      proxy_store_access ssi_last_modified ssi_min_file_chunk ssi_silent_errors ssi_types ssi_value_length
      sub_filter_last_modified sub_filter_once sub_filter_types geoip_proxy geoip_proxy_recursive
      referer_hash_bucket_size referer_hash_max_size http2_max_concurrent_streams http2_recv_buffer_size
      http2_recv_timeout http2_idle_timeout http2_max_requests http2_chunk_size http2_body_preread_size
      http2_max_field_size http2_max_header_size http2_push_preload http2_max_concurrent_pushes mirror_request_body`),
  ),
  upstream: new Set(words('zone keepalive keepalive_time')),
};

/** Directives of TLS towards clients. Without a listen with ssl they have nothing to work on; listen-tls.ts reads them with one. */
export const TLS_DIRECTIVE = /^ssl_[a-z_]+$/;

/** Of these the ones that are kept, noted or refused where there is one; all others never have an effect. */
export const READ_TLS_DIRECTIVE =
  /^ssl_(?:certificate|certificate_key|protocols|client_certificate|verify_client|verify_depth|ciphers|ecdh_curve|conf_command|dhparam|stapling.*|session_tickets|session_ticket_key|crl|ocsp|password_file|reject_handshake|key_log)$/;

/** Directives that have no effect at these values, which are the defaults of most; at any other one they are refused. */
export const NEUTRAL_VALUES: ReadonlyMap<string, RegExp> = new Map([
  ['auth_basic', /^off$/],
  ['auth_request', /^off$/],
  ['satisfy', /^all$|^any$/],
  ['proxy_cache', /^off$/],
  ['proxy_store', /^off$/],
  ['proxy_bind', /^off$/],
  ['proxy_force_ranges', /^off$/],
  ['proxy_ignore_client_abort', /^off$/],
  ['proxy_limit_rate', /^0$/],
  ['proxy_pass_request_body', /^on$/],
  ['proxy_pass_request_headers', /^on$/],
  ['proxy_cookie_domain', /^off$/],
  ['proxy_cookie_path', /^off$/],
  ['proxy_cookie_flags', /^off$/],
  ['limit_rate', /^0$/],
  ['charset', /^off$/],
  ['gunzip', /^off$/],
  ['ssi', /^off$/],
  ['mirror', /^off$/],
  ['slice', /^0$/],
  ['chunked_transfer_encoding', /^on$/],
  ['merge_slashes', /^on$/],
  ['recursive_error_pages', /^off$/],
  ['sub_filter', /^off$/],
  ['http3', /^off$/],
  ['spdy_headers_comp', /^0$/],
]);

/** Directives that nginx takes only in these blocks, of those that are easily misplaced. */
export const ALLOWED_IN: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['limit_except', ['location']],
  ...words(`log_format limit_req_zone limit_conn_zone proxy_cache_path map_hash_max_size
    map_hash_bucket_size server_names_hash_max_size server_names_hash_bucket_size variables_hash_max_size
    variables_hash_bucket_size`).map((name): [string, string[]] => [name, ['http']]),
  ...words(`large_client_header_buffers client_header_buffer_size client_header_timeout connection_pool_size
    request_pool_size ignore_invalid_headers underscores_in_headers merge_slashes`).map(
    (name): [string, string[]] => [name, ['http', 'server']],
  ),
]);

/** Directives with a meaning of their own, and what is different from nginx; empty where nothing is. */
const KEPT_DIRECTIVES: ReadonlyMap<string, string> = new Map([
  ['http', ''],
  ['server', 'of an upstream: max_conns only where the upstream has one server'],
  ['location', ''],
  [
    'error_page',
    'the target is a URL or a location with a plain return; errors with a file get the built-in page, as do heads that cannot be read; statuses 3xx are refused',
  ],
  ['proxy_intercept_errors', ''],
  ['internal', ''],
  ['include', ''],
  ['upstream', 'its servers are chosen at random, by weight and load; nginx uses them in turn'],
  ['least_conn', 'always in force: of two different servers, drawn by weight, the less busy one'],
  ['random', 'always random two least_conn: of two servers that are drawn by weight, the less busy one'],
  ['hash', 'balance.key: another ring than that of nginx, so keys go to other servers, and stay there'],
  [
    'ip_hash',
    'balance.key with all of $remote_addr; nginx hashes the first three numbers of an IPv4 address',
  ],
  [
    'map',
    'patterns run in linear time: look-around, back-references and possessive quantifiers are refused, and named captures are read in the values of their map alone',
  ],
  ['split_clients', 'shares below 100 % without "*" are refused, where nginx leaves a hole and answers 500'],
  [
    'listen',
    '`listen 8000` also takes IPv6, because `localhost` in a pod is ::1 first; with proxy_protocol and set_real_ip_from, connections of other addresses are closed',
  ],
  ['set_real_ip_from', 'the same for all locations; names are refused'],
  ['real_ip_header', 'the same for all locations'],
  ['real_ip_recursive', 'the same for all locations'],
  ['server_name', ''],
  ['if', 'comparisons of a variable with a text or a linear regular expression; no files'],
  ['set', 'of variables of the file alone: `set $args` and `set $limit_rate` are refused'],
  ['break', ''],
  ['http2', 'clients are offered HTTP/1.1 alone'],
  [
    'ssl_certificate',
    'one for each server; those of all servers at an address are chosen by server name, the default server has the rest',
  ],
  ['ssl_certificate_key', 'without a passphrase'],
  ['ssl_protocols', 'TLSv1.2 or TLSv1.3 is the lowest version; the highest is TLSv1.3'],
  ['ssl_client_certificate', 'the same for all servers at one address'],
  ['ssl_verify_depth', 'chains of client certificates may be of any length'],
  ['ssl_verify_client', 'on, off and optional, the same for all servers at one address'],
  ['return', 'a request body is not read: the connection closes after the answer'],
  ['types', ''],
  ['default_type', ''],
  ['absolute_redirect', ''],
  ['port_in_redirect', ''],
  ['server_name_in_redirect', ''],
  ['add_header', 'control bytes in a value are percent-encoded, so that no request can add a field'],
  ['proxy_hide_header', ''],
  ['proxy_pass_header', 'fields of responses pass unless proxy_hide_header names them'],
  ['expires', 'a time of day, a variable and modified are refused'],
  ['allow', 'all alone; addresses are refused'],
  ['deny', 'all alone; addresses are refused'],
  ['limit_except', 'with deny all'],
  ['proxy_pass', ''],
  ['proxy_set_header', 'fields about the connection and the length of the message are left to the splitter'],
  ['proxy_redirect', 'without regular expressions; a Refresh that is rewritten becomes absolute'],
  [
    'rewrite',
    'linear regular expressions. With last or without a flag the beginning of the new path has to decide the location, and no text of the file may read $uri (or, with a new query, the arguments); break in a server is refused',
  ],
  ['proxy_connect_timeout', ''],
  ['proxy_read_timeout', ''],
  ['proxy_send_timeout', 'timeouts.write limits how long a write may take'],
  [
    'proxy_next_upstream',
    'a refused connect always goes on to the next server; a status does not count against the server',
  ],
  ['proxy_next_upstream_tries', '11 at most'],
  ['proxy_next_upstream_timeout', ''],
  ['proxy_request_buffering', 'bodies always pass as they arrive, so a chunked upload stays chunked'],
  [
    'underscores_in_headers',
    'fields whose names have other characters than letters, digits and "-" always pass; $http_x_foo reads X-Foo alone, not X_Foo',
  ],
  ['ignore_invalid_headers', 'the same'],
  ['proxy_buffer_size', 'heads of 32 KiB always pass'],
  ['client_max_body_size', ''],
  ['client_body_timeout', 'one value for all locations'],
  ['client_header_timeout', 'one value for all locations'],
  ['send_timeout', 'one value for all locations'],
  ['keepalive_timeout', 'one value for all locations; in an upstream it is pool.idleTimeout'],
  ['large_client_header_buffers', 'the largest one of all blocks holds for all of them'],
  ['access_log', 'a line of JSON on stdout for every request, accessLog; file and format are not kept'],
  ['worker_shutdown_timeout', 'drain.deadline'],
]);

/** A directive about TLS to upstreams: it says something where a proxy_pass has https. */
export const UPSTREAM_TLS_DIRECTIVE = /^proxy_ssl_[a-z_]+$/;

/** Directives of TLS that would change who is served, where a listen has ssl; with what to do instead. */
export const REFUSED_TLS: ReadonlyMap<string, string> = new Map([
  ['ssl_crl', 'no list of revoked certificates is read; use short-lived client certificates'],
  ['ssl_key_log', 'keys of sessions are never written'],
  ['ssl_ocsp', 'revocation is not asked for'],
  ['ssl_password_file', 'store the key without a passphrase'],
  ['ssl_reject_handshake', 'every name gets a certificate, an unknown one the first'],
]);

/** What to do in place of a directive of nginx that is not kept. */
const DIRECTIVE_REMEDIES: readonly (readonly [names: RegExp, remedy: string])[] = [
  [
    /^(?:stub_status|status|status_zone|status_format|api|upstream_conf)$/,
    'delete it: the numbers are at /metrics on the admin port',
  ],
  [
    /^(?:add_trailer|more_(?:set|clear)_(?:headers|input_headers))$/,
    'add_header and proxy_hide_header are kept',
  ],
  [
    /^geo$/,
    'a map of $remote_addr knows single addresses and regular expressions; networks are not looked up',
  ],
  [
    /^(?:geoip_\w+|geoip2\w*|perl\w*|js_\w+|lua_\w+|\w+_by_lua\w*)$/,
    'values cannot be computed here; the split reads its key directly',
  ],
  [
    /^(?:alias|root|index|try_files|autoindex\w*|random_index|dav_\w+|create_full_put_path|min_delete_depth|mp4\w*|flv|hls\w*|f4f\w*|xslt_\w+|image_filter\w*)$/,
    'paths pass unchanged, and no files are served',
  ],
  [
    /^(?:proxy_cache|fastcgi_cache|uwsgi_cache|scgi_cache|proxy_store|proxy_no_cache|slice)/,
    'nothing is cached here; put a cache before the splitter',
  ],
  [/^(?:gzip|gunzip|brotli|zstd)/, 'let the upstreams compress'],
  [
    /^(?:sub_filter|ssi|addition_types|add_(?:before|after)_body|charset|charset_map|pagespeed)/,
    'bodies pass unchanged; let the upstream write them',
  ],
  [
    /^(?:satisfy|auth_\w+|limit_(?:req|conn|rate)\w*|proxy_limit_rate|secure_link\w*|valid_referers|internal_redirect|modsecurity\w*)$/,
    'access and rates are limited before or after the splitter',
  ],
  [/^mirror\w*$/, 'requests are not copied here; use shadow traffic of a mesh, or a tap before the splitter'],
  [
    /^fastcgi_/,
    'upstreams speak HTTP/1.1 here: put an HTTP server before the FastCGI application, such as nginx in the same pod',
  ],
  [
    /^(?:uwsgi|scgi)_/,
    'upstreams speak HTTP/1.1 here: start the application with an HTTP socket (uwsgi --http-socket)',
  ],
  [/^grpc_/, 'upstreams speak HTTP/1.1 here: gRPC needs HTTP/2, split it by a mesh or a service'],
  [/^memcached_/, 'upstreams speak HTTP/1.1 here'],
  [/^proxy_(?:cookie_\w+|ignore_headers)$/, 'response fields pass unchanged'],
  [
    /^proxy_(?:method|set_body|pass_request_\w+)$/,
    'requests keep their method and body; change them in the app or the upstream',
  ],
  [/^proxy_request_dynamic$/, 'a part of NGINX Plus'],
  [/^proxy_bind$/, 'connections leave by the address that the system chooses'],
  [/^proxy_ignore_client_abort$/, 'a client that has gone ends its exchange, as nginx does by default'],
  [/^proxy_force_ranges$/, 'ranges are the business of the upstream'],
  [
    /^proxy_ssl_/,
    'upstreams.*.tls has the files and names for https upstreams; certificates are always verified',
  ],
  [/^(?:least_time|sticky\w*|queue|ntlm)$/, 'the servers of an upstream share its requests by weight'],
  [/^(?:state|match|health_check\w*|check\w*)$/, 'probe of an upstream checks its servers'],
  [/^(?:http2|http3|quic)/, 'clients speak HTTP/1.1 here; the proxy before the splitter ends HTTP/2'],
  [/^ssl$/, 'say ssl in listen'],
  [/^ssl_/, 'listen with ssl has certificates, client certificates and a lowest version'],
  [/^(?:userid|userid_\w+)$/, 'end the key list with { mint: uid }'],
  [
    /^(?:stream|mail|preread_\w+|imap_\w+|pop3_\w+|smtp_\w+|starttls|xclient|proxy_smtp_auth|auth_http\w*)$/,
    'only HTTP is split here; leave it to an nginx of its own',
  ],
  [
    /^(?:mqtt\w*|num_map|module|pass|protocol|tunnel_\w+|timeout|max_errors|xml_entities|proxy_(?:allow_upstream|buffer|download_rate|upload_rate|half_close|pass_error_message|protocol|protocol_timeout|requests|responses|session_drop|ssl|timeout))$/,
    'only HTTP is split here; leave it to an nginx of its own',
  ],
  [/^(?:post_action|empty_gif|early_hints|max_headers)$/, 'only locations that pass requests on are kept'],
  [
    /^(?:response|app_protect_enable|managed_certificate|limit_zone|add_(?:header|trailer)_inherit|proxy_pass_trailers|google_perftools_profiles|open_file_cache_events|spdy\w*|postpone_gzipping)$/,
    'too old, too new or too rare for the versions compared with',
  ],
  [
    /^(?:ignore_invalid_headers|underscores_in_headers)$/,
    'names of fields are checked as nginx does by default',
  ],
  [/^chunked_transfer_encoding$/, 'bodies of unknown length are chunked for HTTP/1.1 clients'],
  [/^recursive_error_pages$/, 'error pages are not redirected twice'],
  [/^keyval\w*$/, 'a part of NGINX Plus; keep what it knows in a service that sets a header'],
  [
    /^(?:zone_sync\w*|session_log\w*|otel\w*|oidc\w*|acme\w*|mgmt|license_token|usage_report)$/,
    'a part of NGINX Plus or of a module that is loaded; the splitter has none',
  ],
  [/^merge_slashes$/, 'paths are compared with // as /, as nginx does by default'],
  [/^(?:min|max|ancient|modern)_browser\w*$/, 'read the field with $http_user_agent'],
];

/**
 * After "a directive that can be kept": what to do in place of one that nginx has, ` (did you mean …)` for one that looks
 * like a slip of the pen.
 */
export function guessDirective(name: string): string {
  const remedy = directiveRemedy(name);
  if (remedy !== undefined) return ` (${remedy})`;
  if (nginxDirectives().has(name)) return '';
  const known = [...KEPT_DIRECTIVES.keys(), ...Object.values(WITHOUT_EFFECT).flatMap((names) => [...names])];
  return didYouMean(name, known);
}

/** True for a name that some version of nginx, or a module of it, has. */
export function isDirective(name: string): boolean {
  return WITHOUT_EFFECT.main!.has(name) || KEPT_DIRECTIVES.has(name) || nginxDirectives().has(name);
}

/** What to do in place of a directive that is refused, as far as the table says. */
function directiveRemedy(name: string): string | undefined {
  return DIRECTIVE_REMEDIES.find(([names]) => names.test(name))?.[1];
}

/** What becomes of a directive: `noted` may still be refused at other values, with this remedy. */
export interface DirectiveMeaning {
  readonly name: string;
  readonly kind: 'kept' | 'different' | 'noted' | 'refused';
  /** The difference, the values that have no effect, or what to do instead. */
  readonly reason: string;
}

/** What becomes of every directive of nginx, by name: docs/nginx.md is made of it. */
export function directiveMeanings(): readonly DirectiveMeaning[] {
  const ignored = new Set(Object.values(WITHOUT_EFFECT).flatMap((names) => [...names]));
  const names = new Set([
    ...nginxDirectives(),
    ...KEPT_DIRECTIVES.keys(),
    ...ignored,
    ...NEUTRAL_VALUES.keys(),
  ]);
  return [...names].sort().map((name) => {
    const difference = KEPT_DIRECTIVES.get(name);
    if (difference !== undefined)
      return { name, kind: difference === '' ? 'kept' : 'different', reason: difference };
    const remedy = directiveRemedy(name) ?? '';
    if (REFUSED_TLS.has(name)) {
      const reason = `without a listen with ssl; else refused: ${REFUSED_TLS.get(name)}`;
      return { name, kind: 'noted', reason };
    }
    if (UPSTREAM_TLS_DIRECTIVE.test(name)) {
      const reason = `without a proxy_pass to https${name === 'proxy_ssl_server_name' ? ', and at on' : ''}; else refused: ${remedy}`;
      return { name, kind: 'noted', reason };
    }
    if (ignored.has(name) || TLS_DIRECTIVE.test(name)) return { name, kind: 'noted', reason: '' };
    const values = NEUTRAL_VALUES.get(name);
    if (values === undefined) return { name, kind: 'refused', reason: remedy };
    const plain = values.source.replace(/[$^]/g, '').replaceAll('|', ' or ');
    return { name, kind: 'noted', reason: `at ${plain}; else refused${remedy === '' ? '' : `: ${remedy}`}` };
  });
}

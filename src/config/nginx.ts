// nginx.conf -> the same document as a YAML file gives (door 3). What has a meaning here is translated, with nginx's own
// defaults; what changes nothing here is named in one note; everything else is a problem with file and line, and nothing
// starts. Reads no file. Sources: nginx's modules http_core, http_proxy, http_upstream, http_split_clients.

import { optionRows } from './declaration.ts';
import { type Override, overlay } from './env.ts';
import { type CheckKey, linkSource, type Outcome } from './link.ts';
import {
  type Directive,
  type Position,
  problemAt,
  type ReadInclude,
  readDirectives,
} from './nginx-syntax.ts';
import { refuseText } from './parse.ts';
import { didYouMean, type Path, type Place, type Problem, showGot } from './problem.ts';

/** A translated nginx.conf: the document as YAML would have it, and what the user should know. */
export interface Translation {
  readonly document: Record<string, unknown>;
  /** What was left out because it changes nothing here, and what is done a little otherwise. */
  readonly notes: readonly string[];
  /** The file and its includes. */
  readonly files: readonly string[];
}

interface NginxOptions {
  readonly checkKey: CheckKey;
  readonly readInclude: ReadInclude;
  readonly overrides?: readonly Override[];
}

/** Config of an nginx.conf, or all problems. The translation comes along when the syntax could be read. */
export function parseNginx(
  text: string,
  file: string,
  options: NginxOptions,
): Outcome & { readonly translation?: Translation } {
  const garbage = refuseText(text, file, 'an nginx configuration');
  if (garbage !== undefined) return { problems: [garbage] };
  const read = readDirectives(text, file, options.readInclude);
  if (read.problems.length > 0) return { problems: read.problems };
  const translator = new Translator(file);
  const document = translator.translate(read.directives);
  const { problems } = translator;
  const translation = { document, notes: translator.notes, files: read.files };
  if (problems.length > 0) return { problems: inOrder(problems, read.files), translation };
  const laid = overlay({ document, locate: (path) => translator.locate(path) }, options.overrides ?? []);
  const outcome = linkSource(laid.source, options.checkKey);
  if (outcome.problems === undefined && laid.problems.length === 0) return { ...outcome, translation };
  return { problems: [...laid.problems, ...(outcome.problems ?? [])], translation };
}

function inOrder(problems: readonly Problem[], files: readonly string[]): Problem[] {
  const fileOf = ({ at }: Problem): number => files.findIndex((file) => at.startsWith(`${file}:`));
  return [...problems].sort((a, b) => fileOf(a) - fileOf(b) || a.order - b.order);
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

/** Directives that change nothing about which request goes where, by the block they may stand in. */
const WITHOUT_EFFECT: { readonly [block: string]: ReadonlySet<string> } = {
  main: new Set(
    words(`user worker_processes worker_rlimit_nofile worker_cpu_affinity worker_priority worker_shutdown_timeout
      pid error_log daemon master_process events load_module pcre_jit timer_resolution lock_file thread_pool env debug_points`),
  ),
  // Of http, server and location alike.
  http: new Set(
    words(`access_log error_log log_format log_not_found log_subrequest open_log_file_cache types default_type charset
      root index sendfile sendfile_max_chunk tcp_nopush tcp_nodelay aio aio_write directio output_buffers postpone_output
      server_tokens types_hash_max_size types_hash_bucket_size server_names_hash_max_size server_names_hash_bucket_size
      variables_hash_max_size variables_hash_bucket_size proxy_headers_hash_max_size proxy_headers_hash_bucket_size
      map_hash_max_size map_hash_bucket_size keepalive_requests keepalive_disable keepalive_min_timeout lingering_close
      lingering_time lingering_timeout reset_timedout_connection connection_pool_size request_pool_size
      client_header_buffer_size large_client_header_buffers client_body_buffer_size client_body_temp_path
      client_body_in_file_only client_body_in_single_buffer resolver resolver_timeout absolute_redirect port_in_redirect
      server_name_in_redirect max_ranges proxy_http_version proxy_buffering proxy_buffers proxy_buffer_size
      proxy_busy_buffers_size proxy_request_buffering proxy_temp_path proxy_max_temp_file_size
      proxy_temp_file_write_size proxy_socket_keepalive proxy_redirect gzip_vary gzip_types gzip_proxied gzip_min_length
      gzip_comp_level gzip_http_version gzip_buffers gzip_disable`),
  ),
  upstream: new Set(words('zone keepalive keepalive_requests keepalive_timeout keepalive_time')),
};

/** Directives with a meaning of their own, for "did you mean". */
const WITH_EFFECT =
  words(`http server location upstream split_clients listen server_name proxy_pass proxy_set_header
  proxy_connect_timeout proxy_read_timeout proxy_send_timeout proxy_next_upstream client_max_body_size client_body_timeout
  client_header_timeout send_timeout keepalive_timeout include gzip`);

/** Settings that count from the innermost block that has them, and where all blocks here have to agree. */
const GLOBAL_SETTINGS = {
  client_max_body_size: { path: ['limits', 'requestBody'], standard: '1m', kind: 'size' },
  client_header_timeout: { path: ['timeouts', 'requestHead'], standard: '60s', kind: 'time' },
  client_body_timeout: { path: ['timeouts', 'requestBody'], standard: '60s', kind: 'time' },
  send_timeout: { path: ['timeouts', 'write'], standard: '60s', kind: 'time' },
  keepalive_timeout: { path: ['timeouts', 'idle'], standard: '75s', kind: 'time' },
} as const;

/** The same for one proxied location: they become settings of its upstream. */
const UPSTREAM_SETTINGS = {
  proxy_connect_timeout: { option: 'connectTimeout', standard: '60s' },
  proxy_read_timeout: { option: 'responseTimeout', standard: '60s' },
} as const;

const INHERITED = new Set<string>([
  ...Object.keys(GLOBAL_SETTINGS),
  ...Object.keys(UPSTREAM_SETTINGS),
  'proxy_set_header',
  'proxy_send_timeout',
  'proxy_next_upstream',
]);

/** A block with the directives that its inner blocks inherit. */
interface Scope {
  readonly parent: Scope | null;
  readonly directives: readonly Directive[];
}

interface Origin {
  readonly prefix: Path;
  readonly position: Position;
  readonly directive: string;
}

type Options = Record<string, string>;

class Translator {
  readonly problems: Problem[] = [];
  readonly notes: string[] = [];
  readonly #file: string;
  readonly #ignored = new Set<string>();
  readonly #origins: Origin[] = [];
  readonly #groups = new Map<string, Directive>();
  readonly #clients = new Map<string, Directive>();
  readonly #upstreams = new Map<string, { url: string; settings: Options }>();
  readonly #splits = new Map<string, unknown>();
  /** What a location's target became, by target and settings: the same twice is one entry. */
  readonly #made = new Map<string, string>();
  readonly #routes: Record<string, string>[] = [];
  readonly #locations: Scope[] = [];
  readonly #forwarded = new Map<string, Position>();
  #upgrades = false;

  constructor(file: string) {
    this.#file = file;
  }

  locate(path: Path): Place {
    // The longest prefix is the nearest place.
    let best: Origin | undefined;
    for (const origin of this.#origins) {
      if (origin.prefix.length < (best?.prefix.length ?? 0)) continue;
      if (origin.prefix.every((step, index) => step === path[index])) best = origin;
    }
    if (best === undefined) return { at: this.#file, path: '', order: 0 };
    const { at, order } = problemAt(best.position, '', '', '');
    return { at, path: best.directive, order };
  }

  translate(top: readonly Directive[]): Record<string, unknown> {
    const https = top.filter(({ name, block }) => name.text === 'http' && block !== null);
    // A file without http is one that http would include: its top level is http's.
    const main: Scope = { parent: null, directives: https.length > 0 ? [] : top };
    const scopes =
      https.length > 0 ? https.map((http) => ({ parent: null, directives: http.block! })) : [main];
    if (https.length > 0) for (const directive of top) this.#main(directive);
    for (const scope of scopes) this.#collect(scope, https.length === 0);
    const servers = scopes.flatMap((scope) => this.#servers(scope));
    if (servers.length === 0)
      this.#fail({ file: this.#file, line: 1, column: 1 }, '', 'a server block', 'none');
    this.#translateServers(servers);
    return this.#document(servers);
  }

  #main(directive: Directive): void {
    const { text } = directive.name;
    if (text === 'http') return;
    if (WITHOUT_EFFECT.main!.has(text)) this.#ignored.add(text);
    else this.#unknown(directive, 'main');
  }

  /** upstream and split_clients blocks first: a server may name one that stands behind it. */
  #collect(scope: Scope, isTop: boolean): void {
    for (const directive of scope.directives) {
      const { name, words: args, block } = directive;
      if (name.text === 'upstream' && block !== null && args.length === 1)
        this.#groups.set(args[0]!.text, directive);
      else if (name.text === 'split_clients' && block !== null && args.length === 2) {
        if (args[1]!.text.startsWith('$')) this.#clients.set(args[1]!.text.slice(1), directive);
        else this.#fail(args[1]!, name.text, 'a variable like $appversion', showGot(args[1]!.text));
      } else if (isTop && WITHOUT_EFFECT.main!.has(name.text)) this.#ignored.add(name.text);
      else if (name.text !== 'server') this.#inheritable(directive, 'http');
    }
  }

  /** A directive that inner blocks inherit, or one without effect; else a problem. */
  #inheritable(directive: Directive, block: string): void {
    const { text } = directive.name;
    if (INHERITED.has(text)) {
      if (directive.words.length === 0) this.#fail(directive.name, text, 'a value', 'nothing');
      return;
    }
    if (WITHOUT_EFFECT.http!.has(text)) this.#ignored.add(text);
    else if (text === 'gzip' && directive.words[0]?.text === 'off') this.#ignored.add(text);
    // Without a listen for TLS, which is refused, these have nothing to work on.
    else if (/^ssl_[a-z_]+$/.test(text)) this.#ignored.add(text);
    else this.#unknown(directive, block);
  }

  #servers(scope: Scope): { scope: Scope; directive: Directive }[] {
    return scope.directives
      .filter(({ name, block }) => name.text === 'server' && block !== null)
      .map((directive) => ({ scope: { parent: scope, directives: directive.block! }, directive }));
  }

  #translateServers(servers: readonly { scope: Scope; directive: Directive }[]): void {
    const isDefault = servers.findIndex(({ scope }) => scope.directives.some(isDefaultServer));
    for (const [index, { scope, directive }] of servers.entries()) {
      const isRest = index === Math.max(isDefault, 0);
      const hosts = isRest ? [undefined] : this.#hosts(scope.directives);
      const paths: string[] = [];
      for (const inner of scope.directives) {
        if (inner.name.text === 'location') paths.push(...this.#location(inner, scope, hosts));
        else if (inner.name.text !== 'listen' && inner.name.text !== 'server_name')
          this.#inheritable(inner, 'server');
      }
      // Here a request whose host has no route for its path goes on to the routes for every host.
      if (servers.length > 1 && !paths.includes('/')) {
        this.#fail(directive.name, 'server', 'a "location /" in each server where there are several', 'none');
      }
    }
  }

  #hosts(directives: readonly Directive[]): string[] {
    const hosts: string[] = [];
    for (const { name, words: args } of directives) {
      if (name.text !== 'server_name') continue;
      for (const word of args) {
        if (/^\.[A-Za-z0-9]/.test(word.text)) hosts.push(word.text.slice(1), `*${word.text}`);
        else if (/^(\*\.)?[A-Za-z0-9._-]+$/.test(word.text)) hosts.push(word.text);
        else if (word.text !== '') {
          this.#fail(word, 'server_name', 'a name like shop.example or *.shop.example', showGot(word.text));
        }
      }
    }
    return hosts;
  }

  #location(directive: Directive, server: Scope, hosts: readonly (string | undefined)[]): string[] {
    const { name, words: args, block } = directive;
    const modifier = args.length > 1 ? args[0]!.text : '';
    const path = args.at(-1);
    if (path === undefined || block === null) {
      this.#fail(name, 'location', 'a path and a block', `${args.length} words`);
      return [];
    }
    if (modifier === '~' || modifier === '~*' || path.text.startsWith('~')) {
      this.#fail(
        name,
        'location',
        'a path prefix, as regular expressions are not kept',
        showGot(args.map(({ text }) => text).join(' ')),
      );
      return [];
    }
    if (modifier === '=' || path.text.startsWith('=')) {
      this.#fail(
        name,
        'location',
        'a path prefix, as routes have no exact paths',
        showGot(args.map(({ text }) => text).join(' ')),
      );
      return [];
    }
    if ((modifier !== '' && modifier !== '^~') || args.length > 2 || !path.text.startsWith('/')) {
      this.#fail(
        name,
        'location',
        'a path prefix like /api/',
        showGot(args.map(({ text }) => text).join(' ')),
      );
      return [];
    }
    const scope: Scope = { parent: server, directives: block };
    let pass: Directive | undefined;
    for (const inner of block) {
      if (inner.name.text === 'proxy_pass') pass = inner;
      else this.#inheritable(inner, 'location');
    }
    if (pass === undefined) {
      this.#fail(name, 'location', 'a proxy_pass, as no files are served', 'none');
      return [path.text];
    }
    this.#locations.push(scope);
    const goal = this.#goal(pass, scope);
    for (const host of hosts) {
      const route = {
        ...(host === undefined ? {} : { host }),
        ...(path.text === '/' ? {} : { path: path.text }),
        ...goal,
      };
      this.#origins.push({ prefix: ['routes', this.#routes.length], position: name, directive: 'location' });
      if (goal !== undefined) this.#routes.push(route);
    }
    if (path.text.length > 1 && path.text.endsWith('/')) {
      this.#noteOnce(
        `a request for ${path.text.slice(0, -1)} (without the last slash) is not redirected to ${path.text}`,
      );
    }
    return [path.text];
  }

  /** Split or upstream that a proxy_pass leads to. */
  #goal(pass: Directive, scope: Scope): { split: string } | { upstream: string } | undefined {
    const word = pass.words[0];
    const fail = (got: string): undefined => {
      const expected = 'http:// and a name, an address or one variable of split_clients, without a URI part';
      this.#fail(word ?? pass.name, 'proxy_pass', expected, got);
      return undefined;
    };
    if (word === undefined) return fail('nothing');
    const settings = this.#settings(scope);
    const match =
      /^(https?):\/\/(?:\$\{?([A-Za-z0-9_]+)\}?|(unix:[^:]+):?|([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d+)?)$/.exec(
        word.text,
      );
    if (match === null) return fail(showGot(word.text));
    const [, scheme, variable, socket, host, port] = match;
    if (variable === undefined) {
      const name = this.#upstream(scheme!, socket ?? `${host}${port ?? ''}`, word, settings);
      return name === undefined ? undefined : { upstream: name };
    }
    const clients = this.#clients.get(variable);
    if (clients === undefined) {
      const known = [...this.#clients.keys()].map((name) => `$${name}`);
      const expected = `a variable of split_clients${didYouMean(`$${variable}`, known)}`;
      this.#fail(word, 'proxy_pass', expected, showGot(`$${variable}`));
      return undefined;
    }
    return { split: this.#split(variable, clients, scheme!, settings) };
  }

  #split(variable: string, clients: Directive, scheme: string, settings: Options): string {
    const id = JSON.stringify(['split', variable, scheme, settings]);
    const made = this.#made.get(id);
    if (made !== undefined) return made;
    const name = free(variable, this.#splits);
    this.#made.set(id, name);
    const [key] = clients.words;
    this.#origin(['splits', name], clients.words[1]!, 'split_clients');
    this.#origin(['splits', name, 'key'], key!, 'split_clients');
    const taken = new Map<string, unknown>();
    const variants: unknown[] = [];
    for (const { name: share, words: args, block } of clients.block!) {
      const value = args[0];
      if (value === undefined || args.length > 1 || block !== null) {
        this.#fail(
          share,
          'split_clients',
          'a share and a value, like "50% version_1a;"',
          showGot(share.text),
        );
        continue;
      }
      const path: Path = ['splits', name, 'variants', variants.length];
      this.#origin([...path, 'share'], share, 'split_clients');
      this.#origin(path, value, 'split_clients');
      if (!/^[A-Za-z0-9._:[\]-]+$/.test(value.text)) {
        this.#fail(value, 'split_clients', 'the name of an upstream or a host', showGot(value.text));
        continue;
      }
      const upstream = this.#upstream(scheme, value.text, value, settings);
      const variant = free(plainName(value.text), taken);
      taken.set(variant, true);
      if (upstream !== undefined) variants.push({ name: variant, share: share.text, upstream });
    }
    this.#splits.set(name, { key: key!.text, missingKey: 'first', variants });
    return name;
  }

  /** Entry of `upstreams` for an upstream block, a host or a socket, with these settings. */
  #upstream(scheme: string, target: string, at: Position, settings: Options): string | undefined {
    const group = this.#groups.get(target);
    const id = JSON.stringify(['upstream', scheme, target, settings]);
    const made = this.#made.get(id);
    if (made !== undefined) return made;
    let address = target;
    if (group !== undefined) {
      const server = this.#onlyServer(group);
      if (server === undefined) return undefined;
      address = server;
      // Without a port in its line a server of a block is asked on port 80, also for https.
      if (scheme === 'https' && !address.startsWith('unix:') && !/:\d+$/.test(address)) address += ':80';
    }
    if (address.startsWith('unix:') && scheme === 'https') {
      this.#fail(at, 'proxy_pass', 'http for a Unix socket', showGot(target));
      return undefined;
    }
    const url = address.startsWith('unix:')
      ? address
      : `${scheme}://${address.replace(scheme === 'http' ? /:80$/ : /:443$/, '')}`;
    // nginx's $proxy_host is what proxy_pass says: the block's name, not the address of its server.
    const own = group === undefined && !address.startsWith('unix:') ? '$proxy_host' : target;
    const host = settings.host === '$proxy_host' ? own.replace(/^unix:.*/, 'localhost') : settings.host;
    const name = free(plainName(target), this.#upstreams);
    this.#made.set(id, name);
    const { host: _, ...rest } = settings;
    this.#upstreams.set(name, { url, settings: host === undefined ? rest : { host, ...rest } });
    this.#origin(['upstreams', name], group?.name ?? at, group === undefined ? 'proxy_pass' : 'upstream');
    return name;
  }

  #onlyServer(group: Directive): string | undefined {
    const servers: { address: string; at: Position }[] = [];
    for (const directive of group.block!) {
      const { name, words: args } = directive;
      if (name.text !== 'server') {
        if (WITHOUT_EFFECT.upstream!.has(name.text)) this.#ignored.add(name.text);
        else this.#unknown(directive, 'upstream');
        continue;
      }
      const [address, ...parameters] = args.map(({ text }) => text);
      if (address === undefined) continue;
      for (const parameter of parameters) {
        if (/^(weight|max_fails|fail_timeout|max_conns|slow_start)=/.test(parameter)) {
          this.#ignored.add(`${parameter.slice(0, parameter.indexOf('='))} of a single server`);
        } else if (parameter !== 'down' && parameter !== 'backup' && parameter !== 'resolve') {
          this.#fail(
            name,
            'server',
            'weight= max_fails= fail_timeout= max_conns= backup down resolve',
            showGot(parameter),
          );
        }
      }
      if (!parameters.includes('down')) servers.push({ address, at: name });
    }
    const [first, second] = servers;
    if (second !== undefined) {
      this.#fail(
        second.at,
        'upstream',
        'one server in an upstream, as an upstream has one URL',
        `${servers.length} servers`,
      );
      return undefined;
    }
    if (first === undefined) {
      this.#fail(group.name, 'upstream', 'a server that is not down', 'none');
      return undefined;
    }
    return first.address;
  }

  /** Settings of the upstream that a location asks, as nginx inherits them. */
  #settings(scope: Scope): Options {
    const settings: Options = { host: '$proxy_host' };
    for (const [directive, { option, standard }] of Object.entries(UPSTREAM_SETTINGS)) {
      const found = nearest(scope, directive);
      settings[option] = this.#time(found, standard);
    }
    const next = nearest(scope, 'proxy_next_upstream');
    if (next?.words[0]?.text === 'off') settings.retries = '0';
    else if (next?.words.some(({ text }) => text !== 'error' && text !== 'timeout')) {
      this.#fail(
        next.name,
        next.name.text,
        'off, error or timeout',
        showGot(next.words.map(({ text }) => text).join(' ')),
      );
    }
    if (nearest(scope, 'proxy_send_timeout') !== undefined) this.#ignored.add('proxy_send_timeout');
    const host = this.#fields(scope);
    if (host === null) delete settings.host;
    else if (host !== undefined) settings.host = host;
    return settings;
  }

  /** proxy_set_header of the innermost block that has any. Gives Host: undefined = not set, null = the client's. */
  #fields(scope: Scope): string | null | undefined {
    let level: Scope | null = scope;
    while (level !== null && !level.directives.some(isSetHeader)) level = level.parent;
    const fields = new Map<string, { value: string; at: Position }>();
    for (const { name, words: args } of level?.directives.filter(isSetHeader) ?? []) {
      if (args.length !== 2) this.#fail(name, name.text, 'a field name and a value', `${args.length} words`);
      else fields.set(args[0]!.text.toLowerCase(), { value: args[1]!.text, at: name });
    }
    let host: string | null | undefined;
    const forwarded: string[] = [];
    let at: Position | undefined;
    for (const [field, { value, at: place }] of fields) {
      if (field === 'host') host = this.#hostField(value, place);
      else if (field.startsWith('x-forwarded-') && /^x-forwarded-(for|proto|host)$/.test(field)) {
        forwarded.push(`${field.slice(12)}=${value.replace('$http_host', '$host')}`);
        at ??= place;
      } else if (field === 'upgrade' && value === '$http_upgrade') this.#upgrades = true;
      else if (field === 'connection' && /^(|close|keep-alive|upgrade|\$http_connection)$/i.test(value)) {
        this.#ignored.add('proxy_set_header Connection');
      } else {
        const expected = 'a field among Host, X-Forwarded-For, -Proto, -Host, Connection and Upgrade';
        this.#fail(place, 'proxy_set_header', expected, showGot(`${field} ${value}`));
      }
    }
    this.#forward(forwarded.sort(), at ?? scope.directives[0]!.name);
    return host;
  }

  #hostField(value: string, at: Position): string | null {
    if (value === '$host' || value === '$http_host') {
      if (value === '$host')
        this.#noteOnce('Host is sent on as the client wrote it; nginx takes the port off for $host');
      return null;
    }
    if (value === '$proxy_host' || /^[A-Za-z0-9._:[\]-]+$/.test(value)) return value;
    this.#fail(at, 'proxy_set_header', 'Host $host, $http_host, $proxy_host or a name', showGot(value));
    return null;
  }

  #forward(fields: readonly string[], at: Position): void {
    const mode = FORWARDED.get(fields.join(' '));
    if (mode === undefined) {
      const expected =
        'X-Forwarded-For $proxy_add_x_forwarded_for with -Proto $scheme and -Host $host, or $remote_addr in its place, or none';
      this.#fail(at, 'proxy_set_header', expected, showGot(fields.join(' ')));
      return;
    }
    if (!this.#forwarded.has(mode)) this.#forwarded.set(mode, at);
  }

  #document(servers: readonly { scope: Scope; directive: Directive }[]): Record<string, unknown> {
    const document: Record<string, unknown> = { listen: this.#listen(servers) };
    const upstreams = [...this.#upstreams];
    const common: Options = {};
    for (const option of ['host', 'connectTimeout', 'responseTimeout', 'retries']) {
      const values = new Set(upstreams.map(([, { settings }]) => settings[option]));
      const [value] = values;
      if (values.size === 1 && value !== undefined) common[option] = value;
    }
    const defaults = written(common);
    if (Object.keys(defaults).length > 0) document.upstreamDefaults = defaults;
    document.upstreams = Object.fromEntries(
      upstreams.map(([name, { url, settings }]) => {
        const own = Object.entries(settings).filter(([option]) => common[option] === undefined);
        return [name, { url, ...written(Object.fromEntries(own)) }];
      }),
    );
    if (this.#splits.size > 0) document.splits = Object.fromEntries(this.#splits);
    const [route] = this.#routes;
    const isPlain = this.#routes.length === 1 && route?.host === undefined && route?.path === undefined;
    if (!isPlain || route?.split === undefined || this.#splits.size > 1) document.routes = this.#routes;
    for (const [directive, { path, standard, kind }] of Object.entries(GLOBAL_SETTINGS)) {
      const value = this.#agreed(directive, kind, standard);
      if (value === undefined || value === STANDARD.get(path.join('.'))) continue;
      const [map, option] = path;
      document[map] = { ...(document[map] as Options | undefined), [option]: value };
    }
    const modes = [...this.#forwarded];
    document.forwarded = modes[0]?.[0] ?? 'keep';
    if (modes.length > 1) {
      this.#fail(
        modes[1]![1],
        'proxy_set_header',
        `X-Forwarded fields as in the other locations (${modes[0]![0]})`,
        modes[1]![0],
      );
    }
    document.upgrades = this.#upgrades ? ['websocket'] : [];
    if (this.#ignored.size > 0)
      this.notes.unshift(`left out, as it changes nothing here: ${[...this.#ignored].join(', ')}`);
    return document;
  }

  /** Addresses of all servers, which have to be the same: routes know hosts, not ports. */
  #listen(servers: readonly { scope: Scope; directive: Directive }[]): string | string[] {
    let first: string[] | undefined;
    for (const { scope, directive } of servers) {
      const lines = scope.directives.filter(({ name }) => name.text === 'listen');
      const addresses = lines.flatMap((line) => this.#address(line) ?? []);
      const all = [...new Set(lines.length === 0 ? [':80'] : addresses)];
      // Port 8000 alone means both families here, so nginx's second line for IPv6 says nothing new.
      const own = all
        .filter((address) => !(address.startsWith('[::]:') && all.includes(address.slice(4))))
        .sort();
      first ??= own;
      if (own.join(' ') !== first.join(' ')) {
        const expected = `the addresses of the first server (${first.join(', ')}), as routes know hosts and no ports`;
        this.#fail(lines[0]?.name ?? directive.name, 'listen', expected, own.join(', '));
      }
      if (lines[0] !== undefined) this.#origin(['listen'], lines[0].name, 'listen');
    }
    return first?.length === 1 ? first[0]! : (first ?? []);
  }

  #address({ name, words: args }: Directive): string | undefined {
    const [word, ...parameters] = args.map(({ text }) => text);
    for (const parameter of parameters) {
      const isKnown =
        /^(default_server|default|reuseport|deferred|bind|ipv6only=.*|backlog=.*|rcvbuf=.*|sndbuf=.*|fastopen=.*|so_keepalive=.*)$/.test(
          parameter,
        );
      if (!isKnown) {
        this.#fail(
          name,
          'listen',
          'an address with default_server, reuseport or socket options',
          showGot(parameter),
        );
        return undefined;
      }
      if (!parameter.startsWith('default')) this.#ignored.add(`${parameter.replace(/=.*/, '')} of listen`);
    }
    if (word === undefined) return undefined;
    if (/^\d+$/.test(word)) return `:${word}`;
    if (word.startsWith('unix:')) return word;
    if (/^\*:\d+$/.test(word)) return word.slice(1);
    return /:\d+$/.test(word) && !/^[0-9A-Fa-f:]*::/.test(word) ? word : `${word}:80`;
  }

  /** The one value that all locations have of a setting; undefined for nginx's "no limit". */
  #agreed(directive: string, kind: 'size' | 'time', standard: string): string | undefined {
    let agreed: string | undefined;
    let isFirst = true;
    for (const scope of this.#locations) {
      const found = nearest(scope, directive);
      const value = kind === 'time' ? this.#time(found, standard) : this.#size(found, standard);
      if (isFirst) agreed = value;
      else if (value !== agreed) {
        this.#fail(
          found?.name ?? scope.directives[0]!.name,
          directive,
          `the same for all locations (${agreed ?? 'no limit'})`,
          value ?? 'no limit',
        );
      }
      isFirst = false;
    }
    return agreed;
  }

  /** "1m30s", "60" (seconds) -> a duration as the file has it. */
  #time(directive: Directive | undefined, standard: string): string {
    const word = directive?.words[0];
    const text = word?.text ?? standard;
    const parts = /^(?:\d+(?:ms|[smhdwMy])?)+$/.test(text) ? [...text.matchAll(/(\d+)(ms|[smhdwMy]?)/g)] : [];
    if (parts.length === 0) {
      this.#fail(word!, directive!.name.text, 'a time like 60s or 1m30s', showGot(text));
      return standard;
    }
    const ms = parts.reduce(
      (sum, [, number, unit]) => sum + Number(number) * UNIT_MS[unit as keyof typeof UNIT_MS],
      0,
    );
    if (ms === 0) this.#fail(word!, directive!.name.text, 'a time above 0', showGot(text));
    for (const [unit, size] of [
      ['h', 3_600_000],
      ['m', 60_000],
      ['s', 1000],
    ] as const) {
      if (ms % size === 0 && (unit === 's' || ms > size)) return `${ms / size}${unit}`;
    }
    return `${ms}ms`;
  }

  #size(directive: Directive | undefined, standard: string): string | undefined {
    const word = directive?.words[0];
    const match = /^(\d+)([kKmMgG]?)$/.exec(word?.text ?? standard);
    if (match === null) {
      this.#fail(word!, directive!.name.text, 'a size like 8k or 1m', showGot(word!.text));
      return undefined;
    }
    if (Number(match[1]) === 0) return undefined;
    return `${match[1]}${{ k: 'KiB', m: 'MiB', g: 'GiB' }[match[2]!.toLowerCase()] ?? 'B'}`;
  }

  #unknown({ name, block }: Directive, where: string): void {
    const known = [...WITH_EFFECT, ...Object.values(WITHOUT_EFFECT).flatMap((names) => [...names])];
    const guess = known.includes(name.text) ? '' : didYouMean(name.text, known);
    const expected = `a directive that can be kept in ${where}${guess}`;
    this.#fail(name, '', expected, `${showGot(name.text)}${block === null ? '' : ' {…}'}`);
  }

  #origin(prefix: Path, position: Position, directive: string): void {
    this.#origins.push({ prefix, position, directive });
  }

  #noteOnce(note: string): void {
    if (!this.notes.includes(note)) this.notes.push(note);
  }

  #fail(at: Position, directive: string, expected: string, got: string): void {
    const problem = problemAt(at, directive, expected, got);
    // Inherited directives are looked at once for each location.
    if (!this.problems.some((known) => known.at === problem.at && known.expected === expected))
      this.problems.push(problem);
  }
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

/** The file's defaults by option: what need not be written. */
const STANDARD = new Map(optionRows().map((row) => [row.path, row.default]));

/** Sets of X-Forwarded fields that `forwarded` can express. */
const FORWARDED = new Map([
  ['', 'keep'],
  ['for=$proxy_add_x_forwarded_for host=$host proto=$scheme', 'append'],
  ['for=$remote_addr host=$host proto=$scheme', 'replace'],
  ['for= host= proto=', 'remove'],
]);

function nearest(scope: Scope, name: string): Directive | undefined {
  for (let level: Scope | null = scope; level !== null; level = level.parent) {
    const found = level.directives.findLast((directive) => directive.name.text === name);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isSetHeader({ name }: Directive): boolean {
  return name.text === 'proxy_set_header';
}

function isDefaultServer({ name, words: args }: Directive): boolean {
  return name.text === 'listen' && args.some(({ text }) => text === 'default_server' || text === 'default');
}

/** Settings as the file has them: without its defaults, and retries one level down. */
function written({ retries, ...all }: Options): Record<string, unknown> {
  const settings = Object.fromEntries(
    Object.entries(all).filter(([option, value]) => STANDARD.get(`upstreamDefaults.${option}`) !== value),
  );
  return retries === undefined ? settings : { ...settings, retry: { attempts: Number(retries) } };
}

/** A name that the file may have, made of a host or socket. */
function plainName(target: string): string {
  const clean = target
    .replace(/^unix:.*\//, '')
    .replace(/[^A-Za-z0-9_.:-]+/g, '-')
    .replace(/^[^A-Za-z0-9_]+/, '')
    .slice(0, 50);
  return clean === '' ? 'upstream' : clean;
}

function free(name: string, taken: ReadonlyMap<string, unknown>): string {
  let candidate = name;
  for (let number = 2; taken.has(candidate); number++) candidate = `${name}-${number}`;
  return candidate;
}

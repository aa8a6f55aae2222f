// Where a location of an nginx.conf sends its requests: its proxy_pass with all that counts for it becomes a split or an
// upstream of the document, one for each set of settings. Knows nothing of servers and routes.
// Sources: nginx's ngx_http_proxy_module.c, ngx_http_upstream.c, ngx_http_split_clients_module.c.

import { standardOf } from './declaration.ts';
import {
  free,
  isSetHeader,
  nearest,
  plainName,
  type Scope,
  UPSTREAM_SETTINGS,
  WITHOUT_EFFECT,
} from './nginx-directives.ts';
import { REDIRECT_NOTE, type Report } from './nginx-report.ts';
import type { Directive, Position } from './nginx-syntax.ts';
import { didYouMean, type Path, showGot } from './problem.ts';

type Options = Record<string, string>;

/** Gathers the upstreams and splits that the locations of one nginx.conf lead to. */
export class ProxyGoals {
  readonly #report: Report;
  readonly #blocks = new Map<string, Directive>();
  readonly #clients = new Map<string, Directive>();
  readonly #upstreams = new Map<string, { url: string; settings: Options }>();
  readonly #splits = new Map<string, unknown>();
  /** What a location's target became, by target and settings: the same twice is one entry. */
  readonly #made = new Map<string, string>();
  readonly #forwarded = new Map<string, Position>();
  #upgrades = false;

  constructor(report: Report) {
    this.#report = report;
  }

  /** Takes an upstream or split_clients block; false for any other directive. */
  collect(directive: Directive): boolean {
    const { name, words: args, block } = directive;
    if (name.text === 'upstream' && block !== null && args.length === 1) {
      this.#blocks.set(args[0]!.text, directive);
      return true;
    }
    if (name.text !== 'split_clients' || block === null || args.length !== 2) return false;
    if (args[1]!.text.startsWith('$')) this.#clients.set(args[1]!.text.slice(1), directive);
    else this.#report.fail(args[1]!, name.text, 'a variable like $appversion', showGot(args[1]!.text));
    return true;
  }

  /** Split or upstream that a proxy_pass leads to. */
  goal(pass: Directive, scope: Scope): { split: string } | { upstream: string } | undefined {
    const word = pass.words[0];
    const fail = (got: string): undefined => {
      const expected = 'http:// and a name, an address or one variable of split_clients, without a URI part';
      this.#report.fail(word ?? pass.name, 'proxy_pass', expected, got);
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
      if (nearest(scope, 'proxy_redirect') === undefined) this.#report.note(REDIRECT_NOTE);
      const name = this.#upstream(scheme!, socket ?? `${host}${port ?? ''}`, word, settings);
      return name === undefined ? undefined : { upstream: name };
    }
    const clients = this.#clients.get(variable);
    if (clients === undefined) {
      const known = [...this.#clients.keys()].map((name) => `$${name}`);
      const expected = `a variable of split_clients${didYouMean(`$${variable}`, known)}`;
      this.#report.fail(word, 'proxy_pass', expected, showGot(`$${variable}`));
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
    this.#report.origin(['splits', name], clients.words[1]!, 'split_clients');
    this.#report.origin(['splits', name, 'key'], key!, 'split_clients');
    const taken = new Map<string, unknown>();
    const variants: unknown[] = [];
    for (const { name: share, words: args, block } of clients.block!) {
      const value = args[0];
      if (value === undefined || args.length > 1 || block !== null) {
        this.#report.fail(
          share,
          'split_clients',
          'a share and a value, like "50% version_1a;"',
          showGot(share.text),
        );
        continue;
      }
      const path: Path = ['splits', name, 'variants', variants.length];
      this.#report.origin([...path, 'share'], share, 'split_clients');
      this.#report.origin(path, value, 'split_clients');
      if (!/^[A-Za-z0-9._:[\]-]+$/.test(value.text)) {
        this.#report.fail(value, 'split_clients', 'the name of an upstream or a host', showGot(value.text));
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
    const named = this.#blocks.get(target);
    const id = JSON.stringify(['upstream', scheme, target, settings]);
    const made = this.#made.get(id);
    if (made !== undefined) return made;
    let address = target;
    if (named !== undefined) {
      const server = this.#onlyServer(named);
      if (server === undefined) return undefined;
      address = server;
      // Without a port in its line a server of a block is asked on port 80, also for https.
      if (scheme === 'https' && !address.startsWith('unix:') && !/:\d+$/.test(address)) address += ':80';
    }
    if (address.startsWith('unix:') && scheme === 'https') {
      this.#report.fail(at, 'proxy_pass', 'http for a Unix socket', showGot(target));
      return undefined;
    }
    const url = address.startsWith('unix:')
      ? address
      : `${scheme}://${address.replace(scheme === 'http' ? /:80$/ : /:443$/, '')}`;
    // nginx's $proxy_host is what proxy_pass says: the block's name, not the address of its server.
    const own = named === undefined && !address.startsWith('unix:') ? '$proxy_host' : target;
    const host = settings.host === '$proxy_host' ? own.replace(/^unix:.*/, 'localhost') : settings.host;
    const name = free(plainName(target), this.#upstreams);
    this.#made.set(id, name);
    const { host: _, ...rest } = settings;
    this.#upstreams.set(name, { url, settings: host === undefined ? rest : { host, ...rest } });
    this.#report.origin(
      ['upstreams', name],
      named?.name ?? at,
      named === undefined ? 'proxy_pass' : 'upstream',
    );
    return name;
  }

  #onlyServer(upstream: Directive): string | undefined {
    const servers: { address: string; at: Position }[] = [];
    for (const directive of upstream.block!) {
      const { name, words: args } = directive;
      if (name.text !== 'server') {
        if (WITHOUT_EFFECT.upstream!.has(name.text)) this.#report.ignore(name.text);
        else this.#report.unknown(directive, 'upstream');
        continue;
      }
      const [address, ...parameters] = args.map(({ text }) => text);
      if (address === undefined) continue;
      for (const parameter of parameters) {
        if (/^(weight|max_fails|fail_timeout|max_conns|slow_start)=/.test(parameter)) {
          this.#report.ignore(`${parameter.slice(0, parameter.indexOf('='))} of a single server`);
        } else if (parameter !== 'down' && parameter !== 'backup' && parameter !== 'resolve') {
          this.#report.fail(
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
      this.#report.fail(
        second.at,
        'upstream',
        'one server in an upstream, as an upstream has one URL',
        `${servers.length} servers`,
      );
      return undefined;
    }
    if (first === undefined) {
      this.#report.fail(upstream.name, 'upstream', 'a server that is not down', 'none');
      return undefined;
    }
    return first.address;
  }

  /** Settings of the upstream that a location asks, as nginx inherits them. */
  #settings(scope: Scope): Options {
    const settings: Options = { host: '$proxy_host' };
    for (const [directive, { option, standard }] of Object.entries(UPSTREAM_SETTINGS)) {
      const found = nearest(scope, directive);
      settings[option] = this.#report.time(found, standard);
    }
    const next = nearest(scope, 'proxy_next_upstream');
    if (next?.words[0]?.text === 'off') settings.retries = '0';
    else if (next?.words.some(({ text }) => text !== 'error' && text !== 'timeout')) {
      this.#report.fail(
        next.name,
        next.name.text,
        'off, error or timeout',
        showGot(next.words.map(({ text }) => text).join(' ')),
      );
    }
    if (nearest(scope, 'proxy_send_timeout') !== undefined) this.#report.ignore('proxy_send_timeout');
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
      if (args.length !== 2)
        this.#report.fail(name, name.text, 'a field name and a value', `${args.length} words`);
      else fields.set(args[0]!.text.toLowerCase(), { value: args[1]!.text, at: name });
    }
    let host: string | null | undefined;
    const forwarded: string[] = [];
    let at: Position | undefined;
    for (const [field, { value, at: place }] of fields) {
      if (field === 'host') host = this.#hostField(value, place);
      else if (field.startsWith('x-forwarded-') && /^x-forwarded-(for|proto|host)$/.test(field)) {
        if (value === '$host') this.#report.note(HOST_NOTE);
        forwarded.push(`${field.slice(12)}=${value.replace('$http_host', '$host')}`);
        at ??= place;
      } else if (field === 'upgrade' && value === '$http_upgrade') this.#upgrades = true;
      else if (field === 'connection' && /^(|close|keep-alive|upgrade|\$http_connection)$/i.test(value)) {
        this.#report.ignore('proxy_set_header Connection');
      } else {
        const expected = 'a field among Host, X-Forwarded-For, -Proto, -Host, Connection and Upgrade';
        this.#report.fail(place, 'proxy_set_header', expected, showGot(`${field} ${value}`));
      }
    }
    this.#forward(forwarded.sort(), at ?? scope.directives[0]!.name);
    return host;
  }

  #hostField(value: string, at: Position): string | null {
    if (value === '$host' || value === '$http_host') {
      if (value === '$host') this.#report.note(HOST_NOTE);
      return null;
    }
    if (value === '$proxy_host' || /^[A-Za-z0-9._:[\]-]+$/.test(value)) return value;
    this.#report.fail(
      at,
      'proxy_set_header',
      'Host $host, $http_host, $proxy_host or a name',
      showGot(value),
    );
    return null;
  }

  #forward(fields: readonly string[], at: Position): void {
    const mode = FORWARDED.get(fields.join(' '));
    if (mode === undefined) {
      const expected =
        'X-Forwarded-For $proxy_add_x_forwarded_for with -Proto $scheme and -Host $host, or $remote_addr in its place, or none';
      this.#report.fail(at, 'proxy_set_header', expected, showGot(fields.join(' ')));
      return;
    }
    if (mode === 'append') this.#report.note(APPEND_NOTE);
    if (!this.#forwarded.has(mode)) this.#forwarded.set(mode, at);
  }

  /** Parts of the document that the locations made together. */
  document(): Record<string, unknown> {
    const document: Record<string, unknown> = {};
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
    const modes = [...this.#forwarded];
    document.forwarded = modes[0]?.[0] ?? 'keep';
    if (modes.length > 1) {
      this.#report.fail(
        modes[1]![1],
        'proxy_set_header',
        `X-Forwarded fields as in the other locations (${modes[0]![0]})`,
        modes[1]![0],
      );
    }
    document.upgrades = this.#upgrades ? ['websocket'] : [];
    return document;
  }
}

const HOST_NOTE =
  'where it says $host, the Host is sent on as the client wrote it; nginx takes the port off and writes it in lower case';
const APPEND_NOTE = 'an X-Forwarded-Proto or -Host that a client sends is kept; nginx writes its own over it';

/** Sets of X-Forwarded fields that `forwarded` can express. */
const FORWARDED = new Map([
  ['', 'keep'],
  ['for=$proxy_add_x_forwarded_for host=$host proto=$scheme', 'append'],
  ['for=$remote_addr host=$host proto=$scheme', 'replace'],
  ['for= host= proto=', 'remove'],
]);

/** Settings as the file has them: without its defaults, and retries one level down. */
function written({ retries, ...all }: Options): Record<string, unknown> {
  const settings = Object.fromEntries(
    Object.entries(all).filter(([option, value]) => standardOf(`upstreamDefaults.${option}`) !== value),
  );
  return retries === undefined ? settings : { ...settings, retry: { attempts: Number(retries) } };
}

// nginx.conf -> the same document as a YAML file gives (door 3). What has a meaning here is translated, with nginx's own
// defaults; what changes nothing here is named in one note; everything else is a problem with file and line, and nothing
// starts. Reads no file. Sources: nginx's modules http_core, http_proxy, http_upstream, http_split_clients.

import { standardOf } from './declaration.ts';
import { type Override, overlay } from './env.ts';
import { type CheckKey, linkSource, type Outcome } from './link.ts';
import {
  GLOBAL_SETTINGS,
  isBelow,
  isDefaultListen,
  LISTEN_PARAMETER,
  nearest,
  readHostNames,
  readListen,
  type Scope,
  WITHOUT_EFFECT,
} from './nginx-directives.ts';
import { ProxyGoals } from './nginx-proxy.ts';
import { Report } from './nginx-report.ts';
import { type Directive, type ReadInclude, readDirectives } from './nginx-syntax.ts';
import { refuseText } from './parse.ts';
import { type Problem, showGot } from './problem.ts';

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
  const report = new Report(file);
  const document = new Translator(file, report).translate(read.directives);
  const { problems } = report;
  const translation = { document, notes: report.notes, files: read.files };
  if (problems.length > 0) return { problems: inOrder(problems, read.files), translation };
  const laid = overlay({ document, locate: (path) => report.locate(path) }, options.overrides ?? []);
  const outcome = linkSource(laid.source, options.checkKey);
  if (outcome.problems === undefined && laid.problems.length === 0) return { ...outcome, translation };
  return { problems: [...laid.problems, ...(outcome.problems ?? [])], translation };
}

function inOrder(problems: readonly Problem[], files: readonly string[]): Problem[] {
  const fileOf = ({ at }: Problem): number => files.findIndex((file) => at.startsWith(`${file}:`));
  return [...problems].sort((a, b) => fileOf(a) - fileOf(b) || a.order - b.order);
}

const PATH_NOTE =
  'locations are compared with the path as it came; nginx decodes it, merges slashes and resolves /../ first';

class Translator {
  readonly #file: string;
  readonly #report: Report;
  readonly #goals: ProxyGoals;
  readonly #routes: Record<string, string>[] = [];
  readonly #locations: Scope[] = [];

  constructor(file: string, report: Report) {
    this.#file = file;
    this.#report = report;
    this.#goals = new ProxyGoals(report);
  }

  translate(top: readonly Directive[]): Record<string, unknown> {
    const https = top.filter(({ name, block }) => name.text === 'http' && block !== null);
    // A file without http is one that http would include: its top level is http's.
    const main: Scope = { parent: null, directives: https.length > 0 ? [] : top };
    const scopes =
      https.length > 0 ? https.map((http) => ({ parent: null, directives: http.block! })) : [main];
    if (https.length > 0) for (const directive of top) this.#report.main(directive);
    for (const scope of scopes) this.#collect(scope, https.length === 0);
    const servers = scopes.flatMap((scope) => this.#servers(scope));
    if (servers.length === 0)
      this.#report.fail({ file: this.#file, line: 1, column: 1 }, '', 'a server block', 'none');
    this.#translateServers(servers);
    return this.#document(servers);
  }

  /** upstream and split_clients blocks first: a server may name one that stands behind it. */
  #collect(scope: Scope, isTop: boolean): void {
    for (const directive of scope.directives) {
      const { text } = directive.name;
      if (text === 'server' || this.#goals.collect(directive)) continue;
      if (isTop && WITHOUT_EFFECT.main!.has(text)) this.#report.ignore(text);
      else this.#report.inheritable(directive, 'http');
    }
  }

  #servers(scope: Scope): { scope: Scope; directive: Directive }[] {
    return scope.directives
      .filter(({ name, block }) => name.text === 'server' && block !== null)
      .map((directive) => ({ scope: { parent: scope, directives: directive.block! }, directive }));
  }

  #translateServers(servers: readonly { scope: Scope; directive: Directive }[]): void {
    const rest = Math.max(
      0,
      servers.findIndex(({ scope }) => scope.directives.some(isDefaultListen)),
    );
    const named = servers.map(({ scope }) => this.#hosts(scope.directives));
    // The default server takes what no other one does; its own names need a route only where another's wildcard is over them.
    const others = named.filter((_, index) => index !== rest).flat();
    const own = (named[rest] ?? []).filter((name) => others.some((other) => isBelow(name, other)));
    for (const [index, { scope, directive }] of servers.entries()) {
      const hosts = index === rest ? [undefined, ...own] : named[index]!;
      const paths: string[] = [];
      for (const inner of scope.directives) {
        const { text } = inner.name;
        if (text === 'location') paths.push(...this.#location(inner, scope, hosts));
        else if (text !== 'listen' && text !== 'server_name') this.#report.inheritable(inner, 'server');
      }
      // Here a request whose host has no route for its path goes on to the routes for every host.
      if (servers.length > 1 && !paths.includes('/')) {
        this.#report.fail(
          directive.name,
          'server',
          'a "location /" in each server where there are several',
          'none',
        );
      }
    }
  }

  #hosts(directives: readonly Directive[]): string[] {
    const hosts: string[] = [];
    for (const word of directives
      .filter(({ name }) => name.text === 'server_name')
      .flatMap(({ words }) => words)) {
      const names = readHostNames(word.text);
      if (names !== undefined) hosts.push(...names);
      else
        this.#report.fail(
          word,
          'server_name',
          'a name like shop.example or *.shop.example',
          showGot(word.text),
        );
    }
    return hosts;
  }

  #location(directive: Directive, server: Scope, hosts: readonly (string | undefined)[]): string[] {
    const { name, words: args, block } = directive;
    const modifier = args.length > 1 ? args[0]!.text : '';
    const path = args.at(-1);
    if (path === undefined || block === null) {
      this.#report.fail(name, 'location', 'a path and a block', `${args.length} words`);
      return [];
    }
    const odd =
      modifier.startsWith('~') || path.text.startsWith('~')
        ? 'a path prefix, as regular expressions are not kept'
        : modifier === '=' || path.text.startsWith('=')
          ? 'a path prefix, as routes have no exact paths'
          : (modifier !== '' && modifier !== '^~') || args.length > 2 || !path.text.startsWith('/')
            ? 'a path prefix like /api/'
            : null;
    if (odd !== null) {
      this.#report.fail(name, 'location', odd, showGot(args.map(({ text }) => text).join(' ')));
      return [];
    }
    const scope: Scope = { parent: server, directives: block };
    let pass: Directive | undefined;
    for (const inner of block) {
      if (inner.name.text === 'proxy_pass') pass = inner;
      else this.#report.inheritable(inner, 'location');
    }
    if (pass === undefined) {
      this.#report.fail(name, 'location', 'a proxy_pass, as no files are served', 'none');
      return [path.text];
    }
    this.#locations.push(scope);
    const goal = this.#goals.goal(pass, scope);
    for (const host of hosts) {
      const route = {
        ...(host === undefined ? {} : { host }),
        ...(path.text === '/' ? {} : { path: path.text }),
        ...goal,
      };
      this.#report.origin(['routes', this.#routes.length], name, 'location');
      if (goal !== undefined) this.#routes.push(route);
    }
    if (path.text !== '/') this.#report.note(PATH_NOTE);
    if (path.text.length > 1 && path.text.endsWith('/')) {
      this.#report.note(
        `a request for ${path.text.slice(0, -1)} (without the last slash) is not redirected to ${path.text}`,
      );
    }
    return [path.text];
  }

  #document(servers: readonly { scope: Scope; directive: Directive }[]): Record<string, unknown> {
    const document: Record<string, unknown> = { listen: this.#listen(servers) };
    const { forwarded, upgrades, ...made } = this.#goals.document();
    Object.assign(document, made);
    const [route] = this.#routes;
    const isPlain = this.#routes.length === 1 && route?.host === undefined && route?.path === undefined;
    if (!isPlain || route?.split === undefined || Object.keys(document.splits ?? {}).length > 1)
      document.routes = this.#routes;
    for (const [directive, { path, standard, kind }] of Object.entries(GLOBAL_SETTINGS)) {
      const value = this.#agreed(directive, kind, standard);
      if (value === null || value === standardOf(path.join('.'))) continue;
      const [map, option] = path;
      document[map] = { ...(document[map] as Record<string, string> | undefined), [option]: value };
    }
    document.forwarded = forwarded;
    document.upgrades = upgrades;
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
        this.#report.fail(lines[0]?.name ?? directive.name, 'listen', expected, own.join(', '));
      }
      if (lines[0] !== undefined) this.#report.origin(['listen'], lines[0].name, 'listen');
    }
    return first?.length === 1 ? first[0]! : (first ?? []);
  }

  #address({ name, words: args }: Directive): string | undefined {
    const [word, ...parameters] = args.map(({ text }) => text);
    for (const parameter of parameters) {
      if (!LISTEN_PARAMETER.test(parameter)) {
        const expected = 'an address with default_server, reuseport or socket options';
        this.#report.fail(name, 'listen', expected, showGot(parameter));
        return undefined;
      }
      if (!parameter.startsWith('default')) this.#report.ignore(`${parameter.replace(/=.*/, '')} of listen`);
    }
    return word === undefined ? undefined : readListen(word);
  }

  /** The one value that all locations have of a setting; null for nginx's "no limit", and without locations. */
  #agreed(directive: string, kind: 'size' | 'time', standard: string): string | null {
    let agreed: string | null = null;
    let isFirst = true;
    for (const scope of this.#locations) {
      const found = nearest(scope, directive);
      const value = kind === 'time' ? this.#report.time(found, standard) : this.#report.size(found, standard);
      if (isFirst) agreed = value;
      else if (value !== agreed) {
        this.#report.fail(
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
}

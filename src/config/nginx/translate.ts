// nginx.conf -> the same document as a YAML file gives (door 3). What has a meaning here is translated, with nginx's own
// defaults; what changes nothing here is named in one note; everything else is a problem with file and line, and nothing
// starts. Reads no file. Sources: nginx's modules http_core, http_proxy, http_upstream, http_split_clients.

import { defaultTextOf } from '../declaration.ts';
import { type GivenSetting, overlay } from '../env.ts';
import { type ConfigResult, linkSource } from '../link.ts';
import type { Problem } from '../problem.ts';
import type { LocatedDocument } from '../raw.ts';
import { refuseText } from '../text.ts';
import { GLOBAL_SETTINGS, inheritedDirective, isBelow, ownDirectives, type Scope } from './directives.ts';
import { addTls } from './listen-tls.ts';
import { type Listen, listenedAddresses, readListens } from './listens.ts';
import { LocationRoutes, NO_BODY_LIMIT } from './locations.ts';
import { WITHOUT_EFFECT } from './meanings.ts';
import { afterMatch, nameHostCaptures } from './numbered-captures.ts';
import { ProxyDestinations } from './proxy-pass.ts';
import { readRealIp } from './real-ip.ts';
import { BUFFERING_NOTE, headSize, TranslationReport } from './report.ts';
import { namesOf } from './server-names.ts';
import { type Directive, type ReadInclude, readDirectives } from './syntax.ts';
import { FileVariables } from './variables.ts';

/** A translated nginx.conf: the document as YAML would have it, and what the user should know. */
export interface Translation {
  readonly document: Record<string, unknown>;
  /** What was left out because it changes nothing here, and what is done a little otherwise. */
  readonly notes: readonly string[];
  /** The file and its includes. */
  readonly files: readonly string[];
}

/** Fields of a head where nginx's buffers are the limit. */
const FIELDS_MAX = 1000;
interface NginxOptions {
  readonly readInclude: ReadInclude;
  readonly settings?: readonly GivenSetting[];
}

/** Config of an nginx.conf, or all problems. The translation comes along when the syntax could be read. */
export function parseNginx(
  text: string,
  file: string,
  options: NginxOptions,
): ConfigResult & { readonly translation?: Translation } {
  const garbage = refuseText(text, file, 'an nginx configuration');
  if (garbage !== undefined) return { problems: [garbage] };
  const read = readDirectives(text, file, options.readInclude);
  if (read.problems.length > 0) return { problems: read.problems };
  const report = new TranslationReport(file);
  const document = new Translator(file, report).translate(read.directives);
  const { problems } = report;
  const translation = { document, notes: report.notes, files: read.files };
  if (problems.length > 0) return { problems: inFileOrder(problems, read.files), translation };
  const translated: LocatedDocument = { document, locate: (path) => report.locate(path), isTranslated: true };
  const overlaid = overlay(translated, options.settings ?? []);
  const outcome = linkSource(overlaid.source);
  if (outcome.problems === undefined && overlaid.problems.length === 0) return { ...outcome, translation };
  return { problems: [...overlaid.problems, ...(outcome.problems ?? [])], translation };
}

function inFileOrder(problems: readonly Problem[], files: readonly string[]): Problem[] {
  const fileOf = ({ at }: Problem): number => files.findIndex((file) => at.startsWith(`${file}:`));
  return [...problems].sort((a, b) => fileOf(a) - fileOf(b) || a.order - b.order);
}

/** A server block and where it takes requests. */
interface ServerBlock {
  readonly scope: Scope;
  readonly directive: Directive;
  readonly listens: readonly Listen[];
}

class Translator {
  readonly #file: string;
  readonly #report: TranslationReport;
  readonly #variables: FileVariables;
  readonly #destinations: ProxyDestinations;
  readonly #locations: LocationRoutes;

  constructor(file: string, report: TranslationReport) {
    this.#file = file;
    this.#report = report;
    this.#variables = new FileVariables(report);
    this.#destinations = new ProxyDestinations(report, this.#variables);
    this.#locations = new LocationRoutes(report, this.#destinations, this.#variables);
  }

  translate(top: readonly Directive[]): Record<string, unknown> {
    const https = top.filter(({ name, block }) => name.text === 'http' && block !== null);
    // A file without http is one that http would include: its top level is http's.
    const main: Scope = { parent: null, directives: https.length > 0 ? [] : top };
    for (const second of https.slice(1)) this.#report.fail(second.name, '', 'one http block', 'a second one');
    const scopes =
      https.length > 0 ? https.map((http) => ({ parent: null, directives: http.block! })) : [main];
    if (https.length > 0) for (const directive of top) this.#report.main(directive);
    this.#variables.noteCaptures(top);
    for (const scope of scopes) this.#collect(scope, https.length === 0);
    if (!this.#variables.checkDepth()) return {};
    const servers = scopes.flatMap((scope) => this.#servers(scope));
    if (servers.length === 0)
      this.#report.fail({ file: this.#file, line: 1, column: 1 }, '', 'a server block', 'none');
    this.#translateServers(servers);
    this.#report.endUpstreamTls(this.#destinations.hasTls);
    return this.#document(servers);
  }

  /** upstream and split_clients blocks first: a server may name one that comes later. */
  #collect(scope: Scope, isTop: boolean): void {
    for (const directive of scope.directives) {
      const { text } = directive.name;
      if (text === 'server' || this.#variables.collect(directive)) continue;
      if (this.#destinations.collect(directive)) continue;
      if (isTop && WITHOUT_EFFECT.main!.has(text)) this.#report.ignore(text);
      else this.#report.inheritable(directive, 'http');
    }
  }

  #servers(scope: Scope): ServerBlock[] {
    return scope.directives
      .filter(({ name, block }) => name.text === 'server' && block !== null)
      .map((directive) => {
        const inner: Scope = { parent: scope, directives: directive.block! };
        return { scope: inner, directive, listens: readListens(directive, this.#report) };
      });
  }

  /** Servers at the same addresses are told apart by host alone; else each address has its routes. */
  #translateServers(servers: readonly ServerBlock[]): void {
    const sets = new Set(servers.map(({ listens }) => listens.map(({ address }) => address).join(' ')));
    if (sets.size <= 1) return this.#translateAt(servers, undefined);
    const byAddress = new Map<string, ServerBlock[]>();
    for (const server of servers) {
      for (const { address } of server.listens) {
        const here = byAddress.get(address);
        if (here === undefined) byAddress.set(address, [server]);
        else here.push(server);
      }
    }
    for (const [address, here] of byAddress) this.#translateAt(here, address);
  }

  /** The servers at one address (undefined: at all of them), of which one is the default. */
  #translateAt(servers: readonly ServerBlock[], address: string | undefined): void {
    const isDefault = ({ listens }: ServerBlock): boolean =>
      listens.some((one) => one.isDefault && (address === undefined || one.address === address));
    this.#translateGroup(servers, Math.max(0, servers.findIndex(isDefault)), address);
  }

  /** The servers at one address (undefined: at all of them); the one at `rest` takes every other host. */
  #translateGroup(servers: readonly ServerBlock[], rest: number, address: string | undefined): void {
    const named = namesOf(servers, this.#report);
    // The default server takes what no other one does; its own names need a route only where another's wildcard is over them.
    const others = named.filter((_, index) => index !== rest).flat();
    const isOpen = others.some((other) => /^~|\.\*$/.test(other));
    const own = (named[rest] ?? []).filter((name) => isOpen || others.some((other) => isBelow(name, other)));
    for (const [index, server] of servers.entries()) {
      const hosts = index === rest ? [undefined, ...own] : named[index]!;
      const literals = this.#literals(server, address);
      const captured = this.#variables.readsNumbered ? nameHostCaptures(hosts) : null;
      const { scope, directive } = server;
      const isShared = servers.length > 1;
      this.#locations.add({
        scope,
        at: directive.name,
        hosts: captured?.hosts ?? hosts,
        address,
        literals: afterMatch(literals, captured?.texts ?? null),
        isShared,
      });
    }
  }

  /** Variables of nginx that have one value for all requests of a server at an address. */
  #literals({ scope, listens }: ServerBlock, address: string | undefined): Map<string, string> {
    const own = listens.filter((one) => address === undefined || one.address === address);
    const ports = new Set(own.map((one) => /:(\d+)$/.exec(one.address)?.[1]));
    const [port] = ports;
    const names = ownDirectives(scope, 'server_name')[0]?.words;
    return new Map([
      ['server_name', names?.[0]?.text ?? ''],
      ...(ports.size === 1 && port !== undefined ? [['server_port', port] as const] : []),
    ]);
  }

  #document(servers: readonly ServerBlock[]): Record<string, unknown> {
    const addresses = listenedAddresses(servers, this.#report);
    const listen = addTls(addresses, servers, this.#file, this.#report);
    const document: Record<string, unknown> = { listen };
    const { forwarded, upgrades, ...made } = this.#destinations.document();
    Object.assign(document, made);
    const [first] = this.#locations.routes;
    const bodyMax = first?.bodyMax ?? NO_BODY_LIMIT;
    const routes = this.#locations.routes.map(({ route, bodyMax: own }) =>
      own === bodyMax ? route : { ...route, limits: { requestBody: own } },
    );
    const isPlain = routes.length === 1 && Object.keys(routes[0]!).join() === 'split';
    if (!isPlain || Object.keys(document.splits ?? {}).length > 1) document.routes = routes;
    this.#variables.addTo(document, [document.splits, document.upstreams, document.upstreamDefaults, routes]);
    if (bodyMax !== NO_BODY_LIMIT) document.limits = { requestBody: bodyMax };
    this.#limitHeads(document);
    for (const [directive, { path, default: defaultText }] of Object.entries(GLOBAL_SETTINGS)) {
      const value = this.#agreed(directive, defaultText);
      if (value === null || value === defaultTextOf(path.join('.'))) continue;
      const [map, option] = path;
      document[map] = { ...(document[map] as Record<string, string> | undefined), [option]: value };
    }
    if (this.#report.logsRequests) document.accessLog = { mode: 'all' };
    const scopes = this.#locations.proxied;
    const trusted = readRealIp(scopes.length > 0 ? scopes : servers.map(({ scope }) => scope), this.#report);
    if (trusted !== undefined) document.trustedProxies = trusted;
    document.forwarded = forwarded;
    document.errorPages = 'html';
    document.trace = 'refuse';
    document.badPaths = 'refuse';
    const buffers = (scope: Scope) =>
      inheritedDirective(scope, 'proxy_request_buffering')?.words[0]?.text !== 'off';
    if (this.#locations.proxied.some(buffers)) this.#report.note(BUFFERING_NOTE);
    document.upgrades = upgrades;
    return document;
  }

  /** nginx limits the bytes of a head and never counts fields: where buffers were given, the count is out of the way. */
  #limitHeads(document: Record<string, unknown>): void {
    const { requestLine, requestHead, responseHead } = this.#report.headLimits;
    const limits: Record<string, string | number> = {};
    for (const [option, bytes] of [
      ['requestLine', requestLine],
      ['requestHead', requestHead],
    ] as const) {
      if (bytes !== undefined && headSize(bytes) !== defaultTextOf(`limits.${option}`))
        limits[option] = headSize(bytes);
    }
    if (Object.keys(limits).length > 0)
      document.limits = { ...(document.limits as object | undefined), ...limits, requestFields: FIELDS_MAX };
    if (responseHead === undefined) return;
    const ofResponse = { responseHead: headSize(responseHead), responseFields: FIELDS_MAX };
    document.upstreamDefaults = { ...(document.upstreamDefaults as object | undefined), limits: ofResponse };
  }

  /** The one time that all locations have of a setting; null without locations. */
  #agreed(directive: string, defaultText: string): string | null {
    let agreed: string | null = null;
    for (const scope of this.#locations.proxied) {
      const found = inheritedDirective(scope, directive);
      const value = this.#report.time(found, defaultText);
      agreed ??= value;
      if (value === agreed) continue;
      const at = found?.name ?? scope.directives[0]!.name;
      this.#report.fail(at, directive, `the same for all locations (${agreed})`, value);
    }
    return agreed;
  }
}

// The locations of an nginx.conf: each becomes a route for every name of its server, with what it sends on or answers.
// Source: nginx's ngx_http_core_location and ngx_http_core_find_location in ngx_http_core_module.c.

import { showGot } from '../problem.ts';
import { addedFields } from './added-fields.ts';
import { type AnswerPlace, type Respond, readReturn, slashRedirect } from './answers.ts';
import { inheritedDirective, ownDirectives, type Scope } from './directives.ts';
import type { ProxyDestinations } from './proxy-pass.ts';
import type { TranslationReport } from './report.ts';
import type { Directive, Position } from './syntax.ts';

/** A route of the document; the limit is written where not all routes have the same. */
export interface LocationRoute {
  readonly route: Record<string, unknown>;
  readonly bodyMax: string;
}

/** A server block at one address, and the requests that it takes there. */
export interface ServerPlace {
  readonly scope: Scope;
  readonly at: Position;
  /** Undefined for every host that no other server has. */
  readonly hosts: readonly (string | undefined)[];
  /** Undefined for all addresses. */
  readonly address: string | undefined;
  /** Variables that have one value there. */
  readonly literals: ReadonlyMap<string, string>;
  /** Other servers share the address, so that a request must not go on to their routes. */
  readonly isShared: boolean;
}

/** A location as it was read. */
interface Location {
  readonly scope: Scope;
  readonly directive: Directive;
  readonly path: string;
  readonly isExact: boolean;
}

/** What "client_max_body_size 0" is in the file. */
export const NO_BODY_LIMIT = '1024GiB';

/** Makes the routes of one nginx.conf, server by server. Made for one translation, by the translator. */
export class LocationRoutes {
  readonly routes: LocationRoute[] = [];
  /** The blocks of the locations that have an upstream. */
  readonly proxied: Scope[] = [];
  readonly #report: TranslationReport;
  readonly #destinations: ProxyDestinations;

  constructor(report: TranslationReport, destinations: ProxyDestinations) {
    this.#report = report;
    this.#destinations = destinations;
  }

  /** Adds the routes of a server. */
  add(server: ServerPlace): void {
    const [answer] = ownDirectives(server.scope, 'return');
    for (const inner of server.scope.directives) this.#readServerDirective(inner);
    // A server that answers everything itself never looks for a location.
    if (answer !== undefined) return this.#answerAll(server, answer);
    const locations = this.#read(server.scope, null);
    const taken = new Set(locations.map(({ isExact, path }) => `${isExact ? '=' : ''}${path}`));
    for (const location of locations) this.#route(location, server, taken);
    const fields = addedFields(server.scope, server.literals, this.#report);
    if (taken.has('/') || !(server.isShared || fields !== undefined)) return;
    this.#push({ path: '/' }, { respond: { status: 404 } }, server, server.scope, server.at);
  }

  #readServerDirective(directive: Directive): void {
    const { text } = directive.name;
    if (!['listen', 'server_name', 'location', 'return'].includes(text))
      this.#report.inheritable(directive, 'server');
  }

  #answerAll(server: ServerPlace, directive: Directive): void {
    const { scope, literals } = server;
    const respond = readReturn(directive, { scope, literals, path: null }, this.#report);
    if (respond !== undefined) this.#push({ path: '/' }, { respond }, server, scope, directive.name);
  }

  /** The locations of a block, nested ones included. */
  #read(scope: Scope, outer: Location | null): Location[] {
    const locations: Location[] = [];
    const known = new Set<string>();
    for (const directive of ownDirectives(scope, 'location')) {
      const location = this.#readOne(directive, scope, outer);
      if (location === undefined) continue;
      const id = `${location.isExact ? '=' : ''}${location.path}`;
      if (known.has(id)) {
        this.#report.fail(directive.name, 'location', 'each path once in a server', `${id} again`);
        continue;
      }
      known.add(id);
      locations.push(location, ...this.#read(location.scope, location));
    }
    return locations;
  }

  #readOne(directive: Directive, parent: Scope, outer: Location | null): Location | undefined {
    const { name, words, block } = directive;
    if (words.length === 0 || block === null) {
      this.#report.fail(name, 'location', 'a path and a block', `${words.length} words`);
      return undefined;
    }
    const written = words.map(({ text }) => text).join(' ');
    const [, modifier, path = ''] = /^(=|\^~|~\*?|@)? ?(.*)$/s.exec(written)!;
    const odd =
      modifier?.startsWith('~') === true
        ? 'a path, because regular expressions are not kept'
        : modifier === '@' || words.length > 2 || !path.startsWith('/')
          ? 'a path like /api/'
          : outer !== null && (outer.isExact || !path.startsWith(outer.path))
            ? `a path below that of the location around it, ${outer.path}`
            : null;
    if (odd !== null) {
      this.#report.fail(name, 'location', odd, showGot(written));
      return undefined;
    }
    return { scope: { parent, directives: block }, directive, path, isExact: modifier === '=' };
  }

  #route(location: Location, server: ServerPlace, taken: ReadonlySet<string>): void {
    const { scope, directive, path, isExact } = location;
    const place: AnswerPlace = { scope, literals: server.literals, path: isExact ? path : null };
    const known = this.#report.problems.length;
    const [pass, second] = ownDirectives(scope, 'proxy_pass');
    if (second !== undefined)
      this.#report.fail(second.name, 'proxy_pass', 'one in a location', 'a second one');
    for (const inner of scope.directives) {
      if (!['proxy_pass', 'return', 'location'].includes(inner.name.text))
        this.#report.inheritable(inner, 'location');
    }
    const where = isExact ? { path, exact: true } : { path };
    const [answer] = ownDirectives(scope, 'return');
    if (answer !== undefined) {
      const respond = readReturn(answer, place, this.#report);
      if (respond !== undefined) this.#push(where, { respond }, server, scope, answer.name);
    } else if (pass !== undefined) {
      this.proxied.push(scope);
      const end = this.#destinations.destination(pass, scope, server.literals);
      if (end !== undefined) this.#push(where, end, server, scope, directive.name);
    } else if (ownDirectives(scope, 'location').length > 0) {
      this.#push(where, { respond: { status: 404 } }, server, scope, directive.name);
    } else if (this.#report.problems.length === known) {
      // Where a directive that answers in place of an upstream was refused, that is the cause.
      const expected = 'a proxy_pass or a return, because no files are served';
      this.#report.fail(directive.name, 'location', expected, 'none');
    }
    if (pass !== undefined) this.#redirectToSlash(location, server, taken);
  }

  /** nginx sends a request for the path without its last slash to the path with it, unless another location takes that. */
  #redirectToSlash(
    { path, scope, directive }: Location,
    server: ServerPlace,
    taken: ReadonlySet<string>,
  ): void {
    if (path.length < 2 || !path.endsWith('/')) return;
    const bare = path.slice(0, -1);
    if (taken.has(bare) || taken.has(`=${bare}`)) return;
    const respond = slashRedirect(path, { scope, literals: server.literals, path: bare });
    this.#push({ path: bare, exact: true }, { respond }, server, scope, directive.name);
  }

  #push(
    where: { readonly path: string; readonly exact?: boolean },
    end: { split: string } | { upstream: string } | { respond: Respond },
    { hosts, address, literals }: ServerPlace,
    scope: Scope,
    at: Position,
  ): void {
    const { path, exact = false } = where;
    const setResponseHeaders = addedFields(scope, literals, this.#report);
    const bodyMax =
      this.#report.size(inheritedDirective(scope, 'client_max_body_size'), '1m') ?? NO_BODY_LIMIT;
    for (const host of hosts) {
      const route = {
        ...(address === undefined ? {} : { listen: address }),
        ...(host === undefined ? {} : { host }),
        ...(path === '/' && !exact ? {} : { path }),
        ...(exact ? { exact } : {}),
        ...end,
        ...(setResponseHeaders === undefined ? {} : { setResponseHeaders }),
      };
      const index = this.routes.length;
      this.#report.origin(['routes', index], at, 'respond' in end ? 'return' : 'location');
      this.routes.push({ route, bodyMax });
    }
  }
}

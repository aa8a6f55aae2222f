// The locations of an nginx.conf: each becomes a route for every name of its server, with what it sends on or answers.
// Source: nginx's ngx_http_core_location and ngx_http_core_find_location in ngx_http_core_module.c.

import { showGot } from '../problem.ts';
import { isRefused, limitedMethods } from './access.ts';
import { addedFields } from './added-fields.ts';
import {
  type AnswerPlace,
  putLiterals,
  type Respond,
  readReturn,
  rewriteRedirect,
  slashRedirect,
} from './answers.ts';
import { type Branch, branchesOf, isOver, isProgram, redirectStatus } from './branches.ts';
import { inheritedDirective, ownDirectives, type Scope } from './directives.ts';
import { errorAnswersOf, isErrorFile, isInternal } from './error-pages.ts';
import { locationOf, NEW_PATH_EXPECTED, type NewPath, readsChanged, withoutRewrites } from './new-paths.ts';
import { afterMatch, nameCaptures } from './numbered-captures.ts';
import { readPassedPath } from './passed-paths.ts';
import type { ProxyDestinations } from './proxy-pass.ts';
import type { TranslationReport } from './report.ts';
import { passBySplit } from './split-branches.ts';
import type { Directive, Position } from './syntax.ts';
import type { FileVariables } from './variables.ts';

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
  /** `path` is a regular expression, as routes have it. */
  readonly isPattern: boolean;
  /** It, or the outermost location around it, has "^~". */
  readonly isFirm: boolean;
  /** Texts of `$1` to `$9` in it; null where they are as before. */
  readonly captured: ReadonlyMap<string, string> | null;
}

/** Where a route takes requests. */
type Where = Readonly<Record<string, string | boolean>> & {
  readonly path?: string;
  readonly exact?: boolean;
};

/** What "client_max_body_size 0" is in the file. */
export const NO_BODY_LIMIT = '1024GiB';

/** Makes the routes of one nginx.conf, server by server. Made for one translation, by the translator. */
export class LocationRoutes {
  readonly routes: LocationRoute[] = [];
  /** The blocks of the locations that have an upstream. */
  readonly proxied: Scope[] = [];
  /** Servers whose directives were looked at: one with many addresses is added for each. */
  readonly #readServers = new Set<Scope['directives']>();
  /** The locations of the server whose routes are made now. */
  #locations: readonly Location[] = [];
  /** Where the requests of each rewrite go on; null where that cannot be kept. */
  readonly #nextOf = new Map<NewPath, Location | null>();
  readonly #report: TranslationReport;
  readonly #destinations: ProxyDestinations;
  readonly #variables: FileVariables;

  constructor(report: TranslationReport, destinations: ProxyDestinations, variables: FileVariables) {
    this.#report = report;
    this.#variables = variables;
    this.#destinations = destinations;
  }

  /** Adds the routes of a server. */
  add(server: ServerPlace): void {
    if (!this.#readServers.has(server.scope.directives)) {
      for (const inner of server.scope.directives) this.#readServerDirective(inner);
      this.#readServers.add(server.scope.directives);
    }
    const ways = branchesOf(server.scope, server.literals, [], this.#report);
    if (ways.some(({ rule, newPath }) => rule !== null && newPath === null)) {
      const expected = 'redirect or permanent in a server, because a new path would choose another location';
      this.#report.fail(server.at, 'rewrite', expected, 'break');
    }
    this.#locations = this.#read(server.scope, null);
    // A server that answers everything itself never looks for a location.
    if (ways.every(({ answer }) => answer !== null)) return this.#answerIn(ways, EVERY_PATH, server, true);
    const locations = this.#locations.filter(({ path }) => !path.startsWith('@'));
    const taken = new Set(locations.map(locationId));
    const hasPatterns = locations.some(({ isPattern }) => isPattern);
    for (const location of locations) {
      const where = whereOf(location, hasPatterns);
      for (const way of ways) {
        if (way.answer !== null) this.#answerIn([way], where, server, location.isExact);
        else if (way.newPath !== null) {
          const bare = this.#barePath(location, taken);
          if (bare !== null) this.#goOn(way, { path: bare, exact: true }, server, taken);
          this.#goOn(way, where, server, taken);
        } else this.#route(location, where, way, server, taken);
      }
    }
    if (taken.has('/')) return;
    const fields = addedFields(server.scope, server.literals, this.#report);
    const errors = errorAnswersOf(server.scope, server.literals, this.#locations, this.#report);
    const isSimple = ways.length === 1 && !server.isShared && fields === undefined && errors === undefined;
    if (!isSimple) this.#answerIn(ways, EVERY_PATH, server, false);
  }

  #readServerDirective(directive: Directive): void {
    const { text } = directive.name;
    if (!['listen', 'server_name', 'location'].includes(text) && !isProgram(directive))
      this.#report.inheritable(directive, 'server');
    if (text !== 'if') return;
    for (const inner of directive.block ?? [])
      if (!isProgram(inner)) this.#report.unknown(inner, 'if of a server');
  }

  /** The answers of a server before it looks for a location, and 404 where it would find none. */
  #answerIn(ways: readonly Branch[], where: Where, server: ServerPlace, isOnePath: boolean): void {
    for (const way of ways) {
      const { scope, literals, answer } = way;
      if (way.newPath !== null) {
        this.#goOn(way, where, server, NONE_TAKEN);
        continue;
      }
      const path = isOnePath && typeof where.path === 'string' ? where.path : null;
      const status = isRefused(scope, this.#report) ? 403 : 404;
      const respond =
        answer === null ? { status } : readWayEnd(answer, { scope, literals, path }, this.#report);
      const at = answer?.name ?? server.at;
      if (respond !== undefined) this.#push(where, { respond }, server, way, at);
    }
  }

  /** The locations of a block, nested ones included. */
  #read(scope: Scope, outer: Location | null): Location[] {
    const locations: Location[] = [];
    const known = new Set<string>();
    for (const directive of ownDirectives(scope, 'location')) {
      const location = this.#readOne(directive, scope, outer);
      if (location === undefined) continue;
      const id = locationId(location);
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
    const [, modifier = '', path = ''] = /^(=|\^~|~\*?|@)? ?(.*)$/s.exec(written)!;
    const isPattern = modifier.startsWith('~');
    const odd =
      words.length > 2 ||
      (!isPattern && modifier !== '@' && !path.startsWith('/')) ||
      (modifier === '@' && outer !== null)
        ? 'a path like /api/'
        : outer === null
          ? null
          : isPattern || outer.isPattern
            ? 'no regular expression in a location that has or is in another one'
            : outer.isExact || !path.startsWith(outer.path)
              ? `a path below that of the location around it, ${outer.path}`
              : null;
    if (odd !== null) {
      this.#report.fail(name, 'location', odd, showGot(written));
      return undefined;
    }
    const named = this.#variables.readsNumbered && isPattern ? nameCaptures(path, 'path') : null;
    return {
      scope: { parent, directives: block },
      directive,
      captured: named?.texts ?? null,
      path: isPattern || modifier === '@' ? `${modifier}${named?.pattern ?? path}` : path,
      isExact: modifier === '=',
      isPattern,
      isFirm: outer === null ? modifier === '^~' : outer.isFirm,
    };
  }

  #route(
    location: Location,
    where: Where,
    from: Branch,
    server: ServerPlace,
    taken: ReadonlySet<string>,
  ): void {
    const { scope, directive, path, isExact } = location;
    // Nobody but an error or a rewrite gets there.
    if ((from.rule === null && isInternal(scope)) || isErrorFile(location, server.scope)) {
      const denied = { ...from, scope };
      return this.#push(where, { respond: { status: 404 } }, server, denied, directive.name);
    }
    const known = this.#report.problems.length;
    const [pass, second] = ownDirectives(scope, 'proxy_pass');
    if (second !== undefined)
      this.#report.fail(second.name, 'proxy_pass', 'one in a location', 'a second one');
    for (const inner of scope.directives) this.#readLocationDirective(inner, 'location');
    for (const limited of limitedMethods(scope, this.#report)) {
      const conditions = [...from.conditions, ...limited];
      this.#push(where, { respond: { status: 403 } }, server, { ...from, scope, conditions }, directive.name);
    }
    const ways = branchesOf(
      scope,
      afterMatch(from.literals, location.captured),
      from.conditions,
      this.#report,
    ).map((way) => (from.rule === null ? way : { ...way, rule: from.rule }));
    for (const way of this.#withoutSplit(ways, pass, from)) {
      const { answer, literals } = way;
      const passed = way.pass ?? ownDirectives(way.scope, 'proxy_pass')[0] ?? pass;
      if (way.newPath !== null) this.#goOn(way, where, server, taken);
      else if (answer !== null) {
        const place = { scope: way.scope, literals, path: isExact ? path : null };
        const respond = readWayEnd(answer, place, this.#report);
        if (respond !== undefined) this.#push(where, { respond }, server, way, answer.name);
      } else if (isRefused(way.scope, this.#report)) {
        this.#push(where, { respond: { status: 403 } }, server, way, directive.name);
      } else if (passed !== undefined) {
        this.proxied.push(way.scope);
        const isInIf = way.pass === undefined && passed !== pass;
        const passing = { path, isPattern: location.isPattern, isInIf, own: pass };
        const read = readPassedPath(passed, passing, way, this.#report);
        if (read === undefined) continue;
        const end = this.#destinations.destination(read.pass, way.scope, literals);
        const { rewriteLocation } = read;
        const options = {
          ...(read.rewritePath === null ? {} : { rewritePath: read.rewritePath }),
          ...(rewriteLocation.length === 0 ? {} : { rewriteLocation }),
        };
        if (end !== undefined) this.#push(where, { ...end, ...options }, server, way, directive.name);
      } else if (ownDirectives(scope, 'location').length > 0 || ways.some(isOver)) {
        // nginx would look for a file here.
        this.#push(where, { respond: { status: 404 } }, server, way, directive.name);
      } else if (this.#report.problems.length === known) {
        // Where a directive that answers in place of an upstream was refused, that is the cause.
        const files = scope.directives.filter(({ name }) => FILE_DIRECTIVES.has(name.text));
        const got = files.map(({ name }) => name.text).join(' and ');
        const expected = 'a proxy_pass or a return, because no files are served';
        if (files.length === 0) this.#report.fail(directive.name, 'location', expected, 'none');
        else this.#report.fail(directive.name, 'location', `${expected}: ${FILES_REMEDY}`, `${got} alone`);
      }
    }
    if (from.rule === null) this.#redirectToSlash(location, from, server, taken);
  }

  /** The ways, or the one that is left of them where a split alone tells them apart. */
  #withoutSplit(
    ways: readonly Branch[],
    pass: Directive | undefined,
    from: Branch,
  ): readonly (Branch & { readonly pass?: Directive })[] {
    if (ways.length < 2 || ways.some(({ answer }) => answer !== null)) return ways;
    const passed = ways.flatMap((way) => {
      const own = ownDirectives(way.scope, 'proxy_pass')[0] ?? pass;
      const [word] = own?.words ?? [];
      if (own === undefined || word === undefined) return [];
      const text = putLiterals(word.text, way.literals);
      return /^https?:\/\/[^/$]+$/.test(text) ? [{ way, pass: { ...own, words: [{ ...word, text }] } }] : [];
    });
    const chosen =
      passed.length < ways.length ? undefined : passBySplit(passed, from.conditions.length, this.#variables);
    return chosen === undefined ? ways : [{ ...ways.at(-1)!, pass: chosen }];
  }

  #readLocationDirective(directive: Directive, block: 'location' | 'if'): void {
    const { text } = directive.name;
    if (text === 'proxy_pass' || text === 'internal' || (text === 'location' && block === 'location')) return;
    if (text === 'if') for (const inner of directive.block ?? []) this.#readLocationDirective(inner, 'if');
    else if (!isProgram(directive)) this.#report.inheritable(directive, block);
  }

  /** nginx sends a request for the path without its last slash to the path with it, unless another location takes that. */
  #redirectToSlash(location: Location, from: Branch, server: ServerPlace, taken: ReadonlySet<string>): void {
    const bare = this.#barePath(location, taken);
    if (bare === null) return;
    const { path, scope, directive } = location;
    const respond = slashRedirect(path, { scope, literals: server.literals, path: bare });
    this.#push({ path: bare, exact: true }, { respond }, server, { ...from, scope }, directive.name);
  }

  /** The path of a location that passes requests on, without the slash at its end; null where that leads to nothing. */
  #barePath({ path, scope, isPattern }: Location, taken: ReadonlySet<string>): string | null {
    const isPassing = ownDirectives(scope, 'proxy_pass').length > 0;
    if (!isPassing || isPattern || path.length < 2 || !path.endsWith('/')) return null;
    const bare = path.slice(0, -1);
    return taken.has(bare) || taken.has(`=${bare}`) ? null : bare;
  }

  /** The routes of requests at a place whose path a rewrite has changed: those of the location of the new path. */
  #goOn(way: Branch, where: Where, server: ServerPlace, taken: ReadonlySet<string>): void {
    const { newPath } = way;
    if (newPath === null) return;
    let next = this.#nextOf.get(newPath);
    if (next === undefined) {
      next = this.#readNext(newPath);
      this.#nextOf.set(newPath, next);
    }
    if (next !== null) this.#route(next, where, { ...way, newPath: null }, server, taken);
  }

  /** The location of a new path; null where that cannot be kept, which is reported. */
  #readNext(newPath: NewPath): Location | null {
    const { start, isWhole, changesQuery, at } = newPath;
    if (readsChanged(this.#variables.file, changesQuery)) {
      const got = changesQuery ? 'a text that reads the path or the arguments' : 'a text that reads $uri';
      const expected = 'no text that reads what a rewrite changes: texts see the request as it came';
      this.#report.fail(at, 'rewrite', expected, got);
      return null;
    }
    const target = locationOf(this.#locations, newPath);
    const scope = target === undefined ? undefined : withoutRewrites(target.scope, newPath);
    if (target !== undefined && scope !== undefined) return { ...target, scope };
    this.#report.fail(at, 'rewrite', NEW_PATH_EXPECTED, showGot(`${start}${isWhole ? '' : '…'}`));
    return null;
  }

  #push(
    where: Where,
    end: { split: string } | { upstream: string } | { respond: Respond },
    { hosts, address }: ServerPlace,
    { scope, literals, conditions }: Branch,
    at: Position,
  ): void {
    const setResponseHeaders = addedFields(scope, literals, this.#report);
    const errorAnswers = errorAnswersOf(scope, literals, this.#locations, this.#report);
    const bodyMax =
      this.#report.size(inheritedDirective(scope, 'client_max_body_size'), '1m') ?? NO_BODY_LIMIT;
    for (const host of hosts) {
      const route = {
        ...(address === undefined ? {} : { listen: address }),
        ...(host === undefined ? {} : { host }),
        ...(where.path === '/' && where.exact !== true ? {} : where),
        ...(conditions.length === 0 ? {} : { when: conditions }),
        ...end,
        ...(setResponseHeaders === undefined ? {} : { setResponseHeaders }),
        ...(errorAnswers === undefined ? {} : { errorAnswers }),
      };
      const index = this.routes.length;
      this.#report.origin(['routes', index], at, 'respond' in end ? 'return' : 'location');
      this.routes.push({ route, bodyMax });
    }
  }
}

const FILE_DIRECTIVES: ReadonlySet<string> = new Set(['root', 'index']);
const FILES_REMEDY =
  'delete this server or mount an empty file over this one if it is not needed, as conf.d/default.conf of the nginx image; else pass its requests to an nginx that has the files';

const NONE_TAKEN: ReadonlySet<string> = new Set();
const EVERY_PATH: Where = { path: '/' };

function locationId({ isExact, path }: Location): string {
  return `${isExact ? '=' : ''}${path}`;
}

function whereOf({ path, isExact, isPattern, isFirm }: Location, hasPatterns: boolean): Where {
  if (isPattern) return { pattern: path };
  if (isExact) return { path, exact: true };
  return isFirm && hasPatterns ? { path, beforePatterns: true } : { path };
}

/** What ends a way: a return, or a rewrite that redirects. */
function readWayEnd(
  directive: Directive,
  place: AnswerPlace,
  report: TranslationReport,
): Respond | undefined {
  if (directive.name.text === 'return') return readReturn(directive, place, report);
  const [, replacement = '', flag] = directive.words.map(({ text }) => text);
  return rewriteRedirect(redirectStatus(replacement, flag) ?? 302, replacement, place);
}

// Where a location of an nginx.conf sends its requests: its proxy_pass with all that counts for it becomes a split or an
// upstream of the document, one for each set of settings. Knows nothing of servers and routes.
// Sources: nginx's ngx_http_proxy_module.c, ngx_http_upstream.c, ngx_http_split_clients_module.c.

import { checkKey } from '../../key/compile.ts';
import { variablesOf } from '../../key/key-text.ts';
import { SET_FIELDS_TOTAL_EXPECTED, SET_FIELDS_TOTAL_MAX } from '../checks/upstreams.ts';
import { isSettableField } from '../options/upstream.ts';
import { showGot } from '../problem.ts';
import {
  free,
  inheritedDirective,
  ownDirectives,
  plainName,
  type Scope,
  UPSTREAM_SETTINGS,
} from './directives.ts';
import { type NextUpstream, readNextUpstream, retryOf } from './next-upstream.ts';
import { PassedSplits, reportTextFault, withLiterals } from './passed-splits.ts';
import type { TranslationReport } from './report.ts';
import type { Directive, Position } from './syntax.ts';
import {
  EJECT_DEFAULT,
  plainBlock,
  poolOf,
  readUpstreamBlock,
  serverOf,
  urlOf,
  writtenSettings,
} from './upstream-block.ts';
import type { FileVariables } from './variables.ts';

/** What counts for one destination; the same twice is one upstream of the document. */
interface Settings {
  /** Undefined keeps the client's Host. */
  readonly host: string | undefined;
  readonly setHeaders: Readonly<Record<string, string>>;
  readonly connectTimeout: string;
  readonly responseTimeout: string;
  readonly next: NextUpstream;
}

/** An entry of `upstreams`, and the settings that others may share with it. */
interface UpstreamEntry {
  readonly place: Record<string, unknown>;
  readonly options: Record<string, unknown>;
}

/** What proxy_set_header does to a request. */
type FieldEdits = Pick<Settings, 'host' | 'setHeaders'>;

/** As many as a request may have by default. Every upstream gets a copy of what its locations inherit. */
const SET_FIELDS_MAX = 100;
const NO_FIELDS: readonly SetField[] = [];
const NO_EDITS: FieldEdits = { host: undefined, setHeaders: {} };

/** A field of proxy_set_header. */
interface SetField {
  readonly name: string;
  readonly value: string;
  readonly at: Position;
}

/**
 * Gathers the upstreams and splits that the locations of one nginx.conf lead to. Made for one translation, by the
 * translator.
 */
export class ProxyDestinations {
  readonly #report: TranslationReport;
  readonly #variables: FileVariables;
  /** By name in lower case: nginx compares these names without case. */
  readonly #blocks = new Map<string, Directive>();
  /** Some proxy_pass has https. */
  hasTls = false;
  /** Names of blocks that some proxy_pass leads to. */
  readonly #led = new Set<string>();
  readonly #upstreams = new Map<string, UpstreamEntry>();
  readonly #splits: PassedSplits;
  /** What a location's target became, by target and settings: the same twice is one entry. */
  readonly #made = new Map<string, string>();
  /** The fields of each block that has any. */
  readonly #fieldsOf = new Map<readonly Directive[], readonly SetField[]>();
  readonly #madeEdits = new Map<readonly SetField[], Map<string, FieldEdits>>();
  /** Fields of all that was made of them: each destination has its own. */
  #fieldCount = 0;
  #upgrades = false;

  constructor(report: TranslationReport, variables: FileVariables) {
    this.#report = report;
    this.#variables = variables;
    this.#splits = new PassedSplits(report, variables);
  }

  /** Takes an upstream block; false for any other directive. */
  collect(directive: Directive): boolean {
    const { name, words: args, block } = directive;
    if (name.text === 'upstream' && block !== null && args.length === 1) {
      const id = args[0]!.text.toLowerCase();
      if (this.#blocks.has(id))
        this.#report.fail(
          args[0]!,
          name.text,
          'each name of an upstream once',
          `${showGot(args[0]!.text)} again`,
        );
      this.#blocks.set(id, directive);
      return true;
    }
    return false;
  }

  /** Split or upstream that a proxy_pass leads to. `literals` are variables that have one value there. */
  destination(
    pass: Directive,
    scope: Scope,
    literals: ReadonlyMap<string, string>,
  ): { split: string } | { upstream: string } | undefined {
    const word = pass.words[0];
    if (word === undefined) {
      this.#report.fail(pass.name, 'proxy_pass', PASS_EXPECTED, 'nothing');
      return undefined;
    }
    const settingsFor = this.#settings(scope, literals);
    // With variables the target as it came is what nginx sends anyway.
    const target = { ...word, text: word.text.replace(/(?<=.)\$(?:request_uri|\{request_uri\})$/i, '') };
    if (variablesOf(target.text).length > 0) {
      const split = this.#splits.chosen(target, (text, known) =>
        this.#passTo(text, word, settingsFor, known),
      );
      return split === undefined ? undefined : { split };
    }
    const upstream = this.#passTo(target.text, word, settingsFor, NO_LITERALS);
    return upstream === undefined ? undefined : { upstream };
  }

  /** The upstream for a value of proxy_pass without variables; undefined where it is none, which is reported. */
  #passTo(
    text: string,
    at: Position,
    settingsFor: SettingsFor,
    known: ReadonlyMap<string, string>,
  ): string | undefined {
    const [, scheme, socket, host, port = ''] = PLAIN_PASS.exec(text) ?? [];
    const hasPorts = port !== '' && host !== undefined && this.#blocks.has(host.toLowerCase());
    if (scheme === undefined || hasPorts) {
      const reason = hasPorts ? ', where an upstream block with this name has the ports' : '';
      this.#report.fail(at, 'proxy_pass', PASS_EXPECTED, `${showGot(text)}${reason}`);
      return undefined;
    }
    const destination = socket ?? `${host}${port}`;
    return this.#upstream(scheme, destination, at, settingsFor(destination, known));
  }

  /** Entry of `upstreams` for an upstream block, a host or a socket, with these settings. */
  #upstream(scheme: string, destination: string, at: Position, settings: Settings): string | undefined {
    const named = this.#blocks.get(destination.toLowerCase());
    const id = JSON.stringify(['upstream', scheme, destination, settings]);
    const made = this.#made.get(id);
    if (made !== undefined) return made;
    if (scheme === 'https') this.hasTls = true;
    this.#led.add(destination.toLowerCase());
    const block = named === undefined ? plainBlock(destination) : readUpstreamBlock(named, this.#report);
    if (block === undefined) return undefined;
    if (scheme === 'https' && block.servers.some(({ address }) => address.startsWith('unix:'))) {
      this.#report.fail(at, 'proxy_pass', 'http for a Unix socket', showGot(destination));
      return undefined;
    }
    const { host, next, ...rest } = settings;
    const { only } = block;
    const name = free(plainName(destination), this.#upstreams);
    this.#made.set(id, name);
    this.#upstreams.set(name, {
      place:
        only === undefined
          ? { servers: block.servers.map((server) => serverOf(scheme, server)) }
          : { url: urlOf(scheme, only.address, named !== undefined) },
      options: {
        // nginx's $proxy_host is what proxy_pass says: the block's name, not the address of its server.
        host:
          host !== '$proxy_host' || (named === undefined && !destination.startsWith('unix:'))
            ? host
            : hostOf(destination),
        ...rest,
        eject: only?.eject ?? EJECT_DEFAULT,
        retry: retryOf(next, block.servers.filter(({ down }) => !down).length),
        ...(block.key === undefined ? {} : { balance: { key: block.key } }),
        ...poolOf(block),
      },
    });
    this.#report.origin(
      ['upstreams', name],
      named?.name ?? at,
      named === undefined ? 'proxy_pass' : 'upstream',
    );
    return name;
  }

  /** Settings of a location as nginx inherits them, for each value that its destination can have. */
  #settings(scope: Scope, literals: ReadonlyMap<string, string>): SettingsFor {
    const time = (directive: keyof typeof UPSTREAM_SETTINGS): string =>
      this.#report.time(inheritedDirective(scope, directive), UPSTREAM_SETTINGS[directive].default);
    const connectTimeout = time('proxy_connect_timeout');
    const responseTimeout = time('proxy_read_timeout');
    const next = readNextUpstream(scope, this.#report);
    if (inheritedDirective(scope, 'proxy_send_timeout') !== undefined)
      this.#report.ignore('proxy_send_timeout');
    const fields = this.#fields(scope);
    return (destination, own) => {
      const known = new Map([...literals, ['proxy_host', hostOf(destination)], ...own]);
      const { host, setHeaders } = this.#edits(fields, known);
      return { host, setHeaders, connectTimeout, responseTimeout, next };
    };
  }

  /** What the fields become where these variables have one value: made once, however many locations inherit them. */
  #edits(fields: readonly SetField[], known: ReadonlyMap<string, string>): FieldEdits {
    const made = this.#madeEdits.get(fields) ?? new Map<string, FieldEdits>();
    this.#madeEdits.set(fields, made);
    const id = JSON.stringify([...known]);
    let edits = made.get(id);
    if (edits === undefined) {
      const before = this.#fieldCount;
      this.#fieldCount += fields.length;
      const isTooMuch = this.#fieldCount > SET_FIELDS_TOTAL_MAX;
      if (isTooMuch && before <= SET_FIELDS_TOTAL_MAX) this.#reportTooMany(fields[0]!);
      edits = isTooMuch ? NO_EDITS : this.#makeEdits(fields, known);
      made.set(id, edits);
    }
    return edits;
  }

  #reportTooMany({ at }: SetField): void {
    this.#report.fail(at, 'proxy_set_header', SET_FIELDS_TOTAL_EXPECTED, 'more');
  }

  #makeEdits(fields: readonly SetField[], known: ReadonlyMap<string, string>): FieldEdits {
    const setHeaders: Record<string, string> = {};
    let host: string | undefined = '$proxy_host';
    for (const field of fields) {
      if (field.name.toLowerCase() === 'host') host = this.#host(field, known);
      else setHeaders[field.name] = this.#value(field, known);
    }
    return { host, setHeaders };
  }

  /** proxy_set_header of the innermost block that has any, but for those that the splitter sees to itself. */
  #fields(scope: Scope): readonly SetField[] {
    let level: Scope | null = scope;
    while (level !== null && ownDirectives(level, 'proxy_set_header').length === 0) level = level.parent;
    if (level === null) return NO_FIELDS;
    const known = this.#fieldsOf.get(level.directives);
    if (known !== undefined) return known;
    const fields = this.#readFields(ownDirectives(level, 'proxy_set_header'));
    this.#fieldsOf.set(level.directives, fields);
    return fields;
  }

  #readFields(own: readonly Directive[]): readonly SetField[] {
    const tooMany = own[SET_FIELDS_MAX];
    if (tooMany !== undefined) {
      const expected = `${SET_FIELDS_MAX} fields in a block at most`;
      this.#report.fail(tooMany.name, 'proxy_set_header', expected, `${own.length}`);
      return NO_FIELDS;
    }
    const fields = new Map<string, SetField>();
    for (const { name, words: args } of own) {
      const [field, value] = args.map(({ text }) => text);
      if (field === undefined || value === undefined || args.length > 2) {
        this.#report.fail(name, name.text, 'a field name and a value', `${args.length} words`);
        continue;
      }
      const id = field.toLowerCase();
      if (fields.has(id)) this.#report.fail(name, name.text, 'each field once', `${field} again`);
      if (id === 'upgrade' && value === '$http_upgrade') this.#upgrades = true;
      else if (
        id === 'connection' &&
        (/^(|close|keep-alive|upgrade|\$http_connection)$/i.test(value) ||
          this.#variables.isConnectionOfUpgrade(value))
      ) {
        this.#report.ignore('proxy_set_header Connection');
      } else fields.set(id, { name: field, value, at: name });
    }
    return [...fields.values()];
  }

  /** Undefined for the client's own. */
  #host({ value, at }: SetField, literals: ReadonlyMap<string, string>): string | undefined {
    if (value === '$http_host') return undefined;
    if (value === '$proxy_host') return value;
    const host = withLiterals(value, literals);
    const fault = checkKey(host, this.#variables.scope);
    if (fault !== null || !HOST_VALUE.test(host)) {
      const expected =
        'Host $host, $http_host, $proxy_host, another text with variables, or a name with or without a port';
      this.#report.fail(at, 'proxy_set_header', expected, showGot(value));
    }
    return host.replace('${host}', '$host');
  }

  #value({ name, value, at }: SetField, literals: ReadonlyMap<string, string>): string {
    if (!isSettableField(name)) {
      const expected = 'a field that is not about the connection or the length of the message';
      this.#report.fail(at, 'proxy_set_header', expected, showGot(name));
    }
    const text = withLiterals(value, literals);
    const fault = checkKey(text, this.#variables.scope);
    if (fault !== null) reportTextFault(this.#report, at, 'proxy_set_header', value, fault);
    return text;
  }

  /** Parts of the document that the locations made together. */
  document(): Record<string, unknown> {
    for (const [id, block] of this.#blocks) if (!this.#led.has(id)) this.#report.unread(block, 'upstream');
    const document: Record<string, unknown> = {};
    const upstreams = [...this.#upstreams];
    // What all of them have is written once.
    const common = Object.entries(upstreams[0]?.[1].options ?? {}).filter(([option, value]) =>
      upstreams.every(([, { options }]) => JSON.stringify(options[option]) === JSON.stringify(value)),
    );
    const defaults = writtenSettings(Object.fromEntries(common));
    if (Object.keys(defaults).length > 0) document.upstreamDefaults = defaults;
    document.upstreams = Object.fromEntries(
      upstreams.map(([name, { place, options }]) => {
        const own = Object.entries(options).filter(([option]) => !common.some(([one]) => one === option));
        return [name, { ...place, ...writtenSettings(Object.fromEntries(own)) }];
      }),
    );
    if (this.#splits.made.size > 0) document.splits = Object.fromEntries(this.#splits.made);
    document.forwarded = 'keep';
    document.upgrades = this.#upgrades ? ['websocket'] : [];
    return document;
  }
}

/** Settings for a value of proxy_pass; `known` are the variables of the file that have one value there. */
type SettingsFor = (destination: string, known: ReadonlyMap<string, string>) => Settings;

const NO_LITERALS: ReadonlyMap<string, string> = new Map();
const PASS_EXPECTED =
  'http:// and a name, an address or a variable of split_clients or map, without a URI part';
const PLAIN_PASS = /^(https?):\/\/(?:(unix:[^:]+):?|([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d+)?)$/;

const HOST_VALUE = /^[A-Za-z0-9._:[\]${}-]+$/;

/** What $proxy_host is for a value of proxy_pass. */
function hostOf(destination: string): string {
  return destination.replace(/^unix:.*/, 'localhost');
}

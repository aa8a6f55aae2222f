// The variables that an nginx.conf defines: map and split_clients. Which texts may read them, which values they can have,
// and what of them becomes `variables` and `splits` of the document: only what something reads. Knows nothing of locations.
// Sources: nginx's ngx_http_map_module.c, ngx_http_split_clients_module.c.

import { EMPTY, type RequestView } from '../../bytes.ts';
import { compileKey } from '../../key/compile.ts';
import { variablesOf } from '../../key/key-text.ts';
import { isKnownName } from '../../key/known-variables.ts';
import { OwnVariables, type TextScope } from '../../key/own-variables.ts';
import { compileMap } from '../../key/value-map.ts';
import { type KeyPart, Literal } from '../../key/variables.ts';
import { showGot } from '../problem.ts';
import { closedLists } from './closed-lists.ts';
import { free, plainName } from './directives.ts';
import { captureNames, readsNumbered } from './numbered-captures.ts';
import type { TranslationReport } from './report.ts';
import type { Directive } from './syntax.ts';

/** A map as the file has it. */
interface FileMap {
  readonly directive: Directive;
  readonly of: string;
  readonly values: Map<string, string>;
  readonly default: string;
  readonly flags: { readonly hostnames?: true; readonly volatile?: true };
}

/** A split as the file has it: its directive, and each part with its share and value. */
interface FileSplit {
  readonly directive: Directive;
  readonly key: string;
  readonly values: readonly string[];
}

/** A request of which nothing is read. */
const NO_REQUEST: RequestView = {
  bytes: EMPTY,
  methodStart: 0,
  methodEnd: 0,
  targetStart: 0,
  targetEnd: 0,
  fieldValues: () => [],
  host: () => EMPTY,
  remoteAddress: '',
};

const NO_LISTS: ReadonlyMap<string, readonly string[]> = new Map();
/** Values that a text of proxy_pass can have; with more, no one meant each of them to be an upstream. */
const PASSED_VALUES_MAX = 1000;
/** Maps that are read on the way to one value. */
const MAP_DEPTH_MAX = 100;

/** Gathers the variables of one nginx.conf. Made for one translation, by the translator. */
export class FileVariables {
  readonly #report: TranslationReport;
  readonly #maps = new Map<string, FileMap>();
  readonly #splits = new Map<string, FileSplit>();
  /** Names that some text reads, in lower case. */
  readonly #read = new Set<string>();
  readonly #own = new OwnVariables();
  /** Texts that are made of a request. Whoever checks a text with it reads its variables. */
  readonly scope: TextScope;

  constructor(report: TranslationReport) {
    this.#report = report;
    const known = this.#own.scope('request');
    this.scope = {
      place: 'request',
      own: (name) => {
        const part = known.own(name);
        if (part !== undefined) this.read(name);
        return part;
      },
    };
  }

  /** The whole file, includes and all. */
  file: readonly Directive[] = [];
  /** Some text of the file reads `$1` to `$9` after the match. */
  readsNumbered = false;

  /** Makes the captures of all patterns of the file known: which text has them is checked with the routes. */
  noteCaptures(directives: readonly Directive[]): void {
    this.file = directives;
    this.readsNumbered = readsNumbered(directives);
    if (this.readsNumbered) for (const name of captureNames()) this.#own.variable(name);
    this.#noteNamed(directives);
  }

  #noteNamed(directives: readonly Directive[]): void {
    for (const { name, words, block } of directives) {
      if (/^(?:location|if|server_name|rewrite)$/.test(name.text)) {
        for (const { text } of words) {
          for (const [, capture] of text.matchAll(/\(\?P?<([A-Za-z_]\w*)>/g)) {
            if (isKnownName(capture!.toLowerCase())) continue;
            this.#own.variable(capture!);
          }
        }
      }
      if (block !== null) this.#noteNamed(block);
    }
  }

  /** Takes a map or split_clients block; false for any other directive. */
  collect(directive: Directive): boolean {
    const { name, words: args, block } = directive;
    if (block === null || args.length !== 2) return false;
    if (name.text !== 'map' && name.text !== 'split_clients') return false;
    const [source, target] = args as [(typeof args)[0], (typeof args)[0]];
    const variable = target.text.slice(1).toLowerCase();
    if (!/^\$\w+$/.test(target.text)) {
      this.#report.fail(target, name.text, 'a variable like $appversion', showGot(target.text));
    } else if (isKnownName(variable)) {
      const expected = 'a variable that nginx does not have itself';
      this.#report.fail(target, name.text, expected, showGot(target.text));
    } else if (name.text === 'map') this.#define(variable, directive, source.text);
    else {
      for (const part of block) this.#checkPart(part);
      const values = block.map(({ words: [value] }) => value?.text ?? '');
      this.#splits.set(variable, { directive, key: source.text, values });
      this.#own.variable(variable);
    }
    return true;
  }

  /** Also of a split that nothing reads. */
  #checkPart({ name: share, words: args, block }: Directive): void {
    if (args.length === 1 && block === null) return;
    const expected = 'a share and a value, like "50% version_1a;"';
    this.#report.fail(share, 'split_clients', expected, showGot(share.text));
  }

  #define(variable: string, directive: Directive, of: string): void {
    const values = new Map<string, string>();
    const seen = new Set<string>();
    const flags: { hostnames?: true; volatile?: true } = {};
    let otherwise: string | undefined;
    for (const entry of directive.block!) {
      const { name: match, words: args } = entry;
      const [value, more] = args;
      if (value === undefined && (match.text === 'hostnames' || match.text === 'volatile')) {
        if (match.text === 'hostnames' && values.size > 0)
          this.#report.fail(match, 'map', 'hostnames before the first value', 'it after one');
        flags[match.text] = true;
      } else if (value === undefined || more !== undefined || entry.block !== null) {
        this.#report.fail(match, 'map', 'what is compared, and its value', showGot(match.text));
      } else if (match.text === 'default') {
        if (otherwise !== undefined) this.#report.fail(match, 'map', 'one default', 'a second one');
        otherwise ??= value.text;
      } else {
        const id = match.text.startsWith('~') ? match.text : match.text.toLowerCase();
        // Of two equal patterns the first one applies; nginx refuses two equal texts.
        if (seen.has(id) && !id.startsWith('~'))
          this.#report.fail(
            match,
            'map',
            'each value once, in whatever case',
            `${showGot(match.text)} again`,
          );
        if (!seen.has(id)) values.set(match.text, value.text);
        seen.add(id);
        this.#report.origin(['variables', variable, 'values', match.text], value, 'map');
      }
    }
    this.#report.origin(['variables', variable], directive.name, 'map');
    this.#report.origin(['variables', variable, 'of'], directive.words[0]!, 'map');
    this.#maps.set(variable, { directive, of, values, default: otherwise ?? '', flags });
    this.#own.variable(variable);
  }

  /** The split_clients block of this variable. */
  splitOf(variable: string): Directive | undefined {
    return this.#splits.get(variable.toLowerCase())?.directive;
  }

  has(variable: string): boolean {
    const name = variable.toLowerCase();
    return this.#maps.has(name) || this.#splits.has(name);
  }

  /** Names for "did you mean". */
  get names(): string[] {
    return [...this.#maps.keys(), ...this.#splits.keys()];
  }

  /** A text reads this variable: it becomes a part of the document, with all that it reads. */
  read(variable: string): void {
    const name = variable.toLowerCase();
    if (this.#read.has(name) || !this.has(name)) return;
    this.#read.add(name);
    for (const text of this.#textsOf(name)) for (const one of variablesOf(text)) this.read(one.name);
  }

  /** False where maps read each other on too long a way, which is reported: all that follows such ways would be slow. */
  checkDepth(): boolean {
    const depths = new Map<string, number>();
    const depthOf = (name: string, outer: number): number => {
      const known = depths.get(name);
      if (known !== undefined || outer > MAP_DEPTH_MAX || !this.#maps.has(name)) return known ?? 0;
      // A map that reads itself is another problem.
      depths.set(name, 0);
      const inner = this.#textsOf(name).flatMap((text) => variablesOf(text));
      let depth = 1;
      for (const one of inner) depth = Math.max(depth, 1 + depthOf(one.name, outer + 1));
      depths.set(name, outer === MAP_DEPTH_MAX ? MAP_DEPTH_MAX + 1 : depth);
      return depths.get(name)!;
    };
    for (const [name, { directive }] of this.#maps) {
      if (depthOf(name, 0) <= MAP_DEPTH_MAX) continue;
      const expected = `maps that read each other ${MAP_DEPTH_MAX} levels deep at most`;
      this.#report.fail(directive.words[1] ?? directive.name, 'map', expected, 'more');
      return false;
    }
    return true;
  }

  /** The way on which a variable reads itself, "$a -> $b -> $a"; undefined for none. */
  loopOf(variable: string, trail = new Set<string>(), done = new Set<string>()): string | undefined {
    const name = variable.toLowerCase();
    if (trail.has(name)) {
      const way = [...trail, name];
      return way
        .slice(way.indexOf(name))
        .map((one) => `$${one}`)
        .join(' -> ');
    }
    if (done.has(name) || !this.has(name)) return undefined;
    trail.add(name);
    for (const text of this.#textsOf(name)) {
      for (const inner of variablesOf(text)) {
        const loop = this.loopOf(inner.name, trail, done);
        if (loop !== undefined) return loop;
      }
    }
    trail.delete(name);
    done.add(name);
    return undefined;
  }

  /** The splits that a text depends on, in whatever way, and whether it depends on anything else of a request. */
  inputsOf(text: string): { readonly splits: ReadonlySet<string>; readonly isDynamic: boolean } {
    const splits = new Set<string>();
    const seen = new Set<string>();
    let isDynamic = false;
    const visit = (one: string): void => {
      for (const { name } of variablesOf(one)) {
        if (seen.has(name)) continue;
        seen.add(name);
        if (this.#splits.has(name)) splits.add(name);
        else if (this.#maps.has(name)) for (const inner of this.#textsOf(name)) visit(inner);
        else isDynamic = true;
      }
    };
    visit(text);
    return { splits, isDynamic };
  }

  /** Every value that a text can have; null where that is any text at all. `known` are variables with one value. */
  valuesOf(text: string, known: ReadonlyMap<string, string> = new Map()): ReadonlySet<string> | null {
    return this.#valuesOf(text, known, new Set(), NO_LISTS);
  }

  #valuesOf(
    text: string,
    known: ReadonlyMap<string, string>,
    trail: ReadonlySet<string>,
    captured: ReadonlyMap<string, readonly string[]>,
  ): Set<string> | null {
    let values = new Set(['']);
    let at = 0;
    for (const variable of [...variablesOf(text), null]) {
      const literal = text.slice(at, variable?.start ?? text.length);
      const own =
        variable === null ? new Set(['']) : this.#valuesOfVariable(variable.name, known, trail, captured);
      if (own === null || own.size * values.size > PASSED_VALUES_MAX) return null;
      values = new Set([...values].flatMap((start) => [...own].map((end) => start + literal + end)));
      at = variable?.end ?? at;
    }
    return values;
  }

  #valuesOfVariable(
    name: string,
    known: ReadonlyMap<string, string>,
    trail: ReadonlySet<string>,
    captured: ReadonlyMap<string, readonly string[]>,
  ): Set<string> | null {
    const list = captured.get(name);
    if (list !== undefined) return new Set(list);
    const one = known.get(name);
    if (one !== undefined) return new Set([one]);
    const split = this.#splits.get(name);
    if (split !== undefined) return new Set(split.values);
    const map = this.#maps.get(name);
    if (map === undefined || trail.has(name)) return null;
    const inner = new Set([...trail, name]);
    const all = new Set<string>();
    for (const [match, text] of [...map.values, ['default', map.default] as const]) {
      // Without case a capture has the client's spelling.
      const lists = match.startsWith('~') && !match.startsWith('~*') ? closedLists(match.slice(1)) : NO_LISTS;
      const values = this.#valuesOf(text, known, inner, lists);
      if (values === null) return null;
      for (const value of values) all.add(value);
    }
    return all;
  }

  #textsOf(name: string): string[] {
    const map = this.#maps.get(name);
    if (map !== undefined) return [map.of, map.default, ...map.values.values()];
    return [this.#splits.get(name)!.key];
  }

  /** The value of a text of which every variable depends on `known` alone. */
  evaluate(text: string, known: ReadonlyMap<string, string>): string {
    const scope: TextScope = { place: 'request', own: (name) => this.#constant(name, known, scope) };
    const compiled = compileKey(text, scope);
    if ('error' in compiled) return text;
    return Buffer.from(compiled.expand(NO_REQUEST)).toString();
  }

  #constant(name: string, known: ReadonlyMap<string, string>, scope: TextScope): KeyPart | undefined {
    const value = known.get(name);
    if (value !== undefined) return new Literal(value);
    const map = this.#maps.get(name);
    if (map === undefined) return undefined;
    const { of, values, default: otherwise, flags } = map;
    const source = {
      of,
      values: [...values],
      default: otherwise,
      hostnames: flags.hostnames === true,
      volatile: false,
    };
    const compiled = compileMap(source, scope);
    return 'faults' in compiled ? new Literal('') : compiled;
  }

  /** True for a map by which a client's Upgrade decides Connection: the splitter sees to both itself. */
  isConnectionOfUpgrade(text: string): boolean {
    const name = /^\$\{?(\w+)\}?$/.exec(text)?.[1]?.toLowerCase() ?? '';
    const map = this.#maps.get(name);
    if (map === undefined || !/^\$\{?http_upgrade\}?$/i.test(map.of)) return false;
    return [...map.values.values(), map.default].every((value) =>
      /^(?:|upgrade|close|keep-alive|\$http_connection)$/i.test(value),
    );
  }

  /** Adds `variables`, and the splits that only texts read, to a document; `parts` are those with all its texts. */
  addTo(document: Record<string, unknown>, parts: readonly unknown[]): void {
    for (const text of textsIn(parts)) for (const { name } of variablesOf(text)) this.read(name);
    const routed = (document.splits ?? {}) as Record<string, unknown>;
    const variables: Record<string, unknown> = {};
    const splits: Record<string, unknown> = { ...routed };
    for (const name of this.#read) {
      const map = this.#maps.get(name);
      if (map !== undefined) {
        const { of, values, default: otherwise, flags } = map;
        variables[name] = {
          of,
          ...(values.size === 0 ? {} : { values: Object.fromEntries(values) }),
          ...(otherwise === '' ? {} : { default: otherwise }),
          ...flags,
        };
      } else if (!Object.hasOwn(routed, name)) splits[name] = this.#splitForTexts(name);
    }
    if (Object.keys(variables).length > 0) document.variables = variables;
    if (Object.keys(splits).length > 0) document.splits = splits;
  }

  /** A split whose value is part of texts alone. nginx gives an empty value to what the shares leave. */
  #splitForTexts(name: string): unknown {
    const { directive, key } = this.#splits.get(name)!;
    const taken = new Map<string, unknown>();
    const variants = directive.block!.map(({ name: share, words: [value] }, index) => {
      const text = value?.text ?? '';
      const variant = free(text === '' ? 'empty' : plainName(text), taken);
      taken.set(variant, true);
      this.#report.origin(['splits', name, 'variants', index], share, 'split_clients');
      return { name: variant, share: share.text, ...(variant === text ? {} : { value: text }) };
    });
    this.#report.origin(['splits', name], directive.words[1]!, 'split_clients');
    this.#report.origin(['splits', name, 'key'], directive.words[0]!, 'split_clients');
    return { key, missingKey: 'first', variants };
  }
}

/** All texts of a document. */
function* textsIn(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'object' && value !== null)
    for (const one of Object.values(value)) yield* textsIn(one);
}

// Turns a raw document, whatever door it came through, into a Config or every problem at once: checks it against
// the declaration, lays upstreamDefaults under each upstream, and links names (variant -> upstream, route -> split).
// Knows positions only as `source.locate`.

import type * as z from 'zod/mini';
import { didYouMean } from '../did-you-mean.ts';
import { checkKey, type KeyFault } from '../key/compile.ts';
import { canonicalName, variablesOf } from '../key/key-text.ts';
import { byKey } from './by-key.ts';
import { checkEffects } from './checks/effects.ts';
import { checkSplitKey, cookieOf } from './checks/keys.ts';
import { knownKeys, optionRows } from './declaration.ts';
import type { Finding, Report } from './findings.ts';
import { hashConfig } from './hash.ts';
import { ADMIN_DEFAULT, LISTEN_DEFAULT, parseListen } from './listen-address.ts';
import { meantValue } from './meant.ts';
import { parseUpstreamUrl, URL_EXPECTED } from './options/addresses.ts';
import { type Config, type ConfigDocument, documentSchema } from './options/document.ts';
import type { RouteConfig } from './options/route.ts';
import { isSecret, parseShare, SECRET_EXPECTED, SHARE_EXPECTED, type SplitConfig } from './options/split.ts';
import {
  type TlsConfig,
  type UpstreamConfig,
  upstreamSchema,
  withoutValueVariables,
} from './options/upstream.ts';
import { type Path, type Place, PROBLEMS_SHOWN_MAX, type Problem, showGot } from './problem.ts';
import { isMap, mapOf, type RawMap, valueAt } from './raw.ts';
import { describeSecret, hasLiterals, mayBeSecret } from './secrets.ts';

/** A document as plain values, and where each of them stands in what the user wrote. */
export interface Source {
  readonly document: unknown;
  /** Place of the value at `path`, of its key, or of the character `offset` inside a text; of the nearest parent when absent. */
  locate(path: Path, part?: 'value' | 'key', offset?: number): Place;
  /** Translated from an nginx.conf: what nginx runs has to run, so a certain mistake is a warning. */
  readonly isTranslated?: boolean;
}

/** Text of a secret that stands in a file or an environment variable, or what was found in its place. */
export type ReadSecret = (from: {
  readonly file?: string;
  readonly variable?: string;
}) => string | { readonly got: string };

/** Embedders have their own ways to a secret. */
const READ_NO_SECRET: ReadSecret = () => ({ got: 'a configuration without files and variables around it' });

/** A configuration that can run, or what keeps it from it. */
export type Outcome =
  | { readonly config: Config; readonly findings: readonly Finding[]; readonly problems?: undefined }
  | { readonly config?: undefined; readonly findings?: undefined; readonly problems: readonly Problem[] };

/** Findings that are listed; each costs a line of the log at every start and reload. */
const FINDINGS_MAX = 50;

/** Config of a raw document. Promise: no problems means that every name resolves and every share adds up. */
export function linkSource(source: Source, readSecret: ReadSecret = READ_NO_SECRET): Outcome {
  const link = new Link(source, readSecret);
  return link.run();
}

/** What was expected, with a guess at what was meant where one helps; composed for the problems that are shown. */
type Expected = string | ((guess: typeof didYouMean) => string);

/** A problem whose sentence may still have to be composed. */
type Found = Omit<Problem, 'expected'> & { readonly expected: Expected };

class Link {
  readonly #source: Source;
  readonly #readSecret: ReadSecret;
  readonly #raw: RawMap;
  readonly #problems: Found[] = [];
  readonly #findings: Finding[] = [];
  /** Findings beyond those that are listed. */
  #unlisted = 0;
  /** Secrets of overrides that stand elsewhere, by the name of the split. */
  readonly #secrets = new Map<string, string>();

  constructor(source: Source, readSecret: ReadSecret) {
    this.#source = source;
    this.#readSecret = readSecret;
    this.#raw = mapOf(source.document);
  }

  run(): Outcome {
    const parsed = documentSchema.safeParse(this.#withDefaults());
    if (!parsed.success) for (const issue of parsed.error.issues) this.#declared(issue);
    const inline = this.#linkUpstreams();
    this.#checkNamesOfMaps();
    for (const [name, split] of Object.entries(mapOf(this.#raw.splits))) {
      this.#checkSplit(['splits', name], mapOf(split));
      this.#checkOverride(['splits', name], name, mapOf(split));
      this.#checkOwnFields(['splits', name], mapOf(split));
    }
    for (const [name, upstream] of Object.entries(mapOf(this.#raw.upstreams))) {
      if (!isMap(upstream)) continue;
      this.#checkPlaces(['upstreams', name], upstream);
      this.#checkSetHeaders(['upstreams', name, 'setHeaders'], mapOf(upstream.setHeaders));
    }
    const common: Path = ['upstreamDefaults', 'setHeaders'];
    this.#checkSetHeaders(common, mapOf(mapOf(this.#raw.upstreamDefaults).setHeaders));
    this.#checkRoutes();
    if (parsed.success) {
      this.#checkAddresses(parsed.data);
      this.#checkUpstreams(parsed.data);
    }
    if (parsed.success && this.#problems.length === 0) {
      const isTranslated = this.#source.isTranslated === true;
      checkEffects({ raw: this.#raw, document: parsed.data, isTranslated }, this.#report());
    }
    if (!parsed.success || this.#problems.length > 0) {
      return { problems: composed(this.#problems.sort((a, b) => a.order - b.order)) };
    }
    const findings = this.#findings.sort((a, b) => a.order - b.order);
    if (this.#unlisted > 0) {
      const sentence = `${this.#unlisted} more warnings and notes are not listed`;
      findings.push({ ...this.#source.locate([]), level: 'warning', sentence });
    }
    return { config: compose(parsed.data, inline, this.#secrets), findings };
  }

  #report(): Report {
    const find = (level: Finding['level'], path: Path, sentence: string, offset?: number) => {
      if (this.#findings.length >= FINDINGS_MAX) this.#unlisted++;
      else this.#findings.push({ ...this.#source.locate(path, 'value', offset), level, sentence });
    };
    const isTranslated = this.#source.isTranslated === true;
    return {
      isTranslated,
      mistake: (path, expected, got) => {
        if (!isTranslated) this.#add(path, expected, got);
        else find('warning', path, `expected ${expected}, got ${got}`);
      },
      warn: (path, sentence, offset) => find('warning', path, sentence, offset),
      note: (path, sentence) => find('note', path, sentence),
    };
  }

  #add(path: Path, expected: Expected, got: string, part: 'value' | 'key' = 'value', offset?: number): void {
    this.#problems.push({ ...this.#source.locate(path, part, offset), expected, got });
  }

  /** zod leaves `__proto__` out of a map whose names the user picks without a word; elsewhere it is an unknown key. */
  #checkNamesOfMaps(): void {
    const told = new Set(this.#problems.map(({ order }) => order));
    for (const path of prototypeKeys(this.#raw, [], new Set())) {
      if (told.has(this.#source.locate(path, 'key').order)) continue;
      this.#add(path, 'another name', '"__proto__"', 'key');
    }
  }

  /** The document with upstreamDefaults under every named upstream, merged before any default is applied. */
  #withDefaults(): unknown {
    const { upstreams, upstreamDefaults } = this.#raw;
    if (!isMap(this.#source.document) || !isMap(upstreams) || !isMap(upstreamDefaults)) {
      return this.#source.document;
    }
    const merged = Object.entries(upstreams).map(([name, own]) => [name, layer(upstreamDefaults, own)]);
    return { ...this.#raw, upstreams: Object.fromEntries(merged) };
  }

  /** What the declaration says against the document, at the place where the user wrote it. */
  #declared(issue: z.core.$ZodIssue): void {
    const given = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
    // A single address is checked as a list of one.
    const path = given[0] === 'listen' && !Array.isArray(this.#raw.listen) ? ['listen'] : given;
    // What a named upstream got from upstreamDefaults is reported there, once.
    const inherited =
      path[0] === 'upstreams' &&
      valueAt(this.#raw, path) === undefined &&
      valueAt(this.#raw, ['upstreamDefaults', ...path.slice(2)]) !== undefined;
    const meant = inherited ? null : issuesOfMeant(issue);
    if (meant !== null) {
      for (const one of meant) this.#declared(one);
      return;
    }
    switch (issue.code) {
      case 'unrecognized_keys':
        for (const key of issue.keys) {
          const written = valueAt(this.#raw, [...path, key]) !== undefined || path[0] !== 'upstreams';
          if (written)
            this.#add([...path, key], (guess) => unknownKey(path, key, guess), showGot(key), 'key');
        }
        return;
      case 'invalid_key':
        this.#add(path, issue.issues[0]?.message ?? issue.message, showGot(path.at(-1)), 'key');
        return;
      default: {
        if (inherited) return;
        const expected = issue.message.startsWith('Invalid input') ? 'a map of options' : issue.message;
        const value = valueAt(this.#source.document, path);
        if (mayBeSecret(path)) {
          this.#add(path, expected, describeSecret(value));
          return;
        }
        this.#add(path, (guess) => `${expected}${meantValue(path, value, guess)}`, showGot(value));
      }
    }
  }

  /** Checks each reference to an upstream; gives the inline URLs as upstreams of their own. */
  #linkUpstreams(): Map<string, UpstreamConfig> {
    const inline = new Map<string, UpstreamConfig>();
    const names = mapOf(this.#raw.upstreams);
    const known = Object.keys(names);
    for (const path of upstreamReferences(this.#raw)) {
      const text = valueAt(this.#raw, path);
      if (typeof text !== 'string' || text === '' || Object.hasOwn(names, text) || inline.has(text)) continue;
      if (!looksLikeUrl(text)) {
        const expected = 'the name of an entry in upstreams, or a URL like http://backend:8080';
        const address = /^[A-Za-z0-9.-]+:\d+$/.test(text)
          ? ` (did you mean ${showGot(`http://${text}`)}?)`
          : null;
        const guessed: Expected = (guess) => `${expected}${address ?? guess(text, known)}`;
        this.#add(path, guessed, showGot(text));
        continue;
      }
      if (parseUpstreamUrl(text) === undefined) {
        this.#add(path, URL_EXPECTED, showGot(text));
        continue;
      }
      // A fault in the defaults themselves has been reported already.
      const upstream = upstreamSchema.safeParse({ ...mapOf(this.#raw.upstreamDefaults), url: text });
      if (upstream.success) inline.set(text, upstream.data);
    }
    return inline;
  }

  /** What one option of an upstream says about another. */
  #checkUpstreams(document: ConfigDocument): void {
    for (const [name, { url, servers, tls, eject, pool, retry }] of Object.entries(document.upstreams)) {
      const own = mapOf(mapOf(this.#raw.upstreams)[name]);
      if (own.tls !== undefined && url?.tls !== true && servers?.some((server) => server.url.tls) !== true) {
        const got = url === undefined ? 'servers without it' : showGot(own.url);
        this.#add(['upstreams', name, 'tls'], 'tls only where the URL is https://', got);
      }
      this.#checkServers(['upstreams', name], servers);
      this.#checkPair(['upstreams', name, 'tls'], tls);
      if (own.pool !== undefined || own.retry !== undefined)
        this.#checkPipelining(['upstreams', name], { pool, retry });
      if (own.eject !== undefined) this.#checkTimes(['upstreams', name, 'eject'], eject);
      if (valueAt(own, ['onDown', 'fallback']) === name) {
        this.#add(['upstreams', name, 'onDown', 'fallback'], 'another upstream', `${showGot(name)} itself`);
      }
    }
    this.#checkPair(['upstreamDefaults', 'tls'], document.upstreamDefaults.tls);
    this.#checkTimes(['upstreamDefaults', 'eject'], document.upstreamDefaults.eject);
    this.#checkPipelining(['upstreamDefaults'], document.upstreamDefaults);
  }

  #checkSetHeaders(path: Path, fields: RawMap): void {
    const names = new Set<string>();
    const { variantHeader, requestId, traceparent = 'off' } = this.#raw;
    const taken = new Set(
      [
        mapOf(variantHeader).name,
        ...(requestId === true ? ['x-request-id'] : []),
        ...(traceparent === 'off' ? [] : ['traceparent', 'tracestate']),
      ].map((name) => String(name).toLowerCase()),
    );
    for (const [name, value] of Object.entries(fields)) {
      const id = name.toLowerCase();
      if (names.has(id)) this.#add([...path, name], 'each field once', `${showGot(name)} again`, 'key');
      names.add(id);
      if (taken.has(id)) {
        const expected = 'a field that variantHeader, requestId and traceparent do not set';
        this.#add([...path, name], expected, showGot(name), 'key');
      }
      if (typeof value !== 'string') continue;
      const fault = checkKey(withoutValueVariables(value));
      if (fault !== null) this.#keyFault([...path, name], value, fault);
    }
  }

  #checkPlaces(path: Path, { url, servers }: RawMap): void {
    if (url === undefined && servers === undefined) {
      this.#add([...path, 'url'], `${URL_EXPECTED}, or servers`, 'nothing');
    }
    if (url !== undefined && servers !== undefined) this.#add(path, 'either url or servers', 'both');
    if (
      Array.isArray(servers) &&
      servers.length > 0 &&
      servers.every((server) => mapOf(server).down === true)
    ) {
      this.#add([...path, 'servers'], 'a server that is not down', 'none');
    }
  }

  #checkServers(path: Path, servers: UpstreamConfig['servers']): void {
    for (const [index, { eject }] of servers?.entries() ?? []) {
      if (eject !== undefined) this.#checkTimes([...path, 'servers', index, 'eject'], eject);
    }
  }

  #checkPair(path: Path, tls: TlsConfig | undefined): void {
    if (tls === undefined || (tls.certFile === undefined) === (tls.keyFile === undefined)) return;
    const lone = tls.certFile === undefined ? 'keyFile' : 'certFile';
    // What came from upstreamDefaults is told there.
    if (valueAt(this.#raw, [...path, lone]) !== undefined) {
      this.#add([...path, lone], 'certFile and keyFile together', `${lone} alone`);
    }
  }

  /** Pipelined exchanges fail together; only a retry keeps the failure of one from being that of the others. */
  #checkPipelining(path: Path, { pool, retry }: Pick<UpstreamConfig, 'pool' | 'retry'>): void {
    if (pool.pipelining === 1 || retry.attempts > 0) return;
    const expected = 'retry.attempts: 1 where pool.pipelining is above 1, as its exchanges are lost together';
    this.#add([...path, 'retry', 'attempts'], expected, String(retry.attempts));
  }

  #checkTimes(path: Path, { time, timeMax }: UpstreamConfig['eject']): void {
    if (time > timeMax) this.#add([...path, 'time'], `at most timeMax, ${timeMax}ms`, `${time}ms`);
  }

  #checkSplit(path: Path, split: RawMap): void {
    for (const [index, key] of [split.key].flat().entries()) {
      const at: Path = Array.isArray(split.key) ? [...path, 'key', index] : [...path, 'key'];
      if (isMap(key)) this.#checkKeyText([...at, 'remember'], key.remember);
      else this.#checkKeyText(at, key);
    }
    checkSplitKey(path, split, this.#report(), (text) => checkKey(text) === null);
    if (!Array.isArray(split.variants) || split.variants.length === 0) return;
    const variants = split.variants.map(mapOf);
    const list: Path = [...path, 'variants'];
    this.#checkNames(list, variants);
    const weighted = variants.filter((variant) => variant.weight !== undefined).length;
    const shared = variants.filter((variant) => variant.share !== undefined).length;
    if (weighted > 0 && shared > 0) {
      const odd = variants.findIndex(
        (variant) => variant[weighted <= shared ? 'weight' : 'share'] !== undefined,
      );
      const counts = `${shared} with share and ${weighted} with weight`;
      this.#add([...list, odd], 'share for all variants of a split, or weight for all of them', counts);
    } else if (weighted > 0) this.#checkWeights(list, variants);
    else this.#checkShares(list, variants, split.method === undefined || split.method === 'ranges');
  }

  #checkKeyText(path: Path, text: unknown): void {
    if (typeof text !== 'string' || text === '') return;
    const fault = checkKey(text);
    if (fault !== null) this.#keyFault(path, text, fault);
  }

  /** Who may be asked for, by what, and with which secret. */
  #checkOverride(path: Path, name: string, split: RawMap): void {
    if (!isMap(split.override)) return;
    const { override } = split;
    const at: Path = [...path, 'override'];
    if (override.header === undefined && override.cookie === undefined && override.query === undefined) {
      this.#add(at, 'at least one of header, cookie and query', 'none of them');
    }
    if (Array.isArray(override.variants) && Array.isArray(split.variants)) {
      const names = split.variants.map((variant) => mapOf(variant).name);
      const known = new Set(names.filter((one) => typeof one === 'string'));
      for (const [index, variant] of override.variants.entries()) {
        if (typeof variant !== 'string' || known.has(variant)) continue;
        const expected: Expected = (guess) => `the name of a variant of this split${guess(variant, known)}`;
        this.#add([...at, 'variants', index], expected, showGot(variant));
      }
    }
    const given = ['secret', 'secretVariable', 'secretFile'].filter((key) => override[key] !== undefined);
    if (given.length > 1) {
      this.#add([...at, given[1]!], 'one secret, in one place', given.join(' and '));
      return;
    }
    const { secretVariable, secretFile } = override;
    if (typeof secretVariable === 'string')
      this.#take(name, [...at, 'secretVariable'], { variable: secretVariable });
    if (typeof secretFile === 'string') this.#take(name, [...at, 'secretFile'], { file: secretFile });
  }

  /** A secret from elsewhere. What it says is in no message. */
  #take(split: string, path: Path, from: Parameters<ReadSecret>[0]): void {
    const secret = this.#readSecret(from);
    if (typeof secret === 'string' && isSecret(secret)) this.#secrets.set(split, secret);
    else if (typeof secret !== 'string')
      this.#add(path, `${SECRET_EXPECTED}, in ${from.file ?? from.variable}`, secret.got);
    else
      this.#add(
        path,
        `${SECRET_EXPECTED}, in ${from.file ?? from.variable}`,
        `${secret.length} characters of other kinds`,
      );
  }

  /** What the splitter takes out of a request or puts into it is no key, and has one meaning. */
  #checkOwnFields(path: Path, split: RawMap): void {
    const { header, cookie, query } = mapOf(split.override);
    const variantHeader = mapOf(this.#raw.variantHeader).name;
    const owners = new Map<string, string>();
    const own = (prefix: string, name: unknown, owner: string) => {
      if (typeof name === 'string') owners.set(canonicalName(`${prefix}${name}`), owner);
    };
    own('http_', variantHeader, 'variantHeader');
    own('http_', header, 'override');
    own('cookie_', cookie, 'override');
    own('arg_', query, 'override');
    const isList = Array.isArray(split.key);
    for (const [index, key] of (isList ? (split.key as unknown[]) : [split.key]).entries()) {
      const at: Path = isList ? [...path, 'key', index] : [...path, 'key'];
      if (isMap(key) && owners.has(`cookie_${cookieOf(key).toLowerCase()}`)) {
        this.#add(at, 'a cookie that override does not take', showGot(cookieOf(key)));
      }
      const text = isMap(key) ? key.remember : key;
      if (typeof text === 'string') {
        for (const { name, written, start } of variablesOf(text)) {
          const owner = owners.get(name);
          if (owner === undefined) continue;
          const expected = `a variable that ${owner} does not take out of the request`;
          this.#add(at, expected, showGot(written), 'value', start);
        }
      }
    }
  }

  #keyFault(path: Path, text: string, fault: KeyFault): void {
    const [expected, got] = fault.error.replace(/^expected /, '').split(', got ');
    // What follows a "$" in a password is part of the password.
    const shown = mayBeSecret(path) && hasLiterals(text) ? describeSecret(text) : (got ?? showGot(text));
    this.#add(path, expected ?? fault.error, shown, 'value', fault.offset);
  }

  #checkNames(list: Path, variants: readonly RawMap[]): void {
    const seen = new Set<unknown>();
    for (const [index, { name }] of variants.entries()) {
      if (typeof name === 'string' && seen.has(name)) {
        this.#add([...list, index, 'name'], 'each name once in a split', `${showGot(name)} again`);
      }
      seen.add(name);
    }
  }

  #checkWeights(list: Path, variants: readonly RawMap[]): void {
    let sum = 0;
    for (const [index, { weight }] of variants.entries()) {
      if (weight === undefined)
        this.#add([...list, index], 'a weight, as the other variants have', 'nothing');
      else if (typeof weight === 'number') sum += weight;
      else return;
    }
    if (sum === 0) this.#add(list, 'at least one weight above 0', 'only zeros');
  }

  #checkShares(list: Path, variants: readonly RawMap[], ordered: boolean): void {
    let sum = 0;
    let readable = true;
    const rests: number[] = [];
    for (const [index, { share }] of variants.entries()) {
      const value = typeof share === 'string' ? parseShare(share) : undefined;
      if (share === undefined) this.#add([...list, index], `share, ${SHARE_EXPECTED}`, 'nothing');
      if (value === null) rests.push(index);
      else if (value !== undefined) sum += value;
      else readable = false;
    }
    for (const again of rests.slice(1)) {
      this.#add([...list, again, 'share'], 'a single variant that takes the rest', '"*" again');
    }
    const rest = rests[0];
    if (ordered && rests.length === 1 && rest !== variants.length - 1) {
      const expected =
        'the variant that takes the rest to be the last one, as ranges go by the order of the list';
      this.#add([...list, rest!, 'share'], expected, `"*" at ${rest! + 1} of ${variants.length}`);
    }
    const total = `${sum / 100}%`;
    if (sum > 10_000) this.#add(list, 'shares of 100% together at most', total);
    else if (readable && sum < 10_000 && rest === undefined) {
      this.#add(list, 'shares of 100% together, or a last variant with share "*"', total);
    }
  }

  #checkRoutes(): void {
    const splits = Object.keys(mapOf(this.#raw.splits));
    const { routes } = this.#raw;
    if (routes === undefined || (Array.isArray(routes) && routes.length === 0)) {
      if (splits.length === 0 && (this.#raw.splits === undefined || isMap(this.#raw.splits))) {
        this.#add(['splits'], 'at least one split, or routes to upstreams', 'none');
      } else if (splits.length > 1) {
        const names = splits.slice(0, 5).join(', ');
        const expected = 'routes that say which split takes which request, as there are several splits';
        this.#add(['splits'], expected, `splits ${names} and no routes`);
      }
      return;
    }
    if (!Array.isArray(routes)) return;
    const known = {
      splits: new Set(splits),
      addresses: new Set([this.#raw.listen ?? LISTEN_DEFAULT].flat().map(addressOf)),
      taken: new Set<string>(),
    };
    for (const [index, value] of routes.entries()) {
      if (isMap(value)) this.#checkRoute(['routes', index], value, known);
    }
  }

  #checkRoute(
    path: Path,
    route: RawMap,
    {
      splits,
      addresses,
      taken,
    }: { splits: ReadonlySet<string>; addresses: ReadonlySet<string>; taken: Set<string> },
  ): void {
    const { split, upstream } = route;
    const expected = 'either split or upstream';
    if (split !== undefined && upstream !== undefined) this.#add(path, expected, 'both');
    if (split === undefined && upstream === undefined) this.#add(path, expected, 'neither');
    if (typeof split === 'string' && !splits.has(split)) {
      const known =
        splits.size === 0 ? 'the name of a split, of which there are none' : 'the name of a split';
      this.#add([...path, 'split'], (guess) => `${known}${guess(split, splits)}`, showGot(split));
    }
    const { listen } = route;
    if (typeof listen === 'string' && parseListen(listen) !== undefined) {
      if (!addresses.has(addressOf(listen)))
        this.#add([...path, 'listen'], 'one of the addresses in listen', showGot(listen));
    }
    const host = typeof route.host === 'string' ? route.host.toLowerCase() : '';
    const where = typeof route.path === 'string' ? route.path : '/';
    const id = JSON.stringify([addressOf(listen), host, route.exact === true, where]);
    if (taken.has(id)) {
      const got = `${host === '' ? 'every host' : host} ${where} again`;
      this.#add(path, 'each host and path once', got);
    }
    taken.add(id);
  }

  #checkAddresses(document: ConfigDocument): void {
    const seen = new Set<string>();
    for (const [index, address] of document.listen.entries()) {
      if (address.path === null && address.port === 0) continue;
      const id = JSON.stringify(address);
      const path = Array.isArray(this.#raw.listen) ? ['listen', index] : ['listen'];
      if (seen.has(id)) this.#add(path, 'each address once', showGot(valueAt(this.#raw, path)));
      seen.add(id);
    }
    const { admin } = document;
    if (admin !== null && (admin.path !== null || admin.port !== 0) && seen.has(JSON.stringify(admin))) {
      this.#add(['admin'], 'an address that listen does not take', showGot(this.#raw.admin ?? ADMIN_DEFAULT));
    }
  }
}

function compose(
  document: ConfigDocument,
  inline: ReadonlyMap<string, UpstreamConfig>,
  secrets: ReadonlyMap<string, string>,
): Config {
  const { upstreams, upstreamDefaults: _, splits, routes, ...rest } = document;
  const only = Object.keys(splits)[0];
  const linked: RouteConfig[] =
    routes.length === 0 && only !== undefined
      ? [{ path: '/', exact: false, split: only }]
      : routes.map(({ split, upstream, ...place }) =>
          split === undefined ? { ...place, upstream: upstream! } : { ...place, split },
        );
  const effective = {
    ...rest,
    upstreams: new Map([...Object.entries(upstreams), ...inline].map(withoutSelf)),
    splits: new Map(
      Object.entries(splits).map(([name, split]) => [
        name,
        withSecret(split, secrets.get(name) ?? split.override?.secret),
      ]),
    ),
    routes: linked,
  };
  return { ...effective, hash: hashConfig(effective) };
}

function withSecret(split: SplitConfig, secret: string | undefined): SplitConfig {
  if (split.override === undefined) return split;
  return { ...split, override: { ...split.override, secret } };
}

/** An upstream that inherits itself as its fallback has none. */
function withoutSelf([name, upstream]: [string, UpstreamConfig]): [string, UpstreamConfig] {
  return [name, upstream.onDown === name ? { ...upstream, onDown: null } : upstream];
}

/** Where one form of several was clearly meant, its own problems say more than "none of these"; null where none was. */
function issuesOfMeant(issue: z.core.$ZodIssue): readonly z.core.$ZodIssue[] | null {
  if (issue.code !== 'invalid_union') return null;
  const isMeant = (issues: readonly z.core.$ZodIssue[]) =>
    issues.every(({ code, path }) => path.length > 0 || code === 'unrecognized_keys');
  // Of two maps the one was meant of which more is right.
  const faults = (issues: readonly z.core.$ZodIssue[]) =>
    issues.reduce((sum, one) => sum + (one.code === 'unrecognized_keys' ? one.keys.length : 1), 0);
  const [nearest, second] = issue.errors.filter(isMeant).sort((a, b) => faults(a) - faults(b));
  if (nearest === undefined || (second !== undefined && faults(second) === faults(nearest))) return null;
  return nearest.map((one) => ({ ...one, path: [...issue.path, ...one.path] }));
}

/** A guess for the problems that are shown; comparing every name with every other is for none. */
function composed(found: readonly Found[]): Problem[] {
  return found.map(({ expected, ...rest }, index) => {
    if (typeof expected === 'string') return { ...rest, expected };
    return { ...rest, expected: expected(index < PROBLEMS_SHOWN_MAX ? didYouMean : () => '') };
  });
}

function unknownKey(parent: Path, key: string, guess: typeof didYouMean): string {
  // The right option in the wrong map is more likely than a slip: say where it belongs.
  const homes = optionHomes().get(key);
  const known = knownKeys(parent);
  if (homes !== undefined) {
    // Inside a map that has nothing to do with it, its home is no suggestion: `method` of a route is not that of a split.
    if (parent.length > 0 && known.length > 0 && known.length <= HERE_MAX) {
      return `one of ${known.join(', ')} (${key} belongs elsewhere: ${homes.join(' or ')})`;
    }
    return `a known option (${homes.join(' or ')}?)`;
  }
  const guessed = guess(key, known);
  if (guessed !== '') return `a known option${guessed}`;
  // The list is for those who see it: it is longer than the rest of the message.
  return guess === didYouMean ? `one of ${known.join(', ')}` : 'a known option';
}

/** Options of a map that a message lists beside where the unknown one belongs. */
const HERE_MAX = 12;

let homesByKey: ReadonlyMap<string, readonly string[]> | undefined;

/** Where each option belongs, by its last name. */
function optionHomes(): ReadonlyMap<string, readonly string[]> {
  homesByKey ??= byKey(
    optionRows().map(({ path }) => path),
    (path) => path.slice(path.lastIndexOf('.') + 1),
  );
  return homesByKey;
}

/** Paths of all keys `__proto__`; what aliases share is looked at once. */
function* prototypeKeys(value: unknown, path: Path, seen: Set<unknown>): Generator<Path> {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  const isList = Array.isArray(value);
  for (const [key, entry] of Object.entries(value)) {
    const at = [...path, isList ? Number(key) : key];
    if (key === '__proto__') yield at;
    yield* prototypeKeys(entry, at, seen);
  }
}

/** Paths of all texts that name an upstream. */
function* upstreamReferences(raw: RawMap): Generator<Path> {
  for (const [name, split] of Object.entries(mapOf(raw.splits))) {
    const { variants } = mapOf(split);
    if (!Array.isArray(variants)) continue;
    for (const index of variants.keys()) yield ['splits', name, 'variants', index, 'upstream'];
  }
  if (Array.isArray(raw.routes)) {
    for (const index of raw.routes.keys()) yield ['routes', index, 'upstream'];
  }
  yield ['upstreamDefaults', 'onDown', 'fallback'];
  for (const name of Object.keys(mapOf(raw.upstreams))) yield ['upstreams', name, 'onDown', 'fallback'];
}

/** The same text for the same address, however it was written; "" for what is none. */
function addressOf(listen: unknown): string {
  return (typeof listen === 'string' && JSON.stringify(parseListen(listen))) || '';
}

function looksLikeUrl(text: string): boolean {
  return text.includes('/') || text.startsWith('unix:');
}

function layer(below: unknown, above: unknown): unknown {
  if (!isMap(below) || !isMap(above)) return above;
  const merged: RawMap = { ...below };
  for (const [key, value] of Object.entries(above)) merged[key] = layer(below[key], value);
  return merged;
}

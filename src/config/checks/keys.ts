// Checks the keys of splits: key texts that cannot be compiled, and those that do not split: a text without a variable,
// a variable that ends too early, an entry that is never reached, a value that all requests share. Reads the document as
// it was written. Knows nothing of hashing.

import { checkKey, type KeyFault } from '../../key/compile.ts';
import { canonicalName, cutVariables, variablesOf } from '../../key/key-text.ts';
import type { CheckReport } from '../findings.ts';
import { isLoopback, type ListenAddress } from '../listen-address.ts';
import type { ConfigDocument } from '../options/document.ts';
import type { RouteOptions } from '../options/route.ts';
import { type Path, showGot } from '../problem.ts';
import { isMap, mapOf, type RawMap } from '../raw.ts';
import { randomnessIn } from '../scope.ts';
import { describeSecret, hasLiterals, mayBeSecret } from '../secrets.ts';

/** Variables that every request has, so that no later entry of a list is ever read. */
const ALWAYS_SET = new Set(['remote_addr', 'host', 'http_host', 'uri', 'request_uri', 'request_method']);

/** Checks `key` of a split: each text is one that can be compiled, and splits. */
export function checkSplitKey(path: Path, split: RawMap, report: CheckReport): void {
  for (const [index, key] of [split.key].flat().entries()) {
    const at: Path = Array.isArray(split.key) ? [...path, 'key', index] : [...path, 'key'];
    if (isMap(key)) checkKeyText([...at, 'remember'], key.remember, report);
    else checkKeyText(at, key, report);
  }
  checkEntries(path, split, report);
}

function checkKeyText(path: Path, text: unknown, report: CheckReport): void {
  if (typeof text !== 'string' || text === '') return;
  const fault = checkKey(text, report.scope);
  if (fault !== null) reportKeyFault(path, text, fault, report);
}

/** A key text that cannot be compiled. */
export function reportKeyFault(path: Path, text: string, fault: KeyFault, report: CheckReport): void {
  const [expected, got] = fault.error.replace(/^expected /, '').split(', got ');
  // What follows a "$" in a password is part of the password.
  const shown = mayBeSecret(path) && hasLiterals(text) ? describeSecret(text) : (got ?? showGot(text));
  report.problem(path, expected ?? fault.error, shown, 'value', fault.offset);
}

/** True for a key text that can be compiled; others have been reported. */
function isKnown(text: string, report: CheckReport): boolean {
  return checkKey(text, report.scope) === null;
}

function checkEntries(path: Path, split: RawMap, report: CheckReport): void {
  const isList = Array.isArray(split.key);
  const entries: readonly unknown[] = isList ? (split.key as unknown[]) : [split.key];
  const earlier = new Set<string>();
  let stopper: string | undefined;
  for (const [index, entry] of entries.entries()) {
    const at: Path = isList ? [...path, 'key', index] : [...path, 'key'];
    if (stopper !== undefined) {
      const expected = `no entry after ${stopper}, because every request has a key by then`;
      report.mistake(at, expected, `entry ${index + 1} of ${entries.length}`);
      return;
    }
    if (isMap(entry)) checkCookie(at, entry, report);
    if (isMap(entry) && 'mint' in entry) {
      stopper = 'a minted key';
      continue;
    }
    const isRemembered = isMap(entry);
    const text: unknown = isRemembered ? entry.remember : entry;
    const place: Path = isRemembered ? [...at, 'remember'] : at;
    if (typeof text !== 'string' || text === '' || !isKnown(text, report)) continue;
    const variables = variablesOf(text);
    if (variables.length === 0) {
      const meant = meantKey(text, report);
      if (report.isTranslated) report.warn(place, `${WITHOUT_VARIABLE}${meant}`);
      else report.mistake(place, `${WITH_VARIABLE}${meant}`, showGot(text));
      return;
    }
    reportCut(place, text, report);
    reportWrapped(place, text, report);
    if (variables.every(({ name }) => isCovered(name, earlier))) {
      const expected =
        'a variable that no earlier entry has, because this entry is read only if those are empty';
      report.mistake(place, expected, showGot(text));
    }
    for (const { name } of variables) earlier.add(name);
    const always = variables.find(({ name }) => ALWAYS_SET.has(name));
    if (always !== undefined) stopper = always.written;
    if (!isRemembered) continue;
    const cookie = `cookie_${cookieOf(entry).toLowerCase()}`;
    if (always !== undefined) report.mistake(place, SOMETIMES_EMPTY, showGot(text));
    else if (variables.some(({ name }) => name === cookie)) {
      report.mistake(place, 'a key that is not read from the cookie that remembers it', showGot(text));
    }
    earlier.add(cookie);
  }
  if (report.isTranslated) return;
  if (stopper !== undefined && split.missingKey !== undefined && split.missingKey !== 'default') {
    report.warn([...path, 'missingKey'], `has no effect: with ${stopper} no request is without a key`);
  }
}

/** Name of the cookie of a key that is minted or remembered. */
function cookieOf(entry: RawMap): string {
  if (typeof entry.cookie === 'string') return entry.cookie;
  return 'mint' in entry ? 'splitter_uid' : 'splitter_key';
}

/** What the splitter takes out of a request or adds to it is no key, and has one meaning. */
export function checkOwnFields(path: Path, split: RawMap, raw: RawMap, report: CheckReport): void {
  const { header, cookie, query } = mapOf(split.override);
  const variantHeader = mapOf(raw.variantHeader).name;
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
      report.problem(at, 'a cookie that override does not use', showGot(cookieOf(key)));
    }
    const text = isMap(key) ? key.remember : key;
    if (typeof text === 'string') {
      for (const { name, written, start } of variablesOf(text)) {
        const owner = owners.get(name);
        if (owner === undefined) continue;
        const expected = `a variable that ${owner} does not remove from the request`;
        report.problem(at, expected, showGot(written), 'value', start);
      }
    }
  }
}

/** Browsers drop a cookie whose name promises what its attributes do not keep (RFC 6265bis §4.1.3). */
function checkCookie(at: Path, entry: RawMap, report: CheckReport): void {
  const prefix = /^__(Host|Secure)-/i.exec(cookieOf(entry))?.[0];
  if (prefix === undefined) return;
  if (entry.secure === 'never') {
    const expected = `always or auto, because browsers keep no ${prefix} cookie without Secure`;
    report.mistake([...at, 'secure'], expected, showGot(entry.secure));
  }
  if (/host/i.test(prefix) && entry.path !== undefined && entry.path !== '/') {
    report.mistake(
      [...at, 'path'],
      `/, because browsers keep no ${prefix} cookie with another path`,
      showGot(entry.path),
    );
  }
}

const WITH_VARIABLE =
  "a variable like $arg_token in the key, because a text alone is the same key for every request; in a shell use single quotes, '$arg_token'";

const WITHOUT_VARIABLE = 'reads no variable, so every request has the same key and one variant gets all';
const SOMETIMES_EMPTY =
  'a key that some requests do not have, because the cookie is read only if the key is missing';

/** The key text that was meant by a bare word: "token" -> "$arg_token". */
function meantKey(text: string, report: CheckReport): string {
  const word = /^(?:%\(|\{\{?\s*|<|:|@|#)?([A-Za-z][A-Za-z0-9_-]*)(?:\)s|\s*\}?\}|>)?$/.exec(text)?.[1];
  if (word === undefined) return '';
  const plain = word.replaceAll('-', '_');
  const own = `$${plain}`;
  const isVariable = isKnown(own, report) && variablesOf(own).length > 0;
  const meant = isVariable ? own : word === plain ? `$arg_${word}` : `\${arg_${word}}`;
  return ` (did you mean ${JSON.stringify(meant)}?)`;
}

/** Warns of variables that end before the name that was probably meant. Text that may be a secret is not repeated. */
export function reportCut(at: Path, text: string, report: CheckReport): void {
  for (const { variable, whole, kept } of cutVariables(text)) {
    if (mayBeSecret(at)) {
      const plain = `\${${variable.written.slice(1)}}`;
      const sentence = `reads ${variable.written} and treats the rest as text, as nginx does; write the longer name in braces, or ${plain} to keep it as it is`;
      report.warn(at, sentence, variable.start);
      continue;
    }
    const rest = kept.slice(variable.written.length + 2);
    const sentence = `reads ${variable.written} and then the text ${JSON.stringify(rest)}, as nginx does; write ${whole} for the longer name, or ${kept} to keep it as it is`;
    report.warn(at, sentence, variable.start);
  }
}

/** Warns of what a shell or YAML would have taken off, had it read the text: `docker run --env-file` keeps quotes. */
function reportWrapped(at: Path, text: string, report: CheckReport): void {
  if (/^(["'`]).*\1$/s.test(text)) report.warn(at, 'has quotes around it, which are part of the key');
  else if (/^\[.*,.*\]$/s.test(text)) {
    report.warn(at, 'is one text, not a list: each "[", "," and "]" is part of the key; only YAML has lists');
  }
}

/** True when `name` is empty wherever all of `earlier` are. */
function isCovered(name: string, earlier: ReadonlySet<string>): boolean {
  return (
    earlier.has(name) ||
    (name.startsWith('cookie_') && earlier.has('http_cookie')) ||
    (name.startsWith('arg_') && earlier.has('args'))
  );
}

/** Warns when all requests have the same key, and notes keys that are shared or changed more than expected. */
export function checkSharedValues(
  path: Path,
  split: RawMap,
  {
    routes,
    listen,
    trustedProxies,
    raw,
  }: Pick<ConfigDocument, 'listen' | 'trustedProxies'> & {
    readonly routes: readonly RouteOptions[];
    readonly raw: RawMap;
  },
  report: CheckReport,
): void {
  const shared = sharedValues(routes, listen);
  const isList = Array.isArray(split.key);
  const entries: readonly unknown[] = isList ? (split.key as unknown[]) : [split.key];
  for (const [index, entry] of entries.entries()) {
    const text = isMap(entry) ? entry.remember : entry;
    if (typeof text !== 'string') continue;
    const [first, ...more] = variablesOf(text);
    if (first === undefined) continue;
    const at: Path = isList ? [...path, 'key', index] : [...path, 'key'];
    const random = randomnessIn([text], raw);
    if (random !== undefined) {
      report.warn(
        at,
        `is not a user's: ${random}, so one client may get every variant, and no sample is kept`,
      );
      continue;
    }
    if ([first, ...more].every(({ name }) => shared.has(name))) {
      const which = index === 0 ? 'every request' : 'every request without an earlier key';
      const reason = `${first.written} ${shared.get(first.name)}`;
      report.warn(at, `is the same for ${which}, so one variant gets all of them: ${reason}`);
      continue;
    }
    const address = [first, ...more].find(({ name }) => name === 'remote_addr');
    if (address !== undefined && trustedProxies === undefined)
      report.warn(at, `${address.written} ${ADDRESS_WARNING}`);
    const note = more.length === 0 ? NOTES.get(first.name) : undefined;
    if (note !== undefined) report.note(at, `${first.written} ${note}`);
  }
}

/** Variables with one value for every request that the routes of a split take; without routes it takes all. */
function sharedValues(
  own: readonly RouteOptions[],
  listen: readonly ListenAddress[],
): ReadonlyMap<string, string> {
  const shared = new Map<string, string>();
  const isAnywhere = own.length === 0 || own.some((route) => route.listen === undefined);
  const addresses = isAnywhere ? listen : own.map((route) => route.listen!);
  if (addresses.length > 0 && addresses.every(({ path }) => path !== null)) {
    shared.set('remote_addr', 'is "unix:" for every client of a Unix socket');
  } else if (addresses.length > 0 && addresses.every(isLocal)) {
    shared.set('remote_addr', 'is that of this machine, because the splitter listens only on loopback');
  }
  const [first] = own;
  if (first === undefined) return shared;
  const same = (read: (route: RouteOptions) => string | undefined) =>
    own.every((route) => read(route) === read(first)) && read(first) !== undefined;
  if (same(({ host }) => host?.toLowerCase()) && !first.host!.startsWith('*.')) {
    for (const variable of ['host', 'http_host']) shared.set(variable, `is ${first.host} on all its routes`);
  }
  if (same(({ path, exact }) => (exact ? path : undefined))) {
    shared.set('uri', `is ${first.path} on all its routes`);
  }
  return shared;
}

function isLocal({ host, path }: ListenAddress): boolean {
  return path !== null || (host !== null && isLoopback(host));
}

const ADDRESS_WARNING =
  'is the address of the connection: in a sidecar that is the pod itself for every request, after another proxy it is that proxy, unless trustedProxies names it';
const URL_NOTE = 'differs for each URL: one client may get both variants';
const HOST_NOTE = 'is one key for all requests with the same Host';

/** What a key of this one variable means in practice. */
const NOTES: ReadonlyMap<string, string> = new Map([
  ['host', HOST_NOTE],
  ['http_host', HOST_NOTE],
  ['uri', URL_NOTE],
  ['request_uri', URL_NOTE],
  ['args', URL_NOTE],
  ['request_method', 'has very few values, so the shares cannot be reached'],
  ['http_user_agent', 'is one key for all clients with the same browser'],
  ['http_authorization', 'changes each time the credentials are renewed'],
  ['http_cookie', 'changes as soon as any cookie changes'],
  [
    'http_x_forwarded_for',
    'is the whole chain of addresses, so a client that comes another way has another key',
  ],
  ['http_x_request_id', 'differs for each request'],
]);

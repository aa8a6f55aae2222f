// Checks upstreams: references to them, their servers, TLS, pipelining, ejection and fields, and, once everything is
// valid, upstreams that lead back to the splitter and fallbacks to the same address.

import { checkKey } from '../../key/compile.ts';
import { byKey } from '../by-key.ts';
import type { CheckReport, Expected, Written } from '../findings.ts';
import { isLoopback, isWide, type ListenAddress } from '../listen-address.ts';
import { parseUpstreamUrl, type UpstreamUrl, URL_EXPECTED } from '../options/addresses.ts';
import { type TlsConfig, type UpstreamConfig, upstreamSchema } from '../options/upstream.ts';
import { type Path, showGot } from '../problem.ts';
import { mapOf, type RawMap, valueAt } from '../raw.ts';
import { reportCut, reportKeyFault } from './keys.ts';

/** Checks each reference to an upstream. Returns the inline URLs as upstreams of their own. */
export function linkUpstreams(raw: RawMap, report: CheckReport): Map<string, UpstreamConfig> {
  const inline = new Map<string, UpstreamConfig>();
  const names = mapOf(raw.upstreams);
  const known = Object.keys(names);
  for (const path of upstreamReferences(raw)) {
    const text = valueAt(raw, path);
    if (typeof text !== 'string' || text === '' || Object.hasOwn(names, text) || inline.has(text)) continue;
    if (!looksLikeUrl(text)) {
      const expected = 'the name of an entry in upstreams, or a URL like http://backend:8080';
      const address = /^[A-Za-z0-9.-]+:\d+$/.test(text)
        ? ` (did you mean ${showGot(`http://${text}`)}?)`
        : null;
      const guessed: Expected = (guess) => `${expected}${address ?? guess(text, known)}`;
      report.problem(path, guessed, showGot(text));
      continue;
    }
    if (parseUpstreamUrl(text) === undefined) {
      report.problem(path, URL_EXPECTED, showGot(text));
      continue;
    }
    // A fault in the defaults themselves has been reported already.
    const upstream = upstreamSchema.safeParse({ ...mapOf(raw.upstreamDefaults), url: text });
    if (upstream.success) inline.set(text, upstream.data);
  }
  return inline;
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

function looksLikeUrl(text: string): boolean {
  return text.includes('/') || text.startsWith('unix:');
}

/** Where an upstream is, as it was written: its URL or servers. */
export function checkPlaces(path: Path, { url, servers }: RawMap, report: CheckReport): void {
  if (url === undefined && servers === undefined) {
    report.problem([...path, 'url'], `${URL_EXPECTED}, or servers`, 'nothing');
  }
  if (url !== undefined && servers !== undefined) report.problem(path, 'either url or servers', 'both');
  if (
    Array.isArray(servers) &&
    servers.length > 0 &&
    servers.every((server) => mapOf(server).down === true)
  ) {
    report.problem([...path, 'servers'], 'a server that is not down', 'none');
  }
}

/** The text of Host, which may have variables. */
export function checkHost(path: Path, host: unknown, report: CheckReport): void {
  if (typeof host !== 'string' || host === '$proxy_host') return;
  const fault = checkKey(host, report.scope);
  if (fault !== null) reportKeyFault(path, host, fault, report);
}

/** The fields that an upstream sets. */
export function checkSetHeaders(path: Path, fields: RawMap, raw: RawMap, report: CheckReport): void {
  const names = new Set<string>();
  const { variantHeader, requestId, traceparent = 'off' } = raw;
  const taken = new Set(
    [
      mapOf(variantHeader).name,
      ...(requestId === true ? ['x-request-id'] : []),
      ...(traceparent === 'off' ? [] : ['traceparent', 'tracestate']),
    ].map((name) => String(name).toLowerCase()),
  );
  for (const [name, value] of Object.entries(fields)) {
    const id = name.toLowerCase();
    if (names.has(id)) report.problem([...path, name], 'each field once', `${showGot(name)} again`, 'key');
    names.add(id);
    if (taken.has(id)) {
      const expected = 'a field that variantHeader, requestId and traceparent do not set';
      report.problem([...path, name], expected, showGot(name), 'key');
    }
    if (typeof value !== 'string') continue;
    const fault = checkKey(value, report.scope);
    if (fault !== null) reportKeyFault([...path, name], value, fault, report);
  }
}

/** What one option of an upstream says about another. */
export function checkUpstreamOptions({ raw, document }: Written, report: CheckReport): void {
  for (const [name, { url, servers, tls, eject, pool, retry }] of Object.entries(document.upstreams)) {
    const own = mapOf(mapOf(raw.upstreams)[name]);
    if (own.tls !== undefined && url?.tls !== true && servers?.some((server) => server.url.tls) !== true) {
      const got = url === undefined ? 'servers without it' : showGot(own.url);
      report.problem(['upstreams', name, 'tls'], 'tls only if the URL is https://', got);
    }
    checkServers(['upstreams', name], servers, report);
    checkPair(['upstreams', name, 'tls'], tls, raw, report);
    if (own.pool !== undefined || own.retry !== undefined)
      checkPipelining(['upstreams', name], { pool, retry }, report);
    if (own.eject !== undefined) checkTimes(['upstreams', name, 'eject'], eject, report);
    if (valueAt(own, ['onDown', 'fallback']) === name) {
      report.problem(
        ['upstreams', name, 'onDown', 'fallback'],
        'another upstream',
        `${showGot(name)} itself`,
      );
    }
  }
  checkPair(['upstreamDefaults', 'tls'], document.upstreamDefaults.tls, raw, report);
  checkTimes(['upstreamDefaults', 'eject'], document.upstreamDefaults.eject, report);
  checkPipelining(['upstreamDefaults'], document.upstreamDefaults, report);
}

function checkServers(path: Path, servers: UpstreamConfig['servers'], report: CheckReport): void {
  for (const [index, { eject }] of servers?.entries() ?? []) {
    if (eject !== undefined) checkTimes([...path, 'servers', index, 'eject'], eject, report);
  }
}

function checkPair(path: Path, tls: TlsConfig | undefined, raw: RawMap, report: CheckReport): void {
  if (tls === undefined || (tls.certFile === undefined) === (tls.keyFile === undefined)) return;
  const lone = tls.certFile === undefined ? 'keyFile' : 'certFile';
  // What came from upstreamDefaults is reported there.
  if (valueAt(raw, [...path, lone]) !== undefined) {
    report.problem([...path, lone], 'certFile and keyFile together', `${lone} alone`);
  }
}

/** Pipelined exchanges fail together; only a retry keeps the failure of one from being that of the others. */
function checkPipelining(
  path: Path,
  { pool, retry }: Pick<UpstreamConfig, 'pool' | 'retry'>,
  report: CheckReport,
): void {
  if (pool.pipelining === 1 || retry.attempts > 0) return;
  const expected = 'retry.attempts: 1 if pool.pipelining is above 1, because its exchanges are lost together';
  report.problem([...path, 'retry', 'attempts'], expected, String(retry.attempts));
}

function checkTimes(path: Path, { time, timeMax }: UpstreamConfig['eject'], report: CheckReport): void {
  if (time > timeMax) report.problem([...path, 'time'], `at most timeMax, ${timeMax}ms`, `${time}ms`);
}

/** Upstreams that lead back to the splitter, and fallbacks that lead to the same address. */
export function checkDestinations({ raw, document }: Written, report: CheckReport): void {
  const admin = document.admin === null ? [] : [{ name: 'admin', address: document.admin }];
  const own = [...document.listen.map((address) => ({ name: 'listen', address })), ...admin];
  // Each upstream is compared only with the few listening addresses that have the same port or socket.
  const byPlace = byKey(own, ({ address }) => address.path ?? address.port);
  const check = (path: Path, url: UpstreamUrl | undefined): void => {
    const near = url === undefined ? [] : (byPlace.get(url.path ?? url.port) ?? []);
    const taken = near.find(({ address }) => isAddressOf(address, url!));
    if (taken === undefined) return;
    // A warning: a second pass may be meant, by another Host or path. An endless one ends at the limits of the pool.
    const got = showGot(valueAt(raw, path));
    report.warn(path, `${got} is the splitter's own ${taken.name} address, so its requests come back to it`);
  };
  const inline = (path: Path) => {
    const text = valueAt(raw, path);
    if (typeof text === 'string' && !Object.hasOwn(document.upstreams, text))
      check(path, parseUpstreamUrl(text));
  };
  for (const [name, { variants }] of Object.entries(document.splits)) {
    for (const index of variants.keys()) inline(['splits', name, 'variants', index, 'upstream']);
  }
  for (const index of document.routes.keys()) inline(['routes', index, 'upstream']);
  for (const [name, upstream] of Object.entries(document.upstreams)) {
    const at: Path = ['upstreams', name];
    check([...at, 'url'], upstream.url);
    for (const [index, server] of upstream.servers?.entries() ?? []) {
      check([...at, 'servers', index, 'url'], server.url);
    }
    const { onDown } = upstream;
    const next = onDown === null ? undefined : (document.upstreams[onDown]?.url ?? parseUpstreamUrl(onDown));
    if (next !== undefined && isSamePlace(next, upstream.url)) {
      report.warn([...at, 'onDown', 'fallback'], 'leads to the same address, which is down as well');
    }
    for (const [field, value] of Object.entries(upstream.setHeaders ?? {})) {
      reportCut([...at, 'setHeaders', field], value, report);
    }
  }
}

function isSamePlace(a: UpstreamUrl, b: UpstreamUrl | undefined): boolean {
  return b !== undefined && a.path === b.path && a.port === b.port && a.host === b.host;
}

function isAddressOf(address: ListenAddress, url: UpstreamUrl): boolean {
  if (url.path !== null || address.path !== null) return address.path === url.path;
  if (address.port === 0 || address.port !== url.port) return false;
  if (isWide(address.host)) return isLoopback(url.host) || isWide(url.host);
  return address.host === url.host || (isLoopback(address.host ?? '') && url.host === 'localhost');
}

/** Fields that all upstreams together may set: each upstream gets a copy of those that it inherits. */
export const SET_FIELDS_TOTAL_MAX = 200_000;
export const SET_FIELDS_TOTAL_EXPECTED = `at most ${SET_FIELDS_TOTAL_MAX} fields that all upstreams set together, inherited ones included`;

/** False, with a problem reported, when the upstreams set more fields than can be read in a second or two. */
export function checkSetFieldsTotal(raw: RawMap, report: CheckReport): boolean {
  const count = (value: unknown): number => Object.keys(mapOf(mapOf(value).setHeaders)).length;
  const upstreams = Object.values(mapOf(raw.upstreams));
  const inherited = count(raw.upstreamDefaults) * upstreams.length;
  const total = upstreams.reduce<number>((sum, upstream) => sum + count(upstream), inherited);
  if (total <= SET_FIELDS_TOTAL_MAX) return true;
  const path: Path = raw.upstreamDefaults === undefined ? ['upstreams'] : ['upstreamDefaults', 'setHeaders'];
  report.problem(path, SET_FIELDS_TOTAL_EXPECTED, `${total} fields`);
  return false;
}

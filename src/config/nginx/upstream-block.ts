// Reads the upstream blocks of an nginx.conf: their servers, and what of them the document can say. How the servers of an
// upstream share its requests differs from nginx, and a note says so.
// Source: nginx's ngx_http_upstream.c.

import { checkKey } from '../../key/compile.ts';
import { defaultTextOf } from '../declaration.ts';
import { showGot } from '../problem.ts';
import { readTime } from './directives.ts';
import { WITHOUT_EFFECT } from './meanings.ts';
import type { TranslationReport } from './report.ts';
import type { Directive } from './syntax.ts';

/** Servers of an upstream block. */
export interface UpstreamBlock {
  readonly servers: readonly BlockServer[];
  /** "host:port" or socket of the only server, without anything that needs a list; undefined for several. */
  readonly only: BlockServer | undefined;
  /** What `hash` or `ip_hash` chooses by; undefined without either. */
  readonly key: string | undefined;
  /** What keepalive_requests and keepalive_timeout are in `pool`. */
  readonly pool: Readonly<Record<string, unknown>>;
}

/** One server of it. */
export interface BlockServer {
  readonly address: string;
  readonly weight: number;
  readonly backup: boolean;
  readonly down: boolean;
  readonly eject: Eject;
  readonly connectionsMax: number | undefined;
}

/** When it is left out. */
interface Eject {
  readonly failures: number;
  readonly time: string;
  readonly timeMax: string;
}

/** What nginx does by default: max_fails=1 fail_timeout=10s. */
export const EJECT_DEFAULT: Eject = { failures: 1, time: '10s', timeMax: '10s' };

const CHOICE_NOTE =
  'a server of an upstream is chosen at random, by weight and load; nginx uses them in turn';
const HASH_NOTE =
  'hash is balance by key here: one server for each key, as in nginx, but not the same server as in nginx, and a server that is far busier than the others passes keys on';
const IP_HASH_NOTE =
  'ip_hash is balance by the key $remote_addr here: one server for each whole address; nginx takes the first three numbers of an IPv4 address, and its servers are others';
const LEAST_NOTE = 'every upstream uses least_conn, between two servers that are drawn by weight';
const RANDOM_NOTE =
  'random is random two least_conn here: of two servers that are drawn by weight, the less busy one';

/** The servers of an upstream block; undefined where it has a problem, which is reported. */
export function readUpstreamBlock(upstream: Directive, report: TranslationReport): UpstreamBlock | undefined {
  const servers: BlockServer[] = [];
  let key: string | undefined;
  let isRandom = false;
  for (const directive of upstream.block!) {
    const { text } = directive.name;
    if (text === 'server') servers.push(...readServer(directive, report));
    else if (text === 'least_conn') report.note(LEAST_NOTE);
    else if (text === 'random') isRandom = readRandom(directive, report);
    else if (text === 'keepalive_requests' || text === 'keepalive_timeout') continue;
    else if (text === 'hash') key = readHashKey(directive, report) ?? key;
    else if (text === 'ip_hash') {
      key = '$remote_addr';
      report.note(IP_HASH_NOTE);
    } else if (WITHOUT_EFFECT.upstream!.has(text)) report.ignore(text);
    else report.unknown(directive, 'upstream');
  }
  const pool = readKeepAlive(upstream.block!, report);
  const up = servers.filter(({ down }) => !down);
  if (up.length === 0) {
    report.fail(upstream.name, 'upstream', 'a server that is not down', 'none');
    return undefined;
  }
  if (servers.length === 1) return { servers, only: servers[0], key, pool };
  if (key === undefined && !isRandom) report.note(CHOICE_NOTE);
  const limited = servers.find(({ connectionsMax }) => connectionsMax !== undefined);
  if (limited !== undefined) {
    const expected = 'max_conns only in an upstream of one server';
    report.fail(upstream.name, 'upstream', expected, `${servers.length} servers`);
  }
  return { servers, only: undefined, key, pool };
}

/** `random [two [least_conn]]`. */
function readRandom({ name, words: given }: Directive, report: TranslationReport): boolean {
  const method = given.map(({ text }) => text).join(' ');
  if (/^(?:two(?: least_conn)?)?$/.test(method)) report.note(RANDOM_NOTE);
  else report.fail(name, 'random', 'nothing, two, or two least_conn', showGot(method));
  return true;
}

/** The key of `hash KEY [consistent]`. */
function readHashKey(
  { name, words: [key, method, more] }: Directive,
  report: TranslationReport,
): string | undefined {
  const isKnown = method === undefined || method.text === 'consistent';
  if (key === undefined || !isKnown || more !== undefined) {
    const got = key === undefined ? 'nothing' : showGot(more?.text ?? method!.text);
    report.fail(name, 'hash', 'a key, and perhaps consistent', got);
    return undefined;
  }
  const fault = checkKey(key.text);
  if (fault !== null) {
    const [expected, got] = fault.error.replace(/^expected /, '').split(', got ');
    report.fail(key, 'hash', expected ?? fault.error, got ?? showGot(key.text));
    return undefined;
  }
  report.note(HASH_NOTE);
  return key.text;
}

/** Without `keepalive` nginx keeps no connection, and the limits of those that are kept say nothing. */
function readKeepAlive(block: readonly Directive[], report: TranslationReport): Record<string, unknown> {
  const last = (name: string) => block.findLast((directive) => directive.name.text === name);
  const [requests, timeout] = [last('keepalive_requests'), last('keepalive_timeout')];
  if (last('keepalive') === undefined) {
    for (const one of [requests, timeout])
      if (one !== undefined) report.ignore(`${one.name.text} of an upstream`);
    return {};
  }
  const number = requests?.words[0]?.text ?? '';
  if (requests !== undefined && !/^[1-9]\d{0,8}$/.test(number))
    report.fail(requests.name, requests.name.text, 'a number above 0', showGot(number));
  return {
    ...(requests === undefined ? {} : { maxExchanges: Number(number) }),
    ...(timeout === undefined ? {} : { idleTimeout: report.time(timeout, '60s') }),
  };
}

function readServer({ name, words: args }: Directive, report: TranslationReport): BlockServer[] {
  const [address, ...parameters] = args.map(({ text }) => text);
  if (address === undefined) {
    report.fail(name, 'server', 'an address', 'nothing');
    return [];
  }
  const fail = (got: string): undefined => {
    const expected = 'weight= max_fails= fail_timeout= max_conns= backup down resolve';
    report.fail(name, 'server', expected, showGot(got));
  };
  let [weight, backup, down, failures, time] = [1, false, false, 1, '10s'];
  let connectionsMax: number | undefined;
  for (const parameter of parameters) {
    const [, option, value = ''] = /^([a-z_]+)(?:=(.*))?$/.exec(parameter) ?? [];
    const isNumber = /^\d{1,9}$/.test(value);
    if (parameter === 'backup') backup = true;
    else if (parameter === 'down') down = true;
    else if (parameter === 'resolve') report.ignore('resolve of a server');
    else if (option === 'weight' && isNumber && Number(value) > 0) weight = Number(value);
    else if (option === 'max_fails' && isNumber) failures = Number(value);
    else if (option === 'max_conns' && isNumber) connectionsMax = Number(value) || undefined;
    else if (option === 'fail_timeout' && readTime(value) !== undefined) time = readTime(value)!;
    else if (option === 'fail_timeout' && /^0[a-z]*$/.test(value)) failures = 0;
    else fail(parameter);
  }
  return [{ address, weight, backup, down, eject: { failures, time, timeMax: time }, connectionsMax }];
}

/** An upstream that is one address and no block. */
export function plainBlock(address: string): UpstreamBlock {
  const only = {
    address,
    weight: 1,
    backup: false,
    down: false,
    eject: EJECT_DEFAULT,
    connectionsMax: undefined,
  };
  return { servers: [only], only, key: undefined, pool: {} };
}

/** Where a server is, as the document has it. */
export function urlOf(scheme: string, address: string, isInBlock: boolean): string {
  if (address.startsWith('unix:')) return address;
  // Without a port in its line a server of a block is asked on port 80, also for https.
  const whole = isInBlock && !/:\d+$/.test(address) ? `${address}:80` : address;
  return `${scheme}://${whole.replace(scheme === 'http' ? /:80$/ : /:443$/, '')}`;
}

/** A server as the document has it, without its defaults. */
export function serverOf(
  scheme: string,
  { address, weight, backup, down, eject }: BlockServer,
): Record<string, unknown> {
  return {
    url: urlOf(scheme, address, true),
    ...(weight === 1 ? {} : { weight }),
    ...(backup ? { backup } : {}),
    ...(down ? { down } : {}),
    ...(JSON.stringify(eject) === JSON.stringify(EJECT_DEFAULT) ? {} : { eject }),
  };
}

/** What an upstream block says of its connections, as the document has it. */
export function poolOf({ only, pool }: UpstreamBlock): { pool?: Record<string, unknown> } {
  const all = {
    ...(only?.connectionsMax === undefined ? {} : { maxConnections: only.connectionsMax }),
    ...pool,
  };
  return Object.keys(all).length === 0 ? {} : { pool: all };
}

/** Settings as the file has them: without its defaults. */
export function writtenSettings({
  retry,
  setHeaders,
  ...all
}: Record<string, unknown>): Record<string, unknown> {
  const settings = Object.entries(all).filter(
    ([option, value]) => value !== undefined && defaultTextOf(`upstreamDefaults.${option}`) !== value,
  );
  const hasRetry = Object.keys(retry ?? {}).length > 0;
  const hasFields = Object.keys(setHeaders ?? {}).length > 0;
  return {
    ...Object.fromEntries(settings),
    ...(hasRetry ? { retry } : {}),
    ...(hasFields ? { setHeaders } : {}),
  };
}

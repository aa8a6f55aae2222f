// TLS of the listen directives of an nginx.conf: `listen … ssl` with its ssl_ directives becomes `tls` of the address. In
// nginx these belong to servers; here they belong to the address, so that servers of one address have to agree.
// Source: nginx's ngx_http_ssl_module.c.

import { showGot } from '../problem.ts';
import { inheritedDirective, ownDirectives, readHostNames, type Scope } from './directives.ts';
import type { Listen, ListenEntry } from './listens.ts';
import { REFUSED_TLS } from './meanings.ts';
import type { TranslationReport } from './report.ts';
import type { Directive } from './syntax.ts';

/** What is read of a server block. */
interface TlsServer {
  readonly scope: Scope;
  readonly directive: Directive;
  readonly listens: readonly Listen[];
}

const CIPHERS_NOTE =
  "ciphers and curves are those of Node's OpenSSL: ssl_ciphers, ssl_ecdh_curve and the like are left out";
const OCSP_NOTE = 'OCSP responses are not stapled';
const DEPTH_NOTE = 'ssl_verify_depth: chains of client certificates may be of any length';
const TICKETS_NOTE =
  'sessions are resumed by tickets, whatever ssl_session_tickets says; there is no session cache';

/** Directives of TLS that are left out with a sentence, at any value or at those that match. */
const NOTED: readonly (readonly [names: RegExp, values: RegExp, sentence: string])[] = [
  [/^ssl_(?:ciphers|ecdh_curve|conf_command|dhparam)$/, /./, CIPHERS_NOTE],
  [/^ssl_stapling/, /^(?!off$)/, OCSP_NOTE],
  [/^ssl_verify_depth$/, /./, DEPTH_NOTE],
  [/^ssl_session_tickets$|^ssl_session_ticket_key$/, /^(?!on$)/, TICKETS_NOTE],
];

/** The addresses as the document has them, those with TLS as maps. */
export function addTls(
  entries: ListenEntry | readonly ListenEntry[],
  servers: readonly TlsServer[],
  file: string,
  report: TranslationReport,
): unknown {
  const encrypted = new Set(
    servers.flatMap(({ listens: own }) => own.filter(({ isTls }) => isTls).map(({ address }) => address)),
  );
  const listens = [entries].flat().map((entry: ListenEntry) => {
    const map = typeof entry === 'string' ? { address: entry } : entry;
    const { address } = map;
    if (!encrypted.has(address)) return entry;
    const here = servers.filter(({ listens: own }) => own.some((one) => one.address === address));
    report.usesTls = true;
    return { ...map, tls: tlsOf(address, here, file, report) };
  });
  return listens.length === 1 ? listens[0] : listens;
}

/** TLS of the servers at one address: the default one first. */
function tlsOf(
  address: string,
  servers: readonly TlsServer[],
  file: string,
  report: TranslationReport,
): Record<string, unknown> {
  const isDefault = ({ listens }: TlsServer): boolean =>
    listens.some((one) => one.address === address && one.isDefault);
  const first = servers.find(isDefault) ?? servers[0]!;
  const ordered = [first, ...servers.filter((server) => server !== first)];
  for (const { scope } of ordered) reportLeftOut(scope, report);
  const pairs = ordered.flatMap((server) => pairOf(server, file, report));
  const client = clientOf(ordered, file, report);
  const minVersion = minVersionOf(first.scope, report);
  const more = { ...client, ...(minVersion === 'TLSv1.2' ? {} : { minVersion }) };
  const distinct = mergePairs(pairs);
  const [only] = distinct;
  if (distinct.length === 1 && only !== undefined)
    return { certificate: only.certificate, key: only.key, ...more };
  return {
    certificates: distinct.map(({ names, ...pair }) => (names.length === 0 ? pair : { ...pair, names })),
    ...more,
  };
}

interface NamedPair {
  readonly certificate: string;
  readonly key: string;
  readonly names: readonly string[];
}

/** The certificate of one server with its names; none, with a problem, where it has none. */
function pairOf({ scope, directive }: TlsServer, file: string, report: TranslationReport): NamedPair[] {
  const paths = (['ssl_certificate', 'ssl_certificate_key'] as const).map((name) => {
    const own = ownDirectives(scope, name);
    if (own.length > 1)
      report.fail(
        own[1]!.name,
        name,
        'one in a server: two kinds of keys for one name are not kept',
        'a second one',
      );
    const found = inheritedDirective(scope, name);
    if (found === undefined) {
      report.fail(directive.name, 'server', `${name}, because it listens with ssl`, 'none');
      return undefined;
    }
    return filePath(found, file, report);
  });
  const [certificate, key] = paths;
  if (certificate === undefined || key === undefined) return [];
  const names = ownDirectives(scope, 'server_name').flatMap(({ words }) =>
    words.flatMap(({ text }) => readHostNames(text) ?? []),
  );
  return [{ certificate, key, names }];
}

/** The path that a directive names; nginx takes a relative one from the folder of its configuration. */
function filePath(
  { name, words: [word] }: Directive,
  file: string,
  report: TranslationReport,
): string | undefined {
  const text = word?.text ?? '';
  const path = text.startsWith('/') ? text : file.slice(0, file.lastIndexOf('/') + 1) + text;
  if (text !== '' && !/^(?:data|engine|store):|\$/.test(text) && path.startsWith('/')) return path;
  report.fail(
    word ?? name,
    name.text,
    'the absolute path of a PEM file',
    text === '' ? 'nothing' : showGot(text),
  );
  return undefined;
}

function mergePairs(pairs: readonly NamedPair[]): NamedPair[] {
  const merged = new Map<string, NamedPair>();
  for (const pair of pairs) {
    const id = JSON.stringify([pair.certificate, pair.key]);
    const before = merged.get(id);
    merged.set(id, { ...pair, names: [...new Set([...(before?.names ?? []), ...pair.names])] });
  }
  return [...merged.values()];
}

/** The certificates of clients: the same for all servers at one address. */
function clientOf(
  servers: readonly TlsServer[],
  file: string,
  report: TranslationReport,
): Record<string, unknown> {
  let agreed: string | undefined;
  let result: Record<string, unknown> = {};
  for (const { scope, directive } of servers) {
    const verify = inheritedDirective(scope, 'ssl_verify_client');
    const ca = inheritedDirective(scope, 'ssl_client_certificate');
    const mode = verify?.words[0]?.text ?? 'off';
    if (mode !== 'off' && mode !== 'on' && mode !== 'optional')
      report.fail(verify!.name, 'ssl_verify_client', 'on, off or optional', showGot(mode));
    if (mode !== 'off' && ca === undefined)
      report.fail(verify!.name, 'ssl_verify_client', 'ssl_client_certificate beside it', 'none');
    const clientCa = mode === 'off' || ca === undefined ? undefined : filePath(ca, file, report);
    const own =
      clientCa === undefined ? {} : { clientCa, ...(mode === 'optional' ? { clientCertificate: mode } : {}) };
    const text = JSON.stringify(own);
    agreed ??= text;
    if (text === agreed) result = own;
    else {
      const expected = 'the same ssl_verify_client and ssl_client_certificate for all servers at one address';
      report.fail((verify ?? directive).name, 'ssl_verify_client', expected, showGot(mode));
    }
  }
  return result;
}

/** nginx takes the versions of the default server for all of them. */
function minVersionOf(scope: Scope, report: TranslationReport): 'TLSv1.2' | 'TLSv1.3' {
  const found = inheritedDirective(scope, 'ssl_protocols');
  const versions = found?.words.map(({ text }) => text) ?? ['TLSv1.2', 'TLSv1.3'];
  const has12 = versions.includes('TLSv1.2');
  if (!has12 && !versions.includes('TLSv1.3')) {
    report.fail(found!.name, 'ssl_protocols', 'TLSv1.2 or TLSv1.3 among them', showGot(versions.join(' ')));
  }
  if (versions.some((version) => version !== 'TLSv1.2' && version !== 'TLSv1.3'))
    report.note('ssl_protocols: versions below TLSv1.2 are not spoken');
  if (has12 && !versions.includes('TLSv1.3')) report.note('ssl_protocols: TLSv1.3 is spoken as well');
  return has12 ? 'TLSv1.2' : 'TLSv1.3';
}

function reportLeftOut(scope: Scope, report: TranslationReport): void {
  for (let level: Scope | null = scope; level !== null; level = level.parent) {
    for (const { name, words } of level.directives) {
      if (!name.text.startsWith('ssl_')) continue;
      const value = words.map(({ text }) => text).join(' ');
      const remedy = REFUSED_TLS.get(name.text);
      if (remedy !== undefined && value !== 'off')
        report.fail(name, name.text, `nothing, because it cannot be kept (${remedy})`, showGot(value));
      const noted = NOTED.find(([names, values]) => names.test(name.text) && values.test(value));
      if (noted !== undefined) report.note(noted[2]);
    }
  }
}

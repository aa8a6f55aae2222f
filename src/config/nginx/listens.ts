// The listen directives of an nginx.conf: at which addresses each server block takes requests, and which of the servers
// at one address takes every other host. Source: nginx's ngx_http_core_module.c, ngx_http.c.

import { showGot } from '../problem.ts';
import { isDefaultListen, LISTEN_PARAMETER, readListen } from './directives.ts';
import { HTTP2_NOTE, type TranslationReport } from './report.ts';
import type { Directive, Position } from './syntax.ts';

/** One address of a server block. */
export interface Listen {
  /** As the file has it. */
  readonly address: string;
  readonly isDefault: boolean;
  /** Its connections begin with a PROXY header. */
  readonly hasHeader: boolean;
  /** It says ssl; another server at the same address may say it for this one. */
  readonly isTls: boolean;
  readonly at: Position;
}

/** An entry of `listen` in the document. */
export type ListenEntry = string | { readonly address: string };

/** Addresses of all servers. An address of every host leaves no room for one of a single host on the same port. */
export function listenedAddresses(
  servers: readonly { readonly listens: readonly Listen[] }[],
  report: TranslationReport,
): ListenEntry | readonly ListenEntry[] {
  const places = new Map(
    servers.flatMap(({ listens }) => listens).map(({ address, at }) => [address, at] as const),
  );
  for (const [address, at] of places) {
    const wide = /:\d+$/.exec(address)?.[0];
    if (wide !== undefined && wide !== address && places.has(wide)) {
      const expected = `no address besides ${wide}, which includes every address of this port`;
      report.fail(at, 'listen', expected, address);
    }
  }
  const defaults = new Set<string>();
  for (const { address, isDefault, at } of servers.flatMap(({ listens }) => listens)) {
    if (isDefault && defaults.has(address))
      report.fail(at, 'listen', `one default_server for ${address}`, 'a second one');
    if (isDefault) defaults.add(address);
  }
  for (const at of [...places.values()].slice(0, 1)) report.origin(['listen'], at, 'listen');
  const withHeader = new Set(
    servers.flatMap(({ listens }) =>
      listens.filter(({ hasHeader }) => hasHeader).map(({ address }) => address),
    ),
  );
  const addresses = [...places.keys()]
    .sort()
    .map((address) => (withHeader.has(address) ? { address, proxyProtocol: true } : address));
  return addresses.length === 1 ? addresses[0]! : addresses;
}

/** The addresses at which a server block takes requests, in order. */
export function readListens({ name, block }: Directive, report: TranslationReport): Listen[] {
  const lines = block!.filter((directive) => directive.name.text === 'listen');
  if (lines.length === 0)
    return [{ address: ':80', isDefault: false, hasHeader: false, isTls: false, at: name }];
  const listens = lines.flatMap((line) => {
    const address = listenedAddress(line, report);
    const says = (parameter: string) => line.words.some(({ text }) => text === parameter);
    const facts = { isDefault: isDefaultListen(line), hasHeader: says('proxy_protocol'), isTls: says('ssl') };
    return address === undefined ? [] : [{ address, ...facts, at: line.name }];
  });
  // Port 8000 alone means both families here, so nginx's second line for IPv6 says nothing new.
  const all = new Set(listens.map(({ address }) => address));
  const seen = new Set<string>();
  for (const { address, at } of listens) {
    if (seen.has(address)) report.fail(at, 'listen', 'each address once in a server', `${address} again`);
    seen.add(address);
  }
  const known = new Map<string, Listen>();
  for (const listen of listens) {
    const wide = listen.address.startsWith('[::]:') ? listen.address.slice(4) : listen.address;
    const address = all.has(wide) ? wide : listen.address;
    const before = known.get(address);
    known.set(address, {
      ...listen,
      ...before,
      address,
      isDefault: listen.isDefault || before?.isDefault === true,
      hasHeader: listen.hasHeader || before?.hasHeader === true,
      isTls: listen.isTls || before?.isTls === true,
    });
  }
  return [...known.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
}

function listenedAddress({ name, words: args }: Directive, report: TranslationReport): string | undefined {
  const [word, ...parameters] = args.map(({ text }) => text);
  for (const parameter of parameters) {
    if (parameter === 'ssl') continue;
    if (parameter === 'http2') {
      report.note(HTTP2_NOTE);
      continue;
    }
    if (!LISTEN_PARAMETER.test(parameter)) {
      const expected = 'an address with default_server, ssl, proxy_protocol, reuseport or socket options';
      report.fail(name, 'listen', expected, showGot(parameter));
      return undefined;
    }
    if (!/^default|^proxy_protocol$/.test(parameter))
      report.ignore(`${parameter.replace(/=.*/, '')} of listen`);
  }
  return word === undefined ? undefined : readListen(word);
}

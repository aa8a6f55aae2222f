// The key of the page that a request belongs to: a browser asks for scripts and styles without the page's query, but says
// in Referer which page asked. Read only where a key would be minted otherwise, and only of a page on the same host, so
// that a link from elsewhere chooses nothing. Source: RFC 9110 §10.1.3.

import type { RequestView } from '../bytes.ts';
import type { CompiledKey } from './compile.ts';
import { variablesOf } from './key-text.ts';

/** A Referer of a page: scheme and authority, then its path and query. */
const PAGE = /^https?:\/\/([^/?#]*)([^#]*)/i;

/** A key that was found, and the key text that gave it. */
export interface FoundKey {
  readonly source: CompiledKey;
  readonly key: Uint8Array;
  /** It was found in the Referer. */
  readonly isOfPage?: boolean;
}

/** The key texts that read nothing but query parameters: these alone mean the same in a page's URL. */
export function pageKeys(keys: readonly CompiledKey[]): CompiledKey[] {
  return keys.filter(({ text }) => variablesOf(text).every(({ name }) => /^arg_/i.test(name)));
}

/** The first of `keys` in the query of the page that asked for this request; null where there is none. */
export function findPageKey(keys: readonly CompiledKey[], view: RequestView): FoundKey | null {
  const [referer] = keys.length === 0 ? [] : view.fieldValues('referer');
  const page = referer === undefined ? null : PAGE.exec(Buffer.from(referer).toString('latin1'));
  if (page === null || !isSameHost(page[1]!, view)) return null;
  const asked = pageView(page[2]!, view);
  for (const source of keys) {
    const key = source.expand(asked);
    if (!source.isMissing(key)) return { source, key, isOfPage: true };
  }
  return null;
}

/** Hosts are compared as $host is: in lower case, without a port and a last dot. */
function isSameHost(authority: string, view: RequestView): boolean {
  const host = /^(?:\[[^\]]*\]|[^:]*)/
    .exec(authority)![0]
    .toLowerCase()
    .replace(/(?<=.)\.$/, '');
  return host !== '' && host === Buffer.from(view.host()).toString('latin1');
}

/** The page's request, as far as query parameters can be read of it. */
function pageView(target: string, view: RequestView): RequestView {
  const bytes = Buffer.from(target.startsWith('/') ? target : `/${target}`, 'latin1');
  return {
    bytes,
    methodStart: 0,
    methodEnd: 0,
    targetStart: 0,
    targetEnd: bytes.length,
    fieldValues: (name) => view.fieldValues(name),
    host: () => view.host(),
    remoteAddress: view.remoteAddress,
  };
}

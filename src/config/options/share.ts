// How a share of all keys is written. Every option that is one reads it with this file.
// Source: nginx, src/http/modules/ngx_http_split_clients_module.c.

/** What a share looks like, for messages. */
export const SHARE_EXPECTED = 'a percentage from 0% to 100% with two decimals at most, or "*" for the rest';

/** What a share looks like. */
export const SHARE = /^\*$|^(\d{1,3})(?:\.(\d{1,2}))?%$/;

/** "12.5%" -> 1250 (hundredths of a percent); "*" -> null; undefined for anything else. Source: ngx_http_split_clients_module. */
export function parseShare(text: string): number | null | undefined {
  if (text === '*') return null;
  const match = SHARE.exec(text);
  if (match === null) return undefined;
  const hundredths = Number(match[1]) * 100 + Number((match[2] ?? '').padEnd(2, '0'));
  return hundredths <= 10_000 ? hundredths : undefined;
}

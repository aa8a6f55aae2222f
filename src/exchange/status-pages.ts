// The pages and phrases of statuses: in plain words, or in nginx's own, byte for byte.
// Source: nginx's ngx_http_special_response.c and ngx_http_header_filter_module.c, with server_tokens off.

import { STATUS_CODES } from 'node:http';
import { words } from '../key/nginx-names.ts';

/** nginx's phrases where they are not those of the IANA registry. */
const NGINX_PHRASES: ReadonlyMap<number, string> = new Map([
  [302, 'Moved Temporarily'],
  [405, 'Not Allowed'],
  [408, 'Request Time-out'],
  [413, 'Request Entity Too Large'],
  [414, 'Request-URI Too Large'],
  [416, 'Requested Range Not Satisfiable'],
  [503, 'Service Temporarily Unavailable'],
  [504, 'Gateway Time-out'],
]);

/** Titles of nginx's pages that are not its phrases. */
const NGINX_TITLES: ReadonlyMap<number, string> = new Map([
  [302, '302 Found'],
  [401, '401 Authorization Required'],
]);

/** Statuses for which nginx 1.22 has a phrase; it sends all others without one. */
const NGINX_STATUSES: ReadonlySet<number> = new Set(
  words(`200 201 202 204 206 301 302 303 304 307 308 400 401 402 403 404 405 406 408 409 410 411 412 413 414 415 416
    421 429 500 501 502 503 504 505 507`).map(Number),
);

/** Answers to redirect by. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** nginx keeps no connection after its own page of one of these. */
const LAST_STATUSES: ReadonlySet<number> = new Set([400, 413, 414, 500, 501]);

/** A body that names a status, and its media type, which is empty where the body is. */
export interface StatusPage {
  readonly body: string;
  readonly type: string;
}

/** The phrase of a status line; empty for a status that has none. */
export function phraseOf(status: number, isHtml: boolean): string {
  if (isHtml && !NGINX_STATUSES.has(status)) return '';
  return (isHtml ? NGINX_PHRASES.get(status) : undefined) ?? STATUS_CODES[status] ?? '';
}

/** True for a status whose answer has a page when nothing else was given as its body. */
export function hasPage(status: number): boolean {
  return status >= 400 || REDIRECTS.has(status);
}

/** True for a status after whose page nginx closes the connection. */
export function isLastPage(status: number): boolean {
  return LAST_STATUSES.has(status);
}

/** The page of a status. */
export function pageOf(status: number, isHtml: boolean): StatusPage {
  const title = `${status} ${phraseOf(status, isHtml)}`.trimEnd();
  if (!isHtml) return { body: `${title}\n`, type: 'text/plain; charset=utf-8' };
  if (!title.includes(' ')) return { body: '', type: '' };
  const shown = NGINX_TITLES.get(status) ?? title;
  const body = `<html>\r\n<head><title>${shown}</title></head>\r\n<body>\r\n<center><h1>${shown}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n`;
  return { body, type: 'text/html' };
}

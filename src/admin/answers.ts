// What every port with the admin page shares: who may ask, answers in a coding, the files of the page. Which paths there are is
// decided by the port: server.ts for a splitter, fleet/server.ts for a fleet.

import { isFromOtherSite, isOwnHost } from './host-check.ts';
import { Rendering } from './rendering.ts';
import { type AdminRequest, type Answer, text } from './request.ts';

/** Smaller bodies are not worth compressing. */
const GZIP_BYTES_MIN = 1024;

export const JSON_TYPE = 'application/json; charset=utf-8';
export const CSV_TYPE = 'text/csv; charset=utf-8';

/** Nothing of it is given back, so that everybody gets the same one. */
export const ALIVE = text(200, 'ok\n');

/** The files of the page by their paths. */
type Page = ReadonlyMap<string, { readonly type: string; readonly body: Rendering }>;

/** The page with its chart is larger than the rest of this room, and in most pods nobody ever opens it. */
async function loadPage(): Promise<Page> {
  const { readPage } = await import('./page/assets.ts');
  const files = Object.entries(readPage());
  return new Map(files.map(([path, { type, body }]) => [path, { type, body: Rendering.of(body) }]));
}

/** The path of a request target. */
export function pathOf(target: string): string {
  const query = target.indexOf('?');
  return query === -1 ? target : target.slice(0, query);
}

/** The answer to a request that may not be made here, or null. */
export function refusalOf({ method, host, fields }: AdminRequest, ownName: string): Answer | null {
  // HTTP/1.0 has no Host field; browsers have spoken 1.1 for as long as they have had scripts.
  if (host !== null && !isOwnHost(host, ownName)) {
    const got = JSON.stringify(host);
    return text(
      403,
      `this port answers to IP addresses, localhost, names without dots, *.svc, *.internal and ${ownName}; got Host ${got}\n`,
    );
  }
  if (isFromOtherSite(host, fields)) return text(403, 'pages of other origins may not read this port\n');
  if (method === 'GET' || method === 'HEAD') return null;
  const problem = `this port is read-only: expected GET or HEAD, got ${method}\n`;
  return { ...text(405, problem), allow: 'GET, HEAD' };
}

/** The same answer, compressed for a client that takes it. */
export async function inCoding(answer: Answer, acceptsGzip: boolean): Promise<Answer> {
  if (!acceptsGzip || answer.body.bytes.length < GZIP_BYTES_MIN) return answer;
  try {
    return { ...answer, body: (await answer.body.gzipped()).hold(), isGzipped: true };
  } finally {
    answer.body.release();
  }
}

let page: Promise<Page> | undefined;

/** A file of the page; null where there is none of this path. */
export async function pageFile(path: string, acceptsGzip: boolean): Promise<Answer | null> {
  page ??= loadPage();
  const file = (await page).get(path);
  if (file === undefined) return null;
  return inCoding({ status: 200, type: file.type, body: file.body.hold() }, acceptsGzip);
}

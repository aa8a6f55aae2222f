// The decision of the rivals in Node: nginx's split_clients with 50 % and the rest, by the token of the URL.
import murmurhash from 'murmurhash';

const BOUND = 2147483647; // 50 %, as nginx computes it

/** `first` or `second` by the value of `token` in the query. */
export function choose<T>(url: string, first: T, second: T): T {
  const query = url.indexOf('?');
  const start = query === -1 ? -1 : url.indexOf('token=', query);
  let token = '';
  if (start !== -1) {
    const end = url.indexOf('&', start);
    token = end === -1 ? url.slice(start + 6) : url.slice(start + 6, end);
  }
  return murmurhash.v2(Buffer.from(token, 'latin1'), 0) < BOUND ? first : second;
}

/** What bench/rivals.ts passes to each rival in Node. */
export const listenPort = Number(process.env.LISTEN_PORT);
export const upstreamA = `http://127.0.0.1:${process.env.UPSTREAM_A}`;
export const upstreamB = `http://127.0.0.1:${process.env.UPSTREAM_B}`;

// The options of a route: which requests it takes, by address, host and path, and what it leads to.
// Which route wins is decided in routing/routes.

import * as z from 'zod/mini';
import { listenAddress } from './addresses.ts';
import { documented, flag, matching, sizeWithoutDefault } from './values.ts';

/** The limit that a route may have of its own. */
export const BODY_LIMIT = {
  min: '0B',
  max: '1024GiB',
  doc: 'Largest request body; a larger one is answered with 413.',
} as const;

const hostPattern = matching(
  /^(?:\*\.)?[A-Za-z0-9._-]+$|^\[[0-9A-Fa-f:.]+\]$/,
  'a host name like shop.example or *.shop.example',
);

const decodedPath = matching(
  /^(?!.*\/(?:\/|\.{1,2}(?:\/|$)))\/[^\0-\x1f\x7f?]*$/,
  'a path like /api/, as it is once decoded: without "?", "//", "/./" and "/../"',
);

/** One route. */
export const routeSchema = z.strictObject({
  listen: documented(
    z.optional(listenAddress),
    'One of the addresses in `listen`: this route matches only requests to it. Unset: all of them.',
    'address',
  ),
  host: documented(
    z.optional(hostPattern),
    'Host name that this route matches; a leading `*.` matches all names below it. Unset: every host.',
  ),
  path: documented(
    z._default(decodedPath, '/'),
    'Path prefix that this route matches; the longest one wins. Requests are compared with their path decoded, `//` merged, `.` and `..` resolved.',
  ),
  exact: flag({ default: false, doc: 'The route matches only this path, before any prefix.' }),
  split: documented(z.optional(z.string({ error: 'the name of a split' })), 'Split that decides.'),
  upstream: documented(
    z.optional(z.string({ error: 'the name of an upstream or a URL' })),
    'Upstream that serves all requests of the route, without a split.',
  ),
  limits: documented(
    z.optional(z.strictObject({ requestBody: z.optional(sizeWithoutDefault(BODY_LIMIT)) })),
    'Limits of this route, instead of the general ones.',
    'map',
  ),
});

/** Options of one route, defaults filled in. */
export type RouteOptions = z.output<typeof routeSchema>;
/** Which split or upstream takes a host and path; exactly one of the two is set. */
export type RouteConfig = Omit<RouteOptions, 'split' | 'upstream' | 'exact'> & {
  exact?: boolean;
} & ({ split: string; upstream?: undefined } | { split?: undefined; upstream: string });

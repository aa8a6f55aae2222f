// The options of a route: which requests it takes, by address, host and path, and what it leads to.
// Which route wins is decided in routing/routes.

import * as z from 'zod/mini';
import { listenAddress } from './addresses.ts';
import { errorAnswersSchema, type RespondOptions, respondSchema, setResponseHeaders } from './answer.ts';
import { rewriteLocationSchema, rewritePathSchema } from './rewrite.ts';
import { documented, filled, flag, matching, sizeWithoutDefault } from './values.ts';

/** The limit that a route may have of its own. */
export const BODY_LIMIT = {
  min: '0B',
  max: '1024GiB',
  doc: 'Largest request body; a larger one is answered with 413.',
} as const;

const hostPattern = matching(
  /^(?:\*\.)?[A-Za-z0-9._-]+$|^[A-Za-z0-9._-]+\.\*$|^\[[0-9A-Fa-f:.]+\]$|^~./,
  'a host name like shop.example, *.shop.example or shop.*, or a regular expression like ~^www\\d+\\.example$',
);

const conditionText = z.string({ error: 'a text' });
const CONDITION_EXPECTED = 'one of is, isNot, matches and matchesNot';

const condition = z
  .strictObject({
    of: documented(z.clone(conditionText), 'Text that is compared, like `$http_x_beta`.', 'key text'),
    is: documented(z.optional(z.clone(conditionText)), 'The condition holds for this value.'),
    isNot: documented(z.optional(z.clone(conditionText)), 'It holds for every other value.'),
    matches: documented(
      z.optional(z.clone(conditionText)),
      'It holds for values that this regular expression matches; one that begins with `~*` ignores case.',
    ),
    matchesNot: documented(z.optional(z.clone(conditionText)), 'It holds for all others.'),
  })
  .check(
    z.refine(
      ({ is, isNot, matches, matchesNot }) =>
        [is, isNot, matches, matchesNot].filter((one) => one !== undefined).length === 1,
      { error: CONDITION_EXPECTED },
    ),
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
    'Host name that this route matches; a leading `*.` matches all names below it, `.*` at the end all names that begin so, and a leading `~` makes it a regular expression. Unset: every host.',
  ),
  path: documented(
    z._default(decodedPath, '/'),
    'Path prefix that this route matches; the longest one wins. Requests are compared with their path decoded, `//` merged, `.` and `..` resolved.',
  ),
  exact: flag({ default: false, doc: 'The route matches only this path, before any prefix.' }),
  pattern: documented(
    z.optional(filled('a regular expression like ^/img/.+[.]png$')),
    'Regular expression that the path must match, instead of `path`; one that begins with `~*` ignores case. Patterns are asked in their order, after exact paths and before prefixes. What they capture by name is a variable; `respond` and `rewritePath` also have `$1` to `$9`.',
  ),
  beforePatterns: flag({ default: false, doc: 'No pattern is asked about the paths of this prefix.' }),
  when: documented(
    z.optional(z.array(condition, { error: 'a list of conditions' })),
    'Conditions that a request must meet. Routes for the same host and path are asked in their order.',
    'list',
  ),
  split: documented(z.optional(z.string({ error: 'the name of a split' })), 'Split that decides.'),
  upstream: documented(
    z.optional(z.string({ error: 'the name of an upstream or a URL' })),
    'Upstream that serves all requests of the route, without a split.',
  ),
  respond: documented(
    z.optional(respondSchema),
    'Answer that the splitter gives itself, without a split or an upstream.',
    'map',
  ),
  rewritePath: documented(
    z.optional(rewritePathSchema),
    'How the path is changed on its way to the upstream. Unset: not at all.',
    'map',
  ),
  rewriteLocation: documented(
    z.optional(rewriteLocationSchema),
    'Beginnings of Location and Refresh of responses that are replaced; the first one that fits counts.',
    'list',
  ),
  setResponseHeaders: documented(
    z.optional(setResponseHeaders),
    'Fields of responses to this route, also of those that the splitter gives itself: by name a value, `{ value, mode, on }`, or a list of these.',
    'map of response fields',
  ),
  errorAnswers: documented(
    z.optional(errorAnswersSchema),
    "Answers in place of errors of this route, by status: those that have no body of their own here, and the upstream's with `upstreamErrors`. The exchange is counted and logged as before, and x-splitter-error stays.",
    'list',
  ),
  limits: documented(
    z.optional(z.strictObject({ requestBody: z.optional(sizeWithoutDefault(BODY_LIMIT)) })),
    'Limits of this route, instead of the general ones.',
    'map',
  ),
});

/** Options of one route, defaults filled in. */
export type RouteOptions = z.output<typeof routeSchema>;
/** What takes a host and path: a split, an upstream or an answer; exactly one of the three is set. */
export type RouteConfig = Omit<
  RouteOptions,
  'split' | 'upstream' | 'respond' | 'exact' | 'beforePatterns'
> & {
  exact?: boolean;
  beforePatterns?: boolean;
} & (
    | { split: string; upstream?: undefined; respond?: undefined }
    | { split?: undefined; upstream: string; respond?: undefined }
    | { split?: undefined; upstream?: undefined; respond: RespondOptions }
  );

/** Fixed answers that are counted one by one; the numbers of all others are those of "respond". */
const NAMED_ANSWERS_MAX = 256;

/** Names under which fixed answers are counted, in place of an upstream's, by their place in the list of routes. */
export function answerNames(routes: readonly RouteConfig[]): (string | null)[] {
  let count = 0;
  return routes.map(({ respond, host = '', path, exact = false }) => {
    if (respond === undefined) return null;
    return ++count > NAMED_ANSWERS_MAX ? 'respond' : `respond ${host}${exact ? '=' : ''}${path}`;
  });
}

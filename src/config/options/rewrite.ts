// The options by which a route changes the path of requests (`rewritePath`) and the Location of responses
// (`rewriteLocation`). What they do is in routing/path-rewrite and routing/response-fields.

import * as z from 'zod/mini';
import { documented, filled, flag, matching } from './values.ts';

const PATH_EXPECTED = 'a path like /api/';
const REPLACEMENT_EXPECTED = 'a text like /new/$1 without control characters, 4096 characters at most';

const replacement = matching(/^[^\0-\x1f\x7f]{0,4096}$/, REPLACEMENT_EXPECTED);

const rule = z.strictObject({
  pattern: documented(
    filled('a regular expression like ^/old/(.*)$'),
    'Regular expression that the path must match; one that begins with `~*` ignores case.',
  ),
  with: documented(
    z.clone(replacement),
    'The new path, with `$1` to `$9` and variables. What follows a `?` comes before the query of the request; a `?` at the end removes that query.',
    'key text',
  ),
  last: flag({ default: false, doc: 'No later rule is asked once this one has matched.' }),
});

/** How the path of a request is changed on its way to the upstream: one of three ways. */
export const rewritePathSchema = z
  .strictObject({
    prefix: documented(
      z.optional(matching(/^\/[^\0-\x1f\x7f?]*$/, PATH_EXPECTED)),
      'Beginning of the path that `with` replaces.',
    ),
    with: documented(z.optional(matching(/^\/[\x21-\x7e]*$/, PATH_EXPECTED)), 'What replaces `prefix`.'),
    target: documented(
      z.optional(z.clone(replacement)),
      'The whole request target, path and query: a text with variables.',
      'key text',
    ),
    rules: documented(
      z.optional(z.array(rule, { error: 'a list of rules' })),
      'Rules that are applied in their order to the path in its normal form.',
      'list',
    ),
  })
  .check(
    z.refine(
      ({ prefix, with: by, target, rules }) =>
        (prefix === undefined) === (by === undefined) &&
        [prefix, target, rules].filter((one) => one !== undefined).length === 1,
      { error: 'one of prefix (together with `with`), target and rules' },
    ),
  );

const location = z.strictObject({
  from: documented(matching(/^[\x21-\x7e]{1,4096}$/, 'a URL or its beginning'), 'Beginning of the value.'),
  to: documented(z.clone(replacement), 'What replaces it: a text with variables.', 'key text'),
});

/** How Location and Refresh of responses are changed. */
export const rewriteLocationSchema = z.array(location, { error: 'a list of { from, to }' });

/** How a path is changed, defaults filled in. */
export type RewritePathOptions = z.output<typeof rewritePathSchema>;
/** How Location and Refresh are changed. */
export type RewriteLocationOptions = z.output<typeof rewriteLocationSchema>;

// The options of an answer that the splitter gives itself (`respond`), and of the fields that it adds to responses
// (`setResponseHeaders`). What they do is in routing/fixed-answer and routing/response-fields.

import * as z from 'zod/mini';
import { documented, filledList, flag, matching, numberWithin } from './values.ts';

const TEXT_EXPECTED = 'a text like "moved to $host", 65536 characters at most';
const LINE_EXPECTED =
  'a text like "https://$host$request_uri" without control characters, 4096 characters at most';
const STATUS_EXPECTED = 'a status from 200 to 999';

/** A text with variables that becomes part of a field. */
const lineText = z
  .string({ error: LINE_EXPECTED })
  .check(
    z.maxLength(4096, { error: LINE_EXPECTED }),
    z.regex(/^[^\0-\x08\x0a-\x1f\x7f]*$/, { error: LINE_EXPECTED }),
  );

const mediaType = matching(/^[\x20-\x7e]{1,256}$/, 'a media type like text/plain');

/** An answer that needs no upstream. */
export const respondSchema = z.strictObject({
  status: documented(
    numberWithin({ min: 200, max: 999 }, STATUS_EXPECTED),
    'Status of the answer. 444 closes the connection without one.',
    { kind: 'integer', range: '200 to 999' },
  ),
  body: documented(
    z.optional(z.string({ error: TEXT_EXPECTED }).check(z.maxLength(65_536, { error: TEXT_EXPECTED }))),
    'Body of the answer: a text with variables. Unset: nothing below 300, else a page that names the status.',
    'key text',
  ),
  contentType: documented(z._default(mediaType, 'text/plain'), 'Content-Type of `body`.'),
  contentTypes: documented(
    z.optional(
      z.record(matching(/^[^/.\0- ]{1,64}$/, 'the end of a file name like html'), z.clone(mediaType), {
        error: 'a map of file name ending to media type',
      }),
    ),
    'Content-Type of `body` by the end of the path, such as `html`, instead of `contentType`.',
    'map',
  ),
  location: documented(
    z.optional(z.clone(lineText)),
    'Location of the answer: a text with variables.',
    'key text',
  ),
  escapeCaptures: flag({
    default: false,
    doc: "`$1` to `$9` in `location` are percent-encoded where the path of the request is, as nginx's `rewrite` does it; escapes that a path does not need are decoded.",
  }),
  locationBase: documented(
    z.optional(z.clone(lineText)),
    'Comes before a `location` that begins with `/`, such as `http://$host`.',
    'key text',
  ),
});

/** How a field is added to responses. */
const responseField = z.strictObject({
  value: documented(
    z.clone(lineText),
    'Value of the field: a text with variables. An empty one adds nothing.',
    'key text',
  ),
  mode: documented(
    z._default(z.enum(['replace', 'add'], { error: 'replace or add' }), 'replace'),
    "Whether the upstream's own field of that name goes: `replace`, or stays beside it: `add`.",
    'replace | add',
  ),
  on: documented(
    z._default(z.enum(['all', 'good'], { error: 'all or good' }), 'all'),
    'Which responses get it: `all`, or only those of 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308: `good`.',
    'all | good',
  ),
});

const FIELD_NAME =
  /^(?!(?:connection|content-length|date|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade|x-splitter-.*)$)[a-z0-9!#$%&'*+.^_`|~-]{1,128}$/i;
const ADDED_NAME_EXPECTED =
  'the name of a field that is not about the connection or the length of the message, nor x-splitter-…';
const ADDED_FIELD_EXPECTED = 'a value, { value, mode, on }, or a list of these';

const oneField = z.union([lineText, responseField], { error: ADDED_FIELD_EXPECTED });

/** Fields that are added to responses, by name. */
export const setResponseHeaders = z.record(
  z.string().check(z.regex(FIELD_NAME, { error: ADDED_NAME_EXPECTED })),
  z.union([oneField, filledList(oneField, ADDED_FIELD_EXPECTED, 32)], { error: ADDED_FIELD_EXPECTED }),
  { error: 'a map of field name to value' },
);

const ERROR_STATUS_EXPECTED = 'a status from 400 to 599';
const ERROR_STATUSES_EXPECTED = 'a list of statuses from 400 to 599';

/** An answer in place of errors. */
const errorAnswerSchema = z.strictObject({
  statuses: documented(
    filledList(numberWithin({ min: 400, max: 599 }, ERROR_STATUS_EXPECTED), ERROR_STATUSES_EXPECTED, 200),
    'Statuses of the errors that get this answer.',
    'list of integers',
  ),
  respond: documented(z.clone(respondSchema), 'The answer.', 'map'),
  keepStatus: flag({ default: false, doc: 'The answer keeps the status of the error.' }),
  upstreamErrors: flag({
    default: false,
    doc: "Responses of the upstream with one of these statuses are replaced as well, not only the splitter's own.",
  }),
  setResponseHeaders: documented(
    z.optional(z.clone(setResponseHeaders)),
    "Fields of the answer, in place of the route's. Unset: those of the route.",
    'map of response fields',
  ),
});

/** Answers in place of errors; the first one with the status counts. */
export const errorAnswersSchema = z.array(errorAnswerSchema, { error: 'a list of error answers' });

/** Options of the answers in place of errors, defaults filled in. */
export type ErrorAnswerOptions = z.output<typeof errorAnswersSchema>;
/** Options of a fixed answer, defaults filled in. */
export type RespondOptions = z.output<typeof respondSchema>;
/** Fields to add, as they were written, defaults filled in. */
export type ResponseFieldOptions = z.output<typeof setResponseHeaders>;

/** The fields one by one, in their order. */
export function listResponseFields(
  fields: ResponseFieldOptions | undefined,
): { name: string; value: string; mode: 'replace' | 'add'; on: 'all' | 'good' }[] {
  return Object.entries(fields ?? {}).flatMap(([name, given]) =>
    [given]
      .flat()
      .map((one) =>
        typeof one === 'string'
          ? { name, value: one, mode: 'replace' as const, on: 'all' as const }
          : { name, ...one },
      ),
  );
}

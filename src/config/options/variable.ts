// The options of a variable of the configuration's own: the text that is looked up, what it is compared with, and the
// values. How a map is looked up is in key/value-map.

import * as z from 'zod/mini';
import { documented, flag } from './values.ts';

const MAP_TEXT_EXPECTED = 'a text like "blue" or "$arg_token", 4096 characters at most';
const valueText = () =>
  z.string({ error: MAP_TEXT_EXPECTED }).check(z.maxLength(4096, { error: MAP_TEXT_EXPECTED }));

const VALUES_EXPECTED = 'a map of what is compared to the value: { beta: blue, "~^dev-": green }';

/** One variable. */
export const variableSchema = z.strictObject({
  of: documented(valueText(), 'The text that is looked up, like `$cookie_variant`.', 'key text'),
  values: documented(
    z._default(
      z.pipe(
        z.record(z.string(), valueText(), { error: VALUES_EXPECTED }),
        z.transform((values) => Object.entries(values)),
      ),
      [],
    ),
    'The value for each text, compared without case. `~` begins a regular expression, `~*` one without case; they are tried in their order if no text is equal, and `$1` or `$name` in the value is what they captured. A backslash before the first character makes it plain.',
    'map',
  ),
  default: documented(z._default(valueText(), ''), 'The value if nothing else matches.', 'key text'),
  hostnames: flag({
    default: false,
    doc: 'The texts are host names: `*.example`, `.example` and `example.*` match the names below, and a last dot does not count.',
  }),
  volatile: flag({
    default: false,
    doc: 'The value is looked up each time it is read, not once for each request.',
  }),
});

// The options of a split: its key, its variants and their shares, what happens without a key, and who may choose a
// variant. Shares that do not add up are not found here: checks/splits does that.

import * as z from 'zod/mini';
import { upstreamName } from './addresses.ts';
import { experimentOptions, freeSlots } from './experiment.ts';
import { parseShare, SHARE, SHARE_EXPECTED } from './share.ts';
import {
  choice,
  documented,
  duration,
  entryName,
  filled,
  filledList,
  matching,
  numberWithin,
  ownField,
  textRead,
} from './values.ts';

const VALUE_EXPECTED = 'a text of 4096 characters at most';

const variant = z.strictObject({
  name: documented(z.clone(entryName), 'Name of the variant, as metrics and logs show it.'),
  share: documented(
    z.optional(textRead(SHARE_EXPECTED, parseShare)),
    'Part of all keys: "12.5%", "0%" parks the variant, "*" takes the rest (last variant only).',
    { kind: 'share', pattern: SHARE.source },
  ),
  weight: documented(
    z.optional(numberWithin({ min: 0, max: 1_000_000 }, 'a whole number from 0 to 1000000')),
    'Instead of `share`, for all variants of a split: relative parts.',
    'integer',
  ),
  upstream: documented(
    z._default(z.clone(upstreamName), ''),
    'Name of an entry in `upstreams`, or a URL. Required if a route leads to the split.',
  ),
  value: documented(
    z.optional(z.string({ error: VALUE_EXPECTED }).check(z.maxLength(4096, { error: VALUE_EXPECTED }))),
    'What the variable of the split, `$NAME`, is in other texts for this variant. Unset: the name of the variant.',
  ),
});

const KEY_EXPECTED =
  "a key text like '$arg_token' or 'exp42:${cookie_uid}' (single quotes keep a shell from emptying it)";
const KEYS_EXPECTED = `${KEY_EXPECTED}, or a list of 1 to 16 of them, of { remember: '$arg_token' }, and of { mint: uid } as the last entry`;

const keyText = filled(KEY_EXPECTED);

/** A cookie that a key text can read as ${cookie_NAME}. */
const cookieName = matching(
  /^[A-Za-z0-9_.~-]{1,64}$/,
  'a cookie name of letters, digits, "_", "-", "." and "~", 64 characters at most',
);

const keyCookie = (name: string) => ({
  cookie: documented(
    z._default(cookieName, name),
    'Name of the cookie. It holds the key, never the variant.',
  ),
  path: documented(
    z._default(matching(/^\/[\x21-\x3a\x3c-\x7e]*$/, 'a path like / or /shop, without ";"'), '/'),
    'Path of the cookie; a `__Host-` name needs `/`.',
  ),
  maxAge: duration({
    min: '1s',
    max: '9600h',
    default: '8760h',
    doc: 'How long the browser keeps the cookie, at most 400 days.',
  }),
  secure: choice(['auto', 'always', 'never'], {
    default: 'auto',
    doc: 'Whether the cookie is Secure: `auto` = if X-Forwarded-Proto of the previous hop says https, and always for a `__Host-` or `__Secure-` name.',
  }),
});

const mint = z.strictObject({
  mint: documented(
    z.literal('uid', { error: 'uid, the one thing that can be minted' }),
    '`uid`: a request for which no other key was found gets a random one of 128 bits, in a cookie (HttpOnly, SameSite=Lax) that is read back as the key.',
    'uid',
  ),
  ...keyCookie('splitter_uid'),
});

const remember = z.strictObject({
  remember: documented(
    z.clone(keyText),
    'A key text. Its key is kept in a cookie (HttpOnly, SameSite=Lax), which is read if a request has no such key.',
    'key text',
  ),
  ...keyCookie('splitter_key'),
});

/** What the secret of an override looks like: it needs no encoding in a header, a cookie or a query. */
export const SECRET_EXPECTED =
  'a secret of 16 to 256 characters out of letters, digits, "-", "_", "." and "~"';

/** True for a secret that can stand in a header, a cookie and a query as it is. */
export function isSecret(text: string): boolean {
  return /^[A-Za-z0-9._~-]{16,256}$/.test(text);
}

const OVERRIDE_VARIANTS_EXPECTED = 'a list of 1 to 1000 names of variants';

const override = z.strictObject({
  header: z.optional(ownField('Header field whose value names the variant.')),
  cookie: documented(z.optional(cookieName), 'Cookie whose value names the variant.'),
  query: documented(
    z.optional(
      matching(
        /^[A-Za-z0-9_.-]{1,64}$/,
        'a parameter name of letters, digits, "_", "-" and ".", 64 characters at most',
      ),
    ),
    'Query parameter whose value names the variant.',
  ),
  variants: documented(
    filledList(z.string({ error: OVERRIDE_VARIANTS_EXPECTED }), OVERRIDE_VARIANTS_EXPECTED, 1000),
    'Variants that testers may choose, including those with a share of 0%.',
    'list',
  ),
  secret: documented(
    z.optional(z.string({ error: SECRET_EXPECTED }).check(z.refine(isSecret, { error: SECRET_EXPECTED }))),
    'Secret that must follow the name: `NAME~SECRET`. Unset: none.',
    'secret',
  ),
  secretVariable: documented(
    z.optional(matching(/^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of an environment variable')),
    'Environment variable with the secret, instead of `secret`.',
  ),
  secretFile: documented(
    z.optional(matching(/^\/./, 'the absolute path of a file that holds the secret')),
    'File with the secret, instead of `secret`; watched like the configuration.',
    'path',
  ),
});

const keyEntry = z.union([keyText, remember, mint], {
  error: `${KEY_EXPECTED}, { remember: '$arg_token' } or { mint: uid }`,
});

const splitKey = () =>
  z._default(
    z.union([keyText, filledList(keyEntry, KEYS_EXPECTED, 16)], { error: KEYS_EXPECTED }),
    '$arg_token',
  );

/** One layer. */
export const layerSchema = z.strictObject({
  key: documented(
    splitKey(),
    'What is hashed for the place in the layer, and in each of its splits: as the `key` of a split.',
    'key text | list',
  ),
  free: documented(
    z.optional(freeSlots),
    'Parts that are kept for later. Without them a gap between two slots is a problem.',
    { kind: 'slot', single: true },
  ),
});

/** One split. */
export const splitSchema = z.strictObject({
  key: documented(
    splitKey(),
    'What is hashed: $arg_X $http_X $cookie_X $remote_addr $host $uri $request_uri $request_method $args, `${…}`, and text around them as a salt. In a list the first key that is present counts; `{ remember: $arg_token }` keeps it in a cookie, and `{ mint: uid }` may be last.',
    'key text | list',
  ),
  method: choice(['ranges', 'rendezvous'], {
    default: 'ranges',
    doc: "`ranges` = nginx's arithmetic; `rendezvous` = fewest moved keys with three variants or more.",
  }),
  missingKey: choice(['default', 'first', 'random', 'reject'], {
    default: 'default',
    doc: 'Where requests without a key go: `default` = the "*" (or last) variant, `first` = as nginx, `random` = by share, `reject` = 400.',
  }),
  variants: documented(
    filledList(variant, 'a list of 1 to 1000 variants', 1000),
    'The arms of the split; their order matters for `ranges`.',
    'list',
  ),
  ...experimentOptions,
  choose: documented(
    z.optional(filled('a text with variables like "$v"')),
    'A text whose value is the `value` of the variant that is chosen, outside the sample, instead of the shares. `$NAME` in it, with the name of the split, is the choice by share, which stays in the sample: `variables: { v: { of: $cookie_x, values: { blue: blue }, default: $NAME } }`. A value that no variant has is answered with 500.',
    'key text',
  ),
  override: documented(
    z.optional(override),
    'Lets testers choose a variant by header, cookie or query, outside the sample. Unset: no one can.',
    'map',
  ),
});

/** Options of one split, defaults filled in. */
export type SplitConfig = z.output<typeof splitSchema>;
/** Where a split's key is found: a key text, or a list of them, remembered or not, that may end with a minted one. */
export type KeyConfig = SplitConfig['key'];
/** A key that is made for a client without one. */
export type MintConfig = z.output<typeof mint>;
/** A key text whose key is kept in a cookie. */
export type RememberConfig = z.output<typeof remember>;
/** How testers choose a variant; `secret` is filled in, wherever it came from. */
export type OverrideConfig = NonNullable<SplitConfig['override']>;

/** True for a split whose variants have no upstream: other texts read what it chooses, and no route leads to it. */
export function isForTexts({
  variants,
}: {
  readonly variants: readonly { readonly upstream: string }[];
}): boolean {
  return variants.every(({ upstream }) => upstream === '');
}

/** False for a split without shares, whose variants another text chooses. */
export function isByShare({ variants }: Pick<SplitConfig, 'variants'>): boolean {
  return variants.some(({ share, weight }) => share !== undefined || weight !== undefined);
}

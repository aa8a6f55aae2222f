// The option that says how an upstream shares its exchanges among its addresses: by load, or by a key. Whether the key
// text can be compiled, checks/upstreams finds out.

import * as z from 'zod/mini';
import { documented, filled } from './values.ts';

const SKEW = { min: 1, max: 100, default: 1.25 } as const;
const SKEW_EXPECTED = `a number from ${SKEW.min} to ${SKEW.max} like ${SKEW.default}`;

/** The words of `balance`, for the manual and for whoever prints a configuration. */
export const BALANCE_KIND = "load | key | { key: '$arg_X', maxSkew: 1.25 }";

const keyedBalance = z.strictObject({
  key: documented(
    z.optional(filled("a key text like '$cookie_session'")),
    'Key that decides, as in a split. Unset: the key of the split that led here.',
    'key text',
  ),
  maxSkew: documented(
    z._default(
      z
        .number({ error: SKEW_EXPECTED })
        .check(z.minimum(SKEW.min, { error: SKEW_EXPECTED }), z.maximum(SKEW.max, { error: SKEW_EXPECTED })),
      SKEW.default,
    ),
    'An address with more than this times its part of all exchanges in flight, and at least 8 of them, passes a key on to the next address in the order of that key.',
    { kind: 'number', range: `${SKEW.min} to ${SKEW.max}` },
  ),
});

/** Null: by load. */
export type BalanceConfig = z.output<typeof keyedBalance> | null;

/** How exchanges are shared among the addresses of an upstream. */
export const balance = documented(
  z.prefault(
    z.union(
      [
        z.pipe(
          z.enum(['load', 'key']),
          z.transform((word): BalanceConfig => (word === 'load' ? null : keyedBalance.parse({}))),
        ),
        keyedBalance,
      ],
      { error: "`load`, `key`, or a map like { key: '$cookie_session' }" },
    ),
    'load',
  ),
  'How exchanges are shared among the addresses: `load` = the less busy one of two that are drawn by weight; `key` = an exchange with a key always goes to the same healthy address, in every replica, and only the keys of an address that is ejected or removed move.',
  BALANCE_KIND,
);

// Claims of a JSON Web Token: $jwt_sub and $jwt_claim_NAME, of a bearer token or of a cookie. The signature is not verified,
// and must not be: a split is no access control, and whoever forges a token chooses only which variant it gets.
// Sources: RFC 7519 §4, RFC 7515 §2 (base64url), RFC 6750 §2.1 (bearer tokens).

import type { RequestView } from '../bytes.ts';
import { appendBytes, Cookie, cutKey, type KeyPart, keyFrom, keyLength } from './variables.ts';

/** Longest token that is read, in characters. */
const TOKEN_MAX = 16_384;
const BEARER = /^bearer +([^ ]+) *$/i;
const TOKEN_FORM = /^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*$/;

/** A claim: a string as it is, a number or a truth value as JSON has it; empty for every other one and for none. */
class Claim implements KeyPart {
  readonly #name: string;
  readonly #cookie: Cookie | null;

  /** `name` in lower case; `cookie` holds the token of a request without a bearer token. */
  constructor(name: string, cookie: string | undefined) {
    this.#name = name;
    this.#cookie = cookie === undefined ? null : new Cookie(cookie.toLowerCase());
  }

  append(view: RequestView): void {
    const token = bearerOf(view) ?? this.#tokenOfCookie(view);
    if (token === undefined || token.length > TOKEN_MAX) return;
    const claims = claimsOf(token);
    if (claims === undefined) return;
    // Names of variables have no case: of two claims that differ in it alone neither is meant.
    const names = Object.keys(claims).filter((name) => name.toLowerCase() === this.#name);
    const value = names.length === 1 ? claims[names[0]!] : undefined;
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      appendBytes(Buffer.from(String(value)));
  }

  #tokenOfCookie(view: RequestView): string | undefined {
    if (this.#cookie === null) return undefined;
    const start = keyLength();
    this.#cookie.append(view);
    const token = Buffer.from(keyFrom(start)).toString('latin1');
    cutKey(start);
    return token;
  }
}

function bearerOf(view: RequestView): string | undefined {
  const [field] = view.fieldValues('authorization');
  if (field === undefined || field.length > TOKEN_MAX) return undefined;
  return BEARER.exec(Buffer.from(field).toString('latin1'))?.[1];
}

/** The claims of a token; undefined for what is none to the letter: padding, stray bits, bytes that are no UTF-8. */
function claimsOf(token: string): Record<string, unknown> | undefined {
  const payload = TOKEN_FORM.exec(token)?.[1];
  if (payload === undefined) return undefined;
  const bytes = Buffer.from(payload, 'base64url');
  if (bytes.toString('base64url') !== payload) return undefined;
  try {
    const claims: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    const isMap = typeof claims === 'object' && claims !== null && !Array.isArray(claims);
    return isMap ? (claims as Record<string, unknown>) : undefined;
  } catch {
    // What a client sends is no error of ours: the key is missing.
    return undefined;
  }
}

/** The variable of this canonical name, where it is a claim. `cookie` may hold the token. */
export function claimVariable(name: string, cookie: string | undefined): KeyPart | undefined {
  if (name === 'jwt_sub') return new Claim('sub', cookie);
  const claim = /^jwt_claim_(.+)$/.exec(name)?.[1];
  return claim === undefined ? undefined : new Claim(claim, cookie);
}

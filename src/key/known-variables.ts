// Which variables a text can read without a configuration: those of a request and, in a text for the client, those of its
// response. The configuration's own variables come from the scope of a text, in own-variables.ts.

import { claimVariable } from './jwt-variables.ts';
import { expiryVariable, RESPONSE_PREFIXES, RESPONSE_VARIABLES } from './response-variables.ts';
import { SURROUNDING_VARIABLES } from './surrounding-variables.ts';
import { type KeyPart, PREFIXED_VARIABLES, REQUEST_VARIABLES, segmentVariable } from './variables.ts';

/** What a text is for: a text for the client can read the response, every other one is made before there is any. */
export type TextPlace = 'request' | 'response';

const FIXED: ReadonlyMap<string, () => KeyPart> = new Map([...REQUEST_VARIABLES, ...SURROUNDING_VARIABLES]);

/** The variable of this canonical name; undefined where this place has none. `jwtCookie` may hold a token. */
export function knownVariable(name: string, place: TextPlace, jwtCookie?: string): KeyPart | undefined {
  const fixed = FIXED.get(name) ?? (place === 'response' ? RESPONSE_VARIABLES.get(name) : undefined);
  if (fixed !== undefined) return fixed();
  return (
    ofFamily(name, PREFIXED_VARIABLES) ??
    segmentVariable(name) ??
    claimVariable(name, jwtCookie) ??
    (place === 'response' ? (ofFamily(name, RESPONSE_PREFIXES) ?? expiryVariable(name)) : undefined)
  );
}

function ofFamily(
  name: string,
  families: ReadonlyMap<string, (name: string) => KeyPart>,
): KeyPart | undefined {
  for (const [prefix, make] of families) {
    if (name.length > prefix.length && name.startsWith(prefix)) return make(name.slice(prefix.length));
  }
  return undefined;
}

/** True for a name that no configuration can give to a variable of its own. */
export function isKnownName(name: string): boolean {
  return FIXED.has(name) || RESPONSE_VARIABLES.has(name);
}

/** Names that are whole variables of a request, for "did you mean". */
export function fixedNames(): Iterable<string> {
  return FIXED.keys();
}

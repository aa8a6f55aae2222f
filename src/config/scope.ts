// Which variables the texts of a document can read beside those of the request: the names that it defines itself, and
// whether one of them reads the response. Reads the document as it was written; checks/variables checks the definitions.

import { variablesOf } from '../key/key-text.ts';
import { isKnownName } from '../key/known-variables.ts';
import { OwnVariables } from '../key/own-variables.ts';
import { capturedNames, type MatchSource } from '../key/route-match.ts';
import { mapOf, type RawMap } from './raw.ts';

/** The own variables of a document, without definitions: enough to check its texts. */
export function ownVariablesOf(raw: RawMap): OwnVariables {
  const own = new OwnVariables();
  for (const name of Object.keys(mapOf(raw.splits))) if (!isKnownName(name.toLowerCase())) own.variable(name);
  const variables = Object.entries(mapOf(raw.variables));
  for (const [name] of variables) if (!isKnownName(name.toLowerCase())) own.variable(name);
  for (const name of namesOfRoutes(raw.routes)) if (!isKnownName(name)) own.variable(name);
  const reads = new Map(variables.map(([name, value]) => [name.toLowerCase(), readsOf(mapOf(value))]));
  const found = new Map<string, boolean>();
  const isOfResponse = (name: string): boolean => {
    const known = found.get(name);
    if (known !== undefined) return known;
    found.set(name, false);
    const is = [...(reads.get(name) ?? [])].some((read) => RESPONSE_NAME.test(read) || isOfResponse(read));
    found.set(name, is);
    return is;
  };
  for (const name of reads.keys()) if (isOfResponse(name)) own.ofResponse(name);
  return own;
}

const RESPONSE_NAME = /^(?:status$|upstream_|sent_http_)/;

/** The names of the variables that a definition reads. */
export function readsOf(variable: RawMap): Set<string> {
  const texts = [variable.of, variable.default, ...Object.values(mapOf(variable.values))];
  const names = texts.flatMap((text) => (typeof text === 'string' ? variablesOf(text) : []));
  return new Set(names.map(({ name }) => name));
}

/** What the patterns of routes capture by name. */
function namesOfRoutes(routes: unknown): string[] {
  if (!Array.isArray(routes)) return [];
  return routes.flatMap((route) => capturedNames(matchSourceOf(mapOf(route))));
}

/** What of a route, as it was written, says which requests it takes; what has another type has been reported. */
export function matchSourceOf({ host, pattern, when }: RawMap): MatchSource {
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  const conditions = Array.isArray(when) ? when.map(mapOf) : [];
  return {
    host: text(host),
    pattern: text(pattern),
    when: conditions.map(({ of, is, isNot, matches, matchesNot }) => ({
      of: text(of) ?? '',
      is: text(is),
      isNot: text(isNot),
      matches: text(matches),
      matchesNot: text(matchesNot),
    })),
  };
}

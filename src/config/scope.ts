// Which variables the texts of a document can read beside those of the request: the names that it defines itself, and
// whether one of them reads the response. Reads the document as it was written; checks/variables checks the definitions.

import { variablesOf } from '../key/key-text.ts';
import { isKnownName } from '../key/known-variables.ts';
import { OwnVariables } from '../key/own-variables.ts';
import { capturedNames, type MatchSource } from '../key/route-match.ts';
import { randomnessOf } from '../key/surrounding-variables.ts';
import { isMap, mapOf, type RawMap } from './raw.ts';

/** The own variables of a document, without definitions: enough to check its texts. */
export function ownVariablesOf(raw: RawMap): OwnVariables {
  const { cookie } = mapOf(raw.jwt);
  const own = new OwnVariables(typeof cookie === 'string' ? cookie : undefined);
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

/** What a configuration or a document defines. */
interface Definitions {
  readonly variables?: unknown;
  readonly splits?: unknown;
}

/** The variables of a document that these texts read, directly or by way of another one, in the order of reading. */
export function variablesReadBy(texts: readonly string[], { variables }: Definitions): string[] {
  const defined = new Map(
    Object.entries(mapOf(variables)).map(([name, one]) => [name.toLowerCase(), mapOf(one)]),
  );
  const found = new Set<string>();
  const visit = (names: Iterable<string>): void => {
    for (const name of names) {
      const variable = defined.get(name);
      if (variable === undefined || found.has(name)) continue;
      found.add(name);
      visit(readsOf(variable));
    }
  };
  visit(texts.flatMap(namesReadBy));
  return [...found];
}

/** Why these texts are another one for each request, "$request_id is random"; undefined for texts that may be a user's. */
export function randomnessIn(texts: readonly string[], definitions: Definitions): string | undefined {
  return randomnessFinder(definitions)(texts);
}

/** randomnessIn() for many lists of texts: the definitions are read once. */
export function randomnessFinder({
  variables,
  splits,
}: Definitions): (texts: readonly string[]) => string | undefined {
  const splitsByName =
    splits instanceof Map ? Object.fromEntries(splits as Map<string, unknown>) : mapOf(splits);
  const reads = new Map<string, Set<string>>();
  for (const [name, split] of Object.entries(splitsByName)) {
    reads.set(name.toLowerCase(), new Set(keyTextsOf(mapOf(split)).flatMap(namesReadBy)));
  }
  for (const [name, value] of Object.entries(mapOf(variables)))
    reads.set(name.toLowerCase(), readsOf(mapOf(value)));
  const find = (names: Iterable<string>, seen: Set<string>): string | undefined => {
    for (const name of names) {
      if (seen.has(name)) continue;
      seen.add(name);
      const own = reads.get(name);
      const random = own === undefined ? randomnessOf(name) : undefined;
      if (random !== undefined) return `$${name} ${random}`;
      const inner = own === undefined ? undefined : find(own, seen);
      if (inner !== undefined) return inner;
    }
    return undefined;
  };
  return (texts) => find(texts.flatMap(namesReadBy), new Set());
}

/** The key texts of a split as it was written. */
function keyTextsOf({ key = '$arg_token' }: RawMap): string[] {
  const entries = [key].flat().map((one: unknown) => (isMap(one) ? one.remember : one));
  return entries.filter((text) => typeof text === 'string');
}

function namesReadBy(text: string): string[] {
  return variablesOf(text).map(({ name }) => name);
}

/** The names of the variables that a definition reads. */
export function readsOf(variable: RawMap): Set<string> {
  const { values } = variable;
  const own = Array.isArray(values)
    ? values.map((entry: unknown[]) => entry[1])
    : Object.values(mapOf(values));
  const texts = [variable.of, variable.default, ...own];
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

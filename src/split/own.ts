// The own variables of a configuration, compiled, and its splitters, whose keys can read them and whose results are such
// variables. Made once for each generation, and by the commands that decide without one.

import type { RequestView } from '../bytes.ts';
import type { Config } from '../config/options/document.ts';
import { randomnessFinder, variablesReadBy } from '../config/scope.ts';
import { OwnVariables } from '../key/own-variables.ts';
import { capturedNames } from '../key/route-match.ts';
import { compileMap, type ExplainedMap, type ValueMap } from '../key/value-map.ts';
import { appendBytes, type KeyPart, resumeKey, suspendKey } from '../key/variables.ts';
import { atOnce, STEPS_A_PIECE, type WorkInPieces } from '../turns.ts';
import type { SplitStop } from './enrolment.ts';
import { keyTexts } from './key-list.ts';
import { Splitter } from './splitter.ts';

/** The splitters of a configuration, and every variable that its texts can read. */
export interface CompiledSplits {
  readonly own: OwnVariables;
  readonly splitters: ReadonlyMap<string, Splitter>;
}

/** What a splitter may be given beside its configuration. */
interface SplitSurroundings {
  readonly random?: (() => number) | undefined;
  readonly makeKey?: (() => string) | undefined;
  /** Milliseconds since 1970, for steps. */
  readonly clock?: () => number;
  /** What stops the split of this name. */
  readonly stopOf?: (split: string) => SplitStop;
}

/** Compiles `variables` and `splits`; `routes` for the names that their patterns capture. Throws only on a broken invariant: the configuration was validated before. */
export function compileSplits(
  config: Parameters<typeof compileSplitsInPieces>[0],
  surroundings: SplitSurroundings = {},
): CompiledSplits {
  return atOnce(compileSplitsInPieces(config, surroundings));
}

/** As compileSplits(), split by split. */
export function* compileSplitsInPieces(
  {
    variables,
    splits,
    jwt,
    routes = [],
  }: Pick<Config, 'variables' | 'splits'> & Partial<Pick<Config, 'jwt' | 'routes'>>,
  { random, makeKey, clock, stopOf }: SplitSurroundings,
): WorkInPieces<CompiledSplits> {
  const own = new OwnVariables(jwt?.cookie);
  for (const name of splits.keys()) own.ofSplit(name);
  for (const name of Object.keys(variables)) own.variable(name);
  // The route gives them their values before it asks for a decision.
  for (const [index, route] of routes.entries()) {
    for (const name of capturedNames(route)) own.variable(name);
    if (index % STEPS_A_PIECE === 0) yield;
  }
  const maps = new Map<string, ValueMap>();
  for (const [name, source] of Object.entries(variables)) {
    const compiled = compileMap(source, own.scope('response'));
    if ('faults' in compiled)
      throw new Error(`broken invariant: the variable ${name}: ${compiled.faults[0]!.expected}`);
    own.variable(name).define(compiled, !source.volatile);
    maps.set(name.toLowerCase(), compiled);
  }
  const scope = own.scope('request');
  const randomnessOfTexts = randomnessFinder({ variables, splits });
  const splitters = new Map<string, Splitter>();
  for (const [name, split] of splits) {
    const variable = own.variable(name);
    const texts = [...keyTexts(split.key), ...(split.choose === undefined ? [] : [split.choose])];
    const names = Object.keys(variables).length === 0 ? [] : variablesReadBy(texts, { variables });
    const splitter = new Splitter(name, split, random, makeKey, scope, {
      own: variable,
      readTexts: [...texts, ...names.flatMap((read) => textsOf(variables, read))],
      explainMaps: (view) => explainMaps(names, maps, own, view),
      isRandom: randomnessOfTexts(keyTexts(split.key)) !== undefined,
      ...(clock === undefined ? {} : { clock }),
      ...(stopOf === undefined ? {} : { stop: stopOf(name) }),
    });
    splitters.set(name, splitter);
    variable.define(new SplitVariable(splitter), true);
    yield;
  }
  return { own, splitters };
}

/** The texts of a variable, by its name in lower case: what they read, a decision depends on. */
function textsOf(variables: Config['variables'], name: string): string[] {
  const [, source] = Object.entries(variables).find(([one]) => one.toLowerCase() === name)!;
  return [source.of, source.default, ...source.values.map(([, value]) => value)];
}

function explainMaps(
  names: readonly string[],
  maps: ReadonlyMap<string, ValueMap>,
  own: OwnVariables,
  view: RequestView,
): ExplainedMap[] {
  return names.map((name) => {
    const value = Buffer.from(own.variable(name).valueFor(view)).toString('latin1');
    return { name, ...maps.get(name)!.explain(view), value };
  });
}

/** The variable of a split: the value of the variant that it gives to this request; empty where it gives none. */
class SplitVariable implements KeyPart {
  readonly #splitter: Splitter;
  readonly #values: readonly Uint8Array[];

  constructor(splitter: Splitter) {
    this.#splitter = splitter;
    this.#values = splitter.values.map((value) => Buffer.from(value));
  }

  append(view: RequestView): void {
    const suspended = suspendKey();
    const { variant } = this.#splitter.decideByShare(view);
    resumeKey(suspended);
    if (variant !== null) appendBytes(this.#values[variant.index]!);
  }
}

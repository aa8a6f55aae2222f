// Ways through a location that a split alone tells apart (`if ($v = "b") { proxy_pass …; }`, also by `set`): they become a map
// of its values to upstreams, so that each request is a decision of the split, in its sample and its metrics.

import type { Branch } from './branches.ts';
import { isProgram } from './branches.ts';
import type { Scope } from './directives.ts';
import type { Directive } from './syntax.ts';
import type { FileVariables } from './variables.ts';

/** A way, and the proxy_pass at its end. */
export interface PassedWay {
  readonly way: Branch;
  readonly pass: Directive;
}

/**
 * The one proxy_pass that the ways come to, by a map that is added to the variables; undefined where something else than the
 * values of one split tells them apart, or they differ in more than the upstream.
 */
export function passBySplit(
  ways: readonly PassedWay[],
  commonConditions: number,
  variables: FileVariables,
): Directive | undefined {
  const last = ways.at(-1);
  if (last === undefined || ways.length < 2 || last.way.conditions.length !== commonConditions)
    return undefined;
  const [first] = ways;
  const name = /^\$\{?(\w+)\}?$/.exec(first!.way.conditions.at(-1)?.of ?? '')?.[1];
  if (name === undefined || variables.splitOf(name) === undefined) return undefined;
  const entries = new Map<string, string>();
  for (const { way, pass } of ways.slice(0, -1)) {
    const own = way.conditions.slice(commonConditions);
    const { of, is } = own[0] ?? {};
    const isPlain = own.length === 1 && of === first!.way.conditions.at(-1)?.of && is !== undefined;
    if (!isPlain || way.rule !== null || !onlyPasses(way.scope)) return undefined;
    if (!entries.has(is)) entries.set(is, pass.words[0]?.text ?? '');
  }
  const target = freeVariable(`${name}_pass`, variables);
  const at = last.pass.name;
  const word = (text: string) => ({ ...at, text });
  const rows = [...entries, ['default', last.pass.words[0]?.text ?? ''] as const];
  const block = rows.map(([match, value]) => ({ name: word(match), words: [word(value)], block: null }));
  variables.collect({ name: word('map'), words: [word(`$${name}`), word(`$${target}`)], block });
  return { ...last.pass, words: [{ ...at, text: `$${target}` }] };
}

/** The block does nothing but choose where requests go. */
function onlyPasses({ directives }: Scope): boolean {
  return directives.every((directive) => directive.name.text === 'proxy_pass' || isProgram(directive));
}

function freeVariable(name: string, variables: FileVariables): string {
  let candidate = name;
  for (let number = 2; variables.has(candidate); number++) candidate = `${name}_${number}`;
  return candidate;
}

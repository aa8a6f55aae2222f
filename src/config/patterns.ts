// Regular expressions in a configuration. Their engine is loaded by the first text that has one, which is then read again,
// and before a configuration that was checked in another thread is compiled.

import { loadPatternEngine, PatternEngineNeeded } from '../key/pattern.ts';
import type { Config } from './options/document.ts';
import type { RouteConfig } from './options/route.ts';

/** What `read` gives; where it meets a pattern, after the engine is loaded. */
export async function withPatterns<T>(read: () => T): Promise<T> {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof PatternEngineNeeded)) throw cause;
    await loadPatternEngine();
    return read();
  }
}

/** Loads the engine where a configuration has patterns, so that it can be compiled in this thread. */
export async function loadPatternsOf({
  variables,
  routes,
}: Pick<Config, 'variables' | 'routes'>): Promise<void> {
  const hasPatterns = Object.values(variables).some(({ values }) =>
    values.some(([match]) => match.startsWith('~')),
  );
  if (hasPatterns || routes.some(hasPattern)) await loadPatternEngine();
}

function hasPattern({ host, pattern, when = [], rewritePath }: RouteConfig): boolean {
  const isCompared = when.some(({ matches, matchesNot }) => (matches ?? matchesNot) !== undefined);
  return (
    pattern !== undefined || isCompared || rewritePath?.rules !== undefined || host?.startsWith('~') === true
  );
}

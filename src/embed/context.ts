// What all exchanges of one handler share: the checked configuration, the compiled split, its upstreams and http-proxy.
// Knows nothing of a single request.

import httpProxy from 'http-proxy';
import type { Config } from '../config/options/document.ts';
import type { SplitConfig } from '../config/options/split.ts';
import { type Edits, editsFor } from '../routing/edits.ts';
import { NEVER_STOPPED } from '../split/enrolment.ts';
import { compileSplits } from '../split/own.ts';
import type { Splitter } from '../split/splitter.ts';
import { wallClock } from '../wall-clock.ts';
import { AgentUpstream } from './agent-upstream.ts';
import { HandlerGuard, warnOfStop } from './guard.ts';
import type { HandlerOptions } from './handler-config.ts';

/** Lives as long as its handler. */
export interface HandlerContext {
  readonly config: Config;
  readonly splitter: Splitter;
  /** The edits of each variant, in the order of the variants; null = none. */
  readonly edits: readonly (Edits | null)[];
  readonly upstreams: ReadonlyMap<string, AgentUpstream>;
  readonly proxy: httpProxy;
  /** Null for a split without a guard. */
  readonly guard: HandlerGuard | null;
  readonly onFault: NonNullable<HandlerOptions['onFault']>;
}

/** Compiles the one split of `config` and opens a pool for each upstream. Throws when a TLS file cannot be read. */
export function createContext(config: Config, options: HandlerOptions): HandlerContext {
  const [[name, split]] = [...config.splits] as [[string, SplitConfig]];
  const guard =
    split.guard === undefined ? null : new HandlerGuard(config, name, options.onGuardStop ?? warnOfStop);
  const stopOf = () => guard?.stop ?? NEVER_STOPPED;
  const { splitters } = compileSplits(config, { clock: wallClock, stopOf });
  guard?.follow(splitters);
  const splitter = splitters.get(name)!;
  return {
    config,
    splitter,
    edits: splitter.variants.map((variant) => editsFor(config, splitter, variant.name)),
    upstreams: new Map([...config.upstreams].map(([key, upstream]) => [key, new AgentUpstream(upstream)])),
    proxy: httpProxy.createProxyServer(),
    guard,
    onFault: options.onFault ?? (() => {}),
  };
}

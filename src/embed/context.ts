// What all exchanges of one handler share: the checked configuration, the compiled split, its upstreams and http-proxy.
// Knows nothing of a single request.

import httpProxy from 'http-proxy';
import type { Config } from '../config/options/document.ts';
import { type Edits, editsFor } from '../routing/edits.ts';
import { compileSplits } from '../split/own.ts';
import type { Splitter } from '../split/splitter.ts';
import { wallClock } from '../wall-clock.ts';
import { AgentUpstream } from './agent-upstream.ts';
import type { HandlerOptions } from './handler-config.ts';

/** Lives as long as its handler. */
export interface HandlerContext {
  readonly config: Config;
  readonly splitter: Splitter;
  /** The edits of each variant, in the order of the variants; null = none. */
  readonly edits: readonly (Edits | null)[];
  readonly upstreams: ReadonlyMap<string, AgentUpstream>;
  readonly proxy: httpProxy;
  readonly onFault: NonNullable<HandlerOptions['onFault']>;
}

/** Compiles the one split of `config` and opens a pool for each upstream. Throws when a TLS file cannot be read. */
export function createContext(config: Config, options: HandlerOptions): HandlerContext {
  const [splitter] = [...compileSplits(config, { clock: wallClock }).splitters.values()] as [Splitter];
  return {
    config,
    splitter,
    edits: splitter.variants.map((variant) => editsFor(config, splitter, variant.name)),
    upstreams: new Map([...config.upstreams].map(([key, upstream]) => [key, new AgentUpstream(upstream)])),
    proxy: httpProxy.createProxyServer(),
    onFault: options.onFault ?? (() => {}),
  };
}

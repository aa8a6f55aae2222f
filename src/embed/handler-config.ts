// Checks the configuration of a handler: one split, or a document of which the handler offers a part. What only the
// program offers is refused, so that no setting is silently without effect.

import type { IncomingMessage } from 'node:http';
import type * as z from 'zod/mini';
import { linkSource } from '../config/link.ts';
import type { Config, documentSchema } from '../config/options/document.ts';
import { formatPath, formatProblem, type Path, type Problem } from '../config/problem.ts';
import type { FaultCode } from '../errors.ts';
import type { HandlerGuardStop } from './guard.ts';

type DocumentInput = z.input<typeof documentSchema>;

/**
 * Either one split with an upstream URL in each variant, or a whole configuration document with one split and no routes.
 * Of a document the handler reads `splits`, `upstreams` and `upstreamDefaults` (url, tls, host, connectTimeout,
 * responseTimeout, retry, pool.maxConnections, maxQueued, queueTimeout, idleTimeout), `forwarded`, `via`, `upgrades`,
 * `variantHeader`, `vary`, `requestId`, `traceparent` and `timeouts.tunnelIdle`. Routes, probes and fallbacks are errors,
 * as only the program offers them; the rest belongs to the server around the handler.
 */
export type HandlerConfig = NonNullable<DocumentInput['splits']>[string] | DocumentInput;

/** Settings that a handler has beside its configuration. */
export interface HandlerOptions {
  /** Called once for each exchange or tunnel that ends badly, with the underlying error if there is one. */
  readonly onFault?: (code: FaultCode, request: IncomingMessage, cause: Error | null) => void;
  /** Called when the guard has stopped the split: every key gets the control until a new handler is made. Unset: a process warning. */
  readonly onGuardStop?: (stop: HandlerGuardStop) => void;
}

/** The whole configuration that `config` stands for. Throws one TypeError that lists every problem. */
export function checkConfig(config: HandlerConfig): Config {
  const isObject = typeof config === 'object' && config !== null;
  const isSplit = isObject && 'variants' in config;
  const document = isSplit ? { splits: { split: config } } : config;
  const locate = (path: Path) => {
    const own = isSplit ? path.slice(2) : path;
    return { at: formatPath(own) || 'config', path: '', order: 0 };
  };
  const outcome = linkSource({ document, locate });
  const problems: Problem[] = [...(outcome.problems ?? [])];
  const refuseOption = (path: Path, got: string) =>
    problems.push({ ...locate(path), expected: 'nothing, because only the program offers it', got });
  if (!isSplit && isObject && 'routes' in config) refuseOption(['routes'], 'routes');
  for (const [name, { servers, host, setHeaders, probe, onDown, balance }] of outcome.config?.upstreams ??
    []) {
    if (servers !== undefined) refuseOption(['upstreams', name, 'servers'], 'several servers');
    if (host !== undefined && host !== '$proxy_host' && host.includes('$'))
      refuseOption(['upstreams', name, 'host'], host);
    if (setHeaders !== undefined) refuseOption(['upstreams', name, 'setHeaders'], 'fields');
    if (balance !== null) refuseOption(['upstreams', name, 'balance'], 'a choice by key');
    if (probe !== undefined) refuseOption(['upstreams', name, 'probe'], 'a probe');
    if (onDown !== null) refuseOption(['upstreams', name, 'onDown'], 'a fallback');
  }
  for (const [name, { guard }] of outcome.config?.splits ?? []) {
    // The handler keeps no state, and has no admin port that a fleet could ask.
    for (const option of ['stateFile', 'fleet'] as const) {
      const value = guard?.[option];
      if (value !== undefined) refuseOption(['splits', name, 'guard', option], value);
    }
  }
  if (outcome.config !== undefined && problems.length === 0) return outcome.config;
  const lines = problems.map((problem) => `  ${formatProblem(problem)}`);
  throw new TypeError(`createHandler: the configuration cannot be used\n${lines.join('\n')}`);
}

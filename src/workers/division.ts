// Computes what each worker gets of what is meant for all of them: limits, the heap. And how long a slot stays empty when
// its workers keep dying. Pure arithmetic.

import type { Config } from '../config/options/document.ts';

/**
 * The configuration of one of `workers` processes: limits on connections and on waiting exchanges are divided, rounded up,
 * so that all workers together keep what was promised (to within one for each worker).
 */
export function divideLimits(config: Config, workers: number): Config {
  const part = (limit: number) => Math.ceil(limit / workers);
  const upstreams = Array.from(config.upstreams, ([name, upstream]) => {
    const { pool } = upstream;
    const divided = {
      ...pool,
      maxConnections: part(pool.maxConnections),
      maxTunnels: part(pool.maxTunnels),
      maxHeld: part(pool.maxHeld),
      maxQueued: part(pool.maxQueued),
    };
    return [name, { ...upstream, pool: divided }] as const;
  });
  const { limits } = config;
  return {
    ...config,
    upstreams: new Map(upstreams),
    limits: {
      ...limits,
      connections: part(limits.connections),
      tlsHandshakes: part(limits.tlsHandshakes),
      responseBuffers: part(limits.responseBuffers),
    },
  };
}

/** Node's arguments for a worker: a heap that is a part of the memory becomes a part of that part. */
export function divideHeap(execArgv: readonly string[], workers: number): string[] {
  return execArgv.map((argument) =>
    argument.replace(
      /^(--max[-_]old[-_]space[-_]size[-_]percentage=)(\d+(?:\.\d+)?)$/,
      (_, name: string, percentage: string) => name + Math.max(1, Number(percentage) / workers),
    ),
  );
}

/** A life of this length is a good one. */
const GOOD_LIFE_MS = 60_000;
const DELAY_MS = 100;
const DELAY_MAX_MS = 30_000;

/** How many short lives there have been in a row, after one of this length. */
export function countShortLives(before: number, lifeMs: number): number {
  return lifeMs >= GOOD_LIFE_MS ? 0 : before + 1;
}

/** Time until a worker is started again: none after the first short life, then doubled up to half a minute. */
export function restartDelayMs(shortLives: number): number {
  return shortLives < 2 ? 0 : Math.min(DELAY_MAX_MS, DELAY_MS * 2 ** (shortLives - 2));
}

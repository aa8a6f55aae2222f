// Bounds the garbage of connections that come in masses. Each accepted socket is a few KiB of objects that live just long
// enough to leave V8's young generation, and V8 lets tens of MiB of them gather before it collects the old one. So a flood
// of connections makes V8 collect early. A process without a flood pays nothing. Source: docs/decisions/0045.

/** Connections in one window that make a flood: far above what probes, scrapes and a page need. */
const FLOOD_CONNECTIONS = 300;
const FLOOD_WINDOW_MS = 10_000;
/** What the heap may grow beyond its live objects before V8 collects again, in percent; V8 allows at least 8 MiB. */
const GROWTH_PERCENT = 30;

/** Counts the connections of one admin port, which owns it and stops it at its end. */
export class FloodGuard {
  readonly #collect: () => void;
  #windowEndsAt = 0;
  #accepted = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(collect: () => void = collectGarbage) {
    this.#collect = collect;
  }

  /** A connection was accepted; `now` is a time of `performance.now()`. */
  accepted(now: number): void {
    if (now >= this.#windowEndsAt) {
      this.#windowEndsAt = now + FLOOD_WINDOW_MS;
      this.#accepted = 0;
    }
    this.#accepted += 1;
    if (this.#accepted !== FLOOD_CONNECTIONS) return;
    this.#collect();
    // What the last window leaves is given back as well.
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#collect, 2 * FLOOD_WINDOW_MS).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** Collects the whole heap, which stops the process meanwhile, and makes V8 do so earlier from now on. */
export function collectGarbage(): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString(`--heap-growing-percent=${GROWTH_PERCENT}`);
  // V8 hands out its collector only to contexts that are created while this flag is set.
  setFlagsFromString('--expose-gc');
  const collect: unknown = process.getBuiltinModule('node:vm').runInNewContext('globalThis.gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect();
}

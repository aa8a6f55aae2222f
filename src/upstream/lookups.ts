// Decides which name is looked up next. getaddrinfo runs on threads of libuv's pool, cannot be cancelled, and may hang for
// seconds, so names that hang must leave threads to the others. One lookup of a name serves all who ask for it. It knows
// nothing of upstreams. Source: libuv's threadpool.c, which gives half of the pool to getaddrinfo.

import { lookup } from 'node:dns/promises';

/** A lookup that takes longer is slow, and so is its name until one is not. */
const SLOW_LOOKUP_MS = 500;
/** Names that are remembered as slow; more than that have come and gone with reloads. */
const SLOW_NAMES_MAX = 10_000;

/** Looks a host name up. Rejects as getaddrinfo does. `isWanted`: an exchange waits for it, or it had an answer before. */
export type Lookup = (host: string, isWanted: boolean) => Promise<readonly string[]>;

interface Job {
  readonly host: string;
  readonly answer: PromiseWithResolvers<readonly string[]>;
  isWanted: boolean;
  /** A time of `performance.now()`; -1 = it waits. */
  startedAt: number;
}

/** The lookups of one process. */
export class Lookups {
  readonly #ask: (host: string) => Promise<readonly string[]>;
  readonly #slots: number;
  readonly #now: () => number;
  /** Those that run or wait, by name, in the order in which they were asked for. */
  readonly #jobs = new Map<string, Job>();
  readonly #slowNames = new Set<string>();
  #running = 0;

  /** `slots`: lookups that can run at once. */
  constructor(
    ask: (host: string) => Promise<readonly string[]>,
    slots: number,
    now: () => number = () => performance.now(),
  ) {
    this.#ask = ask;
    this.#slots = Math.max(1, slots);
    this.#now = now;
  }

  readonly lookup: Lookup = (host, isWanted) => {
    let job = this.#jobs.get(host);
    if (job === undefined) {
      job = { host, answer: Promise.withResolvers(), isWanted, startedAt: -1 };
      this.#jobs.set(host, job);
    } else if (isWanted) job.isWanted = true;
    this.#startAll();
    return job.answer.promise;
  };

  /** Somebody waits for this name now. */
  readonly want = (host: string): void => {
    const job = this.#jobs.get(host);
    if (job === undefined || job.isWanted) return;
    job.isWanted = true;
    this.#startAll();
  };

  #startAll(): void {
    const now = this.#now();
    for (;;) {
      const next = this.#next(now);
      if (next === null) return;
      next.startedAt = now;
      this.#running++;
      void this.#run(next);
    }
  }

  /** Wanted names that are not slow take any slot, unknown ones leave an eighth free, slow ones half. */
  #next(now: number): Job | null {
    if (this.#running >= this.#slots) return null;
    let unknown: Job | null = null;
    let slow: Job | null = null;
    let slowRunning = 0;
    for (const job of this.#jobs.values()) {
      const isSlow = this.#slowNames.has(job.host);
      if (job.startedAt >= 0) {
        if (isSlow || now - job.startedAt > SLOW_LOOKUP_MS) slowRunning++;
      } else if (isSlow) slow ??= job;
      else if (job.isWanted) return job;
      else unknown ??= job;
    }
    const reserve = Math.min(this.#slots - 1, Math.ceil(this.#slots / 8));
    if (unknown !== null && this.#running < this.#slots - reserve) return unknown;
    const slowMax = Math.max(1, Math.floor(this.#slots / 2));
    return slowRunning < slowMax && this.#running < Math.max(1, this.#slots - reserve) ? slow : null;
  }

  async #run(job: Job): Promise<void> {
    try {
      job.answer.resolve(await this.#ask(job.host));
    } catch (cause) {
      job.answer.reject(cause);
    }
    if (this.#now() - job.startedAt <= SLOW_LOOKUP_MS) this.#slowNames.delete(job.host);
    else if (this.#slowNames.size < SLOW_NAMES_MAX) this.#slowNames.add(job.host);
    this.#jobs.delete(job.host);
    this.#running--;
    this.#startAll();
  }
}

async function askSystem(host: string): Promise<readonly string[]> {
  const answers = await lookup(host, { all: true, order: 'verbatim' });
  return answers.map(({ address }) => address);
}

/** libuv reads the variable when its pool starts; main.ts sets it. Without it there are four threads. */
const THREADS = Math.min(1024, Number(process.env.UV_THREADPOOL_SIZE) || 4);

export const systemLookups = new Lookups(askSystem, Math.floor((THREADS + 1) / 2));

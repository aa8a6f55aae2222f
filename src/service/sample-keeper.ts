// Keeps samples beyond the end of their process: reads what ended processes have left in the store and goes on from it, writes
// its own at intervals and at the end of a drain. A process's samples are taken over by one other process alone, as their
// numbers are added up. Whatever the store does, the start waits for nothing and the drain for two seconds at most.

import type { Logger } from 'pino';
import { processId } from '../telemetry/process-id.ts';
import type { StoreFacts } from '../telemetry/running.ts';
import type { Sample } from '../telemetry/sample.ts';
import { adoptSample, hasOwnBuckets } from '../telemetry/sample-state.ts';
import { decodeHead, decodeSamples, type EntryHead, encodeEntry } from './sample-entry.ts';
import { ENTRY_BYTES_MAX, type SampleStore, type StoreEntries } from './sample-store.ts';

/** Longest time that a drain waits for the last write. */
export const HAND_OVER_MS = 2000;
/** Longest time that reading or writing may take before it is given up. */
const SESSION_MS = 10_000;
/** An entry that is not ended and as old as so many intervals, or so many milliseconds, is that of a killed process. */
const STALE_INTERVALS = 5;
const STALE_MS_MIN = 60_000;
/** Entries that are looked at, newest first; older ones than KEEP_MS are removed. */
const ENTRIES_MAX = 256;
const KEEP_MS = 30 * 24 * 3600 * 1000;
/** Ids of processes that are remembered. */
const ADOPTED_MAX = 1000;

/** Whose samples are kept. */
export interface KeptSamples {
  /** The present samples, brought up to date. */
  samples(): Promise<readonly Sample[]>;
  /** Host name and addresses: those of an earlier process of the same container are equal. */
  readonly owner: string;
}

/** The samples of one process in a store. The service owns it from the start to the end of the drain. */
export class SampleKeeper implements StoreFacts {
  adopted: readonly string[] = [];
  writes = 0;
  readonly failures = { read: 0, write: 0, timeout: 0, entry: 0 };
  problem: string | null = null;
  writtenMs: number | null = null;
  readonly #store: SampleStore;
  readonly #kept: KeptSamples;
  readonly #intervalMs: number;
  readonly #log: Logger;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #session: Promise<unknown> | null = null;
  #isEnded = false;

  constructor(
    store: SampleStore,
    kept: KeptSamples,
    intervalMs: number,
    log: Logger,
    now: () => number = Date.now,
  ) {
    this.#store = store;
    this.#kept = kept;
    this.#intervalMs = intervalMs;
    this.#log = log;
    this.#now = now;
  }

  /** Goes on from ended processes and writes from then on. Requests are served meanwhile; never rejects. */
  async start(): Promise<void> {
    await this.#try('read', SESSION_MS, async (session) => {
      const adopted = await this.#adopt(session);
      if (adopted === 0) return;
      const keys = (await this.#kept.samples()).reduce(
        (sum, sample) => sum + sample.counts().reduce((all, count) => all + count.keys, 0),
        0,
      );
      this.#log.info({ processes: adopted, keys: Math.round(keys) }, 'sample continued from the store');
    });
    if (this.#isEnded) return;
    this.#timer = setInterval(() => void this.#write(false, SESSION_MS), this.#intervalMs).unref();
  }

  /** The last write. Never rejects, and ends after HAND_OVER_MS. */
  async handOver(): Promise<void> {
    this.#isEnded = true;
    clearInterval(this.#timer);
    await this.#write(true, HAND_OVER_MS);
  }

  async #write(isEnded: boolean, limitMs: number): Promise<void> {
    await this.#try('write', limitMs, async (session) => {
      await session.write(processId(), await this.#entry(isEnded));
      this.writes += 1;
      this.writtenMs = this.#now();
    });
  }

  async #entry(isEnded: boolean): Promise<Buffer> {
    const head: EntryHead = {
      version: 1,
      process: processId(),
      owner: this.#kept.owner,
      writtenMs: this.#now(),
      isEnded,
      adopted: this.adopted,
    };
    const bytes = await encodeEntry(head, await this.#kept.samples());
    if (bytes.length > ENTRY_BYTES_MAX)
      throw new Error(`the samples take ${bytes.length} bytes, more than 64 MiB`);
    return bytes;
  }

  /** Takes over what ended processes have left; how many. */
  async #adopt(session: StoreEntries): Promise<number> {
    const entries: { id: string; head: EntryHead; bytes: Buffer; lengths: readonly number[] }[] = [];
    for (const id of (await session.list()).slice(0, ENTRIES_MAX)) {
      if (id === processId()) continue;
      const bytes = await session.read(id);
      if (bytes === null) continue;
      try {
        const { samples, ...head } = decodeHead(bytes);
        entries.push({ id, head, bytes, lengths: samples });
      } catch (cause) {
        this.#refuse(id, cause as Error);
      }
    }
    // Left by a process that died between its first write and removing what it had taken over.
    const inOthers = new Set(entries.flatMap(({ head }) => head.adopted));
    let count = 0;
    for (const { id, head, bytes, lengths } of entries) {
      if (inOthers.has(id) || this.#now() - head.writtenMs > KEEP_MS) await session.remove(id);
      else if (this.#hasEnded(head) && (await this.#takeOver(session, id, head, bytes, lengths))) count += 1;
    }
    return count;
  }

  #hasEnded({ isEnded, owner, writtenMs }: EntryHead): boolean {
    const staleMs = Math.max(STALE_MS_MIN, STALE_INTERVALS * this.#intervalMs);
    return isEnded || owner === this.#kept.owner || this.#now() - writtenMs > staleMs;
  }

  async #takeOver(
    session: StoreEntries,
    id: string,
    head: EntryHead,
    bytes: Buffer,
    lengths: readonly number[],
  ): Promise<boolean> {
    let states: Awaited<ReturnType<typeof decodeSamples>>;
    try {
      states = await decodeSamples(bytes, lengths);
    } catch (cause) {
      this.#refuse(id, cause as Error);
      return false;
    }
    const present = new Map((await this.#kept.samples()).map((sample) => [sample.split, sample]));
    const ours = states.filter(
      ({ identity }) => present.get(identity.split)?.definition === identity.definition,
    );
    // Of another configuration: another process may want it.
    if (ours.length === 0) return false;
    if (!(await session.claim(id))) return false;
    if (!ours.every(hasOwnBuckets))
      this.#log.warn({ entry: id }, 'durations in the store have other buckets and are left out');
    for (const state of ours) adoptSample(present.get(state.identity.split)!, state);
    this.adopted = [...this.adopted, id, ...head.adopted].slice(-ADOPTED_MAX);
    await session.write(processId(), await this.#entry(false));
    await session.remove(id);
    return true;
  }

  #refuse(id: string, cause: Error): void {
    this.failures.entry += 1;
    this.#log.warn({ entry: id, cause: cause.message }, 'sample in the store cannot be read');
  }

  /** Runs one session after the other; one that takes too long is left to itself, and none begins before it has ended. */
  async #try(
    what: 'read' | 'write',
    limitMs: number,
    work: (session: StoreEntries) => Promise<void>,
  ): Promise<void> {
    const limit = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => limit.resolve('late'), limitMs);
    const run = async () => {
      await this.#session;
      const session = this.#store.use(work);
      this.#session = session.catch(() => undefined);
      await session;
    };
    try {
      if ((await Promise.race([run(), limit.promise])) === 'late') {
        this.failures.timeout += 1;
        this.#fail(what, `no answer within ${limitMs} ms`);
      } else this.problem = null;
    } catch (cause) {
      this.failures[what] += 1;
      this.#fail(what, (cause as Error).message);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The first of several equal failures has a line of its own; all are counted. */
  #fail(what: 'read' | 'write', cause: string): void {
    const problem = `${what}: ${cause}`;
    if (this.problem !== problem) this.#log.warn({ cause, what }, 'sample store failed');
    this.problem = problem;
  }
}

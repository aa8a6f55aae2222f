// Samples that outlive their process: taken over once, by one process, and a store that fails delays nothing for longer than
// it says. The store is a map of the test's own, the clock too.
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { FolderStore } from '../../../src/service/folder-store.ts';
import { encodeEntry } from '../../../src/service/sample-entry.ts';
import { HAND_OVER_MS, SampleKeeper } from '../../../src/service/sample-keeper.ts';
import type { SampleStore, StoreEntries } from '../../../src/service/sample-store.ts';
import type { Sample } from '../../../src/telemetry/sample.ts';
import { FleetPodModel } from '../../support/fleet-pods.ts';
import { randomHashes } from '../../support/random.ts';

const log = pino({ level: 'silent' });
const NOW = Date.parse('2030-01-01T00:00:00Z');
const id = (digit: number) => `00000000-0000-4000-8000-00000000000${digit}`;

/** Entries in memory. */
class MapStore implements SampleStore, StoreEntries {
  readonly entries = new Map<string, Buffer>();
  readonly claims = new Set<string>();
  use<T>(work: (session: StoreEntries) => Promise<T>): Promise<T> {
    return work(this);
  }
  list = async () => [...this.entries.keys()];
  read = async (entry: string) => this.entries.get(entry) ?? null;
  write = async (entry: string, bytes: Buffer) => void this.entries.set(entry, bytes);
  claim = async (entry: string) => !this.claims.has(entry) && this.claims.add(entry) !== undefined;
  remove = async (entry: string) => void this.entries.delete(entry);
}

const keeperOf = (store: SampleStore, sample: Sample, owner = 'pod-b :8000') =>
  new SampleKeeper(store, { samples: async () => [sample], owner }, 60_000, log, () => NOW);
const usedSample = (seed: number) => {
  const pod = new FleetPodModel('x', 'y');
  for (const hash of randomHashes(2000, seed)) pod.visit(hash, hash >= 2 ** 31 && hash % 5 === 0);
  return pod.sample;
};
const emptySample = () => new FleetPodModel('x', 'y').sample;
const requestsOf = (sample: Sample) =>
  sample.rows.reduce((sum, row) => sum + row.endings.reduce((all, one) => all + one, 0), 0);
const entryOf = (sample: Sample, more: Partial<Parameters<typeof encodeEntry>[0]> = {}) =>
  encodeEntry(
    {
      version: 1,
      process: id(1),
      owner: 'pod-a :8000',
      writtenMs: NOW - 1000,
      isEnded: true,
      adopted: [],
      ...more,
    },
    [sample],
  );

describe('a process that starts', () => {
  test('goes on from one that has drained: keys, numbers, begin and alarms', async () => {
    const old = usedSample(1);
    expect(old.verdict(NOW).state).toBe('hurts');
    const store = new MapStore();
    store.entries.set(id(1), await entryOf(old));
    const sample = emptySample();
    const keeper = keeperOf(store, sample);
    await keeper.start();
    expect(sample.counts()).toEqual(old.counts());
    expect(requestsOf(sample)).toBe(2000);
    expect(sample.since).toEqual(old.since);
    expect(sample.evidence.kept.alarms).not.toEqual([]);
    expect(keeper.adopted).toEqual([id(1)]);
    expect(store.entries.has(id(1))).toBe(false);
    await keeper.handOver();
  });

  test('leaves what another process has claimed, what lives elsewhere and what has another definition', async () => {
    const store = new MapStore();
    store.entries.set(id(1), await entryOf(usedSample(1)));
    store.claims.add(id(1));
    store.entries.set(id(2), await entryOf(usedSample(2), { process: id(2), isEnded: false }));
    const other = new FleetPodModel('x', 'y', {
      splits: {
        appversion: {
          variants: [
            { name: 'version_1a', share: '10%', upstream: 'a' },
            { name: 'version_1b', share: '*', upstream: 'b' },
          ],
        },
      },
    });
    store.entries.set(id(3), await entryOf(other.sample, { process: id(3) }));
    const sample = emptySample();
    const keeper = keeperOf(store, sample);
    await keeper.start();
    expect(requestsOf(sample)).toBe(0);
    expect([...store.entries.keys()]).toEqual([id(1), id(2), id(3)]);
    await keeper.handOver();
  });

  test('goes on from a process of its own container that was killed, and from one that has not written for long', async () => {
    const store = new MapStore();
    store.entries.set(id(1), await entryOf(usedSample(1), { isEnded: false, owner: 'pod-b :8000' }));
    store.entries.set(
      id(2),
      await entryOf(usedSample(2), { process: id(2), isEnded: false, writtenMs: NOW - 600_000 }),
    );
    const sample = emptySample();
    const keeper = keeperOf(store, sample);
    await keeper.start();
    expect(requestsOf(sample)).toBe(4000);
    await keeper.handOver();
  });

  test('adds nothing twice after a process has died between taking over and removing', async () => {
    const store = new MapStore();
    const first = usedSample(1);
    store.entries.set(id(1), await entryOf(first));
    store.entries.set(id(2), await entryOf(first, { process: id(2), adopted: [id(1)] }));
    const sample = emptySample();
    const keeper = keeperOf(store, sample);
    await keeper.start();
    expect(requestsOf(sample)).toBe(2000);
    await keeper.handOver();
  });

  test.each([
    ['no entry at all', Buffer.from('hello')],
    ['another version', Buffer.from('{"version":2}\n')],
    [
      'a sample that ends early',
      Buffer.from(
        `{"version":1,"process":"${id(1)}","owner":"a","writtenMs":1893456000000,"isEnded":true,"adopted":[],"samples":[100]}\nabc`,
      ),
    ],
  ])('counts %s and goes on without it', async (_, bytes) => {
    const store = new MapStore();
    store.entries.set(id(1), bytes);
    const sample = emptySample();
    const keeper = keeperOf(store, sample);
    await keeper.start();
    expect(keeper.failures.entry).toBe(1);
    expect(requestsOf(sample)).toBe(0);
    await keeper.handOver();
  });
});

describe('a store', () => {
  afterEach(() => vi.useRealTimers());

  test('that refuses everything is counted, and its error is said', async () => {
    const broken: SampleStore = { use: async () => Promise.reject(new Error('ECONNREFUSED 127.0.0.1:6379')) };
    const keeper = keeperOf(broken, emptySample());
    await keeper.start();
    await keeper.handOver();
    expect(keeper.failures).toMatchObject({ read: 1, write: 1 });
    expect(keeper.problem).toBe('write: ECONNREFUSED 127.0.0.1:6379');
  });

  test('that never answers delays the end of a drain by two seconds and no more', async () => {
    vi.useFakeTimers();
    const keeper = keeperOf({ use: () => new Promise(() => undefined) }, emptySample());
    const begin = performance.now();
    const handedOver = keeper.handOver();
    await vi.advanceTimersByTimeAsync(HAND_OVER_MS);
    await handedOver;
    expect(performance.now() - begin).toBe(HAND_OVER_MS);
    expect(keeper.failures.timeout).toBe(1);
  });
});

describe('a folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'samples-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('is made if it is missing, keeps apps apart, and gives a claim to one process alone', async () => {
    const path = join(folder, 'a', 'b');
    const shop = new FolderStore(path, 'shop');
    await shop.use((session) => session.write(id(1), Buffer.from('x')));
    expect(await new FolderStore(path, 'other').use((session) => session.list())).toEqual([]);
    expect(await shop.use((session) => session.list())).toEqual([id(1)]);
    expect(await shop.claim(id(1))).toBe(true);
    expect(await shop.claim(id(1))).toBe(false);
    await shop.remove(id(1));
    expect(readdirSync(path)).toEqual([]);
    expect(await shop.read(id(1))).toBeNull();
  });

  test('follows no link', async () => {
    writeFileSync(join(folder, 'secret'), 'x');
    symlinkSync(join(folder, 'secret'), join(folder, `shop.${id(1)}.sample`));
    await expect(new FolderStore(folder, 'shop').read(id(1))).rejects.toThrow('ELOOP');
  });
});

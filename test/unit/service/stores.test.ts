// The stores of samples, each through the text that names it: what is written can be read, one process alone claims it,
// and what is no entry is never taken for one.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { openStore } from '../../../src/service/open-store.ts';
import { CLAIM_MS, type SampleStore } from '../../../src/service/sample-store.ts';
import { fakeConfig } from '../../support/fake-running.ts';
import { freePort } from '../../support/free-port.ts';

const id = (digit: number) => `00000000-0000-4000-8000-00000000000${digit}`;
const BYTES = Buffer.from([0, 255, 13, 10, 128]);

const folder = mkdtempSync(join(tmpdir(), 'splitter-stores-'));
const hasRedis = existsSync('/usr/bin/redis-server');
if (!hasRedis) console.warn('skipped: redis-server is not installed (Debian package redis-server)');
let redis: ChildProcess | null = null;
let port = 0;

beforeAll(async () => {
  if (!hasRedis) return;
  port = await freePort();
  redis = spawn(
    'redis-server',
    ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--requirepass', 'pw'],
    {
      stdio: 'ignore',
    },
  );
  const isUp = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('close', () => socket.destroy());
      socket.once('connect', () => socket.end());
    });
  await vi.waitUntil(isUp, { timeout: 30_000 });
});
afterAll(() => {
  redis?.kill();
  rmSync(folder, { recursive: true });
});

const storeOf = async (store: string, name = 'app', passwordFile?: string) =>
  (await openStore({ ...fakeConfig().sample, store, name, passwordFile }))!;
const redisStore = (name: string) => {
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, 'pw\n');
  return storeOf(`redis://127.0.0.1:${port}`, name, passwordFile);
};

it('no store is opened where none is wanted', async () => {
  expect(await openStore({ ...fakeConfig().sample, store: 'off' })).toBeNull();
});

it('an empty file of a password is named, before any server is asked', async () => {
  const empty = join(folder, 'empty');
  writeFileSync(empty, '\n');
  const store = await storeOf('redis://127.0.0.1:1', 'app', empty);
  await expect(store.use(() => Promise.resolve())).rejects.toThrow(
    `expected a password in ${empty}, got an empty file`,
  );
});

const KINDS: [string, boolean, (name: string) => Promise<SampleStore>][] = [
  ['a folder', true, (name) => storeOf(folder, name)],
  ['a Redis server', hasRedis, redisStore],
];
for (const [kind, isThere, open] of KINDS) {
  describe.skipIf(!isThere)(kind, () => {
    it('has what was written last, until it is removed, and of its own name alone', async () => {
      const [store, other] = [await open('one'), await open('other')];
      await store.use(async (entries) => {
        expect([await entries.list(), await entries.read(id(1))]).toEqual([[], null]);
        await entries.write(id(1), Buffer.from('old'));
        await entries.write(id(1), BYTES);
        await entries.write(id(2), Buffer.from('two'));
      });
      await store.use(async (entries) => {
        expect((await entries.list()).sort()).toEqual([id(1), id(2)]);
        expect(await entries.read(id(1))).toEqual(BYTES);
        await entries.remove(id(1));
        expect([await entries.list(), await entries.read(id(1))]).toEqual([[id(2)], null]);
      });
      expect(await other.use((entries) => entries.list())).toEqual([]);
    });

    it('gives a claim to one process alone until the entry is removed', async () => {
      const [a, b] = [await open('claims'), await open('claims')];
      await a.use((entries) => entries.write(id(3), BYTES));
      const claims = await Promise.all([a, b].map((store) => store.use((entries) => entries.claim(id(3)))));
      expect(claims.filter((isMine) => isMine)).toHaveLength(1);
      await a.use((entries) => entries.remove(id(3)));
      expect(await b.use((entries) => entries.claim(id(3)))).toBe(true);
    });
  });
}

describe('entries of a folder', () => {
  it('are no link, no folder and no file of another name', async () => {
    const store = await storeOf(folder, 'strange');
    const file = (digit: number) => {
      const name = readdirSync(folder).find((one) => one.includes(id(digit)))!;
      return join(folder, name);
    };
    await store.use(async (entries) => {
      await entries.write(id(4), BYTES);
      await entries.write(id(5), BYTES);
    });
    const [linked, directory] = [file(4), file(5)];
    rmSync(linked);
    symlinkSync('/etc/hostname', linked);
    rmSync(directory);
    mkdirSync(directory);
    writeFileSync(linked.replace(id(4), 'not-an-id'), '');
    await store.use(async (entries) => {
      expect((await entries.list()).sort()).toEqual([id(4), id(5)]);
      await expect(entries.read(id(4))).rejects.toThrow();
      await expect(entries.read(id(5))).rejects.toThrow('regular file');
      await expect(entries.write(id(5), BYTES)).rejects.toThrow();
    });
  });

  it('have a new claim when the process that claimed them has died', async () => {
    const store = await storeOf(folder, 'dead');
    await store.use((entries) => entries.claim(id(6)));
    expect(await store.use((entries) => entries.claim(id(6)))).toBe(false);
    const claim = readdirSync(folder).find((name) => name.includes(id(6)))!;
    const long = (Date.now() - CLAIM_MS - 1000) / 1000;
    utimesSync(join(folder, claim), long, long);
    expect(await store.use((entries) => entries.claim(id(6)))).toBe(true);
  });
});

describe.skipIf(!hasRedis)('an unusable server', () => {
  it('that wants another password, or is gone, rejects with its own reason', async () => {
    const without = await storeOf(`redis://127.0.0.1:${port}`);
    await expect(without.use((entries) => entries.list())).rejects.toThrow(/NOAUTH/);
    const gone = await storeOf(`redis://127.0.0.1:${await freePort()}`);
    await expect(gone.use((entries) => entries.list())).rejects.toThrow(/ECONNREFUSED/);
  });
});

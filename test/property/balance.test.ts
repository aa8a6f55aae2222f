// The choice of an address by key, over 100,000 keys and 8 addresses: the same in every process, even, and stable when an
// address leaves. The bounds are those that operators are promised in docs/operations.md.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import murmurhash from 'murmurhash';
import { beforeAll, describe, expect, it } from 'vitest';
import { membersOf } from '../../src/config/options/upstream.ts';
import { RequestHead } from '../../src/http1/request-head.ts';
import { Address, UpstreamServer } from '../../src/upstream/address.ts';
import { Balance, chooseAddress } from '../../src/upstream/balance.ts';
import { OTHERS } from '../../src/upstream/health.ts';
import { configOf } from '../support/splitter.ts';

const GET = { isPipelinable: true, attempts: { failedAddresses: [] } };
const NO_HEAD = new RequestHead();

const KEYS = 100_000;
const HOSTS = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.1.1', '10.0.1.2', 'fd00::1', 'fd00::2'];

function addressesOf(hosts: readonly string[], weights: readonly number[] = []): Address[] {
  const servers = hosts.map((host, index) => ({
    url: `http://${host.includes(':') ? `[${host}]` : host}:8080`,
    weight: weights[index] ?? 1,
  }));
  const config = configOf({ upstreams: { u: { servers } }, routes: [{ upstream: 'u' }] }).upstreams.get('u')!;
  return membersOf(config).map(
    (member, index) =>
      new Address(hosts[index]!, new UpstreamServer(index, member, config, () => {}, 0), hosts[index]!),
  );
}

/** The host of each key; `skewMax` counts only where exchanges stay in flight. */
function choose(addresses: readonly Address[], keys: readonly number[], staysInFlight = false): string[] {
  const balance = new Balance({ maxSkew: 1.25 });
  return keys.map((keyHash) => {
    const address = balance.choose(addresses, { ...GET, head: NO_HEAD, keyHash }, 0)!;
    if (staysInFlight) address.inFlight++;
    return address.host;
  });
}

const countOf = (chosen: readonly string[]) =>
  HOSTS.map((host) => chosen.filter((one) => one === host).length);

let hashes: number[];
let chosen: string[];

beforeAll(() => {
  hashes = Array.from({ length: KEYS }, (_, at) => murmurhash.v2(Buffer.from(`user-${at}`), 0));
  chosen = choose(addressesOf(HOSTS), hashes);
});

describe('the choice by key', () => {
  it('gives every address its part, within two percent of all keys', () => {
    for (const count of countOf(chosen)) expect(Math.abs(count / KEYS - 1 / 8)).toBeLessThan(0.02);
  });

  it('is even among the keys of one variant, which all have a hash in the same range', () => {
    const first = hashes.filter((hash) => hash < 2 ** 31 / 5);
    const counts = countOf(choose(addressesOf(HOSTS), first));
    // Some 10,000 keys: six standard deviations of a count are 198.
    for (const count of counts) expect(Math.abs(count - first.length / 8)).toBeLessThan(198);
  });

  it('does not depend on the order of the addresses, nor on the process', () => {
    expect(choose(addressesOf([...HOSTS].reverse()), hashes)).toEqual(chosen);
    const script = `
      import { Balance, chooseAddress } from './src/upstream/balance.ts';
      import { Address } from './src/upstream/address.ts';
      const health = { isHealthy: () => true, needsTrial: false };
      const addresses = ${JSON.stringify(HOSTS)}.map((host) =>
        Object.assign(new Address(host, { url: { port: 8080, path: null }, weight: 1, isBackup: false }, host), { health }));
      const hashes = ${JSON.stringify(hashes.slice(0, 2000))};
      console.log(JSON.stringify(hashes.map((hash) => chooseAddress(addresses, ${JSON.stringify(GET)}, 0, hash, 1.25).host)));`;
    const output = execFileSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      encoding: 'utf8',
    });
    expect(JSON.parse(output)).toEqual(chosen.slice(0, 2000));
  });

  it('is the one that every version has made: replicas agree while one is replaced by the next', () => {
    const digestOf = (weights: readonly number[]) =>
      createHash('sha256')
        .update(
          choose(addressesOf(HOSTS, weights), hashes)
            .map((host) => HOSTS.indexOf(host))
            .join(''),
        )
        .digest('hex')
        .slice(0, 16);
    expect(digestOf([])).toBe('90dcfa7fdf779005');
    expect(digestOf([1, 2, 3, 1, 2, 3, 1, 2])).toBe('ad99b43f9da832e8');
  });

  it('is the same whether it is looked up in a table or made address by address, healthy or busy', () => {
    const balance = new Balance({ maxSkew: 1.25 });
    const addresses = addressesOf(HOSTS);
    addresses[2]!.health.observeFailure(0, { failures: 1, time: 1000, timeMax: 1000 }, OTHERS.allHealthy);
    addresses[4]!.inFlight = 100;
    for (const group of [addresses, addresses.slice(3), addressesOf(HOSTS, [2, 1])])
      for (const keyHash of hashes.slice(0, 5000))
        expect(balance.choose(group, { ...GET, head: NO_HEAD, keyHash }, 0)).toBe(
          chooseAddress(group, GET, 0, keyHash, 1.25),
        );
  });

  it('moves the keys of an address that is removed or ejected, and no other', () => {
    const gone = HOSTS[2]!;
    const without = choose(addressesOf(HOSTS.filter((host) => host !== gone)), hashes);
    const moved = without.filter((host, at) => host !== chosen[at]).length;
    expect(without.every((host, at) => chosen[at] === gone || host === chosen[at])).toBe(true);
    expect(moved / KEYS).toBeLessThan(1 / 8 + 0.005);
    const addresses = addressesOf(HOSTS);
    addresses[2]!.health.observeFailure(0, { failures: 1, time: 1000, timeMax: 1000 }, OTHERS.allHealthy);
    expect(choose(addresses, hashes)).toEqual(without);
  });

  it('goes by weight', () => {
    const counts = countOf(choose(addressesOf(HOSTS, [4, 4, 2, 2, 1, 1, 1, 1]), hashes));
    const parts = [4, 4, 2, 2, 1, 1, 1, 1].map((weight) => (KEYS * weight) / 16);
    // Six standard deviations of the largest part are 822.
    for (const [at, count] of counts.entries()) expect(Math.abs(count - parts[at]!)).toBeLessThan(822);
  });

  it('gives no address more than 1.25 times the mean, even if half of all exchanges have one key', () => {
    const skewed = hashes.map((hash, at) => (at % 2 === 0 ? 42 : hash));
    const counts = countOf(choose(addressesOf(HOSTS), skewed, true));
    expect(Math.max(...counts)).toBeLessThanOrEqual(Math.ceil((1.25 * KEYS) / 8));
    // Only while few exchanges are in flight does chance fill one of the addresses.
    const plain = choose(addressesOf(HOSTS), hashes, true);
    expect(plain.filter((host, at) => host !== chosen[at]).length).toBeLessThan(100);
  });

  it('keeps a key on its address while that has fewer than 8 exchanges in flight, whatever the others have', () => {
    const addresses = addressesOf(HOSTS);
    const hosts = choose(addresses, Array(8).fill(42), true);
    expect(new Set(hosts).size).toBe(1);
    expect(choose(addresses, [42])).not.toEqual(hosts.slice(0, 1));
  });
});

// Chooses the address of an upstream that an exchange goes to: for a key always the same one, as long as it is healthy
// and not too busy; without a key the less busy one of two that are drawn by weight. It opens no connection. Sources: two
// random choices after Mitzenmacher (2001), here without replacement; weighted rendezvous hashing after Schindelhauer and
// Schomaker (2005); bounded load after Mirrokni, Thorup and Zadimoghaddam (2018); backups as in nginx's upstream module.

import murmurhash from 'murmurhash';
import type { BalanceConfig } from '../config/options/balance.ts';
import { type CompiledKey, compileKey } from '../key/compile.ts';
import { HASH_COUNT } from '../split/ranges.ts';
import type { AddressFacts, UpstreamExchange } from '../transport/contracts.ts';
import type { Address } from './address.ts';

/** Exchanges that an address may have in flight whatever the others have: below that a mean says nothing. */
const BUSY_MIN = 8;
/** Waiting exchanges that are looked at for one whose address has a connection free. */
const LOOKAHEAD_MAX = 16;

/** What the choice depends on besides the addresses and the key. */
export type ChoosingExchange = Pick<UpstreamExchange, 'isPipelinable'> & {
  readonly attempts: Pick<UpstreamExchange['attempts'], 'failedAddresses'>;
};

/** The same for one of the upstream's balance, which hashes another key or takes that of the split. */
type BalancedExchange = ChoosingExchange & Pick<UpstreamExchange, 'keyHash' | 'head'>;

/** Those that the present choice is made from: one array for all choices, as none outlives its call. */
const choices: Address[] = [];

/**
 * The numbers that the addresses of an upstream score by, side by side: looking for the best one reads nothing else
 * (bench/micro.ts). Its owner makes another one when the addresses change.
 */
class Seats {
  readonly addresses: readonly Address[];
  readonly #seeds: Int32Array;
  readonly #factors: Int32Array;
  /** No address is a backup, and all weights are equal. */
  readonly #isEven: boolean;

  constructor(addresses: readonly Address[]) {
    const [first] = addresses;
    this.addresses = addresses;
    this.#seeds = Int32Array.from(addresses, ({ seed }) => seed);
    this.#factors = Int32Array.from(addresses, ({ factor }) => factor);
    this.#isEven = addresses.every(
      ({ server }) => !server.isBackup && server.weight === first?.server.weight,
    );
  }

  /**
   * What `pickByHash` gives where the address that scores highest of all is healthy and not busy: nearly every choice by
   * key. Null otherwise, and where backups or weights count as well.
   */
  pick(hash: number, now: number): Address | null {
    if (!this.#isEven) return null;
    const seeds = this.#seeds;
    const factors = this.#factors;
    let best = 0;
    let bestHalf = 0;
    // Which address is the best is chance, so a branch on it would be guessed wrong two or three times a choice: bits of
    // the scores' upper 31 bits choose instead. Where those are equal, `pickByHash` looks at the last one.
    for (let i = 0; i < seeds.length; i++) {
      const half = uniform(hash, seeds[i]!, factors[i]!) >>> 1;
      const difference = bestHalf - half;
      if (difference === 0) return null;
      const isBetter = difference >> 31;
      bestHalf ^= (bestHalf ^ half) & isBetter;
      best ^= (best ^ i) & isBetter;
    }
    const address = this.addresses[best]!;
    const { health } = address;
    return health.isHealthy(now) && !health.needsTrial && address.inFlight < BUSY_MIN ? address : null;
  }
}

/** How one upstream, which owns it, shares its exchanges among its addresses. The same key has the same address in every process. */
export class Balance {
  /** By key; otherwise every exchange is drawn. */
  readonly isByKey: boolean;
  /** The key of the upstream's own; null = that of the split. */
  readonly #key: CompiledKey | null;
  readonly #skewMax: number;
  /** Of the addresses of the last choice by key, which change only with a lookup. */
  #seats: Seats | null = null;
  /** How often in a row another exchange was served before the first of the queue. */
  #overtaken = 0;

  /** Throws only on a broken invariant: the key text was checked before. */
  constructor(config: BalanceConfig) {
    this.isByKey = config !== null;
    this.#skewMax = config?.maxSkew ?? 0;
    const key = config?.key === undefined ? null : compileKey(config.key);
    if (key !== null && 'error' in key) throw new Error(`broken invariant: the key of balance: ${key.error}`);
    this.#key = key;
  }

  /** The address for this exchange, none where one of its connects has failed; null as `chooseAddress` gives it. */
  choose(addresses: readonly Address[], exchange: BalancedExchange, now: number): Address | null {
    if (!this.isByKey || addresses.length <= 1) return chooseAddress(addresses, exchange, now);
    const hash = this.#hashOf(exchange);
    if (hash >= 0 && exchange.attempts.failedAddresses.length === 0) {
      if (this.#seats?.addresses !== addresses) this.#seats = new Seats(addresses);
      const usual = this.#seats.pick(hash, now);
      if (usual !== null) return usual;
    }
    return chooseAddress(addresses, exchange, now, hash, this.#skewMax);
  }

  /**
   * Which of those that wait takes a connection to `address`: the first one, or by key one of the first whose address this
   * is. Null where the connection suits none of them and has to make room. The one at the front is overtaken so often at most.
   */
  pickWaiting(
    waiting: Iterable<UpstreamExchange>,
    addresses: readonly Address[],
    address: Address,
    now: number,
  ): UpstreamExchange | null {
    let looked = 0;
    for (const exchange of waiting) {
      if (this.suits(exchange, addresses, address, now)) {
        this.#overtaken = looked === 0 ? 0 : this.#overtaken + 1;
        return exchange;
      }
      if (++looked === LOOKAHEAD_MAX || this.#overtaken >= LOOKAHEAD_MAX) break;
    }
    this.#overtaken = 0;
    return null;
  }

  /** A connection to `address` may serve this exchange. */
  suits(exchange: UpstreamExchange, addresses: readonly Address[], address: Address, now: number): boolean {
    return !this.isByKey || this.choose(addresses, exchange, now) === address;
  }

  /** -1 without a key. */
  #hashOf(exchange: BalancedExchange): number {
    if (this.#key === null) return exchange.keyHash;
    const bytes = this.#key.expand(exchange.head);
    return this.#key.isMissing(bytes) ? -1 : murmurhash.v2(bytes, 0);
  }
}

/**
 * The address for an exchange: a healthy one at which it has not failed, backups only while no other is healthy, or else
 * the ejected one that comes back first. Null when the probes found all of them down. `hash` is that of the exchange's
 * key, -1 = none; with a key no address takes more than `skewMax` times the mean. Without a key, a request that cannot be
 * sent again goes to no address on probation, as long as at least half of them are not.
 */
export function chooseAddress(
  addresses: readonly Address[],
  exchange: ChoosingExchange,
  now: number,
  hash = -1,
  skewMax = 1,
): Address | null {
  if (addresses.length === 1) {
    const only = addresses[0]!;
    return only.health.isProbedDown ? null : only;
  }
  const failed = exchange.attempts.failedAddresses;
  if (hash >= 0 && failed.length === 0 && areAllWell(addresses, now))
    return pickByHash(addresses, hash, skewMax);
  choices.length = 0;
  let isBackup = true;
  let needsTrial = false;
  let onProbation = 0;
  for (let i = 0; i < addresses.length; i++) {
    const address = addresses[i]!;
    const { health, server } = address;
    if (!health.isHealthy(now) || (failed.length > 0 && failed.includes(address))) continue;
    if (isBackup && !server.isBackup) {
      isBackup = false;
      choices.length = 0;
      onProbation = 0;
    }
    if (server.isBackup !== isBackup) continue;
    needsTrial ||= health.needsTrial;
    if (health.isOnProbation(now)) onProbation++;
    choices.push(address);
  }
  if (choices.length === 0) return chooseUnhealthy(addresses, failed);
  if (hash < 0 && onProbation > 0 && onProbation * 2 <= choices.length && !exchange.isPipelinable) {
    for (let i = choices.length - 1; i >= 0; i--)
      if (choices[i]!.health.isOnProbation(now)) choices.splice(i, 1);
    return drawOne();
  }
  if (needsTrial && (hash < 0 || failed.length > 0)) {
    const trial = choices.find(({ health }) => health.needsTrial);
    // The first exchange after an ejection is the trial. One that has failed already goes where it is safer. With a key
    // the trial is an exchange whose own address it is: no other key moves.
    if (trial !== undefined && (failed.length === 0 || choices.every(({ health }) => health.needsTrial)))
      return trial;
    for (let i = choices.length - 1; i >= 0; i--) if (choices[i]!.health.needsTrial) choices.splice(i, 1);
  }
  return hash < 0 ? drawOne() : pickByHash(choices, hash, skewMax);
}

/** An address-specific product, then MurmurHash3's finaliser: nearby hashes and addresses have nothing in common. */
function uniform(hash: number, seed: number, factor: number): number {
  let h = Math.imul(hash ^ seed, factor);
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** All are healthy without a trial, and none is a backup. */
function areAllWell(addresses: readonly Address[], now: number): boolean {
  for (let i = 0; i < addresses.length; i++) {
    const { health, server } = addresses[i]!;
    if (!health.isHealthy(now) || health.needsTrial || server.isBackup) return false;
  }
  return true;
}

function drawOne(): Address {
  const first = drawByWeight();
  if (choices.length === 1) return first;
  choices.splice(choices.indexOf(first), 1);
  const second = drawByWeight();
  return second.inFlight * first.server.weight < first.inFlight * second.server.weight ? second : first;
}

function drawByWeight(): Address {
  let total = 0;
  for (const { server } of choices) total += server.weight;
  let left = Math.random() * total;
  for (const address of choices) {
    left -= address.server.weight;
    if (left < 0) return address;
  }
  return choices.at(-1)!;
}

/**
 * Of these the one that scores highest for the hash and is not too busy: `-weight / ln(u)`, u made of the hash and the
 * address. Where all weights are equal the highest u has the highest score, and no logarithm is taken.
 */
function pickByHash(candidates: readonly Address[], hash: number, skewMax: number): Address {
  let inFlight = 1;
  let weights = 0;
  const { weight } = candidates[0]!.server;
  let isEven = true;
  for (let i = 0; i < candidates.length; i++) {
    const address = candidates[i]!;
    const own = address.server.weight;
    inFlight += address.inFlight;
    weights += own;
    if (own !== weight) isEven = false;
  }
  const share = (skewMax * inFlight) / weights;
  let best = candidates[0]!;
  let bestScore = -1;
  for (let i = 0; i < candidates.length; i++) {
    const address = candidates[i]!;
    if (address.inFlight >= BUSY_MIN && address.inFlight >= Math.ceil(share * address.server.weight))
      continue;
    const u = uniform(hash, address.seed, address.factor);
    const score = isEven ? u : -address.server.weight / Math.log((u + 0.5) / HASH_COUNT);
    if (score > bestScore || (score === bestScore && address.seed < best.seed)) {
      best = address;
      bestScore = score;
    }
  }
  return best;
}

/** None is healthy: of those that are only ejected, the one that comes back first and was not just tried. */
function chooseUnhealthy(addresses: readonly Address[], failed: readonly AddressFacts[]): Address | null {
  let best: Address | null = null;
  for (const address of addresses) {
    if (address.health.isProbedDown) continue;
    const isBetter =
      best === null ||
      (failed.includes(best)
        ? !failed.includes(address)
        : !failed.includes(address) && address.health.ejectedUntil < best.health.ejectedUntil);
    if (isBetter) best = address;
  }
  return best;
}

// One upstream: its addresses, the connections to them, and the exchanges that wait for one. It decides which address
// an exchange goes to and when a connection is opened, kept or closed. It knows nothing of splits or of HTTP.
// Sources: RFC 9112 §9.3-9.4; two random choices after Mitzenmacher (2001).

import type { UpstreamConfig } from '../config/schema.ts';
import { FAULT_CODES, type FaultCode } from '../errors.ts';
import { Probe } from '../health/probe.ts';
import { AddressHealth } from '../health/state.ts';
import type { UpstreamCounters } from '../telemetry/counters.ts';
import type { Deadlines } from './deadlines.ts';
import type { Exchange } from './exchange.ts';
import { type Lookup, Resolver } from './resolve.ts';
import { TlsSettings } from './tls.ts';
import { UpstreamConnection } from './upstream-connection.ts';

/** Addresses that are tried for one exchange; more would only spend the client's time. */
const CONNECT_ATTEMPTS_MAX = 4;

/** One address of an upstream and what is connected to it. */
export class Address {
  readonly host: string;
  /** Connections that wait for an exchange; the last one in is the first one out, so that the surplus ages away. */
  readonly idle: UpstreamConnection[] = [];
  readonly health = new AddressHealth();
  /** Exchanges that are on a connection to this address. */
  inFlight = 0;
  /** The name no longer has this address. */
  isGone = false;
  /** Asks regularly whether the address is up; null without `probe`. */
  probe: Probe | null = null;

  constructor(host: string) {
    this.host = host;
  }
}

export class Upstream {
  readonly name: string;
  readonly config: UpstreamConfig;
  readonly deadlines: Deadlines;
  /** How TLS is spoken; null for a plain upstream. */
  readonly tls: TlsSettings | null;
  readonly #counters: UpstreamCounters;
  readonly #resolver: Resolver;
  #addresses: Address[] = [];
  #resolved: readonly string[] = [];
  readonly #connections = new Set<UpstreamConnection>();
  /** Exchanges that wait for a connection, in order of arrival; a Set so that one that gives up leaves at once. */
  readonly #waiting = new Set<Exchange>();
  /** Most connections at once; none once it is stopped. */
  #connectionsMax: number;
  #isRetired = false;

  constructor(
    name: string,
    config: UpstreamConfig,
    deadlines: Deadlines,
    counters: UpstreamCounters,
    lookup?: Lookup,
  ) {
    this.name = name;
    this.config = config;
    this.deadlines = deadlines;
    this.#counters = counters;
    this.#connectionsMax = config.pool.maxConnections;
    this.tls = config.url.tls ? new TlsSettings(config.tls, config.url, performance.now()) : null;
    // A Unix socket needs no lookup; any IP address stands for it.
    const host = config.url.path === null ? config.url.host : '127.0.0.1';
    this.#resolver = new Resolver(host, this.#onResolved, lookup);
    this.#resolver.refresh(performance.now());
    this.#adopt();
  }

  /** Why the upstream cannot be reached now, for /readyz and /status; null when it has a healthy address. */
  get trouble(): string | null {
    if (this.#addresses.length === 0) {
      const failure = this.#resolver.failure;
      return failure === null ? 'its name is being looked up' : `its name has no address: ${failure.message}`;
    }
    const now = performance.now();
    const isWell = this.#addresses.some(({ health }) => health.isHealthy(now) && !health.isFailing);
    return isWell ? null : 'the last connects or exchanges with every address failed';
  }

  /** The addresses with their state, for /status. */
  describe(): { address: string; healthy: boolean; inFlight: number; idle: number }[] {
    const now = performance.now();
    return this.#addresses.map((address) => ({
      address: address.host,
      healthy: address.health.isHealthy(now),
      inFlight: address.inFlight,
      idle: address.idle.length,
    }));
  }

  /** The name has at least one address. */
  get hasAddress(): boolean {
    return this.#addresses.length > 0;
  }

  /** Open connections, busy or idle. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Finds a connection for the exchange: calls its `start` at once with an idle one, or later with a new one, or its
   * `fail`. `needsFresh` asks for a new connection: the exchange was just lost on a reused one.
   */
  checkOut(exchange: Exchange, now: number, needsFresh: boolean): void {
    this.#resolver.refresh(now);
    if (this.#addresses.length === 0) {
      if (this.#resolver.failure !== null) exchange.unreachable('UPSTREAM_UNRESOLVED', now);
      else this.#wait(exchange, now, this.config.connectTimeout);
      return;
    }
    const address = this.#pickAddress(exchange, now);
    if (address === null) return exchange.unreachable('UPSTREAM_DOWN', now);
    if (!needsFresh) {
      const connection = this.#popIdle(address, now);
      if (connection !== null) {
        address.inFlight++;
        exchange.start(connection, now);
        return;
      }
    }
    if (this.#connections.size >= this.#connectionsMax) this.#closeOneIdle();
    if (this.#connections.size < this.#connectionsMax) {
      this.#connect(address, exchange, now);
    } else this.#wait(exchange, now, this.config.pool.queueTimeout);
  }

  /** Takes back a connection whose exchange has ended well. */
  release(connection: UpstreamConnection, now: number): void {
    const { address } = connection;
    address.health.observeSuccess();
    const isSpent = now >= connection.retireAt || connection.exchanges >= connection.exchangesMax;
    if (this.#isRetired || address.isGone || isSpent) return connection.destroy();
    const next = this.#nextWaiting();
    if (next !== null) return next.start(connection, now);
    address.inFlight--;
    address.idle.push(connection);
    this.deadlines.set(connection, now + this.config.pool.idleTimeout);
  }

  /** The exchange no longer waits. */
  forget(exchange: Exchange): void {
    if (this.#waiting.delete(exchange)) this.#counters.waiting(-1);
  }

  /** No generation uses this upstream any more: idle connections close now, busy ones when their exchange ends. */
  retire(): void {
    this.#isRetired = true;
    for (const address of this.#addresses) {
      this.#closeIdle(address);
      address.probe?.stop();
    }
  }

  /** Ends every connection at once. */
  stop(): void {
    this.retire();
    this.#connectionsMax = 0;
    for (const connection of [...this.#connections]) connection.destroy();
  }

  /** A connection is established. */
  connected(connection: UpstreamConnection): void {
    const now = performance.now();
    this.#counters.connectionOpened();
    const { exchange } = connection;
    if (exchange !== null) return exchange.start(connection, now);
    // The exchange that it was opened for has gone; inFlight counted it until now.
    this.release(connection, now);
  }

  /** A connect failed: another address is tried for the exchange before it fails. */
  connectFailed(
    connection: UpstreamConnection,
    exchange: Exchange | null,
    code: FaultCode,
    now: number,
  ): void {
    this.#counters.connectFailed(FAULT_CODES.indexOf(code));
    if (code !== 'RESOURCES_EXHAUSTED') this.observeFailure(connection.address, now);
    this.#resolver.distrust(now);
    if (exchange === null) return;
    exchange.connectAttempts++;
    exchange.failedAddress = connection.address;
    const canTryOther = exchange.connectAttempts < Math.min(this.#addresses.length, CONNECT_ATTEMPTS_MAX);
    if (canTryOther && code !== 'RESOURCES_EXHAUSTED') this.checkOut(exchange, now, true);
    else exchange.unreachable(code, now);
  }

  /** An exchange failed in a way that speaks against the address: a reset, silence, or something that is no HTTP. */
  observeFailure(address: Address, now: number): void {
    const isLastHealthy = !this.#addresses.some((other) => other !== address && other.health.isHealthy(now));
    if (address.health.observeFailure(now, this.config.eject, isLastHealthy)) this.#counters.ejected();
  }

  /** A connection is closed; whoever waits may open another one. */
  closed(connection: UpstreamConnection, wasConnecting: boolean): void {
    this.#connections.delete(connection);
    this.deadlines.remove(connection);
    if (!wasConnecting) this.#counters.connectionClosed();
    const { idle } = connection.address;
    const index = idle.indexOf(connection);
    if (index !== -1) idle.splice(index, 1);
    else connection.address.inFlight--;
    // One that turns out to need no connection leaves the room to those behind it.
    while (this.#connections.size < this.#connectionsMax) {
      const next = this.#nextWaiting();
      if (next === null) return;
      this.checkOut(next, performance.now(), false);
    }
  }

  #connect(address: Address, exchange: Exchange, now: number): void {
    const connection = new UpstreamConnection(this, address, this.config.url, now);
    connection.exchange = exchange;
    exchange.connecting(connection, now);
    address.inFlight++;
    this.#connections.add(connection);
    this.deadlines.add(connection);
    this.deadlines.set(connection, now + this.config.connectTimeout);
  }

  #wait(exchange: Exchange, now: number, timeoutMs: number): void {
    if (this.#waiting.size >= this.config.pool.maxQueued) return exchange.fail('QUEUE_FULL');
    this.#waiting.add(exchange);
    this.#counters.waiting(1);
    exchange.wait(now + timeoutMs);
  }

  #nextWaiting(): Exchange | null {
    for (const exchange of this.#waiting) {
      this.forget(exchange);
      return exchange;
    }
    return null;
  }

  /** Two random choices among the healthy addresses, the one with fewer exchanges wins; null when all are down. */
  #pickAddress(exchange: Exchange, now: number): Address | null {
    const addresses = this.#addresses;
    if (addresses.length === 1) {
      const only = addresses[0]!;
      return only.health.isProbedDown ? null : only;
    }
    const healthy = addresses.filter(
      (address) => address.health.isHealthy(now) && address !== exchange.failedAddress,
    );
    if (healthy.length === 0) return this.#pickUnhealthy(exchange);
    const first = healthy[Math.floor(Math.random() * healthy.length)]!;
    const second = healthy[Math.floor(Math.random() * healthy.length)]!;
    return second.inFlight < first.inFlight ? second : first;
  }

  /** None is healthy: of those that are only ejected, the one that comes back first and was not just tried. */
  #pickUnhealthy(exchange: Exchange): Address | null {
    let best: Address | null = null;
    for (const address of this.#addresses) {
      if (address.health.isProbedDown) continue;
      if (best === null || best === exchange.failedAddress) best = address;
      else if (address !== exchange.failedAddress && address.health.ejectedUntil < best.health.ejectedUntil)
        best = address;
    }
    return best;
  }

  #popIdle(address: Address, now: number): UpstreamConnection | null {
    for (;;) {
      const connection = address.idle.pop();
      if (connection === undefined) return null;
      if (connection.deadline > now && connection.retireAt > now) return connection;
      address.inFlight++;
      connection.destroy();
    }
  }

  /** Makes room for a connection to an address that has none idle. */
  #closeOneIdle(): void {
    for (const address of this.#addresses) {
      const connection = address.idle[0];
      if (connection !== undefined) return connection.destroy();
    }
  }

  #closeIdle(address: Address): void {
    for (const connection of [...address.idle]) connection.destroy();
  }

  readonly #onResolved = (): void => {
    const { hasAddress } = this;
    this.#adopt();
    // Those who wait now wait for a connection, not for the name: their turn and their time limit stay what they are.
    if (hasAddress) return;
    const now = performance.now();
    if (this.#addresses.length === 0 && this.#resolver.failure === null) return;
    for (const exchange of [...this.#waiting]) {
      this.forget(exchange);
      this.checkOut(exchange, now, false);
    }
  };

  #adopt(): void {
    const hosts = this.#resolver.addresses;
    if (hosts === this.#resolved) return;
    this.#resolved = hosts;
    const known = new Map(this.#addresses.map((address) => [address.host, address]));
    this.#addresses = hosts.map((host) => known.get(host) ?? this.#open(host));
    for (const address of known.values()) {
      if (hosts.includes(address.host)) continue;
      address.isGone = true;
      address.probe?.stop();
      this.#closeIdle(address);
    }
  }

  #open(host: string): Address {
    const address = new Address(host);
    const { probe, url } = this.config;
    if (probe === undefined || this.#isRetired) return address;
    const origin = `${url.tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${url.port || 80}`;
    const { secureContext, servername } = this.tls?.optionsFor(host, performance.now()) ?? {};
    const tls = this.tls === null ? {} : { secureContext, servername };
    const target = { origin, host: url.authority, socketPath: url.path, tls };
    address.probe = new Probe(target, probe, (isUp) => address.health.observeProbe(isUp));
    return address;
  }
}

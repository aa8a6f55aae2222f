// One upstream: its servers with their addresses, the connections to them, and the exchanges that wait for one. It
// decides which address an exchange goes to and when a connection is opened, kept or closed. It knows nothing of splits
// or of HTTP. Sources: RFC 9112 §9.3-9.4; nginx's upstream module.

import type { UpstreamConfig } from '../config/options/upstream.ts';
import { type Cause, FAULT_CODES, type FaultCode, limitOf } from '../errors.ts';
import type { HeadLimits } from '../http1/fields.ts';
import { responseLimits } from '../http1/response-head.ts';
import type { UpstreamCounters } from '../telemetry/counters.ts';
import type { AddressView } from '../telemetry/running.ts';
import type { UpstreamExchange } from '../transport/contracts.ts';
import type { Deadlines } from '../transport/deadlines.ts';
import { Descriptors } from '../transport/descriptors.ts';
import type { Address, IdleConnection } from './address.ts';
import { Balance } from './balance.ts';
import { describeLookupError } from './connect-failure.ts';
import { UpstreamConnection } from './connection.ts';
import type { UpstreamConnectionOwner } from './connection-owner.ts';
import type { Lookup } from './lookups.ts';
import { PoolLimits } from './pool-limits.ts';
import { PoolReview, type ReviewedPool } from './pool-review.ts';
import { Reconnect } from './reconnect.ts';
import { type PoolFacts, type UpstreamEvents, UpstreamReport } from './report.ts';
import { Servers } from './servers.ts';

/** Addresses that are tried for one exchange; more would only spend the client's time. */
const CONNECT_ATTEMPTS_MAX = 4;

/**
 * One upstream for as long as a generation uses it, and until its last connection has closed. It owns its servers and
 * connections. Its promise: each exchange that is checked out gets one answer, and the limits of the pool hold.
 */
export class Upstream implements UpstreamConnectionOwner<UpstreamConnection>, ReviewedPool {
  readonly name: string;
  readonly config: UpstreamConfig;
  readonly headLimits: HeadLimits;
  readonly deadlines: Deadlines;
  readonly #counters: UpstreamCounters;
  readonly servers: Servers;
  readonly #connections = new Set<UpstreamConnection>();
  /** Exchanges that wait for a connection, in order of arrival; a Set so that one that gives up leaves at once. */
  readonly #waiting = new Set<UpstreamExchange>();
  readonly #limits: PoolLimits;
  readonly #review: PoolReview;
  readonly #balance: Balance;
  readonly #reconnect: Reconnect;
  #isRetired = false;
  readonly #report: UpstreamReport;
  readonly #descriptors: Descriptors;

  constructor(
    name: string,
    config: UpstreamConfig,
    deadlines: Deadlines,
    counters: UpstreamCounters,
    lookup?: Lookup,
    events: UpstreamEvents | null = null,
    descriptors: Descriptors = new Descriptors(Number.POSITIVE_INFINITY),
  ) {
    this.#descriptors = descriptors;
    this.#report = new UpstreamReport(name, events);
    this.name = name;
    this.config = config;
    this.headLimits = responseLimits(config.limits);
    this.deadlines = deadlines;
    this.#counters = counters;
    this.#balance = new Balance(config.balance);
    this.#limits = new PoolLimits(config, counters);
    this.#review = new PoolReview(this, this.#limits, counters);
    const limitMs = Math.min(config.connectTimeout, config.pool.queueTimeout);
    this.#reconnect = new Reconnect(deadlines, limitMs, this.#tryAgain);
    this.servers = new Servers(config, counters, this.#report, this.#onResolved, lookup);
  }

  /** Why the upstream cannot be reached now, for /readyz and /status; null when it has a healthy address. */
  get trouble(): string | null {
    return this.servers.trouble;
  }

  /** The addresses with their state, for /status. */
  describe(): AddressView[] {
    return this.servers.describe();
  }

  /** The name has at least one address. */
  get hasAddress(): boolean {
    return this.servers.addresses.length > 0;
  }

  /** Open connections, busy or idle. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Finds a connection for the exchange: calls its `start` at once with an idle one, or later with a new one, or its
   * `fail`. `needsFresh` asks for a new connection: the exchange was just lost on a reused one.
   */
  checkOut(exchange: UpstreamExchange, now: number, needsFresh: boolean): void {
    if (exchange.passesUpgrade && this.#limits.hasAllStreams)
      return exchange.fail('TUNNELS_EXHAUSTED', limitOf('pool.maxTunnels', this.config.pool.maxTunnels));
    const servers = this.servers;
    servers.refresh(now, true);
    const { addresses } = servers;
    if (addresses.length === 0) {
      const failure = servers.lookupFailure;
      if (failure !== null) exchange.unreachable('UPSTREAM_UNRESOLVED', now, describeLookupError(failure));
      else this.#wait(exchange, now, this.config.connectTimeout);
      return;
    }
    const address = this.#balance.choose(addresses, exchange, now);
    if (address === null) return exchange.unreachable('UPSTREAM_DOWN', now, servers.describeDown());
    // An idle connection from before the ejection proves nothing: a trial opens one.
    const isTrial = address.health.needsTrial;
    if (!needsFresh && !isTrial && address.mayReuse(now)) {
      const pipelines = this.config.pool.pipelining > 1 && address.mayPipeline(now) && exchange.isPipelinable;
      const { gathering } = address;
      if (pipelines && gathering?.takesAnother === true) {
        address.inFlight++;
        exchange.start(gathering, now);
        return;
      }
      const connection = address.takeFresh(now);
      if (connection !== null) {
        address.inFlight++;
        // Of one that was opened for an exchange that has gone nothing is known yet.
        if (pipelines && connection.exchanges > 0) address.gathering = connection;
        exchange.start(connection, now);
        return;
      }
    }
    // While every connect is refused those who come share the next try.
    const isRefused = this.#reconnect.size > 0 && addresses.length <= CONNECT_ATTEMPTS_MAX;
    if (isRefused && !needsFresh && this.#hold(exchange, now)) return;
    if (this.#limits.isFull) this.#closeOneIdle();
    if (!this.#limits.isFull) {
      if (!this.#descriptors.hasRoomForUpstream && !this.#closeOneIdle())
        return this.#lacksDescriptor(exchange, now);
      this.#connect(address, exchange, now, isTrial);
    } else this.#wait(exchange, now, this.config.pool.queueTimeout);
  }

  /** Takes back a connection whose exchange has ended well. */
  release(connection: UpstreamConnection, now: number): void {
    connection.isTrial = false;
    this.servers.succeeded(connection.address);
    this.#release(connection, now);
  }

  #release(connection: UpstreamConnection, now: number): void {
    const { address } = connection;
    const idleMs = Math.min(this.config.pool.idleTimeout, connection.idleLimitMs);
    const isSpent =
      now >= connection.retireAt || connection.exchanges >= connection.exchangesMax || idleMs <= 0;
    if (this.#isRetired || address.isGone || isSpent || !address.mayReuse(now)) return connection.destroy();
    if (!this.#limits.countAsPooled(connection)) return connection.destroy();
    if (this.#waiting.size > 0) {
      const next = this.#balance.pickWaiting(this.#waiting, this.servers.addresses, address, now);
      // The first that waits has a connection to its own address opened in place of this one.
      if (next === null) return connection.destroy();
      this.forget(next);
      return this.#startWaiting(next, connection, now);
    }
    address.inFlight--;
    address.putIdle(connection);
    this.deadlines.set(connection, now + idleMs);
  }

  /** An exchange has ended well on a connection that has another one's answer to read. */
  answered(address: Address): void {
    address.inFlight--;
    this.servers.succeeded(address);
  }

  /** An exchange that waited has the connection, and others with it where they may share it. */
  #startWaiting(first: UpstreamExchange, connection: IdleConnection, now: number): void {
    const { address } = connection;
    const isKnown = connection.exchanges > 0;
    const pipelines =
      this.config.pool.pipelining > 1 && isKnown && address.mayPipeline(now) && first.isPipelinable;
    if (pipelines) address.gathering = connection;
    // What came before in this turn has been read, what comes after it has not: there may be a second answer.
    connection.wire.holdBack();
    first.start(connection, now);
    if (!pipelines) return;
    for (const exchange of this.#waiting) {
      if (!connection.takesAnother) return;
      if (!exchange.isPipelinable || !this.#balance.suits(exchange, this.servers.addresses, address, now))
        continue;
      this.forget(exchange);
      address.inFlight++;
      exchange.start(connection, now);
    }
  }

  /** The exchange no longer waits. */
  forget(exchange: UpstreamExchange): void {
    if (this.#waiting.delete(exchange) || this.#reconnect.forget(exchange)) this.#counters.waiting(-1);
  }

  /** The exchange waits because every connect is refused. */
  isHolding(exchange: UpstreamExchange): boolean {
    return this.#reconnect.has(exchange);
  }

  /** No generation uses this upstream: idle connections close now, busy ones when their exchange ends. */
  retire(): void {
    this.#isRetired = true;
    this.#report.stop();
    this.servers.retire();
  }

  /** Ends every connection at once. */
  stop(): void {
    this.retire();
    this.#limits.close();
    this.#review.stop();
    for (const connection of [...this.#connections]) connection.destroy();
  }

  connected(connection: UpstreamConnection): void {
    const now = performance.now();
    this.#counters.connectionOpened();
    this.#report.connected(connection.address);
    const { exchange } = connection;
    const held = this.#reconnect.accepted();
    if (exchange !== null) exchange.start(connection, now);
    else {
      // The exchange that it was opened for has gone; inFlight counted it until now.
      this.#endTrial(connection);
      this.#release(connection, now);
    }
    if (held.length === 0) return;
    this.#counters.waiting(-held.length);
    for (const one of held) this.#startAgain(one, now, false);
  }

  readonly #tryAgain = (exchange: UpstreamExchange, now: number): void => {
    this.forget(exchange);
    this.#startAgain(exchange, now, true);
  };

  #startAgain(exchange: UpstreamExchange, now: number, needsFresh: boolean): void {
    exchange.attempts.connects = 0;
    exchange.attempts.failedAddresses.length = 0;
    this.checkOut(exchange, now, needsFresh);
  }

  /** Lets the exchange wait until the upstream accepts connections again. False where it may not, or has done so. */
  #hold(exchange: UpstreamExchange, now: number): boolean {
    const { pool, retry } = this.config;
    if (retry.attempts === 0 || exchange.mayFallBack || this.#isQueueFull(exchange)) return false;
    if (!this.#reconnect.hold(exchange, now)) return false;
    this.#counters.waiting(1);
    exchange.wait(now + pool.queueTimeout);
    return true;
  }

  /** One that is sent again was accepted before: whoever pushed it off its connection must not have it refused. */
  #isQueueFull(exchange: UpstreamExchange): boolean {
    return (
      this.#waiting.size + this.#reconnect.size >= this.config.pool.maxQueued && !exchange.attempts.isRetry
    );
  }

  /** A connect failed: another address is tried for the exchange, or the same ones after a pause, before it fails. */
  connectFailed(
    connection: UpstreamConnection,
    exchange: UpstreamExchange | null,
    code: FaultCode,
    now: number,
    cause: Cause | null = null,
  ): void {
    this.#counters.connectFailed(FAULT_CODES.indexOf(code));
    if (code === 'RESOURCES_EXHAUSTED') this.#report.exhausted(cause);
    else this.servers.observeFailure(connection.address, now, code, cause);
    connection.address.server.resolver.distrust(now);
    if (exchange !== null) {
      const { attempts } = exchange;
      attempts.connects++;
      attempts.failedAddresses.push(connection.address);
      const canTryOther = attempts.connects < Math.min(this.servers.addresses.length, CONNECT_ATTEMPTS_MAX);
      if (canTryOther && code !== 'RESOURCES_EXHAUSTED') return this.checkOut(exchange, now, true);
    }
    const isRefused = code === 'UPSTREAM_CONNECT_FAILED';
    if (isRefused) this.#reconnect.refused(now, code, cause);
    if (exchange === null || (isRefused && this.#hold(exchange, now))) return;
    exchange.unreachable(code, now, cause);
  }

  /** The trial of an ejected address ended without a verdict. */
  #endTrial(connection: UpstreamConnection): void {
    if (!connection.isTrial) return;
    connection.isTrial = false;
    connection.address.health.endTrial();
  }

  /** A connection is closed; whoever waits may open another one. */
  closed(connection: UpstreamConnection, wasConnecting: boolean): void {
    this.#endTrial(connection);
    this.#connections.delete(connection);
    this.#limits.closed(connection);
    this.#descriptors.upstreams--;
    this.deadlines.remove(connection);
    if (!wasConnecting) this.#counters.connectionClosed();
    if (!connection.address.dropIdle(connection)) connection.address.inFlight--;
    this.serveWaiting();
  }

  /** The connection has become a tunnel or carries an event stream: others have its room. False: there are too many of these. */
  countAsStream(connection: UpstreamConnection): boolean {
    if (!this.#limits.countAsStream(connection)) return false;
    this.serveWaiting();
    return true;
  }

  get connections(): Iterable<UpstreamConnection> {
    return this.#connections;
  }

  /** Exchanges that wait for a connection. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  reportExhausted(facts: PoolFacts): void {
    this.#report.poolExhausted(facts);
  }

  /** Gives those that wait a connection as long as the pool has room. */
  serveWaiting(): void {
    // One that turns out to need no connection leaves the room to those behind it.
    while (!this.#limits.isFull) {
      const next = this.#nextWaiting();
      if (next === null) return;
      this.checkOut(next, performance.now(), false);
    }
  }

  #connect(address: Address, exchange: UpstreamExchange, now: number, isTrial: boolean): void {
    const connection = new UpstreamConnection(this, address, now);
    connection.exchange = exchange;
    connection.isTrial = isTrial;
    if (isTrial) address.health.beginTrial();
    exchange.connecting(connection, now);
    address.inFlight++;
    this.#connections.add(connection);
    this.#limits.opened();
    this.#descriptors.upstreams++;
    this.deadlines.add(connection);
    this.deadlines.set(connection, now + this.config.connectTimeout);
  }

  #wait(exchange: UpstreamExchange, now: number, timeoutMs: number): void {
    const isRefused = this.#isQueueFull(exchange);
    if (this.#limits.isFull) this.#review.begin(now, isRefused);
    if (isRefused) return exchange.fail('QUEUE_FULL', limitOf('pool.maxQueued', this.config.pool.maxQueued));
    this.#waiting.add(exchange);
    this.#counters.waiting(1);
    exchange.wait(now + timeoutMs);
  }

  #nextWaiting(): UpstreamExchange | null {
    for (const exchange of this.#waiting) {
      this.forget(exchange);
      return exchange;
    }
    return null;
  }

  /** Makes room for a connection to an address that has none idle. False when no connection is idle. */
  #closeOneIdle(): boolean {
    for (const address of this.servers.addresses) {
      const connection = address.idle[0];
      if (connection === undefined) continue;
      connection.destroy();
      return true;
    }
    return false;
  }

  /** The last descriptors are kept for the admin port and the log. */
  #lacksDescriptor(exchange: UpstreamExchange, now: number): void {
    const cause = this.#descriptors.describe();
    this.#counters.connectFailed(FAULT_CODES.indexOf('RESOURCES_EXHAUSTED'));
    this.#report.exhausted(cause);
    exchange.unreachable('RESOURCES_EXHAUSTED', now, cause);
  }

  /** The first lookup of an upstream without addresses has ended: those that waited for it go on. */
  readonly #onResolved = (): void => {
    const now = performance.now();
    for (const exchange of [...this.#waiting]) {
      this.forget(exchange);
      this.checkOut(exchange, now, false);
    }
  };
}

// One upstream: its servers with their addresses, the connections to them, and the exchanges that wait for one. It
// decides which address an exchange goes to and when a connection is opened, kept or closed. It knows nothing of splits
// or of HTTP. Sources: RFC 9112 §9.3-9.4; nginx's upstream module.

import { membersOf, type UpstreamConfig } from '../config/options/upstream.ts';
import { type Cause, causeOf, FAULT_CODES, type FaultCode, limitOf } from '../errors.ts';
import type { HeadLimits } from '../http1/fields.ts';
import { responseLimits } from '../http1/response-head.ts';
import type { UpstreamCounters } from '../telemetry/counters.ts';
import type { AddressView } from '../telemetry/running.ts';
import type { UpstreamExchange } from '../transport/contracts.ts';
import type { Deadlines } from '../transport/deadlines.ts';
import { Descriptors } from '../transport/descriptors.ts';
import { Address, type IdleConnection, Member } from './address.ts';
import { chooseAddress } from './balance.ts';
import { describeLookupError } from './connect-failure.ts';
import { UpstreamConnection } from './connection.ts';
import type { ConnectionOwner } from './connection-owner.ts';
import type { Lookup } from './lookups.ts';
import { PoolLimits } from './pool-limits.ts';
import { PoolReview, type ReviewedPool } from './pool-review.ts';
import { Probe } from './probe.ts';
import { Reconnect } from './reconnect.ts';
import { describeFailure, type PoolFacts, type UpstreamEvents, UpstreamReport, viewOf } from './report.ts';

/** Addresses that are tried for one exchange; more would only spend the client's time. */
const CONNECT_ATTEMPTS_MAX = 4;

export class Upstream implements ConnectionOwner<UpstreamConnection>, ReviewedPool {
  readonly name: string;
  readonly config: UpstreamConfig;
  /** What the head of a response may be at most. */
  readonly headLimits: HeadLimits;
  readonly deadlines: Deadlines;
  readonly #counters: UpstreamCounters;
  readonly #members: readonly Member[];
  /** Those of all servers. */
  #addresses: Address[] = [];
  readonly #connections = new Set<UpstreamConnection>();
  /** Exchanges that wait for a connection, in order of arrival; a Set so that one that gives up leaves at once. */
  readonly #waiting = new Set<UpstreamExchange>();
  readonly #limits: PoolLimits;
  readonly #review: PoolReview;
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
    this.#limits = new PoolLimits(config, counters);
    this.#review = new PoolReview(this, this.#limits, counters);
    const limitMs = Math.min(config.connectTimeout, config.pool.queueTimeout);
    this.#reconnect = new Reconnect(deadlines, limitMs, this.#tryAgain);
    const now = performance.now();
    // Every server keeps its number in the configuration; one that is down is never looked up.
    this.#members = membersOf(config).flatMap((member, index) =>
      member.down ? [] : [new Member(index, member, config, this.#onResolved, now, lookup)],
    );
    this.#refresh(now, false);
    this.#adopt();
  }

  /** Why the upstream cannot be reached now, for /readyz and /status; null when it has a healthy address. */
  get trouble(): string | null {
    if (this.#addresses.length === 0) {
      const failure = this.#lookupFailure;
      return failure === null ? 'its name is being looked up' : `its name has no address: ${failure.message}`;
    }
    const now = performance.now();
    const isWell = this.#addresses.some(({ health }) => health.isHealthy(now) && !health.isFailing);
    if (isWell) return null;
    let last: Address | null = null;
    for (const address of this.#addresses)
      if (address.lastFailure !== null && address.lastFailure.at >= (last?.lastFailure?.at ?? 0))
        last = address;
    const failure = last?.lastFailure ?? null;
    const why = failure === null ? '' : `: ${last!.name}: ${describeFailure(failure)}`;
    return `the last connects or exchanges with every address failed${why}`;
  }

  /** The addresses with their state, for /status. */
  describe(): AddressView[] {
    const now = performance.now();
    return this.#addresses.map((address) => ({
      address: address.name,
      ...viewOf(address, now),
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
  checkOut(exchange: UpstreamExchange, now: number, needsFresh: boolean): void {
    if (exchange.passesUpgrade && this.#limits.hasAllStreams)
      return exchange.fail('TUNNELS_EXHAUSTED', limitOf('pool.maxTunnels', this.config.pool.maxTunnels));
    this.#refresh(now, true);
    if (this.#addresses.length === 0) {
      const failure = this.#lookupFailure;
      if (failure !== null) exchange.unreachable('UPSTREAM_UNRESOLVED', now, describeLookupError(failure));
      else this.#wait(exchange, now, this.config.connectTimeout);
      return;
    }
    const address = chooseAddress(this.#addresses, exchange.attempts.failedAddresses, now);
    if (address === null) return exchange.unreachable('UPSTREAM_DOWN', now, this.#describeDown());
    // An idle connection from before the ejection proves nothing: a trial opens one.
    const isTrial = address.health.needsTrial && address.health.isHealthy(now);
    if (!needsFresh && !isTrial && address.mayReuse(now)) {
      const pipelines = this.config.pool.pipelining > 1 && address.mayPipeline(now) && exchange.isPipelinable;
      const { gathering } = address;
      if (pipelines && gathering?.takesAnother === true) {
        address.inFlight++;
        exchange.start(gathering, now);
        return;
      }
      const connection = this.#popIdle(address, now);
      if (connection !== null) {
        address.inFlight++;
        // Of one that was opened for an exchange that has gone nothing is known yet.
        if (pipelines && connection.exchanges > 0) address.gathering = connection;
        exchange.start(connection, now);
        return;
      }
    }
    // While every connect is refused those who come share the next try.
    const isRefused = this.#reconnect.size > 0 && this.#addresses.length <= CONNECT_ATTEMPTS_MAX;
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
    this.succeeded(connection.address);
    this.#release(connection, now);
  }

  #release(connection: UpstreamConnection, now: number): void {
    const { address } = connection;
    const idleMs = Math.min(this.config.pool.idleTimeout, connection.idleLimitMs);
    const isSpent =
      now >= connection.retireAt || connection.exchanges >= connection.exchangesMax || idleMs <= 0;
    if (this.#isRetired || address.isGone || isSpent || !address.mayReuse(now)) return connection.destroy();
    if (!this.#limits.countAsPooled(connection)) return connection.destroy();
    const next = this.#nextWaiting();
    if (next !== null) return this.#startWaiting(next, connection, now);
    address.inFlight--;
    address.putIdle(connection);
    this.deadlines.set(connection, now + idleMs);
  }

  /** An exchange has ended well on a connection that has another one's answer to read. */
  answered(address: Address): void {
    address.inFlight--;
    this.succeeded(address);
  }

  /** An exchange ended well at this address, or began a tunnel. */
  succeeded(address: Address): void {
    const wasEjected = address.health.observeSuccess();
    if ((address.isOut || wasEjected) && !address.health.isProbedDown)
      this.#report.recovered(address, wasEjected ? 'address reinstated' : null);
  }

  /** One that waited has the connection, and others with it where they may share it. */
  #startWaiting(first: UpstreamExchange, connection: IdleConnection, now: number): void {
    const { address } = connection;
    const isKnown = connection.exchanges > 0;
    const pipelines =
      this.config.pool.pipelining > 1 && isKnown && address.mayPipeline(now) && first.isPipelinable;
    if (pipelines) address.gathering = connection;
    // What came before in this turn has been read, what comes behind it has not: there may be a second answer.
    connection.wire.holdBack();
    first.start(connection, now);
    if (!pipelines) return;
    for (const exchange of this.#waiting) {
      if (!connection.takesAnother) return;
      if (!exchange.isPipelinable) continue;
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

  /** No generation uses this upstream any more: idle connections close now, busy ones when their exchange ends. */
  retire(): void {
    this.#isRetired = true;
    this.#report.stop();
    for (const address of this.#addresses) {
      this.#closeIdle(address);
      address.probe?.stop();
    }
  }

  /** An exchange that was lost at this address may go to another one that is healthy without a trial. */
  hasOther(address: Address, now: number): boolean {
    const isGood = (other: Address): boolean =>
      other.health.isHealthy(now) &&
      !other.health.needsTrial &&
      (!other.member.isBackup || address.member.isBackup);
    return this.#addresses.some((other) => other !== address && isGood(other));
  }

  /** Ends every connection at once. */
  stop(): void {
    this.retire();
    this.#limits.close();
    this.#review.stop();
    for (const connection of [...this.#connections]) connection.destroy();
  }

  /** A connection is established. */
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
    return this.#waiting.size + this.#reconnect.size >= this.config.pool.maxQueued && !exchange.isRetry;
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
    else this.observeFailure(connection.address, now, code, cause);
    connection.address.member.resolver.distrust(now);
    if (exchange !== null) {
      const { attempts } = exchange;
      attempts.connects++;
      attempts.failedAddresses.push(connection.address);
      const canTryOther = attempts.connects < Math.min(this.#addresses.length, CONNECT_ATTEMPTS_MAX);
      if (canTryOther && code !== 'RESOURCES_EXHAUSTED') return this.checkOut(exchange, now, true);
    }
    const isRefused = code === 'UPSTREAM_CONNECT_FAILED';
    if (isRefused) this.#reconnect.refused(now, code, cause);
    if (exchange === null || (isRefused && this.#hold(exchange, now))) return;
    exchange.unreachable(code, now, cause);
  }

  /** An exchange failed in a way that speaks against the address: a reset, silence, or something that is no HTTP. */
  observeFailure(address: Address, now: number, code: FaultCode, cause: Cause | null): void {
    const isLastHealthy = !this.#addresses.some((other) => other !== address && other.health.isHealthy(now));
    const isEjected = address.health.observeFailure(now, address.member.eject, isLastHealthy);
    if (isEjected) this.#counters.ejected();
    const ejectedMs = isEjected ? Math.round(address.health.ejectedUntil - now) : 0;
    this.#report.failed(address, this.#addresses, code, cause, ejectedMs);
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

  #popIdle(address: Address, now: number): IdleConnection | null {
    for (;;) {
      const connection = address.takeIdle();
      if (connection === undefined) return null;
      if (connection.deadline > now && connection.retireAt > now) return connection;
      address.inFlight++;
      connection.destroy();
    }
  }

  /** Makes room for a connection to an address that has none idle. False when no connection is idle. */
  #closeOneIdle(): boolean {
    for (const address of this.#addresses) {
      const connection = address.idle[0];
      if (connection === undefined) continue;
      connection.destroy();
      return true;
    }
    return false;
  }

  /** What the probes of the first address found. */
  #describeDown(): Cause {
    const { text = '' } = this.#addresses[0]?.lastFailure?.cause ?? {};
    return causeOf(`the last probe of every address failed${text === '' ? '' : `: ${text}`}`);
  }

  /** The last descriptors are kept for the admin port and the log. */
  #lacksDescriptor(exchange: UpstreamExchange, now: number): void {
    const cause = this.#descriptors.describe();
    this.#counters.connectFailed(FAULT_CODES.indexOf('RESOURCES_EXHAUSTED'));
    this.#report.exhausted(cause);
    exchange.unreachable('RESOURCES_EXHAUSTED', now, cause);
  }

  #closeIdle(address: Address): void {
    for (const connection of [...address.idle]) connection.destroy();
  }

  readonly #onResolved = (): void => {
    const { hasAddress } = this;
    this.#adopt();
    this.#reportLookups();
    // Those who wait now wait for a connection, not for the name: their turn and their time limit stay what they are.
    if (hasAddress) return;
    const now = performance.now();
    if (this.#addresses.length === 0 && this.#lookupFailure === null) return;
    for (const exchange of [...this.#waiting]) {
      this.forget(exchange);
      this.checkOut(exchange, now, false);
    }
  };

  #refresh(now: number, isWanted: boolean): void {
    for (let i = 0; i < this.#members.length; i++) this.#members[i]!.resolver.refresh(now, isWanted);
  }

  /** Why no name could be looked up; null while one may still be. */
  get #lookupFailure(): Error | null {
    let failure: Error | null = null;
    for (const { resolver } of this.#members) {
      if (resolver.failure === null) return null;
      failure ??= resolver.failure;
    }
    return failure;
  }

  #reportLookups(): void {
    for (const member of this.#members) {
      const { failure } = member.resolver;
      // Not looked up yet: nothing is known.
      if (failure === null && member.resolver.addresses.length === 0) continue;
      const isLast = this.#addresses.length === 0 && this.#lookupFailure !== null;
      this.#report.lookedUp(member, failure === null ? null : describeLookupError(failure), isLast);
    }
  }

  /** Takes over what the names have become. */
  #adopt(): void {
    const gone: Address[] = [];
    for (const member of this.#members) {
      const hosts = member.resolver.addresses;
      if (hosts === member.resolved) continue;
      member.resolved = hosts;
      const known = new Map(member.addresses.map((address) => [address.host, address]));
      member.addresses = hosts.map((host) => known.get(host) ?? this.#open(host, member));
      for (const address of known.values()) if (!hosts.includes(address.host)) gone.push(address);
    }
    this.#addresses = this.#members.flatMap(({ addresses }) => addresses);
    this.#report.addressesChanged(this.#addresses);
    // Only now: each connection that closes may make somebody choose among the addresses.
    for (const address of gone) {
      address.isGone = true;
      address.probe?.stop();
      this.#closeIdle(address);
    }
  }

  #open(host: string, member: Member): Address {
    const { url, tls } = member;
    const bracketed = host.includes(':') ? `[${host}]` : host;
    const isOnly = this.config.servers === undefined;
    const address = new Address(host, member, isOnly ? host : (url.path ?? `${bracketed}:${url.port}`));
    const { probe } = this.config;
    if (probe === undefined || this.#isRetired) return address;
    const origin = `${url.tls ? 'https' : 'http'}://${bracketed}:${url.port || 80}`;
    const { secureContext, servername, checkServerIdentity } = tls?.optionsFor(host, performance.now()) ?? {};
    const target = {
      origin,
      host: url.authority,
      socketPath: url.path,
      tls: tls === null ? {} : { secureContext, servername, checkServerIdentity },
    };
    address.probe = new Probe(target, probe, (isUp, cause) => {
      address.health.observeProbe(isUp);
      if (isUp) this.#report.recovered(address, this.#addresses.length > 1 ? 'address up' : null);
      else this.#report.failed(address, this.#addresses, 'UPSTREAM_DOWN', cause, 0);
    });
    return address;
  }
}

// Reports each change of an upstream's state as one event: unreachable and reachable again, an address ejected and
// reinstated, a name that does not resolve. It keeps what failed last at each address, for /status. It decides nothing
// about exchanges, and however fast a state changes it reports a bounded number of events and how many it left out.

import { type Cause, type FaultCode, formatCause } from '../errors.ts';
import { LineBudget } from '../telemetry/line-budget.ts';
import type { AddressView } from '../telemetry/running.ts';
import type { AddressHealth } from './health.ts';

/** Events of one upstream that may come at once, and how long one more takes. */
const EVENTS_MAX = 10;
const REFILL_MS = 6000;
/** Time between two events that say that no connection could be opened for want of descriptors or ports. */
const EXHAUSTED_MS = 10_000;
/** The same for all upstreams of the process together. */
const ALL_EVENTS_MAX = 100;
const ALL_REFILL_MS = 500;
/** Failed exchanges in a row after which an address counts as failing where `eject.failures` is 0 or unset. */
const FAILURES_DEFAULT = 3;

/** Codes that say that no connection was made: the next one that is made ends this state. */
const UNREACHED: ReadonlySet<FaultCode> = new Set([
  'UPSTREAM_UNRESOLVED',
  'UPSTREAM_CONNECT_FAILED',
  'UPSTREAM_CONNECT_TIMEOUT',
  'UPSTREAM_TLS_FAILED',
]);

/** One change of an upstream's state. A member is absent where it does not apply. */
export interface UpstreamEvent {
  readonly msg:
    | 'upstream unreachable'
    | 'upstream reachable again'
    | 'upstream failing'
    | 'upstream works again'
    | 'address ejected'
    | 'address reinstated'
    | 'address down'
    | 'address up'
    | 'name does not resolve'
    | 'name resolves again'
    | 'pool exhausted'
    | 'connection not opened';
  readonly upstream: string;
  readonly address?: string | undefined;
  /** The host name that was looked up. */
  readonly name?: string;
  readonly code?: FaultCode | undefined;
  readonly cause?: string | undefined;
  /** How long the state that ends now has lasted. */
  readonly lastedMs?: number;
  /** For how long an address is ejected. */
  readonly ejectedMs?: number;
  /** Addresses that the name has, or that are kept from before. */
  readonly addresses?: number;
  /** Connections that were not opened since the last such event. */
  readonly count?: number;
  /** The limit that to raise, or what else to do. */
  readonly remedy?: string;
  /** Events of this upstream that were not reported since the last one, because there were too many. */
  readonly leftOut?: number;
}

/** What fills a pool in which no connection is free. */
export interface PoolFacts {
  /** Connections that count in `pool.maxConnections`. */
  readonly connections: number;
  /** Those of exchanges that run for 10 s or longer, and those that wait for a slow client. */
  readonly longRunning: number;
  readonly slowClients: number;
  /** Connections of slow clients beside the pool, which `pool.maxHeld` limits. */
  readonly held: number;
  /** Exchanges that wait for a connection. */
  readonly waiting: number;
}

/** Takes the events of all upstreams. */
export class UpstreamEvents {
  readonly write: (event: UpstreamEvent) => void;
  readonly budget = new LineBudget(ALL_EVENTS_MAX, ALL_REFILL_MS);

  constructor(write: (event: UpstreamEvent) => void) {
    this.write = write;
  }
}

/** What failed last. */
export interface LastFailure {
  /** A time of the wall clock. */
  readonly at: number;
  readonly code: FaultCode;
  readonly cause: Cause | null;
}

/** An address as the report sees it; the members that can be written are the report's own. */
export interface ReportedAddress {
  readonly name: string;
  readonly health: AddressHealth;
  readonly server: { readonly eject: { readonly failures?: number | undefined } };
  /** It fails, and nothing has shown since that it works. */
  isOut: boolean;
  /** When `isOut` changed last, by the wall clock. */
  since: number;
  lastFailure: LastFailure | null;
}

/** One name that is looked up. */
export interface ReportedName {
  readonly url: { readonly host: string };
  readonly resolver: { readonly failure: Error | null; readonly addresses: readonly string[] };
  /** When the first of the lookups failed that have failed since; 0 = the last one did not. */
  unresolvedSince: number;
}

/** Reports on one upstream. */
export class UpstreamReport {
  readonly #upstream: string;
  readonly #events: UpstreamEvents | null;
  readonly #budget = new LineBudget(EVENTS_MAX, REFILL_MS);
  readonly #exhaustedBudget = new LineBudget(1, EXHAUSTED_MS);
  #notOpened = 0;
  /** Why no address works; null while one does. */
  #trouble: { readonly since: number; readonly where: object; readonly failure: LastFailure } | null = null;
  /** What was reported last of the upstream as a whole. */
  #said: { readonly since: number; readonly isUnreached: boolean } | null = null;
  #leftOut = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(upstream: string, events: UpstreamEvents | null) {
    this.#upstream = upstream;
    this.#events = events;
  }

  /** Nobody uses the upstream any more. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** A connect or an exchange failed at this address, or its probes have. @param all every address of the upstream */
  failed(
    address: ReportedAddress,
    all: readonly ReportedAddress[],
    code: FaultCode,
    cause: Cause | null,
    ejectedMs: number,
  ): void {
    const failure = { at: Date.now(), code, cause };
    address.lastFailure = failure;
    const limit = address.server.eject.failures || FAILURES_DEFAULT;
    const isOut = UNREACHED.has(code) || code === 'UPSTREAM_DOWN' || address.health.hasFailed(limit);
    if (ejectedMs > 0)
      this.#report('address ejected', { address: address.name, ...said(failure), ejectedMs });
    else if (code === 'UPSTREAM_DOWN' && all.length > 1)
      this.#report('address down', { address: address.name, ...said(failure) });
    if (!isOut) return;
    if (!address.isOut) setOut(address, true);
    if (this.#trouble === null && all.every((other) => other.isOut))
      this.#enter({ address: address.name }, failure);
  }

  /** An exchange or a probe succeeded at an address that was out. `msg`: what that is; null = nothing of its own. */
  recovered(address: ReportedAddress, msg: 'address reinstated' | 'address up' | null): void {
    const lastedMs = Date.now() - address.since;
    if (address.isOut) setOut(address, false);
    if (msg !== null) this.#report(msg, { address: address.name, lastedMs });
    this.#leave({ address: address.name });
  }

  /** A connection was made: what could not be reached can. */
  connected(address: ReportedAddress): void {
    const { lastFailure } = address;
    if (address.isOut && lastFailure !== null && UNREACHED.has(lastFailure.code)) setOut(address, false);
    if (this.#trouble !== null && UNREACHED.has(this.#trouble.failure.code))
      this.#leave({ address: address.name });
  }

  /** A connection could not be opened, and the upstream is not to blame. */
  exhausted(cause: Cause | null): void {
    this.#notOpened++;
    if (!this.#exhaustedBudget.take(performance.now())) return;
    const failure = { at: 0, code: 'RESOURCES_EXHAUSTED', cause } as const;
    if (this.#report('connection not opened', { ...said(failure), count: this.#notOpened }))
      this.#notOpened = 0;
  }

  /** The names have other addresses now. */
  addressesChanged(all: readonly ReportedAddress[]): void {
    if (this.#trouble === null || all.length === 0 || all.every(({ isOut }) => isOut)) return;
    // What was not tried yet says nothing of whether it can be reached.
    if (!UNREACHED.has(this.#trouble.failure.code)) this.#leave({});
  }

  /** A lookup has ended. `cause`: why it failed. @param isLast no address is left of any name of the upstream */
  lookedUp(name: ReportedName, cause: Cause | null, isLast: boolean): void {
    const { host } = name.url;
    const addresses = name.resolver.addresses.length;
    const now = Date.now();
    if (cause === null) {
      if (name.unresolvedSince === 0) return;
      const lastedMs = now - name.unresolvedSince;
      name.unresolvedSince = 0;
      this.#report('name resolves again', { name: host, addresses, lastedMs });
      return;
    }
    const failure = { at: now, code: 'UPSTREAM_UNRESOLVED', cause } as const;
    if (name.unresolvedSince === 0) {
      name.unresolvedSince = now;
      this.#report('name does not resolve', { name: host, ...said(failure), addresses });
    }
    if (isLast && this.#trouble === null) this.#enter({ name: host }, failure);
  }

  /** Exchanges wait for a connection and none comes free. */
  poolExhausted(facts: PoolFacts): void {
    this.#report('pool exhausted', { ...facts, remedy: remedyFor(facts) });
  }

  #enter(where: object, failure: LastFailure): void {
    this.#trouble = { since: failure.at, where, failure };
    this.#sayState(where);
  }

  #leave(where: object): void {
    if (this.#trouble === null) return;
    this.#trouble = null;
    this.#sayState(where);
  }

  /** Reports the state of the upstream as a whole, unless it is what was reported last; later, when it may not now. */
  #sayState(where: object): void {
    const trouble = this.#trouble;
    const saidBefore = this.#said;
    if ((trouble === null) === (saidBefore === null)) return;
    let isSaid: boolean;
    if (trouble !== null) {
      const isUnreached = UNREACHED.has(trouble.failure.code) || trouble.failure.code === 'UPSTREAM_DOWN';
      const more = { ...trouble.where, ...said(trouble.failure) };
      isSaid = this.#report(isUnreached ? 'upstream unreachable' : 'upstream failing', more);
      if (isSaid) this.#said = { since: trouble.since, isUnreached };
    } else {
      const lastedMs = Date.now() - saidBefore!.since;
      const msg = saidBefore!.isUnreached ? 'upstream reachable again' : 'upstream works again';
      isSaid = this.#report(msg, { ...where, lastedMs });
      if (isSaid) this.#said = null;
    }
    clearTimeout(this.#timer);
    if (isSaid || this.#isStopped) return;
    this.#timer = setTimeout(() => this.#sayState(where), REFILL_MS);
    this.#timer.unref();
  }

  /** False when there were too many events; this one is counted then. */
  #report(msg: UpstreamEvent['msg'], more: object): boolean {
    const events = this.#events;
    if (events === null || this.#isStopped) return true;
    const now = performance.now();
    if (!this.#budget.take(now) || !events.budget.take(now)) {
      this.#leftOut++;
      return false;
    }
    const leftOut = this.#leftOut === 0 ? {} : { leftOut: this.#leftOut };
    this.#leftOut = 0;
    events.write({ msg, upstream: this.#upstream, ...more, ...leftOut });
    return true;
  }
}

function remedyFor({ connections, longRunning, slowClients }: PoolFacts): string {
  if (slowClients * 2 > connections)
    return 'slow clients hold the pool: raise pool.maxHeld or pool.maxConnections';
  if (longRunning * 2 > connections)
    return 'long-running exchanges hold the pool: raise pool.maxConnections, or give them a separate upstream entry';
  return 'the upstream is slower than its requests arrive: raise pool.maxConnections if it can handle more at once';
}

function setOut(address: ReportedAddress, isOut: boolean): void {
  address.isOut = isOut;
  address.since = Date.now();
}

function said({ code, cause }: LastFailure): { code: FaultCode; cause: string | undefined } {
  return { code, cause: cause === null ? undefined : formatCause(cause) };
}

/** The failure in one clause: "CODE (cause)". */
export function describeFailure({ code, cause }: LastFailure): string {
  return cause === null ? code : `${code} (${formatCause(cause)})`;
}

/** What /status says of an address beside its numbers. */
export function addressView(
  address: ReportedAddress,
  now: number,
): Pick<AddressView, 'healthy' | 'state' | 'since' | 'lastFailure'> {
  const { health, lastFailure } = address;
  const healthy = health.isHealthy(now);
  const state = health.isProbedDown ? 'down' : !healthy ? 'ejected' : address.isOut ? 'failing' : 'healthy';
  return {
    healthy,
    state,
    since: new Date(address.since).toISOString(),
    lastFailure:
      lastFailure === null
        ? null
        : {
            at: new Date(lastFailure.at).toISOString(),
            code: lastFailure.code,
            cause: lastFailure.cause === null ? null : formatCause(lastFailure.cause),
          },
  };
}

// The servers of one upstream: looks their names up, keeps their addresses with what is known of each, probes them, and
// reports every change of their state. It opens no connection and knows no exchange; upstream.ts asks it.
// Source: nginx's upstream module.

import { membersOf, type UpstreamConfig } from '../config/options/upstream.ts';
import { type Cause, causeOf, type FaultCode } from '../errors.ts';
import type { UpstreamCounters } from '../telemetry/counters.ts';
import type { AddressView } from '../telemetry/running.ts';
import { Address, UpstreamServer } from './address.ts';
import { describeLookupError } from './connect-failure.ts';
import { OTHERS } from './health.ts';
import type { Lookup } from './lookups.ts';
import { Probe } from './probe.ts';
import { addressView, describeFailure, type UpstreamReport } from './report.ts';

/** All servers of one upstream, which owns it. Its promise: `addresses` is what the last good lookups said. */
export class Servers {
  /** Those of all servers. */
  addresses: readonly Address[] = [];
  readonly #config: UpstreamConfig;
  readonly #counters: UpstreamCounters;
  readonly #report: UpstreamReport;
  readonly #servers: readonly UpstreamServer[];
  readonly #onFirstAnswer: () => void;
  #isRetired = false;

  /** `onFirstAnswer` is called when there are addresses after there were none, or when it is known that there are none. */
  constructor(
    config: UpstreamConfig,
    counters: UpstreamCounters,
    report: UpstreamReport,
    onFirstAnswer: () => void,
    lookup: Lookup | undefined,
  ) {
    this.#config = config;
    this.#counters = counters;
    this.#report = report;
    this.#onFirstAnswer = onFirstAnswer;
    const now = performance.now();
    // Every server keeps its number in the configuration; one that is down is never looked up.
    this.#servers = membersOf(config).flatMap((server, index) =>
      server.down ? [] : [new UpstreamServer(index, server, config, this.#onResolved, now, lookup)],
    );
    this.refresh(now, false);
    this.#adopt();
  }

  /** Why the upstream cannot be reached now, for /readyz and /status; null when it has a healthy address. */
  get trouble(): string | null {
    if (this.addresses.length === 0) {
      const failure = this.lookupFailure;
      return failure === null ? 'its name is being looked up' : `its name has no address: ${failure.message}`;
    }
    const now = performance.now();
    const isWell = this.addresses.some(({ health }) => health.isHealthy(now) && !health.isFailing);
    if (isWell) return null;
    let last: Address | null = null;
    for (const address of this.addresses)
      if (address.lastFailure !== null && address.lastFailure.at >= (last?.lastFailure?.at ?? 0))
        last = address;
    const failure = last?.lastFailure ?? null;
    const why = failure === null ? '' : `: ${last!.name}: ${describeFailure(failure)}`;
    return `the last connects or exchanges with every address failed${why}`;
  }

  /** The addresses with their state, for /status. */
  describe(): AddressView[] {
    const now = performance.now();
    return this.addresses.map((address) => ({
      address: address.name,
      ...addressView(address, now),
      inFlight: address.inFlight,
      idle: address.idle.length,
    }));
  }

  /** An exchange ended well at this address, or began a tunnel. */
  succeeded(address: Address): void {
    const wasEjected = address.health.observeSuccess();
    const { isFailing, isProbedDown } = address.health;
    if ((address.isOut || wasEjected) && !isFailing && !isProbedDown)
      this.#report.recovered(address, wasEjected ? 'address reinstated' : null);
  }

  /** An exchange failed in a way that speaks against the address: a reset, silence, or something that is no HTTP. */
  observeFailure(address: Address, now: number, code: FaultCode, cause: Cause | null): void {
    const isEjected = address.health.observeFailure(now, address.server.eject, this.#others(address, now));
    if (isEjected) this.#counters.ejected();
    const ejectedMs = isEjected ? Math.round(address.health.ejectedUntil - now) : 0;
    this.#report.failed(address, this.addresses, code, cause, ejectedMs);
  }

  /**
   * An exchange was lost on a connection that had carried others, without one byte of an answer. Returns true when this
   * was taken for the end of an idle connection; otherwise it is a failure like others.
   */
  observeLoss(address: Address, now: number, code: FaultCode, cause: Cause | null): boolean {
    if (this.addresses.length === 1) return false;
    if (address.health.observeLoss(now)) this.observeFailure(address, now, code, cause);
    else this.#report.failed(address, this.addresses, code, cause, 0);
    return true;
  }

  #others(address: Address, now: number): number {
    let [healthy, unhealthy] = [0, 0];
    for (const other of this.addresses) {
      if (other === address) continue;
      if (other.health.isHealthy(now)) healthy++;
      if (!other.health.isHealthy(now) || other.health.needsTrial) unhealthy++;
    }
    if (healthy === 0) return OTHERS.noneHealthy;
    return unhealthy === 0 ? OTHERS.allHealthy : OTHERS.someHealthy;
  }

  /** An exchange that was lost at this address may go to another one that is healthy without a trial. */
  hasOther(address: Address, now: number): boolean {
    const isGood = (other: Address): boolean =>
      other.health.isHealthy(now) &&
      !other.health.needsTrial &&
      (!other.server.isBackup || address.server.isBackup);
    return this.addresses.some((other) => other !== address && isGood(other));
  }

  /** What the probes of the first address found. */
  describeDown(): Cause {
    const { text = '' } = this.addresses[0]?.lastFailure?.cause ?? {};
    return causeOf(`the last probe of every address failed${text === '' ? '' : `: ${text}`}`);
  }

  /** Nothing uses the upstream any more: idle connections close now, and the probes end. */
  retire(): void {
    this.#isRetired = true;
    for (const address of this.addresses) leave(address);
  }

  /** Starts lookups where an answer is old. `isWanted`: an exchange waits. */
  refresh(now: number, isWanted: boolean): void {
    for (let i = 0; i < this.#servers.length; i++) this.#servers[i]!.resolver.refresh(now, isWanted);
  }

  /** Why no name could be looked up; null while one may still be. */
  get lookupFailure(): Error | null {
    let failure: Error | null = null;
    for (const { resolver } of this.#servers) {
      if (resolver.failure === null) return null;
      failure ??= resolver.failure;
    }
    return failure;
  }

  readonly #onResolved = (): void => {
    const hadAddress = this.addresses.length > 0;
    this.#adopt();
    this.#reportLookups();
    // Exchanges that wait now wait for a connection, not for the name: their turn and their time limit stay.
    if (!hadAddress && (this.addresses.length > 0 || this.lookupFailure !== null)) this.#onFirstAnswer();
  };

  #reportLookups(): void {
    for (const server of this.#servers) {
      const { failure } = server.resolver;
      // Not looked up yet: nothing is known.
      if (failure === null && server.resolver.addresses.length === 0) continue;
      const isLast = this.addresses.length === 0 && this.lookupFailure !== null;
      this.#report.lookedUp(server, failure === null ? null : describeLookupError(failure), isLast);
    }
  }

  /** Takes over what the names have become. */
  #adopt(): void {
    const gone: Address[] = [];
    for (const server of this.#servers) {
      const hosts = server.resolver.addresses;
      if (hosts === server.resolved) continue;
      server.resolved = hosts;
      const known = new Map(server.addresses.map((address) => [address.host, address]));
      server.addresses = hosts.map((host) => known.get(host) ?? this.#open(host, server));
      for (const address of known.values()) if (!hosts.includes(address.host)) gone.push(address);
    }
    this.addresses = this.#servers.flatMap(({ addresses }) => addresses);
    this.#report.addressesChanged(this.addresses);
    // Only now: each connection that closes may make somebody choose among the addresses.
    for (const address of gone) {
      address.isGone = true;
      leave(address);
    }
  }

  #open(host: string, server: UpstreamServer): Address {
    const { url, tls } = server;
    const bracketed = host.includes(':') ? `[${host}]` : host;
    const isOnly = this.#config.servers === undefined;
    const address = new Address(host, server, isOnly ? host : (url.path ?? `${bracketed}:${url.port}`));
    const { probe } = this.#config;
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
      if (isUp) this.#report.recovered(address, this.addresses.length > 1 ? 'address up' : null);
      else this.#report.failed(address, this.addresses, 'UPSTREAM_DOWN', cause, 0);
    });
    return address;
  }
}

/** The address is no longer used: its idle connections close, and it is no longer probed. */
function leave(address: Address): void {
  for (const connection of [...address.idle]) connection.destroy();
  address.probe?.stop();
}

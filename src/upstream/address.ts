// The servers of an upstream and their addresses: what is known of each, and the connections that are idle there. They
// decide nothing; upstream.ts does. Source: nginx's upstream module.

import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import murmurhash from 'murmurhash';
import type { UpstreamUrl } from '../config/options/addresses.ts';
import type { MemberConfig, UpstreamConfig } from '../config/options/upstream.ts';
import type { PooledConnection } from '../transport/contracts.ts';
import { currentTurn } from '../transport/turn-ends.ts';
import { AddressHealth, type EjectSettings } from './health.ts';
import type { Lookup } from './lookups.ts';
import type { Probe } from './probe.ts';
import type { LastFailure } from './report.ts';
import { Resolver } from './resolver.ts';
import { TlsSettings } from './tls.ts';

/** For how long nothing is pipelined to an address where that cost somebody a second try. */
const PIPELINING_REST_MS = 30_000;

/** For how long no connection to an address is used again after it sent an answer that nobody asked for. */
const REUSE_REST_MS = 30_000;

/** What the pool needs of a connection that carries no exchange, or one that has not left yet. */
export interface IdleConnection extends PooledConnection {
  readonly address: Address;
  /** Time of `performance.now()` after which it serves no further exchange. */
  readonly retireAt: number;
  /** One more exchange may be sent along with those that were sent on it in this turn. */
  readonly takesAnother: boolean;
  destroy(): void;
}

/** One address of a server and what is connected to it. */
export class Address {
  readonly host: string;
  readonly server: UpstreamServer;
  /** What people see: the host, with the port or as a path where the upstream has several servers. */
  readonly name: string;
  /** A hash of what it is and an odd one, the same in every process: what a choice by key depends on. */
  readonly seed: number;
  readonly factor: number;
  /** Connections that wait for an exchange, the longest idle one about first. */
  readonly idle: IdleConnection[] = [];
  /** Of them, the first so many had been there before the turn in which one was put here last. */
  #settled = 0;
  #idleTurn = -1;
  readonly health = new AddressHealth();
  /** It fails, and nothing has shown since that it works; written by the report, as the next two. */
  isOut = false;
  since = Date.now();
  lastFailure: LastFailure | null = null;
  /** Exchanges that are on a connection to this address. */
  inFlight = 0;
  /** The name no longer has this address. */
  isGone = false;
  /** Asks regularly whether the address is up; null without `probe`. */
  probe: Probe | null = null;
  /** The connection on which further exchanges may be sent in this turn; null = none. */
  gathering: IdleConnection | null = null;
  /** Time of `performance.now()` until which nothing is pipelined: it went wrong. */
  #pipeliningRestsUntil = 0;
  /** Time until which no connection is used again: an answer came that nobody had asked for. */
  #reuseRestsUntil = 0;

  /** IP address and port, or "unix:" and the path of a socket. */
  get endpoint(): string {
    const { path, port } = this.server.url;
    if (path !== null) return `unix:${path}`;
    return `${this.host.includes(':') ? `[${this.host}]` : this.host}:${port}`;
  }

  constructor(host: string, server: UpstreamServer, name: string) {
    this.host = host;
    this.server = server;
    this.name = name;
    const identity = Buffer.from(server.url.path ?? `${host} ${server.url.port}`);
    this.seed = murmurhash.v2(identity, 0);
    this.factor = murmurhash.v2(identity, this.seed) | 1;
  }

  /** Opens a socket to it; `connect` or `secureConnect` follows, or an error. */
  connect(now: number): Socket {
    const { host } = this;
    const { url, tls } = this.server;
    if (url.path !== null) return connect({ path: url.path, allowHalfOpen: true });
    const options = { host, port: url.port, noDelay: true, allowHalfOpen: true };
    return tls === null ? connect(options) : connectTls({ ...options, ...tls.optionsFor(host, now) });
  }

  /** Exchanges may share a connection to this address now. */
  mayPipeline(now: number): boolean {
    return now >= this.#pipeliningRestsUntil;
  }

  /** Pipelining has gone wrong here: each exchange has a connection of its own for a while. */
  restPipelining(now: number): void {
    this.#pipeliningRestsUntil = now + PIPELINING_REST_MS;
  }

  /** A connection whose exchange has ended may serve another one. */
  mayReuse(now: number): boolean {
    return now >= this.#reuseRestsUntil;
  }

  /** It sent what nobody asked for: what it sends next might be taken for the answer to another request. */
  restReuse(now: number): void {
    this.#reuseRestsUntil = now + REUSE_REST_MS;
  }

  /** The connection waits for an exchange. */
  putIdle(connection: IdleConnection): void {
    if (this.#idleTurn !== currentTurn()) {
      this.#idleTurn = currentTurn();
      this.#settled = this.idle.length;
    }
    this.idle.push(connection);
  }

  /**
   * A connection for an exchange: the last one in is the first one out, so that the surplus ages away. One that was put
   * here in this turn has not been read since, and there may be a second answer in it: it comes last, and the request
   * waits until it has been read.
   */
  takeIdle(): IdleConnection | undefined {
    const { idle } = this;
    if (this.#idleTurn !== currentTurn()) return idle.pop();
    const last = idle.pop();
    if (idle.length < this.#settled) {
      this.#settled = idle.length;
      return last;
    }
    if (this.#settled === 0) {
      last?.wire.holdBack();
      return last;
    }
    this.#settled--;
    const settled = idle[this.#settled]!;
    idle[this.#settled] = last!;
    return settled;
  }

  /** The same, but none whose time is up. Null when none is left. The caller counts it as in flight. */
  takeFresh(now: number): IdleConnection | null {
    for (;;) {
      const connection = this.takeIdle();
      if (connection === undefined) return null;
      if (connection.deadline > now && connection.retireAt > now) return connection;
      this.inFlight++;
      connection.destroy();
    }
  }

  /** The connection is closed. False when it was not idle. */
  dropIdle(connection: IdleConnection): boolean {
    const index = this.idle.indexOf(connection);
    if (index === -1) return false;
    this.idle.splice(index, 1);
    if (index < this.#settled) this.#settled--;
    return true;
  }

  /** What was gathered on the connection has left. */
  gatheringEnded(connection: IdleConnection): void {
    if (this.gathering === connection) this.gathering = null;
  }
}

/** One server of an upstream: a name with its addresses, or a socket. */
export class UpstreamServer {
  /** Its place in the configuration. */
  readonly index: number;
  readonly url: UpstreamUrl;
  readonly weight: number;
  readonly isBackup: boolean;
  readonly eject: EjectSettings;
  /** How TLS is spoken; null for a plain server. */
  readonly tls: TlsSettings | null;
  readonly resolver: Resolver;
  /** Written by the report. */
  unresolvedSince = 0;
  /** The answer that `addresses` was made from. */
  resolved: readonly string[] = [];
  addresses: Address[] = [];

  constructor(
    index: number,
    { url, weight, backup, eject }: MemberConfig,
    config: UpstreamConfig,
    onResolved: () => void,
    now: number,
    lookup?: Lookup,
  ) {
    this.index = index;
    this.url = url;
    this.weight = weight;
    this.isBackup = backup;
    this.eject = eject ?? config.eject;
    this.tls = url.tls ? new TlsSettings(config.tls, url, now) : null;
    // A Unix socket needs no lookup; any IP address stands for it.
    this.resolver = new Resolver(url.path === null ? url.host : '127.0.0.1', onResolved, lookup);
  }
}

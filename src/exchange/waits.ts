// Who waits for whom, and until when. It alone sets the two time limits of an exchange: its client's, and that of its
// upstream connection's answer. One of the two is waited for at any time, and only that one's limit runs. What a passed
// limit means is decided by exchange.ts. Sources: RFC 9110 §10.1.1, docs/decisions/0022.

import type { Config } from '../config/options/document.ts';
import { type Cause, limitOf } from '../errors.ts';
import type { Generation } from '../routing/generation.ts';
import type { Client, PooledConnection, UpstreamExchange } from '../transport/contracts.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { BodyPace } from './body-pace.ts';
import type { Outcome } from './outcome.ts';
import type { RequestRelay } from './request-relay.ts';

/** The time limits of one exchange, which owns it; `reset` before each request. Times are those of `performance.now()`. */
export class Waits {
  /** How long the upstream may be silent, in milliseconds. */
  responseTimeoutMs = 0;
  readonly #pace = new BodyPace();
  readonly #request: RequestRelay;
  readonly #outcome: Outcome;
  #client: Client<Generation> | null = null;
  #config: Config | null = null;

  constructor(request: RequestRelay, outcome: Outcome) {
    this.#request = request;
    this.#outcome = outcome;
  }

  reset(client: Client<Generation>, config: Config): void {
    this.#client = client;
    this.#config = config;
    this.#pace.reset(config.timeouts.requestBody, this.#outcome.bytesReceived);
  }

  /** Refers to nothing of its client any more. */
  release(): void {
    this.#client = null;
    this.#config = null;
  }

  /** How long a tunnel may be silent. */
  get tunnelIdle(): number {
    return this.#config!.timeouts.tunnelIdle;
  }

  /** No connection is free: the exchange waits for one. */
  forConnection(deadline: number): void {
    this.#client!.setDeadline(deadline);
  }

  /** A connection is being opened, and its connect has a limit of its own. */
  forConnect(): void {
    this.#client!.setDeadline(Number.POSITIVE_INFINITY);
  }

  /**
   * The request is on its way, and something has changed. The client is waited for while it has not sent the whole body
   * and the upstream takes it, otherwise the upstream. A client that expects 100 (Continue) may not wait for it for ever:
   * until it sends its body, the client is waited for. Once a response has begun, `clientBlocked` decides.
   */
  update(connection: PooledConnection, hasResponseBegun: boolean, now: number): void {
    const client = this.#client!;
    if (hasResponseBegun && client.wire.isBlocked) return;
    if (!this.#request.isSent && !connection.wire.isBlocked) {
      connection.waitUntil(Number.POSITIVE_INFINITY);
      const { limits, timeouts } = this.#config!;
      const { bytesReceived } = this.#outcome;
      client.setDeadline(this.#pace.wait(now, timeouts.requestBody, limits.minimumRate, bytesReceived));
    } else {
      this.#pace.rest(now);
      connection.waitUntil(now + this.responseTimeoutMs);
      client.setDeadline(Number.POSITIVE_INFINITY);
    }
  }

  /** The upstream has sent something, or it is this exchange's turn on its connection. */
  answerMoves(connection: PooledConnection, now: number): void {
    connection.waitUntil(now + this.responseTimeoutMs);
  }

  /** The connection can go no further before the client does: it does not send its body, or does not read. */
  areForClient(connection: PooledConnection, hasResponseBegun: boolean): boolean {
    if (hasResponseBegun && this.#client!.wire.isBlocked && connection.wire.isPaused) return true;
    return !this.#request.isSent && !connection.wire.isBlocked;
  }

  /**
   * The client does not read. The rest of the response is still read when there is room for all of it, so that a slow
   * client does not hold the connection; otherwise the upstream is not waited for until the client reads.
   */
  clientBlocked(connection: PooledConnection | null, now: number): void {
    const client = this.#client!;
    if (connection !== null) {
      const { bodyBytesLeft } = connection;
      const room = client.responseBufferRoom;
      if (bodyBytesLeft >= 0 ? bodyBytesLeft > room : room <= 0) this.pause(connection);
    }
    client.setDeadline(now + client.listener.generation.config.timeouts.write);
  }

  /** No more of the response is read until the client reads: the upstream is not waited for. */
  pause(connection: PooledConnection): void {
    connection.wire.pause();
    connection.waitUntil(Number.POSITIVE_INFINITY);
  }

  /** The client does not read, and its limit has passed. True when it has taken enough since then: it gets another one. */
  extend(now: number): boolean {
    const client = this.#client!;
    if (!client.keepsUp()) return false;
    client.setDeadline(now + client.listener.generation.config.timeouts.write);
    return true;
  }

  /** The client's limit that has passed, for the log. */
  limit(timeout: 'requestBody' | 'write'): Cause {
    return limitOf(`timeouts.${timeout}`, this.#client!.listener.generation.config.timeouts[timeout], 'ms');
  }
}

/** The wait for a connection has been too long: what the exchange waited for decides the failure. */
export function endWait(exchange: UpstreamExchange, upstream: Upstream, now: number): void {
  const { connectTimeout, pool } = upstream.config;
  const queueLimit = limitOf('pool.queueTimeout', pool.queueTimeout, 'ms');
  if (upstream.isHolding(exchange)) return exchange.fail('UPSTREAM_CONNECT_FAILED', queueLimit);
  if (upstream.hasAddress) return exchange.fail('QUEUE_TIMEOUT', queueLimit);
  upstream.forget(exchange);
  exchange.unreachable('UPSTREAM_UNRESOLVED', now, limitOf('connectTimeout', connectTimeout, 'ms'));
}

// Two sockets as one stream of bytes after 101 (Switching Protocols). It understands nothing, keeps
// back-pressure in both directions and passes a half-close on. Source: RFC 9110 §7.8.

import type { Config } from '../config/options/document.ts';
import { FAULT_CODES } from '../errors.ts';
import type { VariantCounters } from '../telemetry/counters.ts';
import type { Deadlines, Timed } from './deadlines.ts';
import type { Wire } from './wire.ts';

const TUNNEL_IDLE = FAULT_CODES.indexOf('TUNNEL_IDLE');

/** Keeps the open tunnels and counts them. */
export interface TunnelHost {
  readonly deadlines: Deadlines;
  /** The time limits that hold now. */
  readonly generation: { readonly config: Pick<Config, 'timeouts'> };
  tunnelOpened(tunnel: Tunnel): void;
  tunnelClosed(tunnel: Tunnel): void;
}

/** What a tunnel asks of its client: `linger` once, when the tunnel has ended the writing side of `wire`. */
export interface ClientTunnelEnd {
  readonly wire: Wire;
  readonly listener: TunnelHost;
  linger(now: number): void;
  becomeTunnel(tunnel: Tunnel): void;
}

/** What a tunnel asks of its upstream connection: `close` once; what was written may leave until `deadline`. */
export interface UpstreamTunnelEnd {
  readonly wire: Wire;
  /** The tunnel has a time limit; the connection has none from then on. */
  deadline: number;
  close(deadline: number): void;
  becomeTunnel(tunnel: Tunnel): void;
}

/**
 * One tunnel, from the 101 to the end of both sockets; the host keeps it. Its promise: every byte of either side reaches the other
 * in order, and the silence of both is limited.
 */
export class Tunnel implements Timed {
  deadline = Number.POSITIVE_INFINITY;
  readonly #downstream: ClientTunnelEnd;
  readonly #upstream: UpstreamTunnelEnd;
  readonly #host: TunnelHost;
  readonly #counters: VariantCounters;
  #idleMs: number;
  #downstreamEnded = false;
  #upstreamEnded = false;
  #isClosed = false;

  private constructor(
    downstream: ClientTunnelEnd,
    upstream: UpstreamTunnelEnd,
    counters: VariantCounters,
    idleMs: number,
  ) {
    this.#counters = counters;
    this.#downstream = downstream;
    this.#upstream = upstream;
    const host = downstream.listener;
    this.#host = host;
    this.#idleMs = idleMs;
    host.deadlines.add(this);
    this.#sawBytes();
    upstream.deadline = Number.POSITIVE_INFINITY;
    host.tunnelOpened(this);
  }

  /** Makes one stream of bytes of the two: both hand everything to the tunnel from now on. */
  static open(
    downstream: ClientTunnelEnd,
    upstream: UpstreamTunnelEnd,
    counters: VariantCounters,
    idleMs: number,
  ): void {
    const tunnel = new Tunnel(downstream, upstream, counters, idleMs);
    upstream.becomeTunnel(tunnel);
    downstream.becomeTunnel(tunnel);
    if (upstream.wire.isBlocked) tunnel.upstreamBlocked();
  }

  /** Bytes from the client; they are valid during the call. */
  fromDownstream(bytes: Buffer, from: number, to: number): void {
    this.#sawBytes();
    this.#upstream.wire.write(bytes, from, to);
  }

  /** Bytes from the upstream; they are valid during the call. */
  fromUpstream(bytes: Buffer, from: number, to: number): void {
    // The upstream is still there to take the last bytes; what it says now has nobody to go to.
    if (this.#isClosed) return;
    this.#sawBytes();
    this.#downstream.wire.write(bytes, from, to);
  }

  downstreamBlocked(): void {
    this.#upstream.wire.pause();
  }

  downstreamDrained(): void {
    this.#upstream.wire.resume();
  }

  upstreamBlocked(): void {
    this.#downstream.wire.pause();
  }

  upstreamDrained(): void {
    this.#downstream.wire.resume();
  }

  downstreamEnded(): void {
    this.#downstreamEnded = true;
    this.#upstream.wire.end();
    if (this.#upstreamEnded) this.close();
    else this.#limitSilence();
  }

  upstreamEnded(): void {
    this.#upstreamEnded = true;
    this.#downstream.wire.end();
    if (this.#downstreamEnded) this.close();
    else this.#limitSilence();
  }

  /** The peer that has ended its side may have gone: a silent rest is not waited for as long as a whole tunnel. */
  #limitSilence(): void {
    this.#idleMs = Math.min(this.#idleMs, this.#downstream.listener.generation.config.timeouts.idle);
    this.#sawBytes();
  }

  downstreamClosed(): void {
    this.close();
  }

  upstreamClosed(): void {
    this.close();
  }

  onDeadline(): void {
    this.#counters.tunnelEnded(TUNNEL_IDLE);
    this.close();
  }

  /** Ends both sides: what is written still leaves, and each side sees the end of the stream. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#host.deadlines.remove(this);
    const now = performance.now();
    const { write } = this.#downstream.listener.generation.config.timeouts;
    this.#downstream.wire.end();
    this.#downstream.linger(now);
    this.#upstream.close(now + write);
    this.#host.tunnelClosed(this);
  }

  #sawBytes(): void {
    this.#host.deadlines.set(this, performance.now() + this.#idleMs);
  }
}

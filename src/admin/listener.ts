// The sockets of the admin port: accepts every connection, as the next one may be a probe, and drops those that wait or read
// most slowly when there are too many or they hold too much memory. Counts what it dropped. Knows no endpoints.

import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { ListenAddress } from '../config/listen-address.ts';
import { OWN_PROCESS } from '../telemetry/own-process.ts';
import type { AdminFacts } from '../telemetry/running.ts';
import { Deadlines } from '../transport/deadlines.ts';
import { ReadMemory } from '../transport/read-memory.ts';
import { ADMIN_PHASE, AdminConnection, type AdminPort, type DropReason } from './connection.ts';
import { FloodGuard } from './flood-guard.ts';
import { HeldMemory, READ_BYTES } from './held-bytes.ts';
import { AnswerPace } from './pace.ts';
import type { Rendering } from './rendering.ts';
import { type AdminRequest, type Answer, text } from './request.ts';

/**
 * Connections that the kernel keeps until they are accepted. When they are too many it makes a client try again a second
 * later; more of them would make a probe wait as long behind connections whose clients have left.
 */
const ACCEPT_QUEUE_MAX = 1024;
/**
 * Connections above which the least useful ones are dropped, unless the process may open few files. Holding a silent
 * connection until its time limit is cheaper than dropping it: a hostile client comes back at once, as a new socket.
 */
const CONNECTIONS_MAX = 640;
const CONNECTIONS_MIN = 128;
/** The part of the process's file descriptors that they may take. */
const DESCRIPTORS_RATIO = 1 / 6;
/** One that was accepted less than this ago is not dropped: its request may be on the way. */
const GRACE_MS = 100;
/** Connections above the maximum at which even those are dropped. */
const EXCESS_MAX = 512;
/** Bytes of different answers that may be held by clients that read slowly, apart from the newest one. */
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** Smaller answers are not counted there: together they are bounded by the number of connections. */
const LARGE_BYTES = 65_536;
/** A part of an answer that is not taken for so long makes its connection one of those that are dropped first. */
const SLOW_READER_MS = 1000;

/** What answers the requests. */
export interface Endpoints {
  answer(request: AdminRequest): Answer | Promise<Answer>;
  isProbe(request: AdminRequest): boolean;
}

/** A listening admin port. */
export class AdminListener implements AdminPort, AdminFacts {
  readonly deadlines = new Deadlines();
  readonly pace = new AnswerPace();
  readonly readMemory = new ReadMemory(READ_BYTES, 0);
  readonly heldMemory = new HeldMemory();
  readonly dropped = { timeout: 0, evicted: 0, accept_failed: 0 };
  readonly #connectionsMax = connectionsMaxOf(OWN_PROCESS.openFilesMax);
  readonly #floodGuard = new FloodGuard();
  readonly #connections = new Set<AdminConnection>();
  readonly #endpoints: Endpoints;
  readonly #server: Server;
  #trimTimer: NodeJS.Timeout | undefined;

  constructor(endpoints: (facts: AdminFacts) => Endpoints) {
    this.#endpoints = endpoints(this);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  /** Resolves with the address and its real port; rejects with the error of listen(). */
  async listen(asked: ListenAddress): Promise<string> {
    const { host, port, path } = asked;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      // Without a host Node listens on `::`, which takes IPv4 too, and falls back to 0.0.0.0 where there is no IPv6.
      const where = path !== null ? { path } : host === null ? { port } : { port, host };
      this.#server.listen({ ...where, backlog: ACCEPT_QUEUE_MAX }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#server.on('error', () => this.drop('accept_failed'));
    return describeAddress(asked, this.#server.address());
  }

  get connectionsOpen(): number {
    return this.#connections.size;
  }

  /** Closes everything at once. */
  async close(): Promise<void> {
    clearTimeout(this.#trimTimer);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.destroy();
    await closed;
    this.deadlines.stop();
    this.pace.stop();
    this.#floodGuard.stop();
  }

  answer(request: AdminRequest): Answer | Promise<Answer> {
    try {
      const answer = this.#endpoints.answer(request);
      return answer instanceof Promise ? answer.catch(failed) : answer;
    } catch (cause) {
      return failed(cause as Error);
    }
  }

  isProbe(request: AdminRequest): boolean {
    return this.#endpoints.isProbe(request);
  }

  closed(connection: AdminConnection): void {
    this.#connections.delete(connection);
  }

  drop(reason: DropReason): void {
    this.dropped[reason] += 1;
  }

  /** Drops the readers of the oldest answers when clients that do not read hold too many different ones. */
  sending({ answer: newest }: AdminConnection): void {
    if (newest === null || newest.body.bytes.length < LARGE_BYTES) return;
    const held = new Set<Rendering>();
    let byteCount = 0;
    for (const { answer } of this.#connections) {
      if (answer === null || answer.body.bytes.length < LARGE_BYTES) continue;
      if (answer.body === newest.body || held.has(answer.body)) continue;
      held.add(answer.body);
      byteCount += answer.body.bytes.length;
    }
    if (byteCount <= ANSWER_BYTES_MAX) return;
    for (const body of [...held].sort((a, b) => a.startedAt - b.startedAt)) {
      if (byteCount <= ANSWER_BYTES_MAX) break;
      byteCount -= body.bytes.length;
      for (const connection of this.#connections) if (connection.answer?.body === body) connection.evict();
    }
  }

  #accept(socket: Socket): void {
    const now = performance.now();
    this.#connections.add(new AdminConnection(this, socket, now));
    this.#floodGuard.accepted(now);
    const excess = this.#connections.size - this.#connectionsMax;
    if (excess > EXCESS_MAX) this.#trim(0);
    else if (excess > 0) this.#trimTimer ??= setTimeout(() => this.#trim(GRACE_MS), GRACE_MS);
  }

  /** Drops connections down to the limit: those first that are least likely to be a probe or a scrape. */
  #trim(graceMs: number): void {
    clearTimeout(this.#trimTimer);
    this.#trimTimer = undefined;
    const now = performance.now();
    const droppable = Array.from(this.#connections, (connection) => ({
      connection,
      rank: rankOf(connection, now),
    })).filter(({ connection }) => now - connection.acceptedAt >= graceMs);
    droppable.sort((a, b) => a.rank - b.rank || a.connection.progressAt - b.connection.progressAt);
    const excess = this.#connections.size - this.#connectionsMax;
    for (const { connection } of droppable.slice(0, Math.max(0, excess))) connection.evict();
  }
}

function connectionsMaxOf(openFilesMax = Number.POSITIVE_INFINITY): number {
  return Math.min(CONNECTIONS_MAX, Math.max(CONNECTIONS_MIN, Math.floor(openFilesMax * DESCRIPTORS_RATIO)));
}

/** Lower ones are dropped first. */
function rankOf({ phase, progressAt }: AdminConnection, now: number): number {
  switch (phase) {
    case ADMIN_PHASE.silent:
    case ADMIN_PHASE.head:
    case ADMIN_PHASE.lingering:
      return 0;
    case ADMIN_PHASE.sending:
      return now - progressAt > SLOW_READER_MS ? 1 : 3;
    case ADMIN_PHASE.idle:
      return 2;
    case ADMIN_PHASE.waiting:
      return 3;
    default:
      return phase satisfies never;
  }
}

function failed(cause: Error): Answer {
  return text(500, `the admin port failed: ${cause.message}\n`);
}

function describeAddress(asked: ListenAddress, bound: AddressInfo | string | null): string {
  if (asked.path !== null) return `unix:${asked.path}`;
  const host = asked.host ?? 'localhost';
  const port = typeof bound === 'object' && bound !== null ? bound.port : asked.port;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

// The whole data plane, composed from one Config: start, reload, drain, stop. It owns the current Generation and the
// upstreams that generations share. The admin port, signals and files are other rooms' business.

import type { Logger } from 'pino';
import { addressName, type ListenAddress } from './config/listen-address.ts';
import type { Config } from './config/options/document.ts';
import type { UpstreamConfig } from './config/options/upstream.ts';
import type { Renewal } from './downstream/certificates.ts';
import { Listener } from './downstream/listener.ts';
import { TlsPorts } from './downstream/tls-ports.ts';
import type { FaultCode } from './errors.ts';
import { buildGeneration, type Generation, type PlannedGeneration } from './routing/generation.ts';
import { describeChange } from './split/change.ts';
import type { AccessLog } from './telemetry/access-log.ts';
import type { Assignments } from './telemetry/assignments.ts';
import { Counters } from './telemetry/counters.ts';
import { ExperimentWatch } from './telemetry/experiment-watch.ts';
import type { Guards, PlannedGuards } from './telemetry/guards.ts';
import { LineBudget } from './telemetry/line-budget.ts';
import { OWN_PROCESS } from './telemetry/own-process.ts';
import type { CertificateView } from './telemetry/running.ts';
import { defineSample } from './telemetry/sample.ts';
import { Deadlines } from './transport/deadlines.ts';
import { Descriptors } from './transport/descriptors.ts';
import { socketIo } from './transport/socket-handle.ts';
import { atOnce, inTurns, type WorkInPieces } from './turns.ts';
import type { Lookup } from './upstream/lookups.ts';
import { type UpstreamEvent, UpstreamEvents } from './upstream/report.ts';
import { Upstream } from './upstream/upstream.ts';

/** An address that cannot be listened on; `cause` is the error of the operating system. */
export class ListenFailure extends Error {
  readonly address: string;

  constructor(address: ListenAddress | string, cause: Error) {
    const name = typeof address === 'string' ? address : addressName(address);
    super(`cannot listen on ${name}: ${cause.message}`, { cause });
    this.name = 'ListenFailure';
    this.address = name;
  }
}

/** An upstream that cannot be used as it is configured; `message` says what was found in place of what it needs. */
export class UnusableUpstream extends Error {
  /** Its name. */
  readonly upstream: string;

  constructor(upstream: string, cause: Error) {
    super(cause.message, { cause });
    this.name = 'UnusableUpstream';
    this.upstream = upstream;
  }
}

/** Settings of an Ambassador that are not configuration. */
export interface AmbassadorOptions {
  readonly log: Logger;
  /** Looks names up; the system's getaddrinfo unless a test passes its own. */
  readonly lookup?: Lookup;
  /** Gets a record of every exchange that it wants one of. */
  readonly accessLog?: AccessLog | null;
  /** Gets every key that a split assigned by its share. */
  readonly assignments?: Assignments | null;
  /** Gets each change of an upstream's state; without it they are warnings in the log. */
  readonly onUpstreamEvent?: (event: UpstreamEvent) => void;
  /** 48 random bytes by which all processes resume each other's TLS sessions; made here unless they are given. */
  readonly ticketKeys?: Uint8Array;
  /** Number of the first generation: 1 unless it takes the place of one that ran before. */
  readonly firstGeneration?: number;
  /** False in a worker: its guards count, and the primary decides. */
  readonly decidesGuards?: boolean;
}

/** A generation that is not in use yet, with what takes effect together with it. */
interface PlannedUse extends PlannedGeneration {
  readonly guards: PlannedGuards;
}

interface PlannedReload extends PlannedUse {
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** What the log says of it. */
  readonly change: ReturnType<typeof describeChange>;
}

/** Time between two lines that say that clients were refused. */
const REFUSAL_LINE_MS = 10_000;
/** Lines about failed handshakes at once; then one in the time above. The metric counts all. */
const HANDSHAKE_LINES = 5;

export type AmbassadorState = 'starting' | 'serving' | 'draining' | 'stopped';

/** Part of the drain deadline after which tunnels, which may never end by themselves, are ended. */
const TUNNEL_PART = 0.8;

/**
 * The data plane of one process. Built from a valid configuration, then `start` once, `reload` as often as wanted, and `drain` or
 * `stop` at the end. Its promise: a configuration that is refused changes nothing, and no exchange notices a reload.
 */
export class Ambassador {
  readonly counters = new Counters();
  readonly socketIo = socketIo();
  readonly #log: Logger;
  readonly #lookup: Lookup | undefined;
  readonly #events: UpstreamEvents;
  readonly #deadlines = new Deadlines();
  readonly #descriptors = new Descriptors();
  readonly #refusalLines = new LineBudget(1, REFUSAL_LINE_MS);
  #refusals = 0;
  readonly #handshakeLines = new LineBudget(HANDSHAKE_LINES, REFUSAL_LINE_MS);
  readonly #tlsPorts: TlsPorts;
  readonly #listener: Listener;
  readonly #assignments: Assignments | null;
  readonly #experiments: ExperimentWatch;
  #upstreams: ReadonlyMap<string, Upstream>;
  /** What upstreams report during a reload in turns, to be written after it; null when there is none. */
  #heldEvents: UpstreamEvent[] | null = null;
  #listening: readonly string[] = [];
  #state: AmbassadorState = 'starting';

  /** Builds everything and opens nothing yet; name lookups begin at once. Throws UnusableUpstream or UnusableCertificate. */
  constructor(config: Config, options: AmbassadorOptions) {
    this.#log = options.log;
    this.#lookup = options.lookup;
    const { onUpstreamEvent = ({ msg, ...more }) => this.#log.warn(more, msg) } = options;
    this.#events = new UpstreamEvents((event) => {
      if (this.#heldEvents === null) onUpstreamEvent(event);
      else this.#heldEvents.push(event);
    });
    this.#tlsPorts = new TlsPorts(config.listen, options.ticketKeys);
    this.#upstreams = this.#upstreamsFor(config, new Map());
    const { accessLog = null, assignments = null, firstGeneration = 1, decidesGuards = true } = options;
    this.#assignments = assignments;
    const owner = {
      sharesChanged: () => this.reload(this.generation.config),
      guardsChanged: () => undefined,
    };
    this.#experiments = new ExperimentWatch(options.log, owner, decidesGuards);
    const generation = this.#adopt(atOnce(this.#plan(firstGeneration, config, this.#upstreams)));
    const observers = { accessLog, assignments };
    this.#listener = new Listener(
      generation,
      this.#deadlines,
      this.counters.downstream,
      observers,
      this.#descriptors,
      (code, cause) => this.#refused(code, cause),
      (reason, client, cause) => this.#handshakeFailed(reason, client, cause),
    );
  }

  /** What stops splits, and when. */
  get experiments(): ExperimentWatch {
    return this.#experiments;
  }

  get guards(): Guards {
    return this.#experiments.guards;
  }

  get state(): AmbassadorState {
    return this.#state;
  }

  get generation(): Generation {
    return this.#listener.generation;
  }

  /** Where requests are taken, as URLs with real ports. */
  get listening(): readonly string[] {
    return this.#listening;
  }

  get certificates(): readonly CertificateView[] {
    return this.#tlsPorts.describe();
  }

  /** Reads the certificates of all listening addresses again; what has changed, and what is wrong with it. */
  renewCertificates(): Promise<readonly Renewal[]> {
    return this.#tlsPorts.renew();
  }

  /** Open client connections. */
  get connectionCount(): number {
    return this.#listener.connectionCount;
  }

  /** Listens on every address of the configuration. Rejects with ListenFailure, and then listens on none. */
  async start(): Promise<void> {
    const listening: string[] = [];
    for (const address of this.generation.config.listen) {
      try {
        listening.push(await this.#listener.listen(address, this.#tlsPorts.of(address)));
      } catch (error) {
        await this.stop();
        throw new ListenFailure(address, error as Error);
      }
    }
    this.#listening = listening;
    this.#descriptors.countOthers(OWN_PROCESS.openFiles);
    if (this.socketIo === 'public')
      this.#log.warn({ node: process.versions.node }, 'this Node.js lacks a private API: requests cost more');
    this.#experiments.follow(this.generation.splitters);
    this.#state = 'serving';
  }

  /**
   * Takes a new configuration into use for all requests that begin from now on. Listening addresses stay.
   * Throws UnusableUpstream, and then nothing has changed.
   */
  reload(config: Config): void {
    this.#use(atOnce(this.#planReload(config)));
  }

  /**
   * As reload(), in several turns of the event loop: requests that come meanwhile are taken as before. Not to be called again
   * before it has ended. False when the ambassador has stopped meanwhile.
   */
  async reloadInTurns(config: Config): Promise<boolean> {
    const held: UpstreamEvent[] = [];
    this.#heldEvents = held;
    try {
      for (;;) {
        const before = this.generation;
        const planned = await inTurns(this.#planReload(config));
        if (this.#state === 'stopped') return this.#abandon(planned);
        if (before === this.generation && isOfNow(planned)) {
          this.#use(planned);
          return true;
        }
        // A step of shares or the end of a stop has come in between: what was planned continues what is no longer there.
        this.#abandon(planned);
      }
    } finally {
      this.#heldEvents = null;
      for (const event of held) this.#events.write(event);
    }
  }

  /** The next generation, and what it changes. Opens its upstreams, and changes nothing else. */
  *#planReload(config: Config): WorkInPieces<PlannedReload> {
    const { generation: before } = this;
    const upstreams = this.#upstreamsFor(config, this.#upstreams);
    yield;
    const plan = yield* this.#plan(before.number + 1, config, upstreams);
    yield;
    const change = describeChange(before, plan.generation);
    yield;
    return { ...plan, upstreams, change };
  }

  *#plan(number: number, config: Config, upstreams: ReadonlyMap<string, Upstream>): WorkInPieces<PlannedUse> {
    const guards = this.guards.plan(config);
    const built = yield* buildGeneration(number, config, upstreams, this.counters, this.#assignments, guards);
    return { ...built, guards };
  }

  #adopt({ generation, samples, guards }: PlannedUse): Generation {
    this.guards.adopt(guards);
    for (const sample of samples) this.counters.adoptSample(sample);
    return generation;
  }

  #use({ upstreams, change, ...plan }: PlannedReload): void {
    const old = this.#upstreams;
    const next = this.#adopt(plan);
    this.#listener.generation = next;
    this.#upstreams = upstreams;
    const kept = new Set(upstreams.values());
    for (const upstream of old.values()) {
      if (!kept.has(upstream)) upstream.retire();
    }
    this.#experiments.follow(next.splitters);
    const { number, config } = next;
    this.#log.info({ generation: number, hash: config.hash, ...change }, 'configuration accepted');
  }

  #abandon({ upstreams }: PlannedReload): false {
    const kept = new Set(this.#upstreams.values());
    for (const upstream of upstreams.values()) if (!kept.has(upstream)) upstream.stop();
    return false;
  }

  /**
   * Goes away in order: for the grace time requests are still taken, then no new connections, idle ones close, and
   * the rest end with their exchange. Resolves with 'deadline' when something had to be cut, else with 'drained'.
   */
  async drain(): Promise<'drained' | 'deadline'> {
    if (this.#state !== 'serving') return 'drained';
    this.#state = 'draining';
    this.#listener.isDraining = true;
    const { grace, deadline } = this.generation.config.drain;
    const graceMs = Math.min(grace, deadline);
    const timers: NodeJS.Timeout[] = [];
    const after = (ms: number): Promise<void> =>
      new Promise((resolve) => {
        timers.push(setTimeout(resolve, ms));
      });
    const cut = after(deadline).then(() => 'deadline' as const);
    void after(Math.max(graceMs, deadline * TUNNEL_PART)).then(() => this.#listener.closeTunnels());
    await after(graceMs);
    const result = await Promise.race([this.#listener.drain().then(() => 'drained' as const), cut]);
    for (const timer of timers) clearTimeout(timer);
    if (result === 'deadline') this.#listener.cutExchanges();
    await this.stop();
    return result;
  }

  /** Ends everything at once. */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#experiments.stop();
    await this.#listener.stop();
    for (const upstream of this.#upstreams.values()) upstream.stop();
    this.#deadlines.stop();
  }

  /** An upstream whose settings have not changed keeps its connections. */
  #upstreamsFor(config: Config, old: ReadonlyMap<string, Upstream>): Map<string, Upstream> {
    const upstreams = new Map<string, Upstream>();
    for (const [name, settings] of config.upstreams) {
      const kept = old.get(name);
      try {
        upstreams.set(
          name,
          kept !== undefined && hasSameSettings(kept.config, settings) ? kept : this.#open(name, settings),
        );
      } catch (cause) {
        // Those that were opened for nothing must not go on with their lookups and probes.
        for (const [opened, upstream] of upstreams) if (upstream !== old.get(opened)) upstream.stop();
        throw new UnusableUpstream(name, cause as Error);
      }
    }
    return upstreams;
  }

  /** A client was refused before it said anything: a line now and then, with their number. */
  #refused(code: FaultCode, cause: string): void {
    this.#refusals++;
    if (!this.#refusalLines.take(performance.now())) return;
    this.#log.warn({ code, cause, count: this.#refusals }, 'connections refused');
    this.#refusals = 0;
  }

  #handshakeFailed(reason: string, client: string, cause: string): void {
    if (!this.#handshakeLines.take(performance.now())) return;
    this.#log.warn({ reason, client, cause }, 'TLS handshake failed');
  }

  #open(name: string, settings: UpstreamConfig): Upstream {
    const counters = this.counters.upstream(name);
    return new Upstream(
      name,
      settings,
      this.#deadlines,
      counters,
      this.#lookup,
      this.#events,
      this.#descriptors,
    );
  }
}

/** No clock has changed the shares of a split since its sample was planned. */
function isOfNow({ generation, samples }: PlannedGeneration): boolean {
  return samples.every(({ split, definition }) => {
    const { shareSchedule, config } = generation.splitters.get(split)!;
    return shareSchedule.steps.length === 0 || defineSample(config) === definition;
  });
}

function hasSameSettings(a: UpstreamConfig, b: UpstreamConfig): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

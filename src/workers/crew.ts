// Runs the worker processes of `workers: N` from the primary process. It offers what an Ambassador offers, but takes no
// request: the workers do, which share the listening sockets (node:cluster). It starts them, sends them the configuration,
// adds up their numbers, and replaces those that die.

import type { Logger } from 'pino';
import { ListenFailure } from '../ambassador.ts';
import type { Config } from '../config/options/document.ts';
import { isForTexts } from '../config/options/split.ts';
import type { Renewal } from '../downstream/certificates.ts';
import { makeTicketKeys, TlsPorts } from '../downstream/tls-ports.ts';
import { compileMatches, compileRoutes } from '../routing/routes.ts';
import { describeChange } from '../split/change.ts';
import { compileSplits } from '../split/own.ts';
import type { Assignments } from '../telemetry/assignments.ts';
import { ExperimentWatch } from '../telemetry/experiment-watch.ts';
import { OWN_PROCESS } from '../telemetry/own-process.ts';
import type { CertificateView, Running, RunningGeneration, RunningWorkers } from '../telemetry/running.ts';
import { socketIo } from '../transport/socket-handle.ts';
import { wallClock } from '../wall-clock.ts';
import { checkCertificates } from './certificates.ts';
import { countShortLives, divideHeap, divideLimits, restartDelayMs } from './division.ts';
import { viewUpstream } from './health.ts';
import { type FromWorker, type Reading, WORKER_ARGUMENT } from './messages.ts';
import { type WorkerProcess, WorkerSlot, type WorkerSlotHost } from './slot.ts';
import { Tally } from './tally.ts';
import { UpstreamNews } from './upstream-news.ts';

/** How long a scrape waits for a worker's numbers. */
const ANSWER_LIMIT_MS = 2000;
/** Time between two readings without a scrape: what was counted in it is lost when a worker is killed. */
const READING_INTERVAL_MS = 1000;
/** Readings in a row without an answer after which a worker is killed and replaced. */
const SILENT_READINGS_MAX = 30;
/** How long workers may take to end, beyond their drain deadline. */
const STOP_LIMIT_MS = 2000;

/** Settings of a crew that are not part of the configuration. */
export interface CrewOptions {
  readonly count: number;
  readonly log: Logger;
  /** Takes the assignment events of all workers, with the secret for making them; null = assignments are off. */
  readonly assignments: { readonly output: Assignments; readonly secret: string } | null;
}

/** Makes a crew; no process is started yet. Rejects with UnusableUpstream or UnusableCertificate. */
export async function openCrew(config: Config, options: CrewOptions): Promise<Crew> {
  // Not imported on top: the bundle would load it for every start, also without workers.
  const { default: cluster } = await import('node:cluster');
  // Workers accept from one shared socket; why not round robin or SO_REUSEPORT: docs/decisions/0016-workers.md.
  if (process.env.NODE_CLUSTER_SCHED_POLICY === undefined) cluster.schedulingPolicy = cluster.SCHED_NONE;
  cluster.setupPrimary({
    exec: process.argv[1]!,
    args: [WORKER_ARGUMENT],
    // Without the flag a SIGUSR1 to the process group opens the debugger of a worker that has not run its first line yet.
    execArgv: ['--disable-sigusr1', ...divideHeap(process.execArgv, options.count)],
    serialization: 'advanced',
  });
  return new Crew(config, options, () => cluster.fork());
}

/**
 * The worker processes of one service. It promises what an Ambassador does, and that a worker that dies or hangs is replaced
 * as long as it runs. Opened by `serve`, which starts it once, and drains or stops it once; afterwards no process is left.
 */
export class Crew implements Running, WorkerSlotHost {
  readonly socketIo = socketIo();
  readonly #options: CrewOptions;
  readonly #log: Logger;
  readonly #fork: () => WorkerProcess;
  readonly #ticketKeys = makeTicketKeys();
  readonly #tlsPorts: TlsPorts;
  readonly #tally = new Tally();
  readonly experiments: ExperimentWatch;
  readonly #slots: readonly WorkerSlot[];
  readonly #initial: Config;
  readonly #started = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  /** Slots whose first worker has neither listened nor died yet. */
  readonly #beginning: Set<WorkerSlot>;
  #phase: 'beginning' | 'running' | 'draining' | 'stopped' = 'beginning';
  #generation: RunningGeneration;
  #listening: readonly string[] = [];
  #deaths = 0;
  readonly #upstreamNews: UpstreamNews;
  #wasCut = false;
  #interval: NodeJS.Timeout | undefined;

  constructor(config: Config, options: CrewOptions, fork: () => WorkerProcess) {
    this.#options = options;
    this.#log = options.log;
    this.#upstreamNews = new UpstreamNews(options.log);
    this.#fork = fork;
    this.#initial = config;
    this.#tlsPorts = new TlsPorts(config.listen, this.#ticketKeys);
    this.#slots = Array.from({ length: options.count }, (_, index) => new WorkerSlot(index + 1, this));
    this.#beginning = new Set(this.#slots);
    this.experiments = new ExperimentWatch(
      options.log,
      { sharesChanged: () => this.#takeShares(), guardsChanged: () => this.#orderGuards() },
      true,
    );
    this.#generation = this.#describe(1, config);
  }

  get guards() {
    return this.experiments.guards;
  }

  get counters() {
    return this.#tally.counters;
  }

  get generation(): RunningGeneration {
    return this.#generation;
  }

  get listening(): readonly string[] {
    return this.#listening;
  }

  get certificates(): readonly CertificateView[] {
    return this.#tlsPorts.describe();
  }

  /** Reads the certificates again, and has every worker do so. */
  async renewCertificates(): Promise<readonly Renewal[]> {
    const renewals = await this.#tlsPorts.renew();
    if (renewals.length > 0) for (const slot of this.#slots) slot.tell({ type: 'renewCertificates' });
    return renewals;
  }

  /** `serving` while at least one worker serves. */
  get state(): Running['state'] {
    if (this.#phase === 'draining' || this.#phase === 'stopped') return this.#phase;
    return this.#slots.some(({ state }) => state === 'serving') ? 'serving' : 'starting';
  }

  /** Assignment windows that began early in a worker. */
  get earlyWindows(): number {
    return this.#tally.earlyWindows;
  }

  /** Log lines that workers have dropped, by position of the reason in DROP_REASONS. */
  get linesDropped(): Float64Array {
    return this.#tally.linesDropped;
  }

  get workers(): RunningWorkers {
    const slots = this.#slots;
    const tally = this.#tally;
    return {
      list: slots.map((slot) => slot.describe()),
      deaths: this.#deaths,
      // Costs system calls, and most readers of `workers` do not need it.
      get process() {
        const others = slots.flatMap(({ reading }) => reading?.process ?? []);
        return tally.addUp([{ ...OWN_PROCESS }, ...others]);
      },
      refresh: () => this.#refresh(),
    };
  }

  /** Resolves when every worker listens or is being replaced. Rejects with ListenFailure; then none runs. */
  async start(): Promise<void> {
    for (const slot of this.#slots) this.#fill(slot);
    this.#interval = setInterval(() => this.#look(), READING_INTERVAL_MS);
    this.#interval.unref();
    try {
      await this.#started.promise;
    } catch (failure) {
      await this.stop();
      throw failure;
    }
    if (this.#phase === 'beginning') this.#phase = 'running';
    this.experiments.follow(this.#generation.splitters);
  }

  /** Tells every worker what its guards have to do. */
  #orderGuards(): void {
    const orders = this.guards.orders();
    if (orders.length > 0) for (const slot of this.#slots) slot.tell({ type: 'guards', orders });
  }

  /** Workers take a step of shares by themselves. */
  #takeShares(): void {
    this.#generation = this.#describe(this.#generation.number + 1, this.#generation.config);
    this.experiments.follow(this.#generation.splitters);
  }

  /**
   * Sends every worker a new configuration. Listening addresses, logs and the number of workers stay as they are.
   * Throws UnusableUpstream; then nothing has changed.
   */
  reload(config: Config): void {
    const old = this.#generation;
    this.#generation = this.#describe(old.number + 1, config);
    for (const slot of this.#slots) {
      if (slot.state === 'serving' || slot.state === 'starting') {
        slot.tell({ type: 'reload', config: this.#configOfWorkers() });
      }
    }
    this.#orderGuards();
    this.experiments.follow(this.#generation.splitters);
    const { number } = this.#generation;
    const change = describeChange(old, this.#generation);
    this.#log.info({ generation: number, hash: config.hash, ...change }, 'configuration accepted');
  }

  /** Drains every worker at the same time and kills those that have not ended by the deadline. */
  async drain(): Promise<'drained' | 'deadline'> {
    if (this.#phase === 'stopped') return 'drained';
    this.#phase = 'draining';
    const { grace, deadline } = this.#generation.config.drain;
    for (const slot of this.#slots) {
      if (slot.isFilled) slot.state = 'draining';
      slot.tell({ type: 'drain' });
    }
    await this.#end(Math.max(grace, deadline) + STOP_LIMIT_MS);
    return this.#wasCut ? 'deadline' : 'drained';
  }

  /** Ends every worker at once. */
  async stop(): Promise<void> {
    this.#phase = 'stopped';
    for (const slot of this.#slots) slot.tell({ type: 'stop' });
    await this.#end(STOP_LIMIT_MS);
  }

  heard(slot: WorkerSlot, message: FromWorker, before: Reading | null): void {
    switch (message.type) {
      case 'hello':
        return this.#brief(slot);
      case 'listening':
        return this.#serves(slot, message.listening);
      case 'notListening': {
        const { address, code, text } = message;
        this.#log.error({ worker: slot.number, address, code }, 'worker cannot listen');
        const cause = Object.assign(new Error(text), { code });
        return this.#started.reject(new ListenFailure(address, cause));
      }
      case 'reading':
        this.guards.merge(slot.number, message.reading.guards);
        return this.#tally.advance(before, message.reading);
      case 'assignments': {
        const now = Date.now();
        for (const event of message.events) this.#options.assignments?.output.relay(event, now);
        return;
      }
      case 'upstream':
        return this.#upstreamNews.relay(message.event);
      case 'drained':
        slot.state = 'ended';
        if (message.result === 'deadline') this.#wasCut = true;
        return this.#tally.advance(before, message.reading);
      default:
        message satisfies never;
    }
  }

  left(slot: WorkerSlot, code: number | null, signal: string | null): void {
    if (slot.reading !== null) this.#tally.forget(slot.reading);
    this.guards.forget(slot.number);
    slot.reading = null;
    const isEnding = this.#phase === 'draining' || this.#phase === 'stopped';
    if (isEnding) {
      if (code !== 0) this.#wasCut = true;
      slot.state = 'ended';
      if (!this.#slots.some(({ isFilled }) => isFilled)) this.#ended.resolve();
      return;
    }
    const livedMs = performance.now() - slot.startedAt;
    slot.shortLives = countShortLives(slot.shortLives, livedMs);
    const restartMs = restartDelayMs(slot.shortLives);
    this.#deaths += 1;
    slot.state = 'waiting';
    this.#log.error(
      { worker: slot.number, code, signal, livedMs: Math.round(livedMs), restartMs },
      'worker died',
    );
    slot.timer = setTimeout(() => this.#fill(slot), restartMs);
    this.#begun(slot);
  }

  #fill(slot: WorkerSlot): void {
    slot.timer = undefined;
    slot.fill(this.#fork, performance.now());
  }

  /** Sends a new worker its orders. */
  #brief(slot: WorkerSlot): void {
    if (this.#phase === 'draining' || this.#phase === 'stopped') return slot.tell({ type: 'stop' });
    const config = this.#configOfWorkers();
    const secret = this.#options.assignments?.secret ?? null;
    const { number: generation } = this.#generation;
    const guards = this.guards.orders();
    slot.tell({ type: 'run', config, generation, secret, guards, ticketKeys: this.#ticketKeys });
  }

  #serves(slot: WorkerSlot, listening: readonly string[]): void {
    if (slot.state !== 'starting') return;
    slot.state = 'serving';
    this.#listening = listening;
    if (slot.starts > 1) this.#log.info({ worker: slot.number, pid: slot.pid }, 'worker replaced');
    // The first reading brings its rows.
    void slot.ask().then(() => this.#begun(slot));
  }

  #begun(slot: WorkerSlot): void {
    this.#beginning.delete(slot);
    if (this.#beginning.size === 0) this.#started.resolve();
  }

  /** A worker that starts later gets the same addresses and logs as the first ones, whatever a reload has changed. */
  #configOfWorkers(): Config {
    const { listen, accessLog, assignments, metrics } = this.#initial;
    const config = { ...this.#generation.config, listen, accessLog, assignments, metrics };
    return divideLimits(config, this.#slots.length);
  }

  #describe(number: number, config: Config): RunningGeneration {
    checkCertificates(config);
    this.guards.configure(config);
    const { own, splitters } = compileSplits(config, {
      clock: wallClock,
      stopOf: (name) => this.guards.stopOf(name),
    });
    const upstreams = new Map(
      Array.from(config.upstreams.keys(), (name) => [name, this.#upstreamView(name)]),
    );
    for (const [name, { variants, config: effective }] of splitters) {
      if (!isForTexts(effective)) this.counters.sample(name, variants, effective);
    }
    const ends = config.routes.map(({ split, upstream, respond }) => {
      if (split !== undefined) return { splitter: splitters.get(split)! };
      if (respond === undefined)
        return { splitter: null, destination: { upstream: upstreams.get(upstream)! } } as const;
      return { splitter: null, destination: null, fixed: { answer: respond } } as const;
    });
    return {
      number,
      config,
      splitters,
      upstreams,
      acceptedAt: new Date(),
      route: compileRoutes(config, ends, compileMatches(config, own)),
    };
  }

  /** The upstream as all workers find it together. */
  #upstreamView(name: string) {
    return viewUpstream(name, () => this.#slots.flatMap(({ reading }) => reading?.upstreams.get(name) ?? []));
  }

  /** Asks every worker for its numbers, and kills one that has not answered for long. */
  #look(): void {
    for (const slot of this.#slots) {
      if (slot.state !== 'serving' && slot.state !== 'draining') continue;
      if (slot.unanswered > 0) slot.silentReadings += 1;
      else slot.silentReadings = 0;
      if (slot.silentReadings > 1) slot.isAnswering = false;
      if (slot.silentReadings === SILENT_READINGS_MAX) {
        this.#log.error({ worker: slot.number, pid: slot.pid }, 'worker hangs and is killed');
        slot.kill();
      }
      void slot.ask();
    }
  }

  async #refresh(): Promise<void> {
    await Promise.all(
      this.#slots.map(async (slot) => {
        const limit = Promise.withResolvers<void>();
        const timer = setTimeout(() => {
          slot.isAnswering = false;
          limit.resolve();
        }, ANSWER_LIMIT_MS);
        await Promise.race([slot.ask(), limit.promise]);
        clearTimeout(timer);
      }),
    );
  }

  /** Waits until no process is left; after the limit it kills those that remain. */
  async #end(limitMs: number): Promise<void> {
    for (const slot of this.#slots) {
      clearTimeout(slot.timer);
      if (!slot.isFilled) slot.state = 'ended';
    }
    if (!this.#slots.some(({ isFilled }) => isFilled)) this.#ended.resolve();
    const timer = setTimeout(() => {
      for (const slot of this.#slots) slot.kill();
    }, limitMs);
    await this.#ended.promise;
    clearTimeout(timer);
    clearInterval(this.#interval);
    this.experiments.stop();
    this.#phase = 'stopped';
  }
}

// The primary process's side of `workers: N`: it looks like an Ambassador to those who start, reload, drain and watch
// it, but the requests are taken by worker processes that share the listening sockets (node:cluster). It starts them, tells
// them the configuration, adds up their numbers, replaces those that die, and takes no request itself.

import type { Worker } from 'node:cluster';
import type { Logger } from 'pino';
import { ListenFailure, UnusableUpstream } from '../ambassador.ts';
import type { Config } from '../config/options/document.ts';
import { membersOf } from '../config/options/upstream.ts';
import { compileRoutes } from '../routing/routes.ts';
import { describeChange } from '../split/change.ts';
import { Splitter } from '../split/splitter.ts';
import type { Assignments } from '../telemetry/assignments.ts';
import { OWN_PROCESS } from '../telemetry/own-process.ts';
import type { AddressView, Running, RunningGeneration, RunningWorkers } from '../telemetry/running.ts';
import type { UpstreamEvent } from '../upstream/report.ts';
import { TlsSettings } from '../upstream/tls.ts';
import { countShortLives, divideHeap, divideLimits, restartDelayMs } from './division.ts';
import { type FromWorker, type Reading, type UpstreamHealth, WORKER_ARGUMENT } from './messages.ts';
import { Place, type PlaceHost } from './place.ts';
import { Tally } from './tally.ts';

/** How long a scrape waits for a worker's numbers. */
const ANSWER_LIMIT_MS = 2000;
/** Time between two readings that nobody asked for: so much is lost at most when a worker is killed. */
const READING_INTERVAL_MS = 1000;
/** Readings in a row without an answer after which a worker hangs for good and is replaced. */
const SILENT_READINGS_MAX = 30;
/** Upstreams, addresses and names whose last event is remembered. */
const REMEMBERED_EVENTS_MAX = 10_000;
/** How long workers have to end after they were told to, beyond their drain deadline. */
const STOP_LIMIT_MS = 2000;

/** What a crew is made of, beside the configuration. */
export interface CrewOptions {
  readonly count: number;
  readonly log: Logger;
  /** Takes the assignment events of all workers, and the secret by which they make them; null = there are none. */
  readonly assignments: { readonly output: Assignments; readonly secret: string } | null;
}

/** Makes a crew; no process is started yet. Rejects with UnusableUpstream. */
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

export class Crew implements Running, PlaceHost {
  readonly #options: CrewOptions;
  readonly #log: Logger;
  readonly #fork: () => Worker;
  readonly #tally = new Tally();
  readonly #places: readonly Place[];
  readonly #initial: Config;
  readonly #started = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  /** Places that have neither listened nor died yet. */
  readonly #beginning: Set<Place>;
  #phase: 'beginning' | 'running' | 'draining' | 'stopped' = 'beginning';
  #generation: RunningGeneration;
  #listening: readonly string[] = [];
  #deaths = 0;
  /** What was reported last of each upstream, address and name. */
  readonly #upstreamEvents = new Map<string, UpstreamEvent['msg']>();
  #wasCut = false;
  #interval: NodeJS.Timeout | undefined;

  constructor(config: Config, options: CrewOptions, fork: () => Worker) {
    this.#options = options;
    this.#log = options.log;
    this.#fork = fork;
    this.#initial = config;
    this.#places = Array.from({ length: options.count }, (_, index) => new Place(index + 1, this));
    this.#beginning = new Set(this.#places);
    this.#generation = this.#describe(1, config);
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

  /** It serves as long as one worker does. */
  get state(): Running['state'] {
    if (this.#phase === 'draining' || this.#phase === 'stopped') return this.#phase;
    return this.#places.some(({ state }) => state === 'serving') ? 'serving' : 'starting';
  }

  /** Assignment windows of workers that began early. */
  get earlyWindows(): number {
    return this.#tally.earlyWindows;
  }

  /** Log lines that workers have dropped, by position of the reason in DROP_REASONS. */
  get linesDropped(): Float64Array {
    return this.#tally.linesDropped;
  }

  get workers(): RunningWorkers {
    const places = this.#places;
    const tally = this.#tally;
    return {
      list: places.map((place) => place.describe()),
      deaths: this.#deaths,
      // Adding up costs system calls, and most who look at workers do not look at this.
      get process() {
        const others = places.flatMap(({ reading }) => reading?.process ?? []);
        return tally.addUp([{ ...OWN_PROCESS }, ...others]);
      },
      refresh: () => this.#refresh(),
    };
  }

  /** Resolves when every worker listens, or has died and is being replaced. Rejects with ListenFailure, and then none runs. */
  async start(): Promise<void> {
    for (const place of this.#places) this.#fill(place);
    this.#interval = setInterval(() => this.#look(), READING_INTERVAL_MS);
    this.#interval.unref();
    try {
      await this.#started.promise;
    } catch (failure) {
      await this.stop();
      throw failure;
    }
    if (this.#phase === 'beginning') this.#phase = 'running';
  }

  /**
   * Takes a new configuration into use in every worker. Listening addresses, logs and the number of workers stay.
   * Throws UnusableUpstream, and then nothing has changed.
   */
  reload(config: Config): void {
    const old = this.#generation;
    this.#generation = this.#describe(old.number + 1, config);
    for (const place of this.#places) {
      if (place.state === 'serving' || place.state === 'starting') {
        place.tell({ type: 'reload', config: this.#configOfWorkers() });
      }
    }
    const { number } = this.#generation;
    const change = describeChange(old, this.#generation);
    this.#log.info({ generation: number, hash: config.hash, ...change }, 'configuration accepted');
  }

  /** As Ambassador's: every worker drains at the same time; those that are not done in time are killed. */
  async drain(): Promise<'drained' | 'deadline'> {
    if (this.#phase === 'stopped') return 'drained';
    this.#phase = 'draining';
    const { grace, deadline } = this.#generation.config.drain;
    for (const place of this.#places) {
      if (place.isFilled) place.state = 'draining';
      place.tell({ type: 'drain' });
    }
    await this.#end(Math.max(grace, deadline) + STOP_LIMIT_MS);
    return this.#wasCut ? 'deadline' : 'drained';
  }

  /** Ends every worker at once. */
  async stop(): Promise<void> {
    this.#phase = 'stopped';
    for (const place of this.#places) place.tell({ type: 'stop' });
    await this.#end(STOP_LIMIT_MS);
  }

  heard(place: Place, message: FromWorker, before: Reading | null): void {
    switch (message.type) {
      case 'hello':
        return this.#brief(place);
      case 'listening':
        return this.#serves(place, message.listening);
      case 'notListening': {
        const { address, code, text } = message;
        this.#log.error({ worker: place.number, address, code }, 'worker cannot listen');
        const cause = Object.assign(new Error(text), { code });
        return this.#started.reject(new ListenFailure(address, cause));
      }
      case 'reading':
        return this.#tally.advance(before, message.reading);
      case 'assignments': {
        const now = Date.now();
        for (const event of message.events) this.#options.assignments?.output.relay(event, now);
        return;
      }
      case 'upstream':
        return this.#relayUpstreamEvent(message.event);
      case 'drained':
        place.state = 'ended';
        if (message.result === 'deadline') this.#wasCut = true;
        return this.#tally.advance(before, message.reading);
      default:
        message satisfies never;
    }
  }

  /** Each worker finds out by itself what an upstream is like: what one has reported the others need not repeat. */
  #relayUpstreamEvent({ msg, ...more }: UpstreamEvent): void {
    // An upstream as a whole, one of its addresses, or one of its names.
    const [kind = ''] = msg.split(' ');
    const of = `${kind}\0${more.upstream}\0${kind === 'upstream' ? '' : (more.address ?? more.name ?? '')}`;
    if (this.#upstreamEvents.get(of) === msg) return;
    if (this.#upstreamEvents.size === REMEMBERED_EVENTS_MAX) this.#upstreamEvents.clear();
    this.#upstreamEvents.set(of, msg);
    this.#log.warn(more, msg);
  }

  left(place: Place, code: number | null, signal: string | null): void {
    if (place.reading !== null) this.#tally.forget(place.reading);
    place.reading = null;
    const isEnding = this.#phase === 'draining' || this.#phase === 'stopped';
    if (isEnding) {
      if (code !== 0) this.#wasCut = true;
      place.state = 'ended';
      if (!this.#places.some(({ isFilled }) => isFilled)) this.#ended.resolve();
      return;
    }
    const livedMs = performance.now() - place.startedAt;
    place.shortLives = countShortLives(place.shortLives, livedMs);
    const restartMs = restartDelayMs(place.shortLives);
    this.#deaths += 1;
    place.state = 'waiting';
    this.#log.error(
      { worker: place.number, code, signal, livedMs: Math.round(livedMs), restartMs },
      'worker died',
    );
    place.timer = setTimeout(() => this.#fill(place), restartMs);
    this.#begun(place);
  }

  #fill(place: Place): void {
    place.timer = undefined;
    place.fill(this.#fork, performance.now());
  }

  /** Tells a new worker what to do. */
  #brief(place: Place): void {
    if (this.#phase === 'draining' || this.#phase === 'stopped') return place.tell({ type: 'stop' });
    const config = this.#configOfWorkers();
    const secret = this.#options.assignments?.secret ?? null;
    place.tell({ type: 'run', config, generation: this.#generation.number, secret });
  }

  #serves(place: Place, listening: readonly string[]): void {
    if (place.state !== 'starting') return;
    place.state = 'serving';
    this.#listening = listening;
    if (place.starts > 1) this.#log.info({ worker: place.number, pid: place.pid }, 'worker replaced');
    // Its rows are known from its first reading on.
    void place.ask(false).then(() => this.#begun(place));
  }

  #begun(place: Place): void {
    this.#beginning.delete(place);
    if (this.#beginning.size === 0) this.#started.resolve();
  }

  /** What is taken once, at the start, stays as it was also for a worker that is started later. */
  #configOfWorkers(): Config {
    const { listen, accessLog, assignments } = this.#initial;
    const config = { ...this.#generation.config, listen, accessLog, assignments };
    return divideLimits(config, this.#places.length);
  }

  #describe(number: number, config: Config): RunningGeneration {
    checkUpstreams(config);
    const splitters = new Map(
      Array.from(config.splits, ([name, split]) => [name, new Splitter(name, split)]),
    );
    const upstreams = new Map(
      Array.from(config.upstreams.keys(), (name) => [name, this.#describeUpstream(name)]),
    );
    for (const [name, { variants }] of splitters) {
      this.counters.sample(name, variants, config.splits.get(name)!);
    }
    const ends = config.routes.map(({ split, upstream }) =>
      split !== undefined
        ? { splitter: splitters.get(split)! }
        : ({ splitter: null, arm: { upstream: upstreams.get(upstream)! } } as const),
    );
    return {
      number,
      config,
      splitters,
      upstreams,
      acceptedAt: new Date(),
      route: compileRoutes(config, ends),
    };
  }

  #describeUpstream(name: string) {
    const views = (): UpstreamHealth[] =>
      this.#places.flatMap(({ reading }) => reading?.upstreams.get(name) ?? []);
    return {
      name,
      get trouble(): string | null {
        const all = views();
        const troubles = all.flatMap(({ trouble }) => trouble ?? []);
        const [first] = troubles;
        if (first === undefined) return null;
        return troubles.length === all.length
          ? first
          : `${first} (so say ${troubles.length} of ${all.length} workers)`;
      },
      describe: () => addUpAddresses(views()),
    };
  }

  /** Asks every worker for its numbers, now and again; one that never answers is replaced. */
  #look(): void {
    for (const place of this.#places) {
      if (place.state !== 'serving' && place.state !== 'draining') continue;
      if (place.unanswered > 0) place.silentReadings += 1;
      else place.silentReadings = 0;
      if (place.silentReadings > 1) place.isAnswering = false;
      if (place.silentReadings === SILENT_READINGS_MAX) {
        this.#log.error({ worker: place.number, pid: place.pid }, 'worker hangs and is killed');
        place.kill();
      }
      void place.ask(false);
    }
  }

  async #refresh(): Promise<void> {
    await Promise.all(
      this.#places.map(async (place) => {
        const limit = Promise.withResolvers<void>();
        const timer = setTimeout(() => {
          place.isAnswering = false;
          limit.resolve();
        }, ANSWER_LIMIT_MS);
        await Promise.race([place.ask(true), limit.promise]);
        clearTimeout(timer);
      }),
    );
  }

  /** Waits until no process is left; kills those that are still there after the limit. */
  async #end(limitMs: number): Promise<void> {
    for (const place of this.#places) {
      clearTimeout(place.timer);
      if (!place.isFilled) place.state = 'ended';
    }
    if (!this.#places.some(({ isFilled }) => isFilled)) this.#ended.resolve();
    const timer = setTimeout(() => {
      for (const place of this.#places) place.kill();
    }, limitMs);
    await this.#ended.promise;
    clearTimeout(timer);
    clearInterval(this.#interval);
    this.#phase = 'stopped';
  }
}

/** Throws UnusableUpstream where a worker would: what none of them can use must be refused before they are told. */
function checkUpstreams({ upstreams }: Config): void {
  for (const [name, upstream] of upstreams) {
    for (const { url, down } of membersOf(upstream)) {
      if (!url.tls || down) continue;
      try {
        new TlsSettings(upstream.tls, url, 0);
      } catch (cause) {
        throw new UnusableUpstream(name, cause as Error);
      }
    }
  }
}

/** From good to bad. */
const STATES: readonly AddressView['state'][] = ['healthy', 'failing', 'ejected', 'down'];

/** Addresses as all workers find them: healthy when all find it so. */
function addUpAddresses(views: readonly UpstreamHealth[]): UpstreamHealth['addresses'] {
  const sums = new Map<string, UpstreamHealth['addresses'][number]>();
  for (const one of views.flatMap(({ addresses }) => addresses)) {
    const sum = sums.get(one.address);
    if (sum === undefined) {
      sums.set(one.address, one);
      continue;
    }
    const worse = STATES.indexOf(one.state) > STATES.indexOf(sum.state) ? one : sum;
    const isLater = (one.lastFailure?.at ?? '') > (sum.lastFailure?.at ?? '');
    sums.set(one.address, {
      address: one.address,
      healthy: one.healthy && sum.healthy,
      state: worse.state,
      since: worse.since,
      lastFailure: isLater ? one.lastFailure : sum.lastFailure,
      inFlight: one.inFlight + sum.inFlight,
      idle: one.idle + sum.idle,
    });
  }
  return [...sums.values()];
}

// Runs an accepted configuration until a signal ends it: the data plane, the admin port beside it, the log, the files
// that are watched, and what signals do to them. Knows no command line and no process: signals come from the host, and the
// exit code goes back to it.

import { availableParallelism, hostname } from 'node:os';
import type { Logger } from 'pino';
import { formatAddress } from '../admin/effective-config.ts';
import { type AdminServer, startAdmin } from '../admin/server.ts';
import { Ambassador, ListenFailure, UnusableUpstream } from '../ambassador.ts';
import { type Finding, warningLines } from '../config/findings.ts';
import type { Loaded, LoadRequest } from '../config/load.ts';
import type { Config } from '../config/options/document.ts';
import { formatPath, formatProblems, type Problem } from '../config/problem.ts';
import { UnusableCertificate } from '../downstream/certificates.ts';
import { describeSplits } from '../split/change.ts';
import { setDurationBounds } from '../telemetry/duration-buckets.ts';
import { type LogOutput, openLog } from '../telemetry/log.ts';
import { OWN_PROCESS } from '../telemetry/own-process.ts';
import { NO_STORE, ReloadStatus } from '../telemetry/running.ts';
import { VERSION } from '../telemetry/version.ts';
import type { Crew } from '../workers/crew.ts';
import { CertificateWatch } from './certificate-watch.ts';
import { type Events, lossOf, openEvents } from './events.ts';
import { fixedOptionsThatDiffer } from './fixed-options.ts';
import { GuardFleet } from './guard-fleet.ts';
import { GuardState } from './guard-state.ts';
import { LastGood } from './last-good.ts';
import { describeListenFailure } from './listen-failure.ts';
import { type ReloadHost, Reloads } from './reload.ts';
import { ReloadReader } from './reload-reader.ts';
import type { SampleKeeper } from './sample-keeper.ts';
import { isMountedAlone } from './watch.ts';

/** Signals that a service takes. */
export type Signal = 'SIGINT' | 'SIGTERM' | 'SIGQUIT' | 'SIGHUP' | 'SIGUSR1';

/** What a service asks of the process that it runs in. */
export interface ServiceHost {
  writeErr(text: string): void;
  /** The file that a thread runs which reads a configuration (load-thread.ts); absent where there is none. */
  readonly loadThread?: string | undefined;
  /** From now on signals come here; SIGHUP and SIGUSR1 also when they came before. */
  onSignal(listener: (signal: Signal) => void): void;
}

/** What takes the requests: an Ambassador in this process, or a crew of workers. */
type DataPlane = Ambassador | Crew;

/** How a service starts. */
export interface ServiceStart {
  readonly request: LoadRequest;
  /** Where the last accepted configuration is kept; null when it is not. */
  readonly kept: string | null;
  /** Why the own configuration was refused; null when it is the one that runs. */
  readonly refused: readonly string[] | null;
}

/** Runs a configuration until a signal ends it: the exit code, or the sentences that say why it cannot be run at all. */
export async function runService(
  loaded: Loaded & { readonly config: Config },
  { request, kept, refused }: ServiceStart,
  host: ServiceHost,
): Promise<number | readonly string[]> {
  const { config } = loaded;
  const workers = config.workers === 'auto' ? availableParallelism() : config.workers;
  const output = openLog(1, { isShared: workers > 1, level: config.log.level });
  let events: Events;
  try {
    events = openEvents(config, output);
  } catch (cause) {
    await output.close();
    return [`request-splitter: ${(cause as Error).message}`];
  }
  let service: Service;
  const thread = new ReloadReader(host.loadThread ?? '');
  const { flags, environment } = request;
  const reader: ConfigReader = {
    read: (texts) => thread.read({ flags, environment: { ...environment }, texts }, loaded.file),
    close: () => thread.close(),
  };
  const lastGood =
    kept === null
      ? null
      : new LastGood(kept, ({ message }) =>
          output.log.error({ file: kept, cause: message }, 'last good configuration not written'),
        );
  try {
    const plane = await openDataPlane(config, workers, output, events);
    service = new Service(plane, output, events, reader, lastGood);
  } catch (cause) {
    await Promise.all([output.close(), events.file?.close()]);
    return formatProblems([unusable(cause, loaded.file)]);
  }
  host.onSignal((signal) => service.signalled(signal));
  // A signal may end it before it has started.
  const failure = await Promise.race([service.start(loaded, refused), service.ended.then(() => null)]);
  if (failure === null) return service.ended;
  await Promise.all([output.close(), events.file?.close()]);
  host.writeErr(`${failure}\n`);
  return 1;
}

/** The problem with an upstream or a listening address whose files are not what the configuration says. */
function unusable(cause: unknown, file: string | null): Problem {
  const at = { at: file ?? 'configuration', order: 0, expected: 'PEM files that can be used' };
  if (cause instanceof UnusableCertificate) return { ...at, path: 'listen.tls', got: cause.message };
  if (!(cause instanceof UnusableUpstream)) throw cause;
  return {
    ...at,
    path: formatPath(['upstreams', cause.upstream, 'tls']),
    expected: 'PEM files that can be read',
    got: cause.message,
  };
}

/** Throws UnusableUpstream or UnusableCertificate. */
async function openDataPlane(
  config: Config,
  workers: number,
  { log }: LogOutput,
  { accessLog, assignments, secret }: Events,
): Promise<DataPlane> {
  setDurationBounds(config.metrics.durationBuckets);
  if (workers === 1) return new Ambassador(config, { log, accessLog, assignments });
  // Loaded for those who want it alone: a sidecar has no workers.
  const { openCrew } = await import('../workers/crew.ts');
  const relayed = assignments === null ? null : { output: assignments, secret };
  return openCrew(config, { count: workers, log, assignments: relayed });
}

/** What keeps the samples of this process beyond its end; null where the configuration wants none. */
async function openKeeper(plane: DataPlane, config: Config, log: Logger): Promise<SampleKeeper | null> {
  const { store, interval } = config.sample;
  if (store === 'off') return null;
  const [keeper, { openStore }] = await Promise.all([
    import('./sample-keeper.ts'),
    import('./open-store.ts'),
  ]);
  const opened = await openStore(config.sample);
  const kept = {
    samples: async () => {
      if ('workers' in plane) await plane.workers.refresh();
      return [...plane.counters.samples()];
    },
    get owner() {
      return [hostname(), ...plane.listening].join(' ');
    },
  };
  return opened === null ? null : new keeper.SampleKeeper(opened, kept, interval, log);
}

/** Reads a configuration from the texts of its files. */
interface ConfigReader extends Pick<ReloadHost, 'read'> {
  close(): void;
}

/** The data plane, its admin port, the files that are watched, and what signals do to them. */
class Service implements ReloadHost {
  readonly #plane: DataPlane;
  readonly #output: LogOutput;
  readonly #log: Logger;
  readonly #events: Events;
  readonly #reader: ConfigReader;
  readonly #lastGood: LastGood | null;
  readonly #startConfig: Config;
  readonly #guardState: GuardState;
  readonly #guardFleet: GuardFleet;
  readonly #status = new ReloadStatus();
  readonly #ended = Promise.withResolvers<number>();
  readonly #certificates: CertificateWatch;
  #reloads: Reloads | null = null;
  #admin: AdminServer | null = null;
  #keeper: SampleKeeper | null = null;
  #isEnding = false;
  /** A SIGHUP came during the start. */
  #wantsReload = false;
  /** What ends at once also ends a drain; that one then has no say in how. */
  #isCut = false;

  constructor(
    plane: DataPlane,
    output: LogOutput,
    events: Events,
    reader: ConfigReader,
    lastGood: LastGood | null,
  ) {
    this.#plane = plane;
    this.#output = output;
    this.#log = output.log;
    this.#events = events;
    this.#reader = reader;
    this.#lastGood = lastGood;
    this.#startConfig = plane.generation.config;
    this.#certificates = new CertificateWatch(plane, this.#startConfig, this.#log);
    this.#guardState = new GuardState(plane, output.log);
    this.#guardFleet = new GuardFleet(plane, output.log);
  }

  /** Resolves with the exit code once everything is closed. */
  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  /** Opens the ports, the admin port first so that probes hear "starting". Null when all is well, else the lines that say why not. */
  async start(loaded: Loaded, refused: readonly string[] | null): Promise<string | null> {
    const { file, notes, findings } = loaded;
    this.#reloads = new Reloads(this, loaded);
    this.#guardState.restore();
    if (refused !== null) this.#status.startedOnLastGood(refused);
    const { config } = this.#plane.generation;
    this.#keeper = await openKeeper(this.#plane, config, this.#log);
    try {
      this.#admin =
        config.admin === null
          ? null
          : await startAdmin(
              this.#plane,
              config.admin,
              this.#status,
              lossOf(this.#output, this.#events, this.#plane),
              this.#keeper ?? NO_STORE,
            );
    } catch (cause) {
      const address = formatAddress(config.admin!);
      const failed = { address, port: 'admin', cause: cause as NodeJS.ErrnoException } as const;
      return describeListenFailure(failed, config, null);
    }
    try {
      await this.#plane.start();
    } catch (failure) {
      await this.#admin?.close();
      if (!(failure instanceof ListenFailure)) throw failure;
      const { address, cause } = failure;
      const failed = { address, port: 'downstream', cause: cause as NodeJS.ErrnoException } as const;
      return describeListenFailure(failed, config, null);
    }
    for (const note of notes) this.#log.info({ file, note }, 'note');
    this.#warn(findings ?? []);
    this.#log.info({ version: VERSION, ...this.#describe(), file }, 'serving');
    this.#warnOfDescriptors(config);
    if (refused === null) this.#lastGood?.keep(loaded);
    else this.#warnOfLastGood();
    void this.#keeper?.start();
    this.#guardFleet.start();
    await this.#watch(loaded);
    return null;
  }

  /** The file is looked at again as soon as it is watched: its problems follow as `configuration refused`. */
  #warnOfLastGood(): void {
    const { problems } = this.#status;
    const { hash } = this.#plane.generation.config;
    this.#log.warn(
      { problems, lastGood: this.#lastGood?.file, hash },
      'configuration refused, running on the last good one',
    );
  }

  signalled(signal: Signal): void {
    if (signal === 'SIGUSR1') this.#reopen();
    else if (signal === 'SIGHUP') {
      this.#reopen();
      this.#certificates.request();
      this.#guardState.askEnd();
      if (this.#reloads === null) this.#wantsReload = true;
      else this.#reloads.request();
    } else if (this.#isEnding) void this.#end(signal, 1);
    else if (signal === 'SIGINT') void this.#end(signal, 0);
    else void this.#drain(signal);
  }

  /** Log files that were moved away are left; stdout is never reopened. */
  #reopen(): void {
    const { file } = this.#events;
    if (file === null) return;
    file.reopen();
    this.#log.info({ file: file.file }, 'reopening log file');
  }

  #describe() {
    const { number, config } = this.#plane.generation;
    return {
      listening: this.#plane.listening,
      admin: this.#admin?.address ?? 'off',
      generation: number,
      ...('workers' in this.#plane ? { workers: this.#plane.workers.list.length } : {}),
      hash: config.hash,
      ...describeSplits(this.#plane.generation),
    };
  }

  /** Each request takes a descriptor of the client's and one of the upstream's. */
  #warnOfDescriptors({ limits: { connections } }: Config): void {
    const workers = 'workers' in this.#plane ? this.#plane.workers.list.length : 1;
    const { openFilesMax } = OWN_PROCESS;
    const needed = 2 * Math.ceil(connections / workers);
    if (openFilesMax === undefined || needed <= openFilesMax) return;
    this.#log.warn(
      { connections, needed, openFilesMax },
      'limits.connections is more than the file descriptors (RLIMIT_NOFILE) allow',
    );
  }

  async #watch(loaded: Loaded): Promise<void> {
    for (const file of loaded.files) {
      if (await isMountedAlone(file)) {
        this.#log.warn({ file }, 'a file that is mounted alone (subPath) never changes: mount its directory');
      }
    }
    await Promise.all([this.#reloads?.watch(), this.#certificates.start()]);
    if (this.#wantsReload) this.#reloads?.request();
  }

  read(texts: ReadonlyMap<string, string>): Promise<Loaded> {
    return this.#reader.read(texts);
  }

  unchanged(): void {
    this.#status.accepted();
    if (this.#guardState.end()) return;
    this.#log.info({ hash: this.#plane.generation.config.hash }, 'configuration unchanged');
  }

  unreadable(problem: Problem): void {
    this.#refuse([problem]);
  }

  async take(loaded: Loaded): Promise<boolean> {
    if (this.#isEnding) return false;
    if (loaded.problems !== undefined) return this.#refuse(loaded.problems);
    const { config } = this.#plane.generation;
    if (loaded.config.hash === config.hash) {
      this.unchanged();
      return true;
    }
    try {
      const plane = this.#plane;
      // A crew takes no requests itself.
      if ('workers' in plane) plane.reload(loaded.config);
      else if (!(await plane.reloadInTurns(loaded.config)) || this.#isEnding) return false;
    } catch (cause) {
      return this.#refuse([unusable(cause, loaded.file)]);
    }
    if (!this.#guardState.end()) this.#guardState.keep();
    this.#status.accepted();
    this.#warn(loaded.findings);
    const fixed = fixedOptionsThatDiffer(config, loaded.config);
    if (fixed.length > 0) this.#log.warn({ options: fixed }, 'a change of these options needs a restart');
    // Options of the start that no start has tried are not known to be good.
    if (fixedOptionsThatDiffer(this.#startConfig, loaded.config).length === 0) this.#lastGood?.keep(loaded);
    return true;
  }

  /** One line per warning; notes are for `check`. */
  #warn(findings: readonly Finding[]): void {
    for (const warning of warningLines(findings)) {
      this.#log.warn({ warning, hash: this.#plane.generation.config.hash }, 'configuration warning');
    }
  }

  #refuse(found: readonly Problem[]): false {
    this.#guardState.refuseEnd();
    const problems = formatProblems(found);
    this.#status.refused(problems);
    this.#log.error({ problems, hash: this.#plane.generation.config.hash }, 'configuration refused');
    return false;
  }

  async #drain(signal: Signal): Promise<void> {
    this.#isEnding = true;
    this.#log.info({ signal }, 'draining');
    const result = await this.#plane.drain();
    await this.#keeper?.handOver();
    if (this.#isCut) return;
    await this.#close(result === 'drained' ? 'drained' : 'drain deadline passed', 0);
  }

  async #end(signal: Signal, code: number): Promise<void> {
    this.#isEnding = true;
    this.#isCut = true;
    this.#log.info({ signal }, 'ending at once');
    await this.#plane.stop();
    await this.#close('stopped', code);
  }

  async #close(message: string, code: number): Promise<void> {
    this.#reloads?.close();
    this.#certificates.close();
    this.#guardFleet.stop();
    this.#reader.close();
    await this.#admin?.close();
    this.#log.info(message);
    await this.#guardState.close();
    await Promise.all([this.#output.close(), this.#events.file?.close()]);
    this.#ended.resolve(code);
  }
}

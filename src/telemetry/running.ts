// Declares what metrics and the admin port read of a running splitter. Ambassador and Crew satisfy it, so this room needs to
// know no sockets. Nothing here changes the splitter.

import type { Config } from '../config/options/document.ts';
import type { FaultCode } from '../errors.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { Splitter } from '../split/splitter.ts';
import type { Counters } from './counters.ts';
import type { Guards } from './guards.ts';
import { DROP_REASONS } from './log-device.ts';
import type { ProcessFacts } from './own-process.ts';

/** The states of a process, in order. It takes requests while serving and, for the grace time, while draining. */
type RunningState = 'starting' | 'serving' | 'draining' | 'stopped';

/** What can be read of an upstream. */
interface RunningUpstream {
  readonly name: string;
  /** Why it cannot be reached now, as a sentence; null when it has a healthy address. */
  readonly trouble: string | null;
  describe(): readonly AddressView[];
}

/** One address of an upstream. Times as in `Date.prototype.toISOString`. */
export interface AddressView {
  readonly address: string;
  /** It takes exchanges. */
  readonly healthy: boolean;
  /** `failing` still takes exchanges, as there is no better address; `down` is what probes found. */
  readonly state: 'healthy' | 'failing' | 'ejected' | 'down';
  /** Since when it works, or does not. */
  readonly since: string;
  /** What failed last; null when nothing has. */
  readonly lastFailure: {
    readonly at: string;
    readonly code: FaultCode;
    readonly cause: string | null;
  } | null;
  /** Exchanges on its connections. */
  readonly inFlight: number;
  /** Connections that wait for an exchange. */
  readonly idle: number;
}

/** What a route leads to: a splitter, an upstream without one, or a fixed answer. */
type RunningTarget =
  | { readonly splitter: Splitter }
  | { readonly splitter: null; readonly destination: { readonly upstream: RunningUpstream } }
  | {
      readonly splitter: null;
      readonly destination: null;
      readonly fixed: { readonly answer: { readonly status: number } };
    };

/** The configuration that new exchanges run on. */
export interface RunningGeneration {
  /** 1 for the configuration of the start, one more for each accepted reload. */
  readonly number: number;
  readonly config: Config;
  readonly splitters: ReadonlyMap<string, Splitter>;
  readonly upstreams: ReadonlyMap<string, RunningUpstream>;
  readonly acceptedAt: Date;
  /** What takes this request, or the fault that it gets when nothing does. */
  readonly route: (head: RequestHead) => RunningTarget | FaultCode;
}

/** How sockets are read: past net.Socket, or by its public way because this Node lacks the private one. */
export type SocketIo = 'direct' | 'public';

/** One certificate that clients are shown. Times as in `Date.prototype.toISOString`. */
export interface CertificateView {
  /** The listening address. */
  readonly address: string;
  /** Its file. */
  readonly certificate: string;
  /** Server names that get it. */
  readonly names: readonly string[];
  readonly notAfter: string;
  readonly loadedAt: string;
  /** Why the files that are there now are not in use; null when they are. */
  readonly problem: string | null;
}

/** A splitter that can be asked what it does. */
export interface Running {
  readonly counters: Counters;
  readonly state: RunningState;
  readonly generation: RunningGeneration;
  /** Addresses with their real ports, "http://127.0.0.1:8000"; empty until it listens. */
  readonly listening: readonly string[];
  readonly socketIo: SocketIo;
  /** Of all listening addresses with TLS, in their order. */
  readonly certificates: readonly CertificateView[];
  /** What stops splits. */
  readonly guards: Pick<Guards, 'stopFactsOf' | 'isOfFleet' | 'reports'>;
  /** The processes that take the requests; absent when this one does. */
  readonly workers?: RunningWorkers;
}

/** Processes that take requests for the one that is asked. `counters` of the splitter are theirs, added up. */
export interface RunningWorkers {
  readonly list: readonly RunningWorker[];
  /** Workers that ended without an order to, since the start. */
  readonly deaths: number;
  /** This process and all workers together, those that died included where a number only grows. */
  readonly process: ProcessFacts;
  /** Brings `counters`, `process` and `list` up to date; a worker that does not answer in time keeps its last numbers. */
  refresh(): Promise<void>;
}

/** One of the workers. */
export interface RunningWorker {
  /** 1 for the first; one that is replaced hands its number on. */
  readonly number: number;
  /** Null while it waits to be started again. */
  readonly pid: number | null;
  /** `waiting`: it died and is started again a little later. */
  readonly state: 'waiting' | 'starting' | 'serving' | 'draining' | 'ended';
  /** False when it did not answer the last question: its numbers are older. */
  readonly isAnswering: boolean;
  /** Number of the generation that it runs; 0 before its first reading. */
  readonly generation: number;
  /** How often it was started again. */
  readonly restarts: number;
  readonly connectionsAccepted: number;
  readonly connectionsOpen: number;
  readonly residentBytes: number;
}

/** What the log outputs have dropped, and what else makes a log less than it promises. */
export interface LogLoss {
  /** Lines, by position of the reason in DROP_REASONS. */
  readonly linesDropped: Float64Array;
  /** Assignment windows that began early, so that keys may have got two events. */
  readonly earlyWindows: number;
}

/** No log output, nothing dropped. */
export const NOTHING_DROPPED: LogLoss = {
  linesDropped: new Float64Array(DROP_REASONS.length),
  earlyWindows: 0,
};

/** What the admin port says of itself. */
export interface AdminFacts {
  readonly connectionsOpen: number;
  /** Connections that were closed before their client had finished, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
}

/** What the keeper of samples says of its store (`sample.store`). */
export interface StoreFacts {
  /** Processes from whose samples this one has gone on. */
  readonly adopted: readonly string[];
  /** Times that the samples were written. */
  readonly writes: number;
  /** What failed, by reason. */
  readonly failures: Readonly<Record<string, number>>;
  /** What failed last; null when the last attempt did not. */
  readonly problem: string | null;
  /** Unix time in milliseconds of the last write; null before the first. */
  readonly writtenMs: number | null;
}

/** No store. */
export const NO_STORE: StoreFacts = { adopted: [], writes: 0, failures: {}, problem: null, writtenMs: null };

/** How the last attempt to load a configuration went. The loader owns it and reports each attempt; it lives as long as the process. */
export class ReloadStatus {
  #at = new Date();
  #problems: readonly string[] = [];
  #failures = 0;
  #isLastGood = false;

  /** The last configuration was taken. */
  accepted(): void {
    this.#at = new Date();
    this.#problems = [];
    this.#isLastGood = false;
  }

  /** The configuration of the start was refused; the last one that an earlier process accepted runs in its place. */
  startedOnLastGood(problems: readonly string[]): void {
    this.refused(problems);
    this.#isLastGood = true;
  }

  /** The last configuration was refused; what ran before runs on. @param problems one sentence each, as `check` prints */
  refused(problems: readonly string[]): void {
    this.#at = new Date();
    this.#problems = problems;
    this.#failures += 1;
  }

  /** Time of the last attempt. */
  get at(): Date {
    return this.#at;
  }
  get isSuccessful(): boolean {
    return this.#problems.length === 0;
  }
  /** True from a start on the last good configuration until one is accepted. */
  get isLastGood(): boolean {
    return this.#isLastGood;
  }
  /** Problems of the last attempt; empty after a good one. */
  get problems(): readonly string[] {
    return this.#problems;
  }
  /** Attempts that were refused since the start. */
  get failures(): number {
    return this.#failures;
  }
}

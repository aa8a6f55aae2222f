// Holds one worker of the crew: the process that runs now, its last reading, and the questions that wait for an answer. The
// crew decides whether another process follows one that has ended (crew.ts).

import type { EventEmitter } from 'node:events';
import { DOWNSTREAM_ROW } from '../telemetry/counts.ts';
import type { RunningWorker } from '../telemetry/running.ts';
import type { FromWorker, Reading, ToWorker } from './messages.ts';

/** Questions that may wait for their answers; a worker that is later than that is asked no more. */
const QUESTIONS_MAX = 8;

/** What a slot needs of a Worker of node:cluster. It emits `message`, `exit`, `disconnect` and `error` as that does. */
export interface WorkerProcess extends EventEmitter {
  readonly process: { readonly pid?: number | undefined };
  send(message: ToWorker, sent: (cause: Error | null) => void): unknown;
  isConnected(): boolean;
  kill(signal: NodeJS.Signals): void;
}

/** What a slot reports to its crew. */
export interface WorkerSlotHost {
  /** A message of the worker. A reading is in `reading` already; `before` is the one before it. */
  heard(slot: WorkerSlot, message: FromWorker, before: Reading | null): void;
  /** The process has ended; `reading` is its last one. */
  left(slot: WorkerSlot, code: number | null, signal: string | null): void;
}

/**
 * One of the N workers: it keeps its number while processes come and go. The crew owns it, fills it, and lives as long. Every
 * process that was started is reported to the crew once when it has ended, after its last message.
 */
export class WorkerSlot {
  readonly number: number;
  state: RunningWorker['state'] = 'waiting';
  /** The last reading of the process; null before the first. */
  reading: Reading | null = null;
  isAnswering = true;
  /** Looks in a row at which a question had no answer yet. */
  silentReadings = 0;
  starts = 0;
  /** Lives in a row that were too short. */
  shortLives = 0;
  startedAt = 0;
  /** When a process that died is started again. */
  timer: NodeJS.Timeout | undefined;
  readonly #host: WorkerSlotHost;
  #worker: WorkerProcess | null = null;
  #asked = 0;
  #answered = 0;
  #waiting: { readonly question: number; readonly resolve: () => void }[] = [];

  constructor(number: number, host: WorkerSlotHost) {
    this.number = number;
    this.#host = host;
  }

  /** A process is there, from its start to its end. */
  get isFilled(): boolean {
    return this.#worker !== null;
  }

  get pid(): number | null {
    return this.#worker?.process.pid ?? null;
  }

  /** Questions without an answer. */
  get unanswered(): number {
    return this.#asked - this.#answered;
  }

  /** Starts a process; when the system has none to give, its life was a short one. */
  fill(fork: () => WorkerProcess, now: number): void {
    this.state = 'starting';
    this.isAnswering = true;
    this.silentReadings = 0;
    this.starts += 1;
    this.startedAt = now;
    this.#asked = 0;
    this.#answered = 0;
    let worker: WorkerProcess;
    try {
      worker = fork();
    } catch (cause) {
      return this.#host.left(this, null, (cause as NodeJS.ErrnoException).code ?? String(cause));
    }
    this.#worker = worker;
    worker.on('message', (message: FromWorker) => this.#hear(message));
    let exit: { code: number | null; signal: string | null } | null = null;
    // What it said last may still be in the channel when it has ended: only both together are its end.
    const leave = (): void => {
      if (exit === null || worker.isConnected() || this.#worker !== worker) return;
      this.#worker = null;
      this.#answer(Number.POSITIVE_INFINITY);
      this.#host.left(this, exit.code, exit.signal);
    };
    worker.on('exit', (code: number | null, signal: string | null) => {
      exit = { code, signal };
      leave();
    });
    worker.on('disconnect', leave);
    worker.on('error', (cause: NodeJS.ErrnoException) => {
      // A process that could not be started has no exit; any other error of the channel is followed by one.
      if (worker.process.pid !== undefined) return;
      this.#worker = null;
      this.#host.left(this, null, cause.code ?? cause.message);
    });
  }

  /** Says something to the worker; without one nothing is said. */
  tell(message: ToWorker): void {
    // What cannot be delivered goes to a process that is about to be missed.
    this.#worker?.send(message, () => undefined);
  }

  /** Resolves when the worker has answered a question that is asked now, or is gone. */
  ask(): Promise<void> {
    if (this.#worker === null || this.state === 'starting') return Promise.resolve();
    if (this.unanswered < QUESTIONS_MAX) {
      this.#asked += 1;
      this.tell({ type: 'read' });
    }
    const question = this.#asked;
    return new Promise((resolve) => {
      this.#waiting.push({ question, resolve });
    });
  }

  kill(): void {
    this.#worker?.kill('SIGKILL');
  }

  describe(): RunningWorker {
    const { number, pid, state, isAnswering, reading } = this;
    return {
      number,
      pid,
      state,
      isAnswering,
      generation: reading?.generation ?? 0,
      restarts: Math.max(0, this.starts - 1),
      connectionsAccepted: reading?.counters.downstream[DOWNSTREAM_ROW.at.connectionsAccepted] ?? 0,
      connectionsOpen: reading?.counters.downstream[DOWNSTREAM_ROW.at.connectionsOpen] ?? 0,
      residentBytes: reading?.process.residentBytes ?? 0,
    };
  }

  #hear(message: FromWorker): void {
    const before = this.reading;
    if (message.type === 'reading' || message.type === 'drained') {
      this.reading = message.reading;
      this.isAnswering = true;
    }
    this.#host.heard(this, message, before);
    if (message.type === 'reading') this.#answer(this.#answered + 1);
  }

  #answer(question: number): void {
    this.#answered = Math.min(question, this.#asked);
    const waiting = this.#waiting;
    this.#waiting = waiting.filter((one) => one.question > this.#answered);
    for (const one of waiting) if (one.question <= this.#answered) one.resolve();
  }
}

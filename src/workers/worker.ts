// Runs one worker process of `workers: N`: an Ambassador that gets its configuration from the primary process and sends it
// every number. It reads no file, has no admin port and ignores signals: a signal to the process group is meant for the
// primary, which sends orders. When the primary ends, node:cluster ends the worker.

import { Ambassador, ListenFailure, UnusableUpstream } from '../ambassador.ts';
import type { Config } from '../config/options/document.ts';
import { loadPatternsOf } from '../config/patterns.ts';
import { UnusableCertificate } from '../downstream/certificates.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import {
  type AssignmentEvent,
  type AssignmentSink,
  Assignments,
  BEGAN_EARLY,
} from '../telemetry/assignments.ts';
import type { Counters } from '../telemetry/counters.ts';
import { setDurationBounds } from '../telemetry/duration-buckets.ts';
import { type LogOutput, openLog } from '../telemetry/log.ts';
import { OWN_PROCESS } from '../telemetry/own-process.ts';
import type { SampleReading } from '../telemetry/sample.ts';
import { keepYoungGenerationSmall } from '../young-generation.ts';
import type { FromWorker, Orders, Reading, ToWorker } from './messages.ts';

/** How long assignment events are gathered before they go to the primary in one message. */
const GATHER_MS = 20;
/** Events of one message at most. */
const GATHERED_MAX = 500;

/** The channel to the primary. */
interface Channel {
  send(message: FromWorker, done?: () => void): void;
  onMessage(listener: (message: ToWorker) => void): void;
}

/** Runs until the primary drains or stops it; the exit code. */
export async function runWorker(): Promise<number> {
  keepYoungGenerationSmall();
  // Not imported on top: the bundle would load it for every start, also without workers.
  const { default: cluster } = await import('node:cluster');
  const self = cluster.worker!;
  const channel: Channel = {
    // A primary that is gone takes no message; the channel's end ends this process.
    send: (message, done) => void self.send(message, () => done?.()),
    onMessage: (listener) => void self.on('message', listener),
  };
  return new Duty(channel).ended;
}

/** What a worker does from its first message to its last. */
class Duty {
  readonly #channel: Channel;
  readonly #output: LogOutput = openLog(1, { isShared: true });
  readonly #ended = Promise.withResolvers<number>();
  #ambassador: Ambassador | null = null;
  #assigned: Assignments | null = null;
  #isLeaving = false;
  #obeyed: Promise<void> = Promise.resolve();
  /** Sends the assignment events that are gathered. */
  #flush: () => void = () => undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
    channel.onMessage((message) => this.#obey(message));
    channel.send({ type: 'hello' });
  }

  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  #obey(message: ToWorker): void {
    switch (message.type) {
      case 'run':
        return void this.#use(() => this.#run(message));
      case 'reload':
        return this.#inOrder(() => this.#use(() => this.#reload(message.config)));
      case 'read':
        if (this.#ambassador === null) return;
        return this.#channel.send({
          type: 'reading',
          reading: this.#read(this.#ambassador),
        });
      case 'renewCertificates':
        return void this.#ambassador?.renewCertificates();
      case 'guards':
        return this.#inOrder(() => this.#ambassador?.guards.obey(message.orders));
      case 'drain':
        return void this.#drain();
      case 'stop':
        return void this.#stop();
      default:
        message satisfies never;
    }
  }

  /** A reload takes several turns; what the primary has sent after it is done after it. */
  #inOrder(obey: () => Promise<void> | void): void {
    this.#obeyed = this.#obeyed.then(obey);
  }

  async #reload(config: Config): Promise<void> {
    await loadPatternsOf(config);
    await this.#ambassador?.reloadInTurns(config);
  }

  /** The primary has just read the same certificate files. A worker that cannot use them any more exits, and is replaced. */
  async #use(begin: () => Promise<void> | void): Promise<void> {
    try {
      await begin();
    } catch (cause) {
      if (cause instanceof UnusableCertificate)
        this.#output.log.error({ problem: cause.message }, 'worker cannot use a certificate');
      else if (cause instanceof UnusableUpstream) {
        const { upstream, message } = cause;
        this.#output.log.error({ upstream, problem: message }, 'worker cannot use an upstream');
      } else throw cause;
      await this.#leave(1);
    }
  }

  async #run({ config, generation, secret, guards, ticketKeys }: Orders): Promise<void> {
    const { mode, sample } = config.accessLog;
    setDurationBounds(config.metrics.durationBuckets);
    await loadPatternsOf(config);
    // The primary logs the rest once; here it would be logged once for each worker.
    this.#output.log.level = config.log.level === 'info' ? 'warn' : config.log.level;
    const ambassador = new Ambassador(config, {
      log: this.#output.log,
      accessLog: mode === 'off' ? null : new AccessLog(this.#output, mode, sample / 10_000),
      assignments: secret === null ? null : this.#assignments(secret, config),
      onUpstreamEvent: (event) => this.#channel.send({ type: 'upstream', event }),
      firstGeneration: generation,
      ticketKeys,
      decidesGuards: false,
    });
    ambassador.guards.obey(guards);
    this.#ambassador = ambassador;
    try {
      await ambassador.start();
    } catch (failure) {
      if (!(failure instanceof ListenFailure)) throw failure;
      const { address, cause } = failure;
      const { code = '', message: text } = cause as NodeJS.ErrnoException;
      return this.#leave(1, { type: 'notListening', address, code, text });
    }
    this.#channel.send({ type: 'listening', listening: ambassador.listening });
  }

  #assignments(secret: string, config: Config): Assignments {
    let events: AssignmentEvent[] = [];
    let timer: NodeJS.Timeout | undefined;
    const flush = (): void => {
      clearTimeout(timer);
      timer = undefined;
      if (events.length > 0) this.#channel.send({ type: 'assignments', events });
      events = [];
    };
    this.#flush = flush;
    const sink: AssignmentSink = {
      write(event) {
        events.push(event);
        if (events.length >= GATHERED_MAX) flush();
        else timer ??= setTimeout(flush, GATHER_MS);
      },
    };
    this.#assigned = new Assignments(sink, secret, config.assignments.window, {
      isRelayed: true,
      beganEarly: (keys) => this.#output.log.warn({ keys }, BEGAN_EARLY),
    });
    return this.#assigned;
  }

  #read({ counters, generation, guards }: Ambassador): Reading {
    return {
      generation: generation.number,
      counters: counters.read(),
      guards: guards.read(),
      upstreams: new Map(
        Array.from(generation.upstreams, ([name, upstream]) => [
          name,
          { trouble: upstream.trouble, addresses: upstream.describe() },
        ]),
      ),
      samples: readSamples(counters),
      linesDropped: this.#output.linesDropped,
      earlyWindows: this.#assigned?.earlyWindows ?? 0,
      process: { ...OWN_PROCESS },
    };
  }

  async #drain(): Promise<void> {
    const ambassador = this.#ambassador;
    if (ambassador === null) return this.#leave(0);
    const result = await ambassador.drain();
    return this.#leave(0, { type: 'drained', result, reading: this.#read(ambassador) });
  }

  async #stop(): Promise<void> {
    await this.#ambassador?.stop();
    return this.#leave(0);
  }

  /** Only the first call counts. */
  async #leave(code: number, last?: FromWorker): Promise<void> {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#flush();
    await this.#output.close();
    if (last !== undefined) await new Promise<void>((resolve) => this.#channel.send(last, resolve));
    this.#ended.resolve(code);
  }
}

/** Exchanges that began before a reload still come to the sample that it replaced. */
function readSamples(counters: Counters): SampleReading[] {
  return Array.from(counters.samples()).flatMap((sample) =>
    sample.before === null ? [sample.read()] : [sample.before.read(), sample.read()],
  );
}

// Reads a configuration again while requests are served: in a thread with limits in time and memory, so that no text, however
// large or hostile, holds the event loop or ends the process. Falls back to this thread where none can be started.

import type { MessagePort, Worker } from 'node:worker_threads';
import { type Loaded, type LoadRequest, loadConfig } from '../config/load.ts';
import { loadPatternsOf } from '../config/patterns.ts';
import { inTurns } from '../turns.ts';
import { joinPieces, type LoadedPiece } from './loaded-pieces.ts';

/** Longest time that a configuration is read for. The largest one takes about a second on an idle core. */
const READ_LIMIT_MS = 20_000;
/** Largest heap of the thread: what a text of 1 MiB needs, several times over. */
const HEAP_MIB_MAX = 512;

/** What the thread is given. */
export interface ReadRequest extends LoadRequest {
  /** Texts of files as they were seen; files that are not among them are read. */
  readonly texts: ReadonlyMap<string, string>;
}

/** What the thread gets. */
export interface ThreadData {
  readonly request: ReadRequest;
  /** Takes the pieces of the result; a message to the parent follows them. */
  readonly pieces: MessagePort;
}

/** Reads configurations, one at a time; the service that owns it closes it. A thread lives as long as one `read`. */
export class ReloadReader {
  readonly #program: string;
  readonly #limitMs: number;
  #thread: Worker | null = null;

  /** `program`: the file that the thread runs. */
  constructor(program: string, limitMs = READ_LIMIT_MS) {
    this.#program = program;
    this.#limitMs = limitMs;
  }

  /** What the texts say, or the problem that they could not be read within the limits. */
  async read(request: ReadRequest, file: string | null): Promise<Loaded> {
    const stopped = (expected: string, got: string): Loaded => {
      const problem = { at: file ?? 'configuration', path: '', order: 0, expected, got };
      return { problems: [problem], file, files: [...request.texts.keys()], notes: [], texts: request.texts };
    };
    const limit = Promise.withResolvers<Loaded>();
    const timer = setTimeout(() => {
      const expected = `a configuration that is read within ${this.#limitMs / 1000} s`;
      limit.resolve(stopped(expected, 'one that takes longer'));
    }, this.#limitMs);
    try {
      const loaded = await Promise.race([this.#run(request), limit.promise]);
      if (loaded.config !== undefined) await loadPatternsOf(loaded.config);
      return loaded;
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code !== 'ERR_WORKER_OUT_OF_MEMORY') return loadConfig(request, { texts: request.texts });
      return stopped(`a configuration that is read within ${HEAP_MIB_MAX} MiB`, 'one that needs more');
    } finally {
      clearTimeout(timer);
      this.close();
    }
  }

  /** Ends the thread, if one runs. */
  close(): void {
    void this.#thread?.terminate();
    this.#thread = null;
  }

  async #run(request: ReadRequest): Promise<Loaded> {
    // Not imported on top: a start reads in its own thread.
    const { MessageChannel, receiveMessageOnPort, Worker } = await import('node:worker_threads');
    const { port1, port2 } = new MessageChannel();
    const workerData: ThreadData = { request, pieces: port2 };
    const next = () => receiveMessageOnPort(port1)?.message as LoadedPiece | undefined;
    try {
      return await new Promise((resolve, reject) => {
        const thread = new Worker(new URL(this.#program), {
          workerData,
          transferList: [port2],
          execArgv: [],
          resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX },
        });
        this.#thread = thread;
        thread.unref();
        thread.once('message', () => resolve(inTurns(joinPieces(next))));
        thread.once('error', reject);
        thread.once('exit', () => reject(new Error('the thread ended')));
      });
    } finally {
      port1.close();
    }
  }
}

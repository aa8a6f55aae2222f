// Decides when a configuration is read again, and from which text: what the watches saw, once two looks at all files
// agree, so that a file that is still being written is not used. Requests that arrive in the meantime count as one. The
// host decides what happens with the result.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Loaded, readText } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import { ConfigWatch } from './watch.ts';

/** Text of each file; of one that cannot be read a mark that no text has. */
type Texts = ReadonlyMap<string, string>;

/** Who reloads. */
export interface ReloadHost {
  /** Reads a configuration from these texts. */
  read(texts: Texts): Promise<Loaded>;
  /** Takes what was read into use, or reports its problems. True when it was accepted. */
  take(loaded: Loaded): Promise<boolean>;
  /** Nothing has changed since the last configuration was accepted. */
  unchanged(): void;
  /** A file has been missing or unreadable for a while. */
  unreadable(problem: Problem): void;
}

/** Time between two looks. */
const SETTLE_MS = 100;
/** Looks after which an empty file is taken as it is: two seconds. */
const LOOKS_MAX = 20;
/** The same for a text that still changes, or looks cut off: six seconds. */
const GROWING_LOOKS_MAX = 60;
/** Looks during which a text with problems, or one that looks cut off, may still turn out to be the first part of another. */
const DOUBTS_MAX = 5;
/** Time after a request that changed nothing before the next one is looked at: a storm of signals costs next to nothing. */
const REST_MS = 1000;

/**
 * Watches the files of a configuration and reads it again when they change or a reload is asked for. Owned by the service;
 * `close` ends it.
 */
export class Reloads {
  readonly #host: ReloadHost;
  readonly #watches = new Map<string, ConfigWatch>();
  /** The texts of the last configuration that was accepted; null when the last one was not. */
  #accepted: Texts | null;
  /** What the watches have seen since. */
  #seen = new Map<string, string>();
  #files: readonly string[];
  /** Not all of its files are known: an include may be a pattern. */
  readonly #isOpen: boolean;
  #isWanted = false;
  #isRunning = false;
  #isClosed = false;
  readonly #wait: (ms: number) => Promise<unknown>;
  readonly #pollMs: number;

  /** `loaded`: the configuration that runs. `wait` replaces the clock, `pollMs` is for watches that get no events. */
  constructor(host: ReloadHost, { files, texts, file }: Loaded, wait = waitFor, pollMs = 5000) {
    this.#host = host;
    this.#wait = wait;
    this.#pollMs = pollMs;
    this.#files = files;
    this.#accepted = texts;
    this.#isOpen = file !== null && !/\.ya?ml$|\.json$/.test(file);
  }

  /** Follows the files; what has changed since they were read counts as a change. */
  async watch(): Promise<void> {
    await Promise.all(this.#files.map((file) => this.#follow(file)));
  }

  /** Reads the configuration again soon, once for all requests that come until then. */
  request(): void {
    this.#isWanted = true;
    if (!this.#isRunning) void this.#run();
  }

  /** Nothing is read or reported afterwards. */
  close(): void {
    this.#isClosed = true;
    for (const watch of this.#watches.values()) watch.close();
  }

  async #follow(file: string): Promise<void> {
    const text = this.#accepted?.get(file);
    const watch = new ConfigWatch(file, {
      pollMs: this.#pollMs,
      ...(text === undefined ? {} : { text }),
      onChange: (seen) => {
        this.#seen.set(file, seen);
        this.request();
      },
      // An include that was removed and is no longer part of the configuration is no problem; it may come back.
      onUnreadable: (problem) => {
        if (this.#files.includes(file)) this.#host.unreadable(problem);
      },
    });
    this.#watches.set(file, watch);
    await watch.start();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#isWanted && !this.#isClosed) {
      this.#isWanted = false;
      if (!(await this.#reload()) && this.#isWanted) await this.#wait(REST_MS);
    }
    this.#isRunning = false;
  }

  /** False when nothing had changed. */
  async #reload(): Promise<boolean> {
    const texts = await this.#settled();
    if (this.#isClosed) return true;
    if (this.#accepted !== null && !this.#isOpen && hasSameTexts(texts, this.#accepted)) {
      this.#host.unchanged();
      return false;
    }
    const loaded = await this.#host.read(new Map([...texts].filter(([, text]) => text !== UNREADABLE)));
    if (loaded.problems !== undefined && (await this.#changesSoon(texts))) this.#isWanted = true;
    else if (!this.#isClosed) await this.#take(loaded, texts);
    return true;
  }

  async #take(loaded: Loaded, texts: Texts): Promise<void> {
    this.#accepted = (await this.#host.take(loaded)) ? new Map([...texts, ...loaded.texts]) : null;
    // A file that keeps a configuration from being accepted may be what changes next.
    this.#files = this.#accepted === null ? [...new Set([...this.#files, ...loaded.files])] : loaded.files;
    if (this.#isClosed) return;
    for (const file of this.#files) if (!this.#watches.has(file)) void this.#follow(file);
  }

  /** The texts of all files once looks agree and none is empty, or as they are after the last look. */
  async #settled(): Promise<Texts> {
    let before: Texts = new Map([...(this.#accepted ?? []), ...this.#seen]);
    this.#seen = new Map();
    for (let look = 1, agreed = 0; ; look++) {
      const now = await this.#look();
      agreed = hasSameTexts(now, before) ? agreed + 1 : 0;
      const cutOff = this.#accepted !== null && isCutOff(now, this.#accepted);
      const isSettled = agreed >= (cutOff ? DOUBTS_MAX : 1) && ![...now.values()].includes('');
      const isLast = look >= (cutOff || agreed === 0 ? GROWING_LOOKS_MAX : LOOKS_MAX);
      if (isSettled || isLast || this.#isClosed) return now;
      before = now;
      await this.#wait(SETTLE_MS);
    }
  }

  async #changesSoon(texts: Texts): Promise<boolean> {
    for (let look = 0; look < DOUBTS_MAX && !this.#isClosed; look++) {
      await this.#wait(SETTLE_MS);
      if (!hasSameTexts(await this.#look(), texts)) return true;
    }
    return false;
  }

  async #look(): Promise<Texts> {
    const read = await Promise.all(this.#files.map((file) => readText(file)));
    return new Map(
      this.#files.map((file, index) => {
        const text = read[index]!;
        return [file, typeof text === 'string' ? text : UNREADABLE];
      }),
    );
  }
}

const waitFor = (ms: number): Promise<void> => sleep(ms, undefined, { ref: false });

/** No text of a configuration has a NUL in it. */
const UNREADABLE = '\0';

/** The first holds every file of the look, the second may know more. */
function hasSameTexts(texts: Texts, others: Texts): boolean {
  return [...texts].every(([file, text]) => others.get(file) === text);
}

/**
 * Some text looks like the first part of what is being written: its last line has no end, which it had before, or it is less
 * than half as long.
 */
function isCutOff(texts: Texts, accepted: Texts): boolean {
  return [...texts].some(([file, text]) => {
    const before = accepted.get(file);
    if (before === undefined || text === before || text === '' || text === UNREADABLE) return false;
    return (before.endsWith('\n') && !text.endsWith('\n')) || text.length * 2 < before.length;
  });
}

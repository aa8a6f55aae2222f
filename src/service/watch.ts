// Reports when the text of a configuration file has changed: by events of its directory (a ConfigMap changes by a swap of
// the `..data` link, an editor by a rename; the file's own inode hears of neither), with a poll as the safety net for
// file systems without events. Knows nothing of what the text means. Source: kubelet's atomic_writer.go.

import { type FSWatcher, watch } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readText } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';

/** What a watch reports, and how soon. */
export interface WatchOptions {
  /** The text that runs now; only a different one is reported. Without it the first look reports nothing. */
  readonly text?: string;
  /** The file has this text now. */
  onChange(text: string): void;
  /** The file has been missing or unreadable for a whole poll; reported once until it can be read again. */
  onUnreadable(problem: Problem): void;
  /** Silence of the directory that ends a burst of events. */
  readonly settleMs?: number;
  /** Time between two looks without any event. */
  readonly pollMs?: number;
}

// A burst that never ends is cut after this many settle times.
const SETTLE_TIMES_MAX = 10;

/** A running watch. Keeps no process alive. */
export class ConfigWatch {
  readonly #file: string;
  readonly #folder: string;
  readonly #names: ReadonlySet<string>;
  readonly #options: WatchOptions;
  readonly #settleMs: number;
  #text: string | undefined;
  #watcher: FSWatcher | null = null;
  /** Device and inode of the watched directory: a new directory of the same name needs a new watcher. */
  #watched = '';
  #poll: NodeJS.Timeout | null = null;
  #settle: NodeJS.Timeout | null = null;
  #restarts = 0;
  #looking = false;
  #lookAgain = false;
  #unreadable = false;
  #closed = false;

  constructor(file: string, options: WatchOptions) {
    this.#file = file;
    this.#folder = dirname(file);
    this.#names = new Set([basename(file), '..data']);
    this.#options = options;
    this.#settleMs = options.settleMs ?? 100;
    this.#text = options.text;
  }

  /** Begins to watch; resolves after the first look, when no later change can be missed. */
  async start(): Promise<void> {
    this.#poll = setInterval(() => void this.#look(true), this.#options.pollMs ?? 5000);
    this.#poll.unref();
    await this.#look(false);
    // A file that is just being written or replaced gave no text to compare with: the first one that it has is reported.
    this.#text ??= '';
  }

  /** Ends the watch; nothing is reported afterwards. */
  close(): void {
    this.#closed = true;
    if (this.#poll !== null) clearInterval(this.#poll);
    if (this.#settle !== null) clearTimeout(this.#settle);
    this.#watcher?.close();
    this.#watcher = null;
  }

  #happened(name: string | null): void {
    if (name !== null && !this.#names.has(name)) return;
    if (this.#settle !== null) {
      if (this.#restarts++ >= SETTLE_TIMES_MAX) return;
      clearTimeout(this.#settle);
    }
    this.#settle = setTimeout(() => {
      this.#settle = null;
      this.#restarts = 0;
      void this.#look(false);
    }, this.#settleMs);
    this.#settle.unref();
  }

  // One look at a time: two reads that overtake each other would tell the older text last.
  async #look(byPoll: boolean): Promise<void> {
    this.#lookAgain = true;
    if (this.#looking) return;
    this.#looking = true;
    while (this.#lookAgain && !this.#closed) {
      this.#lookAgain = false;
      await this.#watchFolder();
      const read = await readText(this.#file);
      if (this.#closed) break;
      // Nothing between truncation and writing: a write in place causes one more event.
      if (read === '' && !byPoll) continue;
      if (typeof read === 'string') this.#tell(read);
      else if (byPoll && !this.#unreadable) {
        this.#unreadable = true;
        this.#options.onUnreadable(read.problem);
      }
    }
    this.#looking = false;
  }

  #tell(text: string): void {
    this.#unreadable = false;
    if (text === this.#text) return;
    const isFirst = this.#text === undefined;
    this.#text = text;
    if (!isFirst) this.#options.onChange(text);
  }

  /** Listens to the directory that is there now; without one, or without events, the poll has to do. */
  async #watchFolder(): Promise<void> {
    const identity = await stat(this.#folder).then(
      ({ dev, ino }) => `${dev}:${ino}`,
      () => '',
    );
    if (this.#closed || identity === this.#watched) return;
    this.#watcher?.close();
    this.#watcher = null;
    this.#watched = '';
    if (identity === '') return;
    try {
      const watcher = watch(this.#folder, { persistent: false }, (_kind, name) => this.#happened(name));
      watcher.on('error', () => this.#forget(watcher));
      this.#watcher = watcher;
      this.#watched = identity;
    } catch {
      // inotify's limits (ENOSPC, EMFILE) or a file system that has no events: the next poll tries again.
    }
  }

  #forget(watcher: FSWatcher): void {
    watcher.close();
    if (this.#watcher !== watcher) return;
    this.#watcher = null;
    this.#watched = '';
  }
}

/**
 * True when `file` is a mount of its own, as `subPath` and `docker run -v FILE:FILE` make it: such a file keeps the
 * text with which the container started. False where the system does not tell.
 */
export async function isMountedAlone(file: string, mountinfo = '/proc/self/mountinfo'): Promise<boolean> {
  try {
    const path = join(await realpath(dirname(file)), basename(file));
    const mounts = await readFile(mountinfo, 'utf8');
    return mounts.split('\n').some((line) => mountPoint(line) === path);
  } catch {
    return false;
  }
}

/** Fifth field of a line of mountinfo, its octal escapes undone. Source: proc_pid_mountinfo(5). */
function mountPoint(line: string): string | undefined {
  const escaped = line.split(' ')[4];
  return escaped?.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

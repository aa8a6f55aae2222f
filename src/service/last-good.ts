// Keeps the text of the last accepted configuration in a file (--last-good, LAST_GOOD), so that a start whose own file
// is refused can run on that text. Only the main file's text is kept: no secret that it refers to,
// and no flag or variable. Knows no log: the caller reports what it returns.

import type { Stats } from 'node:fs';
import { lstat, open, rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DEFAULT_FILE, type Loaded, type LoadRequest, loadConfig } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import { TEXT_BYTES_MAX } from '../config/text.ts';
import { kindOf, readRegularFileSync } from '../regular-file.ts';

/** What a start found in place of a usable text. */
export interface Unusable {
  readonly got: string;
  /** Of the kept text; empty where there is none. */
  readonly problems: readonly Problem[];
}

/**
 * Writes the text of each accepted configuration to the file, one write at a time and the newest text last. Owned by the
 * service, for as long as it runs.
 */
export class LastGood {
  readonly file: string;
  /** The text to write next: a newer one replaces an older one that waits. */
  #next: string | null = null;
  #isWriting = false;
  readonly #failed: (cause: Error) => void;

  /** `failed` hears why a text was not written; traffic is not concerned. */
  constructor(file: string, failed: (cause: Error) => void) {
    this.file = file;
    this.#failed = failed;
  }

  /** Keeps the text of an accepted configuration; one that came from flags and variables alone has none. */
  keep({ file, texts }: Loaded): void {
    const text = file === null ? undefined : texts.get(file);
    if (text === undefined) return;
    this.#next = text;
    if (!this.#isWriting) void this.#write();
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    while (this.#next !== null) {
      const text = this.#next;
      this.#next = null;
      await writeWhole(this.file, text).catch((cause: Error) => this.#failed(cause));
    }
    this.#isWriting = false;
  }
}

/**
 * The configuration that a start runs on in place of the refused one: the kept text under the name of the refused file,
 * with the same flags and variables over it.
 */
export async function loadLastGood(
  lastGood: string,
  refused: Loaded,
  request: LoadRequest,
): Promise<Loaded | Unusable> {
  const file = refused.file ?? DEFAULT_FILE;
  let text: string;
  try {
    text = readRegularFileSync(lastGood, TEXT_BYTES_MAX).toString();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    return { got: code === 'ENOENT' ? 'no such file' : message, problems: [] };
  }
  const loaded = await loadConfig(request, { texts: new Map([[file, text]]) });
  return loaded.problems === undefined
    ? loaded
    : { got: 'a text that is refused too', problems: loaded.problems };
}

/** True when both name one file: the configuration would be replaced by itself. */
export function isSameFile(lastGood: string, { file }: Loaded): boolean {
  return file !== null && resolve(lastGood) === resolve(file);
}

/** Replaces the file at once, readable for its owner alone. Throws where it is not a regular file. */
export async function writeWhole(file: string, text: string): Promise<void> {
  const stats = await statsOf(file);
  if (stats !== null && !stats.isFile()) throw new Error(`expected a regular file, got ${kindOf(stats)}`);
  const next = `${file}.next`;
  // A crash may have left it. Created exclusively, so that no link is followed.
  await rm(next, { force: true });
  try {
    await using handle = await open(next, 'wx', 0o600);
    await handle.writeFile(text);
    await handle.sync();
  } catch (cause) {
    await rm(next, { force: true });
    throw cause;
  }
  await rename(next, file);
}

async function statsOf(file: string): Promise<Stats | null> {
  try {
    return await lstat(file);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw cause;
  }
}

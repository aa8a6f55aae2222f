// Samples in a folder, for an emptyDir that outlives a container or a volume that outlives a pod: a file for each process,
// replaced by renaming, so that nobody reads half of one. The folder is made if it is missing. Links are not followed.

import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CLAIM_MS, ENTRY_BYTES_MAX, type SampleStore, type StoreEntries } from './sample-store.ts';

/** A folder. It holds no file open. */
export class FolderStore implements SampleStore, StoreEntries {
  readonly #folder: string;
  readonly #prefix: string;

  /** @param name of the app: its files begin with it */
  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#prefix = `${name}.`;
  }

  async use<T>(work: (session: StoreEntries) => Promise<T>): Promise<T> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    return work(this);
  }

  async list(): Promise<string[]> {
    const ending = '.sample';
    return (await readdir(this.#folder))
      .filter((file) => file.startsWith(this.#prefix) && file.endsWith(ending))
      .map((file) => file.slice(this.#prefix.length, -ending.length))
      .filter((id) => /^[0-9a-f-]{36}$/.test(id));
  }

  async read(id: string): Promise<Buffer | null> {
    try {
      await using handle = await open(
        this.#path(id, 'sample'),
        constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
      );
      const stats = await handle.stat();
      if (!stats.isFile() || stats.size > ENTRY_BYTES_MAX)
        throw new Error('expected a regular file of at most 64 MiB');
      return await handle.readFile();
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw cause;
    }
  }

  async write(id: string, bytes: Buffer): Promise<void> {
    const next = this.#path(id, 'next');
    await rm(next, { force: true });
    try {
      await using handle = await open(next, 'wx', 0o600);
      await handle.writeFile(bytes);
      await handle.sync();
    } catch (cause) {
      await rm(next, { force: true });
      throw cause;
    }
    await rename(next, this.#path(id, 'sample'));
  }

  async claim(id: string): Promise<boolean> {
    const claim = this.#path(id, 'claim');
    for (;;) {
      try {
        await (await open(claim, 'wx', 0o600)).close();
        return true;
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
      }
      const made = await stat(claim).catch(() => null);
      if (made !== null && Date.now() - made.mtimeMs < CLAIM_MS) return false;
      await rm(claim, { force: true });
    }
  }

  async remove(id: string): Promise<void> {
    await rm(this.#path(id, 'sample'), { force: true });
    await rm(this.#path(id, 'claim'), { force: true });
  }

  #path(id: string, ending: string): string {
    return join(this.#folder, `${this.#prefix}${id}.${ending}`);
  }
}

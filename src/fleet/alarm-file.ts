// Keeps the alarms of a fleet in a file, so that a fleet process that is started again does not forget them: an alarm stays until
// the sample begins again. Written whole after each round that has changed it. A file that cannot be read or written is a sentence
// and no error.

import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { KeptEvidence } from '../telemetry/verdict.ts';

/** What was found in the sample of one split under one definition. */
export interface SplitAlarms {
  readonly split: string;
  readonly definition: string;
  /** Unix time in milliseconds of the last round in which pods had the sample. */
  readonly seenMs: number;
  readonly evidence: KeptEvidence;
}

/** The alarms of one fleet in their file. The fleet owns it as long as its process. */
export class AlarmFile {
  /** Why it could not be read or written the last time; null when it could. */
  problem: string | null = null;
  readonly #file: string;
  #written = '';

  constructor(file: string) {
    this.#file = file;
  }

  /** What an earlier process has left; nothing where there is no file. Never rejects. */
  async read(): Promise<readonly SplitAlarms[]> {
    try {
      const { version, splits } = JSON.parse(await readFile(this.#file, 'utf8')) as {
        version?: unknown;
        splits?: readonly SplitAlarms[];
      };
      if (version !== 1 || splits?.every(isWhole) !== true)
        throw new Error('expected alarms of version 1, got something else');
      return splits;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') this.#fail(cause as Error);
      return [];
    }
  }

  /** Replaces the file at once, readable for its owner alone. Never rejects. */
  async write(splits: readonly SplitAlarms[]): Promise<void> {
    const text = `${JSON.stringify({ version: 1, splits }, (_, value) => (value === Infinity ? Number.MAX_VALUE : value))}\n`;
    if (text === this.#written) return;
    const next = `${this.#file}.next`;
    try {
      // A crash may have left it. Created exclusively, so that no link is followed.
      await rm(next, { force: true });
      await writeFile(next, text, { mode: 0o600, flag: 'wx' });
      await rename(next, this.#file);
      this.#written = text;
      this.problem = null;
    } catch (cause) {
      this.#fail(cause as Error);
    }
  }

  #fail({ message }: Error): void {
    this.problem = `--state ${this.#file}: ${message}`;
  }
}

function isWhole({ split, definition, seenMs, evidence }: Partial<SplitAlarms>): boolean {
  return (
    typeof split === 'string' &&
    typeof definition === 'string' &&
    typeof seenMs === 'number' &&
    typeof evidence?.shareLogEvidence === 'number' &&
    Array.isArray(evidence.alarms)
  );
}

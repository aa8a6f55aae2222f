// Keeps the stops of guards over a restart, in the file that each guard names (`guard.stateFile`): JSON, version 1. A file
// that cannot be read or written never keeps the splitter from running; the caller logs why.

import type { Logger } from 'pino';
import type { Config } from '../config/options/document.ts';
import { readRegularFileSync } from '../regular-file.ts';
import { type GuardStop, readGuardStop } from '../telemetry/guard-stop.ts';
import type { Guards } from '../telemetry/guards.ts';
import { writeWhole } from './last-good.ts';

const STATE_BYTES_MAX = 1024 * 1024;

/** The data plane, as far as its guards are concerned. */
interface GuardedPlane {
  readonly guards: Guards;
  readonly experiments: { onStops: () => void };
  readonly generation: { readonly config: Config };
  reload(config: Config): void;
}

/** Restores the stops that files hold, keeps those of now, and ends them for an operator. The service owns one, for as long as it runs. */
export class GuardState {
  readonly #plane: GuardedPlane;
  readonly #log: Logger;
  #writing: Promise<void> = Promise.resolve();
  /** The next configuration that is accepted ends all stops, also if it is the same. */
  #isEndAsked = false;

  constructor(plane: GuardedPlane, log: Logger) {
    this.#plane = plane;
    this.#log = log;
    plane.experiments.onStops = () => this.keep();
  }

  /** Stops again what an earlier process had stopped. */
  restore(): void {
    for (const [file, splits] of filesOf(this.#plane.generation.config)) {
      for (const stop of this.#read(file)) {
        const { split, variant, at } = stop;
        if (!splits.has(split) || !this.#plane.guards.restore(stop)) continue;
        const facts = { split, variant, stoppedAt: at, file };
        this.#log.error(facts, 'guard stops the split since before the start');
      }
    }
  }

  /** Writes what is stopped now, one write after the other. */
  keep(): void {
    for (const [file, splits] of filesOf(this.#plane.generation.config)) {
      const stops = this.#plane.guards.stops.filter(({ split }) => splits.has(split));
      const text = `${JSON.stringify({ version: 1, stops })}\n`;
      this.#writing = this.#writing
        .then(() => writeWhole(file, text))
        .catch((cause: Error) => this.#failed(file, cause));
    }
  }

  /** An operator has sent SIGHUP. */
  askEnd(): void {
    this.#isEndAsked = true;
  }

  /** The configuration that was read after it was refused. */
  refuseEnd(): void {
    this.#isEndAsked = false;
  }

  /** A configuration was accepted: ends all stops by a new generation if that was asked for. True when there was one. */
  end(): boolean {
    const isAsked = this.#isEndAsked;
    this.#isEndAsked = false;
    if (!isAsked || !this.#plane.guards.clear()) return false;
    this.#plane.reload(this.#plane.generation.config);
    return true;
  }

  /** Resolves when everything is written. */
  close(): Promise<void> {
    return this.#writing;
  }

  #failed(file: string, { message }: Error): void {
    this.#log.error({ file, cause: message }, 'state of guards not read or written');
  }

  #read(file: string): GuardStop[] {
    try {
      const { version, stops } = JSON.parse(readRegularFileSync(file, STATE_BYTES_MAX).toString());
      if (version !== 1 || !Array.isArray(stops)) throw new Error('expected stops of version 1');
      return stops.flatMap((stop) => readGuardStop(stop) ?? []);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') this.#failed(file, cause as Error);
      return [];
    }
  }
}

/** The state files of a configuration, each with the splits that are kept in it. */
function filesOf({ splits }: Config): Map<string, Set<string>> {
  const files = new Map<string, Set<string>>();
  for (const [name, { guard }] of splits) {
    if (guard?.stateFile === undefined) continue;
    files.set(guard.stateFile, (files.get(guard.stateFile) ?? new Set()).add(name));
  }
  return files;
}

// What a command may use of the process: output, environment, signals. `main` makes the real one, tests make their own, so
// that no command touches the process and every command ends by returning an exit code.

import type { ServiceHost } from '../service/service.ts';

/** Keys or requests between two lines of progress. */
export const PROGRESS_EVERY = 50_000;

/** The surroundings of a command. */
export interface Terminal extends ServiceHost {
  readonly environment: { readonly [name: string]: string | undefined };
  writeOut(text: string): void;
  /** Replaces the line of progress on a terminal; absent where there is no terminal. An empty text removes it. */
  readonly showProgress?: ((text: string) => void) | undefined;
  /** Standard error shows colors and its user wants them (NO_COLOR). */
  readonly hasColors?: boolean | undefined;
  /** Width of the terminal in characters; absent where there is none. */
  readonly columns?: number | undefined;
  /** Standard input, for the command that reads it; absent where there is none. */
  readonly input?: AsyncIterable<Uint8Array> | undefined;
}
